"""Learning to find answers."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from hfcli.errors import DataError
from hfcli.events import Note, Tell
from hfcli.options.training import Asked
from hfcli.runtime import answer_checking, checking
from hfcli.runtime.data import Data, Split
from hfcli.runtime.findings import count
from hfcli.runtime.goals import Usable
from hfcli.runtime.lengths import fit, overlap
from hfcli.runtime.span_judging import SpanJudge
from hfcli.tasks import _answers, question_answering
from hfcli.tasks._answers import Answers
from hfcli.tasks._text import check
from hfcli.tasks.base import Settings, Task

START = "answer_start"
"""The column that says where an answer begins, where answers are plain texts."""


class SpanGoal:
    """See Goal.

    Args:
        found: The data.
        columns: The columns of question, context and answers.
        asked: What flags say.
        tokenizer: Of the model.

    Raises:
        DataError: A split has no such column.
    """

    names: tuple[str, ...] = ()
    what = "a span"

    def __init__(self, found: Data, columns: Mapping[str, str | None], asked: Asked, tokenizer: Any) -> None:
        self._columns, self._asked, self._tokenizer = columns, asked, tokenizer
        for split in [found.train, *([found.evaluation] if found.evaluation else [])]:
            missing = next((name for name in columns.values() if name not in split.columns), None)
            if missing is not None:
                raise DataError(
                    f"{split.name} has no column {missing}; there is {', '.join(split.columns)}",
                    "--eval-dataset FILE with the same columns",
                )

    @property
    def overrides(self) -> dict[str, Any]:
        return {}

    def settings(self, task: Task, stored: Settings | None, max_tokens: int, model: str) -> Settings:
        self._settings = settings(task, self._columns, self._asked, stored, max_tokens, model)
        return self._settings

    def begin(self, split: Split) -> None:
        self._starts = split.values(START) if START in split.columns else None
        self._repaired = 0
        questions, length = split.values(str(self._columns["question"])), self._settings.max_length
        self._long = question_answering.long_questions(questions, self._tokenizer, length)

    def target(self, index: int, cell: Any, cells: Mapping[str, Any]) -> Answers:
        """The answers, each at its place in the context."""
        if index in self._long:
            raise question_answering.too_long(self._long[index], self._settings.max_length)
        start = None if self._starts is None else self._starts[index]
        answers = _answers.read(cell, start, str(self._columns["answers"]))
        located, repaired = _answers.located(answers, check(cells["context"], f"column {self._columns['context']}"))
        self._repaired += repaired
        return located

    def end(self, split: Split, tell: Tell) -> None:
        if self._repaired:
            one = self._repaired == 1
            tell(
                Note(
                    f"{count(self._repaired, 'record')} of {split.name} {'has' if one else 'have'} an answer elsewhere "
                    "than its answer_start says; it stands in the context once, and was taken from there"
                )
            )

    def apart(self, train: Usable) -> tuple[Sequence[Hashable] | None, Sequence[Hashable]]:
        """All questions about a context stay together."""
        return None, train.split.values(str(self._columns["context"]))

    def report(
        self, train: Split, evaluation: Split | None, settings: Settings, token_counts: np.ndarray
    ) -> checking.Report:
        return answer_checking.check(train, evaluation, self._columns, settings=settings, token_counts=token_counts)

    def judge(self, prepared: Any, extra: str | None) -> SpanJudge:
        return SpanJudge(
            prepared.encoded_evaluation, prepared.evaluation, prepared.columns, prepared.evaluation_targets,
            prepared.settings, extra,
        )  # fmt: skip

    def data_line(self, prepared: Any) -> str:
        columns = self._columns
        none = sum(not len(answers.texts) for answers in prepared.evaluation_targets)
        share = f" ({none / len(prepared.evaluation_targets):.0%} to measure on without)" if none else ""
        return f"{columns['question']} + {columns['context']} -> {columns['answers']}{share}"


def settings(
    task: Task, columns: Mapping[str, str | None], asked: Asked, stored: Settings | None, max_tokens: int, model: str
) -> Settings:
    """How questions and contexts are read: as flags say, else as stored with the model, else as is usual.

    Raises:
        UsageError: More than the model takes, or windows that overlap by as much as they hold.
    """
    texts = asked.texts
    usual = stored or Settings(task.name, {}, max_length=min(int(task.defaults["max_length"]), max_tokens))
    length = fit(texts.max_length or usual.max_length, max_tokens, model)
    stride = overlap(texts.doc_stride, stored.doc_stride if stored else None, length)
    longest = asked.longest.max_answer_length or usual.max_answer_length
    return Settings(task.name, dict(columns), None, length, "window", stride, max_answer_length=longest)
