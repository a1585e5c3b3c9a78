"""`hfcli eval -m MODEL --dataset D`: a classifier's labels, or numbers, scored."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hfcli.cli import _measure, _outcome, _resuming
from hfcli.cli._details import Details
from hfcli.cli._measure import Asked, Taken
from hfcli.cli._outcome import Outcome
from hfcli.cli.console import Console
from hfcli.errors import UsageError
from hfcli.options import ModelOptions
from hfcli.options.evaluating import MeasuredData, MetricOptions, ShowOptions
from hfcli.options.reading import TextOptions

if TYPE_CHECKING:
    from hfcli.runtime.labelled import Labelled

DEFAULTS = {
    "labels": ("accuracy", "f1_macro"),
    "label_sets": ("f1_micro", "f1_macro", "subset_accuracy"),
    "values": ("pearson", "spearman", "mse"),
}
_KINDS = {"labels": "one label", "label_sets": "several labels", "values": "a number"}


def of_model(
    console: Console,
    data: MeasuredData,
    model: ModelOptions,
    texts: TextOptions,
    label_column: str | None,
    options: MetricOptions,
    show: ShowOptions,
) -> Outcome:
    """Let a classifier predict, and score that.

    Raises:
        UsageError: A metric is not about what the model gives.
        DataError: The data cannot be used.
        ModelError: The model cannot.
    """
    from hfcli import tasks
    from hfcli.runtime import labelled

    task = tasks.get("text-classification")
    opened = labelled.open_classifier(task, model, data.data(), texts, label_column, console.tell)
    console.begin()
    names = options.metric or list(DEFAULTS[opened.reads])
    _outcome.check_limits(show, names)
    asked = _measure.families(names, lambda: opened.reads == "label_sets")
    _check(asked, opened)
    settings = {"model": opened.system, "data": opened.data, "metric": names}
    with _resuming.details(console, show, settings, "record") as details:
        taken = _Taken(opened, asked, details, options.group_by, console)
        begun = time.monotonic()
        outcome = _measure.measure(
            iter(taken), asked, [(opened.name, opened.system)], lambda each: opened.data, details, options
        )
        seconds = time.monotonic() - begun
    if note := opened.classifier.note():
        console.note(note)
    speed = (len(opened.rows) - taken.kept) / max(seconds, 1e-9)
    about = {"name": opened.name, "parameters": opened.parameters, "per_second": round(speed, 4)}
    return outcome._replace(more={"models": [about]})


def _check(asked: Sequence[Asked], opened: "Labelled") -> None:
    """Refuse metrics that are not about what the model gives.

    Raises:
        UsageError: Says which, and what the model gives.
    """
    fitting = {opened.reads, *(["probabilities"] if opened.reads == "labels" else [])}
    for each in asked:
        if each.wanted.family.reads not in fitting:
            raise UsageError(
                f"{each.metrics[0].title} is not about what {opened.name} gives, which is {_KINDS[opened.reads]}",
                f"--metric {DEFAULTS[opened.reads][0]}",
            )


class _Taken:
    """Records with the model's predictions; those that an earlier run has asked about come from its details."""

    def __init__(
        self, opened: "Labelled", asked: Sequence[Asked], details: Details, group_by: str | None, console: Console
    ) -> None:
        from hfcli.runtime import measured

        self._opened, self._console = opened, console
        self._reads = [each.wanted.family.reads for each in asked]
        self._details = details
        groups, ids = measured.groups(opened.split, group_by), measured.ids(opened.split)
        self._groups, self._ids = [groups[row] for row in opened.rows], [ids[row] for row in opened.rows]
        self.kept = 0

    def __iter__(self) -> Iterator[Taken]:
        opened = self._opened
        places = map(opened.split.where, opened.rows)
        records = iter(zip(opened.records(), places, self._ids, self._groups, opened.targets, strict=True))
        for line in self._details.kept():
            predictions = [
                line["prediction" if reads == self._reads[0] else f"prediction_{reads}"] for reads in self._reads
            ]
            self.kept += 1
            record = next(records, None)
            if record is None:
                return  # the details say that there were more
            yield self._one(record, predictions)
        _resuming.going_on(self._console, self.kept, "record")
        for answer in opened.answers(self.kept, self._console.tell):
            yield self._one(next(records), [_prediction(answer, reads) for reads in self._reads])

    def _one(self, record: tuple[dict[str, Any], str, str | None, str, Any], predictions: list[Any]) -> Taken:
        texts, where, key, group, target = record
        return Taken(where, key, group, [predictions], [target] * len(self._reads), texts)


def _prediction(answer: dict[str, Any], reads: str) -> Any:
    if reads == "label_sets":
        return [each["label"] for each in answer["labels"]]
    return answer[{"labels": "label", "values": "score", "probabilities": "scores"}[reads]]
