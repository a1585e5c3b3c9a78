"""What was run already: a small file in the working folder, so that a finished step need not be run again.

`.hfcli/run-NAME-HASH.json` says of every step which command it was, what it read and wrote (as digests), its scores and
its seconds. It is no proof of anything: what it says is compared with what is there, and it is replaced in one piece.
Two runs at once each add what is theirs to it.
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hfcli import __version__
from hfcli.cli import _reached, _reads
from hfcli.cli._steps import Checked
from hfcli.cli._written import written
from hfcli.errors import DataError

FOLDER = ".hfcli"
_LARGE_BYTES = 200_000_000  # of larger ones the time is looked at, not the content
_KEPT = 20  # runs of a step that differ and write nothing
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass
class Entry:
    """A step that was begun.

    Attributes:
        identity: What it is: command line, version, standard input.
        inputs: Digest of every file and folder that it reads.
        outputs: Digest of everything that it writes; None while it is not finished.
        scores: What it measured.
        seconds: How long it took.
        finished: Whether it ended well.
        out: What it wrote to standard output, of a step that measures.
    """

    identity: dict[str, Any]
    inputs: dict[str, str]
    outputs: dict[str, str | None]
    scores: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    finished: bool = False
    out: str = ""


class Lock:
    """What is known of the runs of a recipe in this folder.

    Args:
        key: Which recipe that is (`Recipe.key`); two that are called the same do not own each other's results.

    Attributes:
        entries: By step and what it is; of one that wrote something, as long as nothing else was written there.
        revisions: By "model NAME" or "dataset NAME": the commit that was prefetched.
        made: Everything that a step has ever written.

    Raises:
        DataError: Its folder leads elsewhere.
    """

    def __init__(self, key: str) -> None:
        kind, _, name = key.partition(":")
        base = kind if kind == "stdin" else re.sub(r"\.ya?ml$", "", os.path.basename(name))
        slug = re.sub(r"[^\w.-]+", "-", base)[-100:].strip(".-") or "recipe"
        self.key = key
        self.path = Path(FOLDER) / f"run-{slug}-{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:8]}.json"
        if Path(FOLDER).is_symlink() or self.path.is_symlink():
            raise DataError(f"{self.path} is a link, and leads elsewhere", f"rm {FOLDER}")
        self.entries: dict[str, Entry] = {}
        self.revisions: dict[str, str] = {}
        self.made: set[str] = set()
        self._new: dict[str, Entry | None] = {}  # by this process; None where it has been replaced
        self._read()

    def _read(self) -> None:
        """Take what the file says, if that is about this recipe; a damaged one is none."""
        with suppress(OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            if kept["key"] != self.key:
                return
            revisions = {str(name): str(commit) for name, commit in kept["revisions"].items()}
            entries = {key: _entry(each) for key, each in kept["steps"].items()}
            self.made |= {str(path) for path in kept["made"]}
            self.revisions = {name: each for name, each in revisions.items() if _COMMIT.fullmatch(each)}
            self.entries = entries

    def revision(self, kind: str, name: str | None) -> str | None:
        return self.revisions.get(f"{kind} {name}")

    def owns(self, path: str) -> bool:
        """Whether a step of this recipe has written that."""
        return os.path.normpath(path) in self.made

    def before(self, step: str, identity: Mapping[str, Any]) -> Entry | None:
        """What is known of a step that was the same."""
        return self.entries.get(_key(step, identity))

    def put(self, step: str, entry: Entry) -> None:
        """A step begins: what it writes is no longer what another has written there."""
        mine, writes = _key(step, entry.identity), {*entry.outputs}
        alike = [key for key, other in self.entries.items() if key.startswith(f"{step} ") and not other.outputs]
        gone = [key for key, other in self.entries.items() if writes & {*other.outputs}] + alike[: -_KEPT + 1]
        self._new |= dict.fromkeys(gone) | {mine: entry}
        self.made |= {os.path.normpath(path) for path in writes}
        self._merge()

    def _merge(self) -> None:
        for key, entry in self._new.items():
            self.entries.pop(key, None)  # so that the newest is the last
            if entry is not None:
                self.entries[key] = entry

    def save(self) -> None:
        """Write it, in one piece, with what other runs have added meanwhile.

        Raises:
            DataError: It cannot be written.
        """
        aside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            if not self.path.parent.is_dir():
                self.path.parent.mkdir(exist_ok=True)
                (self.path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
            with _alone(self.path.with_name(f".{self.path.name}.lock")):
                revisions = self.revisions
                self._read()
                self.revisions = self.revisions | revisions
                self._merge()
                steps = {key: vars(entry) for key, entry in self.entries.items()}
                text = {"key": self.key, "revisions": self.revisions, "made": sorted(self.made), "steps": steps}
                try:
                    aside.write_text(json.dumps({"format": 2, **text}, indent=1), encoding="utf-8")
                    aside.replace(self.path)
                finally:
                    aside.unlink(missing_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DataError(f"{self.path} cannot be written ({reason})", "run it in a folder that is yours") from error


def _key(step: str, identity: Mapping[str, Any]) -> str:
    return f"{step} {hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]}"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While no other run is in here; where locks are not to be had, without."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _entry(kept: Mapping[str, Any]) -> Entry:
    """As it was kept; an exception of any kind where that is something else."""
    entry = Entry(**kept)
    shapes: list[Any] = [dict, dict, dict, list, int | float, bool, str]
    if not all(isinstance(value, shape) for value, shape in zip(vars(entry).values(), shapes, strict=True)):
        raise TypeError("another version wrote it")
    for score in entry.scores:
        _reached.line(score)  # whether it can be shown
    return entry


def identity(checked: Checked) -> dict[str, Any]:
    """What a step is."""
    stdin = None if checked.step.stdin is None else hashlib.sha256(checked.step.stdin.encode()).hexdigest()
    said = json.loads(json.dumps(checked.environment, default=str))
    return {"argv": checked.argv, "hfcli": __version__, "environment": said, "stdin": stdin}


def inputs(checked: Checked, ignored: Iterable[str]) -> dict[str, str]:
    """Digest of every file and folder that a step reads.

    Args:
        checked: The step.
        ignored: Paths that steps write: inside a folder that is read, they are not part of it.
    """
    return {path: found for path in _reads.paths(checked) if (found := digest(path, ignored)) is not None}


def outputs(checked: Checked, ignored: Iterable[str]) -> dict[str, str | None]:
    """Digest of everything that a step writes, None for what is not there."""
    return {each.path: digest(each.path, ignored) for each in written(checked)}


def digest(path: str, ignored: Iterable[str]) -> str | None:
    """What stands for the content of a file (its bytes) or folder (names, sizes and times of its files)."""
    full = os.path.abspath(os.path.expanduser(path))
    with suppress(OSError):
        if os.path.isfile(full) and (about := os.stat(full)).st_size > _LARGE_BYTES:
            return f"{about.st_size} bytes of {about.st_mtime_ns}"
        if os.path.isfile(full):
            with open(full, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        if os.path.isdir(full):
            return _folder(full, [os.path.abspath(each) for each in ignored])
    return None


def _folder(full: str, ignored: Sequence[str]) -> str:
    skipped = {each for each in ignored if each != full and not full.startswith(each + os.sep)}
    found = hashlib.sha256()
    for folder, folders, files in os.walk(full):
        folders[:] = sorted(name for name in folders if os.path.join(folder, name) not in skipped)
        for name in sorted(files):
            path = os.path.join(folder, name)
            if path not in skipped and not name.startswith("."):
                about = os.stat(path)
                found.update(f"{os.path.relpath(path, full)}\0{about.st_size}\0{about.st_mtime_ns}\n".encode())
    return found.hexdigest()
