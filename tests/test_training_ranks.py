"""Training in processes of its own: killed at any moment, stopped by real signals, on several ranks at once."""

import json
import math
import os
import random
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.test_training import FAST, LABELS, films, history, losses, outcome, weights, write

_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir")


def _finetune(folder, model, flags, killed_at):
    """Runs in a child: a line, killed before the change of that number that it makes to files; else they are counted."""
    from hfcli.cli import main

    os.chdir(folder)
    for fd in (1, 2):
        os.dup2(os.open(f"said.{fd}{os.environ.get('RANK', '')}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), fd)
    changes = 0

    def watch(event, arguments):
        nonlocal changes
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in _CHANGES or writes:
            changes += 1
            if changes == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    code = main(["finetune", str(model), "--dataset", "films.csv", "--eval-dataset", "dev.csv", *flags])
    Path("changes").write_text(str(changes))
    os._exit(code)


def _rank(rank, port, folder, model, flags, hook, size=2):
    """Runs in a child, as one rank; the hook is called before every run of the model, as in test_training.py."""
    from hfcli.runtime.forward import Network

    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    logits, sizes = Network.logits, []

    def hooked(self, features):
        sizes.append((len(features), max(len(feature.inputs["input_ids"]) for feature in features)))
        hook(rank, len(sizes), self.model.training, sizes[-1])
        return logits(self, features)

    Network.logits = hooked
    _finetune(folder, model, flags, 0)


def nothing(rank, count, learns, size):
    """A hook that does nothing."""


def scarce(rank, count, learns, size):
    """Memory of the second rank runs out in every way: in the second step, and while measuring."""
    import torch

    if rank == 1 and count > 1 and math.prod(size) > (30 if learns else 50):
        raise torch.OutOfMemoryError("CUDA out of memory.")


def too_long(rank, count, learns, size):
    import torch

    if rank == 1 and count > 2 and size[1] > 14:
        raise torch.OutOfMemoryError("CUDA out of memory.")


def signalled(rank, count, learns, size):
    """To one rank alone, in the step before an evaluation."""
    if (rank, count) == (1, 3):
        signal.raise_signal(signal.SIGINT)


def signalled_measuring(rank, count, learns, size):
    """To one rank alone, in its first batch of two of the first evaluation."""
    if (rank, count) == (1, 4):
        signal.raise_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def base(models):
    return models._make("restless", lambda folder: models._head(folder, "bert", LABELS))


@pytest.fixture(scope="module")
def run(processes, base):
    """`run(folder, *flags, killed_at=number, killed_after=seconds)`: a run in a child; its exit code, -9 when killed."""

    def call(folder, *flags, killed_at=0, killed_after=None, number=signal.SIGKILL):
        child = processes.Process(target=_finetune, args=(folder, base, (*FAST, *flags), killed_at))
        child.start()
        if killed_after is not None:
            child.join(killed_after)
            if child.exitcode is None:
                os.kill(child.pid, number)
        child.join(120)
        return child.exitcode

    return call


class Straight(NamedTuple):
    """A run to which nothing happens."""

    folder: Path
    outcome: tuple
    changes: int
    seconds: float

    def equals(self, folder):
        """The same bytes, and nothing is left of what happened."""
        left = {path.name for path in folder.iterdir()} - {".lock"}  # it is not held by anybody
        return left == {path.name for path in self.folder.iterdir()} and outcome(folder) == self.outcome


@pytest.fixture(scope="module")
def straight(run, tmp_path_factory):
    folder = data(tmp_path_factory.mktemp("straight"))
    assert run(folder, "-o", "warm") == 0, said(folder)
    began = time.monotonic()
    assert run(folder, "-o", "straight") == 0, said(folder)
    changes = int((folder / "changes").read_text())
    return Straight(folder / "straight", outcome(folder / "straight"), changes, time.monotonic() - began)


def data(folder):
    write(folder / "films.csv", [record for words in (4, 9, 15) for record in films(12, words, words=words)])
    write(folder / "dev.csv", list(films(60, 99)))
    return folder


def said(folder, fd=2):
    return (folder / f"said.{fd}").read_text()


@pytest.fixture
def folder(tmp_path):
    return data(tmp_path)


def killed_then_resumed(run, straight, folder, numbers):
    for number in numbers:
        shutil.rmtree(folder / "out", ignore_errors=True)
        assert run(folder, killed_at=number) == -signal.SIGKILL, number
        assert run(folder, "--resume") == 0, (number, said(folder))
        assert straight.equals(folder / "out"), number


def test_killed_before_some_change_of_a_file_it_ends_as_if_nothing_had_happened(run, straight, folder):
    assert straight.changes > 60
    numbers = random.Random(0).sample(range(1, straight.changes + 1), 8)
    killed_then_resumed(run, straight, folder, sorted(numbers))


@pytest.mark.slow
def test_killed_before_any_change_of_a_file_it_ends_as_if_nothing_had_happened(run, straight, folder):
    killed_then_resumed(run, straight, folder, range(1, straight.changes + 1))


def test_killed_at_random_again_and_again_it_ends_as_if_nothing_had_happened(run, straight, folder):
    rng = random.Random(1)
    for _ in range(2):
        shutil.rmtree(folder / "out", ignore_errors=True)
        for _ in range(3):
            after = rng.uniform(0.3, 1.0) * straight.seconds
            assert run(folder, "--resume", killed_after=after) in (0, -signal.SIGKILL)
        assert run(folder, "--resume") == 0, said(folder)
        assert straight.equals(folder / "out")


def test_killed_while_it_overwrites_it_is_still_ours(run, straight, folder):
    """Neither a finished run without its model, nor a folder of somebody else's."""
    for number in range(1, 21, 6):
        shutil.rmtree(folder / "out", ignore_errors=True)
        shutil.copytree(straight.folder, folder / "out")
        assert run(folder, "--overwrite", killed_at=number) == -signal.SIGKILL
        assert run(folder, "--resume") == 0, (number, said(folder))
        assert straight.equals(folder / "out"), number


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_it_at_any_moment(run, straight, folder, number):
    """Before the first step and after the last it stops at once, in between it saves."""
    rng = random.Random(int(number))
    for _ in range(2):
        shutil.rmtree(folder / "out", ignore_errors=True)
        code = run(folder, killed_after=rng.uniform(0.2, 1.0) * straight.seconds, number=number)
        assert "Traceback" not in said(folder)
        assert (code, said(folder, 1)) in ((0, "out\n"), (128 + number, ""))
        assert run(folder, "--resume") == 0, said(folder)
        assert straight.equals(folder / "out")


def test_several_seeds_go_on_where_they_were_killed(run, straight, folder):
    flags = ("--seeds", "1,2", "--max-steps", "3", "--eval-steps", "3")
    assert run(folder, *flags, "-o", "seeds") == 0, said(folder)
    changes, expected = int((folder / "changes").read_text()), outcome(folder / "seeds")
    names = {path.relative_to(folder / "seeds") for path in (folder / "seeds").rglob("*")}
    for number in (changes // 2, changes - 30, changes - 8):
        shutil.rmtree(folder / "out", ignore_errors=True)
        assert run(folder, *flags, killed_at=number) == -signal.SIGKILL
        assert run(folder, *flags, "--resume") == 0, (number, said(folder))
        assert outcome(folder / "out") == expected
        left = {path.relative_to(folder / "out") for path in (folder / "out").rglob("*") if path.name != ".lock"}
        assert left == names, number


# real processes, and several of them


LINE = " ".join(FAST).replace("-o out", "") + " --dataset films.csv --eval-dataset dev.csv --device cpu"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_of_a_real_process_saves_and_the_same_line_goes_on(shell, base, folder, monkeypatch, number):
    monkeypatch.chdir(folder)
    line = f"hfcli finetune {base} {LINE} --max-steps 3000 --eval-steps 3000"
    stopped = shell(
        f"set -m; {line} -o out & until [ -s out/history.jsonl ]; do sleep 0.1; done; kill -{int(number)} %1; wait %1"
    )
    assert (stopped.returncode, stopped.stdout) == (128 + number, ""), stopped.stderr
    assert "stopping after this step (Ctrl-C again: stop now, " in stopped.stderr
    assert " of 3,000 in " in stopped.stderr
    at = max(int(path.name[11:]) for path in (folder / "out").glob("checkpoint-*"))
    refused = shell(f"{line} -o out")
    assert f"(step {at:,} of 3,000)" in refused.stderr


@pytest.fixture(scope="module")
def still(models):
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return models._make("still", lambda folder: models._head(folder, "bert", LABELS, **none))


@pytest.fixture
def ranks(processes, folder):
    """`ranks(model, *flags, hook=...)`: the same on two ranks; their exit codes, what they said, and standard output."""

    def call(model, *flags, hook=nothing):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        flags = (*FAST, *flags, "--device", "cpu")
        both = [processes.Process(target=_rank, args=(n, port, folder, model, flags, hook)) for n in range(2)]
        for each in both:
            each.start()
        for each in both:
            each.join(120)
            if each.exitcode is None:  # the other one is gone
                each.kill()
                each.join()
        return [each.exitcode for each in both], [said(folder, f"2{n}") for n in range(2)], said(folder, "10")

    return call


def alone(hfcli, model, *flags):
    result = hfcli(
        "finetune", model, "--dataset", "films.csv", "--eval-dataset", "dev.csv", *FAST, *flags, "--device", "cpu"
    )
    assert result.code == 0, result.err


def same_up_to_rounding(one, two):
    assert losses(one) == pytest.approx(losses(two), abs=1e-5)
    scores = [[(e.get("eval_loss"), e.get("accuracy")) for e in history(folder)] for folder in (one, two)]
    for mine, others in zip(*scores, strict=True):
        assert mine == pytest.approx(others, abs=1e-5)


def test_two_ranks_compute_what_one_does(hfcli, ranks, still, folder, monkeypatch):
    monkeypatch.chdir(folder)
    codes, (first, second), out = ranks(still, "-o", "two")
    assert (codes, out, second) == ([0, 0], "two\n", ""), (first, second)
    assert "device  2 x cpu, float32" in first
    alone(hfcli, still, "-o", "one")
    same_up_to_rounding(folder / "one", folder / "two")
    before = weights(folder / "one")
    for name, value in weights(folder / "two").items():
        if "key.bias" not in name:  # see test_training.py
            np.testing.assert_allclose(value, before[name], atol=2e-5, err_msg=name)


def test_a_rank_may_have_nothing_to_do(hfcli, ranks, still, folder, monkeypatch):
    """Seven records, three a step: the last step has one."""
    monkeypatch.chdir(folder)
    write(folder / "films.csv", list(films(7, 3)))
    flags = ("--batch-size", "3", "--max-steps", "6")
    codes, told, _ = ranks(still, *flags, "-o", "two")
    assert codes == [0, 0], told
    alone(hfcli, still, *flags, "-o", "one")
    same_up_to_rounding(folder / "one", folder / "two")


def test_memory_that_runs_out_on_one_rank_changes_nothing_but_rounding(hfcli, ranks, still, folder, monkeypatch):
    monkeypatch.chdir(folder)
    codes, told, _ = ranks(still, "-o", "two", hook=scarce)
    assert codes == [0, 0], told
    alone(hfcli, still, "-o", "one")
    same_up_to_rounding(folder / "one", folder / "two")


def test_a_record_that_does_not_fit_on_one_rank_ends_both_with_the_same_sentence(ranks, still, folder):
    codes, (first, second), out = ranks(still, hook=too_long)
    assert (codes, out) == ([6, 6], "")
    assert (first + second).count("error: one record of 18 tokens does not fit into memory\n") == 1
    assert list((folder / "out").glob("checkpoint-*"))


@pytest.mark.parametrize(("hook", "code"), [(signalled, 130), (signalled_measuring, 143)])
def test_a_signal_to_one_rank_stops_all_and_they_go_on_together(ranks, base, folder, hook, code):
    line = (base, "--tokens-per-batch", "80")
    codes, (first, _), out = ranks(*line, hook=hook)
    assert (codes, out) == ([code, code], "")
    assert "saved step 3 of 7" in first
    assert ranks(*line, "--resume")[0] == [0, 0]
    assert ranks(*line, "-o", "straight")[0] == [0, 0]
    assert outcome(folder / "out") == outcome(folder / "straight")


def test_several_seeds_on_two_ranks(ranks, base, folder):
    for _ in range(2):
        codes, told, out = ranks(base, "--seeds", "1,2", "--max-steps", "2", "--overwrite")
        assert (codes, out) == ([0, 0], "out\n"), told
    assert len(json.loads((folder / "out" / "seeds.json").read_text())["scores"]) == 2


@pytest.mark.slow
def test_torchrun_starts_it_and_weights_that_are_not_used_stay(shell, hfcli, models, folder, monkeypatch):
    monkeypatch.chdir(folder)
    special = {"padding_side": "left"}  # as its own tokenizer has it
    none = {"dropout": 0.0, "summary_last_dropout": 0.0}
    model = models._make("still-xlnet", lambda path: models._head(path, "xlnet", LABELS, special, **none))
    start = f'"{sys.executable}" -m torch.distributed.run --nproc-per-node 2 -m hfcli finetune'
    ran = shell(f"{start} {model} {LINE} --weight-decay 5 -o two")
    assert (ran.returncode, ran.stdout) == (0, "two\n"), ran.stderr
    assert ran.stderr.count("step     1/7") == ran.stderr.count("model   ") == 1
    alone(hfcli, model, "--weight-decay", "5", "-o", "one")
    same_up_to_rounding(folder / "one", folder / "two")
    np.testing.assert_array_equal(*[weights(folder / name)["transformer.mask_emb"] for name in ("one", "two")])
