"""`hfcli eval --predictions`: scores of outputs that are there already, without a model."""

import hashlib
from collections.abc import Sequence
from itertools import chain
from typing import Any

from hfcli.cli import _measure, _resuming
from hfcli.cli._cells import Cells, have_lists
from hfcli.cli._measure import Asked, Taken
from hfcli.cli._outcome import Outcome
from hfcli.cli._outputs import Outputs, Together
from hfcli.cli._scores import file_name
from hfcli.cli.console import Console
from hfcli.errors import DataError, UsageError
from hfcli.options.evaluating import MetricOptions, ShowOptions, StoredOptions
from hfcli.records import dumps


def measure(console: Console, stored: StoredOptions, options: MetricOptions, show: ShowOptions) -> Outcome:
    """Score stored outputs by metrics that take them in order.

    Raises:
        UsageError: The options do not fit each other.
        DataError: A file cannot be read, or holds what cannot be measured.
    """
    from hfcli import metrics

    for text in options.metric:  # what was typed is refused before files are read
        metrics.asked(text)
    settings = {"predictions": stored.predictions, "metric": options.metric, "columns": stored.reference_column}
    unfinished = _resuming.details(console, show, settings, "record")
    with Outputs(stored.predictions, stored.references) as outputs, unfinished as details:
        places = iter(outputs)
        first = next(places)
        cells = first.predictions[0], first.references[0], stored.prediction_column
        asked = _measure.families(options.metric, lambda: have_lists(*cells))
        if all(each.wanted.family.reads == "text" for each in asked):
            no_references(stored, asked[0].metrics[0].title)
        reader = _Reader(console, outputs, asked, stored, options.group_by)
        taken = map(reader.take, chain([first], places))
        systems = [(name, "") for name in _measure.system_names(stored.predictions)]
        outcome = _measure.measure(taken, asked, systems, reader.data, details, options)
        reader.notes()
    return outcome


def no_references(stored: StoredOptions, metric: str) -> None:
    """Refuse references where nothing is compared with them.

    Raises:
        UsageError: There are some.
    """
    for flag, given in (("--references", stored.references), ("--reference-column", stored.reference_column)):
        if given:
            raise UsageError(f"{metric} needs no references", f"leave out {flag}")


class _Reader:
    """Takes records out of files, and counts what is worth a note."""

    def __init__(
        self,
        console: Console,
        outputs: Outputs,
        asked: Sequence[Asked],
        stored: StoredOptions,
        group_by: str | None,
    ) -> None:
        self._console, self._outputs, self._asked, self._stored, self._group_by = (
            console,
            outputs,
            asked,
            stored,
            group_by,
        )
        self._cells = [
            Cells(each.wanted.family.reads, each.metrics[0].title, stored.prediction_column, stored.reference_column)
            for each in asked
        ]
        self._hashes = [hashlib.sha256() for _ in asked]
        self._empty = [0, 0]
        self._labels: list[set[str]] = [set(), set()]

    def take(self, place: Together) -> Taken:
        """One record."""
        where, apart = place.where, self._outputs.apart
        predictions = [
            [cells.prediction(record, s, where) for cells in self._cells] for s, record in enumerate(place.predictions)
        ]
        references = [cells.references(place.references, apart, where) for cells in self._cells]
        if not apart:
            self._same_references(place, references)
        for at, cells in enumerate(self._cells):
            cells.check([system[at] for system in predictions], references[at], where)
        if not apart:
            for known, reference in zip(self._hashes, references, strict=True):
                known.update(dumps({"": reference}).encode("utf-8", "replace") + b"\n")
        self._count(predictions, references)
        group = _measure.group_of(self._group_by, [*place.references, *place.predictions], where)
        return Taken(
            where, place.id, group, predictions, references, {"predictions": predictions, "references": references}
        )

    def _same_references(self, place: Together, references: list[Any]) -> None:
        """Refuse systems whose files say different things are right: they are in different orders.

        Raises:
            DataError: They are.
        """
        for record in place.predictions[1:]:
            if [cells.references([record], False, place.where) for cells in self._cells] != references:
                raise DataError(
                    f"{place.where}: what is right there is not what is right in the other files at this place",
                    "the files have to be in the same order; --references FILE names what is right once",
                )

    def _count(self, predictions: list[list[Any]], references: list[Any]) -> None:
        reads_before: set[str] = set()
        for at, each in enumerate(self._asked):
            reads = each.wanted.family.reads
            if reads in reads_before:  # the same cells again
                continue
            reads_before.add(reads)
            if reads == "texts":
                self._empty[0] += sum(not system[at].strip() for system in predictions)
                self._empty[1] += sum(not text.strip() for text in references[at])
            elif reads == "labels":
                self._labels[0].update(system[at] for system in predictions)
                self._labels[1].add(references[at])

    def data(self, asked: Asked) -> str:
        """What it is measured on: the files of references, or the column of the predictions with what it holds."""
        at = self._asked.index(asked)
        if asked.wanted.family.reads == "text":
            return "none"
        if self._outputs.apart:
            files = zip(self._stored.references, self._outputs.digests, strict=True)
            names = "+".join(file_name(path, digest) for path, digest in files)
            columns = self._cells[at].reference_columns
            return names if columns == ["text"] else f"{names}:{'+'.join(columns)}"
        return f"{'+'.join(self._cells[at].reference_columns)}@{self._hashes[at].hexdigest()[:7]}"

    def notes(self) -> None:
        """Say what was odd, once all is read."""
        for count, what, then in (
            (self._empty[0], "prediction", "scored"),
            (self._empty[1], "reference", "compared"),
        ):
            if count:
                many = f"{count:,} {what}s are" if count > 1 else f"1 {what} is"
                self._console.note(f"{many} empty, and {then} as any other text")
        predicted, right = self._labels
        if predicted and not predicted & right:
            self._console.note(
                f"no prediction is one of the labels that are right: {_some(predicted)}, and right are {_some(right)}"
            )


def _some(labels: set[str]) -> str:
    shown = sorted(labels)
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")
