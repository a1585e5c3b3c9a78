"""Texts with some words swapped: he and she, names of one group and of another."""

import re
from collections.abc import Mapping
from pathlib import Path

from hfcli.errors import DataError, UsageError

_EXAMPLE = "--swap he=she,his=her"


def pairs(text: str) -> dict[str, str]:
    """What --swap says: `he=she,his=her`, or a file with a pair a line; each word stands for the other.

    Returns:
        The other word of every word, in lower case.

    Raises:
        UsageError: It is neither.
        DataError: The file cannot be read.
    """
    lines = text.split(",")
    if "=" not in text:
        try:
            lines = Path(text).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "not UTF-8 text"
            raise DataError(f"--swap {text} is no list of pairs, and no file ({reason})", _EXAMPLE) from error
    others: dict[str, str] = {}
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        one, equals, other = (part.strip().lower() for part in line.partition("="))
        if not (one and equals and other) or one == other:
            raise UsageError(f"--swap: {line.strip()!r} is no pair of words", _EXAMPLE)
        others.setdefault(one, other)  # her stands for him and for his: the first pair says which
        others.setdefault(other, one)
    if not others:
        raise UsageError(f"--swap {text} names no words", _EXAMPLE)
    return others


class Swap:
    """Swaps words where they stand by themselves, upper case and capitals kept.

    Args:
        others: The other word of each, in lower case.
    """

    def __init__(self, others: Mapping[str, str]) -> None:
        self._others = others
        words = "|".join(map(re.escape, sorted(others, key=len, reverse=True)))
        self._words = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)

    def __call__(self, text: str) -> str:
        """The text with every listed word swapped; the same text where it has none."""
        return self._words.sub(self._other, text)

    def _other(self, found: re.Match[str]) -> str:
        word = found[0]
        other = self._others[word.lower()]
        if word.isupper() and sum(map(str.isalpha, word)) > 1:
            return other.upper()
        return other[:1].upper() + other[1:] if word[:1].isupper() else other
