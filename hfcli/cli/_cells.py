"""What a metric reads, out of the cells of records: texts, labels, numbers, tags, found by the names of columns."""

import ast
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hfcli.errors import DataError, UsageError, did_you_mean
from hfcli.records._json import kind

# By what a metric reads: how columns are called, the likeliest first; then those that hfcli writes itself, which
# elsewhere may be what is right. A line of plain text is the column text.
_NAMED = "prediction predictions predicted output hypothesis"
_PREDICTION = {
    "texts": f"{_NAMED} generated_text translation_text summary_text answer".split(),
    "labels": f"{_NAMED} predicted_label label".split(),
    "label_sets": f"{_NAMED} predicted_labels labels label".split(),
    "values": f"{_NAMED} predicted_score score".split(),
    "probabilities": f"scores probabilities probability {_NAMED} labels score".split(),
    "tags": f"{_NAMED} predicted_tags tags".split(),
}
_REFERENCE = {
    "texts": "references reference gold targets target summary translation completion answers answer".split(),
    "labels": "references reference gold gold_label expected input_label target label".split(),
    "label_sets": "references reference gold gold_labels expected input_labels target labels label".split(),
    "values": "references reference gold expected input_score target label score".split(),
    "tags": "references reference gold ner_tags tags".split(),
}
_PREDICTION["text"] = _PREDICTION["texts"]
_REFERENCE["probabilities"] = _REFERENCE["labels"]
_EMPTY = (None, "")
_WHOLE = re.compile(r"^(-?\d+)\.0+$")


class Cells:
    """Reads predictions and references for one kind of metrics.

    Args:
        reads: What the metrics read, as `hfcli.metrics.base.Reads` has it.
        metric: The name of one of them, for errors.
        prediction: The column of --prediction-column, None to find it by name.
        references: The columns of --reference-column, [] to find one by name.
    """

    def __init__(self, reads: str, metric: str, prediction: str | None, references: Sequence[str]) -> None:
        self.reads, self.metric = reads, metric
        self._prediction, self._references = prediction, list(references)
        self.reference_columns: list[str] = []
        self._columns: dict[int, str] = {}
        self._labels: set[str] = set()
        self._others: dict[int, str] = {}

    def prediction(self, record: Mapping[str, Any], system: int, where: str) -> Any:
        """The prediction in a record.

        Args:
            record: Of the system's file.
            system: Which, from 0; each may have columns of its own.
            where: The record's place.

        Raises:
            DataError: There is no such column, or it holds something else.
        """
        if system not in self._columns:
            self._columns[system] = self._find(
                record, self._prediction, _PREDICTION[self.reads], (), where, "prediction"
            )
        column = self._columns[system]
        return self._one(_cell(record, column, where), where, "prediction")

    def references(self, records: Sequence[Mapping[str, Any]], apart: bool, where: str) -> Any:
        """What is right, out of the records of one place.

        Args:
            records: One of each file of references; the prediction's own where there are no such files.
            apart: Whether they are of files of their own.
            where: The place of the first.

        Raises:
            DataError: There is no such column, or it holds something else.
        """
        if self.reads == "text":
            return []
        if not self.reference_columns:
            own = () if apart else tuple(self._columns.values())
            given = self._references or [None]  # type: ignore[list-item]
            candidates = _REFERENCE[self.reads]
            self.reference_columns = [
                self._find(records[0], name, candidates, own, where, "reference") for name in given
            ]
        cells = []
        for file, record in enumerate(records):
            for column in self.reference_columns:
                name = self._other(file, column, record, where) if file else column
                cells.append((name, _cell(record, name, where)))
        if self.reads == "texts":
            return [text for name, cell in cells for text in self._texts(cell, where, name != "text")]
        if len(cells) > 1:
            raise UsageError(
                f"{self.metric} compares with one reference, and {len(cells)} were given", "leave out all but one"
            )
        return self._one(cells[0][1], where, "reference")

    def check(self, predictions: Sequence[Any], reference: Any, where: str) -> None:
        """Refuse what cannot be compared.

        Args:
            predictions: Of each system.
            reference: What is right.
            where: The record's place.

        Raises:
            DataError: Not a tag for every token, no distribution, or not over the same labels in all records.
        """
        for prediction in predictions:
            if self.reads == "tags" and len(prediction) != len(reference):
                raise DataError(
                    f"{where} has {len(prediction):,} predicted tags and {len(reference):,} right ones",
                    "give a tag for every token, in both",
                )
            if self.reads == "probabilities":
                self._check_distribution(prediction, reference, where)

    def _check_distribution(self, prediction: Mapping[str, float], reference: str, where: str) -> None:
        self._labels = self._labels or {*prediction}
        if {*prediction} != self._labels:
            other = ", ".join(sorted({*prediction} ^ self._labels))
            raise DataError(f"{where} has probabilities of other labels than the records before ({other})")
        low, total = min(prediction.values(), default=0), sum(prediction.values())
        if low < 0:
            raise DataError(f"{where} has {low:g} for a probability", "from 0 to 1")
        if abs(total - 1) >= 1e-2:
            raise DataError(f"{where} has probabilities that sum to {total:g}; they are to sum to 1")
        if reference not in prediction:
            there = ", ".join(sorted(prediction))
            raise DataError(f"{where} has the label {reference}, and no probability of it; there are those of {there}")

    def _other(self, file: int, column: str, record: Mapping[str, Any], where: str) -> str:
        """A second file of references may call its column by another name, the same in all its records."""
        if file not in self._others and not self._references and column not in record:
            self._others[file] = self._find(record, None, _REFERENCE[self.reads], (), where, "reference")
        return self._others.get(file, column)

    def _find(
        self,
        record: Mapping[str, Any],
        given: str | None,
        candidates: Iterable[str],
        taken: Sequence[str],
        where: str,
        what: str,
    ) -> str:
        if given is not None:
            _cell(record, given, where)
            return given
        # Beside other columns a text is what was written, and hardly what it should have been.
        lines = ["text"] if {*record} <= {"text", "id"} or (what, self.reads[:4]) == ("prediction", "text") else []
        found = next((name for name in [*candidates, *lines] if name in record and name not in taken), None)
        if found is None:
            others = [name for name in record if name not in taken and name != "id"]
            if len(others) != 1 or (what == "reference" and taken):
                hint = f"--{what}-column NAME names it"
                raise DataError(
                    f"{where}: no column is called like a {what} for {self.metric}; there is {_names(record)}", hint
                )
            found = others[0]
        return found

    def _one(self, cell: Any, where: str, what: str) -> Any:
        return getattr(self, f"_{self.reads}_cell")(cell, where, what)

    def _texts_cell(self, cell: Any, where: str, what: str) -> str:
        if cell is None:
            return ""
        if not isinstance(cell, str):
            raise _wrong(where, what, cell, "a text")
        return cell

    _text_cell = _texts_cell

    def _texts(self, cell: Any, where: str, several: bool) -> list[str]:
        """The texts of a cell of references; null is none. In a table several may stand there as a list."""
        if several and isinstance(cell, str) and cell.startswith('["'):
            cell = _decoded(cell)
        if isinstance(cell, dict) and "text" in cell:
            cell = cell["text"]
        if cell is None:
            return []
        return [self._texts_cell(text, where, "reference") for text in (cell if isinstance(cell, list) else [cell])]

    def _labels_cell(self, cell: Any, where: str, what: str) -> str:
        if cell in _EMPTY:
            raise DataError(f"{where} has no label as its {what}", "every record needs one")
        if isinstance(cell, bool):
            return str(cell).lower()
        if not isinstance(cell, str | int | float):
            raise _wrong(where, what, cell, "a label")
        label = str(cell).strip()
        # One label, as JSON, Python and a table write it: true and True, 1 and 1.0.
        return label.lower() if label in ("True", "False") else _WHOLE.sub(r"\1", label)

    def _label_sets_cell(self, cell: Any, where: str, what: str) -> list[str]:
        items = _decoded(cell) if isinstance(cell, str) and cell.startswith("[") else cell
        if isinstance(items, str):
            items = [name for name in items.split(",") if name.strip()]
        if items is None:
            items = []
        if not isinstance(items, list):
            raise _wrong(where, what, cell, "a list of labels")
        labels = (item["label"] if isinstance(item, dict) and "label" in item else item for item in items)
        return [self._labels_cell(label, where, what) for label in labels]

    def _values_cell(self, cell: Any, where: str, what: str) -> float:
        try:
            value = math.nan if isinstance(cell, bool) else float(cell)
        except (TypeError, ValueError):
            raise _wrong(where, what, cell, "a number") from None
        if not math.isfinite(value):
            raise DataError(f"{where} has a {what} that is {value}; only finite numbers can be measured")
        return value

    def _probabilities_cell(self, cell: Any, where: str, what: str) -> Any:
        if what == "reference":
            return self._labels_cell(cell, where, what)
        if isinstance(cell, str) and cell[:1] in "[{":
            cell = _decoded(cell)
        if isinstance(cell, list) and all(isinstance(each, dict) and {"label", "score"} <= {*each} for each in cell):
            cell = {str(each["label"]): each["score"] for each in cell}
        if not isinstance(cell, dict):
            positive = self._values_cell(cell, where, what)
            if not 0 <= positive <= 1:
                raise DataError(f"{where} has {positive:g} for a probability", "from 0 to 1, of the label 1")
            cell = {"0": 1 - positive, "1": positive}
        return {str(label): self._values_cell(score, where, what) for label, score in cell.items()}

    def _tags_cell(self, cell: Any, where: str, what: str) -> list[str]:
        tags = _decoded(cell) if isinstance(cell, str) and cell.startswith("[") else cell
        if isinstance(tags, str):
            tags = tags.split()
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise _wrong(where, what, cell, "a list of tags")
        return tags


def have_lists(prediction: Mapping[str, Any], reference: Mapping[str, Any], given: str | None) -> bool:
    """Whether records have lists of labels where others have one label.

    Args:
        prediction: The first record of a system.
        reference: The first one with what is right.
        given: The column of --prediction-column, None to find it by name.
    """
    names = _PREDICTION["label_sets"] if given is None else [given]
    column = next((name for name in names if name in prediction), None)
    others = [name for name in _REFERENCE["label_sets"] if reference is not prediction or name != column]
    other = next((name for name in others if name in reference), None)
    cells = [prediction.get(column or ""), reference.get(other or "")]
    return any(
        isinstance(_decoded(cell) if isinstance(cell, str) and cell[:1] == "[" else cell, list) for cell in cells
    )


def _decoded(text: str) -> Any:
    """JSON, or a list as Python writes it, in a cell of a table; the text itself where it is neither."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return text


def _cell(record: Mapping[str, Any], column: str, where: str) -> Any:
    if column in record:
        return record[column]
    from hfcli.tasks._nested import column_names, look_up

    try:
        return look_up(record, column)
    except KeyError:
        near = did_you_mean(column, column_names(record))
        raise DataError(f"{where} has no column {column}; there is {_names(record)}", near) from None


def _names(record: Mapping[str, Any]) -> str:
    from hfcli.tasks._nested import column_names

    there = column_names(record)
    return ", ".join(there[:8]) + ", ..." * (len(there) > 8)


def _wrong(where: str, what: str, cell: Any, wanted: str) -> DataError:
    return DataError(f"{where} has a {what} that is {kind(cell)}, not {wanted}", f"--{what}-column NAME names another")
