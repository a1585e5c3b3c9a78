"""Checkpoints: what a kill, a full disk or a flipped bit leaves behind, and what a resumed run makes of it."""

import errno
import fcntl
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from hfcli.errors import DataError, UsageError
from hfcli.runtime import manifest
from hfcli.runtime.checkpoints import (
    Checkpoint,
    append_history,
    clean,
    lock,
    newest,
    prune,
    save,
    tensors,
    truncate_history,
)

RUN = Path("runs/x")
HISTORY = Path("history.jsonl")


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    RUN.mkdir(parents=True)


def put(step: int, value: int | None = None) -> Checkpoint:
    """Save a checkpoint in which everything is one number."""
    value = step if value is None else value
    filled = torch.full((3, 2), float(value))
    return save(RUN, step, {"model": {"weight": filled}, "optimizer": {"weight.exp_avg": filled}}, {"value": value})


def value_of(checkpoint: Checkpoint | None) -> int:
    """That number; everything in it must be the same one."""
    assert checkpoint is not None
    value: int = checkpoint.state["value"]
    filled = torch.full((3, 2), float(value))
    assert torch.equal(tensors(checkpoint, "model")["weight"], filled)
    assert torch.equal(tensors(checkpoint, "optimizer")["weight.exp_avg"], filled)
    return value


def listing() -> list[str]:
    return sorted(os.listdir(RUN))


# Saving


def test_everything_comes_back_and_nothing_is_pickled() -> None:
    weight = torch.randn(4, 6)
    saved = {
        "weight": torch.nn.Parameter(weight),
        "tied": weight,
        "transposed": weight.T,
        "part": weight[1:3],
        "half": torch.randn(5).to(torch.bfloat16),
        "steps": torch.tensor(7.0),
        "mask": torch.tensor([True, False]),
        "none": torch.empty(0, 3),
        "none either": torch.empty(0),
    }
    state = {"loss": 0.1 + 0.2, "best": float("-inf"), "text": "naïve\n", "list": [1, [2.5, None]]}
    checkpoint = save(RUN, 12, {"model": saved, "optimizer": {}}, state)
    assert sorted(os.listdir(RUN / "checkpoint-12")) == [
        "manifest.json", "model.safetensors", "optimizer.safetensors", "state.json",
    ]  # fmt: skip
    assert listing() == ["checkpoint-12"]
    assert checkpoint == newest(RUN)[0] == Checkpoint(RUN / "checkpoint-12", 12, state)
    back = tensors(checkpoint, "model")
    assert back.keys() == saved.keys()
    for name, tensor in saved.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)
    assert tensors(checkpoint, "optimizer") == {}


def test_manifest_is_what_sha256sum_says() -> None:
    folder = put(3).folder
    said = json.loads((folder / "manifest.json").read_text())
    assert said["step"] == 3
    assert said["files"] == {
        path.name: {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in folder.iterdir()
        if path.name != "manifest.json"
    }


def test_order_in_which_things_reach_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync, rename = os.fsync, os.rename

    def noted(fd: int) -> None:
        fsync(fd)
        synced.append(os.fstat(fd).st_ino)

    def renamed(*paths: Any) -> None:
        rename(*paths)
        synced.append(0)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "rename", renamed)
    folder = put(1).folder
    files = {path.name: path.stat().st_ino for path in folder.iterdir()}
    last = [files.pop("manifest.json"), folder.stat().st_ino, 0, RUN.stat().st_ino]
    assert sorted(synced[:3]) == sorted(files.values())
    assert synced[3:] == last
    synced.clear()
    put(1)
    assert synced[5:] == [RUN.stat().st_ino, 0, 0, RUN.stat().st_ino]


def test_group_reads_the_tensors_where_it_reads_the_rest() -> None:
    before = os.umask(0o027)
    try:
        folder = put(1).folder
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o640}


def test_saving_the_same_step_again_replaces_it() -> None:
    put(1)
    put(2, value=20)
    put(2, value=21)
    assert listing() == ["checkpoint-1", "checkpoint-2"]
    assert value_of(newest(RUN)[0]) == 21


def test_most_steps_is_newest_not_the_last_name_in_the_alphabet() -> None:
    for step in (900, 1000):
        put(step)
    os.mkdir(RUN / "checkpoint-best")
    (RUN / "checkpoint-2000").touch()
    found, passed_over = newest(RUN)
    assert (value_of(found), passed_over) == (1000, [])


def test_no_run_no_checkpoint() -> None:
    assert newest(RUN) == newest(Path("nowhere")) == (None, [])
    clean(Path("nowhere"))
    prune(Path("nowhere"), 1, ())


def test_prune_keeps_the_newest_and_the_protected() -> None:
    for step in (2, 9, 10, 11, 100):
        put(step)
    prune(RUN, 2, {9, 77})
    assert listing() == ["checkpoint-100", "checkpoint-11", "checkpoint-9"]
    prune(RUN, 1, {100})
    assert listing() == ["checkpoint-100"]
    prune(RUN, 0, ())
    assert listing() == []


# What is not whole


def test_one_step_alone_is_looked_at_when_asked() -> None:
    for step in (1, 2, 3):
        put(step)
    (RUN / "checkpoint-2/model.safetensors").unlink()
    assert value_of(newest(RUN, 1)[0]) == 1
    assert newest(RUN, 2) == (None, ["checkpoint-2 is damaged (model.safetensors is missing) and was not used"])
    assert newest(RUN, 4) == (None, [])


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    put(1)
    folder = put(2).folder
    noticed = 0
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for place in range(len(whole)):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << place % 8
            for content in (bytes(flipped), whole[:place])[: 2 if place % 16 == 0 else 1]:
                path.write_bytes(content)
                found, passed_over = newest(RUN)
                value_of(found)
                if path.name != "manifest.json":
                    what = f"{path.name} has other content than its manifest says"
                    assert passed_over == [f"checkpoint-2 is damaged ({what}) and was not used"]
                noticed += found is not None and found.step == 1
        path.write_bytes(whole)
    assert noticed > 500
    assert newest(RUN)[1] == []


def test_incomplete_and_damaged_ones_are_passed_over_each_with_a_sentence() -> None:
    for step in (1, 2, 3, 4):
        put(step)
    (RUN / "checkpoint-2/manifest.json").unlink()
    (RUN / "checkpoint-3/optimizer.safetensors").unlink()
    (RUN / "checkpoint-4/manifest.json").write_text("{")
    found, passed_over = newest(RUN)
    assert value_of(found) == 1
    assert passed_over == [
        "checkpoint-4 is damaged (its manifest cannot be read) and was not used",
        "checkpoint-3 is damaged (optimizer.safetensors is missing) and was not used",
        "checkpoint-2 is incomplete (killed while saving) and was not used",
    ]
    assert newest(RUN, 3) == (None, passed_over[1:2])


def test_checkpoint_under_another_name_is_not_trusted() -> None:
    put(1)
    (RUN / "checkpoint-1").rename(RUN / "checkpoint-9")
    said = "checkpoint-9 is damaged (its manifest is of another step) and was not used"
    assert newest(RUN) == (None, [said])


@pytest.mark.parametrize("name", ["../x", "/etc/hostname", "a/b", "..", "", ".x", "x\n", "x\0"])
def test_manifest_cannot_lead_elsewhere(name: str) -> None:
    folder = put(1).folder
    (RUN / "x").write_bytes(b"x")
    said = json.loads((folder / "manifest.json").read_text())
    said["files"][name] = {"bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(said))
    assert newest(RUN) == (None, [f"checkpoint-1 is damaged (its manifest names {json.dumps(name)}) and was not used"])


@pytest.mark.parametrize(
    "content",
    ["", "[]", "null", "{}", '{"step": 1, "files": []}', '{"step": 1, "files": {"state.json": 1}}', "[" * 9999],
)
def test_manifest_of_another_kind(content: str) -> None:
    (put(1).folder / "manifest.json").write_text(content)
    assert newest(RUN) == (None, ["checkpoint-1 is damaged (its manifest cannot be read) and was not used"])


def test_manifest_without_the_state() -> None:
    (put(1).folder / "manifest.json").write_text('{"step": 1, "files": {}}')
    said = "checkpoint-1 is damaged (its manifest does not name state.json) and was not used"
    assert newest(RUN) == (None, [said])


def test_next_save_ends_the_course_of_damaged_later_ones() -> None:
    for step in (1, 2, 3):
        put(step)
    for step in (2, 3):
        (RUN / f"checkpoint-{step}/state.json").write_text("{}")
    assert value_of(newest(RUN)[0]) == 1
    put(2, value=20)
    prune(RUN, 1, ())
    assert listing() == ["checkpoint-2"]
    assert value_of(newest(RUN)[0]) == 20


# Kills, interrupts, refusals of the system


class Killed(BaseException):
    """Stands for kill -9: nothing of ours runs after it."""


def run_until(calls: int, kind: type[BaseException], job: Callable[[], Any]) -> bool:
    """Do the job, with an exception at the given system call (half way through, if it writes).

    After Killed, every further call raises it too. Returns whether the job made that many calls.
    """
    made = 0

    def counted(real: Callable[..., Any], torn: Callable[..., Any] | None = None) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal made
            made += 1
            if made == calls and torn:
                torn(*arguments, **named)
            if made == calls or (made > calls and kind is Killed):
                raise kind(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **named)

        return call

    def half_a_text(path: Path, text: str) -> None:
        path.write_bytes(text.encode()[: len(text) // 2])

    def half_a_file(_: Any, path: Path, **__: Any) -> None:
        path.write_bytes(b"\x08\0\0\0")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("mkdir", "open", "fsync", "rename", "unlink", "rmdir"):
            patch.setattr(os, name, counted(getattr(os, name)))
        patch.setattr(Path, "write_text", counted(Path.write_text, half_a_text))
        patch.setattr(safetensors.torch, "save_file", counted(safetensors.torch.save_file, half_a_file))
        with suppress(kind, DataError):
            job()
    return made >= calls


@pytest.mark.parametrize("kind", [Killed, KeyboardInterrupt, OSError])
@pytest.mark.parametrize(
    ("job", "after"),
    [
        (lambda: put(3), {2, 3}),
        (lambda: put(2, value=20), {2, 20}),
        (lambda: prune(RUN, 1, ()), {2}),
        (lambda: newest(RUN), {2}),
        (lambda: clean(RUN), {2}),
    ],
    ids=["save", "replace", "prune", "newest", "clean"],
)
def test_stopped_at_every_system_call(kind: type[BaseException], job: Callable[[], Any], after: set[int]) -> None:
    put(1)
    put(2)
    shutil.copytree(RUN / "checkpoint-1", RUN / ".checkpoint-5.gone-1")
    (RUN / ".checkpoint-6.tmp-1").mkdir()
    shutil.copytree(RUN, "before")
    calls, seen = 1, set()
    while run_until(calls, kind, job):
        found, passed_over = newest(RUN)
        seen.add(value_of(found))
        assert all(
            sentence.endswith("is incomplete (killed while saving) and was not used") for sentence in passed_over
        )
        clean(RUN)
        assert newest(RUN) == (found, [])
        assert set(listing()) <= {"checkpoint-1", "checkpoint-2", "checkpoint-3"}
        assert all(newest(RUN, int(name[-1]))[0] for name in listing())
        prune(RUN, 1, ())
        assert newest(RUN) == (found, [])
        shutil.rmtree(RUN)
        shutil.copytree("before", RUN)
        calls += 1
    assert seen == after


KILLED_TWELVE_TIMES = """
import json, os, random, signal, time
from pathlib import Path
import torch
from hfcli.runtime.checkpoints import clean, lock, newest, prune, save, tensors

run = Path("runs/x")
for attempt in range(12):
    child = os.fork()
    if not child:
        with lock(run):
            found, _ = newest(run)
            clean(run)
            step = found.step if found else 0
            while True:
                step += 1
                filled = torch.full((10_000,), float(step))
                for _ in range(2):
                    save(run, step, {"model": {"a": filled, "b": filled}, "optimizer": {"c": filled}}, {"step": step})
                prune(run, 2, ())
    time.sleep(random.Random(attempt).uniform(0.02, 0.2))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found, passed_over = newest(run)
    values = {0.0}
    if found:
        filled = [*tensors(found, "model").values(), *tensors(found, "optimizer").values()]
        values = {found.state["step"], *torch.cat(filled).tolist()}
    print(json.dumps([found.step if found else 0, sorted(values), passed_over]))
"""


def test_kill_9_at_random_moments_never_leaves_half_a_checkpoint() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(manifest.__file__).parents[2])}
    command = [sys.executable, "-c", KILLED_TWELVE_TIMES]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert (result.returncode, result.stderr) == (0, "")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    steps = [step for step, _, _ in lines]
    assert len(steps) == 12
    assert steps == sorted(steps)
    assert steps[-1] > 3
    for step, values, passed_over in lines:
        assert values == [step]
        assert set(passed_over) <= {f"checkpoint-{step + 1} is incomplete (killed while saving) and was not used"}
    clean(RUN)
    assert all(name.startswith("checkpoint-") or name == ".lock" for name in listing())


def test_killed_while_saving_is_said_once_and_cleaned() -> None:
    put(1408)
    left = RUN / ".checkpoint-1790.tmp-4711"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    (RUN / ".checkpoint-1000.tmp-4711").mkdir()
    found, passed_over = newest(RUN)
    assert value_of(found) == 1408
    assert passed_over == ["checkpoint-1790 is incomplete (killed while saving) and was not used"]
    clean(RUN)
    assert newest(RUN) == (found, [])
    assert listing() == ["checkpoint-1408"]


@pytest.mark.parametrize("clean_first", [False, True])
def test_killed_between_the_two_renames_of_a_replacement(clean_first: bool) -> None:
    put(1)
    put(2, value=20)
    (RUN / "checkpoint-2").rename(RUN / ".checkpoint-2.gone-4711")
    put(2, value=21)
    (RUN / "checkpoint-2").rename(RUN / ".checkpoint-2.tmp-4711")
    if clean_first:
        clean(RUN)
    found, passed_over = newest(RUN)
    assert (value_of(found), passed_over) == (21, [])
    clean(RUN)
    assert listing() == ["checkpoint-1", "checkpoint-2"]


def test_removed_checkpoint_does_not_come_back() -> None:
    put(1)
    put(2).folder.rename(RUN / ".checkpoint-2.gone-4711")  # killed while removing it
    found, passed_over = newest(RUN)
    assert (value_of(found), passed_over) == (1, [])
    clean(RUN)
    assert listing() == ["checkpoint-1"]


def test_what_another_process_is_writing_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    write = manifest.write

    def looked_at_meanwhile(*arguments: Any) -> None:
        # A lock belongs to an open file: in this process as in another, a second one is refused.
        assert newest(RUN) == (None, [])
        clean(RUN)
        write(*arguments)
        clean(RUN)
        assert newest(RUN) == (None, [])

    monkeypatch.setattr(manifest, "write", looked_at_meanwhile)
    put(1)
    assert listing() == ["checkpoint-1"]


@pytest.mark.parametrize("call", ["mkdir", "fsync", "rename"])
def test_full_disk_keeps_what_is_saved(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(
            DataError, match=r"^cannot save runs/x/checkpoint-500 \(no space left on device\)$"
        ) as caught:
            put(500)
        assert caught.value.hint == "nothing is saved yet; -o DIR can be on another disk"
    assert listing() == []
    put(400)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(
            DataError, match=r"^cannot save runs/x/checkpoint-500 \(no space left on device\)$"
        ) as caught:
            put(500)
        assert caught.value.hint == "runs/x/checkpoint-400 is kept: the same line with --resume goes on from there"
        with pytest.raises(DataError, match=r"^cannot save runs/x/checkpoint-400 \(no space left on device\)$"):
            put(400, value=401)
    assert listing() == ["checkpoint-400"]
    assert value_of(newest(RUN)[0]) == 400
    assert value_of(put(500)) == 500


def test_tensors_that_do_not_fit() -> None:
    put(1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(DataError, match=r"^cannot save runs/x/checkpoint-2 \(file too large\)$"):
            save(RUN, 2, {"model": {"weight": torch.zeros(100_000)}}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert listing() == ["checkpoint-1"]


def test_run_that_is_gone() -> None:
    with pytest.raises(DataError, match=r"^cannot save gone/checkpoint-1 \(no such file or directory\)$"):
        save(Path("gone"), 1, {}, {})


# One process a run


def test_second_run_in_the_same_folder_is_refused() -> None:
    with lock(RUN):
        with pytest.raises(UsageError, match=r"^runs/x is being written by another run$") as caught, lock(RUN):
            pass
        assert caught.value.hint == "wait for it, or give another -o DIR"
        with lock(Path("runs/y")):
            pass
    with lock(RUN):
        pass
    assert listing() == os.listdir("runs/y") == []


def test_lock_dies_with_its_process() -> None:
    code = "import fcntl; file = open('runs/x/.lock', 'w'); fcntl.flock(file, fcntl.LOCK_EX); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(UsageError, match=r"^runs/x is being written by another run$"), lock(RUN):
            pass
        holder.kill()
        holder.wait()
    with lock(RUN):
        put(1)
    assert listing() == ["checkpoint-1"]


def test_lock_that_its_holder_just_removed_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    flock, calls = fcntl.flock, []

    def removed_meanwhile(*arguments: Any) -> None:
        if not calls:
            (RUN / ".lock").unlink()
        calls.append(arguments)
        flock(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", removed_meanwhile)
        with lock(RUN), pytest.raises(UsageError), lock(RUN):
            pass
    assert len(calls) == 3


def test_folder_that_cannot_be_made() -> None:
    Path("file").touch()
    with pytest.raises(DataError, match=r"^cannot write file \(file exists\)$"), lock(Path("file")):
        pass


# The history


def test_history_is_cut_at_the_step_that_a_run_resumes_from() -> None:
    for step in (1, 1, 2, 10, 12):
        append_history(HISTORY, {"step": step, "loss": step / 3})
    with open(HISTORY, "a") as file:
        file.write('{"step": 1')  # killed there
    kept = [{"step": step, "loss": step / 3} for step in (1, 1, 2, 10)]
    assert truncate_history(HISTORY, 10) == kept
    assert [json.loads(line) for line in HISTORY.read_text().splitlines()] == kept
    append_history(HISTORY, {"step": 11})
    assert truncate_history(HISTORY, 11) == [*kept, {"step": 11}]
    assert sorted(os.listdir()) == ["history.jsonl", "runs"]


def test_lines_that_are_no_entries_are_dropped() -> None:
    HISTORY.write_bytes(b'\n{"step": 1}\n[]\n{"loss": 1}\n{"step": "2"}\n\xff\n' + b"[" * 9999 + b'\n{"step": 2}')
    assert truncate_history(HISTORY, 2) == [{"step": 1}, {"step": 2}]
    assert HISTORY.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_no_history_yet() -> None:
    assert truncate_history(HISTORY, 5) == []
    assert not HISTORY.exists()


def test_history_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"^cannot write runs \(is a directory\)$"):
        append_history(Path("runs"), {"step": 1})
    with pytest.raises(DataError, match=r"^cannot write runs \(is a directory\)$"):
        truncate_history(Path("runs"), 1)
    append_history(HISTORY, {"step": 1})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"^cannot write history\.jsonl \(no space left on device\)$"):
        truncate_history(HISTORY, 0)
    assert sorted(os.listdir()) == ["history.jsonl", "runs"]
    assert HISTORY.read_text() == '{"step": 1}\n'
