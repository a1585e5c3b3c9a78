"""Which data is read, and how its columns become a model's input."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from hfcli.errors import UsageError
from hfcli.options._numbers import whole


@dataclass(frozen=True)
class DataOptions:
    """Which records to learn from, and which to measure on."""

    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Hub name, file (CSV, TSV, JSON, JSONL, Parquet, .gz), folder, or - for stdin."),
    ] = None
    subset: Annotated[
        str | None, typer.Option("--subset", "--dataset-config", help="Configuration of a Hub data set, such as rte.")
    ] = None
    dataset_revision: Annotated[
        str | None, typer.Option("--dataset-revision", help="Branch, tag or commit of a Hub data set.")
    ] = None
    train_split: Annotated[
        str | None, typer.Option("--train-split", help="Split to learn from.", show_default="train")
    ] = None
    eval_split: Annotated[
        str | None,
        typer.Option("--eval-split", help="Split to measure on.", show_default="validation, dev, else 10% held out"),
    ] = None
    eval_dataset: Annotated[
        str | None, typer.Option("--eval-dataset", help="Another data set or file to measure on.")
    ] = None
    max_train_samples: Annotated[
        int | None, typer.Option("--max-train-samples", parser=whole(1), metavar="N", help="Learn from N records only.")
    ] = None
    max_eval_samples: Annotated[
        int | None, typer.Option("--max-eval-samples", parser=whole(1), metavar="N", help="Measure on N records only.")
    ] = None
    on_error: Annotated[
        Literal["fail", "skip"], typer.Option("--on-error", help="A record that cannot be used: stop, or leave it out.")
    ] = "fail"

    def check(self) -> None:
        """Refuse combinations that contradict each other, before anything is loaded."""
        if self.eval_split and self.eval_dataset and self.eval_dataset == self.dataset:
            raise UsageError("--eval-dataset is the same as --dataset", "--eval-split alone names a split of it")


@dataclass(frozen=True)
class TextOptions:
    """How a record's columns become the model's input. None means: as stored with the model, else the default."""

    text_column: Annotated[
        str | None, typer.Option("--text-column", help="Column that holds the text.", show_default="by name and type")
    ] = None
    text_pair_column: Annotated[
        str | None,
        typer.Option(
            "--text-pair-column", help="Column of the second text of a pair; '' takes none.", show_default=False
        ),
    ] = None
    max_length: Annotated[
        int | None,
        typer.Option(
            "--max-length", parser=whole(4), metavar="N", help="Most tokens at once.", show_default="512; answers 384"
        ),
    ] = None
    on_long: Annotated[
        Literal["truncate", "window", "error"] | None,
        typer.Option(
            "--on-long", help="A longer text: cut it, read it in windows and pool, or stop.", show_default="truncate"
        ),
    ] = None
    doc_stride: Annotated[
        int | None,
        typer.Option(
            "--doc-stride", parser=whole(0), metavar="N", help="Tokens that windows overlap.", show_default="128"
        ),
    ] = None
