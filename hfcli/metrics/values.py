"""Metrics of numbers (`values`), and of the probabilities a classifier gives (`probabilities`)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hfcli.errors import DataError
from hfcli.metrics.base import Family, Statistics, metric, objects
from hfcli.metrics.resampling import Array, Kinds

BINS = 15  # of the calibration error, as in its paper


class Weighted(NamedTuple):
    """Records, each of its own kind, and how often they are in each resample.

    Attributes:
        weights: `(resamples, n)`.
        predictions: `(n,)` numbers, or `(n, classes)` probabilities.
        references: `(n,)` numbers, or the right classes.
    """

    weights: Array
    predictions: NDArray[np.floating]
    references: NDArray[Any]

    def mean(self, values: NDArray[np.floating]) -> Array:
        """The mean of `(n,)` in each resample, or of each column of `(n, columns)`."""
        n = self.weights.sum(axis=1)
        means: Array = self.weights @ values / (n if values.ndim == 1 else n[:, None])
        return means


def values(predictions: NDArray[Any], references: NDArray[Any]) -> Kinds | None:
    """One number a record, `(n,)` each.

    Raises:
        DataError: One of them is NaN or infinite.
    """
    arrays = predictions, references
    if any(array.ndim != 1 or array.dtype.kind not in "biuf" for array in arrays):
        return None
    predicted, actual = (array.astype(np.float64) for array in arrays)
    for what, array in (("prediction", predicted), ("reference", actual)):
        if not (finite := np.isfinite(array)).all():
            at = int(finite.argmin())
            raise DataError(f"{what} {at + 1:,} is {array[at]}; only finite numbers can be measured")
    return Kinds(np.arange(len(actual)), lambda weights: Weighted(weights, predicted, actual))


def probabilities(predictions: NDArray[Any], references: NDArray[Any]) -> Kinds | None:
    """The probability of each class, `(n, classes)`, and the right class, integers `(n,)`.

    Raises:
        DataError: A row is no distribution, or a class is none of the columns.
    """
    if (
        predictions.ndim != 2
        or predictions.dtype.kind != "f"
        or references.ndim != 1
        or references.dtype.kind not in "iu"
    ):
        return None
    k = predictions.shape[1]
    right = (predictions >= 0).all(axis=1) & (np.abs(predictions.sum(axis=1) - 1) < 1e-2)
    if not right.all():
        at = int(right.argmin())
        raise DataError(f"the probabilities of record {at + 1:,} are {predictions[at].tolist()}; they are to sum to 1")
    known = (references >= 0) & (references < k)
    if not known.all():
        at = int(known.argmin())
        raise DataError(f"the label of record {at + 1:,} is {references[at]}; there are probabilities of 0 to {k - 1}")
    return Kinds(np.arange(len(references)), lambda weights: Weighted(weights, predictions, references))


def _of_values(predictions: Sequence[float], references: Sequence[float], options: Any) -> Statistics:
    pairs = zip(("prediction", "reference"), (predictions, references), strict=True)
    return Statistics({name: np.array(numbers, dtype=np.float64) for name, numbers in pairs})


def _of_probabilities(
    predictions: Sequence[Mapping[str, float]], references: Sequence[str], options: Any
) -> Statistics:
    names = tuple(sorted(predictions[0])) if predictions else ()
    for at, each in enumerate(predictions, 1):
        if {*each} != {*names}:
            missing = ", ".join(sorted({*each} ^ {*names}))
            raise DataError(f"record {at:,} has probabilities of other labels than the first ({missing})")
    table = np.array([[each[name] for name in names] for each in predictions], dtype=np.float64)
    return Statistics({"prediction": table, "reference": objects(list(references))}, names)


def _kinds_of_values(statistics: Statistics, options: Any) -> Kinds:
    kinds = values(statistics.columns["prediction"], statistics.columns["reference"])
    assert kinds is not None
    return kinds


def _kinds_of_probabilities(statistics: Statistics, options: Any) -> Kinds:
    codes = {name: code for code, name in enumerate(statistics.names)}
    references = statistics.columns["reference"]
    strange = next((label for label in references if label not in codes), None)
    if strange is not None:
        raise DataError(f"there is no probability of the label {strange}; there are those of {', '.join(codes)}")
    kinds = probabilities(
        statistics.columns["prediction"], np.array([codes[label] for label in references], dtype=np.int64)
    )
    assert kinds is not None
    return kinds


VALUES = Family("values", "values", _of_values, _kinds_of_values, read=values)
PROBABILITIES = Family("probabilities", "probabilities", _of_probabilities, _kinds_of_probabilities, read=probabilities)


@metric(VALUES, better="lower", scale="")
def mse(records: Weighted) -> Array:
    """The mean squared error.

    Source: scikit-learn 1.9, metrics.mean_squared_error.
    """
    return records.mean((records.predictions - records.references) ** 2)


@metric(VALUES, better="lower", scale="")
def mae(records: Weighted) -> Array:
    """The mean absolute error.

    Source: scikit-learn 1.9, metrics.mean_absolute_error.
    """
    return records.mean(np.abs(records.predictions - records.references))


@metric(VALUES, scale="-1 to 1")
def pearson(records: Weighted) -> Array:
    """The correlation of predictions and references, from -1 to 1; NaN where either is constant.

    Source: scipy 1.17, stats.pearsonr.
    """
    x, y = _standard(records.predictions), _standard(records.references)
    means = records.mean(np.stack([x, y, x * x, y * y, x * y], axis=1)).T
    return _correlation(*means)


@metric(VALUES, scale="-1 to 1")
def spearman(records: Weighted) -> Array:
    """The correlation of the ranks, equal values sharing theirs; NaN where either is constant.

    Source: scipy 1.17, stats.spearmanr.
    """
    n = records.weights.sum(axis=1, keepdims=True)
    x, y = (_ranks(part, records.weights) / n for part in (records.predictions, records.references))
    return _correlation(*(_total(records.weights, each) / n[:, 0] for each in (x, y, x * x, y * y, x * y)))


def _standard(values: NDArray[np.floating]) -> Array:
    """About 0 and of size 1, so that sums of squares lose no digits; all 0 where only rounding differs."""
    centred = values - values.mean()
    size = np.abs(centred).max()
    return centred / size if size > 1e-13 * np.abs(values).max() else np.zeros_like(values)


def _correlation(x: Array, y: Array, xx: Array, yy: Array, xy: Array) -> Array:
    """From the means of x, y and their products; NaN where a variance is 0 but for rounding."""
    variances = xx - x * x, yy - y * y
    varies = (variances[0] > 1e-12 * xx) & (variances[1] > 1e-12 * yy)
    scale = np.sqrt(np.where(varies, variances[0] * variances[1], np.nan))
    return np.clip((xy - x * y) / scale, -1, 1)


def _ranks(values: NDArray[Any], weights: Array) -> Array:
    """The rank of each value in each resample, from 1, equal values at the middle of theirs: `(resamples, n)`."""
    _, groups = np.unique(values, return_inverse=True)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    sizes = np.add.reduceat(weights[:, order], starts, axis=1)
    middles = np.cumsum(sizes, axis=1) - (sizes - 1) / 2
    return middles[:, groups]


def _total(weights: Array, values: Array) -> Array:
    """The sum of values that differ by resample, `(resamples, n)`, each as often as its record is there."""
    total: Array = np.einsum("ij,ij->i", weights, values)
    return total


@metric(PROBABILITIES)
def auc(records: Weighted) -> Array:
    """How often a record of a class is given a higher probability of it than another record; ties count half.

    With two classes, of the second; with more, the mean over the classes, one against the rest. A class with no record
    of it, or no other, is left out; NaN where that leaves none.

    Source: Hanley and McNeil 1982; scikit-learn 1.9, metrics.roc_auc_score(multi_class="ovr").
    """
    classes = range(records.predictions.shape[1])
    areas = np.stack([_area(records, of) for of in (classes if len(classes) > 2 else classes[-1:])])
    defined = ~np.isnan(areas)
    count = defined.sum(axis=0)
    mean: Array = np.where(defined, areas, 0).sum(axis=0) / np.where(count, count, np.nan)
    return mean


def _area(records: Weighted, of: int) -> Array:
    """By the sum of the ranks of the class's records (Mann and Whitney's U)."""
    ours = records.weights * (records.references == of)
    n = ours.sum(axis=1)
    pairs = n * (records.weights.sum(axis=1) - n)
    ranks = _total(ours, _ranks(records.predictions[:, of], records.weights))
    area: Array = (ranks - n * (n + 1) / 2) / np.where(pairs, pairs, np.nan)
    return area


@metric(PROBABILITIES, better="lower", scale="")
def log_loss(records: Weighted) -> Array:
    """The mean of minus the logarithm, in nats, of the right class's probability (float epsilon at least).

    Source: scikit-learn 1.9, metrics.log_loss.
    """
    given = records.predictions[np.arange(len(records.references)), records.references]
    return records.mean(-np.log(np.maximum(given, np.finfo(given.dtype).eps)))


@metric(PROBABILITIES, better="lower")
def calibration_error(records: Weighted) -> Array:
    """How far the probability of the predicted class is from the share that is right, on average over 15 bins of it.

    It is never negative, so resamples err upwards, and of a well calibrated model the interval can lie above the score.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """
    sure = records.predictions.max(axis=1).astype(np.float64)
    gaps = (records.predictions.argmax(axis=1) == records.references) - sure
    bins = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
    columns = np.where(bins[:, None] == np.arange(BINS), gaps[:, None], 0.0)
    error: Array = np.abs(records.mean(columns)).sum(axis=1)
    return error
