"""A whole evaluation of answers to questions: all of them, with and without an answer apart, at the best threshold."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hfcli.metrics import Score, measure, spans
from hfcli.metrics.resampling import Array

METRICS = ("exact_match", "f1")


class Best(NamedTuple):
    """A score at the threshold that makes it highest."""

    score: Score
    threshold: float


class Answered(NamedTuple):
    """How well questions were answered; scores are from 0 to 100, by the name of their metric.

    Attributes:
        scores: Of all questions.
        apart: Of those that have an answer (`answerable`) and those that have none (`unanswerable`), where both may
            be: {} by the rules of 1.1, and without a kind of which there is no question.
        best: With no answer wherever it is preferred more than a threshold; {} where that is not known.
    """

    scores: dict[str, Score]
    apart: dict[str, dict[str, Score]]
    best: dict[str, Best]


def evaluate(
    predictions: Sequence[str | None],
    references: Sequence[Sequence[str]],
    v2: bool,
    null: Array | None = None,
    guesses: Sequence[str | None] | None = None,
) -> Answered:
    """Measure answers by the official rules of SQuAD.

    Args:
        predictions: An answer a question, None for none.
        references: The right answers of each, [] where it has none (2.0 only).
        v2: By the rules of 2.0, with what these tell besides; else by those of 1.1.
        null: How strongly no answer is preferred, `(n,)`; 2.0 only.
        guesses: The best answer of each question that is one, where a prediction may be none because of a threshold.

    Raises:
        DataError: There are no questions, or one has no answers by the rules of 1.1.
    """
    exact, f1 = spans.scores(predictions, references, v2)
    whole = _measured(exact, f1)
    if not v2:
        return Answered(whole, {}, {})
    # As the official script has it, by what is listed, whatever is left of it.
    answerable = np.array([bool(texts) for texts in references], dtype=bool)
    groups = {"answerable": answerable, "unanswerable": ~answerable}
    apart = {name: _measured(exact[those], f1[those]) for name, those in groups.items() if those.any()}
    if null is None:
        return Answered(whole, apart, {})
    if guesses is not None:
        exact, f1 = spans.scores(guesses, references, v2)
    return Answered(whole, apart, _best({"exact_match": exact, "f1": f1}, answerable, null))


def _measured(exact: Array, f1: Array) -> dict[str, Score]:
    kinds = spans.kinds(exact, f1)
    return {name: measure(name, kinds) for name in METRICS}


def _best(scores: Mapping[str, Array], answerable: NDArray[np.bool_], null: Array) -> dict[str, Best]:
    found = {}
    for name, score in scores.items():
        threshold, _ = spans.best_threshold(score, answerable, null)
        there = np.where(null > threshold, ~answerable, score)
        found[name] = Best(measure(name, spans.kinds(there, there)), threshold)
    return found
