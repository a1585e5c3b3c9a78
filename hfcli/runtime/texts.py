"""Texts to measure a language model on: of a file, of standard input, of a data set."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from hfcli import records
from hfcli.errors import DataError, did_you_mean
from hfcli.events import Tell
from hfcli.metrics.groups import name as name_of_group
from hfcli.options.reading import DataOptions
from hfcli.records._input import where_nothing_goes_on
from hfcli.runtime import data, measured
from hfcli.runtime.splits import Split

USUAL = DataOptions("Salesforce/wikitext", "wikitext-2-raw-v1", eval_split="test")
"""What language models are compared on; its lines are one text, with blank lines between, as everybody reads it."""
_BETWEEN = "\n\n"
_NAMES = ("text", "content", "document", "sentence", "story", "page", "body")
_AT_ONCE = 512


class Text(NamedTuple):
    """One text.

    Attributes:
        text: The text.
        where: Its place, for errors: "book.txt:3".
        id: Its id, None where it has none.
        group: Its group, "" where none are wanted.
    """

    text: str
    where: str
    id: str | None
    group: str


class Texts(NamedTuple):
    """Texts, read once.

    Attributes:
        title: Where they come from, for people.
        rows: The texts that are not blank.
        name: What they are, with their version, for signatures; known once they are read.
        share: So many texts to the share of all that they are, between 0 and 1; None where that is unknown.
        blank: Told at the end how many were left out.
    """

    title: str
    rows: Iterator[Text]
    name: Callable[[], str]
    share: Callable[[float], float | None]
    blank: Callable[[], int]


def of_file(path: str, column: str | None, slurp: bool, group_by: str | None) -> Texts:
    """Texts of a file, or of standard input for "-": one a line, one a record, or all of it as one.

    Raises:
        DataError: It is not there. While it is read: a line cannot be read, or a record has no such column.
    """
    source = records.read(path, field=column or "text", slurp=slurp, on_error="record", digest=True)
    blank = 0

    def rows() -> Iterator[Text]:
        nonlocal blank
        found = column
        with source:
            for row in source:
                if row.error is not None:
                    raise where_nothing_goes_on(row.error)
                record = row.record or {}
                found = found or _column(record, row.where)
                text = _text(record, found, row.where)
                if not text.strip():
                    blank += 1
                    continue
                key = record.get("id")
                yield Text(text, row.where, None if key is None else str(key), _group(record, group_by, row.where))

    def name() -> str:
        title = "stdin" if path == "-" else source.name.rpartition("/")[2].removesuffix(".gz")
        return f"{title}@{source.sha256[:7]}{f':{column}' if column else ''}"

    def share(done: float) -> float | None:
        read = source.share
        if slurp:
            return min(done, 1.0)
        return None if read is None or not source.rows else read * done / source.rows

    return Texts(source.name, rows(), name, share, lambda: blank)


def of_data(
    options: DataOptions, column: str | None, slurp: bool, group_by: str | None, offline: bool, tell: Tell
) -> Texts:
    """Texts of a data set, WikiText-2 where none is named: one a record, or all of it as one.

    Raises:
        UsageError: The options contradict what is there.
        DataError: It is not there, or has no such column.
        ModelError: The Hub, or the way to it.
    """
    usual = options.dataset is None
    first = options.max_eval_samples if usual or slurp else None  # records that are drawn make no text together
    if first is not None:
        options = replace(options, max_eval_samples=None)
    if usual:
        chosen = options.eval_split or USUAL.eval_split
        options = replace(USUAL, eval_split=chosen)
    split = data.one_split(options, offline=offline, tell=tell)
    sample = {name: cells[0] for name in split.columns if (cells := split.sample(name, 1))}
    found = column or _column(sample, split.title)
    name = measured.name_of_data(options, split, [found], [column] if column else [])
    groups = measured.groups(split, group_by)
    if usual or slurp:
        cells = split.values(found)[:first]
        whole = _BETWEEN.join(_text({found: cell}, found, split.title) for cell in cells)
        name += ":joined" if first is None else f":first{first}:joined"
        one = iter([Text(whole, split.title, None, "")])
        return Texts(split.title, one, lambda: name, lambda done: min(done, 1.0), lambda: 0)
    blank = 0

    def rows() -> Iterator[Text]:
        nonlocal blank
        for index, key, text in _cells(split, found):
            if not text.strip():
                blank += 1
                continue
            yield Text(text, split.where(index), key, groups[index])

    return Texts(split.title, rows(), lambda: name, lambda done: done / len(split), lambda: blank)


def _cells(split: Split, column: str) -> Iterator[tuple[int, str | None, str]]:
    fields = {"text": column} | ({"id": "id"} if "id" in split.columns else {})
    for start in range(0, len(split), _AT_ONCE):
        indices = range(start, min(start + _AT_ONCE, len(split)))
        for index, record in zip(indices, split.records(indices, fields), strict=True):
            key = record.get("id")
            yield index, None if key is None else str(key), _text(record, "text", split.where(index))


def _column(record: Mapping[str, Any], where: str) -> str:
    """The column with the text: by its name, else the only one that holds text."""
    found = next((name for name in _NAMES if name in record), None)
    texts = [name for name, cell in record.items() if isinstance(cell, str) and name != "id"]
    if found is None and len(texts) != 1:
        there = ", ".join(record)
        raise DataError(f"{where}: no column is called like a text; there is {there}", "--text-column NAME names it")
    return found or texts[0]


def _text(record: Mapping[str, Any], column: str, where: str) -> str:
    if column not in record:
        there = ", ".join(record)
        raise DataError(f"{where} has no column {column}; there is {there}", did_you_mean(column, record))
    cell = record[column]
    if cell is None:
        return ""
    if not isinstance(cell, str):
        raise DataError(f"{where}: the column {column} holds no text", "--text-column NAME names another")
    return cell


def _group(record: Mapping[str, Any], column: str | None, where: str) -> str:
    if column is None:
        return ""
    if column not in record:
        there = ", ".join(record)
        raise DataError(
            f"{where} has no column {column} for --group-by; there is {there}", did_you_mean(column, record)
        )
    return name_of_group(record[column])
