"""The options of `hfcli compare`."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import typer

from hfcli.errors import UsageError
from hfcli.options._numbers import number, whole


@dataclass(frozen=True)
class CompareOptions:
    """How systems are compared, and how that is shown."""

    metric: Annotated[
        list[str],
        typer.Option(
            "--metric",
            metavar="NAME",
            help="Compare in this metric, may be repeated; the first decides.",
            show_default="all that the files share",
        ),
    ] = field(default_factory=list)
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin",
            parser=number(0, above=True),
            metavar="X",
            help="Also ask whether they are equivalent: surely less than X apart in the first metric.",
        ),
    ] = None
    confidence_level: Annotated[
        float,
        typer.Option(
            "--confidence-level", parser=number(0, 1, above=True), metavar="P", help="Of the intervals and verdicts."
        ),
    ] = 0.95
    test: Annotated[
        Literal["ar", "bs"],
        typer.Option(
            "--test",
            help="Where p is from: ar is approximate randomisation, two-sided; bs the paired bootstrap as in sacrebleu "
            "and Moses.",
        ),
    ] = "ar"
    resamples: Annotated[
        int, typer.Option("--resamples", parser=whole(1), metavar="N", help="Resamples of the bootstrap.")
    ] = 1000
    trials: Annotated[
        int, typer.Option("--trials", parser=whole(1), metavar="N", help="Trials of the randomisation.")
    ] = 10_000
    seed: Annotated[int, typer.Option("--seed", parser=whole(0, 2**63), metavar="N", help="Seed of both.")] = 12345
    flips: Annotated[
        str | None,
        typer.Option(
            "--flips", metavar="FILE", help="Write a line of JSON for each record that is right in one system only."
        ),
    ] = None
    json: Annotated[bool, typer.Option("--json", help="One JSON object, on a terminal too.")] = False
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no notes; errors and results only.")] = (
        False
    )

    def check(self) -> None:
        """Refuse what cannot be meant, before anything is read."""
        if "" in self.metric:
            raise UsageError("--metric is empty", "give it a value, or leave out --metric")
        if self.confidence_level >= 1:
            raise UsageError("--confidence-level 1 would take in everything", "--confidence-level 0.95")
        if self.margin is not None and self.confidence_level <= 0.5:
            raise UsageError(
                f"--margin with --confidence-level {self.confidence_level:g} shows nothing; above 0.5 it does",
                "--confidence-level 0.95",
            )
