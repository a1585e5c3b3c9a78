"""Crash-safe output: what a kill at any moment leaves behind, and what resume makes of it."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfcli import writing
from hfcli.errors import DataError, UsageError
from hfcli.writing import InputDigest, Output

INPUT = [{"text": f"record {number}"} for number in range(7)]
# The tests run in folders of their own, where Python would not find the checkout.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(writing.__file__).parents[1])}
CHUNKS = [INPUT[:1], INPUT[1:3], INPUT[3:6], INPUT[6:]]
WHOLE = b"".join(json.dumps(record).encode() + b"\n" for record in INPUT)
SETTINGS = {"model": "m", "max_length": 256}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def output(path: str = "out.jsonl", *, resume: bool = False, overwrite: bool = False, **changed: Any) -> Output:
    return Output(path, settings={**SETTINGS, **changed}, resume=resume, overwrite=overwrite)


def job(out: Output, chunks: int = len(CHUNKS)) -> None:
    """Write what is missing of the first chunks, the way a command does."""
    digest, seen = InputDigest(), 0
    for chunk in CHUNKS[:chunks]:
        for record in chunk:
            digest.update(record)
        seen += len(chunk)
        if seen < out.done:
            continue
        if seen == out.done:
            out.check_input(digest.hexdigest())
            continue
        out.write([json.dumps(record).encode() for record in chunk], digest.hexdigest(), len(chunk))
    if chunks == len(CHUNKS):
        out.finish()


def interrupted(chunks: int = 2, **changed: Any) -> None:
    with output(**changed) as out:
        job(out, chunks)


def listing() -> list[str]:
    return sorted(os.listdir())


def test_file_is_complete_or_not_there() -> None:
    with output() as out:
        job(out, 3)
        assert listing() == ["out.jsonl.partial", "out.jsonl.partial.json"]
        assert Path("out.jsonl.partial").read_bytes() == WHOLE[: WHOLE.index(b'{"text": "record 6')]
    with output(resume=True) as out:
        assert (out.done, out.complete) == (6, False)
        job(out)
        assert out.complete
    assert listing() == ["out.jsonl"]
    assert Path("out.jsonl").read_bytes() == WHOLE


def test_existing_file_stays_until_the_end() -> None:
    Path("out.jsonl").write_text("old")
    with output() as out:
        job(out, 3)
        assert Path("out.jsonl").read_text() == "old"
        job(out)
    assert Path("out.jsonl").read_bytes() == WHOLE


def test_exception_leaves_everything_for_resume() -> None:
    def fail() -> None:
        with output() as out:
            job(out, 2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with output(resume=True) as out:
        assert out.done == 3


def test_unfinished_run_is_neither_continued_nor_lost_unasked() -> None:
    interrupted()
    before = Path("out.jsonl.partial").read_bytes()
    with pytest.raises(UsageError) as caught:
        output()
    assert str(caught.value) == "out.jsonl.partial holds an unfinished run (3 records)"
    assert caught.value.hint == "add --resume to finish it, or --overwrite to start again"
    assert Path("out.jsonl.partial").read_bytes() == before
    with output(overwrite=True) as out:
        assert out.done == 0
        job(out)
    assert Path("out.jsonl").read_bytes() == WHOLE


def test_run_that_wrote_nothing_leaves_nothing() -> None:
    with pytest.raises(RuntimeError), output():
        raise RuntimeError
    assert listing() == []


def test_resume_with_nothing_there_starts() -> None:
    with output(resume=True) as out:
        assert (out.done, out.digest, out.complete) == (0, InputDigest().hexdigest(), False)
        job(out)
    assert Path("out.jsonl").read_bytes() == WHOLE


def test_resume_of_a_finished_run_is_complete() -> None:
    with output() as out:
        job(out)
    with output(resume=True) as out:
        assert out.complete
        out.finish()
        with pytest.raises(ValueError, match="closed"):
            out.write([b"x"], "", 1)
    assert listing() == ["out.jsonl"]
    assert Path("out.jsonl").read_bytes() == WHOLE


def test_resume_and_overwrite_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="--overwrite starts again"):
        output(resume=True, overwrite=True)


@pytest.mark.parametrize("torn", [b'{"text": "reco', b"whole line\nand half", b"\n"])
def test_what_came_after_the_last_chunk_is_dropped(torn: bytes) -> None:
    interrupted()
    with open("out.jsonl.partial", "ab") as file:
        file.write(torn)
    with output(resume=True) as out:
        job(out)
    assert Path("out.jsonl").read_bytes() == WHOLE


def change_sidecar(**fields: Any) -> None:
    path = Path("out.jsonl.partial.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


DAMAGE: dict[str, Callable[[], object]] = {
    "sidecar gone": lambda: os.unlink("out.jsonl.partial.json"),
    "sidecar empty": lambda: Path("out.jsonl.partial.json").write_text(""),
    "sidecar cut": lambda: os.truncate("out.jsonl.partial.json", 20),
    "sidecar is an array": lambda: Path("out.jsonl.partial.json").write_text("[1, 2]"),
    "sidecar lacks a field": lambda: Path("out.jsonl.partial.json").write_text('{"records": 1}'),
    "sidecar is not text": lambda: Path("out.jsonl.partial.json").write_bytes(b"\xff\xfe"),
    "sidecar is nested": lambda: Path("out.jsonl.partial.json").write_text("[" * 200_000),
    "negative count": lambda: change_sidecar(bytes=-1),
    "count is no number": lambda: change_sidecar(records="3"),
    "count is true": lambda: change_sidecar(records=True),
    "settings are no object": lambda: change_sidecar(settings=[]),
    "partial shorter": lambda: os.truncate("out.jsonl.partial", 30),
    "partial one byte shorter": lambda: os.truncate("out.jsonl.partial", os.path.getsize("out.jsonl.partial") - 1),
    "count inside a line": lambda: change_sidecar(bytes=10),
    "count far beyond": lambda: change_sidecar(bytes=1 << 70),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("resume", [False, True])
def test_damaged_leftovers_are_not_trusted(damage: str, resume: bool) -> None:
    interrupted()
    DAMAGE[damage]()
    before = Path("out.jsonl.partial").read_bytes()
    with pytest.raises(DataError, match=r"^out\.jsonl\.partial cannot be resumed: ") as caught:
        output(resume=resume)
    assert str(caught.value.hint).startswith("--overwrite starts again")
    assert Path("out.jsonl.partial").read_bytes() == before
    with output(overwrite=True) as out:
        job(out)
    assert Path("out.jsonl").read_bytes() == WHOLE
    assert listing() == ["out.jsonl"]


def test_sidecar_of_a_partial_file_that_is_gone_means_nothing() -> None:
    interrupted()
    os.unlink("out.jsonl.partial")
    change_sidecar(bytes=0)
    with output() as out:
        assert out.done == 0
        job(out)
    assert Path("out.jsonl").read_bytes() == WHOLE


def test_other_settings_are_named() -> None:
    interrupted()
    with pytest.raises(UsageError) as caught:
        output(resume=True, max_length=512, window=[1, None])
    assert str(caught.value) == (
        "out.jsonl.partial was written with other settings: max_length (256, now 512), window (null, now [1, null])"
    )
    assert caught.value.hint == "use the same settings, or --overwrite starts again"
    with output(resume=True) as out:
        assert out.done == 3


def test_settings_are_compared_as_json() -> None:
    interrupted(path_like=Path("x"), pair=(1, 2))
    with output(resume=True, pair=[1, 2], path_like="x") as out:
        assert out.done == 3


def test_other_input_is_noticed() -> None:
    interrupted()
    digest = InputDigest()
    for record in [{"text": "another"}, *INPUT[1:3]]:
        digest.update(record)
    with output(resume=True) as out, pytest.raises(UsageError) as caught:
        out.check_input(digest.hexdigest())
    assert str(caught.value) == "out.jsonl.partial was made from other input: the first 3 records are not the same"
    assert caught.value.hint == "--overwrite starts again"


def test_digest_depends_on_every_record_and_their_bounds_not_on_key_order() -> None:
    def digest(*given_records: Any) -> str:
        running = InputDigest()
        for record in given_records:
            running.update(record)
        return running.hexdigest()

    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    different = [
        digest(),
        digest({}),
        digest({}, {}),
        digest(None),
        digest({"a": "1"}),
        digest({"a": 1}),
        digest({"a": "\ud800"}),
    ]
    assert len(set(different)) == len(different)


def test_second_run_on_the_same_file_is_refused() -> None:
    with output() as out:
        job(out, 1)
        for flags in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(UsageError, match="is being written by another run"):
                output(**flags)
        job(out)
    assert Path("out.jsonl").read_bytes() == WHOLE


# Places that cannot be written, or not that way


def test_missing_folder_and_folder_are_told_at_once() -> None:
    with pytest.raises(DataError) as caught:
        output("no/such/out.jsonl")
    assert (str(caught.value), caught.value.hint) == (
        "cannot write no/such/out.jsonl (no such folder)",
        "mkdir -p no/such",
    )
    with pytest.raises(DataError, match=r"^cannot write \. \(it is a folder\)$"):
        output(".")
    assert listing() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission() -> None:
    os.mkdir("locked", 0o500)
    with pytest.raises(DataError, match=r"^cannot write locked/x \(permission denied\)$"):
        output("locked/x")


def test_refusal_of_the_system_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DataError, match=r"^cannot write out\.jsonl \(permission denied\)$"):
        output()


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_full_disk_keeps_what_is_written(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with output() as out:
        job(out, 2)
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            with pytest.raises(DataError) as caught:
                job(out)
    assert str(caught.value) == "cannot write out.jsonl (no space left on device)"
    assert caught.value.hint == "what is written so far is kept; add --resume to finish out.jsonl"
    assert listing() == ["out.jsonl.partial", "out.jsonl.partial.json"]
    with output(resume=True) as out:
        assert out.done == 3
        job(out)
    assert Path("out.jsonl").read_bytes() == WHOLE


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_full_device() -> None:
    with (
        output("/dev/full") as out,
        pytest.raises(DataError, match=r"^cannot write /dev/full \(no space left on device\)$"),
    ):
        job(out)


def test_devices_and_pipes_are_written_directly() -> None:
    with output("/dev/null") as out:
        job(out)
        assert (out.done, out.digest != "") == (7, True)
    os.mkfifo("pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(Path("pipe").read_bytes()))
    reader.start()
    with output("pipe") as out:
        job(out)
    reader.join()
    assert got == [WHOLE]
    with pytest.raises(UsageError, match=r"^/dev/null is not a regular file"):
        output("/dev/null", resume=True)
    assert listing() == ["pipe"]


@pytest.mark.parametrize("pipe", [False, True])
def test_dev_stdout(pipe: bool) -> None:
    code = (
        "from hfcli.writing import Output\n"
        "with Output('/dev/stdout', settings={}, resume=False, overwrite=False) as out:\n"
        "    out.write([b'x', b'y'], '', 2); out.finish()"
    )
    with open("seen", "wb") as file:
        out = subprocess.PIPE if pipe else file
        result = subprocess.run([sys.executable, "-c", code], stdout=out, check=True, env=ENVIRONMENT)
    assert (result.stdout if pipe else Path("seen").read_bytes()) == b"x\ny\n"


def test_link_stays_a_link() -> None:
    os.mkdir("real")
    os.symlink("real/file", "link")
    with output("link") as out:
        job(out)
    assert os.path.islink("link")
    assert Path("real/file").read_bytes() == WHOLE


# Kills


class Killed(BaseException):
    """Stands for kill -9: nothing of ours runs after it but what the test does."""


def run_until(calls: int, *, torn: bool, **flags: bool) -> int | None:
    """Run the job, die at the given system call (half way through, if it writes); the calls made, or None if it died."""
    made = 0

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal made
            made += 1
            if made == calls:
                if torn and name == "write":
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                elif torn:
                    real(*arguments)
                raise Killed
            if made > calls:  # a handler that runs after the kill would not exist in a killed process
                raise Killed
            return real(*arguments)

        return call

    def remembered(*arguments: Any) -> int:
        fd = real_open(*arguments)
        opened.add(fd)
        return fd

    def forgotten(fd: int) -> None:
        opened.discard(fd)
        real_close(fd)

    real_open, real_close = os.open, os.close
    opened: set[int] = set()

    with pytest.MonkeyPatch.context() as patch:
        for name in ("write", "fsync", "replace", "unlink", "ftruncate"):
            patch.setattr(writing.os, name, counted(name, getattr(os, name)))
        patch.setattr(writing.os, "open", remembered)
        patch.setattr(writing.os, "close", forgotten)
        try:
            job(output(**flags))
        except Killed:
            for fd in opened:  # as the kernel does, which frees the lock
                real_close(fd)
            return None
    return made


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("torn", [False, True])
def test_killed_at_every_system_call_then_resumed(torn: bool, overwrite: bool) -> None:
    calls = 0
    while True:
        calls += 1
        for name in listing():
            os.unlink(name)
        if overwrite:
            interrupted()
        if run_until(calls, torn=torn, overwrite=overwrite) is not None:
            break
        with output(resume=True) as out:
            if not out.complete:
                job(out)
        assert Path("out.jsonl").read_bytes() == WHOLE
    assert calls > 25


@given(st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=6))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_killed_again_and_again(kills: list[tuple[int, bool]]) -> None:
    for name in listing():
        os.unlink(name)
    for calls, torn in kills:
        if Path("out.jsonl").exists() and not Path("out.jsonl.partial").exists():
            break
        run_until(calls, resume=True, torn=torn)
    with output(resume=True) as out:
        if not out.complete:
            job(out)
    assert Path("out.jsonl").read_bytes() == WHOLE


def test_really_killed() -> None:
    code = (
        "import itertools, sys; from hfcli.writing import InputDigest, Output\n"
        "digest = InputDigest()\n"
        "out = Output('out.jsonl', settings={}, resume=False, overwrite=False)\n"
        "for n in itertools.count():\n"
        "    digest.update({'n': n}); out.write([b'%d' % n], digest.hexdigest(), 1)\n"
        "    if n == 20: print('go', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    with Output("out.jsonl", settings={}, resume=True, overwrite=False) as out:
        assert out.done >= 20
        assert Path("out.jsonl.partial").read_bytes() == b"".join(b"%d\n" % n for n in range(out.done))
        digest = InputDigest()
        for n in range(out.done):
            digest.update({"n": n})
        out.check_input(digest.hexdigest())
