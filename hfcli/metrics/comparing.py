"""Whether one system is better than another on the same records, for any metric, from the statistics of both.

    statistics of both --family's kinds--> kinds --pairs--> what the two made of a record --resampled--> differences

Both systems are seen in the same kinds of records. How they differ then depends on how many records there are of each
*pair* of kinds (right here and wrong there, ...), which is little to draw where there are few kinds.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hfcli.errors import DataError
from hfcli.metrics import resampling
from hfcli.metrics.base import Metric, Statistics, objects
from hfcli.metrics.resampling import Array, Kinds
from hfcli.metrics.results import Drawing, Part

Verdict = Literal["better", "worse", "no difference seen", "equivalent", "not shown to be equivalent", "not defined"]

_TRIAL_COUNTS = 1 << 20  # 8 MB at once, and what metrics make of it
_ROUNDING = 1e-10  # differences that are the same but for rounding, as a part of the scores


class Difference(NamedTuple):
    """How a system differs from a baseline in one metric. All numbers are NaN where a score is not defined.

    Attributes:
        metric: The metric.
        baseline: Score of the baseline.
        system: Score of the system.
        low: Lower end of the interval of `value`, at the confidence level: a percentile bootstrap, records drawn for
            both systems at once.
        high: Its upper end.
        inner: The interval that leaves out twice as much, which is that of two one-sided tests.
        p_randomised: Two-sided, by approximate randomisation.
        p_bootstrap: As in sacrebleu and Moses, where what is near 0 is never above about 0.4, and what is far from it
            is counted on one side only. So of systems that are alike about 10% are below 0.05, not 5%.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993; Riezler and Maxwell, On Some Pitfalls in
    Automatic Evaluation and Significance Testing for MT, 2005, figures 2 and 3; Koehn, Statistical Significance Tests
    for Machine Translation Evaluation, EMNLP 2004.
    """

    metric: Metric
    baseline: float
    system: float
    low: float
    high: float
    inner: tuple[float, float]
    p_randomised: float
    p_bootstrap: float

    @property
    def value(self) -> float:
        """The system's score minus the baseline's."""
        return self.system - self.baseline

    def within(self, margin: float) -> bool:
        """Whether the systems are equivalent: both that they differ by the margin up, and down, is refuted.

        Source: Schuirmann, A Comparison of the Two One-Sided Tests Procedure and the Power Approach for Assessing the
        Equivalence of Average Bioavailability, 1987; by the interval of 1 - 2 * alpha, Westlake 1981.
        """
        low, high = self.inner
        return -margin < low and high < margin

    def verdict(self, p: float, confidence: float, margin: float | None) -> Verdict:
        """In words.

        A system is better or worse where its interval does not reach 0, and p is as small as the confidence level asks
        for. Neither alone decides: they are of two tests, which at the border differ.

        Args:
            p: Either p of the two, perhaps corrected for several systems.
            confidence: That of the intervals.
            margin: Differences that are smaller do not matter, in the metric's units; None where all matter.
        """
        if math.isnan(self.value):
            return "not defined"
        if margin is not None and self.within(margin):
            return "equivalent"
        up, down = self.low > 0 and self.value > 0, self.high < 0 and self.value < 0
        if (up or down) and p <= round(1 - confidence, 12):
            return "better" if up == (self.metric.better == "higher") else "worse"
        return "no difference seen" if margin is None else "not shown to be equivalent"


def compare(
    baseline: Part,
    system: Part,
    metrics: Sequence[Metric],
    drawing: Drawing,
    trials: int = 10_000,
    tell: Callable[[float], None] = lambda share: None,
) -> list[Difference]:
    """Compare two systems.

    Args:
        baseline: What is compared with.
        system: Of the same family, options and records, in the same order.
        metrics: In which of the family's metrics. All of them see the same draws.
        drawing: Of the intervals.
        trials: How often the outputs of records are swapped at random; with 0, `p_randomised` is NaN.
        tell: Called now and then with the share that is done.

    Raises:
        DataError: There are no records, not as many for both, or their statistics cannot be measured together.
    """
    pairs = _pairs(baseline, system)
    scores = pairs.scores(metrics, pairs.as_they_are())[:, :, 0]
    blocks = []
    done, total = 0, drawing.resamples + trials
    for both in chain(pairs.resampled(drawing), pairs.swapped(trials, drawing.seed)):
        blocks.append(pairs.scores(metrics, both))
        done += len(both[0])
        tell(done / total)
    resampled, randomised = np.split(np.concatenate(blocks, axis=2), [drawing.resamples], axis=2)
    return [
        _difference(metric, scores[:, at], resampled[:, at], randomised[:, at], drawing.confidence)
        for at, metric in enumerate(metrics)
    ]


def _difference(metric: Metric, scores: Array, resampled: Array, randomised: Array, confidence: float) -> Difference:
    """From the scores of both systems `(2,)`, of resamples `(2, resamples)`, and of swapped systems `(2, trials)`."""
    nan = float("nan")
    if not np.isfinite(scores).all():
        return Difference(metric, float(scores[0]), float(scores[1]), nan, nan, (nan, nan), nan, nan)
    observed = abs(scores[1] - scores[0])
    least = observed - _ROUNDING * np.abs(scores).max()
    with np.errstate(invalid="ignore"):
        drawn, trials = resampled[1] - resampled[0], np.abs(randomised[1] - randomised[0])
    drawn = np.where(np.isfinite(drawn), drawn, np.nan)
    size = np.abs(drawn[~np.isnan(drawn)])
    low, high = resampling.interval(drawn, confidence)
    return Difference(
        metric,
        float(scores[0]),
        float(scores[1]),
        low,
        high,
        resampling.interval(drawn, max(0.0, 2 * confidence - 1)),
        # A trial without a score counts against the difference.
        p_randomised=(len(trials) - int((trials < least).sum()) + 1) / (len(trials) + 1) if trials.size else nan,
        p_bootstrap=(int((size - size.mean() >= least).sum()) + 1) / (len(size) + 1) if size.size else nan,
    )


class _Columns:
    """Adds up columns of weights by the kind each stands for.

    Args:
        kinds: Of each column, `(m,)`.
        width: How many kinds there are.
    """

    def __init__(self, kinds: NDArray[np.int64], width: int) -> None:
        order = np.argsort(kinds, kind="stable")
        present, starts = np.unique(kinds[order], return_index=True)
        solid = present.size and present[-1] - present[0] + 1 == len(present)
        self._width = width
        self._order = None if (order[1:] > order[:-1]).all() else order
        self._starts = starts if len(present) < len(kinds) else None
        self._to = slice(present[0], present[-1] + 1) if solid else present  # a slice is written much faster

    def add(self, sums: Array, weights: Array) -> None:
        """Add weights `(some, m)` to sums `(some, width)`."""
        if not weights.shape[1]:
            return
        columns = weights if self._order is None else weights[:, self._order]
        if self._starts is not None:
            columns = np.add.reduceat(columns, self._starts, axis=1)
        sums[:, self._to] += columns

    def summed(self, weights: Array) -> Array:
        """The sums of weights `(some, m)`, `(some, width)`."""
        sums = np.zeros((len(weights), self._width))
        self.add(sums, weights)
        return sums


class _Pairs:
    """The records, as two systems have them.

    Args:
        kinds: Of the records of the baseline, then of those of the system, `(2n,)`.
    """

    def __init__(self, kinds: Kinds) -> None:
        n = len(kinds.of) // 2
        self._width = int(kinds.of.max()) + 1
        codes, starts, of = np.unique(kinds.of[:n] * self._width + kinds.of[n:], return_index=True, return_inverse=True)
        order = np.argsort(starts)  # so that draws are the same whichever of two systems is the baseline
        codes, self._of = codes[order], np.argsort(order)[of]
        self._counts = np.bincount(self._of)
        self._kinds = np.divmod(codes, self._width)
        self._columns = [_Columns(each, self._width) for each in self._kinds]
        self._sample = kinds.sample

    def scores(self, metrics: Sequence[Metric], both: Sequence[Array]) -> Array:
        """Of both systems, `(2, metrics, some)`, from the weights of kinds of each, `(some, kinds)`."""
        samples = [self._sample(weights) for weights in both]
        return np.array([[metric.function(sample) for metric in metrics] for sample in samples], dtype=np.float64)

    def as_they_are(self) -> list[Array]:
        """The weights of kinds of each system, `(1, kinds)`."""
        return [columns.summed(self._counts[None].astype(np.float64)) for columns in self._columns]

    def resampled(self, drawing: Drawing) -> Iterator[list[Array]]:
        """The same records drawn anew for both systems, some resamples at a time."""
        for weights in resampling.weights(self._of, drawing.resamples, drawing.seed):
            yield [columns.summed(weights) for columns in self._columns]

    def swapped(self, trials: int, seed: int) -> Iterator[list[Array]]:
        """Two systems, to each of which the output for a record goes with probability 1/2, some trials at a time.

        Source: Riezler and Maxwell 2005, figure 2; sacrebleu 2.6, significance._paired_ar_test.
        """
        differ = np.flatnonzero(self._kinds[0] != self._kinds[1])  # other records may be swapped unseen
        give, take = (_Columns(each[differ], self._width) for each in self._kinds)
        first, second = self.as_they_are()
        whole = first + second
        for swaps in _swaps(self._counts[differ], max(1, _TRIAL_COUNTS // self._width), trials, seed):
            mixed = np.repeat(first, len(swaps), axis=0)
            take.add(mixed, swaps)
            give.add(mixed, np.negative(swaps, out=swaps))
            yield [mixed, whole - mixed]


def _pairs(baseline: Part, system: Part) -> _Pairs:
    n = len(baseline.statistics)
    if len(system.statistics) != n:
        raise DataError(f"{n:,} records cannot be paired with {len(system.statistics):,}")
    if n == 0:
        raise DataError("no records to compare systems on; at least one is needed")
    return _Pairs(baseline.family.kinds(_together(baseline.statistics, system.statistics), baseline.options))


def _together(first: Statistics, second: Statistics) -> Statistics:
    """Statistics of one system's records, then of the other's; of labels that one does not know, it has 0.

    Raises:
        DataError: They have other columns, or columns of another shape.
    """
    names = first.names if first.names == second.names else tuple(sorted({*first.names, *second.names}))
    columns = {}
    for name in {**first.columns, **second.columns}:
        parts = [_widened(each.columns[name], each.names, names) for each in (first, second) if name in each.columns]
        if len(parts) < 2 or parts[0].shape[1:] != parts[1].shape[1:]:
            raise DataError(f"the statistics of these systems are of two kinds ({name}); measure both with one hfcli")
        loose = any(part.dtype.kind == "O" for part in parts)
        columns[name] = objects([*parts[0], *parts[1]]) if loose else np.concatenate(parts)
    return Statistics(columns, names)


def _widened(column: NDArray[np.generic], own: tuple[str, ...], names: tuple[str, ...]) -> NDArray[np.generic]:
    if own == names or column.ndim != 2 or column.shape[1] != len(own):
        return column
    wide = np.zeros((len(column), len(names)), column.dtype)
    wide[:, [names.index(name) for name in own]] = column
    return wide


def _swaps(counts: NDArray[np.int64], rows: int, trials: int, seed: int) -> Iterator[Array]:
    """How many of so many records are swapped, each with probability 1/2: `(some, len(counts))`, `rows` at a time."""
    one = counts == 1
    singles, many = int(one.sum()), counts[~one]
    coins, draws = np.random.default_rng(seed).spawn(2)
    for first in range(0, trials, rows):
        some = min(rows, trials - first)
        swaps = np.empty((some, len(counts)))
        words = coins.integers(1 << 64, size=(some, -(-singles // 64)), dtype=np.uint64).astype("<u8")
        swaps[:, one] = np.unpackbits(words.view(np.uint8), axis=1, count=singles)
        swaps[:, ~one] = draws.binomial(many, 0.5, size=(some, len(many)))
        yield swaps


def holm(ps: Sequence[float]) -> list[float]:
    """Several p, corrected so that some true null hypothesis is rejected no more often than p says; NaN stays.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979; statsmodels 0.14, multipletests.
    """
    corrected = list(ps)
    order = sorted((at for at, p in enumerate(ps) if not math.isnan(p)), key=lambda at: ps[at])
    least = 0.0
    for rank, at in enumerate(order):
        least = corrected[at] = max(least, min(1.0, (len(order) - rank) * ps[at]))
    return corrected
