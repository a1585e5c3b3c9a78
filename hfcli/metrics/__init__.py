"""Metrics: one function each; every score has an interval and a number of records.

    predictions, references --reader--> kinds of records --weights--> sample --metric--> value

To add a metric, write it with `@metric(reader, ...)` in its family's file; to add a family, add a file. `base.py` says
what a reader and a metric are.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hfcli.errors import DataError, UsageError, did_you_mean
from hfcli.metrics import base, resampling
from hfcli.metrics.labels import confusion, report

__all__ = ["Score", "confusion", "get", "measure", "names", "report", "score"]


class Score(NamedTuple):
    """A score, its interval and the number of records it is measured on."""

    value: float
    low: float
    high: float
    n: int


@cache
def _all() -> dict[str, base.Metric]:
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        import_module(f"{__name__}.{path.stem}")
    return base.METRICS


def names(reads: str | None = None) -> list[str]:
    """All names, or those of metrics that read `labels`, `label_sets`, `values`, `probabilities` or `answers`."""
    return [name for name, each in _all().items() if reads is None or reads in each.reads]


def get(name: str) -> base.Metric:
    """The metric of that name.

    Raises:
        UsageError: There is no such metric.
    """
    if name not in _all():
        raise UsageError(f"no metric {name}; there is {', '.join(names())}", did_you_mean(name, names()))
    return _all()[name]


def score(
    name: str, predictions: Any, references: Any, *, confidence: float = 0.95, resamples: int = 1000, seed: int = 12345
) -> Score:
    """Measure predictions against references.

    The interval is that of a percentile bootstrap over records. Where all records count alike (one record, or all of
    them right) it has no width, which says that nothing varied and not that the score is exact. Macro averages over
    many classes of very few records are lower in resamples, so much that the interval can lie below the score.

    Args:
        name: Of the metric.
        predictions: What `get(name).reads` says. labels: classes `(n,)`, integers or strings; label_sets: booleans
            `(n, classes)`; values: numbers `(n,)`; probabilities: `(n, classes)`; answers: texts or None `(n,)`.
        references: The same; for probabilities the right class of each record, integers `(n,)`; for answers lists of
            the right texts, objects `(n,)`.
        confidence: Of the interval.
        resamples: How often the records are drawn anew.
        seed: Of the draws. Metrics of the same records and seed share their draws.

    Returns:
        The score. It is NaN where the metric is not defined, such as a correlation with a constant; then so is the
        interval.

    Raises:
        UsageError: There is no such metric.
        DataError: There are no records, not as many predictions as references, or values that cannot be measured.
    """
    chosen, predictions, references = get(name), np.asarray(predictions), np.asarray(references)
    n = len(references)
    if len(predictions) != n:
        raise DataError(f"{len(predictions):,} predictions for {n:,} references; {name} needs one for each")
    if n == 0:
        raise DataError(f"no records to measure {name} on; at least one is needed")
    kinds = next((kinds for read in chosen.readers if (kinds := read(predictions, references))), None)
    if kinds is None:
        shapes = f"{predictions.dtype} {predictions.shape} and references {references.dtype} {references.shape}"
        raise DataError(f"{name} reads {' or '.join(chosen.reads)}; the predictions are {shapes}")
    return measure(name, kinds, confidence=confidence, resamples=resamples, seed=seed)


def measure(
    name: str, kinds: resampling.Kinds, *, confidence: float = 0.95, resamples: int = 1000, seed: int = 12345
) -> Score:
    """Measure records that a reader of the metric has read; the rest is as for `score`.

    Raises:
        UsageError: There is no such metric.
        DataError: There are no records.
    """
    function, n = get(name).function, len(kinds.of)
    if n == 0:
        raise DataError(f"no records to measure {name} on; at least one is needed")
    as_they_are = np.bincount(kinds.of)[None].astype(np.float64)
    value = float(function(kinds.sample(as_they_are))[0])
    if np.isnan(value):
        return Score(value, value, value, n)
    drawn = [function(kinds.sample(some)) for some in resampling.weights(kinds.of, resamples, seed)]
    return Score(value, *resampling.interval(np.concatenate(drawn), confidence), n)
