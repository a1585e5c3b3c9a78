"""Reading records: text, JSON lines, JSON, CSV, TSV, CoNLL and Parquet, gzipped or not, from files and standard input.

    with records.read("reviews.csv.gz") as source:
        for row in source:
            row.record, row.where        # {"text": "Lovely.", "label": "pos"}, "reviews.csv.gz:2"

Nothing is guessed about values: "NA" and "007" in a CSV stay what they are. Nothing is read ahead: a line that arrives
on a pipe is yielded as soon as its newline is there. Memory is bounded by one line (CoNLL: one sentence; Parquet: one
batch of rows), except for `slurp`, a JSON array and the JSON of SQuAD, which are one document with its own limit.
"""

import codecs
import csv
import math
import os
import shlex
from collections.abc import Iterator
from itertools import chain
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from hfcli.errors import DataError, UsageError, did_you_mean
from hfcli.records import _conll, _input, _squad
from hfcli.records._csv import CsvFeed
from hfcli.records._input import KEEPS_GOING, Input, Line, first_character, peek
from hfcli.records._json import dumps, parse_array, parse_line

__all__ = ["Row", "Source", "dumps", "read", "value"]

_PARQUET_ROWS = 1024
_SUFFIXES = {".txt": "text", ".jsonl": "jsonl", ".ndjson": "jsonl", ".iob": "conll", ".bio": "conll"} | {
    f".{n}": n for n in ("json", "csv", "tsv", "conll", "parquet")
}
_FORMATS = ("auto", "text", "jsonl", "json", "csv", "tsv", "conll", "parquet")
# How inputs begin that are not UTF-8 text: what it is, and the command that makes text of it.
_FOREIGN = {
    codecs.BOM_UTF32_LE: ("UTF-32, not UTF-8", "iconv -f utf-32 -t utf-8"),  # before UTF-16, which is its beginning
    codecs.BOM_UTF32_BE: ("UTF-32, not UTF-8", "iconv -f utf-32 -t utf-8"),
    codecs.BOM_UTF16_LE: ("UTF-16, not UTF-8", "iconv -f utf-16 -t utf-8"),
    codecs.BOM_UTF16_BE: ("UTF-16, not UTF-8", "iconv -f utf-16 -t utf-8"),
    b"PK\x03\x04": ("a zip archive or an office document, not text", None),
    b"\x28\xb5\x2f\xfd": ("packed with zstd", "zstd -dc"),
    b"\xfd7zXZ\0": ("packed with xz", "xz -dc"),
    b"PAR1": ("Parquet, not text", None),
}


class Row(NamedTuple):
    """One row of the input.

    Attributes:
        record: Its columns, or None where it could not be read.
        where: Where it stands, for messages: "reviews.jsonl:3121", "standard input:7", "x.parquet: row 12".
        error: Why it could not be read.
    """

    record: dict[str, Any] | None
    where: str
    error: DataError | None = None


def read(
    path: str,
    *,
    format: str = "auto",
    field: str = "text",
    slurp: bool = False,
    on_error: Literal["fail", "record"] = "fail",
    pairs: tuple[str, str] | None = None,
    digest: bool = False,
) -> "Source":
    """Open an input; its rows are read while they are iterated over.

    Args:
        path: A file, or "-" for standard input.
        format: text, jsonl, json, csv, tsv, conll, parquet, or auto: by suffix, else JSON lines where the first
            character that is no space is `{`, else text. `json` is an array of objects, or JSON lines. By both,
            a document as SQuAD has it is a row a question: id, title, context, question, and answers (text and
            answer_start). `conll` is a row a sentence: tokens, tags (the last column), tags_1 (the one before it), ...
        field: The column that lines of text (and a slurped input) become.
        slurp: Take the whole input as one record.
        on_error: What a bad row does: raise its error, or come as a row that carries it.
        pairs: Two columns: an object of texts by name, {"56be": "Denver"}, is then a row for each name and its text.
        digest: Compute `Source.sha256`.

    Raises:
        DataError: There is no such file, or it cannot be opened.
        UsageError: There is no such format.
    """
    return Source(path, format, field, slurp, on_error == "fail", pairs, digest)


class Source:
    """Rows of one input, read once, lazily; iterating goes on where it stopped, as with a file.

    Attributes:
        name: The path as it was typed, or "standard input".
        format: "auto" until it is known: at once by suffix, else with the first row.
        columns: The header of CSV, TSV and Parquet, known with the first row.
        size_bytes: Size on disk of a regular file (standard input too, when it is one), else None.
        rows: How many rows were given out so far.
        position_bytes: How much of it was consumed; of a packed file, packed bytes. For Parquet by rows, roughly.
    """

    def __init__(
        self,
        path: str,
        format: str,
        field: str,
        slurp: bool,
        fail: bool,
        pairs: tuple[str, str] | None,
        digest: bool,
    ) -> None:
        if format not in _FORMATS:
            raise UsageError(f"no format {format!r}; there are {', '.join(_FORMATS)}", did_you_mean(format, _FORMATS))
        self._input = Input(path, digest)
        self.name = self._input.name
        self.size_bytes = self._input.size_bytes
        self.columns: list[str] | None = None
        self.rows = 0
        self.format = "text" if slurp else format
        if self.format == "auto":
            plain = path.lower().removesuffix(".gz")
            self.format = _SUFFIXES.get(os.path.splitext(plain)[1], "auto")
        self._field, self._slurp, self._fail, self._pairs = field, slurp, fail, pairs
        self._iterator = self._checked()

    @property
    def position_bytes(self) -> int:
        return self._input.position_bytes

    @property
    def share(self) -> float | None:
        """Between 0 and 1: how much of the input the rows given out so far are. None where its size is unknown."""
        return self._input.share

    @property
    def sha256(self) -> str:
        """Of the content read so far, unpacked (of Parquet, of the file, once it is read), in hexadecimal digits."""
        return self._input.sha256

    def __iter__(self) -> Iterator[Row]:
        return self._iterator

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._input.close()

    def _checked(self) -> Iterator[Row]:
        try:
            for row in self._rows():
                if row.error and self._fail:
                    raise row.error
                self.rows += 1
                yield row
        finally:
            self.close()
        if self.rows == 0 and self.columns:
            raise DataError(f"{self.name} has a header but no rows")
        if self.rows == 0:
            raise DataError(f"{self.name} is empty")

    def _rows(self) -> Iterator[Row]:
        if self.format == "parquet":
            return self._parquet()
        head, chunks = peek(self._input.chunks(), (*_FOREIGN, codecs.BOM_UTF8))
        for start, (what, command) in _FOREIGN.items():
            if head.startswith(start):
                raise DataError(f"{self.name} is {what}", self._input.convert(command) if command else None)
        chunks = chain((head.removeprefix(codecs.BOM_UTF8),), chunks)
        if self._slurp:
            return self._whole(chunks)
        if self.format in ("auto", "json"):
            first, chunks = first_character(chunks)
            if self.format == "json" and first == b"[":
                return self._array(chunks)
            if first == b"{":
                found, chunks = _squad.document(self._input, chunks, self._pairs)
                if found is not None:
                    self.format = "json"
                    return (Row(*each) for each in found)
            if first:
                self.format = "jsonl" if self.format == "json" or first == b"{" else "text"
        lines = self._input.lines(chunks)
        if self.format == "csv":
            return self._csv(lines)
        if self.format == "conll":
            return (Row(*each) for each in _conll.sentences(self._input, lines))
        return {"tsv": self._tsv, "text": self._text, "auto": self._text}.get(self.format, self._json_lines)(lines)

    def _whole(self, chunks: Iterator[bytes]) -> Iterator[Row]:
        raw = self._input.document(chunks, _input.MAX_LINE_BYTES, "without --slurp, every line is a record of its own")
        text = self._input.decode(raw).removesuffix("\n").removesuffix("\r")
        if text.strip():
            yield Row({self._field: text}, self.name)

    def _text(self, lines: "Iterator[Line]") -> Iterator[Row]:
        # Blank lines are records here: output line N has to belong to input line N.
        blank = True
        for line in lines:
            row = self._try(line, lambda text, where: {self._field: text})
            blank = blank and row.record is not None and not row.record[self._field].strip()
            yield row
        if blank:
            raise DataError(f"{self.name} is empty")

    def _json_lines(self, lines: "Iterator[Line]") -> Iterator[Row]:
        for line in lines:
            if line.raw is None or line.raw.strip():
                yield self._try(line, parse_line)

    def _try(self, line: "Line", parse: Any) -> Row:
        where = f"{self.name}:{line.number}"
        try:
            return Row(parse(self._input.decode_line(line).removesuffix("\r"), where), where)
        except DataError as error:
            return Row(None, where, error)

    def _array(self, chunks: Iterator[bytes]) -> Iterator[Row]:
        hint = f"JSON lines have no limit: jq -c '.[]' {shlex.quote(self._input.path)} > OUT.jsonl"
        text = self._input.decode(self._input.document(chunks, _input.MAX_ARRAY_BYTES, hint))
        return (Row(*each) for each in parse_array(text, self.name))

    def _csv(self, lines: "Iterator[Line]") -> Iterator[Row]:
        feed = CsvFeed(self._input, lines)
        # The limit is the csv module's own, for the whole process; 128 KB by default, which documents exceed.
        csv.field_size_limit(max(csv.field_size_limit(), _input.MAX_LINE_BYTES))
        reader = csv.reader(feed, strict=True)
        while True:
            feed.start_row()
            error: DataError | None = None
            fields: list[str] = []
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as problem:
                error = feed.explain(problem)
                error.__cause__ = problem
            error = feed.error or error
            if error or (fields and not feed.blank):
                yield from self._table_row(fields, feed.where, error)

    def _tsv(self, lines: "Iterator[Line]") -> Iterator[Row]:
        for line in lines:
            if line.raw is not None and not line.raw.strip(b" \r"):
                continue
            row = self._try(line, lambda text, where: {"fields": text.split("\t")})
            yield from self._table_row(row.record["fields"] if row.record else [], row.where, row.error)

    def _table_row(self, fields: list[str], where: str, error: DataError | None) -> Iterator[Row]:
        if self.columns is None:
            if error:
                raise error  # without a header there is nothing to go on with
            _check_header(fields, where)
            self.columns = fields
        elif error is None and len(fields) != len(self.columns):
            count = f"{len(fields)} field" + "s" * (len(fields) != 1)
            yield Row(None, where, DataError(f"{where} has {count} instead of {len(self.columns)}", KEEPS_GOING))
        else:
            yield Row(None if error else dict(zip(self.columns, fields, strict=True)), where, error)

    def _parquet(self) -> Iterator[Row]:
        if self._input.path == "-":
            raise DataError("Parquet cannot be read from a pipe", "save it to a file first, and give the file")
        if self.name.lower().endswith(".gz"):
            raise DataError(
                f"{self.name} is packed twice; Parquet packs its columns itself", f"gunzip {shlex.quote(self.name)}"
            )
        import pyarrow
        import pyarrow.parquet

        done = 0
        try:
            file = pyarrow.parquet.ParquetFile(self._input.path)
            self.columns = list(file.schema_arrow.names)
            _check_header(self.columns, self.name)
            total = file.metadata.num_rows
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                for done, values in enumerate(batch.to_pylist(), done + 1):  # noqa: B020 - it goes on counting
                    where = f"{self.name}: row {done}"
                    try:
                        row = Row(_plain(values), where)
                    except UnicodeDecodeError:
                        row = Row(None, where, DataError(f"{where} has a column of bytes that are not UTF-8 text"))
                    yield row
                self._input.position_bytes = (self.size_bytes or 0) * done // total
            self._input.hash_file()
        except (OSError, pyarrow.ArrowException, ValueError) as error:
            after = f" after row {done}" if done else ""
            raise DataError(f"{self.name} is not Parquet or is damaged{after}") from error


def _check_header(names: list[str], where: str) -> None:
    if "" in names:
        hint = "give it a name; with pandas: df.to_csv(path, index=False)"
        raise DataError(f"{where}: column {names.index('') + 1} of the header has no name", hint)
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise DataError(f"{where}: the header names {twice!r} twice", "give every column its own name")


def _plain(value: Any) -> Any:
    """A value of Parquet as JSON has it: no NaN, dates as ISO 8601, bytes as the text they hold."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
