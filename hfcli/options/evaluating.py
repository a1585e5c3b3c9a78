"""The options of `hfcli eval`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from hfcli.errors import UsageError, did_you_mean
from hfcli.options._numbers import whole
from hfcli.options.training import DataOptions

METRICS = ("squad", "squad_v2")
_EXAMPLE = "hfcli eval --metric squad --predictions answers.jsonl --references dev-v1.1.json"


@dataclass(frozen=True)
class StoredOptions:
    """What is measured: outputs that are there already, against what they should be."""

    metric: Annotated[
        str | None,
        typer.Option("--metric", metavar="NAME", help="squad or squad_v2.", show_default="as the data needs"),
    ] = None
    predictions: Annotated[
        str | None,
        typer.Option(
            "--predictions",
            metavar="FILE",
            help="Records of id and answer (JSONL, JSON, CSV, TSV, Parquet, .gz), or SQuAD's JSON; - is stdin.",
        ),
    ] = None
    references: Annotated[
        str | None,
        typer.Option("--references", metavar="FILE", help="Records of id and answers, or SQuAD's JSON; - is stdin."),
    ] = None
    prediction_column: Annotated[
        str, typer.Option("--prediction-column", metavar="NAME", help="Column of the predictions; null is no answer.")
    ] = "answer"

    @property
    def stored(self) -> bool:
        """Whether outputs were named."""
        return self.predictions is not None or self.references is not None or self.prediction_column != "answer"

    def check(self) -> None:
        """Refuse what is not whole or contradicts itself, before anything is read."""
        if self.metric is not None and self.metric not in METRICS:
            near = did_you_mean(self.metric, METRICS)
            raise UsageError(f"no metric {self.metric}; there is {', '.join(METRICS)}", near or _EXAMPLE)
        if not self.stored:
            return
        if self.metric is None:
            raise UsageError(f"no --metric; there is {', '.join(METRICS)}", _EXAMPLE)
        for flag, given in (("--predictions", self.predictions), ("--references", self.references)):
            if given is None:
                raise UsageError(f"--metric {self.metric} needs {flag} FILE", _EXAMPLE)
        if self.predictions == "-" and self.references == "-":
            raise UsageError("standard input cannot be both --predictions and --references", "put one into a file")


@dataclass(frozen=True)
class MeasuredData:
    """... or what a model is measured on."""

    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Hub name, file (SQuAD's JSON, JSONL, CSV, Parquet, .gz), folder, or -."),
    ] = None
    subset: Annotated[
        str | None, typer.Option("--subset", "--dataset-config", help="Configuration of a Hub data set.")
    ] = None
    dataset_revision: Annotated[
        str | None, typer.Option("--dataset-revision", help="Branch, tag or commit of a Hub data set.")
    ] = None
    split: Annotated[
        str | None,
        typer.Option("--split", "--eval-split", help="Split to measure on.", show_default="test, else validation"),
    ] = None
    max_samples: Annotated[
        int | None,
        typer.Option("--max-samples", "--max-eval-samples", parser=whole(1), metavar="N", help="N records only."),
    ] = None

    def data(self) -> DataOptions:
        """The same for reading."""
        return DataOptions(
            self.dataset, self.subset, self.dataset_revision, eval_split=self.split, max_eval_samples=self.max_samples
        )


@dataclass(frozen=True)
class ScoreOptions:
    """How the scores are shown."""

    json: Annotated[bool, typer.Option("--json", help="One JSON object, on a terminal too.")] = False
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no notes; errors and scores only.")] = (
        False
    )
