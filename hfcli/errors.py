"""What can go wrong, as a user sees it: one sentence, a hint that can be typed, an exit code.

    HfcliError
    ├── UsageError       2   the command line asks for something that does not exist or cannot be combined
    ├── DataError        4   what was read or written: files, lines, columns, standard input and output
    ├── ModelError       5   a model, the Hub or the network
    └── DeviceError      6   a device or its memory
        └── RankLost         another process of the same job is gone, which has told why or could not

Raise where the problem is found, with what was given and what is allowed; `hfcli.cli.main` catches, nobody else.
Any other exception is a bug and keeps its traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    OK = 0
    BUG = 1
    USAGE = 2
    SOME_FAILED = 3
    DATA = 4
    MODEL = 5
    DEVICE = 6
    BELOW_THRESHOLD = 7
    INTERRUPTED = 130
    TERMINATED = 143


class HfcliError(Exception):
    """An error with a sentence for the user and what to type next.

    Args:
        message: One sentence: what was given, and what is allowed.
        hint: The next thing to type or do; lines after the first are shown under it.
    """

    exit_code = Exit.BUG

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(HfcliError):
    exit_code = Exit.USAGE


class DataError(HfcliError):
    exit_code = Exit.DATA


class ModelError(HfcliError):
    exit_code = Exit.MODEL


class DeviceError(HfcliError):
    exit_code = Exit.DEVICE


class RankLost(DeviceError):
    """Another process of the same job is gone."""


class Terminated(BaseException):
    """SIGTERM arrived: unwinds like KeyboardInterrupt, so that what is finished is written first."""


def nearest(given: str, candidates: Iterable[str]) -> str | None:
    """The candidate that is most likely meant, or None where none is near."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    near = get_close_matches(given.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def did_you_mean(given: str, candidates: Iterable[str]) -> str | None:
    """`did you mean text?`, as a hint, or None where no candidate is near."""
    near = nearest(given, candidates)
    return f"did you mean {near}?" if near else None
