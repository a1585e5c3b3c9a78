"""The data of a command: from what was typed to the splits that are learnt from and measured on."""

import os
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

import numpy as np

from hfcli import records
from hfcli.errors import DataError, UsageError, did_you_mean
from hfcli.events import Tell
from hfcli.options.reading import DataOptions
from hfcli.runtime import hub_data, local_data
from hfcli.runtime.splits import Split

__all__ = ["Data", "Split", "hold_out", "load", "one_split"]

# In this order; `test` is measured on only when it is asked for, else it would be used up on choosing an epoch.
_EVALUATION = ("validation", "valid", "val", "dev", "eval", "evaluation", "validation_matched")


@dataclass(frozen=True)
class Data:
    """What is learnt from and measured on.

    Attributes:
        name: Full name: "stanfordnlp/imdb", "nyu-mll/glue rte", "tickets.csv".
        short: What a run is called after: "imdb", "glue-rte", "tickets".
        revision: The commit of a Hub data set.
        train: Records to learn from.
        evaluation: Records to measure on; None where there are none, and some of the others are to be held out.
        splits: Every split of the data set.
    """

    name: str
    short: str
    revision: str | None
    train: Split
    evaluation: Split | None
    splits: tuple[str, ...]


class _Source(NamedTuple):
    name: str
    short: str
    revision: str | None
    splits: Mapping[str, Callable[[], Split]]
    file: bool = False


def load(
    options: DataOptions,
    *,
    offline: bool,
    tell: Tell,
    on_error: Literal["fail", "collect"] = "fail",
    seed: int = 42,
) -> Data:
    """Find and read what is learnt from and what is measured on.

    Args:
        options: What was asked for.
        offline: Whether the Hub may not be asked.
        tell: Gets Downloading, and a Note for what is not as it was typed.
        on_error: A line that cannot be read: raise its error (unless the options say `skip`), or keep it in
            `Split.bad`.
        seed: Of `--max-train-samples` and `--max-eval-samples`.

    Raises:
        UsageError: The options contradict what is there.
        DataError: It is not there, or cannot be read, or has no such split.
        ModelError: The Hub, or the way to it.
    """
    if options.dataset is None:
        raise UsageError("no data was named", "--dataset imdb, --dataset FILE.csv")
    if options.dataset == options.eval_dataset == "-":
        raise UsageError("standard input can be read once, for --dataset or for --eval-dataset", "--eval-dataset FILE")
    opener = _Opener(offline, tell, "skip" if on_error == "fail" and options.on_error == "skip" else on_error)
    source = opener.open(options.dataset, options.subset, options.dataset_revision)
    name = _training_split(source, options.train_split)
    if options.eval_dataset is not None:
        other = opener.open_other(options.eval_dataset, options)
        chosen: str | None = _split_of_other(other, options.eval_split)
    else:
        other = source
        chosen = _evaluation_split(source, options.eval_split, name)
    train = source.splits[name]().draw(options.max_train_samples, seed)
    evaluation = other.splits[chosen]().draw(options.max_eval_samples, seed) if chosen else None
    return Data(source.name, source.short, source.revision, train, evaluation, tuple(source.splits))


def one_split(options: DataOptions, *, offline: bool, tell: Tell) -> Split:
    """The split to measure on: the one that `eval_split` names, else test, else validation, else the only one.

    Args:
        options: `dataset`, `subset`, `dataset_revision`, `eval_split` and `max_eval_samples` are read.
        offline: Whether the Hub may not be asked.
        tell: Gets Downloading, and a Note for what is not as it was typed.

    Raises:
        UsageError: The options contradict what is there.
        DataError: It is not there, or cannot be read, or has no such split.
        ModelError: The Hub, or the way to it.
    """
    assert options.dataset is not None
    opener = _Opener(offline, tell, "stop")
    source = opener.open(options.dataset, options.subset, options.dataset_revision)
    return source.splits[_split_of_other(source, options.eval_split)]().draw(options.max_eval_samples, 42)


def fetch(options: DataOptions, tell: Tell) -> dict[str, str]:
    """Bring what is named and on the Hub to this machine: `dataset`, with `subset`, and `eval_dataset`.

    Returns:
        By name as it was given: the commit.

    Raises:
        UsageError: The options contradict what is there.
        DataError: It is not there, or cannot be read.
        ModelError: The Hub, or the way to it.
    """
    assert options.dataset is not None
    opener = _Opener(False, tell, "stop")
    found = {options.dataset: opener.open(options.dataset, options.subset, options.dataset_revision).revision}
    if options.eval_dataset is not None:
        found[options.eval_dataset] = opener.open_other(options.eval_dataset, options).revision
    return {name: commit for name, commit in found.items() if commit is not None}


class _Opener:
    """Finds what a name means, the first of: standard input, a file, a folder, a data set of the Hub."""

    def __init__(self, offline: bool, tell: Tell, on_error: local_data.OnError) -> None:
        self._offline, self._tell, self._on_error = offline, tell, on_error

    def open(self, name: str, subset: str | None, revision: str | None) -> _Source:
        if len(name) > 4096 or any(len(part) > 255 for part in name.split("/")):
            raise DataError(f"{name[:40]!r}... is too long for a name", "--dataset imdb, --dataset FILE.csv")
        path = Path(name).expanduser()
        if name != "-" and not path.exists() and not _looks_like_path(name):
            return _named(hub_data.fetch(name, subset, revision, self._offline, self._tell))
        what = "standard input" if name == "-" else f"{name} is a {'folder' if path.is_dir() else 'file'}"
        if revision:
            raise UsageError(f"--dataset-revision is about the Hub, {what}", "leave it out")
        if path.is_dir() and local_data.has_hub_card(path):
            return _named(hub_data.open_folder(path, _folder_name(path), subset))
        if subset:
            raise UsageError(f"--subset is about data sets of the Hub, {what}", "leave it out")
        if path.is_dir() and hub_data.is_saved(path):
            return _named(hub_data.open_saved(path, _folder_name(path)))
        return self._folder(path) if path.is_dir() else self._file(os.path.expanduser(name))

    def open_other(self, name: str, options: DataOptions) -> _Source:
        """--eval-dataset, with the same subset where it has that."""
        if name == options.dataset:
            return self.open(name, options.subset, options.dataset_revision)
        try:
            return self.open(name, options.subset, None)
        except (DataError, UsageError):
            if options.subset is None:
                raise
            return self.open(name, None, None)

    def _file(self, path: str) -> _Source:
        if path == "-":
            name, short = "standard input", "stdin"
        else:
            records.read(path).close()  # that it is not there should be known before another one is read
            name = os.path.basename(path)
            short = _short(local_data.stem(name))
        return _Source(name, short, None, {name: partial(self._read, [path], name, name)}, file=True)

    def _folder(self, folder: Path) -> _Source:
        name = _folder_name(folder)
        files = local_data.split_files(folder, self._tell)
        splits = {split: partial(self._read, list(map(str, paths)), split, name) for split, paths in files.items()}
        return _Source(name, _short(name), None, splits)

    def _read(self, paths: list[str], name: str, source: str) -> Split:
        return local_data.read(paths, name, source, self._on_error, self._tell)


def _folder_name(folder: Path) -> str:
    return folder.resolve().name or "data"


def _named(found: hub_data.Found) -> _Source:
    parts = [found.name, *([found.subset] if found.subset else [])]
    short = "-".join([found.name.rpartition("/")[2], *parts[1:]])
    return _Source(" ".join(parts), _short(short), found.revision, found.splits)


def _short(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "data"


def _looks_like_path(name: str) -> bool:
    """Whether a name that does not exist was meant for a file or a folder, not for the Hub."""
    plain = local_data.is_data_file(name) or name.endswith((".txt", ".gz", "/")) or name.count("/") > 1
    return plain or re.match(r"[./~]|[A-Za-z]:|.*\\", name) is not None


def _training_split(source: _Source, given: str | None) -> str:
    if given is not None:
        return _there(source, given, "--train-split")
    if "train" in source.splits:
        return "train"
    if len(source.splits) > 1:
        _unclear(source, "train", "--train-split")
    return next(iter(source.splits))


def _evaluation_split(source: _Source, given: str | None, train: str) -> str | None:
    if given is None:
        return next((name for name in _EVALUATION if name in source.splits and name != train), None)
    if _there(source, given, "--eval-split") == train:
        raise UsageError(f"--eval-split {given} is what is learnt from", "another one, or none: 10% are held out")
    return given


def _split_of_other(source: _Source, given: str | None) -> str:
    if given is not None:
        return _there(source, given, "--eval-split")
    chosen = next((name for name in ("test", *_EVALUATION) if name in source.splits), None)
    if chosen is None and len(source.splits) > 1:
        _unclear(source, "test or validation", "--eval-split")
    return chosen or next(iter(source.splits))


def _there(source: _Source, given: str, flag: str) -> str:
    if source.file:
        raise UsageError(f"{flag} {given}: {source.name} is one file, without splits", f"leave out {flag}")
    if given not in source.splits:
        near = did_you_mean(given, source.splits) or f"{flag} {next(iter(source.splits))}"
        raise DataError(f"{source.name} has no split {given}; there is {', '.join(source.splits)}", near)
    return given


def _unclear(source: _Source, wanted: str, flag: str) -> NoReturn:
    raise DataError(
        f"{source.name} has no split {wanted}; there is {', '.join(source.splits)}",
        f"{flag} {next(iter(source.splits))}",
    )


def hold_out(
    keys: Sequence[Hashable] | None,
    n: int,
    fraction: float,
    seed: int,
    groups: Sequence[Hashable] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Set records aside to measure on: of every class as large a share, and one at least stays to be learnt from.

    Args:
        keys: The class of each record; None where there are none. Where nearly all are unique they are not looked at.
        n: How many records there are.
        fraction: The share that is held out.
        seed: Of the draw; the same one gives the same records.
        groups: Records with an equal one stay together: the same text is never on both sides. Where they are of
            different classes they stay in training.

    Returns:
        Indices to learn from and indices to measure on, each sorted.
    """
    group = np.arange(n) if groups is None else _codes(groups, n)
    stratum = np.zeros(n, dtype=np.int64) if keys is None else _codes(keys, n)
    sizes = np.bincount(group)
    strata = stratum[np.unique(group, return_index=True)[1]]
    mixed = np.bincount(group, weights=stratum != strata[group]) > 0
    counts = np.bincount(strata, weights=np.where(mixed, 0, sizes)).astype(np.int64)
    wanted = max(min(max(round(n * fraction), 1), n - 1), 0)
    room = np.maximum(counts - 1, 0)
    if keys is not None and 2 * room.sum() < wanted:
        return hold_out(None, n, fraction, seed, groups)
    quotas = _largest_remainder(counts, room, wanted)
    shuffled = np.random.default_rng([seed, 1]).permutation(len(sizes))
    held = np.zeros(len(sizes), dtype=bool)
    for candidate in shuffled[~mixed[shuffled]].tolist():
        size = sizes[candidate]
        if size <= quotas[strata[candidate]]:
            held[candidate] = True
            quotas[strata[candidate]] -= size
    return np.flatnonzero(~held[group]), np.flatnonzero(held[group])


def _codes(values: Iterable[Hashable], n: int) -> np.ndarray:
    """A number for each different value, in the order of their first appearance."""
    numbers: dict[Hashable, int] = {}
    return np.fromiter((numbers.setdefault(value, len(numbers)) for value in values), np.int64, n)


def _largest_remainder(counts: np.ndarray, room: np.ndarray, total: int) -> np.ndarray:
    """`total` shared out in proportion to `counts`, at most `room` to each, by the largest remainder."""
    shares = counts * total / max(counts.sum(), 1)
    quotas = np.minimum(np.floor(shares).astype(np.int64), room)
    order = np.argsort(quotas - shares, kind="stable")
    while quotas.sum() < min(total, room.sum()):
        order = order[quotas[order] < room[order]]
        quotas[order[: total - quotas.sum()]] += 1
    return quotas
