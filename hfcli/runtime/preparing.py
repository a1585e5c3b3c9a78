"""From a data set's name to encoded features with labels: everything of a finetuning that needs no weights."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hfcli import tasks
from hfcli.errors import DataError, HfcliError, UsageError
from hfcli.events import Lengths, Note, Tell
from hfcli.options import ModelOptions
from hfcli.options.training import DataOptions, LabelOptions, TextOptions, TrainingOptions
from hfcli.runtime import checking, data, features
from hfcli.runtime.data import Data, Split
from hfcli.runtime.features import Encoded
from hfcli.runtime.findings import LEAST_TO_HOLD_OUT, count
from hfcli.runtime.foundation import Foundation, find
from hfcli.tasks import _columns, _labels, text_classification
from hfcli.tasks._labels import Labels
from hfcli.tasks.base import Settings, Setup, Task

HELD_OUT = 0.1
_AT_ONCE = 1024


@dataclass(frozen=True)
class Prepared:
    """Ready to be trained on.

    Attributes:
        task: What is learnt.
        foundation: The model, without its weights.
        data: Where the records are from.
        columns: The column of every field and of the label.
        labels: Kind of problem, and names.
        settings: How records are read; stored with the result.
        train: The records that are learnt from.
        evaluation: Those that are measured on.
        held_out: Whether these were taken from the training records.
        encoded: Features of the training records.
        encoded_evaluation: Features of the others.
        lengths: What the length limit does.
        warnings: Lines of the data check worth saying.
        report: All of it.
    """

    task: Task
    foundation: Foundation
    data: Data
    columns: Mapping[str, str | None]
    labels: Labels
    settings: Settings
    train: Split
    evaluation: Split
    held_out: bool
    encoded: Encoded
    encoded_evaluation: Encoded
    lengths: Lengths
    warnings: list[str]
    report: Any


def prepare(
    model: ModelOptions,
    options: DataOptions,
    texts: TextOptions,
    asked: LabelOptions,
    training: TrainingOptions,
    tell: Tell,
) -> Prepared:
    """Find the model and the data, decide what is learnt from which columns, split, encode.

    Raises:
        HfcliError: Something is not there, does not fit, or is ambiguous; the sentence says what there is.
    """
    foundation = find(model, tell)
    found = data.load(options, offline=model.offline, tell=tell, seed=training.seed)
    task = tasks.get(asked.task or tasks.infer(found.train.columns))
    columns = _find_columns(found, task, texts, asked)
    labels = _find_labels(found, columns[_target(task)], asked, foundation)
    settings = _settings(task, texts, columns, labels, foundation)
    train = _usable(found.train, columns, labels, task, options, tell)
    if found.evaluation is None:
        indices, held = _hold_out(train, columns, labels, training.seed, tell)
        if options.max_eval_samples is not None:
            held = np.random.default_rng([training.seed, 2]).permutation(held)[: options.max_eval_samples]
        evaluation, train = train.take(held), train.take(indices)
    else:
        evaluation = _usable(found.evaluation, columns, labels, task, options, tell)
    setup = Setup(foundation.tokenizer, foundation.config, settings, labels.names, foundation.max_tokens)
    encoded = features.encode(task, train.records(columns), len(train), setup, tell, train.split.where)
    encoded_evaluation = features.encode(
        task, evaluation.records(columns), len(evaluation), setup, tell, evaluation.split.where
    )
    report = checking.check(
        train.split, evaluation.split, columns, labels, token_counts=encoded.total_tokens, settings=settings
    )
    return Prepared(
        task, foundation, found, columns, labels, settings, train.split, evaluation.split, found.evaluation is None,
        encoded, encoded_evaluation, encoded.describe(settings.max_length, settings.on_long),
        checking.brief(report), report,
    )  # fmt: skip


@dataclass(frozen=True)
class _Usable:
    """Records of a split that can be learnt from, with their targets."""

    split: Split
    targets: list[Any]

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, indices: np.ndarray) -> "_Usable":
        return _Usable(self.split.select(indices), [self.targets[i] for i in indices])

    def records(self, columns: Mapping[str, str | None]) -> Iterator[dict[str, Any]]:
        fields = {field: column for field, column in columns.items() if column is not None and field != "label"}
        for start in range(0, len(self), _AT_ONCE):
            targets = self.targets[start : start + _AT_ONCE]
            records = self.split.records(np.arange(start, start + len(targets)), fields)
            for record, target in zip(records, targets, strict=True):
                yield {**record, "label": target}


def _target(task: Task) -> str:
    if task.target is None:
        raise UsageError(f"{task.name} cannot be finetuned", "--task text-classification")
    return task.target.name


def _find_columns(found: Data, task: Task, texts: TextOptions, asked: LabelOptions) -> dict[str, str | None]:
    samples = {name: found.train.sample(name) for name in found.train.columns}
    given = {"text": texts.text_column, "text_pair": texts.text_pair_column, "label": asked.label_column}
    return _columns.find(samples, task, given, found.train.class_names, need_target=True)


def _find_labels(found: Data, column: str | None, asked: LabelOptions, foundation: Foundation) -> Labels:
    assert column is not None
    splits = [found.train, *([found.evaluation] if found.evaluation else [])]
    for split in splits:
        if column not in split.columns:
            raise DataError(
                f"{split.name} has no column {column}; there is {', '.join(split.columns)}", "--label-column NAME"
            )
    values, class_names = checking.label_cells(found.train, found.evaluation, column)
    return _labels.infer(values, class_names, asked.problem_type, foundation.names)


def _settings(
    task: Task, texts: TextOptions, columns: Mapping[str, str | None], labels: Labels, foundation: Foundation
) -> Settings:
    stored = foundation.stored
    most = foundation.max_tokens
    length = texts.max_length or (stored.max_length if stored else min(512, most))
    if length > most:
        raise UsageError(f"--max-length {length}: {foundation.location.name} takes {most}", f"--max-length {most}")
    on_long = texts.on_long or (stored.on_long if stored else "truncate")
    kept = stored.doc_stride if stored else min(128, length // 4)
    stride = kept if texts.doc_stride is None else texts.doc_stride
    checking.check_stride(stride, length, on_long)
    return Settings(task.name, dict(columns), labels.problem_type, length, on_long, stride)


def _usable(
    split: Split, columns: Mapping[str, str | None], labels: Labels, task: Task, options: DataOptions, tell: Tell
) -> _Usable:
    """Leave out what has no label, and refuse (or leave out) what cannot be used."""
    column = columns["label"]
    assert column is not None
    of = _labels.Targets(labels, split.class_names.get(column, ()))
    fields = {field: name for field, name in columns.items() if name is not None and field != "label"}
    texts = {field: split.values(name) for field, name in fields.items()}
    kept, targets = [], []
    unlabelled = bad = 0
    for index, cell in enumerate(split.values(column)):
        try:
            target = of(cell)
            if target is None:
                unlabelled += 1
                continue
            for field, values in texts.items():
                if not text_classification.check_text(values[index], fields[field]).strip():
                    raise DataError(f"column {fields[field]} is empty")
        except HfcliError as error:
            bad += 1
            if options.on_error == "fail":
                hint = f"--on-error skip leaves such records out; hfcli data check {options.dataset} lists them"
                raise DataError(f"{split.where(index)}: {error.message}", hint) from error
            continue
        kept.append(index)
        targets.append(target)
    if unlabelled:
        what = "has no label (-1 or null) and was" if unlabelled == 1 else "have no label (-1 or null) and were"
        tell(Note(f"{count(unlabelled, 'record')} of {split.name} {what} left out"))
    if bad:
        tell(
            Note(f"{count(bad, 'record')} of {split.name} cannot be used and {'was' if bad == 1 else 'were'} left out")
        )
    if not kept:
        raise DataError(
            f"{split.name} has no labelled records", "--train-split, --eval-split and --label-column choose others"
        )
    return _Usable(split if len(kept) == len(split) else split.select(np.array(kept)), targets)


def _hold_out(
    train: _Usable, columns: Mapping[str, str | None], labels: Labels, seed: int, tell: Tell
) -> tuple[np.ndarray, np.ndarray]:
    """10%, of every class as much; the same text is never on both sides."""
    if len(train) < LEAST_TO_HOLD_OUT:
        raise DataError(
            f"{train.split.name} has {count(len(train), 'labelled record')}, too few to hold some out",
            "--eval-dataset FILE names others to measure on",
        )
    keys: Sequence[Hashable] | None = None
    if labels.problem_type == "single_label_classification":
        keys = train.targets
    elif labels.problem_type == "multi_label_classification":
        keys = [tuple(target) for target in train.targets]
    names = [name for field, name in columns.items() if name is not None and field != "label"]
    groups = list(zip(*(train.split.values(name) for name in names), strict=True))
    indices, held = data.hold_out(keys, len(train), HELD_OUT, seed, groups=groups)
    if not len(held):  # a few texts, each many times
        tell(Note(f"{train.split.name} has so few different texts that the same are learnt from and measured on"))
        indices, held = data.hold_out(keys, len(train), HELD_OUT, seed)
    return np.asarray(indices), np.asarray(held)
