"""Learning labels, or numbers."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from hfcli.errors import DataError
from hfcli.events import Tell
from hfcli.options.training import Asked
from hfcli.runtime import checking
from hfcli.runtime.data import Data, Split
from hfcli.runtime.goals import Usable
from hfcli.runtime.judging import LabelJudge
from hfcli.runtime.lengths import check_stride, fit
from hfcli.tasks import _labels, text_classification
from hfcli.tasks._labels import MULTI, SINGLE
from hfcli.tasks.base import Settings, Task


class LabelGoal:
    """See Goal.

    Args:
        found: The data.
        columns: The column of every field and of the label.
        asked: What flags say.
        model_names: Names that the model was trained to say, or ().

    Raises:
        DataError: A split has no such column, or its cells are no labels.
    """

    def __init__(
        self, found: Data, columns: Mapping[str, str | None], asked: Asked, model_names: tuple[str, ...]
    ) -> None:
        self._columns, self._asked = columns, asked
        column = str(columns["label"])
        for split in [found.train, *([found.evaluation] if found.evaluation else [])]:
            if column not in split.columns:
                raise DataError(
                    f"{split.name} has no column {column}; there is {', '.join(split.columns)}", "--label-column NAME"
                )
        values, class_names = checking.label_cells(found.train, found.evaluation, column)
        self.labels = _labels.infer(values, class_names, asked.labels.problem_type, model_names)

    @property
    def names(self) -> tuple[str, ...]:
        return self.labels.names

    @property
    def overrides(self) -> dict[str, Any]:
        return text_classification.prepare(self.labels)

    @property
    def what(self) -> str:
        return f"{len(self.names)} labels" if self.names else "one number"

    def settings(self, task: Task, stored: Settings | None, max_tokens: int, model: str) -> Settings:
        texts = self._asked.texts
        length = fit(texts.max_length or (stored.max_length if stored else min(512, max_tokens)), max_tokens, model)
        on_long = texts.on_long or (stored.on_long if stored else "truncate")
        kept = stored.doc_stride if stored else min(128, length // 4)
        stride = kept if texts.doc_stride is None else texts.doc_stride
        check_stride(stride, length, on_long)
        return Settings(task.name, dict(self._columns), self.labels.problem_type, length, on_long, stride)

    def begin(self, split: Split) -> None:
        self._target = _labels.Targets(self.labels, split.class_names.get(str(self._columns["label"]), ()))

    def target(self, index: int, cell: Any, cells: Mapping[str, Any]) -> Any:
        return self._target(cell)

    def end(self, split: Split, tell: Tell) -> None:
        """There is nothing to say."""

    def apart(self, train: Usable) -> tuple[Sequence[Hashable] | None, Sequence[Hashable]]:
        keys: Sequence[Hashable] | None = None
        if self.labels.problem_type == SINGLE:
            keys = train.targets
        elif self.labels.problem_type == MULTI:
            keys = [tuple(target) for target in train.targets]
        names = [name for field, name in self._columns.items() if name is not None and field != "label"]
        return keys, list(zip(*(train.split.values(name) for name in names), strict=True))

    def report(
        self, train: Split, evaluation: Split | None, settings: Settings, token_counts: np.ndarray
    ) -> checking.Report:
        return checking.check(
            train, evaluation, self._columns, self.labels, token_counts=token_counts, settings=settings
        )

    def judge(self, prepared: Any, extra: str | None) -> LabelJudge:
        return LabelJudge(
            prepared.encoded_evaluation, prepared.evaluation, prepared.columns, prepared.settings, self.names, extra
        )

    def data_line(self, prepared: Any) -> str:
        columns, names = self._columns, self.names
        texts = " + ".join(str(columns[name]) for name in ("text", "text_pair") if columns.get(name))
        shown = ", ".join(names[:6]) + (f", ... {len(names) - 6} more" if len(names) > 6 else "")
        return f"{texts} -> {columns['label']} ({shown or 'a number'})"
