"""Stored outputs and what they should be, read side by side: line by line, or record by record."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Self

from hfcli.errors import DataError
from hfcli.records import Row, Source, read
from hfcli.records._input import where_nothing_goes_on


class Together(NamedTuple):
    """What stands in one place of all files.

    Attributes:
        where: The place in the first file.
        predictions: A record of each system.
        references: A record of each file of references; the prediction's own where there are none.
        id: Of the record, None where it has none.
    """

    where: str
    predictions: list[Mapping[str, Any]]
    references: list[Mapping[str, Any]]
    id: str | None


class Outputs:
    """Files of outputs and of references, iterated over once, together.

    Args:
        predictions: A file for each system.
        references: Files of references; [] where the predictions' records have them.

    Raises:
        DataError: A file is not there.
    """

    def __init__(self, predictions: Sequence[str], references: Sequence[str]) -> None:
        self._stack = ExitStack()
        self.apart = bool(references)
        self._systems = [self._stack.enter_context(_open(path)) for path in predictions]
        self._references = [self._stack.enter_context(_open(path)) for path in references]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    @property
    def share(self) -> float | None:
        """How much of the first file has been read, between 0 and 1; None where its size is unknown."""
        return self._systems[0].share

    @property
    def digests(self) -> list[str]:
        """SHA-256 of each file of references, as far as it has been read."""
        return [source.sha256 for source in self._references]

    def __iter__(self) -> Iterator[Together]:
        """Places in order.

        Raises:
            DataError: A record cannot be read, files are of different lengths, or ids differ.
        """
        sources = [*self._systems, *self._references]
        rows = [iter(source) for source in sources]
        first = len(self._systems)
        while True:
            found = [next(each, None) for each in rows]
            there = [row for row in found if row is not None]
            if not there:
                return
            if len(there) < len(found):
                self._uneven(sources)
            records = [_record(row) if row.record is None else row.record for row in there]
            key = _same_id(records, there) if any("id" in record for record in records) else None
            yield Together(there[0].where, records[:first], records[first:] or records[:1], key)

    def _uneven(self, sources: Sequence[Source]) -> NoReturn:
        """Say how long the files are, whose lengths differ."""
        for source in sources:
            for _ in source:
                pass
        counts = ", ".join(f"{source.name} has {source.rows:,}" for source in sources)
        of = "lines" if all(source.format == "text" for source in sources) else "records"
        raise DataError(
            f"each prediction needs its reference, and the files are of different lengths: {counts} {of}",
            "an output that is missing has to stand there as an empty line",
        )


def _open(path: str) -> Source:
    return read(path, on_error="record", digest=True)


def _record(row: Row) -> Mapping[str, Any]:
    if row.record is None:
        assert row.error is not None
        raise where_nothing_goes_on(row.error)
    return row.record


def _same_id(records: Sequence[Mapping[str, Any]], rows: Sequence[Row]) -> str | None:
    """The id, which has to be the same in all files that have one.

    Raises:
        DataError: It is not: the files are in different orders.
    """
    known = [(_id(record["id"]), row.where) for record, row in zip(records, rows, strict=True) if "id" in record]
    (first, where), *rest = known
    for other, place in rest:
        if other != first:
            raise DataError(
                f"{where} has the id {first}, and {place} the id {other}: the files are in different orders",
                "sort both by id",
            )
    return first


def _id(cell: Any) -> str | None:
    """A number in one file may be text in another."""
    return None if cell is None else str(cell)
