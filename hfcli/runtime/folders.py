"""The folder of a run: new, to be gone on with, finished, or somebody else's."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from hfcli import launch
from hfcli.errors import DataError, UsageError
from hfcli.options.training import RunOptions
from hfcli.runtime import checkpoints
from hfcli.runtime.checkpoints import Checkpoint

RUN = "run.json"
FINISHED = "metrics.json"


class Opened(NamedTuple):
    """What was found in a run's folder.

    Attributes:
        folder: It is there, and ours.
        checkpoint: What to go on from, None to begin.
        said: Lines about what was found.
    """

    folder: Path
    checkpoint: Checkpoint | None
    said: tuple[str, ...]


def look(folder: Path, options: RunOptions) -> bool:
    """Refuse a folder that cannot be used, before any work is done for it.

    Returns:
        Whether the run in it is finished already, and `--resume` was given: there is nothing to do.

    Raises:
        UsageError: It holds a run and neither --resume nor --overwrite was given, or something else.
        DataError: It cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, and a run is a folder", "-o DIR")
    there = sorted(entry.name for entry in folder.iterdir() if entry.name[0] != ".") if folder.is_dir() else []
    if there and RUN not in there:
        raise UsageError(f"{folder} holds other files ({', '.join(there[:3])}), not a run of hfcli", "-o DIR")
    if FINISHED in there:
        if options.resume:
            if launch.world().rank == 0:
                checkpoints.prune(folder, 0, ())  # it may have been killed just before it did
                checkpoints.clean(folder)
            return True
        if not options.overwrite:
            raise UsageError(
                f"{folder} holds a finished run", f"--overwrite makes it anew; hfcli classify -m {folder} uses it"
            )
    elif set(there) - {RUN} and not options.resume and not options.overwrite:  # with RUN alone nothing was learnt yet
        steps = [int(name[11:]) for name in there if re.fullmatch(r"checkpoint-\d+", name)]
        where = f" (step {max(steps):,}{_of(folder)})" if steps else ""
        raise UsageError(
            f"{folder} holds an unfinished run{where}", "add --resume to finish it, or --overwrite to start again"
        )
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(parent, os.W_OK):
        raise DataError(f"{folder} cannot be written (permission denied)", "-o DIR")
    return False


def _of(folder: Path) -> str:
    with suppress(OSError, ValueError, KeyError):
        return f" of {json.loads((folder / RUN).read_bytes())['steps']:,}"
    return ""


def open_run(
    folder: Path, options: RunOptions, identity: Mapping[str, Any], versions: Mapping[str, Any] | None = None
) -> Opened:
    """Make the folder, or find what to go on from in it.

    Args:
        folder: Of the run.
        options: Whether to resume or overwrite.
        identity: What the result depends on; must be the same on resume.
        versions: What it depends on a little: bits, but not what is learnt.

    Raises:
        UsageError: The unfinished run is of other data or settings, or another process has finished it meanwhile.
        DataError: The folder cannot be written.
    """
    if look(folder, options):
        raise UsageError(f"{folder} was finished by another run meanwhile", f"hfcli classify -m {folder} uses it")
    identity = json.loads(json.dumps(identity, default=str))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if options.overwrite:
            _empty(folder)
        if options.resume and (folder / RUN).is_file():
            _compare(folder, json.loads((folder / RUN).read_text(encoding="utf-8")), identity)
            checkpoint, said = checkpoints.newest(folder)
            checkpoints.clean(folder)
            return Opened(folder, checkpoint, (*said, *_resumed(checkpoint, versions or {})))
        new = folder / f".{RUN}.new"
        new.write_text(json.dumps(identity, indent=1, ensure_ascii=False), encoding="utf-8")
        new.replace(folder / RUN)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DataError(f"{folder} cannot be used ({reason.lower()})", "-o DIR, or --overwrite") from error
    return Opened(folder, None, ())


def _empty(folder: Path) -> None:
    """Killed in between, it is neither finished nor somebody else's: the mark of the end goes first, ours last."""
    for entry in sorted(folder.iterdir(), key=lambda entry: (entry.name == RUN) - (entry.name == FINISHED)):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != ".lock":
            entry.unlink()


def _compare(folder: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    keys = sorted(key for key in now.keys() | then.keys() if now.get(key) != then.get(key))
    if keys:
        said = ", ".join(f"{key} ({_change(key, then.get(key), now.get(key))})" for key in keys)
        raise UsageError(
            f"the run in {folder} was begun with other settings: {said}",
            "use the same ones, or --overwrite starts again",
        )


def _change(key: str, then: Any, now: Any) -> str:
    return "other records" if key in ("train", "evaluation") else f"{_short(then)}, now {_short(now)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _resumed(checkpoint: Checkpoint | None, now: Mapping[str, Any]) -> list[str]:
    """How exact it will be."""
    if checkpoint is None:
        return ["nothing was saved yet: begins at the beginning"]
    then = checkpoint.state.get("versions", {})
    changed = [f"{name} {then.get(name)} -> {now[name]}" for name in now if then.get(name) != now[name]]
    if changed:
        return [f"{', '.join(changed)}: goes on, not bit for bit"]
    return ["same data, settings and versions: continues exactly where it was"]
