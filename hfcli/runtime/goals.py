"""What a data set is learnt for: the part of preparing, checking and judging that differs between kinds of tasks."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hfcli import tasks
from hfcli.errors import DataError, HfcliError, UsageError
from hfcli.events import Note, Tell
from hfcli.options.reading import DataOptions
from hfcli.options.training import Asked
from hfcli.runtime.data import Data, Split
from hfcli.runtime.findings import count
from hfcli.runtime.judging import Judge
from hfcli.tasks import _columns
from hfcli.tasks._text import check
from hfcli.tasks.base import Settings, Task

_AT_ONCE = 1024


def task_of(found: Data, asked: Asked) -> Task:
    """The task that was asked for, else that of the columns.

    Raises:
        UsageError: It cannot be learnt, or a flag is about another one.
    """
    task = tasks.get(asked.labels.task or _of_flags(asked) or tasks.infer(found.train.columns))
    if task.target is None:
        raise UsageError(f"{task.name} cannot be finetuned", "--task text-classification")
    fields = {field.name for field in (*task.fields, task.target)}
    others = [f"--{name.replace('_', '-')}-column" for name, column in asked.columns.items() if column is not None]
    own = {f"--{name.replace('_', '-')}-column" for name in fields}
    spans = task.name == "question-answering"
    given = {
        **{flag: True for flag in others if flag not in own},
        "--problem-type": spans and asked.labels.problem_type is not None,
        "--on-long": spans and asked.texts.on_long not in (None, "window"),
        "--max-answer-length": not spans and asked.longest.max_answer_length is not None,
    }
    for flag in (flag for flag, used in given.items() if used):
        why = "long contexts are always read in windows" if flag == "--on-long" else f"this is {task.name}"
        hint = f"leave out {flag}, or --task NAME says what it is"
        raise UsageError(f"{flag} means nothing here: {why}", hint)
    return task


def columns_of(split: Split, task: Task, asked: Asked) -> dict[str, str | None]:
    """The column of every field and of the target.

    Raises:
        UsageError: A flag names one that is not there.
        DataError: One that is needed is not there, or could be several.
    """
    samples = {name: split.sample(name) for name in split.columns}
    return _columns.find(samples, task, asked.columns, split.class_names, need_target=True)


def _of_flags(asked: Asked) -> str | None:
    """The only task whose columns flags name."""
    given = {name for name, column in asked.columns.items() if column}
    about = [
        task.name
        for task in map(tasks.get, tasks.names())
        if task.target and not given.isdisjoint(field.name for field in (*task.fields, task.target))
    ]
    return about[0] if len(about) == 1 else None


@dataclass(frozen=True)
class Usable:
    """Records of a split that can be learnt from, with their targets."""

    split: Split
    targets: list[Any]

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, indices: np.ndarray) -> "Usable":
        return Usable(self.split.select(indices), [self.targets[i] for i in indices])

    def records(self, task: Task, columns: Mapping[str, str | None]) -> Iterator[dict[str, Any]]:
        """The records as the task reads them, with their targets."""
        assert task.target is not None
        names = [field.name for field in task.fields]
        fields = {name: columns[name] for name in names if columns.get(name) is not None}
        for start in range(0, len(self), _AT_ONCE):
            targets = self.targets[start : start + _AT_ONCE]
            records = self.split.records(np.arange(start, start + len(targets)), fields)
            for record, target in zip(records, targets, strict=True):
                yield {**record, task.target.name: target}


class Goal(Protocol):
    """What is learnt from a data set, and what of it can be used."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, () where there are none."""

    @property
    def overrides(self) -> dict[str, Any]:
        """What the config of a model says that has this head."""

    @property
    def what(self) -> str:
        """What the head gives: "2 labels"."""

    def settings(self, task: Task, stored: Settings | None, max_tokens: int, model: str) -> Settings:
        """How records are read: as flags say, else as stored with the model, else as is usual.

        Raises:
            UsageError: More than the model takes, or windows that overlap by as much as they hold.
        """

    def target(self, index: int, cell: Any, cells: Mapping[str, Any]) -> Any:
        """What is learnt from a record, None where it says nothing.

        Args:
            index: The record's, in the split that `begin` was told of.
            cell: The target's column.
            cells: The record's other fields, as they stand there.

        Raises:
            DataError: The cell cannot be learnt from.
        """

    def begin(self, split: Split) -> None:
        """Targets of this split's records are going to be asked for."""

    def end(self, split: Split, tell: Tell) -> None:
        """They have been; what there is to say about them."""

    def apart(self, train: Usable) -> tuple[Sequence[Hashable] | None, Sequence[Hashable]]:
        """For holding out: the class of each record, and what must not be on both sides."""

    def report(self, train: Split, evaluation: Split | None, settings: Settings, token_counts: np.ndarray) -> Any:
        """The data check's Report."""

    def judge(self, prepared: Any, extra: str | None) -> Judge:
        """A judge of the evaluation records of a Prepared."""

    def data_line(self, prepared: Any) -> str:
        """Columns and what they are, for the head of a run: "text -> label (neg, pos)"."""


def usable(
    split: Split, columns: Mapping[str, str | None], task: Task, goal: Goal, options: DataOptions, tell: Tell
) -> Usable:
    """Leave out what has no target, and refuse (or leave out) what cannot be used.

    Raises:
        DataError: A record cannot be used, or none has a target.
    """
    assert task.target is not None
    column = columns[task.target.name]
    assert column is not None
    fields = {field.name: str(columns[field.name]) for field in task.fields if columns.get(field.name) is not None}
    texts = {field: split.values(name) for field, name in fields.items()}
    kept, targets = [], []
    without = bad = 0
    goal.begin(split)
    for index, cell in enumerate(split.values(column)):
        try:
            target = goal.target(index, cell, {field: values[index] for field, values in texts.items()})
            if target is None:
                without += 1
                continue
            for field, values in texts.items():
                if not check(values[index], f"column {fields[field]}").strip():
                    raise DataError(f"column {fields[field]} is empty")
        except HfcliError as error:
            bad += 1
            if options.on_error == "fail":
                hint = f"--on-error skip leaves such records out; hfcli data check {options.dataset} lists them"
                raise DataError(f"{split.where(index)}: {error.message}", hint) from error
            continue
        kept.append(index)
        targets.append(target)
    goal.end(split, tell)
    if without:
        what = "has no label (-1 or null) and was" if without == 1 else "have no label (-1 or null) and were"
        tell(Note(f"{count(without, 'record')} of {split.name} {what} left out"))
    if bad:
        tell(
            Note(f"{count(bad, 'record')} of {split.name} cannot be used and {'was' if bad == 1 else 'were'} left out")
        )
    if not kept:
        flag = f"--{task.target.name}-column"
        raise DataError(
            f"{split.name} has no labelled records", f"--train-split, --eval-split and {flag} choose others"
        )
    return Usable(split if len(kept) == len(split) else split.select(np.array(kept)), targets)
