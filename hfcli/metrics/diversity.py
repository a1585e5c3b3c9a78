"""How much texts repeat themselves (`text`): no references are needed.

A text counts with its own share and texts are averaged, so that resampling gives an interval. The distinct-1 and
distinct-2 of Li et al. (A Diversity-Promoting Objective Function, NAACL 2016) count over all output at once: those
depend on how many texts there are, and resamples, in which texts are repeated, would all be lower.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hfcli.metrics.base import Family, Statistics, Sums, additive, metric
from hfcli.metrics.resampling import Array, Kinds
from hfcli.metrics.words import words

LONGEST = 4


def _count(predictions: Sequence[str], references: Sequence[Any], options: Any) -> Statistics:
    """How many words each text has, `(n,)`, and how many different ones, and sequences of 2 to 4, `(n, 4)`."""
    texts = [words(text) for text in predictions]
    distinct = [[_distinct(text, n) for n in range(1, LONGEST + 1)] for text in texts]
    return Statistics(
        {
            "words": np.array([len(text) for text in texts], dtype=np.int64),
            "distinct": np.array(distinct, dtype=np.int64).reshape(-1, LONGEST),
        }
    )


def _distinct(text: Sequence[str], n: int) -> int:
    return len(set(zip(*(text[at:] for at in range(n)), strict=False)))


def _kinds(statistics: Statistics, options: Any) -> Kinds:
    all_of_them = np.maximum(statistics.columns["words"][:, None] - np.arange(LONGEST), 0)
    shares = statistics.columns["distinct"] / np.maximum(all_of_them, 1)
    return additive(np.concatenate([shares, all_of_them > 0], axis=1), options)


DIVERSITY = Family("diversity", "text", _count, _kinds)


@metric(DIVERSITY)
def distinct_1(records: Sums) -> Array:
    """The share of different words among a text's words, on average over texts; NaN where none has a word.

    Words are those of any script, without case.
    """
    return _mean(records, 1)


@metric(DIVERSITY)
def distinct_2(records: Sums) -> Array:
    """The same of two words that follow each other; texts of fewer words are left out, NaN where that leaves none."""
    return _mean(records, 2)


@metric(DIVERSITY)
def distinct_3(records: Sums) -> Array:
    """The same of three words."""
    return _mean(records, 3)


@metric(DIVERSITY, better="lower")
def repetition(records: Sums) -> Array:
    """The share of sequences of four words that were in the same text before, on average over texts.

    Texts of fewer words are left out, NaN where that leaves none.

    Source: Welleck et al., Neural Text Generation with Unlikelihood Training, ICLR 2020, section 6 (seq-rep-4), of
    words instead of a model's tokens.
    """
    return 1 - _mean(records, 4)


def _mean(records: Sums, n: int) -> Array:
    count = records.sums[:, LONGEST + n - 1]
    mean: Array = records.sums[:, n - 1] / np.where(count > 0, count, np.nan)
    return mean
