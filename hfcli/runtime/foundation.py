"""The model that is finetuned: found, tokenizer and config made ready, weights loaded in float32 with a head."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from hfcli.errors import ModelError
from hfcli.events import Tell
from hfcli.options import ModelOptions
from hfcli.runtime import heads, hub, loading, settings
from hfcli.runtime.padding import pad_id
from hfcli.tasks.base import Settings, Task


class Foundation(NamedTuple):
    """A pretrained model before its weights are loaded.

    Attributes:
        location: Where it is.
        config: Its config.
        tokenizer: Its tokenizer, with a pad token.
        max_tokens: The longest sequence it takes.
        stored: Its own settings, where hfcli finetuned it before.
        names: The labels it was trained with, () where they are placeholders or none.
    """

    location: hub.Location
    config: Any
    tokenizer: Any
    max_tokens: int
    stored: Settings | None
    names: tuple[str, ...]


@dataclass(frozen=True)
class Built:
    """Weights in memory.

    Attributes:
        model: In float32, on the CPU.
        new_head: Whether some of its weights are new, and random.
    """

    model: Any
    new_head: bool


def find(options: ModelOptions, tell: Tell) -> Foundation:
    """Locate the model, and load what is needed before its weights are.

    Raises:
        ModelError: It is nowhere, or something of it is missing.
    """
    assert options.model is not None
    location = hub.locate(options.model, options, tell)
    hub.check_revision(location, options)
    loading.check_folder(location, options)
    config = loading.load_config(location, options)
    tokenizer = loading.load_tokenizer(location, options)
    _give_pad_token(config, tokenizer)
    longest = loading.longest(config, tokenizer)
    return Foundation(location, config, tokenizer, longest, settings.read(location.folder), _own_labels(config))


def _give_pad_token(config: Any, tokenizer: Any) -> None:
    """Decoders often have none; a classifier finds the last token of a row by it."""
    vocabulary = config.get_text_config().vocab_size
    number = pad_id(tokenizer, vocabulary)
    if tokenizer.pad_token_id != number:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(number)
    for one in (config, config.get_text_config()):
        one.pad_token_id = number


def _own_labels(config: Any) -> tuple[str, ...]:
    """Names of the labels of a trained head; LABEL_0 and the like are none."""
    made_as = str((getattr(config, "architectures", None) or [""])[0])
    names = [str(config.id2label[index]) for index in sorted(config.id2label)] if config.id2label else []
    if "SequenceClassification" not in made_as or all(name.startswith("LABEL_") for name in names):
        return ()
    return tuple(names)


def build(task: Task, foundation: Foundation, overrides: dict[str, Any], options: ModelOptions, seed: int) -> Built:
    """Load the weights, with a head of the right size.

    Args:
        task: Names the Auto class.
        foundation: As `find` returned it; its config is changed.
        overrides: What the task wants in the config.
        options: How to load.
        seed: Of the new head's weights.

    Raises:
        ModelError: The model cannot do the task, or weights of its body are missing.
    """
    location, config = foundation.location, foundation.config
    config.update(overrides)
    auto = loading.auto_class(task, location, config)
    torch.manual_seed(seed)
    with loading.explained(location, "model"):
        model, report = auto.from_pretrained(
            location.folder,
            config=config,
            dtype=torch.float32,  # AdamW at 2e-5 loses its updates in bfloat16 weights
            use_safetensors=hub.has_weights(location.folder, allow_pickle=False),
            weights_only=True,
            trust_remote_code=options.trust_remote_code,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    if options.adapter:
        adapter = hub.locate(options.adapter, replace(options, revision=None), lambda event: None, kind="adapter")
        model = loading.put_adapter(model, adapter, location, options)
    missing = [str(key) for key in report.get("missing_keys") or ()]
    mismatched = [key if isinstance(key, str) else str(key[0]) for key in report.get("mismatched_keys") or ()]
    body = f"{model.base_model_prefix}."
    # A pooler is a head that some checkpoints of a body come without.
    absent = [key for key in missing + mismatched if key.startswith(body) and "pooler" not in key]
    if absent and heads.renamed(report, body):
        raise ModelError(
            f"{location.name} is a {config.model_type} model, whose weights transformers cannot load for {task.name}",
            "a model such as bert-base-uncased",
        )
    if absent:
        shown = ", ".join(absent[:3]) + (f" and {len(absent) - 3} more" if len(absent) > 3 else "")
        raise ModelError(f"the weights of {location.name} do not fit its config.json ({shown})", "fetch both again")
    if foundation.names and foundation.names != tuple(config.id2label.values()):
        _renew_head(model)  # it fits, and says something else
        return Built(model, True)
    return Built(model, bool(missing or mismatched))


def _renew_head(model: Any) -> None:
    """New weights for what is not the body, as transformers begins them."""
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name.split(".")[0] != model.base_model_prefix:
            torch.nn.init.normal_(module.weight, std=getattr(model.config, "initializer_range", None) or 0.02)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
