"""What outputs are worth: losses, predictions and scores with intervals; one judge for a kind of task."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from hfcli import metrics
from hfcli.errors import UsageError, did_you_mean
from hfcli.events import Measured
from hfcli.records import dumps
from hfcli.runtime.features import Encoded
from hfcli.runtime.forward import Loss
from hfcli.runtime.splits import Split
from hfcli.tasks import text_classification
from hfcli.tasks.base import Settings

LOSS = "loss"
SPANS = "spans"
SURE = 0.99
"""From here on a wrong prediction is more likely a wrong label."""
MOST_SURPRISING = 100
# What each kind of problem is judged by; the first picks the best checkpoint.
METRICS = {
    "single_label_classification": ("accuracy", "f1_macro"),
    "multi_label_classification": ("f1_micro", "f1_macro", "subset_accuracy"),
    "regression": ("pearson", "spearman", "mse"),
    SPANS: ("f1", "exact_match"),
}
_READS = {
    "single_label_classification": "labels",
    "multi_label_classification": "label_sets",
    "regression": "values",
    SPANS: "answers",
}


class Judged(NamedTuple):
    """The outcome of one evaluation.

    Attributes:
        loss: Mean loss of a record.
        scores: With their intervals, by metric.
        predictions: What the judge's reports read.
        settings: How records are read and answered, with what was fitted to these records.
    """

    loss: float
    scores: dict[str, Measured]
    predictions: Any
    settings: Settings


class Judge(Protocol):
    """Judges outputs for the same records again and again."""

    def judge(self, outputs: np.ndarray, loss: Loss) -> Judged:
        """What the outputs of an Evaluator are worth."""

    def per_class(self, judged: Judged) -> list[dict[str, Any]] | None:
        """How well each class is found, None where there is none."""

    def confusion(self, judged: Judged) -> list[list[int]] | None:
        """Records `(label, prediction)`, None where a record has no one label."""

    def surprising(self, judged: Judged) -> list[dict[str, Any]]:
        """Records that the model is sure are labelled wrongly, the surest first."""


def kind_of(settings: Settings) -> str:
    """What is learnt: a problem type, or SPANS."""
    if settings.task == "question-answering":
        return SPANS
    return settings.problem_type or "single_label_classification"


def primary(asked: str | None, kind: str) -> tuple[str, bool]:
    """The metric that picks the best checkpoint, and whether more of it is better.

    Raises:
        UsageError: There is no such metric, or it is not about this kind of problem.
    """
    name = (asked or METRICS[kind][0]).removeprefix("eval_")
    if name == LOSS:
        return name, False
    fitting = list(metrics.names(_READS[kind]))
    if kind == "single_label_classification":
        fitting += metrics.names("probabilities")
    if name not in fitting:
        raise UsageError(
            f"--metric-for-best-model {name} does not fit; there is {', '.join([LOSS, *fitting])}",
            did_you_mean(name, [LOSS, *fitting]),
        )
    return name, metrics.get(name).better == "higher"


def mean_loss(losses: np.ndarray) -> Measured:
    """The mean of `(records,)` losses, with the interval of a mean."""
    mean, spread = float(losses.mean()), 1.96 * float(losses.std()) / len(losses) ** 0.5
    return Measured(mean, mean - spread, mean + spread, len(losses))


def of_records(encoded: Encoded, values: np.ndarray) -> np.ndarray:
    """Means over the windows of each record: `(features, ...)` to `(records, ...)`."""
    counts = np.diff(encoded.starts)
    means: np.ndarray = np.add.reduceat(values, encoded.starts[:-1], axis=0) / counts.reshape(
        -1, *[1] * (values.ndim - 1)
    )
    return means


class LabelJudge:
    """Judges a classifier, or a model that gives numbers.

    Args:
        encoded: The records, with labels.
        split: Where they are from.
        columns: The column of every field.
        settings: Kind of problem and threshold.
        names: Of the classes.
        extra: A metric that was asked for besides those of the kind.
    """

    def __init__(
        self,
        encoded: Encoded,
        split: Split,
        columns: Mapping[str, str | None],
        settings: Settings,
        names: Sequence[str],
        extra: str | None = None,
    ) -> None:
        self.encoded, self.split, self.columns, self.settings = encoded, split, columns, settings
        self.kind, self.names = kind_of(settings), names
        self.metrics = list(dict.fromkeys([*METRICS[self.kind], *([extra] if extra else [])]))
        values = encoded.labels["labels"][encoded.starts[:-1]]
        # Of every record: int `(records,)`, bool `(records, labels)` or float `(records,)`.
        self.references = values > 0.5 if self.kind == "multi_label_classification" else values

    def judge(self, outputs: np.ndarray, loss: Loss) -> Judged:
        """See Judge; the predictions are probabilities `(records, labels)`, or values `(records, 1)`."""
        weights = None if loss.class_weights is None else loss.class_weights.cpu()
        labels = torch.from_numpy(self.encoded.labels["labels"])
        each = Loss(weights, loss.smoothing).each(torch.from_numpy(outputs), labels)
        losses = np.add.reduceat(each.numpy() * self.encoded.weights, self.encoded.starts[:-1])
        probabilities = of_records(self.encoded, text_classification.probabilities(outputs, self.kind))
        return Judged(float(losses.mean()), self.scores(probabilities, losses), probabilities, self.settings)

    def predictions(self, probabilities: np.ndarray) -> np.ndarray:
        """What the metrics read: class ids, sets or values, one a record."""
        if self.kind == "regression":
            return probabilities[:, 0]
        if self.kind == "multi_label_classification":
            return probabilities >= self.settings.threshold
        return probabilities.argmax(axis=1)

    def scores(self, probabilities: np.ndarray, losses: np.ndarray) -> dict[str, Measured]:
        """Every score with its interval, by metric."""
        predictions, found = self.predictions(probabilities), {}
        for name in self.metrics:
            if name == LOSS:
                found[name] = mean_loss(losses)
                continue
            given = predictions if _READS[self.kind] in metrics.get(name).reads else probabilities
            found[name] = Measured(*metrics.score(name, given, self.references))
        return found

    def per_class(self, judged: Judged) -> list[dict[str, Any]] | None:
        """See Judge."""
        if self.kind == "regression":
            return None
        return metrics.report(self.predictions(judged.predictions), self.references, self.names)

    def confusion(self, judged: Judged) -> list[list[int]] | None:
        """See Judge."""
        if self.kind != "single_label_classification":
            return None
        return metrics.confusion(self.predictions(judged.predictions), self.references, len(self.names)).tolist()

    def surprising(self, judged: Judged) -> list[dict[str, Any]]:
        """See Judge."""
        if self.kind != "single_label_classification":
            return []
        probabilities, names = judged.predictions, self.names
        predictions, sure = probabilities.argmax(1), probabilities.max(1)
        found = np.flatnonzero((predictions != self.references) & (sure > SURE))
        found = found[np.argsort(-sure[found], kind="stable")][:MOST_SURPRISING]
        fields = {column: column for name, column in self.columns.items() if column and name != "label"}
        records = self.split.records(found, fields)
        return [
            {
                **json.loads(dumps(record)), "label": names[int(self.references[i])],
                "predicted": names[int(predictions[i])], "score": round(float(sure[i]), 6),
                "where": self.split.where(int(i)),
            }
            for i, record in zip(found, records, strict=True)
        ]  # fmt: skip
