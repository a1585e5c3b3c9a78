"""Exact match and F1 of answers to questions (`answers`), by the official rules of SQuAD 1.1 and 2.0, from 0 to 100."""

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hfcli.errors import DataError
from hfcli.metrics.base import Family, Statistics, metric
from hfcli.metrics.resampling import Array, Kinds
from hfcli.metrics.values import Weighted

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """What two answers have to have in common: lower case, no ASCII punctuation, no articles, single spaces.

    Source: Rajpurkar et al., SQuAD: 100,000+ Questions for Machine Comprehension of Text, EMNLP 2016, section 6.1;
    evaluate-v1.1.py.
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_WITHOUT_PUNCTUATION)).split())


def scores(predictions: Iterable[str | None], references: Iterable[Sequence[str]], v2: bool) -> tuple[Array, Array]:
    """How right each answer is, by that of its references it is most like.

    Args:
        predictions: An answer a question, None for none. By the rules of 1.1 that is never right; by those of 2.0 it
            is right where there is nothing to find.
        references: The right answers of each question, [] where it has none (2.0 only).
        v2: By the rules of 2.0: references of which nothing is left are dropped, and where none is left the right
            answer is none.

    Returns:
        Exact match and F1, from 0 to 1, float64 `(n,)` each.

    Raises:
        DataError: A question has no references, by the rules of 1.1.

    Source: evaluate-v1.1.py and evaluate-v2.0.py of rajpurkar.github.io/SQuAD-explorer; Rajpurkar et al., Know What You
    Don't Know, ACL 2018.
    """
    found = []
    for at, (prediction, texts) in enumerate(zip(predictions, references, strict=True), 1):
        right = {normalise(text) for text in texts}
        if v2:
            right = right - {""} or {""}
        elif not right:
            raise DataError(f"question {at:,} has no answers; squad_v2 measures what may have none")
        if prediction is None and not v2:
            found.append((0.0, 0.0))
            continue
        given = normalise(prediction or "")
        found.append((float(given in right), max(_overlap(given, text, v2) for text in right)))
    exact, f1 = np.array(found, dtype=np.float64).reshape(-1, 2).T
    return exact, f1


def _overlap(given: str, right: str, v2: bool) -> float:
    """The F1 of the words of two normalised texts."""
    words, wanted = given.split(), right.split()
    if v2 and not (words and wanted):
        return float(given == right)
    shared = sum((Counter(words) & Counter(wanted)).values())
    return 2 * shared / (len(words) + len(wanted)) if shared else 0.0


def kinds(exact: Array, f1: Array) -> Kinds:
    """What the metrics of answers take, from scores of 0 to 1, `(n,)` each: alike are questions that score the same."""
    pairs, of = np.unique(np.stack([exact, f1], axis=1), axis=0, return_inverse=True)
    return Kinds(of.ravel(), lambda weights: Weighted(weights, pairs[:, 0], pairs[:, 1]))


def answers(predictions: NDArray[Any], references: NDArray[Any]) -> Kinds | None:
    """A text or None a question, and a list of the right texts, `(n,)` each (`objects` makes such arrays).

    By the rules of 2.0 where a question has no right text, else by those of 1.1.
    """
    if predictions.ndim != 1 or references.ndim != 1 or predictions.dtype.kind not in "OU":
        return None
    if references.dtype.kind != "O" or not all(isinstance(texts, list | tuple) for texts in references):
        return None
    texts = (text for several in references for text in several)
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(p, str | None) for p in predictions):
        return None
    return kinds(*scores(predictions, references, v2=not all(references)))


@dataclass(frozen=True)
class AnswerOptions:
    """Which rules.

    Attributes:
        version: 1 or 2.
    """

    version: int = 1


def _of_answers(
    predictions: Sequence[str | None], references: Sequence[Sequence[str]], options: AnswerOptions
) -> Statistics:
    exact, f1 = scores(predictions, references, options.version == 2)
    return Statistics({"exact": exact, "f1": f1})


ANSWERS = Family(
    "answers",
    "answers",
    _of_answers,
    lambda statistics, options: kinds(statistics.columns["exact"], statistics.columns["f1"]),
    AnswerOptions,
    lambda options: (f"rules:{options.version}",),
    answers,
    right=lambda statistics: statistics.columns["exact"] == 1,
)


@metric(ANSWERS, scale="0 to 100")
def exact_match(records: Weighted) -> Array:
    """The share of answers that are one of the references but for case, punctuation and articles, from 0 to 100.

    Source: evaluate-v1.1.py and evaluate-v2.0.py.
    """
    return 100 * records.mean(records.predictions)


@metric(ANSWERS, scale="0 to 100")
def f1(records: Weighted) -> Array:
    """The mean F1 of the words of each answer and of the reference it is most like, from 0 to 100.

    Source: evaluate-v1.1.py and evaluate-v2.0.py.
    """
    return 100 * records.mean(records.references)


def best_threshold(score: Array, answerable: NDArray[np.bool_], null: Array) -> tuple[float, float]:
    """How strongly no answer has to be preferred to be given, so that the mean score is highest.

    Args:
        score: Of the best answer of each question that is one, from 0 to 1, `(n,)`; of none, where there is none.
        answerable: Whether a question has an answer, `(n,)`.
        null: How strongly no answer is preferred, `(n,)`: a probability, or a difference of scores.

    Returns:
        Such a threshold, above which (`null > threshold`) no answer is given, and the mean score with it, from 0 to
        100. Unlike the official script, which gives the value of the last question that is answered, it lies in the
        middle between that and the next one's, so that rounding does not decide; and only what a threshold can separate
        is considered: questions that prefer no answer alike are answered together.

    Source: evaluate-v2.0.py, find_best_thresh.
    """
    order = np.argsort(null, kind="stable")
    ordered = null[order]
    # From nothing answered, where what has no answer is right, questions are answered from the surest on.
    gained = np.cumsum(score[order] - ~answerable[order])
    last = np.append(ordered[1:] != ordered[:-1], True)  # of those that prefer it alike
    values = ordered[last]
    totals = np.append(0.0, gained[last])
    best = int(np.argmax(totals))
    none = min(0.0, float(np.nextafter(ordered[0], -np.inf)))  # below all of them; the script's 0 where that is
    inner = 0 < best < len(values)
    threshold = float(values[best - 1 : best + 1].mean()) if inner else float(values[-1]) if best else none
    return threshold, 100 * float(totals[best] + (~answerable).sum()) / len(score)
