"""The options of `hfcli data check`, beside those of texts and labels."""

from dataclasses import dataclass
from typing import Annotated

import typer

from hfcli.options.reading import DataOptions


@dataclass(frozen=True)
class CheckOptions:
    """Which records are looked at, and how they are spoken of."""

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
        str | None, typer.Option("--eval-split", help="Split to measure on.", show_default="validation, dev")
    ] = None
    eval_dataset: Annotated[
        str | None, typer.Option("--eval-dataset", help="Another data set or file to measure on.")
    ] = None
    model: Annotated[
        str | None,
        typer.Option("-m", "--model", help="Whose tokenizer counts.", show_default="bert-base-uncased, else words"),
    ] = None
    offline: Annotated[
        bool, typer.Option("--offline", envvar="HF_HUB_OFFLINE", help="Use what is on this machine, no network.")
    ] = False
    all: Annotated[bool, typer.Option("--all", help="Every label, and every place of a finding.")] = False
    strict: Annotated[bool, typer.Option("--strict", help="Exit 4 for warnings, too.")] = False
    json: Annotated[bool, typer.Option("--json", help="One JSON object with everything.")] = False

    def data(self, dataset: str) -> DataOptions:
        """The same for reading, with the data set."""
        return DataOptions(
            dataset, self.subset, self.dataset_revision, self.train_split, self.eval_split, self.eval_dataset
        )
