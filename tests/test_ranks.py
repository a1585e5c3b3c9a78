"""One command in several processes: the same results as from one, in order; and what is said when one of them is gone."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hfcli import launch
from hfcli.errors import HfcliError

ROOT = Path(__file__).parent.parent
TEXTS = [f"{'the small fox ran over the hill ' * (n % 4 + 1)}and saw a good bear {n}" for n in range(60)]
SEVEN = [f"a {word} film" for word in "good bad lovely awful fine dull good".split()]


def _rank(rank, size, port, folder, argv, stdin, hook):
    """Runs in a child, as one rank of some that torchrun started."""
    from hfcli.cli import main

    os.chdir(folder)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.dup2(os.open(stdin if rank == 0 and stdin else os.devnull, os.O_RDONLY), 0)
    for fd in (1, 2):
        os.dup2(os.open(f"said.{fd}{rank}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), fd)
    hook(rank)
    os._exit(main(argv))


def nothing(rank):
    """A hook that does nothing."""


def small_batches(rank):
    """Many batches of little input."""
    from hfcli.runtime import asking, batching, prediction

    prediction.MAX_ROWS["cpu"] = 4
    batching.MAX_LOGIT_TOKENS["cpu"] = 64
    asking.CHUNK_CHARACTERS = (256, 1 << 10)


def broken(rank):
    """The second rank's model does not fit."""
    from hfcli.errors import DeviceError
    from hfcli.runtime import loading

    def full(*args):
        raise DeviceError("the model does not fit into memory", "a smaller model")

    if rank == 1:
        loading.load_here = full


def out_of_memory(rank):
    """Memory runs out for more than two texts at once."""
    import torch

    from hfcli.runtime.forward import Network

    logits = Network.logits

    def scarce(self, features):
        if len(features) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return logits(self, features)

    Network.logits = scarce


def stuck(rank):
    """The second rank never comes to its third step."""
    from hfcli.runtime.forward import Network

    logits, count = Network.logits, 0

    def sleeps(self, features):
        nonlocal count
        count += 1
        if rank == 1 and count == 3:
            time.sleep(600)
        return logits(self, features)

    Network.logits = sleeps


def gone(rank):
    """The second rank is killed in its third step."""
    from hfcli.runtime.forward import Network

    logits, count = Network.logits, 0

    def killed(self, features):
        nonlocal count
        count += 1
        if rank == 1 and count == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return logits(self, features)

    Network.logits = killed


class Ran:
    """What ranks have left: exit codes, rank 0's output, and what each said."""

    def __init__(self, folder, codes):
        self.codes = codes
        self.out = (folder / "said.10").read_text()
        self.said = [(folder / f"said.2{rank}").read_text() for rank in range(len(codes))]
        self.err = "".join(self.said)
        self.other_out = "".join((folder / f"said.1{rank}").read_text() for rank in range(1, len(codes)))


@pytest.fixture
def ranks(processes, tmp_path, monkeypatch):
    """`ranks("classify", ..., size=2, stdin="lines")`: a line as torchrun would start it, without the imports."""
    monkeypatch.chdir(tmp_path)

    def call(*argv, size=2, stdin=None, hook=small_batches):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        if stdin is not None:
            (tmp_path / "stdin").write_text(stdin)
        given = "stdin" if stdin is not None else None
        argv = [str(argument) for argument in argv]
        children = [
            processes.Process(target=_rank, args=(rank, size, port, tmp_path, argv, given, hook))
            for rank in range(size)
        ]
        for each in children:
            each.start()
        for each in children:
            each.join(120)
            if each.exitcode is None:
                each.kill()
                each.join()
        return Ran(tmp_path, [each.exitcode for each in children])

    return call


@pytest.fixture
def alone(hfcli, monkeypatch):
    """The same line in one process."""

    def call(*argv, stdin=None):
        with monkeypatch.context() as patch:
            patch.setattr("hfcli.runtime.prediction.MAX_ROWS", {"cpu": 4})
            patch.setattr("hfcli.runtime.batching.MAX_LOGIT_TOKENS", {"cpu": 64})
            patch.setattr("hfcli.runtime.asking.CHUNK_CHARACTERS", (256, 1 << 10))
            result = hfcli(*argv, stdin=stdin)
        assert result.code == 0, result.err
        return result

    return call


def same(ran, result):
    assert ran.codes == [0] * len(ran.codes), ran.err
    assert ran.out == result.out
    assert ran.other_out == "".join(ran.said[1:]) == ""


# equal to one process, in order


def test_sampled_texts_are_those_of_one_process(ranks, alone, models):
    lines = "".join(f"{text}\n" for text in [*TEXTS, *TEXTS[:20]])  # some prompts come twice
    flags = ("generate", "-m", models.llama(), "--sample", "--seed", "3", "--max-new-tokens", "12")
    flags = (*flags, "--num-return-sequences", "2", "--json")
    same(ranks(*flags, stdin=lines), alone(*flags, stdin=lines))


def test_labels_are_those_of_one_process(ranks, alone, models):
    lines = "".join(json.dumps({"id": n, "text": text}) + "\n" for n, text in enumerate(TEXTS))
    flags = ("classify", "-m", models.classifier(), "--all-scores")
    same(ranks(*flags, stdin=lines), alone(*flags, stdin=lines))


def test_answers_are_those_of_one_process(ranks, alone, models):
    text = "the fox was good and the bear was awful . " * 12
    records = [{"question": ("sports", "politics")[n % 2], "context": text[n:]} for n in range(12)]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    flags = ("qa", "-m", models.answerer(), "--top-k", "2")
    same(ranks(*flags, stdin=lines), alone(*flags, stdin=lines))


@pytest.mark.parametrize("count", [7, 1, 0])
def test_ranks_may_have_little_or_nothing_to_do(ranks, hfcli, models, count):
    lines = "".join(f"{text}\n" for text in SEVEN[:count])
    flags = ("classify", "-m", models.classifier())
    ran, result = ranks(*flags, stdin=lines, size=3, hook=nothing), hfcli(*flags, stdin=lines)
    assert ran.codes[0] == result.code
    assert (ran.out, ran.other_out) == (result.out, "")
    assert len(ran.out.splitlines()) == count


def test_scores_are_those_of_one_process(ranks, alone, models, tmp_path):
    rows = "".join(json.dumps({"text": text, "label": ("pos", "neg")[n % 2]}) + "\n" for n, text in enumerate(TEXTS))
    (tmp_path / "dev.jsonl").write_text(rows)
    flags = ("eval", "-m", models.classifier(), "--dataset", "dev.jsonl", "--json")
    mine, ours = json.loads(ranks(*flags).out), json.loads(alone(*flags).out)
    for found in (mine, ours):
        del found["models"]  # how fast they were
    assert mine == ours


def test_perplexity_is_that_of_one_process(ranks, alone, models, tmp_path):
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in TEXTS))
    flags = ("eval", "-m", models.gpt2(), "--metric", "perplexity", "--file", "texts.txt", "--json")
    mine, ours = json.loads(ranks(*flags).out), json.loads(alone(*flags).out)
    for found, whole in zip(mine["scores"], ours["scores"], strict=True):
        assert found["score"] == pytest.approx(whole["score"], rel=1e-6)


def test_memory_that_runs_out_changes_no_label(ranks, alone, models):
    lines = "".join(f"{text}\n" for text in TEXTS[:20])
    flags = ("classify", "-m", models.classifier())
    ran, whole = ranks(*flags, stdin=lines, hook=out_of_memory), alone(*flags, stdin=lines)
    assert ran.codes == [0, 0], ran.err
    assert [json.loads(line)["label"] for line in ran.out.splitlines()] == [r["label"] for r in whole.records]
    assert ran.err.count("note: out of memory") == 1


def test_a_bad_record_has_its_error_in_its_place(ranks, hfcli, models):
    lines = '{"text": "a good film"}\nno json\n{"text": "a bad film"}\n'
    flags = ("classify", "-m", models.classifier(), "--input-format", "jsonl")
    ran, result = ranks(*flags, stdin=lines), hfcli(*flags, stdin=lines)
    assert (ran.codes[0], ran.out) == (result.code, result.out)
    assert (result.code, ran.err) == (4, result.err)
    kept = ranks(*flags, "--on-error", "record", stdin=lines)
    assert kept.codes == [3, 0]
    assert "error" in json.loads(kept.out.splitlines()[1])


def test_another_number_of_ranks_goes_on(ranks, alone, models, tmp_path):
    lines = "".join(f"{text}\n" for text in TEXTS)
    flags = ("generate", "-m", models.llama(), "--sample", "--max-new-tokens", "64", "-o", "out.txt", "--json")
    whole = alone(*flags[:-3], "--json", stdin=lines)
    cut = ranks(*flags, stdin=lines, hook=_cut)
    assert cut.codes[0] == 130, cut.err
    done = len((tmp_path / "out.txt.partial").read_text().splitlines())
    assert 0 < done < len(TEXTS)
    assert "hint:  the same line with --resume goes on from there" in cut.err
    again = ranks(*flags, "--resume", stdin=lines, size=3)
    assert again.codes == [0, 0, 0], again.err
    assert (tmp_path / "out.txt").read_text() == whole.out


def _cut(rank):
    """Ctrl-C at the third chunk."""
    from hfcli.runtime.prediction import Generator

    end, count = Generator.end, 0

    def interrupted(self, *arguments):
        nonlocal count
        count += 1
        if count == 3:
            signal.raise_signal(signal.SIGINT)
        return end(self, *arguments)

    small_batches(rank)
    Generator.end = interrupted


# failures


def test_what_one_rank_lacks_is_said_once_and_ends_all(ranks, models):
    ran = ranks("classify", "-m", models.classifier(), stdin="a good film\n" * 9, hook=broken)
    assert ran.codes[0] == 6
    assert ran.err.count("error:") == 1
    assert re.search(r"error: rank 1 on \S+: the model does not fit into memory\nhint:  a smaller model\n", ran.said[0])


def test_a_mistyped_flag_is_said_once(ranks):
    ran = ranks("classify", "--modle", "x", stdin="a\n")
    assert ran.codes == [2, 2]
    assert ran.err.count("error: no option --modle") == 1


FILMS = "".join(json.dumps({"text": text, "label": "pos" if n % 2 else "neg"}) + "\n" for n, text in enumerate(TEXTS))
LEARN = ("--dataset", "-", "--max-steps", "8", "--batch-size", "8", "--save-steps", "1", "-o", "run", "--device", "cpu")


def test_a_rank_that_is_gone_ends_the_others_and_the_run_goes_on_with_one(ranks, hfcli, models, tmp_path):
    flags = ("finetune", models.classifier(), *LEARN)
    began = time.monotonic()
    ran = ranks(*flags, stdin=FILMS, hook=gone)
    assert time.monotonic() - began < 60
    assert ran.codes == [6, -9]
    assert "error: another process of this job is gone" in ran.said[0]
    assert "Traceback" not in ran.err
    assert list((tmp_path / "run").glob("checkpoint-*"))
    again = hfcli(*flags, "--resume", stdin=FILMS)
    assert (again.code, again.out) == (0, "run\n"), again.err
    assert "resume  run · step 2 of 8" in again.err


def test_a_rank_that_hangs_is_seen_in_every_stack(ranks, models):
    ran = ranks("finetune", models.classifier(), *LEARN, "--hang-timeout", "3", stdin=FILMS, hook=stuck)
    assert ran.codes == [6, 6]
    assert "has not moved for 3 s" in ran.said[0]
    assert "all_reduce" in ran.said[0]
    assert "time.sleep(600)" in ran.said[1]
    assert ran.err.count("error: no step has finished for 3 s") == 1


# starting them


def test_it_starts_its_own_ranks(hfcli, models):
    texts = ["a good film, and  two spaces", 'it\'s "awful"; $HOME']
    flags = ("classify", "-m", models.classifier(), "--device", "cpu", *texts)
    two, one = hfcli(*flags, "--num-processes", "2"), hfcli(*flags)
    assert two.code == 0, two.err
    assert two.records == one.records
    assert [record["text"] for record in two.records] == texts


def test_a_killed_rank_ends_the_command_with_a_sentence(models, tmp_path):
    (tmp_path / "films.jsonl").write_text(FILMS)
    line = ["finetune", str(models.classifier()), "--dataset", "films.jsonl", "--max-steps", "100000", "-o", "run"]
    command = [sys.executable, "-m", "hfcli", *line, "--device", "cpu", "--num-processes", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        while not (tmp_path / "run" / "history.jsonl").exists():
            assert parent.poll() is None, parent.stderr.read()
            time.sleep(0.1)
        os.kill(_child(parent.pid, rank=1), signal.SIGKILL)
        began = time.monotonic()
        _, said = parent.communicate(timeout=30)
        assert time.monotonic() - began < 10
    finally:
        parent.kill()
    assert parent.returncode == 6
    assert said.count("error:") == 1
    assert "error: rank 1 of 2 was killed (SIGKILL): the machine's memory may have run out\nhint:" in said
    assert "Traceback" not in said


def _child(parent, rank):
    """The process of a rank, by its environment."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            variables = (path / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(fields[1]) == parent and f"RANK={rank}".encode() in variables:
            return int(path.name)
    raise AssertionError(f"no rank {rank}")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_reach_rank_0_and_what_is_finished_is_kept(models, tmp_path, number, code):
    (tmp_path / "in.txt").write_text("".join(f"{text}\n" for text in TEXTS * 40))
    line = ["generate", "-m", str(models.llama()), "--file", "in.txt", "--max-new-tokens", "200", "-o", "out.txt"]
    (tmp_path / "typer.py").write_text("raise SystemExit(9)")  # nothing is imported from the working folder
    command = [sys.executable, "-P", "-m", "hfcli", *line, "--device", "cpu", "--num-processes", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        sidecar = tmp_path / "out.txt.partial.json"
        while not sidecar.exists() or not json.loads(sidecar.read_text())["records"]:
            assert parent.poll() is None, parent.stderr.read()
            time.sleep(0.1)
        worker = _child(parent.pid, rank=1)
        parent.send_signal(number)
        _, said = parent.communicate(timeout=30)
    finally:
        parent.kill()
    assert parent.returncode == code
    assert "records are kept in out.txt.partial" in said
    assert "error:" not in said
    assert "Traceback" not in said
    assert not Path(f"/proc/{worker}").exists()


def test_a_stream_that_is_silent_is_answered_line_by_line(models, tmp_path):
    command = [sys.executable, "-m", "hfcli", "classify", "-m", str(models.classifier()), "--num-processes", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "--device", "cpu"], cwd=tmp_path, env=environment, **pipe) as running:
        for text in ("a good film", "an awful film"):
            running.stdin.write(f"{text}\n")
            running.stdin.flush()
            assert json.loads(running.stdout.readline())["text"] == text
        running.stdin.close()
        assert running.wait(30) == 0


def ended(*lines, received=()):
    """How ranks end that are these lines of bash."""
    children = [subprocess.Popen(["bash", "-c", line], start_new_session=True) for line in lines]
    return launch._wait(children, list(received))


def test_the_rank_that_failed_first_decides_unless_rank_0_has_done_everything():
    assert ended("exit 0", "exit 0") == (0, 0)
    assert ended("sleep 9; exit 75", "exit 5") == (1, 5)
    assert ended("sleep 0.5; exit 75", "kill -9 $$") == (1, -9)
    assert ended("exit 0", "sleep 0.5; exit 75") == (0, 0)
    assert ended("exit 0", "sleep 30") == (0, 0)
    assert ended("exit 4", "sleep 30") == (0, 4)
    assert ended("exit 143", "kill -15 $$", received=[15]) == (0, 143)


def test_a_message_of_somebody_else_is_not_read(monkeypatch):
    from hfcli.runtime import ranks

    monkeypatch.setenv(launch.KEY, "secret")
    message = ranks.pack({"a": 1})
    assert ranks.unpack(message) == {"a": 1}
    monkeypatch.setenv(launch.KEY, "another")
    with pytest.raises(HfcliError, match="no rank has sent"):
        ranks.unpack(message)


def test_one_prompt_is_done_by_one_rank(ranks, models):
    ran = ranks("generate", "-m", models.llama(), "the fox", "--max-new-tokens", "4")
    assert ran.codes == [0, 0]
    assert ran.out
    assert ran.other_out == ran.said[1] == ""
    assert ranks("history").other_out == ""


def test_a_configured_number_is_not_meant_for_one_text(hfcli, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hfcli.toml").write_text('num-processes = "2"\n')
    assert hfcli("generate", "-m", models.llama(), "--slurp", "--max-new-tokens", "4", stdin="the fox").code == 0
    assert hfcli("classify", "-m", models.classifier(), "a good film").code == 0
    assert not launch.handed_on
    assert hfcli("doctor", "--offline").code == 0


def test_another_launchers_ranks_are_not_multiplied(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert launch.count("2", 0) == 2
    assert launch.count(None, 0) == 1
    with pytest.raises(HfcliError, match="these are 4 processes already"):
        launch.count("3", 0)


def test_one_prompt_is_not_shared(hfcli):
    result = hfcli("generate", "-m", "builtin/story", "Once upon a time", "--num-processes", "2")
    assert result.code == 2
    assert "--num-processes shares many records, and this is one prompt" in result.err


@pytest.mark.parametrize("text", ["0", "-1", "two", ""])
def test_a_number_of_processes_is_a_number(hfcli, text):
    result = hfcli("classify", "--num-processes", text, "x")
    assert (result.code, result.out) == (2, "")
    assert "--num-processes" in result.err


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("gpu07", "gpu07"), ("gpu[07-09,12],cpu1", "gpu07"), ("a1,a2", "a1"), ("n-[3,5]", "n-3"), ("n[1-2]", "n1")],
)
def test_slurms_list_of_nodes_begins_with_the_first(nodes, first):
    assert launch.first_host(nodes) == first


def test_a_task_of_srun_is_a_rank(monkeypatch):
    monkeypatch.setattr(os, "environ", {**os.environ})
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(name, None)
    step = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "77"}
    os.environ |= {**step, "SLURM_STEP_NODELIST": "gpu[07-08]", "SLURM_STEP_TASKS_PER_NODE": "2(x2)"}
    launch._adopt_slurm()
    assert launch.world() == launch.World(3, 4, 1, 2)
    assert os.environ["MASTER_ADDR"] == "gpu07"


def test_a_batch_script_without_srun_is_one_process(monkeypatch):
    monkeypatch.setattr(os, "environ", {**os.environ, "SLURM_NTASKS": "4", "SLURM_PROCID": "0"})
    os.environ.pop("RANK", None)
    launch._adopt_slurm()
    assert launch.world().size == 1


# shares of the input


@pytest.mark.parametrize("parts", [1, 3, 70])
def test_shards_are_all_of_the_input_and_nothing_twice(hfcli, models, tmp_path, monkeypatch, parts):
    monkeypatch.chdir(tmp_path)
    count = min(len(TEXTS), 7)
    (tmp_path / "in.txt").write_text("".join(f"{text}\n" for text in TEXTS[:count]))
    found = {}
    for part in range(1, min(parts, 9) + 1):
        result = hfcli("classify", "-m", models.classifier(), "--file", "in.txt", "--shard", f"{part}/{parts}")
        assert result.code == 0, result.err
        for place, record in enumerate(result.records):
            found[part - 1 + place * parts] = record["text"]
    assert [found[place] for place in sorted(found)] == TEXTS[:count]


def test_the_same_prompt_in_two_shards_gives_two_samples(hfcli, models):
    flags = ("generate", "-m", models.llama(), "--sample", "--max-new-tokens", "8")
    texts = [hfcli(*flags, "--shard", f"{part}/2", stdin="the fox\n" * 4).lines for part in (1, 2)]
    assert [len(lines) for lines in texts] == [2, 2]
    assert len({*texts[0], *texts[1]}) == 4


def test_a_shard_is_not_gone_on_with_as_another(hfcli, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text('{"text": "a good film"}\n' * 3 + "no json\n" * 2)
    flags = ("classify", "-m", models.classifier(), "--file", "in.jsonl", "-o", "out.jsonl")
    assert hfcli(*flags, "--shard", "1/2").code == 4
    again = hfcli(*flags, "--shard", "2/2", "--resume")
    assert again.code in (2, 4)


@pytest.mark.parametrize("share", ["0/4", "5/4", "1", "a/b", "1/0", "1/2/3"])
def test_a_share_that_is_none(hfcli, share):
    result = hfcli("classify", "--shard", share, stdin="a\n")
    assert (result.code, result.out) == (2, "")
    assert "--shard" in result.err


# doctor


def test_doctor_tries_the_connection(ranks):
    ran = ranks("doctor", "--distributed", "--device", "cpu", "--json")
    assert ran.codes == [0, 0], ran.err
    report = json.loads(ran.out)
    assert report["ok"] is True
    assert [finding["topic"] for finding in report["findings"]] == ["ranks", "rank 0", "rank 1", "all-reduce"]
    assert ran.other_out == ""


def test_doctor_alone_has_nobody_to_see(hfcli):
    assert hfcli("doctor", "--num-processes", "2").code == 2
    assert hfcli("doctor", "--distributed", "--num-processes", "1").code == 2
