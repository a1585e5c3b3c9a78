"""One pass over a split: what each record says that can be judged without a model."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hfcli.errors import DataError
from hfcli.runtime.splits import Split
from hfcli.tasks._labels import REGRESSION, Labels, Targets
from hfcli.tasks.text_classification import check_text

_AT_ONCE = 4096
_HTML = re.compile(
    r"<(br|/?(p|div|span|b|i|u|em|strong|a|li|ul|ol|td|tr|table|img|h[1-6]|html|body))\b[^<>]*>"
    r"|&(amp|lt|gt|quot|nbsp|#x?[0-9a-f]{1,6});",
    re.IGNORECASE,
)
_BROKEN = re.compile("\ufffd|[ÂÃ][\u0080-\u00bf]|â€|ï»¿")  # UTF-8 that was read as Latin-1, or lost


class Scan:
    """What a pass over a split found.

    Attributes:
        split: The records.
        texts: A 64-bit hash of each record's texts, equal where they differ in spaces only, 0 without one;
            int64 `(records,)`.
        labels: The same of its label.
        usable: Which records have all their texts, bool `(records,)`.
        labelled: Which have a label.
        counts: Records of every class, int64 `(classes,)`.
        numbers: Every number to be learnt, for regression.
        without: Records with an empty list of labels.
        faults: Records with something wrong, by kind.
        messages: What was said of the first one of a kind.
    """

    def __init__(self, split: Split, columns: Mapping[str, str | None], labels: Labels | None) -> None:
        n = len(split)
        self.split = split
        self.texts, self.labels = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self.usable, self.labelled = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        self.counts = np.zeros(len(labels.names) if labels else 0, dtype=np.int64)
        self.numbers: list[float] = []
        self.without = 0
        self.faults: dict[str, list[int]] = {}
        self.messages: dict[str, str] = {}
        target = Targets(labels, split.class_names.get(columns["label"] or "", ())) if labels else None
        fields = {field: column for field, column in columns.items() if column is not None}
        names = [column for field, column in fields.items() if field != "label"]
        for start in range(0, n, _AT_ONCE):
            indices = range(start, min(start + _AT_ONCE, n))
            for index, record in zip(indices, split.records(indices, fields), strict=True):
                label = record.pop("label", None)
                self._read(index, list(record.values()), names)
                if target is not None:
                    self._learn(index, label, target)

    def __len__(self) -> int:
        return len(self.split)

    def where(self, indices: Sequence[int] | np.ndarray) -> tuple[str, ...]:
        """The places of some records."""
        return tuple(self.split.where(int(index)) for index in indices)

    def _fault(self, kind: str, index: int, message: str = "") -> None:
        self.faults.setdefault(kind, []).append(index)
        self.messages.setdefault(kind, message)

    def _read(self, index: int, cells: list[Any], names: list[str]) -> None:
        try:
            texts = [check_text(cell, name) for cell, name in zip(cells, names, strict=True)]
        except DataError as error:
            return self._fault("not-text", index, error.message)
        words = [text.split() for text in texts]
        if not all(words):
            return self._fault("empty-text", index)
        self.usable[index] = True
        self.texts[index] = hash(tuple(map(" ".join, words)))
        if any(("<" in text or "&" in text) and _HTML.search(text) for text in texts):
            self._fault("html", index)
        if any(not text.isascii() and _BROKEN.search(text) for text in texts):
            self._fault("broken-text", index)
        return None

    def _learn(self, index: int, cell: Any, target: Targets) -> None:
        try:
            learnt = target(cell)
        except DataError as error:
            return self._fault("not-label", index, error.message)
        if learnt is None:
            return self._fault("no-label", index)
        self.labelled[index] = True
        self.labels[index] = hash(tuple(learnt) if isinstance(learnt, list) else learnt)
        if isinstance(learnt, list):
            self.counts[learnt] += 1
            self.without += not learnt
        elif target.labels.problem_type == REGRESSION:
            self.numbers.append(learnt)
        else:
            self.counts[int(learnt)] += 1
        return None
