"""What the rules of SQuAD 2.0 tell besides: what has an answer and what has none apart, and the best threshold."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hfcli.metrics import Score, measure, spans
from hfcli.metrics.groups import Grouped, by_group
from hfcli.metrics.resampling import Array
from hfcli.metrics.results import Drawing, Part


class Best(NamedTuple):
    """A score at the threshold that makes it highest."""

    score: Score
    threshold: float


def apart(part: Part, references: Sequence[Sequence[str]], drawing: Drawing) -> list[Grouped]:
    """Scores of questions that have an answer (`answerable`) and of those that have none (`unanswerable`).

    Args:
        part: What was measured.
        references: The right answers of each question; as the official script has it, by what is listed, whatever is
            left of it.
        drawing: How intervals are made.
    """
    return by_group(part, ["answerable" if texts else "unanswerable" for texts in references], drawing)


def best(
    guesses: Sequence[str | None], references: Sequence[Sequence[str]], null: Array, drawing: Drawing
) -> dict[str, Best]:
    """Scores with no answer wherever it is preferred more than a threshold, by the rules of 2.0.

    Args:
        guesses: The best answer of each question that is one.
        references: The right answers of each, [] where it has none.
        null: How strongly no answer is preferred, `(n,)`.
        drawing: How intervals are made.
    """
    answerable = np.array([bool(texts) for texts in references], dtype=bool)
    exact, f1 = spans.scores(guesses, references, True)
    found = {}
    for name, score in (("exact_match", exact), ("f1", f1)):
        threshold, _ = spans.best_threshold(score, answerable, null)
        there = np.where(null > threshold, ~answerable, score)
        found[name] = Best(measure(name, spans.kinds(there, there), **drawing._asdict()), threshold)
    return found
