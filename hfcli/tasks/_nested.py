"""Columns that hold objects: `translation.de` is `de` of the object in the column `translation`."""

from collections.abc import Iterator, Mapping
from typing import Any


def look_up(record: Mapping[str, Any], name: str) -> Any:
    """A cell of a record, or of an object in one; a column that is called `a.b` itself comes first.

    Raises:
        KeyError: There is no such cell.
    """
    if name in record:
        return record[name]
    column, dot, inside = name.partition(".")
    if not dot or not isinstance(record.get(column), Mapping):
        raise KeyError(name)
    return look_up(record[column], inside)


def column_names(record: Mapping[str, Any]) -> list[str]:
    """What `look_up` finds: columns, and instead of one that holds objects what these hold."""
    return list(_names(record))


def _names(record: Mapping[str, Any]) -> Iterator[str]:
    for name, value in record.items():
        if isinstance(value, Mapping) and value:
            yield from (f"{name}.{inside}" for inside in _names(value))
        else:
            yield name
