"""What a model is measured on, and which model it was, as signatures and files say it."""

import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import transformers

from hfcli import tasks
from hfcli.errors import DataError, did_you_mean
from hfcli.events import Tell
from hfcli.metrics.groups import name as group_name
from hfcli.options import ModelOptions
from hfcli.options.reading import DataOptions
from hfcli.runtime import data, hub, loading, settings
from hfcli.runtime.loading import Loaded
from hfcli.runtime.splits import Split
from hfcli.tasks._protocols import Reading

_END_BYTES = 1 << 20


def task_of(model: ModelOptions | None, options: DataOptions, offline: bool, tell: Tell) -> str:
    """What a model is for: as stored with it, else by its architecture; without a model, what the data is for.

    Args:
        model: None where none was named.
        options: The data.
        offline: Whether the Hub may not be asked.
        tell: Gets progress.

    Returns:
        A task's name; "text-generation" of what is neither a classifier nor finds answers.

    Raises:
        ModelError: The model cannot be found.
        DataError: The data cannot be found.
    """
    if model is None or model.model is None:
        return tasks.infer(data.one_split(options, offline=offline, tell=tell).columns)
    location = hub.locate(model.model, model, tell)
    stored = settings.of(location.folder, None)
    if stored is not None:
        return stored.task
    loading.check_folder(location, model)
    made = " ".join(map(str, getattr(loading.load_config(location, model), "architectures", None) or []))
    if "QuestionAnswering" in made:
        return "question-answering"
    return "text-classification" if "SequenceClassification" in made else "text-generation"


def ids(split: Split) -> list[str | None]:
    """Of every record: its `id`, None where it has none."""
    cells = split.values("id") if "id" in split.columns else [None] * len(split)
    return [None if cell is None else str(cell) for cell in cells]


def groups(split: Split, column: str | None) -> list[str]:
    """Of every record, by a column; "" without one.

    Raises:
        DataError: There is no such column.
    """
    if column is None:
        return [""] * len(split)
    if column not in split.columns:
        there = ", ".join(split.columns)
        raise DataError(
            f"{split.title} has no column {column} for --group-by; it has {there}", did_you_mean(column, split.columns)
        )
    names = split.class_names.get(column, ())
    cells = split.values(column)
    return [group_name(names[cell] if names and isinstance(cell, int) and cell >= 0 else cell) for cell in cells]


def name_of_data(options: DataOptions, split: Split, columns: Iterable[str | None], named: Sequence[str] = ()) -> str:
    """Name, revision (or content) and split of the data; of a file as for stored outputs.

    Args:
        options: What was asked for.
        split: The data.
        columns: Those that are read.
        named: Those of them that flags name: with others it would be another measurement.
    """
    path, chosen = str(options.dataset), "".join(f":{name}" for name in named)
    if os.path.isfile(path):
        return file(path) + chosen
    version = split.revision or split.digest([name for name in columns if name])
    source = "stdin" if split.name == "standard input" else split.source or split.name
    name = f"{source}{f'/{split.subset}' if split.subset else ''}@{version[:7]}"
    return (name if split.source in ("", split.name) else f"{name}:{split.name}") + chosen


def file(path: str) -> str:
    """A file and its content, unpacked: "dev.json@95aa6a5"."""
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as content:
        return f"{os.path.basename(path).removesuffix('.gz')}@{hashlib.file_digest(content, 'sha256').hexdigest()[:7]}"


def short_name(loaded: Loaded) -> str:
    """What a model is called in a table."""
    name = loaded.location.name.rstrip("/")
    return name if name.startswith("builtin/") else os.path.basename(name)


def system(loaded: Loaded, parts: Sequence[str]) -> str:
    """Everything that may differ between systems that are compared.

    Args:
        loaded: The model.
        parts: How it was used: "max_len:256".
    """
    location = loaded.location
    name = f"{location.name}@{location.commit[:7]}" if location.commit else short_name(loaded)
    if location.commit is None and not name.startswith("builtin/"):
        name += f"@{_fingerprint(location.folder)}"
    adapter = [f"adapter:{loaded.adapter}"] if loaded.adapter else []
    versions = [f"dtype:{loaded.placement.dtype_name}", f"transformers:{transformers.__version__}"]
    return "|".join([name, *adapter, *parts, *versions])


def _fingerprint(folder: Path) -> str:
    """Of a folder's config and weights, so that two runs are two systems: sizes, and the ends of what is large."""
    known = hashlib.sha256()
    for path in sorted([*folder.glob("config.json"), *folder.glob("*.safetensors"), *folder.glob("*.bin")]):
        with path.open("rb") as content:
            size = content.seek(0, os.SEEK_END)
            known.update(f"{path.name}:{size}".encode())
            for start in sorted({0, max(0, size - _END_BYTES)}):
                content.seek(start)
                known.update(content.read(_END_BYTES))
    return known.hexdigest()[:7]


def how(reading: Reading) -> str:
    """How texts were read, for signatures."""
    parts = [f"protocol:{reading.protocol or 'masked'}", f"window:{reading.length}"]
    parts += [f"stride:{reading.stride}"] if reading.stride else []
    parts += [f"bos:{'yes' if len(reading.prefix) else 'no'}"] if reading.protocol else []
    return "|".join(parts)


def tokenizer(loaded: Loaded) -> str:
    """The vocabulary, for what cannot be compared between tokenizers."""
    known = json.dumps(loaded.tokenizer.get_vocab(), sort_keys=True).encode("utf-8", "replace")
    return f"tok:{hashlib.sha256(known).hexdigest()[:7]}"


def parameters(loaded: Loaded) -> int:
    """How many numbers the model has."""
    return sum(parameter.numel() for parameter in loaded.model.parameters())
