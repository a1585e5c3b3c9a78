"""How answers look on a terminal: the answer, how likely it is, where it stands, and what stands around it."""

import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from hfcli.cli._format import cells, fit, visible
from hfcli.cli.console import Console
from hfcli.errors import DataError

NONE = "no answer"
WORDS = 12
"""Shown on either side of an answer."""
_ANSWER = 48
_WIDTH = 78
_OPEN, _CLOSE = "\ue000", "\ue001"  # stand in for the brackets while lines are filled


def passage(text: str | None, path: str | None) -> tuple[str, str]:
    """The one text that all questions are about, and the name of its file, "" without one.

    Raises:
        DataError: It is not there, empty, or no text.
    """
    if path is None:
        if not (text or "").strip():
            raise DataError("--context is empty", '--context "The deposit is returned within 30 days."')
        return str(text), ""
    from hfcli import records

    try:
        with records.read(path, format="text", field="context", slurp=True) as source:
            record = next(iter(source)).record
    except DataError as error:
        raise DataError(
            error.message, "a text of its own for each part" if "longer than" in error.message else None
        ) from error
    assert record is not None
    return record["context"], path if path != "-" else "standard input"


def plain(text: str) -> str:
    """On one line, and without what could steer a terminal."""
    return visible(" ".join(text.split()))


def screen(answer: Mapping[str, Any], context: str, words: int, console: Console) -> Iterator[str]:
    """The lines of a prediction.

    Args:
        answer: The prediction, with `answers` where several were asked for.
        context: What it was found in.
        words: To show on either side; 0 for no surroundings.
        console: Knows whether there is bold.
    """
    answers = answer.get("answers") or [answer]
    for number, each in enumerate(answers):
        text = NONE if each["answer"] is None else plain(each["answer"])
        shown = fit(text, _ANSWER) if cells(text) <= _ANSWER else text
        place = visible(each.get("where") or "")
        if number and words:
            yield ""
        yield f"{shown}  {each['score']:.2f}   {place}".rstrip()
        if words and each["start"] is not None:
            yield ""
            yield from _surroundings(context, each["start"], each["end"], words, console)


def _surroundings(context: str, start: int, end: int, words: int, console: Console) -> Iterator[str]:
    """The words around an answer, which is in brackets, and bold where the terminal can."""
    characters = 40 * (words + 1)  # enough for so many words, and little of a book
    before = re.findall(r"\S+\s*", context[max(0, start - characters) : start])[-words:]
    after = re.findall(r"\s*\S+", context[end : end + characters])[:words]
    left, right = "".join(before), "".join(after)
    left = ("... " if start > len(left) and context[: start - len(left)].strip() else "") + left
    right += " ..." if context[end + len(right) :].strip() else ""
    marked = [part.replace(_OPEN, "\ufffd").replace(_CLOSE, "\ufffd") for part in (left, context[start:end], right)]
    text = plain(f"{marked[0]}{_OPEN}{marked[1]}{_CLOSE}{marked[2]}")
    width = max(min(shutil.get_terminal_size().columns - 2, _WIDTH), 30)
    lines = textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    inside = False
    for line in lines:
        yield _bold(line, inside, console)
        inside = (inside or _OPEN in line) and _CLOSE not in line


def _bold(line: str, inside: bool, console: Console) -> str:
    """A line with brackets for the marks, and bold between them; `inside` where it begins between them."""
    indent = line[: len(line) - len(line.lstrip())]
    body = line[len(indent) :]
    before, opened, rest = ("", True, body) if inside else body.partition(_OPEN)
    if not opened:
        return line
    answer, closed, after = rest.partition(_CLOSE)
    bracketed = f"{'' if inside else '['}{answer}{']' if closed else ''}"
    return f"{indent}{before}{console.bold(bracketed)}{after}"
