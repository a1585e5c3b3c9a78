"""A classifier asked about every record of a data set, and what is right: for `hfcli eval`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from hfcli.errors import DataError
from hfcli.events import Note, Tell
from hfcli.options import ModelOptions
from hfcli.options.classification import ClassifyOptions
from hfcli.options.reading import DataOptions, TextOptions
from hfcli.records import Row
from hfcli.runtime import asking, classification, data, measured, settings
from hfcli.runtime.classification import Classifier
from hfcli.runtime.splits import Split
from hfcli.tasks import _columns, _labels
from hfcli.tasks._labels import MULTI, REGRESSION, SINGLE
from hfcli.tasks.base import Task

_AT_ONCE = 512
_READS = {SINGLE: "labels", MULTI: "label_sets", REGRESSION: "values"}


@dataclass(frozen=True)
class Labelled:
    """A classifier and the records it is measured on.

    Attributes:
        classifier: The model.
        split: The records.
        columns: The column of every field and of the label.
        rows: Which records can be used: those with a text and a label.
        targets: What is right for them, as `reads` has it.
        reads: What metrics read: labels, label_sets or values.
        data: "stanfordnlp/imdb@e628166:test".
    """

    classifier: Classifier
    split: Split
    columns: dict[str, str | None]
    rows: list[int]
    targets: list[Any]
    reads: str
    data: str

    @property
    def name(self) -> str:
        """The model's short name."""
        return measured.short_name(self.classifier.loaded)

    @property
    def system(self) -> str:
        """Everything that may differ between systems."""
        reads = self.classifier.settings
        parts = [f"max_len:{reads.max_length}", f"on_long:{reads.on_long}"]
        parts += [f"doc_stride:{reads.doc_stride}"] if reads.on_long == "window" else []
        return measured.system(self.classifier.loaded, parts)

    @property
    def parameters(self) -> int:
        """Of the model."""
        return measured.parameters(self.classifier.loaded)

    @property
    def _fields(self) -> dict[str, str]:
        return {name: column for name, column in self.columns.items() if name != "label" and column}

    def records(self) -> list[dict[str, Any]]:
        """What the model reads, record by record."""
        starts = range(0, len(self.rows), _AT_ONCE)
        return [record for at in starts for record in self.split.records(self.rows[at : at + _AT_ONCE], self._fields)]

    def some(self, places: Sequence[int]) -> "Labelled":
        """The same about some of the records."""
        return replace(self, rows=[self.rows[place] for place in places], targets=[])

    def answers(self, skip: int, tell: Tell) -> Iterator[dict[str, Any]]:
        """What the model says, record by record: `label` and `scores`, `labels` and `scores`, or `score`.

        Args:
            skip: Records at the beginning that need no answer.
            tell: Gets progress.
        """

        def rows() -> Iterator[Row]:
            for start in range(skip, len(self.rows), _AT_ONCE):
                places = self.rows[start : start + _AT_ONCE]
                for place, record in zip(places, self.split.records(places, self._fields), strict=True):
                    yield Row(record, self.split.where(place))

        return self._run(rows(), len(self.rows), tell, skip)

    def answers_to(self, records: Sequence[dict[str, Any]], tell: Tell) -> Iterator[dict[str, Any]]:
        """The same about other records of the same kind."""
        return self._run((Row(record, "") for record in records), len(records), tell, 0)

    def _run(self, rows: Iterator[Row], total: int, tell: Tell, done: int) -> Iterator[dict[str, Any]]:
        run = self.classifier.run(rows, tell, lambda count: count / total, done=done, patient=True)
        return (one.answers[0] for some in run for one in some)


class _Opened(NamedTuple):
    """A classifier, the records, and where their texts are.

    Attributes:
        classifier: The model.
        split: The records.
        columns: The column of every field, and of the label where one was looked for.
        kind: What the model gives.
        blank: Records that hold nothing to read.
    """

    classifier: Classifier
    split: Split
    columns: dict[str, str | None]
    kind: str
    blank: set[int]


def _open(
    task: Task,
    model: ModelOptions,
    options: DataOptions,
    texts: TextOptions,
    label: tuple[str | None] | None,
    tell: Tell,
) -> _Opened:
    """Load both; `label` is the column that was named for it, None where none is needed."""
    split = data.one_split(options, offline=model.offline, tell=tell)
    loaded = asking.load(task, model, tell)
    stored = settings.of(loaded.location.folder, loaded.adapter.folder if loaded.adapter else None)
    own = stored.columns if stored and stored.task == task.name else {}
    flags = {"text": texts.text_column, "text_pair": texts.text_pair_column, "label": label[0] if label else None}
    given = {name: flag or (own.get(name) if own.get(name) in split.columns else None) for name, flag in flags.items()}
    if texts.text_pair_column == "":
        given["text_pair"] = ""
    samples = {name: split.sample(name) for name in split.columns}
    columns = _columns.find(samples, task, given, split.class_names, need_target=label is not None)
    fields = {name: columns[name] for name in ("text", "text_pair")}
    pair = "text_pair" if fields["text_pair"] else ""
    read = TextOptions("text", pair, texts.max_length, texts.on_long, texts.doc_stride)
    classifier = classification.choose(loaded, read, ClassifyOptions(), keep_going=False)
    kind = classifier.labels.kind or (SINGLE if classifier.labels.names else REGRESSION)
    classifier.show = ClassifyOptions(all_scores=kind != REGRESSION)
    blank = _blank(split, {name: column for name, column in fields.items() if column})
    if blank:
        tell(Note(f"{len(blank):,} of {len(split):,} records have no text and are left out"))
    return _Opened(classifier, split, {**fields, "label": columns.get("label")}, kind, blank)


def open_texts(task: Task, model: ModelOptions, options: DataOptions, texts: TextOptions, tell: Tell) -> Labelled:
    """The same without labels: what a classifier says, and not whether it is right."""
    opened = _open(task, model, options, texts, None, tell)
    rows = [index for index in range(len(opened.split)) if index not in opened.blank]
    columns = {**opened.columns, "label": None}
    name = measured.name_of_data(options, opened.split, columns.values())
    return Labelled(opened.classifier, opened.split, columns, rows, [], _READS[opened.kind], name)


def open_classifier(
    task: Task,
    model: ModelOptions,
    options: DataOptions,
    texts: TextOptions,
    label_column: str | None,
    tell: Tell,
) -> Labelled:
    """Load a classifier and the data it is measured on.

    Raises:
        DataError: The data is not there, has no such columns, or no labels that the model knows.
        UsageError: The options contradict what is there.
        ModelError: The model cannot be loaded, or has no trained head.
    """
    opened = _open(task, model, options, texts, (label_column,), tell)
    split, kind, column = opened.split, opened.kind, str(opened.columns["label"])
    target = _target(opened.classifier, kind, split, column)
    known = [target(split, index, cell) for index, cell in enumerate(split.values(column))]
    if not any(right is not None for right in known):
        raise DataError(f"{split.title} has no labels: every one is empty, null or -1", "--split validation")
    if unlabelled := known.count(None):
        tell(Note(f"{unlabelled:,} of {len(split):,} records have no label and are left out"))
    rows = [index for index, right in enumerate(known) if right is not None and index not in opened.blank]
    if not rows:
        raise DataError(f"{split.title} has no record with both a text and a label")
    return Labelled(
        opened.classifier,
        split,
        opened.columns,
        rows,
        [known[index] for index in rows],
        _READS[kind],
        measured.name_of_data(options, split, opened.columns.values(), [label_column] if label_column else []),
    )


class _Target:
    """Cells of a label column to what metrics compare with, in the model's words."""

    def __init__(self, names: Sequence[str], kind: str, class_names: Sequence[str]) -> None:
        self._names, self._kind = names, kind
        self._read = _labels.Targets(_labels.Labels(kind, tuple(names)), class_names)

    def __call__(self, split: Split, index: int, cell: Any) -> Any:
        try:
            found: Any = self._read(cell)
        except DataError as error:
            about_training = (error.hint or "").startswith("--problem-type")  # what a model gives is settled
            hint = "--label-column NAME names another" if about_training else error.hint
            raise DataError(f"{split.where(index)}: {error.message}", hint) from error
        if found is None or self._kind == REGRESSION:
            return found
        return self._names[found] if self._kind == SINGLE else [self._names[each] for each in found]


def _target(classifier: Classifier, kind: str, split: Split, column: str) -> _Target:
    """Labels by name; of a model that only numbers its own (LABEL_0), in the order of the data set's names."""
    names, class_names = classifier.labels.names, split.class_names.get(column, ())
    numbered = all(re.fullmatch(r"LABEL_\d+", name) for name in names)
    if numbered and len(class_names) == len(names):
        class_names = names
    return _Target(names, kind, class_names)


def _blank(split: Split, fields: dict[str, str]) -> set[int]:
    """Records that hold nothing to read."""
    texts = zip(*(split.values(column) for column in fields.values()), strict=True)
    return {
        index
        for index, cells in enumerate(texts)
        if all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)
    }
