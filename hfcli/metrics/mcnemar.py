"""Records that became right or wrong, and whether one is more than the other (McNemar's test)."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hfcli.metrics.results import Part


class Flips(NamedTuple):
    """Records that one of two systems has right and the other wrong.

    Attributes:
        now_right: Indices of those that the baseline has wrong.
        now_wrong: Indices of those that the system has wrong.
        p: That this many are on one side, or more, where either is as likely; two-sided.
    """

    now_right: NDArray[np.int64]
    now_wrong: NDArray[np.int64]
    p: float


def flips(baseline: Part, system: Part) -> Flips | None:
    """The records that became right or wrong, and whether one is more than the other; None where nothing is either.

    Source: McNemar, Note on the Sampling Error of the Difference Between Correlated Proportions or Percentages, 1947;
    exact, as in Dietterich, Approximate Statistical Tests for Comparing Supervised Classification Learning Algorithms,
    1998, and mlxtend 0.23, mcnemar(exact=True).
    """
    right = baseline.family.right
    if right is None:
        return None
    before, now = right(baseline.statistics), right(system.statistics)
    now_right, now_wrong = np.flatnonzero(~before & now), np.flatnonzero(before & ~now)
    return Flips(now_right, now_wrong, sign_test(len(now_right), len(now_wrong)))


def sign_test(more: int, less: int) -> float:
    """How likely two counts are to be this far apart, or farther, where each is one of them with probability 1/2.

    Source: the exact binomial test; scipy 1.17, stats.binomtest(more, more + less).
    """
    n, k = more + less, min(more, less)
    chance = math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2))
    below = np.arange(k, 0, -1.0)  # the chance of one less is this part of that of so many
    return min(1.0, 2 * chance * (1 + float(np.cumprod(below / (n - below + 1)).sum())))
