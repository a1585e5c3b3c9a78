"""Writing the results of a long job so that a crash loses one chunk at most and `--resume` goes on where it stopped.

    with Output("out.jsonl", settings=settings, resume=resume, overwrite=overwrite) as output:
        ...                                        # skip output.done records, compare their digest
        output.write([b'{"label": "pos"}'], digest.hexdigest(), 1)
        output.finish()

Lines go to out.jsonl.partial, and after every chunk the sidecar out.jsonl.partial.json says how far it is whole. At the
end the partial file becomes out.jsonl. Why killing it at any moment is safe:

- in `write` before the sidecar is replaced: the old one stands, and the bytes after its count are cut off on resume;
- replacing the sidecar is one rename, and what it says is on disk before it says so (fsync of the data comes first);
- a run starts (again) with a sidecar that says "0 records", then empties the partial file: what is in it does not count
  any more, or not yet, and such a run is not asked about. So a partial file with content and no sidecar was not left by
  a kill; it is neither continued, nor overwritten without being asked;
- in `finish` before the rename: as after a write. After it: out.jsonl is there, a sidecar alone means nothing.

What is read back is checked (types, length, a newline at the cut, settings, and the caller compares the input).
"""

import fcntl
import hashlib
import json
import os
import shlex
import stat
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Self

from hfcli.errors import DataError, UsageError

_ENCODER = json.JSONEncoder(sort_keys=True, default=str)
_AGAIN = "--overwrite starts again"


class InputDigest:
    """A running sha256 over records, to know on resume whether the input is still the same."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, record: Mapping[str, Any] | None) -> None:
        """Take in the next record; None stands for a row that could not be read."""
        self._hash.update(_ENCODER.encode(record).encode("ascii") + b"\n")

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class _State(NamedTuple):
    """What the sidecar holds: how far the partial file is whole, from which input, made with which settings."""

    records: int
    bytes: int
    input: str
    settings: dict[str, Any]


class Output:
    """A file that is complete or not there; until then its lines are in PATH.partial.

    What is not a regular file (/dev/null, /dev/stdout, a fifo) is written directly and cannot be resumed. An existing
    PATH is replaced by `finish`, not before.

    Args:
        path: Where the results go.
        settings: Everything that the results depend on besides the input; must be the same on resume.
        resume: Go on with PATH.partial where there is one.
        overwrite: Start again where there is one.

    Attributes:
        done: Input records whose results are already written.
        digest: Digest of these records, as it was given to `write`.
        complete: The file was finished by an earlier run; there is nothing to do, and nothing can be written.

    Raises:
        UsageError: There is an unfinished run and neither flag was given, or it cannot go on with these settings.
        DataError: PATH cannot be written, or what is left of an unfinished run is damaged.
    """

    def __init__(self, path: str, *, settings: Mapping[str, Any], resume: bool, overwrite: bool) -> None:
        if resume and overwrite:
            raise UsageError("--resume goes on, --overwrite starts again", "leave one of them out")
        self.path = path
        self.complete = False
        self._fd = -1
        self._state = _State(0, 0, InputDigest().hexdigest(), json.loads(_ENCODER.encode(dict(settings))))
        # A link stays a link: what it points to is replaced.
        self._final = os.path.realpath(path)
        self._partial, self._sidecar = self._final + ".partial", self._final + ".partial.json"
        self._direct = self._is_direct()
        if self._direct:
            if resume:
                raise UsageError(f"{path} is not a regular file, so there is nothing to resume", "leave out --resume")
            self._fd = self._open(path, os.O_WRONLY | os.O_APPEND)
        elif resume and not os.path.exists(self._partial) and os.path.exists(self._final):
            self.complete = True
        else:
            self._start(resume, overwrite)

    @property
    def done(self) -> int:
        return self._state.records

    @property
    def digest(self) -> str:
        return self._state.input

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def check_input(self, digest: str) -> None:
        """Compare the digest of the first `done` records of the input with that of the unfinished run.

        Raises:
            UsageError: They are not what the unfinished run has read.
        """
        if digest != self.digest:
            first = f"the first {self.done:,} records are" if self.done > 1 else "the first record is"
            raise UsageError(f"{self.path}.partial was made from other input: {first} not the same", _AGAIN)

    def write(self, lines: list[bytes], digest: str, records: int) -> None:
        """Append the results of one chunk; when this returns they survive a crash.

        Args:
            lines: One result each, without a newline at the end.
            digest: Digest of the input from its beginning to the end of this chunk.
            records: Input records in this chunk (not since the beginning).

        Raises:
            DataError: It cannot be written, such as on a full disk. The chunks before are kept for resume.
        """
        if self._fd < 0:
            raise ValueError(f"{self.path} was closed")
        data = b"".join([line + b"\n" for line in lines])
        try:
            _write_all(self._fd, data)
            if not self._direct:
                os.fsync(self._fd)
        except OSError as error:
            self._cannot_write(error)
        state = self._state
        self._save(_State(state.records + records, state.bytes + len(data), digest, state.settings))

    def finish(self) -> None:
        """Give the file its name.

        Raises:
            DataError: It cannot be renamed; everything is kept for resume.
        """
        if not self._direct and not self.complete:
            try:
                os.fsync(self._fd)
                os.replace(self._partial, self._final)
                self._sync_folder()
                os.unlink(self._sidecar)
            except OSError as error:
                self._cannot_write(error)
            self.complete = True
        self.close()

    def close(self) -> None:
        """Stop writing. An unfinished run stays for resume, unless nothing was written yet."""
        if self._fd < 0:
            return
        if not self._direct and not self.complete and not self.done:
            for path in (self._sidecar, self._partial):
                with suppress(OSError):
                    os.unlink(path)
        os.close(self._fd)
        self._fd = -1

    def _is_direct(self) -> bool:
        if os.path.isdir(self.path):
            raise DataError(
                f"cannot write {self.path} (it is a folder)", f"-o {shlex.quote(self.path.rstrip('/'))}/FILE"
            )
        if os.path.exists(self.path):
            # /dev/stdout is a regular file where it is redirected to one; no file belongs beside it.
            special = os.path.abspath(self.path).startswith(("/dev/", "/proc/"))
            return special or not stat.S_ISREG(os.stat(self.path).st_mode)
        folder = os.path.dirname(self._final)
        if not os.path.isdir(folder):
            hint = f"mkdir -p {shlex.quote(os.path.dirname(self.path) or folder)}"
            raise DataError(f"cannot write {self.path} (no such folder)", hint)
        return False

    def _open(self, path: str, flags: int) -> int:
        try:
            return os.open(path, flags, 0o666)
        except OSError as error:
            self._cannot_write(error)

    def _start(self, resume: bool, overwrite: bool) -> None:
        existed = os.path.exists(self._partial)
        self._fd = self._open(self._partial, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            self._lock()
            left = self._left_over() if existed else None
            if left and left.records and not resume and not overwrite:
                raise UsageError(
                    f"{self.path}.partial holds an unfinished run ({left.records:,} record{'s' * (left.records > 1)})",
                    "add --resume to finish it, or --overwrite to start again",
                )
            if not left and os.fstat(self._fd).st_size and not overwrite:
                raise DataError(
                    f"{self.path}.partial cannot be resumed: {self.path}.partial.json is missing or does not fit it",
                    f"{_AGAIN}; the lines so far are in {self.path}.partial",
                )
            if left and left.records and resume:
                self._go_on(left)
            else:
                self._start_again()
        except OSError as error:
            os.close(self._fd)
            self._cannot_write(error)
        except BaseException:
            os.close(self._fd)
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The run that held it may have renamed or removed the file since it was opened here.
            mine = os.stat(self._partial).st_ino == os.fstat(self._fd).st_ino
        except (BlockingIOError, FileNotFoundError):
            mine = False
        except OSError:
            mine = True  # a file system without locks
        if not mine:
            raise UsageError(
                f"{self.path}.partial is being written by another run", "wait for it, or give another FILE"
            )

    def _left_over(self) -> _State | None:
        """What the sidecar says, if it can be true of the partial file."""
        try:
            with open(self._sidecar, "rb") as file:
                fields = json.loads(file.read())
            state = _State(**fields)
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        counts = all(type(count) is int and count >= 0 for count in (state.records, state.bytes))
        if not counts or not isinstance(state.input, str) or not isinstance(state.settings, dict):
            return None
        if state.bytes > os.fstat(self._fd).st_size:
            return None
        if state.bytes and os.pread(self._fd, 1, state.bytes - 1) != b"\n":
            return None
        return state

    def _go_on(self, left: _State) -> None:
        now, then = self._state.settings, left.settings
        keys = sorted(key for key in now.keys() | then.keys() if now.get(key) != then.get(key))
        if keys:
            said = ", ".join(f"{key} ({json.dumps(then.get(key))}, now {json.dumps(now.get(key))})" for key in keys)
            raise UsageError(
                f"{self.path}.partial was written with other settings: {said}",
                f"use the same settings, or {_AGAIN}",
            )
        os.ftruncate(self._fd, left.bytes)
        os.fsync(self._fd)
        self._state = left

    def _start_again(self) -> None:
        self._save(self._state)
        self._sync_folder()
        os.ftruncate(self._fd, 0)

    def _save(self, state: _State) -> None:
        if not self._direct:
            new = self._sidecar + ".new"
            try:
                file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
                try:
                    _write_all(file, _ENCODER.encode(state._asdict()).encode("ascii"))
                    os.fsync(file)
                finally:
                    os.close(file)
                os.replace(new, self._sidecar)
            except OSError as error:
                with suppress(OSError):
                    os.unlink(new)
                self._cannot_write(error)
        self._state = state

    def _sync_folder(self) -> None:
        # A rename or removal is on disk when its folder is.
        folder = os.open(os.path.dirname(self._final), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _cannot_write(self, error: OSError) -> NoReturn:
        hint = f"what is written so far is kept; add --resume to finish {self.path}" if self.done else None
        raise DataError(f"cannot write {self.path} ({(error.strerror or str(error)).lower()})", hint) from error


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
