"""What data sets say an answer is: SQuAD's `{"text": [...], "answer_start": [...]}`, lists, and plain texts."""

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hfcli.errors import DataError
from hfcli.tasks._text import check

_PYTHON = re.compile(r"\s*(\[\s*)?\{\s*'(text|answer_start)'\s*:")
_FORMS = 'a text, or {"text": [...], "answer_start": [...]}'


class Answers(NamedTuple):
    """The right answers to a question, () where the passage has none.

    Attributes:
        texts: Each as somebody gave it.
        starts: The character of the passage where each begins; None where that is not said.
    """

    texts: tuple[str, ...]
    starts: tuple[int | None, ...]


def read(cell: Any, start: Any = None, column: str = "answers") -> Answers:
    """The answers in a cell.

    Args:
        cell: `{"text": [...], "answer_start": [...]}`, a list of such with one each, a list of texts, a text, JSON of
            any of these, or nothing (null, "", []) for a question that the passage does not answer.
        start: Of a text: the cell that says where it begins.
        column: Its name, for errors.

    Raises:
        DataError: It is none of these.
    """
    if isinstance(cell, str) and cell.lstrip()[:1] in ("{", "["):
        cell = _from_json(cell, column)
    if cell is None or cell == "" or cell == []:
        return Answers((), ())
    if isinstance(cell, Mapping):
        return _pairs(_as_list(cell.get("text")), _as_list(cell.get("answer_start")), column)
    if isinstance(cell, list):
        inner = [part if isinstance(part, Mapping) else {"text": part} for part in cell]
        return _pairs([part.get("text") for part in inner], [part.get("answer_start") for part in inner], column)
    return _pairs([cell], [start], column)


def _from_json(cell: str, column: str) -> Any:
    """What a text is JSON of, where that can be answers; else the text, since an answer may begin with a bracket.

    Raises:
        DataError: It is Python's way of writing answers.
    """
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(cell)
        if isinstance(found, dict) and "text" in found:
            return found
        if isinstance(found, list) and all(isinstance(part, str | dict) for part in found):
            return found
    if _PYTHON.match(cell):
        raise DataError(f"column {column} has answers as Python writes them, not as JSON", "write them with json.dumps")
    return cell


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _pairs(texts: Sequence[Any], starts: Sequence[Any], column: str) -> Answers:
    if starts and len(starts) != len(texts):
        raise DataError(f"column {column} has {len(texts)} texts and {len(starts)} places of them")
    found = [check(text, f"column {column}") for text in texts]
    if not all(text.strip() for text in found):
        raise DataError(f"column {column} has an empty answer; [] is for a question without one")
    return Answers(tuple(found), tuple(_start(start, column) for start in starts) or (None,) * len(found))


def _start(cell: Any, column: str) -> int | None:
    if cell is None or cell == "":
        return None
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    if isinstance(cell, str) and cell.strip().isdecimal():
        cell = int(cell)
    if type(cell) is not int:
        raise DataError(f"column {column} says that an answer begins at {cell!r}; a character's number is meant")
    return cell


def located(answers: Answers, context: str) -> tuple[Answers, bool]:
    """The same with every place right.

    A place that does not hold the text, or none, is found anew where the text stands in the passage once.

    Returns:
        The answers, and whether a place that was given was wrong.

    Raises:
        DataError: A text is not in the passage, or several times and it is not said which one is meant.
    """
    starts, repaired = [], False
    for text, start in zip(*answers, strict=True):
        if start is not None and start >= 0 and context.startswith(text, start):
            starts.append(start)
            continue
        first = context.find(text)
        if first < 0:
            raise DataError(f"the answer {_short(text)} is not in the context; {_FORMS} copied from there is meant")
        if context.find(text, first + 1) >= 0:
            where = f"at character {start:,}" if start is not None else "at a place that is said"
            raise DataError(f"the answer {_short(text)} is not {where}, and several times in the context")
        repaired = repaired or start is not None
        starts.append(first)
    return Answers(answers.texts, tuple(starts)), repaired


def _short(text: str) -> str:
    return json.dumps(text if len(text) <= 40 else text[:39] + "…", ensure_ascii=False)
