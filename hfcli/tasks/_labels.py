"""What a column of labels means: classes, several classes, or numbers."""

import ast
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hfcli.errors import DataError, did_you_mean

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
_MANY = 30  # different whole numbers: rather amounts than classes
_ALLOWED = "a label is a text, a number, true or false, or a list of these"
_UNLABELLED = (None, "", -1, "-1")


class Labels(NamedTuple):
    """What a model learns to say.

    Attributes:
        problem_type: As in `config.problem_type`.
        names: The classes in the order of the model's outputs; () for a number.
    """

    problem_type: str
    names: tuple[str, ...]


def infer(
    values: Iterable[Any], class_names: Sequence[str], problem_type: str | None, model_names: Sequence[str]
) -> Labels:
    """What the cells of a label column are.

    Args:
        values: All of them, as read.
        class_names: Names that the data set gives its ids, or ().
        problem_type: What the user says they are, or None.
        model_names: Names that the model was trained to say, or (). Where they are those of the data, their order and
            spelling stay, and with them what the model has learnt.

    Raises:
        DataError: They are no labels, or could be two things.
    """
    counts = _counts(values)
    labelled = {value: n for value, n in counts.items() if value not in _UNLABELLED}
    if not labelled:
        raise DataError("there is no label: every one is empty, null or -1, which stand for unlabelled")
    problem_type = problem_type or _problem_type(labelled, class_names)
    if problem_type == REGRESSION:
        if all(_as_number(value) is None for value in counts):  # of some, who reads them says which
            _number(next(iter(counts)))
        return Labels(REGRESSION, ())
    names = list(class_names) or _names(labelled, problem_type)
    if len(names) < 2 and problem_type == SINGLE:
        also = "; -1 stands for unlabelled" if len(counts) > len(labelled) else ""
        raise DataError(f"all labels are the same, {_list(names)}: there is nothing to learn{also}")
    return Labels(problem_type, _as_model(names, model_names))


def _counts(values: Iterable[Any]) -> dict[Any, int]:
    """How often each cell that holds something is there, lists as tuples."""
    cells = list(values)
    if not {bool, list}.isdisjoint(map(type, cells)):
        # True equals 1, and would be counted with it.
        cells = [
            tuple(cell) if isinstance(cell, list) else _name(cell) if isinstance(cell, bool) else cell for cell in cells
        ]
    try:
        return {value: n for value, n in Counter(cells).items() if not _missing(value)}
    except TypeError:
        raise DataError(f"there are objects among the labels; {_ALLOWED}") from None


def _problem_type(counts: Mapping[Any, int], class_names: Sequence[str]) -> str:
    """Which of the three it is, from different labels and how often each stands there."""
    lists = [value for value in counts if isinstance(value, tuple) or _is_list_text(value)]
    if lists:
        if len(lists) < len(counts):
            other = next(value for value in counts if value not in lists)
            hint = f"--problem-type {SINGLE} takes each as it is written" if isinstance(lists[0], str) else None
            raise DataError(f"some labels are lists, some are not: {_shown(lists[0])} and {_shown(other)}", hint)
        return MULTI
    if class_names:
        return SINGLE
    numbers = [_as_number(value) for value in counts]
    total, ways = sum(counts.values()), f"--problem-type {SINGLE}, or {REGRESSION}"
    if None not in numbers:
        if any(number != int(number) for number in numbers if number is not None):
            return REGRESSION
        if any(isinstance(value, float) or not _is_whole(_name(value)) for value in counts):
            raise DataError(
                f"labels such as {_list([_shown(value) for value in counts], 3)} are classes or amounts", ways
            )
        if len(counts) > _MANY and 5 * len(counts) > total:
            raise DataError(f"{len(counts):,} different whole numbers in {total:,} labels are classes or amounts", ways)
    elif len(counts) > _MANY and 2 * len(counts) > total:
        some = _list([_shown(value) for value in counts], 3)
        amounts = 2 * numbers.count(None) < len(numbers)
        raise DataError(
            f"{len(counts):,} different values in {total:,} records are hardly labels: {some}",
            f"--problem-type {REGRESSION} --on-error skip leaves out what is no number"
            if amounts
            else f"--label-column NAME, or --problem-type {SINGLE}",
        )
    return SINGLE


def _names(counts: Mapping[Any, int], problem_type: str) -> list[str]:
    """Names of classes in natural order: "2" before "10"."""
    if problem_type == SINGLE:
        return sorted({_name(value) for value in counts}, key=_natural)
    sets = [_items(value) for value in counts]
    width = len(sets[0])
    flags = all(len(items) == width and all(item in (0, 1) for item in items) for items in sets)
    if flags and any(len(set(items)) < width for items in sets):
        raise DataError(
            f"labels such as {_shown(sets[0])} have a 0 or 1 for each class; a list names those that apply",
            f"{[i for i, item in enumerate(sets[0]) if item]} in place of {_shown(sets[0])}",
        )
    return sorted({_name(item) for items in sets for item in items} - {"-1", ""}, key=_natural)


def _as_model(names: Sequence[str], model_names: Sequence[str]) -> tuple[str, ...]:
    folded = {name.casefold() for name in names}
    same = len(folded) == len(names) and folded == {name.casefold() for name in model_names}
    numbered = list(names) == [str(i) for i in range(len(names))]
    return tuple(model_names if len(names) == len(model_names) and (same or numbered) else names)


class Targets:
    """Cells of a label column to what the model learns: a class id, a list of them, a number; None where unlabelled.

    Args:
        labels: What `infer` gave, or the names of a trained model.
        class_names: Names that the data set gives its ids, or ().
    """

    def __init__(self, labels: Labels, class_names: Sequence[str] = ()) -> None:
        self.labels = labels
        self._ids = {name: i for i, name in enumerate(labels.names)}
        folded = Counter(name.casefold() for name in labels.names)
        self._folded = {name.casefold(): i for name, i in self._ids.items() if folded[name.casefold()] == 1}
        self._numbered = any(_is_whole(name) for name in labels.names)
        self._class_names = class_names
        self._known: dict[tuple[type, Any], int] = {}

    def __call__(self, value: Any) -> int | float | list[int] | None:
        """The target.

        Raises:
            DataError: The value is not one of the labels.
        """
        if self.labels.problem_type == REGRESSION:
            return _number(value)
        if self.labels.problem_type == MULTI:
            if value is None or value == "" or _missing(value):
                return None
            return sorted({self._id(item) for item in _items(value)})
        if isinstance(value, list | tuple | dict):
            raise DataError(f"{_shown(value)} is not one label")
        return None if value in _UNLABELLED or _missing(value) else self._id(value)

    def _id(self, value: Any) -> int:
        key = (type(value), value)
        try:
            return self._known[key]
        except KeyError:
            found = self._known[key] = self._find(value)
            return found
        except TypeError:
            raise self._not_a_label(value) from None

    def _find(self, value: Any) -> int:
        if self._class_names and type(value) is int:
            if not 0 <= value < len(self._class_names):
                raise self._not_a_label(value)
            value = self._class_names[value]
        name = _name(value)
        found = self._ids.get(name, self._folded.get(name.casefold()))
        if found is None and _is_whole(name) and not self._numbered and 0 <= int(name) < len(self.labels.names):
            found = int(name)  # ids of a data set without names
        if found is None:
            raise self._not_a_label(value)
        return found

    def _not_a_label(self, value: Any) -> DataError:
        near = did_you_mean(value, self.labels.names) if isinstance(value, str) else None
        return DataError(f"{_shown(value)} is not a label; there is {_list(self.labels.names)}", near)


def _missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _name(value: Any) -> str:
    """How a label is called."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and value == value // 1):
        return str(int(value))
    if isinstance(value, float):
        return str(value)
    raise DataError(f"{_shown(value)} is not a label; {_ALLOWED}")


def _number(value: Any) -> float | None:
    """A regression target, None where there is none."""
    if _missing(value):
        return None
    number = _as_number(value)
    if number is None:
        raise DataError(f"{_shown(value)} is not a number", f"--problem-type {SINGLE}")
    return number


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _items(value: Any) -> list[Any]:
    """The labels of one record: a list, one written out in a cell, or names with commas between."""
    if isinstance(value, list | tuple):
        return list(value)
    if not isinstance(value, str):
        return [value]
    if _is_list_text(value):
        try:
            return list(ast.literal_eval(value))
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            raise DataError(f"{_shown(value)} is not a list of labels", "['sports', 'politics']") from None
    return [name.strip() for name in value.split(",") if name.strip()]


def _is_list_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip().startswith("[") and value.strip().endswith("]")


def _is_whole(name: str) -> bool:
    return re.fullmatch(r"\s*[+-]?\d+\s*", name) is not None


def _natural(name: str) -> tuple[Any, ...]:
    number = _as_number(name)
    if number is not None:
        return (0, number, name)
    return (1, [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", name.casefold()))], name)


def _shown(value: Any) -> str:
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 60 else text[:59] + "…"


def _list(names: Sequence[str], most: int = 20) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")
