"""Which flags and metrics of `hfcli eval` fit each other."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from hfcli.cli import _origins
from hfcli.errors import UsageError
from hfcli.options.evaluating import FairnessOptions

_ENVIRONMENT = {"offline": "HF_HUB_OFFLINE"}  # what is set there is not meant for this line
_CLASSIFIERS = ("text-classification", "counterfactual")
_WHAT = {
    "perplexity": "perplexity",
    "text-generation": "a model that writes",
    "question-answering": "answers",
    "text-classification": "a classifier",
    "counterfactual": "swapped words",
}
# By field, else by group, the tasks that read it.
_READ_BY: dict[str, tuple[str, ...]] = {
    "text_column": ("perplexity", *_CLASSIFIERS),
    "max_length": ("perplexity", "question-answering", *_CLASSIFIERS),
    "on_long": ("text-generation", *_CLASSIFIERS),
    "doc_stride": ("question-answering", *_CLASSIFIERS),
    "TextOptions": _CLASSIFIERS,
    "reference_column": ("text-generation", "question-answering", "text-classification"),
    "PerplexityOptions": ("perplexity",),
    "PromptedOptions": ("text-generation",),
    "QuestionOptions": ("question-answering",),
    "LongestOptions": ("question-answering",),
    "NoAnswerOptions": ("question-answering",),
    "swap": ("counterfactual",),
    "FairnessOptions": (),
}
_COUNTERFACTUAL = "hfcli eval -m MODEL --dataset NAME --metric counterfactual --swap he=she"


def no_model(groups: Sequence[Any]) -> None:
    """Refuse flags that mean nothing for stored outputs.

    Args:
        groups: Options as they were given.

    Raises:
        UsageError: Says which.
    """
    if name := next((name for group in groups for name in _given(group)), None):
        flag = "--" + name.replace("_", "-")
        raise UsageError(f"{flag} is about a model, and --predictions are there already", f"leave out {flag}")


def _given(group: Any) -> Iterator[str]:
    """The fields of options that are not as they are without a flag, and are meant for this line.

    What a configuration file says is for lines that it fits.
    """
    for field in fields(group):
        value = getattr(group, field.name)
        meant = not os.environ.get(_ENVIRONMENT.get(field.name, ""))
        usual = field.default_factory() if callable(field.default_factory) else field.default
        if value != usual and meant and not _origins.drop(field.name):
            yield field.name


def reads(names: Sequence[str]) -> set[str]:
    """What the metrics read."""
    from hfcli import metrics

    return {family.reads for name in names for metric in metrics.asked(name).metrics for family in metric.families}


def stored(asked: Sequence[str], fairness: FairnessOptions) -> str:
    """Refuse metrics and flags that do not go together for stored outputs.

    Args:
        asked: What --metric says.
        fairness: Flags for single metrics.

    Returns:
        What the metrics read, or one of it.

    Raises:
        UsageError: Says which.
    """
    names = [text.partition(":")[0] for text in asked]
    read = reads(names)
    if "swapped" in read:
        raise UsageError("counterfactual asks a model about --dataset, not about --predictions", _COUNTERFACTUAL)
    if fairness.swap is not None:
        raise UsageError("--swap is for --metric counterfactual", _COUNTERFACTUAL)
    if "scored" not in read and (flag := _scorer(fairness)):
        raise UsageError(f"{flag} is for --metric toxicity", f"--metric toxicity, or leave out {flag}")
    if "scored" in read and len(read) > 1:
        raise UsageError(f"{', '.join(names)} are about different things", "ask for them one after the other")
    return min(read)


def only(task: str, *groups: Any) -> None:
    """Refuse flags that the task does not read.

    Raises:
        UsageError: Says which.
    """
    for group in groups:
        for name in _given(group):
            if task not in _READ_BY.get(name, _READ_BY.get(type(group).__name__, (task,))):
                flag = "--" + name.replace("_", "-")
                raise UsageError(f"{flag} means nothing for {_WHAT[task]}", f"leave out {flag}")


def _scorer(fairness: FairnessOptions) -> str:
    given = {"--scorer": fairness.scorer, "--scorer-label": fairness.scorer_label}
    return next((flag for flag, value in given.items() if value is not None), "")
