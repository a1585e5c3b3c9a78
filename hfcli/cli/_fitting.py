"""Which flags and metrics of `hfcli eval` fit each other."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from hfcli.errors import UsageError
from hfcli.options.answering import Reading
from hfcli.options.evaluating import FairnessOptions, PerplexityOptions, PromptedOptions

_ENVIRONMENT = {"offline": "HF_HUB_OFFLINE"}  # what is set there is not meant for this line
_COUNTERFACTUAL = "hfcli eval -m MODEL --dataset NAME --metric counterfactual --swap he=she"


def no_model(groups: Sequence[Any]) -> None:
    """Refuse flags that mean nothing for stored outputs.

    Args:
        groups: Options as they were given.

    Raises:
        UsageError: Says which.
    """
    if flag := next((flag for group in groups for flag in _given(group)), None):
        raise UsageError(f"{flag} is about a model, and --predictions are there already", f"leave out {flag}")


def _given(group: Any) -> Iterator[str]:
    """The flags of a group that are not as usual."""
    for field in fields(group):
        value = getattr(group, field.name)
        meant = not os.environ.get(_ENVIRONMENT.get(field.name, ""))
        usual = field.default_factory() if callable(field.default_factory) else field.default
        if value != usual and meant:
            yield "--" + field.name.replace("_", "-")


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


def model(
    task: str, fairness: FairnessOptions, perplexity: PerplexityOptions, prompted: PromptedOptions, reading: Reading
) -> None:
    """Refuse flags that would do nothing where a model is measured.

    Args:
        task: What is measured.
        fairness: Flags for single metrics.
        perplexity: Flags for texts.
        prompted: Flags for prompts.
        reading: Flags for questions.

    Raises:
        UsageError: Says which.
    """
    about = {
        "perplexity": (perplexity,),
        "text-generation": (prompted,),
        "question-answering": (reading.questions, reading.longest, reading.none),
    }
    for other, groups in about.items():
        flag = next((flag for group in groups for flag in _given(group)), None)
        if other != task and flag:
            raise UsageError(f"{flag} is for {other}, and this measures {task}", f"leave out {flag}")
    if fairness.swap is not None and task != "counterfactual":
        raise UsageError("--swap is for --metric counterfactual", "--metric counterfactual, or leave out --swap")
    if flag := _scorer(fairness):
        raise UsageError(f"{flag} is for stored outputs", "--metric toxicity --predictions FILE")


def _scorer(fairness: FairnessOptions) -> str:
    given = {"--scorer": fairness.scorer, "--scorer-label": fairness.scorer_label}
    return next((flag for flag, value in given.items() if value is not None), "")
