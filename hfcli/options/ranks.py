"""How many processes share a job."""

from dataclasses import dataclass
from typing import Annotated

import typer

from hfcli.options._numbers import number, whole


def process_count(text: str) -> str:
    """A whole number, or auto."""
    return "auto" if text == "auto" else str(whole(1)(text))


@dataclass(frozen=True)
class RankOptions:
    """How many processes share the job, and how long none of them may move."""

    num_processes: Annotated[
        str | None,
        typer.Option(
            "--num-processes",
            parser=process_count,
            metavar="N",
            help="Share the job among N processes, or auto: one a GPU.",
            show_default="1",
        ),
    ] = None
    hang_timeout: Annotated[
        float,
        typer.Option(
            "--hang-timeout", parser=number(1), metavar="S", help="End it when none of them moves for S seconds."
        ),
    ] = 600


@dataclass(frozen=True)
class TrainingRanks(RankOptions):
    """... and whether they share the model, too."""

    fsdp: Annotated[
        bool, typer.Option("--fsdp", help="Share the model, too, where one device cannot hold it and its optimizer.")
    ] = False
