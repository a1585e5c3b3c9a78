"""The judge of models that find answers: exact match and F1, and from which probability on there is no answer."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from hfcli import metrics
from hfcli.events import Measured
from hfcli.metrics import spans
from hfcli.metrics.base import objects
from hfcli.runtime import calibration
from hfcli.runtime.features import Encoded
from hfcli.runtime.forward import Loss
from hfcli.runtime.judging import LOSS, METRICS, MOST_SURPRISING, SPANS, SURE, Judged, mean_loss
from hfcli.runtime.splits import Split
from hfcli.tasks import question_answering
from hfcli.tasks._answers import Answers
from hfcli.tasks.base import Settings

_AT_ONCE = 512
_MARGIN = 1.0  # between all score differences that were seen and the threshold


class Answered(NamedTuple):
    """What a model answers to every question.

    Attributes:
        texts: The best span of each, "" where the passage has none at all.
        scores: Its share of the probability of all spans, `(records,)`.
        differences: `null_difference` of each reading, `(records,)`.
        settings: With which they become predictions.
    """

    texts: list[str]
    scores: np.ndarray
    differences: np.ndarray
    settings: Settings

    @property
    def predictions(self) -> list[str | None]:
        """The answer to each, None for none."""
        threshold = self.settings.null_threshold
        if threshold is None:
            return list(self.texts)
        none = question_answering.no_answer(self.differences, self.settings) > threshold
        return [None if no else text for no, text in zip(none.tolist(), self.texts, strict=True)]


def fitted(
    texts: list[str], differences: np.ndarray, references: list[tuple[str, ...]], settings: Settings
) -> Settings:
    """The settings with the probability of no answer calibrated on these, and the threshold that gives the highest F1;
    as they are where every question has an answer.

    Args:
        texts: The best span of each question.
        differences: `null_difference` of each, `(records,)`.
        references: Texts of the right answers of each, () for none.
        settings: As they were.
    """
    answerable = np.array([bool(texts) for texts in references])
    if answerable.all():
        return replace(settings, null_threshold=None, null_scale=1.0, null_shift=0.0)
    scale, shift = calibration.fit(differences, ~answerable)
    settings = replace(settings, null_scale=scale, null_shift=shift)
    _, f1 = spans.scores(texts, references, v2=True)
    threshold, _ = spans.best_threshold(f1, answerable, differences)
    if threshold >= differences.max():  # none of these is without an answer: one that is has to stand out
        threshold = float(differences.max()) + _MARGIN
    elif threshold < differences.min():
        threshold = float(differences.min()) - _MARGIN
    return replace(settings, null_threshold=float(question_answering.no_answer(threshold, settings)))


class SpanJudge:
    """Judges a model that finds answers.

    Args:
        encoded: The records, with positions and notes.
        split: Where they are from.
        columns: The column of every field.
        answers: The right answers of each record.
        settings: How an answer is picked.
        extra: A metric that was asked for besides those of the kind.
    """

    def __init__(
        self,
        encoded: Encoded,
        split: Split,
        columns: Mapping[str, str | None],
        answers: list[Answers],
        settings: Settings,
        extra: str | None = None,
    ) -> None:
        self.encoded, self.split, self.columns, self.settings = encoded, split, columns, settings
        self.references = [each.texts for each in answers]
        self.metrics = list(dict.fromkeys([*METRICS[SPANS], *([extra] if extra else [])]))

    def judge(self, outputs: np.ndarray, loss: Loss) -> Judged:
        """See Judge; the predictions are an Answered."""
        losses = self._losses(outputs)
        readings = [
            question_answering.read(context, places, rows, self.settings)
            for context, places, rows in self._windows(outputs)
        ]
        differences = np.array([reading.null_difference for reading in readings])
        contexts = self._contexts()
        texts, sure = [], np.zeros(len(readings))
        for i, (reading, context) in enumerate(zip(readings, contexts, strict=True)):
            best = reading.spans[:1]
            texts.append(context[best[0].start : best[0].end] if best else "")
            sure[i] = 1 / np.exp([span.score - best[0].score for span in reading.spans]).sum() if best else 0
        settings = fitted(texts, differences, self.references, self.settings)
        answered = Answered(texts, sure, differences, settings)
        scores = {name: self._score(name, answered, losses) for name in self.metrics}
        return Judged(float(losses.mean()), scores, answered, settings)

    def _score(self, name: str, answered: Answered, losses: np.ndarray) -> Measured:
        if name == LOSS:
            return mean_loss(losses)
        given, right = objects(answered.predictions), objects(self.references)
        return Measured(*metrics.score(name, given, right))

    def _losses(self, outputs: np.ndarray) -> np.ndarray:
        """The loss of every record, float32 `(records,)`; the same as `Loss` has for a span, without any padding."""
        encoded, starts = self.encoded, self.encoded.offsets[:-1]
        logits = outputs.astype(np.float64)
        highest = np.maximum.reduceat(logits, starts, axis=0)
        sums = np.add.reduceat(np.exp(logits - np.repeat(highest, encoded.lengths, axis=0)), starts, axis=0)
        positions = np.stack([encoded.labels[name] for name in ("start_positions", "end_positions")], axis=1)
        right = np.take_along_axis(logits, starts[:, None] + positions, axis=0)
        each = (highest + np.log(sums) - right).mean(axis=1)
        losses: np.ndarray = np.add.reduceat(each * encoded.weights, encoded.starts[:-1]).astype(np.float32)
        return losses

    def _contexts(self) -> Iterator[str]:
        for start in range(0, len(self.encoded), _AT_ONCE):
            indices = np.arange(start, min(start + _AT_ONCE, len(self.encoded)))
            for record in self.split.records(indices, {"context": self.columns["context"]}):
                yield record["context"]

    def _windows(self, outputs: np.ndarray) -> Iterator[tuple[str, list[Any], list[np.ndarray]]]:
        """Context, notes and outputs of every record."""
        encoded = self.encoded
        for record, context in enumerate(self._contexts()):
            features = range(*encoded.starts[record : record + 2].tolist())
            rows = [outputs[encoded.offsets[f] : encoded.offsets[f + 1]] for f in features]
            yield context, [encoded.notes[f] for f in features], rows

    def per_class(self, judged: Judged) -> None:
        """Answers are no classes."""

    def confusion(self, judged: Judged) -> None:
        """Answers are no classes."""

    def surprising(self, judged: Judged) -> list[dict[str, Any]]:
        """See Judge: the model is sure of an answer that has no word in common with the right ones."""
        answered: Answered = judged.predictions
        _, f1 = spans.scores(answered.texts, self.references, v2=True)
        none = question_answering.no_answer(answered.differences, judged.settings)
        sure = answered.scores * (1 - none if judged.settings.null_threshold is not None else 1)
        found = np.flatnonzero((f1 == 0) & (sure > SURE))
        found = found[np.argsort(-sure[found], kind="stable")][:MOST_SURPRISING]
        shown = [name for name in ("id", self.columns["question"]) if name in self.split.columns]
        records = self.split.records(found, {str(name): name for name in shown})
        return [
            {
                **record, "answers": list(self.references[i]), "predicted": answered.texts[i],
                "score": round(float(sure[i]), 6), "where": self.split.where(int(i)),
            }
            for i, record in zip(found, records, strict=True)
        ]  # fmt: skip
