"""Which column of a data set is which field: as the user says, else by name, else by what it holds."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hfcli.errors import DataError, UsageError, did_you_mean
from hfcli.tasks.base import Field, Task

_NAMES_THINGS = re.compile(r"(.*[\W_])?(id|idx|index|uuid|guid|key|hash|url|date|time|timestamp)|unnamed: \d+|")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_CODE = re.compile(r"\S*[\d@/_:]\S*|[\W\d_]*")  # one word with digits or signs, or no letter at all
_SHOWN = 12


class _Column(NamedTuple):
    """What a column holds.

    Attributes:
        kind: text (for reading), codes (other text), whole numbers, numbers, truth values, lists, objects, a mixture
            or nothing.
        few: How many different values where each comes twice or more on average, else 0.
        classes: How many names the data set has for them.
    """

    kind: str
    few: int
    classes: int

    def __str__(self) -> str:
        if self.classes:
            return f"lists of {self.classes} classes" if self.kind == "lists" else f"{self.classes} classes"
        return f"{self.few} different {'texts' if _is_written(self) else self.kind}" if self.few else self.kind


def kind_of(values: Iterable[Any], class_names: Sequence[str] = ()) -> str:
    """What a column holds, in words: "text", "9 different texts", "whole numbers", "2 classes"."""
    return str(_look(values, class_names))


def _look(values: Iterable[Any], class_names: Sequence[str]) -> _Column:
    cells = [value for value in values if value is not None and value != ""]
    kinds = Counter(_kind(value) for value in cells)
    if not kinds:
        kind = "nothing"
    elif kinds.keys() == {"whole numbers", "numbers"}:
        kind = "numbers"
    elif len(kinds) > 1 and all(isinstance(value, str) for value in cells):
        kind = "text" if 2 * kinds["text"] >= len(cells) else "codes"
    else:
        kind = "a mixture" if len(kinds) > 1 else next(iter(kinds))
    different = len({repr(value) for value in cells})
    return _Column(kind, different if 1 < different <= len(cells) / 2 else 0, len(class_names))


def _kind(value: Any) -> str:
    if isinstance(value, str):
        if _NUMBER.fullmatch(value):
            return "whole numbers" if value.strip().lstrip("+-").isdigit() else "numbers"
        return "codes" if _CODE.fullmatch(value) else "text"
    kinds = {bool: "truth values", int: "whole numbers", float: "numbers", list: "lists", tuple: "lists"}
    return kinds.get(type(value), "objects")


def find(
    columns: Mapping[str, Sequence[Any]],
    task: Task,
    given: Mapping[str, str | None],
    class_names: Mapping[str, Sequence[str]],
    need_target: bool,
) -> dict[str, str | None]:
    """The column of each field of a task and of its target.

    A flag decides; then the field's own name, in any case; then its other names; then what the columns hold: the text
    that is for reading, the column of few different values. What two columns could be is an error.

    Args:
        columns: A sample of each column's values.
        task: What the columns are for. An optional field belongs to the first one: its n-th other name is looked for
            beside the n-th other name of that, `hypothesis` beside `premise` only.
        given: Field to column as flags say: None where there is no flag, "" to take none.
        class_names: Names that the data set gives the ids in a column.
        need_target: Whether to learn or measure; without, the target may be missing.

    Raises:
        UsageError: A flag names a column that is not there.
        DataError: A field that is needed has no column, or could have several.
    """
    search = _Search({name: _look(values, class_names.get(name, ())) for name, values in columns.items()})
    targets = [task.target] if task.target else []
    for field in (*task.fields, *targets):
        search.give(field, given.get(field.name))
    needed = [field for field in task.fields if field.required]
    for field in needed:
        search.choose(field, search.called(field.name), (_is_any,))
    for field in targets:
        search.choose(field, search.called(field.name), (_is_any,), strict=need_target)
        search.choose(field, search.called(*field.aliases), (_is_class, _is_few, _is_any), strict=need_target)
    for field in task.fields:
        if not field.required:
            search.pair(task.fields[0], field)
    for field in needed:
        search.choose(field, search.called(*field.aliases), (_is_prose, _is_written))
        if field.by_content:
            search.choose(field, search.no_ids(), (_is_prose, _is_written))
        search.demand(field)
    if need_target:
        for field in targets:
            if field.by_content:
                search.choose(field, search.no_ids(), (_is_class, _is_few, _is_amount))
            search.demand(field)
    return {field.name: search.found.get(field.name) for field in (*task.fields, *targets)}


def _is_any(column: _Column) -> bool:
    return True


def _is_class(column: _Column) -> bool:
    return column.classes > 0


def _is_few(column: _Column) -> bool:
    return column.few > 0


def _is_amount(column: _Column) -> bool:
    return column.kind == "numbers"


def _is_written(column: _Column) -> bool:
    return column.kind in ("text", "codes") and not column.classes


def _is_prose(column: _Column) -> bool:
    return column.kind == "text" and not column.few and not column.classes


class _Search:
    """Columns, and those that have been found for a field; None for a field that shall have none."""

    def __init__(self, columns: Mapping[str, _Column]) -> None:
        self.columns = columns
        self.found: dict[str, str | None] = {}

    def give(self, field: Field, column: str | None) -> None:
        """Take the column that a flag names."""
        if column is None:
            return
        same = self.called(column)
        if column and len(same) != 1:
            near = did_you_mean(column, self.columns)
            raise UsageError(f"{_flag(field)}: no column {column}; there is {self._listing(self.columns)}", near)
        if not column and field.required:
            raise UsageError(f"{_flag(field)} '' names no column; there is {self._listing(self.columns)}")
        if column and same[0] in self.found.values():
            other = next(name for name, found in self.found.items() if found == same[0])
            raise UsageError(f"{_flag(field)} {column}: that column is the {other} already", f"{_flag(field)} NAME")
        self.found[field.name] = same[0] if column else None

    def choose(
        self, field: Field, names: Sequence[str], tests: Sequence[Callable[[_Column], bool]], *, strict: bool = True
    ) -> None:
        """Take the one column of these that passes the first test that any passes."""
        if field.name in self.found:
            return
        free = [name for name in names if name not in self.found.values()]
        passing = next(filter(None, ([name for name in free if test(self.columns[name])] for test in tests)), [])
        if len(passing) == 1:
            self.found[field.name] = passing[0]
        elif passing and strict:
            hint = ", or ".join(f"{_flag(field)} {name}" for name in passing[:3])
            raise DataError(f"several columns could be the {field.name}: {self._listing(passing)}", hint)

    def pair(self, first: Field, second: Field) -> None:
        """Take two columns whose names belong together, one of which may have been found."""
        if second.name in self.found and (first.name in self.found or not self.found[second.name]):
            return
        for names in zip((first.name, *first.aliases), (second.name, *second.aliases), strict=False):
            both = [self._open(field, name) for field, name in zip((first, second), names, strict=True)]
            if all(both):
                self.found[first.name], self.found[second.name] = both[0][0], both[1][0]
                return

    def _open(self, field: Field, name: str) -> list[str]:
        """Columns of that name, with text, that are the field's or nobody's."""
        taken = {column for other, column in self.found.items() if other != field.name}
        own = self.found.get(field.name)
        there = [column for column in self.called(name) if _is_written(self.columns[column])]
        return [column for column in there if column not in taken and own in (None, column)]

    def demand(self, field: Field) -> None:
        """Refuse that nothing was found."""
        if field.name not in self.found:
            mark = re.search(r"[;\t|]", next(iter(self.columns))) if len(self.columns) == 1 else None
            hint = f"columns stand apart by commas, not by {mark[0]!r}, in CSV" if mark else f"{_flag(field)} NAME"
            raise DataError(f"no column looks like the {field.name}; there is {self._listing(self.columns)}", hint)

    def no_ids(self) -> list[str]:
        """Columns whose name does not say that they are an id, a date or the like."""
        return [name for name in self.columns if not _NAMES_THINGS.fullmatch(name.casefold())]

    def called(self, *names: str) -> list[str]:
        """Columns of these names, in any case; of two that differ in case only, the one that is spelt so."""
        folded = {name.casefold() for name in names}
        found = [column for column in self.columns if column.casefold() in folded]
        exact = {column.casefold() for column in found if column in names}
        return [column for column in found if column in names or column.casefold() not in exact]

    def _listing(self, names: Iterable[str]) -> str:
        """Columns with what they hold: "body (text), queue (9 different texts)"."""
        parts = [f"{name} ({self.columns[name]})" for name in names]
        rest = len(parts) - _SHOWN
        return ", ".join(parts[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "") or "none"


def _flag(field: Field) -> str:
    return f"--{field.name.replace('_', '-')}-column"
