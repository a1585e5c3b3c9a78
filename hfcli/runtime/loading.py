"""From a folder to a model that can be trusted: tokenizer, config, every weight accounted for."""

import contextlib
import json
import pickle
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from safetensors import SafetensorError

from hfcli.errors import DeviceError, ModelError, did_you_mean
from hfcli.events import Tell
from hfcli.options import ModelOptions
from hfcli.runtime import environment, heads, hub, hub_errors, replicas, spreading
from hfcli.runtime.dealing import Remote
from hfcli.runtime.padding import pad_id
from hfcli.tasks.base import Task

# Position tables that start behind the padding index: two positions fewer than the config says.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "longformer", "mpnet", "esm", "data2vec-text"}


class Loaded(NamedTuple):
    """A model ready to run.

    Attributes:
        task: What it was loaded for.
        model: In evaluation mode, on its device.
        tokenizer: The tokenizer, with its own padding and truncation unused.
        location: Where it came from.
        placement: Device, number format and the reason for it.
        max_tokens: The longest sequence the model takes.
        vocabulary: Rows of the input embedding; a token id from there on would crash the model.
        load_seconds: What loading took, without downloads.
        adapter: Where the adapter came from, if there is one.
        remote: The other ranks, which have it too.
    """

    task: Task
    model: Any
    tokenizer: Any
    location: hub.Location
    placement: environment.Placement
    max_tokens: int
    vocabulary: int
    load_seconds: float
    adapter: hub.Location | None = None
    remote: Remote | None = None


def load(task: Task, options: ModelOptions, tell: Tell) -> Loaded:
    """Load the model of `options.model` for a task, on all ranks.

    Raises:
        ModelError: It cannot be found, fetched or loaded, or has no trained head for the task.
        DeviceError: The device is not there, or its memory does not hold the model.
    """
    return replicas.everywhere(load_here, task, options, tell)


def load_here(task: Task, options: ModelOptions, tell: Tell) -> Loaded:
    """Load the model of `options.model` for a task, on this rank alone.

    Raises:
        ModelError: It cannot be found, fetched or loaded, or has no trained head for the task.
        DeviceError: The device is not there, or its memory does not hold the model.
    """
    assert options.model is not None
    environment.silence()
    device = environment.pick_device(options.device, tell)
    location = hub.locate(options.model, options, tell)
    hub.check_revision(location, options)
    latest = replace(options, revision=None)  # --revision names one of the model's, not of the adapter's
    adapter = hub.locate(options.adapter, latest, tell, kind="adapter") if options.adapter else None
    started = time.monotonic()
    check_folder(location, options)
    config = load_config(location, options)
    tokenizer = load_tokenizer(location, options)
    weight_bytes = sum(file.stat().st_size for file in location.folder.glob("*.safetensors"))
    placement = environment.place(device, options.dtype, weight_bytes or None)
    model = _load_model(task, location, config, placement, options, tell)
    if adapter is not None:
        model = put_adapter(model, adapter, location, options)
    if task.kind == "logits":
        _prepare_classifier(model, tokenizer)
    seconds = time.monotonic() - started
    room = longest(config, tokenizer)
    return Loaded(task, model.eval(), tokenizer, location, placement, room, vocabulary_size(model), seconds, adapter)


def check_folder(location: hub.Location, options: ModelOptions, weights: bool = True) -> None:
    """The sentences for an incomplete folder, before transformers names three causes at once."""
    try:
        files = sorted(entry.name for entry in location.folder.iterdir())
    except OSError as error:
        raise ModelError(f"{location.name} cannot be read ({(error.strerror or str(error)).lower()})") from error
    if "config.json" not in files:
        if "adapter_config.json" in files:
            base = _adapter_base(location.folder) or "BASE-MODEL"
            raise ModelError(f"{location.name} is an adapter, not a model", f"-m {base} --adapter {location.name}")
        shown = ", ".join(files[:6]) or "nothing"
        raise ModelError(f"{location.name} is not a model folder: it has no config.json (found {shown})")
    if weights and not hub.has_weights(location.folder, options.allow_pickle):
        raise hub_errors.no_weights(location.name, files)


def _adapter_base(folder: Path) -> str | None:
    with contextlib.suppress(OSError, ValueError):
        base = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8")).get("base_model_name_or_path")
        return str(base) if base else None
    return None


@contextlib.contextmanager
def explained(location: hub.Location, what: str) -> Iterator[None]:
    """Turn what is raised while loading into our errors.

    All of it: what a folder holds decides which code of transformers, tokenizers and torch runs, and what that raises.
    """
    try:
        yield
    except SafetensorError as error:
        reason = str(error).splitlines()[0].removeprefix("Error while deserializing header: ")
        raise _damaged(location, reason) from error
    except pickle.UnpicklingError as error:
        message = f"{location.name}: pytorch_model.bin holds more than weights, or is damaged; it was not loaded"
        raise ModelError(message, "take safetensors weights, which cannot carry code") from error
    except Exception as error:
        if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and environment.out_of_memory(error)):
            raise DeviceError(
                f"{location.name} does not fit into memory", "a smaller model, or --dtype bfloat16"
            ) from error
        if "trust_remote_code" in str(error):
            raise ModelError(
                f"{location.name} comes with Python code of its own", "--trust-remote-code runs it; read it first"
            ) from error
        if isinstance(error, (EOFError, IndexError)) or "PytorchStreamReader" in str(error):
            raise _damaged(location, str(error).splitlines()[0] if str(error) else "unexpected end") from error
        raise ModelError(
            f"the {what} of {location.name} cannot be loaded: {_reason(error)}",
            "fetch it again; a newer model may need: pip install --upgrade transformers",
        ) from error


def _damaged(location: hub.Location, reason: str) -> ModelError:
    return ModelError(f"{location.name}: the weights are damaged or cut short ({reason})", "fetch them again")


def _reason(error: Exception) -> str:
    """The first line of an error that says something; with its kind where a line says little, as KeyError's do."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, json.JSONDecodeError):
        return f"one of its files is not JSON ({lines[0]})"
    first = lines[0] if lines else ""
    if first.endswith(":") and len(lines) > 1:
        first = f"{first} {lines[1]}"
    speaks = isinstance(error, (OSError, ValueError, ImportError, RuntimeError))
    return first if speaks else f"{type(error).__name__}: {first}"


def _json_object(location: hub.Location, name: str) -> dict[str, Any]:
    """One of the folder's JSON files; transformers passes over some of them silently when they are damaged."""
    try:
        content = json.loads((location.folder / name).read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"{location.name}: {name} cannot be read ({(error.strerror or str(error)).lower()})"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{location.name}: {name} is not JSON ({error})", "copy or fetch it again") from error
    if not isinstance(content, dict):
        raise ModelError(f"{location.name}: {name} is not a JSON object", "copy or fetch it again")
    return content


def load_config(location: hub.Location, options: ModelOptions) -> Any:
    content = _json_object(location, "config.json")
    kind = content.get("model_type")
    if not (isinstance(kind, str) or (kind is None and "auto_map" in content)):
        raise ModelError(f"{location.name}: config.json does not say which model_type it is")
    if kind not in transformers.CONFIG_MAPPING and "auto_map" not in content:
        raise ModelError(
            f"{location.name} is of type {kind}, which transformers {transformers.__version__} does not know",
            did_you_mean(str(kind), transformers.CONFIG_MAPPING) or "pip install --upgrade transformers",
        )
    attention = content.get("_attn_implementation") or content.get("attn_implementation")
    if "/" in str(attention) and not options.trust_remote_code:
        raise ModelError(
            f"{location.name} asks for code of its own for attention ({attention})",
            "--trust-remote-code runs it; read it first",
        )
    for name in ("generation_config.json", "tokenizer_config.json"):
        if (location.folder / name).exists():
            _json_object(location, name)
    with explained(location, "config"):
        return transformers.AutoConfig.from_pretrained(location.folder, trust_remote_code=options.trust_remote_code)


def load_tokenizer(location: hub.Location, options: ModelOptions) -> Any:
    vocabularies = (
        "tokenizer.json",
        "*.model",
        "vocab*",
        "*.tiktoken",
        "tokenizer*.py",
        "tokenization*.py",
        "merges.txt",
    )
    if not any(next(location.folder.glob(pattern), None) for pattern in vocabularies):
        found = ", ".join(sorted(entry.name for entry in location.folder.iterdir())[:6])
        raise ModelError(f"{location.name} has no tokenizer (found {found})", "copy the tokenizer's files there too")
    with explained(location, "tokenizer"):
        return transformers.AutoTokenizer.from_pretrained(
            location.folder, trust_remote_code=options.trust_remote_code, clean_up_tokenization_spaces=False
        )


def auto_model_name(task: Task, config: Any) -> str:
    """The Auto class for a model: text is generated by causal models and by encoder-decoders alike."""
    return "AutoModelForSeq2SeqLM" if task.kind == "tokens" and config.is_encoder_decoder else task.auto_model


def auto_class(task: Task, location: hub.Location, config: Any) -> Any:
    """The Auto class itself.

    Raises:
        ModelError: It has no model of this kind.
    """
    name = auto_model_name(task, config)
    auto = getattr(transformers, name)
    if type(config) not in auto._model_mapping and name not in (getattr(config, "auto_map", None) or {}):
        raise ModelError(
            f"{location.name} is a {config.model_type} model, which cannot do {task.name}", f"a model of {name}"
        )
    return auto


def _load_model(
    task: Task, location: hub.Location, config: Any, placement: environment.Placement, options: ModelOptions, tell: Tell
) -> Any:
    auto = auto_class(task, location, config)
    heads.check_made_for(task, location, config)
    safe = hub.has_weights(location.folder, allow_pickle=False)
    needed = spreading.weight_bytes(location.folder, config, placement.dtype)
    free = environment.free_bytes(placement.device)
    where = spreading.device_map(location.name, options.device, placement, needed)
    with explained(location, "model"):
        model, report = auto.from_pretrained(
            location.folder,
            config=config,
            dtype=placement.dtype,
            device_map=where,
            use_safetensors=safe,
            weights_only=True,
            trust_remote_code=options.trust_remote_code,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are in the report, and refused with it
        )
    heads.check_weights(task, location, report, f"{model.base_model_prefix}.")
    if spreading.is_spread(model):
        tell(spreading.said(location.name, needed, environment.name_of(placement.device), free, model))
    return model


def put_adapter(model: Any, adapter: hub.Location, location: hub.Location, options: ModelOptions) -> Any:
    """The model with the adapter merged in: one matrix instead of three, nothing slower than the base."""
    try:
        import peft
    except ImportError:
        raise ModelError("--adapter needs the package peft", "pip install 'hfcli[peft]'") from None
    names = sorted(entry.name for entry in adapter.folder.iterdir())
    if "adapter_config.json" not in names:
        raise ModelError(f"{adapter.name} is not a PEFT adapter: it has no adapter_config.json")
    if "adapter_model.safetensors" not in names and not options.allow_pickle:
        renamed = [name.replace("adapter_model.bin", "pytorch_model.bin") for name in names]
        raise hub_errors.no_weights(adapter.name, renamed)
    base = _adapter_base(adapter.folder)
    hint = f"it was made for {base}" if base else "it was made for another model"
    try:
        config = peft.PeftConfig.from_pretrained(adapter.folder)
        adapted = peft.get_peft_model(model, config)
        if not hasattr(adapted, "merge_and_unload"):
            raise ValueError(f"adapters of type {config.peft_type.value} cannot be merged into a model")
        report = adapted.load_adapter(str(adapter.folder), "default", torch_device=str(model.device))
        strange = [*report.unexpected_keys, *report.missing_keys]  # peft only warns, and speaks with the base's voice
        if strange:
            raise ValueError(f"{len(strange)} of its weights have no place there, such as {strange[0]}")
        return adapted.merge_and_unload(safe_merge=True)
    except Exception as error:  # what an adapter's files hold decides what peft raises
        raise ModelError(f"the adapter {adapter.name} does not fit {location.name} ({_reason(error)})", hint) from error


def longest(config: Any, tokenizer: Any) -> int:
    """The longest sequence a model takes, in tokens: the least of the values that mean something.

    XLNet says -1, GPT-2's tokenizer 1e30, RoBERTa two positions more than it has.
    """
    text = config.get_text_config(decoder=True)
    names = ["max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length"]
    names += ["max_encoder_position_embeddings", "max_decoder_position_embeddings"]  # LED
    values = [getattr(text, name, None) for name in names]
    if config.model_type in _OFFSET_POSITIONS and values[0]:
        values[0] -= 2
    values.append(getattr(tokenizer, "model_max_length", None))
    usable = [int(value) for value in values if isinstance(value, (int, float)) and 0 < value < 1e9]
    return min(usable, default=1_000_000_000)


def _prepare_classifier(model: Any, tokenizer: Any) -> None:
    """Let a decoder find the last token of a padded row, and keep no keys and values for tokens that will not come."""
    for config in (model.config, model.config.get_text_config()):
        config.pad_token_id = pad_id(tokenizer, vocabulary_size(model))
        config.use_cache = False


def vocabulary_size(model: Any) -> int:
    embedding = model.get_input_embeddings()
    return int(embedding.weight.shape[0]) if isinstance(embedding, torch.nn.Module) else 1_000_000_000
