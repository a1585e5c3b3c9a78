"""The bytes of an input: opened, unpacked, cut into lines, decoded; and what is said where that fails."""

import os
import re
import select
import shlex
import stat
import zlib
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple, NoReturn

from hfcli.errors import DataError, did_you_mean

MAX_LINE_BYTES = 64 << 20
"""The longest line, CSV row or slurped text: what one record may take in memory, and where a gzip bomb ends."""

MAX_ARRAY_BYTES = 512 << 20
"""The largest JSON array, which is read whole; JSON lines have no such limit."""

_CHUNK_BYTES = 1 << 18
_SNIFF_BYTES = 1 << 16  # whitespace that is kept while looking for the first character of the input
_GZIP = b"\x1f\x8b"
KEEPS_GOING = '--on-error record keeps going and writes {"error": ...} in its place'


def where_nothing_goes_on(error: DataError) -> DataError:
    """The error of a row for a command that has no --on-error, which its hint may name."""
    plain = DataError(error.message, None if error.hint == KEEPS_GOING else error.hint)
    plain.__cause__ = error
    return plain


class Line(NamedTuple):
    number: int
    raw: bytes | None  # without its newline; None where it was longer than the limit


class Input:
    """The bytes of a file or of standard input, unpacked, as chunks or lines; knows how to speak of them."""

    def __init__(self, path: str, digest: bool) -> None:
        self.path = path
        self.name = "standard input" if path == "-" else path
        self.position_bytes = 0
        self._lined_bytes = self._given_bytes = 0
        self.lines_read = 0
        self._hash = None
        if digest:
            import hashlib

            self._hash = hashlib.sha256()
        try:
            # Standard input is read with os.read like any file: a thread that waits in sys.stdin.buffer aborts the
            # process when the interpreter ends.
            self._fd = 0 if path == "-" else os.open(path, os.O_RDONLY)
            status = os.fstat(self._fd)
        except OSError as error:
            self._cannot_open(error)
        if stat.S_ISDIR(status.st_mode):
            self.close()
            raise DataError(f"{self.name} is a folder, not a file")
        self.size_bytes: int | None = None
        if stat.S_ISREG(status.st_mode):
            self.size_bytes = max(0, status.st_size - os.lseek(self._fd, 0, os.SEEK_CUR))

    def _cannot_open(self, error: OSError) -> NoReturn:
        if isinstance(error, FileNotFoundError):
            folder, name = os.path.split(self.path)
            if folder and not os.path.isdir(folder):
                raise DataError(f"no file {self.path} (there is no folder {folder})") from error
            try:
                names = os.listdir(folder or ".")
            except OSError:
                names = []
            raise DataError(f"no file {self.path}", did_you_mean(name, names)) from error
        raise DataError(f"cannot read {self.name} ({_reason(error)})") from error

    def close(self) -> None:
        if self._fd > 0:
            os.close(self._fd)
        self._fd = -1

    @property
    def share(self) -> float | None:
        """How much of the input the lines given out so far are; None where its size is unknown."""
        if not self.size_bytes:
            return None
        waiting = self._given_bytes / self._lined_bytes if self._lined_bytes else 1.0
        return min(self.position_bytes / self.size_bytes * waiting, 1.0)

    def convert(self, command: str) -> str:
        """The line that makes readable text of this input with a command that filters standard input."""
        if self.path == "-":
            return f"{command} < IN > OUT"
        packed = re.search(r"\.(gz|zst|xz)$", self.path)
        stem, suffix = os.path.splitext(self.path[: packed.start()] if packed else self.path)
        target = shlex.quote(f"{stem}.utf8{suffix}")  # never the file itself
        if packed and packed[1] == "gz":
            return f"gzip -dc {shlex.quote(self.path)} | {command} > {target}"
        return f"{command} < {shlex.quote(self.path)} > {target}"

    def _read(self) -> Iterator[bytes]:
        while True:
            if self._fd < 0:
                raise ValueError(f"{self.name} was closed")
            try:
                chunk = os.read(self._fd, _CHUNK_BYTES)
            except BlockingIOError:  # whoever started us left standard input non-blocking
                select.select([self._fd], [], [])
                continue
            except OSError as error:
                raise DataError(f"cannot read {self.name} ({_reason(error)})") from error
            if not chunk:
                return
            self.position_bytes += len(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        """Of the chunks given out so far."""
        return self._hash.hexdigest() if self._hash else ""

    def hash_file(self) -> None:
        """For files that were read in another way."""
        if self._hash:
            position = self.position_bytes
            for _ in self.chunks():
                pass
            self.position_bytes = position

    def chunks(self) -> Iterator[bytes]:
        """The content, unpacked where it is gzip (seen by its first two bytes)."""
        chunks = self._content()
        return self._hashed(chunks) if self._hash else chunks

    def _hashed(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self._hash:
                self._hash.update(chunk)
            yield chunk

    def _content(self) -> Iterator[bytes]:
        head, raw = peek(self._read(), (_GZIP,))
        if head.startswith(_GZIP):
            return self._unpacked(chain((head,), raw))
        if head and self.name.lower().endswith(".gz"):
            raise DataError(f"{self.name} is not gzip, its name says so", "rename it without .gz")
        return chain((head,), raw)

    def _unpacked(self, raw: Iterator[bytes]) -> Iterator[bytes]:
        # zlib instead of gzip.GzipFile: that one reads ahead, and a line would wait in it for the lines after it.
        unpack = zlib.decompressobj(wbits=31)
        for data in raw:
            full = False
            while data or full:
                if unpack.eof:  # several members in a row are one file, zeros after them are padding
                    data = data.lstrip(b"\0")
                    if not data:
                        break
                    unpack = zlib.decompressobj(wbits=31)
                try:
                    piece = unpack.decompress(data, _CHUNK_BYTES)
                except zlib.error as error:
                    raise self._broken_gzip("damaged") from error
                yield piece
                full = len(piece) == _CHUNK_BYTES and not unpack.eof
                data = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
        if not unpack.eof:
            raise self._broken_gzip("cut off")

    def _broken_gzip(self, how: str) -> DataError:
        after = f" after line {self.lines_read:,}" if self.lines_read else ""
        hint = None if self.path == "-" else f"copy or download it again; gzip -t {shlex.quote(self.path)} checks it"
        return DataError(f"{self.name} is {how}{after}; it is not whole gzip data", hint)

    def lines(self, chunks: Iterator[bytes]) -> Iterator[Line]:
        r"""Lines end at `\n` only: U+0085 and U+2028 live inside texts. One that is too long comes as None, at once."""
        started = bytearray()
        skipping = False
        for chunk in chunks:
            self._lined_bytes += len(chunk)
            *ends, rest = chunk.split(b"\n")
            for end in ends:
                self.lines_read += 1
                self._given_bytes += len(started) + len(end) + 1
                if skipping:
                    skipping = False
                    continue
                if started:
                    end = bytes(started) + end
                    started.clear()
                yield Line(self.lines_read, end if len(end) <= MAX_LINE_BYTES else None)
            if not skipping:
                started += rest
                if len(started) > MAX_LINE_BYTES:
                    started.clear()
                    skipping = True
                    yield Line(self.lines_read + 1, None)
        if started:
            self.lines_read += 1
            self._given_bytes += len(started)
            yield Line(self.lines_read, bytes(started))

    def document(self, chunks: Iterator[bytes], limit: int, hint: str) -> bytes:
        whole = bytearray()
        for chunk in chunks:
            whole += chunk
            if len(whole) > limit:
                raise DataError(f"{self.name} is longer than {limit >> 20} MB", hint)
        return bytes(whole)

    def decode_line(self, line: Line) -> str:
        if line.raw is None:
            message = f"{self.name}:{line.number} is longer than {MAX_LINE_BYTES >> 20} MB"
            raise DataError(message, "a line is a record; put a newline between records, or split this one")
        return self.decode(line.raw, line.number)

    def decode(self, raw: bytes, line: int = 1) -> str:
        """UTF-8 to text; `line` is the number of the first line of it."""
        if b"\0" in raw:
            line += raw.count(b"\n", 0, raw.index(b"\0"))
            raise DataError(f"{self.name}:{line} has a NUL byte; is it a text file?")
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            good = raw[: error.start].decode()
            line += good.count("\n")
            column = len(good) - good.rfind("\n")
            message = f"{self.name}:{line} is not UTF-8 (byte 0x{raw[error.start]:02x}, column {column})"
            raise DataError(message, self.convert("iconv -f latin1 -t utf-8")) from error


def peek(chunks: Iterator[bytes], starts: tuple[bytes, ...]) -> tuple[bytes, Iterator[bytes]]:
    """The beginning of the input, just long enough to tell which of `starts` it has: a pipe may hold one short line."""
    head = b""
    while any(len(head) < len(start) and start.startswith(head) for start in starts):
        chunk = next(chunks, None)
        if chunk is None:
            break
        head += chunk
    return head, chunks


def first_character(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    kept = b""
    for chunk in chunks:
        kept += chunk
        if (first := chunk.lstrip()[:1]) or len(kept) > _SNIFF_BYTES:
            return first or b" ", chain((kept,), chunks)
    return b"", iter((kept,))


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
