"""The runs of this machine: a local file of JSON lines, one a run, and nothing that leaves the machine.

Appending is one write to a file opened for appending, so processes do not tear each other's lines. A place that cannot
be written is no history, and never an error. HFCLI_HISTORY=0 keeps nothing.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

MOST_BYTES = 4 << 20
"""From this size on the file is put aside and a new one begun; the one put aside before that is gone."""


def path() -> Path:
    """Where the runs are: below XDG_STATE_HOME, else ~/.local/state."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(base) / "hfcli" / "history.jsonl"


def wanted() -> bool:
    """Whether this process keeps its run; of several ranks the first does."""
    return os.environ.get("HFCLI_HISTORY") != "0" and os.environ.get("RANK", "0") == "0"


def append(entry: dict[str, Any]) -> None:
    """Keep a run. Nothing happens where that is not possible."""
    line = (json.dumps(entry, ensure_ascii=False, default=str) + "\n").encode("utf-8", "backslashreplace")
    with contextlib.suppress(OSError):
        path().parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path(), os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(fd).st_size
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            os.write(fd, b"\n" * torn + line)
            if size > MOST_BYTES:
                _put_aside(fd)
        finally:
            os.close(fd)


def _put_aside(fd: int) -> None:
    """Begin a new file, unless another process just did."""
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if os.path.samestat(os.fstat(fd), os.stat(path())):
        os.replace(path(), _aside())


def _aside() -> Path:
    return path().with_name("history.1.jsonl")


def entries() -> list[dict[str, Any]]:
    """The runs that are kept, oldest first, each with its `number`; lines that are not whole are passed over.

    Raises:
        OSError: The file is there and cannot be read.
    """
    found: list[dict[str, Any]] = []
    for file in (_aside(), path()):
        try:
            lines = file.read_bytes().splitlines()
        except FileNotFoundError:
            continue
        for line in lines:
            with contextlib.suppress(ValueError, RecursionError):
                entry = json.loads(line)
                if isinstance(entry, dict) and isinstance(entry.get("command"), str):
                    found.append(entry)
    return [{"number": number, **entry} for number, entry in enumerate(found, 1)]


def clear() -> int:
    """Forget all runs; how many they were.

    Raises:
        OSError: They cannot be deleted.
    """
    count = len(entries())
    for file in (_aside(), path()):
        file.unlink(missing_ok=True)
    return count
