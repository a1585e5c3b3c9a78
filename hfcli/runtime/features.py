"""Encoded records in flat arrays: a few bytes a token, whatever their number."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from hfcli.errors import DataError
from hfcli.events import Lengths, Progress, Tell
from hfcli.tasks.base import Feature, Record, Setup, Task

_RECORDS_AT_ONCE = 512  # enough for the Rust tokenizer to use all cores, and for progress to move


@dataclass(frozen=True, eq=False)
class Encoded:
    """Every feature of a list of records.

    Attributes:
        inputs: Model inputs by name, int32 of shape `(tokens,)`: all features one after the other.
        offsets: Feature f is `offsets[f]` to `offsets[f + 1]`, shape `(features + 1,)`.
        starts: Features of record r are `starts[r]` to `starts[r + 1]`, shape `(records + 1,)`.
        labels: Targets by name, shape `(features, ...)`.
        total_tokens: Tokens of every record before anything was cut, shape `(records,)`.
        cut_tokens: Those that were cut off, shape `(records,)`.
        notes: Of every feature what decode needs; () where nothing is going to be decoded.
    """

    inputs: Mapping[str, np.ndarray]
    offsets: np.ndarray
    starts: np.ndarray
    labels: Mapping[str, np.ndarray]
    total_tokens: np.ndarray
    cut_tokens: np.ndarray
    notes: Sequence[Any] = ()

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of every feature, shape `(features,)`."""
        return np.diff(self.offsets)

    @property
    def weights(self) -> np.ndarray:
        """What each feature counts, float32 `(features,)`: a record counts once, however many windows it has."""
        counts = np.diff(self.starts)
        return np.repeat(1.0 / np.maximum(counts, 1), counts).astype(np.float32)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, features: Iterable[int]) -> list[Feature]:
        """Some features."""
        return [
            Feature(
                {name: flat[self.offsets[f] : self.offsets[f + 1]] for name, flat in self.inputs.items()},
                {name: values[f] for name, values in self.labels.items()},
                self.notes[f] if self.notes else None,
            )
            for f in features
        ]

    def describe(self, max_length: int, on_long: str) -> Lengths:
        """How long the records are, and what `max_length` does to them."""
        total = self.total_tokens
        over = np.maximum(total - max_length, 0)
        median, p95 = np.percentile(total, [50, 95])
        share = float(over.sum() / max(total.sum(), 1))
        return Lengths(int(median), int(p95), int(total.max()), max_length, float((over > 0).mean()), share, on_long)


def encode(
    task: Task,
    records: Sequence[Record] | Iterable[Record],
    total: int,
    setup: Setup,
    tell: Tell,
    where: Callable[[int], str],
    keep_notes: bool = False,
) -> Encoded:
    """Encode records.

    Args:
        task: Whose `encode` is called.
        records: Canonical records, with targets.
        total: How many they are, for progress.
        setup: Tokenizer, config and settings.
        tell: Gets Progress.
        where: Where a record stands.
        keep_notes: Whether the features are going to be decoded.

    Raises:
        DataError: A record cannot be encoded, such as one that is longer than `--on-long error` allows.
    """
    inputs: dict[str, list[np.ndarray]] = {}
    labels: dict[str, list[np.ndarray]] = {}
    sizes: list[int] = []
    counts: list[int] = []
    notes: list[Any] = []
    kept: list[Any] = []
    for batch in _batches(records):
        for features in _placed(task.encode(batch, setup), lambda: where(len(counts))):
            counts.append(len(features))
            notes.append(features[0].notes)
            kept += [feature.notes for feature in features] if keep_notes else []
            for feature in features:
                sizes.append(len(feature.inputs["input_ids"]))
                for name, row in feature.inputs.items():
                    inputs.setdefault(name, []).append(row)
                for name, value in feature.labels.items():
                    labels.setdefault(name, []).append(value)
        tell(Progress("encoding", len(counts), total))
    return Encoded(
        {name: np.concatenate(rows) for name, rows in inputs.items()},
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        {name: np.stack(values) for name, values in labels.items()},
        np.array([note.total_tokens for note in notes], dtype=np.int64),
        np.array([note.cut_tokens for note in notes], dtype=np.int64),
        kept,
    )


def _placed(encoded: Iterable[list[Feature]], where: Callable[[], str]) -> Iterator[list[Feature]]:
    """The same, with an error that says where the record stands."""
    try:
        yield from encoded
    except DataError as error:
        raise DataError(f"{where()}: {error.message}", error.hint) from error


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    iterator = iter(records)
    while batch := list(islice(iterator, _RECORDS_AT_ONCE)):
        yield batch
