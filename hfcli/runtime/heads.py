"""Whether a checkpoint has the trained head that a task needs; transformers would make one up, with random weights."""

import re
from typing import Any

import transformers

from hfcli.errors import ModelError
from hfcli.runtime import hub
from hfcli.tasks.base import Task

# Checkpoints made for something else whose weights would fit: AutoModelForCausalLM takes those where the body is the
# same and the output weights are tied to the embedding, and they speak nonsense; a decoder's heads for tokens and for
# texts have the same name.
_OTHERS = {
    "AutoModelForCausalLM": (
        re.compile(
            r"For(MaskedLM|Pre[Tt]raining|NextSentencePrediction|MultipleChoice|\w*Classification|\w*QuestionAnswering\w*)$"
        ),
        "a ...ForCausalLM or a ...ForConditionalGeneration",
    ),
    "AutoModelForSequenceClassification": (
        re.compile(r"For(TokenClassification|MultipleChoice|\w*QuestionAnswering\w*)$"),
        "a ...ForSequenceClassification",
    ),
}


def check_made_for(task: Task, location: hub.Location, config: Any) -> None:
    """Refuse a checkpoint that was made for something else, though its weights fit.

    Raises:
        ModelError: It names another purpose.
    """
    if task.auto_model not in _OTHERS:
        return
    made_as = [name for name in getattr(config, "architectures", None) or [] if isinstance(name, str)]
    others, wanted = _OTHERS[task.auto_model]
    other = next((name for name in made_as if others.search(name)), None)
    encoder = type(config) in transformers.AutoModelForMaskedLM._model_mapping and not config.is_encoder_decoder
    if task.kind == "tokens" and not other and encoder and getattr(config, "is_decoder", None) is False:
        other = f"{config.model_type} encoder"  # loaded as a decoder, it looks at both sides of a token all the same
    if other:
        article = "an" if other[0] in "AEIOUaeiou" else "a"
        raise ModelError(
            f"{location.name} is {article} {other}, which cannot do {task.name}",
            f"take a model whose config.json names {wanted}",
        )


def check_weights(task: Task, location: hub.Location, report: dict[str, Any], body: str) -> None:
    """Refuse a model with weights that were not in the checkpoint: they are random, and transformers only warns.

    Args:
        task: What it was loaded for.
        location: Where it is.
        report: What transformers says of the loading.
        body: How names of weights begin that are not of the head; a pooler is part of the head.

    Raises:
        ModelError: Says which are missing.
    """
    missing = sorted(report.get("missing_keys") or ())
    mismatched = sorted(key if isinstance(key, str) else str(key[0]) for key in report.get("mismatched_keys") or ())
    keys = [*mismatched, *missing]
    if not keys:
        return
    shown = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
    if not renamed(report, body) and (
        mismatched or any(key.startswith(body) and "pooler" not in key for key in missing)
    ):
        how = "of another size" if mismatched else "not in the checkpoint"
        raise ModelError(
            f"the weights of {location.name} do not fit its config.json ({how}: {shown})", "fetch both again"
        )
    raise ModelError(
        f"{location.name} has no trained head for {task.name} (not in the checkpoint: {shown})",
        "take a model made for it, or finetune this one first",
    )


def renamed(report: dict[str, Any], body: str) -> bool:
    """Whether a model with this head calls its body otherwise than the checkpoint does, so that nothing was loaded."""
    unexpected = [str(key) for key in report.get("unexpected_keys") or ()]
    return (
        bool(unexpected)
        and any(str(key).startswith(body) for key in report.get("missing_keys") or ())
        and not any(key.startswith(body) for key in unexpected)
    )
