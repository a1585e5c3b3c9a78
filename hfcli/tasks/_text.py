"""What a record says, checked: text is text."""

import re
from typing import Any

from hfcli.errors import DataError

_LONE = re.compile("[\ud800-\udfff]")


def check(value: Any, where: str) -> str:
    """The value, which is text, maybe empty.

    Args:
        value: A cell of a record.
        where: "column body", for the error.

    Raises:
        DataError: It is something else, or no Unicode.
    """
    if not isinstance(value, str):
        raise DataError(f"{where} holds {_kind(value)}, not text")
    if not value.isascii() and (lone := _LONE.search(value)):
        raise DataError(
            f"{where} has half a character (lone surrogate \\u{ord(lone[0]):04x}), which is not Unicode text"
        )
    return value


def _kind(value: Any) -> str:
    names = {type(None): "null", bool: "a truth value", int: "a number", float: "a number", dict: "an object"}
    return names.get(type(value), f"a {type(value).__name__}")
