"""A split of a data set: records in an Arrow table, and where each of them stands."""

import bisect
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from hfcli.errors import DataError, did_you_mean
from hfcli.records import _plain, dumps

_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Split:
    """Records, read when they are asked for.

    Attributes:
        name: "train", or the name of the file.
        table: The cells. Of the Hub and of `save_to_disk` memory-mapped, of local files in memory.
        lines: The line each row of the table begins on, None where rows are counted.
        bad: Why lines could not be read; each message begins with "path:line".
        class_names: Names of the classes, by column, where the data set itself names them.
        source: Name of the data set it belongs to, such as "stanfordnlp/imdb".
        subset: Its configuration, None where there is but one.
        revision: The commit of a Hub data set.
        origins: Of every file in the table, its first row and what stands before the number of a line or row.
        rows: Rows of the table that are meant, in their order; None for all.
        coded: Whether cells are JSON text, so that 1, "1" and true stay apart.
    """

    name: str
    table: pa.Table
    lines: np.ndarray | None = None
    bad: list[DataError] = field(default_factory=list)
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    source: str = ""
    subset: str | None = None
    revision: str | None = None
    origins: tuple[tuple[int, str], ...] = ()
    rows: np.ndarray | None = None
    coded: bool = False

    def __len__(self) -> int:
        return len(self.table) if self.rows is None else len(self.rows)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.table.column_names)

    @property
    def title(self) -> str:
        """Its full name: "stanfordnlp/imdb train", "nyu-mll/glue rte validation", "tickets.csv"."""
        parts = [self.source, self.subset, self.name]
        return self.name if self.source == self.name else " ".join(part for part in parts if part)

    def where(self, index: int) -> str:
        """Where a record stands: "tickets.csv:44", "stanfordnlp/imdb train row 44". Rows are counted from 1."""
        row = index if self.rows is None else int(self.rows[index])
        origins = self.origins or ((0, f"{self.title} row " if self.lines is None else f"{self.title}:"),)
        first, before = origins[bisect.bisect_right(origins, row, key=lambda origin: origin[0]) - 1]
        return f"{before}{row - first + 1 if self.lines is None else self.lines[row]}"

    def values(self, column: str) -> list[Any]:
        """The cells of a column: plain values as in JSON, None for a missing one.

        Raises:
            DataError: There is no such column.
        """
        return self._cells(column, self.rows)

    def sample(self, column: str, n: int = 1000) -> list[Any]:
        """At most `n` cells of a column, evenly spread: data sets are often sorted by label."""
        if len(self) <= n:
            return self.values(column)
        return self._cells(column, self._rows(np.linspace(0, len(self) - 1, n).astype(np.int64)))

    def records(self, indices: Sequence[int] | np.ndarray, fields: Mapping[str, str | None]) -> list[dict[str, Any]]:
        """Records as a task reads them.

        Args:
            indices: Which ones.
            fields: The column of each field; a field without one is left out.
        """
        rows = self._rows(np.asarray(indices, dtype=np.int64))
        cells = {name: self._cells(column, rows) for name, column in fields.items() if column is not None}
        return [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]

    def select(self, indices: Sequence[int] | np.ndarray) -> "Split":
        """Some of the records, in the order given; nothing is copied."""
        return replace(self, rows=self._rows(np.asarray(indices, dtype=np.int64)))

    def draw(self, n: int | None, seed: int) -> "Split":
        """`n` records drawn at random, in their old order; all of them where there are no more, or for None."""
        if n is None or n >= len(self):
            return self
        return self.select(np.sort(np.random.default_rng([seed, n]).choice(len(self), n, replace=False)))

    def digest(self, columns: Sequence[str]) -> str:
        """SHA-256 of the content of some columns, in hexadecimal: the same data in another file have the same."""
        known = hashlib.sha256()
        for start in range(0, len(self), _AT_ONCE):
            indices = np.arange(start, min(start + _AT_ONCE, len(self)))
            for record in self.records(indices, {column: column for column in columns}):
                known.update(dumps(record).encode() + b"\n")
        return known.hexdigest()

    def _rows(self, indices: np.ndarray) -> np.ndarray:
        return indices if self.rows is None else self.rows[indices]

    def _cells(self, column: str, rows: np.ndarray | None) -> list[Any]:
        if column not in self.columns:
            there = ", ".join(self.columns)
            raise DataError(f"{self.title} has no column {column}; it has {there}", did_you_mean(column, self.columns))
        data = self.table.column(column)
        cells = data.to_pylist() if rows is None else _gather(data, rows)
        if self.coded:
            return [None if cell is None else json.loads(cell) for cell in cells]
        kind = data.type
        if pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
            return cells
        return [_cell(cell) for cell in cells]


def class_names(features: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Names of the classes of every column of classes or of lists of them, out of `Features.to_dict()`."""
    found = {}
    for column, feature in features.items():
        inner = feature[0] if isinstance(feature, list) and feature else feature
        if isinstance(inner, dict) and isinstance(inner.get("feature"), dict):
            inner = inner["feature"]
        if isinstance(inner, dict) and inner.get("_type") == "ClassLabel":
            found[column] = tuple(map(str, inner.get("names") or ()))
    return found


def _gather(data: pa.ChunkedArray, rows: np.ndarray) -> list[Any]:
    """Cells of some rows, chunk by chunk: `take` on the whole copies it, and fails where texts are over 2 GB."""
    ends = np.cumsum([len(chunk) for chunk in data.chunks])
    chunks = np.searchsorted(ends, rows, side="right")
    order = np.argsort(chunks, kind="stable")
    cells: list[Any] = [None] * len(rows)
    for positions in _runs(order, chunks):
        number = int(chunks[positions[0]])
        chunk = data.chunk(number)
        start = int(ends[number]) - len(chunk)
        taken = chunk.take(pa.array(rows[positions] - start)).to_pylist()
        for position, cell in zip(positions.tolist(), taken, strict=True):
            cells[position] = cell
    return cells


def _runs(order: np.ndarray, chunks: np.ndarray) -> Iterator[np.ndarray]:
    cuts = np.flatnonzero(np.diff(chunks[order])) + 1
    return (run for run in np.split(order, cuts) if len(run))


def _cell(value: Any) -> Any:
    """As JSON has it; bytes that are no text, such as a picture's, stay bytes."""
    try:
        return _plain(value)
    except UnicodeDecodeError:
        return value
