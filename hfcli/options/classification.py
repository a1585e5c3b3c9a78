"""The options of `hfcli classify`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from hfcli.errors import UsageError
from hfcli.options._numbers import number, whole


@dataclass(frozen=True)
class ClassifyOptions:
    """What is shown of a classifier's opinion."""

    labels: Annotated[
        str | None,
        typer.Option("--labels", metavar="A,B,C", help="Any labels, with a model trained on entailment (zero-shot)."),
    ] = None
    hypothesis_template: Annotated[
        str, typer.Option("--hypothesis-template", metavar="TEXT", help="How --labels are put; {} is the label.")
    ] = "This example is {}."
    multi_label: Annotated[bool, typer.Option("--multi-label", help="With --labels: several may be right.")] = False
    top_k: Annotated[
        int | None, typer.Option("--top-k", parser=whole(1), metavar="K", help="The K likeliest labels, in `labels`.")
    ] = None
    all_scores: Annotated[bool, typer.Option("--all-scores", help="Every label's score, in `scores`.")] = False
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            parser=number(0, 1),
            metavar="P",
            help="Multi-label: labels from there on.",
            show_default="0.5",
        ),
    ] = None
    min_score: Annotated[
        float | None,
        typer.Option("--min-score", parser=number(0, 1), metavar="P", help="No label (null) below this score."),
    ] = None

    def check(self) -> None:
        """Refuse combinations that contradict each other, before anything is loaded."""
        if self.labels is not None:
            names = self.label_list()
            if len(names) < 2 and not self.multi_label:
                raise UsageError("--labels needs two labels at least", "--labels sports,politics")
            if "{}" not in self.hypothesis_template:
                raise UsageError("--hypothesis-template needs {} where the label goes", "'This example is {}.'")
        elif self.multi_label:
            raise UsageError("--multi-label is about --labels, which is not given", "a model knows itself what it is")

    def label_list(self) -> list[str]:
        """The labels of --labels, each once, in the order given."""
        names = [name.strip() for name in (self.labels or "").split(",")]
        return list(dict.fromkeys(name for name in names if name))
