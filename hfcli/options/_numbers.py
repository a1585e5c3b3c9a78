"""Parsers for numbers on the command line."""

import math
from collections.abc import Callable

import typer


def number(low: float, high: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    """A parser for finite numbers of a range; Typer's own ranges let `nan` and `inf` pass."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a number") from None
        if not math.isfinite(value) or value < low or value > high or (above and value == low):
            floor = f"above {low:g}" if above else f"at least {low:g}"
            ceiling = "" if math.isinf(high) else f" and at most {high:g}"
            raise typer.BadParameter(f"{text} is out of range; a finite number {floor}{ceiling} is wanted")
        return value

    return parse


def whole(low: int, below: int | None = None) -> Callable[[str], int]:
    """A parser for whole numbers of a range."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a whole number") from None
        if value < low or (below is not None and value >= below):
            allowed = f"at least {low}" if below is None else f"from {low} to 2^{below.bit_length() - 1} - 1"
            raise typer.BadParameter(f"{text} is out of range; a whole number {allowed} is wanted")
        return value

    return parse


def share(text: str) -> tuple[int, int]:
    """K/N to (K, N)."""
    part, slash, parts = text.partition("/")
    if not slash or not part.isdecimal() or not parts.isdecimal() or not int(parts):
        raise typer.BadParameter(f"{text!r} is no share; 1/4 to 4/4 are the four quarters")
    if not 1 <= int(part) <= int(parts):
        raise typer.BadParameter(f"{text} is out of range; shares count from 1/{parts} to {parts}/{parts}")
    return int(part), int(parts)
