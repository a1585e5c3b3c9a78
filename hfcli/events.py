"""What a long job tells while it runs: the runtime calls `tell(event)`, the console decides what is shown.

A job's results are yielded; these are about the job. Callbacks rather than yields, because `model.generate` and the
Hub's downloads call back from their own loops.
"""

from collections.abc import Callable
from typing import NamedTuple


class Note(NamedTuple):
    """Something the user should know, said once."""

    text: str


class Downloading(NamedTuple):
    """A repository is being fetched. Sizes in bytes, of everything that is fetched."""

    name: str
    done_bytes: int
    total_bytes: int


class Working(NamedTuple):
    """Many records are being worked on.

    Attributes:
        records: Records finished.
        tokens: Tokens generated so far, also of unfinished records.
        fraction: Share of the input that was finished, None where its size is unknown.
        seconds: Since the first record.
        fraction_before: The share that an earlier run had finished.
    """

    records: int
    tokens: int
    fraction: float | None
    seconds: float
    fraction_before: float = 0.0


Event = Note | Downloading | Working
Tell = Callable[[Event], None]
