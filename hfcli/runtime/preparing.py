"""From a data set's name to encoded features with targets: everything of a finetuning that needs no weights."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from hfcli.errors import DataError
from hfcli.events import Lengths, Note, Tell
from hfcli.options import ModelOptions
from hfcli.options.reading import DataOptions
from hfcli.options.training import Asked, TrainingOptions
from hfcli.runtime import checking, data, features
from hfcli.runtime.data import Data, Split
from hfcli.runtime.features import Encoded
from hfcli.runtime.findings import LEAST_TO_HOLD_OUT, count
from hfcli.runtime.foundation import Foundation, find
from hfcli.runtime.goals import Goal, Usable, columns_of, task_of, usable
from hfcli.runtime.label_goal import LabelGoal
from hfcli.runtime.span_goal import SpanGoal
from hfcli.tasks.base import Settings, Setup, Task

HELD_OUT = 0.1


@dataclass(frozen=True)
class Prepared:
    """Ready to be trained on.

    Attributes:
        task: What is learnt.
        foundation: The model, without its weights.
        data: Where the records are from.
        columns: The column of every field and of the target.
        goal: What is learnt from them.
        settings: How records are read; stored with the result.
        train: The records that are learnt from.
        evaluation: Those that are measured on.
        evaluation_targets: What is right for each of these.
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
    goal: Goal
    settings: Settings
    train: Split
    evaluation: Split
    evaluation_targets: list[Any]
    held_out: bool
    encoded: Encoded
    encoded_evaluation: Encoded
    lengths: Lengths
    warnings: list[str]
    report: Any


def prepare(
    model: ModelOptions,
    options: DataOptions,
    asked: Asked,
    training: TrainingOptions,
    tell: Tell,
    turn: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Prepared:
    """Find the model and the data, decide what is learnt from which columns, split, encode.

    Args:
        model: What to begin with.
        options: Which data.
        asked: What flags say of columns, lengths and targets.
        training: Its seed decides what is held out.
        tell: Gets notes and progress.
        turn: Around what fetches from the Hub, for ranks that share a cache.

    Raises:
        HfcliError: Something is not there, does not fit, or is ambiguous; the sentence says what there is.
    """
    with turn():
        foundation = find(model, tell)
    here = all(name == "-" or os.path.exists(name) for name in (options.dataset, options.eval_dataset) if name)
    with nullcontext() if here else turn():
        found = data.load(options, offline=model.offline, tell=tell, seed=training.seed)
    task = task_of(found, asked)
    columns = columns_of(found.train, task, asked)
    goal = _goal(task, found, columns, asked, foundation)
    stored = foundation.stored if foundation.stored and foundation.stored.task == task.name else None
    settings = goal.settings(task, stored, foundation.max_tokens, foundation.location.name)
    train = usable(found.train, columns, task, goal, options, tell)
    if found.evaluation is None:
        indices, held = _hold_out(train, goal, training.seed, tell)
        if options.max_eval_samples is not None:
            held = np.random.default_rng([training.seed, 2]).permutation(held)[: options.max_eval_samples]
        evaluation, train = train.take(held), train.take(indices)
    else:
        evaluation = usable(found.evaluation, columns, task, goal, options, tell)
    setup = Setup(foundation.tokenizer, foundation.config, settings, goal.names, foundation.max_tokens)
    encoded, encoded_evaluation = (
        features.encode(
            task, part.records(task, columns), len(part), setup, tell, part.split.where, keep_notes=part is evaluation
        )
        for part in (train, evaluation)
    )
    report = goal.report(train.split, evaluation.split, settings, encoded.total_tokens)
    return Prepared(
        task, foundation, found, columns, goal, settings, train.split, evaluation.split, evaluation.targets,
        found.evaluation is None, encoded, encoded_evaluation,
        encoded.describe(settings.max_length, settings.on_long), checking.brief(report), report,
    )  # fmt: skip


def _goal(task: Task, found: Data, columns: Mapping[str, str | None], asked: Asked, foundation: Foundation) -> Goal:
    if task.name == "question-answering":
        return SpanGoal(found, columns, asked, foundation.tokenizer)
    return LabelGoal(found, columns, asked, foundation.names)


def _hold_out(train: Usable, goal: Goal, seed: int, tell: Tell) -> tuple[np.ndarray, np.ndarray]:
    """10%, of every class as much; the same text is never on both sides."""
    if len(train) < LEAST_TO_HOLD_OUT:
        raise DataError(
            f"{train.split.name} has {count(len(train), 'labelled record')}, too few to hold some out",
            "--eval-dataset FILE names others to measure on",
        )
    keys, groups = goal.apart(train)
    indices, held = data.hold_out(keys, len(train), HELD_OUT, seed, groups=groups)
    if not len(held):  # a few texts, each many times
        tell(Note(f"{train.split.name} has so few different texts that the same are learnt from and measured on"))
        indices, held = data.hold_out(keys, len(train), HELD_OUT, seed)
    return np.asarray(indices), np.asarray(held)
