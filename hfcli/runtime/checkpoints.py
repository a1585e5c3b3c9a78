"""The checkpoints of a run: whole or not there, whenever it is killed. And the history beside them.

    with lock(run):
        checkpoint, passed_over = newest(run)  # go on with tensors(checkpoint, "model"), checkpoint.state
        clean(run)
        save(run, step, {"model": ..., "optimizer": ...}, state)
        prune(run, keep=1, protect={best_step})

    RUN/checkpoint-500/             model.safetensors, optimizer.safetensors, state.json, manifest.json
    RUN/.checkpoint-500.tmp-PID     that process writes it, or was killed while it did
    RUN/.checkpoint-500.gone-PID    that process removes it, or was killed while it did

A checkpoint is trusted for one reason only: its manifest names its step and the hash of every file, and they are right.
The folder's name only says where to look. Why killing `save` or `prune` at any moment is safe:

- before the manifest is there, the `.tmp` folder is not used. The manifest is begun when every other file is on disk
  (fsync), so a torn manifest is the worst that can be there, and that cannot be read;
- between manifest and rename the `.tmp` folder is whole and lacks its name only. `newest` and `clean` give it that,
  where it is free;
- replacing checkpoint-500 takes two renames: the old one to `.gone`, then the new one to its name. Before the first,
  the new one is whole and on disk. Between them it is found as above, also after an error or Ctrl-C. So the old one or
  the new one counts at every moment;
- removing starts with a rename to `.gone`, which is never read: no half of a checkpoint keeps its name;
- a process holds a lock on its `.tmp` folder, and the kernel frees that when it dies. The PID would not tell: it is
  given out again, and is another process in another container.

When checkpoint-1790 is damaged, a run goes on from an older one, on a course of its own. Its next save removes what
lies beyond its step: that would be taken for newer.
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch

from hfcli.errors import DataError, UsageError
from hfcli.runtime import manifest
from hfcli.runtime.manifest import Unusable

_NAME = re.compile(r"checkpoint-(0|[1-9][0-9]*)")
_LEFT = re.compile(r"\.checkpoint-(0|[1-9][0-9]*)\.(tmp|gone)-[0-9]+")


class Checkpoint(NamedTuple):
    """A whole checkpoint.

    Attributes:
        folder: Where it is.
        step: Optimizer steps done.
        state: What was saved with the tensors, as JSON gives it back.
    """

    folder: Path
    step: int
    state: dict[str, Any]


def save(
    run: Path, step: int, tensors: Mapping[str, Mapping[str, torch.Tensor]], state: Mapping[str, Any]
) -> Checkpoint:
    """Write RUN/checkpoint-STEP. When this returns, it survives a crash, and none of a later step is left.

    Args:
        run: Folder of the run; it exists.
        step: Optimizer steps done.
        tensors: By file and name: `{"model": {"bias": ...}}` becomes model.safetensors. Tied ones are stored twice.
        state: What else a resumed run needs, as JSON.

    Raises:
        DataError: It cannot be written, such as on a full disk. The checkpoints that were there stay.
    """
    final, aside, gone = _final(run, step), _own(run, step, "tmp"), _own(run, step, "gone")
    text = json.dumps(dict(state))
    try:
        for left in (aside, gone):  # of a process that had the same PID
            shutil.rmtree(left, ignore_errors=True)
        aside.mkdir()
        with _held(aside):
            manifest.write(aside, step, tensors, text)
            _into_place(aside, final, gone)
    except OSError as error:
        kept = max((other for other in _steps(run) if other <= step), default=None)
        hint = "nothing is saved yet; -o DIR can be on another disk"
        if kept is not None:
            hint = f"{_final(run, kept)} is kept: the same line with --resume goes on from there"
        raise DataError(f"cannot save {final} ({manifest.reason(error)})", hint) from error
    finally:
        if final.exists() or not gone.exists():  # between the two renames `aside` is the one that counts
            shutil.rmtree(aside, ignore_errors=True)
            shutil.rmtree(gone, ignore_errors=True)
    for other in _steps(run):
        if other > step:
            _discard(run, other)
    return Checkpoint(final, step, json.loads(text))


def tensors(checkpoint: Checkpoint, stem: str) -> dict[str, torch.Tensor]:
    """The tensors of one file by name, on the CPU."""
    return manifest.read_tensors(checkpoint.folder, stem)


def newest(run: Path, only: int | None = None) -> tuple[Checkpoint | None, list[str]]:
    """The whole checkpoint with the most steps, and a sentence for each one beyond it that is not whole.

    Args:
        run: Folder of the run.
        only: Look at the checkpoint of this step, and at no other.
    """
    steps = {step for _, step, kind in _left_over(run) if kind == "tmp"} | _steps(run)
    passed_over: list[str] = []
    for step in sorted(steps if only is None else steps & {only}, reverse=True):
        try:
            state = manifest.verify(_final(run, step), step)
        except Unusable as why:
            passed_over.append(f"checkpoint-{step} is {why} and was not used")
        else:
            return Checkpoint(_final(run, step), step, state), passed_over
    return None, passed_over


def prune(run: Path, keep: int, protect: Collection[int]) -> None:
    """Remove all checkpoints but the `keep` ones with the most steps and those of the steps in `protect`."""
    for step in sorted(_steps(run), reverse=True)[keep:]:
        if step not in protect:
            _discard(run, step)


def clean(run: Path) -> None:
    """Remove what killed processes left; after `newest`, which tells of it."""
    for folder, _, _ in _left_over(run):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def lock(run: Path) -> Iterator[None]:
    """Let no other process write this run. Its folder is made where there is none.

    Raises:
        UsageError: Another process writes it.
        DataError: The folder cannot be made or written.
    """
    path = run / ".lock"
    try:
        run.mkdir(parents=True, exist_ok=True)
        fd = _open_locked(path)
    except BlockingIOError as error:
        raise UsageError(f"{run} is being written by another run", "wait for it, or give another -o DIR") from error
    except OSError as error:
        _cannot_write(run, error)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(fd)


def locked(run: Path) -> bool:
    """Whether a process of this machine, or of one that shares the folder, writes this run."""
    return (run / ".lock").exists()


def append_history(path: Path, entry: Mapping[str, Any]) -> None:
    """Add a line to history.jsonl. A kill tears the last line at most, and `truncate_history` removes that.

    Args:
        path: The history: a JSON object a line.
        entry: What happened, at which "step".

    Raises:
        DataError: It cannot be written.
    """
    try:
        with open(path, "ab") as file:
            file.write(json.dumps(dict(entry)).encode() + b"\n")
    except OSError as error:
        _cannot_write(path, error)


def truncate_history(path: Path, step: int) -> list[dict[str, Any]]:
    """Remove what lies beyond a step from history.jsonl, and lines that are torn; the entries that stay.

    Raises:
        DataError: It cannot be read or written.
    """
    aside = path.with_name(f".{path.name}.tmp")
    entries: list[dict[str, Any]] = []
    lines: list[bytes] = []
    try:
        for line in path.read_bytes().splitlines():
            with suppress(ValueError, TypeError, KeyError, RecursionError):
                entry = json.loads(line)
                if entry["step"] <= step:
                    entries.append(entry)
                    lines.append(line + b"\n")
        aside.write_bytes(b"".join(lines))
        manifest.sync(aside)
        aside.replace(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        _cannot_write(path, error)
    return entries


def _into_place(aside: Path, final: Path, gone: Path) -> None:
    if final.exists():
        manifest.sync(aside.parent)  # else a power cut could leave neither name
        final.rename(gone)
    aside.rename(final)
    manifest.sync(aside.parent)


def _discard(run: Path, step: int) -> None:
    gone = _own(run, step, "gone")
    shutil.rmtree(gone, ignore_errors=True)
    with suppress(OSError):  # a checkpoint too many does no harm
        _final(run, step).rename(gone)
        shutil.rmtree(gone)


def _left_over(run: Path) -> list[tuple[Path, int, str]]:
    """What killed processes left: folder, step, and "tmp" or "gone". What is whole gets its name instead."""
    left = []
    for folder in _folders(run):
        match = _LEFT.fullmatch(folder.name)
        if match and not _is_held(folder):
            step, kind = int(match[1]), match[2]
            final = _final(run, step)
            try:
                if kind == "gone" or final.exists():
                    raise Unusable
                manifest.verify(folder, step)
                folder.rename(final)
            except (Unusable, OSError):
                left.append((folder, step, kind))
    return left


def _steps(run: Path) -> set[int]:
    return {int(match[1]) for folder in _folders(run) if (match := _NAME.fullmatch(folder.name))}


def _folders(run: Path) -> list[Path]:
    return [path for path in run.iterdir() if path.is_dir()] if run.is_dir() else []


def _final(run: Path, step: int) -> Path:
    return run / f"checkpoint-{step}"


def _own(run: Path, step: int, kind: str) -> Path:
    return run / f".checkpoint-{step}.{kind}-{os.getpid()}"


def _open_locked(path: Path) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise
        except OSError:
            return fd  # a file system without locks
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(fd)):
                return fd
        os.close(fd)  # the run that held it has removed it since it was opened


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    fd = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks; `lock` stands alone there
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


def _is_held(folder: Path) -> bool:
    with suppress(OSError):  # removed since, or a file system without locks
        fd = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
    return False


def _cannot_write(path: Path, error: OSError) -> NoReturn:
    raise DataError(f"cannot write {path} ({manifest.reason(error)})") from error
