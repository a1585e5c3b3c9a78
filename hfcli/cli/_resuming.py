"""`--details`: what an earlier run has left, and what is said when this one stops."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hfcli.cli._details import Details
from hfcli.cli.console import Console
from hfcli.errors import HfcliError, Terminated, UsageError
from hfcli.options.evaluating import ShowOptions


@contextmanager
def details(console: Console, show: ShowOptions, settings: Mapping[str, Any], what: str) -> Iterator[Details]:
    """The file of --details.

    Args:
        console: Gets notes.
        show: Whether there is one.
        settings: What its lines depend on besides the input.
        what: What a line is about: "text".

    Raises:
        UsageError: There is an unfinished one, of other settings, or without --resume and --overwrite.
        DataError: It cannot be written.
    """
    with Details(show, settings) as found:
        if found.anew:
            console.note(f"{show.details} is complete, and does not say with which settings; it is made anew")
        try:
            yield found
        except (KeyboardInterrupt, Terminated, HfcliError):
            if found.done and os.path.exists(f"{show.details}.partial"):
                console.close()
                many = f"{what}s are" if found.done > 1 else f"{what} is"
                console.line(f"{found.done:,} {many} kept in {show.details}.partial")
                console.hint("the same line with --resume goes on from there")
            raise


def going_on(console: Console, done: int, what: str) -> None:
    """Say how many records need not be measured again."""
    if done:
        console.note(f"{done:,} {f'{what}s are' if done > 1 else f'{what} is'} done, going on from there")


def other_input(show: ShowOptions) -> UsageError:
    """The error for input that ends before what an earlier run has read of it."""
    said = f"{show.details}.partial was made from other input, with more records than there are"
    return UsageError(said, "--overwrite starts again")
