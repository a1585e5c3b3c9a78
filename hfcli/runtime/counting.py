"""How many tokens texts have: a tokenizer without the weights of its model, which are a thousand times as much."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from huggingface_hub.errors import EntryNotFoundError, OfflineModeIsEnabled

from hfcli.errors import DataError, ModelError
from hfcli.events import Note, Progress, Tell
from hfcli.options import ModelOptions
from hfcli.runtime import hub, loading
from hfcli.runtime.hub_errors import NotAHub, TransportError, sentence
from hfcli.runtime.hub_files import Repository
from hfcli.runtime.splits import Split
from hfcli.tasks.text_classification import check_text

USUAL = "bert-base-uncased"
EXACT = 100_000
"""From so many records on lengths are estimated, on `_DRAWN` of them."""
_DRAWN = 20_000
_AT_ONCE = 512
_FILES = (".json", ".txt", ".model", ".tiktoken")


class Counter(NamedTuple):
    """What texts are counted with.

    Attributes:
        name: The model's, "" for words.
        tokenizer: None for words.
        max_tokens: What the model takes.
    """

    name: str
    tokenizer: Any
    max_tokens: int

    @property
    def unit(self) -> str:
        return "tokens" if self.tokenizer else "words"


def find(model: str | None, offline: bool, tell: Tell) -> Counter:
    """The tokenizer of a model; without a name the usual one, else words, which need no file.

    Raises:
        ModelError: The model that was asked for is nowhere, or has no tokenizer.
    """
    if model is not None:
        return _load(ModelOptions(model, offline=offline), tell)
    try:
        return _load(ModelOptions(USUAL, offline=offline), lambda event: None)
    except ModelError:
        tell(Note(f"lengths are in words, for want of the tokenizer of {USUAL}; -m MODEL takes another one"))
        return Counter("", None, 1_000_000_000)


def _load(options: ModelOptions, tell: Tell) -> Counter:
    location = _locate(options, tell)
    tokenizer = loading.load_tokenizer(location, options)
    if (location.folder / "config.json").is_file():
        most = loading.longest(loading.load_config(location, options), tokenizer)
    else:
        most = int(min(max(tokenizer.model_max_length, 1), 1_000_000_000))
    return Counter(str(options.model), tokenizer, most)


def _locate(options: ModelOptions, tell: Tell) -> hub.Location:
    """As `hub.locate`, but of a repository of the Hub the small files only."""
    name = str(options.model)
    if Path(name).exists() or name.startswith("builtin/") or not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name):
        return hub.locate(name, options, tell)
    repo = Repository(name).known()
    commit = repo.commit()
    if commit and next(repo.snapshot(commit).glob("*token*"), None):
        return hub.Location(repo.snapshot(commit), repo.name, commit)
    try:
        repo, commit, sizes = replace(repo, name=name).ask(options.offline)
        wanted = [file for file in sizes if "/" not in file and file.endswith(_FILES)]
        repo.remember(name, commit, sizes)
        repo.bring(commit, wanted, sizes, tell)
    except (OfflineModeIsEnabled, TransportError, EntryNotFoundError, OSError, NotAHub) as error:
        raise sentence(error, repo.name, options, None) from error
    return hub.Location(repo.snapshot(commit), repo.name, commit)


def count(counter: Counter, split: Split, columns: Sequence[str], tell: Tell) -> np.ndarray:
    """The length of every record, special tokens included.

    Args:
        counter: What to count with.
        split: The records; of more than `EXACT` some are drawn, always the same ones.
        columns: Those of the text, or of both of a pair.
        tell: Gets Progress.

    Returns:
        int32 `(records,)`; 0 for what was not drawn, and for what holds no text.
    """
    n = len(split)
    chosen = np.arange(n)
    if n > EXACT:
        chosen = np.sort(np.random.default_rng(42).choice(n, _DRAWN, replace=False))
    counts = np.zeros(n, dtype=np.int32)
    for start in range(0, len(chosen), _AT_ONCE):
        indices = chosen[start : start + _AT_ONCE]
        found = dict(_texts(split.records(indices, {column: column for column in columns})))
        if found:
            counts[indices[list(found)]] = _lengths(counter, list(found.values()))
        tell(Progress("counting tokens", start + len(indices), len(chosen)))
    return counts


def _texts(records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The records that have all their texts, with their numbers."""
    for number, record in enumerate(records):
        try:
            texts = tuple(check_text(cell, column) for column, cell in record.items())
        except DataError:
            continue
        if all(text.strip() for text in texts):
            yield number, texts


def _lengths(counter: Counter, texts: list[tuple[str, ...]]) -> list[int]:
    if counter.tokenizer is None:
        return [sum(len(text.split()) for text in record) for record in texts]
    encoded = counter.tokenizer(
        *map(list, zip(*texts, strict=True)),
        split_special_tokens=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    return [len(ids) for ids in encoded["input_ids"]]
