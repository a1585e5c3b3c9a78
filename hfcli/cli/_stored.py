"""Stored answers to questions and what they should be, read from files and put side by side."""

import contextlib
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hfcli.errors import DataError, did_you_mean
from hfcli.records import Row, Source, read
from hfcli.records._input import where_nothing_goes_on
from hfcli.records._json import kind

_NULL = "no_answer_probability"
_SWAPPED = "are --predictions and --references the other way round?"


class Predictions(NamedTuple):
    """Stored answers.

    Attributes:
        name: Of the file.
        answers: By id, None for no answer.
        null: How strongly no answer is preferred, by id; {} where that was not stored.
    """

    name: str
    answers: dict[str, str | None]
    null: dict[str, float]


class References(NamedTuple):
    """The right answers.

    Attributes:
        name: Of the file.
        answers: By id, [] where a question has none.
        sha256: Of the content, unpacked.
        groups: By id; {} where none are wanted.
    """

    name: str
    answers: dict[str, list[str]]
    sha256: str
    groups: dict[str, str]


class Paired(NamedTuple):
    """What is measured, question by question, in the order of the references.

    Attributes:
        ids: Of the questions.
        predictions: None for no answer.
        references: [] where there is none.
        null: None where it was not stored.
        notes: What the official script does with ids that are not on both sides.
        missing: How many questions have no prediction.
        unknown: How many predictions belong to no question.
    """

    ids: list[str]
    predictions: list[str | None]
    references: list[list[str]]
    null: list[float] | None
    notes: list[str]
    missing: int
    unknown: int


def predictions(path: str, column: str) -> Predictions:
    """Read answers.

    Args:
        path: Records with `id`, the column, and if need be `no_answer_probability`; or an object of answers by id.
        column: Which holds the answer.

    Raises:
        DataError: Something is no such record, or an id is there twice.
    """
    answers: dict[str, str | None] = {}
    null: dict[str, float] = {}
    with read(path, on_error="record", pairs=("id", column)) as source:
        for key, where, record in _records(source):
            if column not in record:
                hint = did_you_mean(column, record) or "--prediction-column NAME names another"
                raise _missing(where, column, record, _SWAPPED if "answers" in record else hint)
            answer = record[column]
            if not isinstance(answer, str | None):
                raise DataError(
                    f"{where} has a prediction that is {kind(answer)}, not a text or null (id {key})",
                    f"--prediction-column NAME names another column; there is {', '.join(record)}",
                )
            answers[key] = answer
            if record.get(_NULL) not in (None, ""):
                null[key] = _number(record[_NULL], where, key)
    if 0 < len(null) < len(answers):
        without = next(key for key in answers if key not in null)
        counted = f"{len(answers) - len(null):,} of {len(answers):,} predictions"
        raise DataError(
            f"{counted} of {source.name} have no {_NULL} (id {without})", "give it to all of them, or to none"
        )
    return Predictions(source.name, answers, null)


def references(path: str, group_by: str | None, column: str = "answers") -> References:
    """Read right answers.

    Args:
        path: Records with `id` and `answers` (a text, a list of texts, `{"text": [...]}`, `[{"text": ...}]`, or JSON of
            these; nothing for a question without), or a document of SQuAD.
        group_by: A column that says which group a question belongs to.
        column: Which holds the answers.

    Raises:
        DataError: Something is no such record, or an id is there twice.
    """
    answers: dict[str, list[str]] = {}
    groups: dict[str, str] = {}
    from hfcli.metrics.groups import name

    with read(path, on_error="record", pairs=("id", "answer"), digest=True) as source:
        for key, where, record in _records(source):
            if column not in record:
                raise _missing(where, column, record, _SWAPPED if "answer" in record else None)
            answers[key] = _texts(record[column], where, key)
            if group_by is not None:
                if group_by not in record:
                    raise _missing(where, group_by, record, did_you_mean(group_by, record))
                groups[key] = name(record[group_by])
    return References(source.name, answers, source.sha256, groups)


def paired(given: Predictions, right: References, v2: bool) -> Paired:
    """Put answers beside what they should be, as the official script of that version does.

    By 1.1 a question without a prediction is wrong, by 2.0 it is left out; predictions of no question are ignored.

    Raises:
        DataError: No id is in both, or a question has no answers by the rules of 1.1.
    """
    common = [key for key in right.answers if key in given.answers]
    if not common:
        one, other = next(iter(given.answers)), next(iter(right.answers))
        hint = f"the ids have to be the same: {given.name} begins with {one}, {right.name} with {other}"
        raise DataError(f"no id of {given.name} is in {right.name}", hint)
    total = len(right.answers)
    if not v2:
        no_unanswerable(right.answers.values(), right.name)
    missing, unknown = total - len(common), len(given.answers) - len(common)
    notes = []
    if missing:
        verb, be = ("has", "is") if missing == 1 else ("have", "are")
        what = f"{be} left out" if v2 else "score" + "s" * (missing == 1) + " 0"
        notes.append(f"{missing:,} of {total:,} questions {verb} no prediction and {what}, as in the official script")
    if unknown:
        many = "1 prediction belongs" if unknown == 1 else f"{unknown:,} predictions belong"
        notes.append(f"{many} to no question of {right.name} and {'is' if unknown == 1 else 'are'} ignored")
    keys = common if v2 else list(right.answers)
    null = [given.null[key] for key in keys] if v2 and given.null else None
    texts = [right.answers[key] for key in keys]
    return Paired(keys, [given.answers.get(key) for key in keys], texts, null, notes, missing, unknown)


def no_unanswerable(references: Collection[Sequence[str]], name: str) -> None:
    """Refuse what the rules of 1.1 cannot measure.

    Raises:
        DataError: Some questions have no answer.
    """
    none = sum(not texts for texts in references)
    if none:
        raise DataError(
            f"{none:,} of {len(references):,} questions of {name} have no answer, and squad needs one",
            "--metric squad_v2",
        )


def _records(source: Source) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Id, place and record of each row; no id comes twice."""
    places: dict[str, str] = {}
    for row in source:
        record = _record(source, row)
        if "id" not in record:
            raise _missing(row.where, "id", record, None)
        key = record["id"]
        if key in (None, "") or isinstance(key, bool) or not isinstance(key, str | int):
            said = "an empty id" if key in (None, "") else f"an id that is {kind(key)}"
            raise DataError(
                f"{row.where} has {said}; a text or a whole number is wanted", "each question has its own id"
            )
        key = str(key)
        if key in places:
            raise DataError(f"{row.where} has the id {key} again, after {places[key]}", "keep one of the two")
        places[key] = row.where
        yield key, row.where, record


def _record(source: Source, row: Row) -> Mapping[str, Any]:
    if source.format == "text":
        hint = "JSONL, JSON, CSV, TSV and Parquet have columns"
        raise DataError(f"{source.name} is lines of text, without ids", hint)
    if row.record is None:
        assert row.error is not None
        raise where_nothing_goes_on(row.error)
    return row.record


def _missing(where: str, column: str, record: Mapping[str, Any], hint: str | None) -> DataError:
    there = ", ".join(list(record)[:8]) + ", ..." * (len(record) > 8)
    return DataError(
        f"{where} has no column {column}; there is {there or 'none'}", hint or did_you_mean(column, record)
    )


def _number(value: Any, where: str, key: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{where} has a {_NULL} that is no number (id {key})", "a number from 0 to 1 is wanted")
    return number


def _texts(cell: Any, where: str, key: str) -> list[str]:
    """The texts of a cell of answers, in whatever form data sets to learn from may have them."""
    if isinstance(cell, str) and cell.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(ValueError, RecursionError):  # an answer may begin so
            cell = json.loads(cell)
    if cell is None or cell == "":
        return []
    texts = cell.get("text") if isinstance(cell, dict) else cell
    found = []
    for each in texts if isinstance(texts, list) else [texts]:
        text = each.get("text") if isinstance(each, dict) else each
        if not isinstance(text, str):
            hint = 'for example ["Denver Broncos"], or [] where there is no answer'
            raise DataError(f"{where} has an answer that is {kind(text)}, not a text (id {key})", hint)
        found.append(text)
    return found
