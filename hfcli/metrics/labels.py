"""Metrics of classes: one for each record (`labels`), or several (`label_sets`)."""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hfcli.errors import DataError
from hfcli.metrics.base import Family, Statistics, metric, objects
from hfcli.metrics.resampling import Array, Kinds


class Counts(NamedTuple):
    """What is counted in each resample. Arrays are `(resamples, classes)`, and `(resamples,)` for the last two.

    Attributes:
        right: Records of a class that were predicted as it.
        predicted: Records that were predicted as the class.
        actual: Records of the class.
        exact: Records whose prediction is right as a whole.
        n: Records.
    """

    right: Array
    predicted: Array
    actual: Array
    exact: Array
    n: Array


def labels(predictions: NDArray[Any], references: NDArray[Any]) -> Kinds | None:
    """One class a record, integers from 0 or strings, `(n,)` each: a kind is a cell of the confusion matrix.

    Raises:
        DataError: A class is negative, which is how data sets say that a record has no label.
    """
    arrays = predictions, references
    numbers = [array.dtype.kind in "biu" for array in arrays]
    if any(array.ndim != 1 or array.dtype.kind not in "biuU" for array in arrays) or len(set(numbers)) > 1:
        return None
    classes, codes = np.unique(np.concatenate([references, predictions]), return_inverse=True)
    if all(numbers) and classes[0] < 0:
        raise DataError(f"a label is {classes[0]}; records without a label cannot be measured")
    k, n = len(classes), len(references)
    cells, kinds = np.unique(codes[:n] * k + codes[n:], return_inverse=True)
    actual, predicted = np.divmod(cells, k)
    hits = np.flatnonzero(actual == predicted)

    def sample(weights: Array) -> Counts:
        right = _sums(weights[:, hits], actual[hits], k)
        exact, n = right.sum(axis=1), weights.sum(axis=1)
        return Counts(right, _sums(weights, predicted, k), _sums(weights, actual, k), exact, n)

    return Kinds(kinds, sample)


def _sums(weights: Array, groups: NDArray[np.int64], k: int) -> Array:
    """The columns of `(resamples, kinds)`, summed by the group of each, to `(resamples, k)`."""
    order = np.argsort(groups, kind="stable")
    present, starts = np.unique(groups[order], return_index=True)
    sums = np.zeros((len(weights), k))
    if present.size:
        sums[:, present] = np.add.reduceat(weights[:, order], starts, axis=1)
    return sums


def label_sets(predictions: NDArray[Any], references: NDArray[Any]) -> Kinds | None:
    """Any number of classes a record, booleans `(n, classes)` each: a kind is a pair of sets."""
    if (
        references.ndim != 2
        or predictions.shape != references.shape
        or {predictions.dtype, references.dtype} != {np.dtype(bool)}
    ):
        return None
    pairs, kinds = np.unique(np.hstack([predictions, references]), axis=0, return_inverse=True)
    predicted, actual = (part.astype(np.float64) for part in np.hsplit(pairs, 2))
    exact = (predicted == actual).all(axis=1).astype(np.float64)

    def sample(weights: Array) -> Counts:
        right, given, there = (weights @ each for each in (predicted * actual, predicted, actual))
        return Counts(right, given, there, weights @ exact, weights.sum(axis=1))

    return Kinds(kinds.ravel(), sample)


def _of_labels(predictions: Sequence[str], references: Sequence[str], options: Any) -> Statistics:
    return Statistics({"prediction": _texts(predictions), "reference": _texts(references)})


def _texts(labels: Sequence[str]) -> NDArray[np.object_]:
    """A pointer a record: a label is kept once, however many records have it."""
    return objects([sys.intern(str(label)) for label in labels])


def _kinds_of_labels(statistics: Statistics, options: Any) -> Kinds:
    columns = statistics.columns
    codes = {label: code for code, label in enumerate(sorted({*columns["prediction"], *columns["reference"]}))}
    predicted, actual = ([codes[label] for label in columns[name]] for name in ("prediction", "reference"))
    kinds = labels(np.array(predicted, dtype=np.int64), np.array(actual, dtype=np.int64))
    assert kinds is not None
    return kinds


def _of_sets(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]], options: Any) -> Statistics:
    sets = ([tuple(sorted({*some})) for some in each] for each in (predictions, references))
    return Statistics(dict(zip(("prediction", "reference"), map(objects, sets), strict=True)))


def _kinds_of_sets(statistics: Statistics, options: Any) -> Kinds:
    kinds = label_sets(*_tables(statistics.columns["prediction"], statistics.columns["reference"])[1])
    assert kinds is not None
    return kinds


def _tables(*columns: NDArray[Any]) -> tuple[list[str], list[NDArray[np.bool_]]]:
    """Sets of labels as booleans `(n, classes)`, and the classes."""
    names = sorted({label for column in columns for some in column for label in some})
    codes = {label: code for code, label in enumerate(names)}
    tables = [np.zeros((len(column), len(names)), dtype=bool) for column in columns]
    for table, column in zip(tables, columns, strict=True):
        for row, some in zip(table, column, strict=True):
            row[[codes[label] for label in some]] = True
    return names, tables


def _right(statistics: Statistics) -> NDArray[np.bool_]:
    pairs = zip(statistics.columns["prediction"], statistics.columns["reference"], strict=True)
    return np.array([prediction == reference for prediction, reference in pairs], dtype=bool)


def _report(statistics: Statistics) -> list[dict[str, Any]]:
    predicted, actual = (statistics.columns[name] for name in ("prediction", "reference"))
    if any(isinstance(each, tuple) for each in actual):
        names, tables = _tables(predicted, actual)
        return report(tables[0], tables[1], names)
    names = sorted({*predicted, *actual})
    codes = {label: code for code, label in enumerate(names)}
    numbers = [np.array([codes[label] for label in column]) for column in (predicted, actual)]
    return report(numbers[0], numbers[1], names)


LABELS = Family("labels", "labels", _of_labels, _kinds_of_labels, read=labels, right=_right, report=_report)
LABEL_SETS = Family("label_sets", "label_sets", _of_sets, _kinds_of_sets, read=label_sets, right=_right, report=_report)


def _divide(part: NDArray[Any], whole: NDArray[Any], otherwise: float) -> Array:
    """The ratio where there is something to divide by, else what is given."""
    ratio: Array = np.divide(part, whole, out=np.full(part.shape, float(otherwise)), where=whole > 0)
    return ratio


def _mean(values: Array, classes: NDArray[Any]) -> Array:
    """The mean over classes, each with its weight in `classes` `(resamples, classes)`; NaN where all weigh nothing."""
    return _micro(values * classes, classes)


def _micro(part: Array, whole: NDArray[Any]) -> Array:
    """A ratio over all classes together; NaN where there is nothing to count."""
    return _divide(part.sum(axis=1), whole.sum(axis=1), np.nan)


def _precision(counts: Counts) -> Array:
    return _divide(counts.right, counts.predicted, 0)


def _recall(counts: Counts) -> Array:
    return _divide(counts.right, counts.actual, 0)


def _f1(counts: Counts) -> Array:
    return _divide(2 * counts.right, counts.predicted + counts.actual, 0)


@metric(LABELS)
def accuracy(counts: Counts) -> Array:
    """The share of records whose class is right.

    Source: scikit-learn 1.9, metrics.accuracy_score.
    """
    return counts.exact / counts.n


@metric(LABEL_SETS)
def subset_accuracy(counts: Counts) -> Array:
    """The share of records whose set of classes is right as a whole.

    Source: scikit-learn 1.9, metrics.accuracy_score on indicator arrays.
    """
    return counts.exact / counts.n


@metric(LABELS)
def balanced_accuracy(counts: Counts) -> Array:
    """The mean recall of the classes that occur.

    Source: Brodersen et al., The balanced accuracy and its posterior distribution, ICPR 2010.
    """
    return _mean(_recall(counts), counts.actual > 0)


@metric(LABELS, LABEL_SETS)
def f1_macro(counts: Counts) -> Array:
    """The mean F1 of the classes that occur or are predicted, all alike; NaN when there is none.

    Source: scikit-learn 1.9, metrics.f1_score(average="macro"); van Rijsbergen, Information Retrieval, 1979.
    """
    return _mean(_f1(counts), counts.predicted + counts.actual > 0)


@metric(LABELS, LABEL_SETS)
def f1_micro(counts: Counts) -> Array:
    """F1 over all decisions together (for one class a record, the accuracy); NaN when no class occurs or is predicted.

    Source: scikit-learn 1.9, metrics.f1_score(average="micro").
    """
    return _micro(2 * counts.right, counts.predicted + counts.actual)


@metric(LABELS, LABEL_SETS)
def f1_weighted(counts: Counts) -> Array:
    """The mean F1 of the classes, each as often as it occurs; NaN when none does.

    Source: scikit-learn 1.9, metrics.f1_score(average="weighted").
    """
    return _mean(_f1(counts), counts.actual)


@metric(LABELS, LABEL_SETS)
def precision_macro(counts: Counts) -> Array:
    """The mean precision of the classes that occur or are predicted; 0 for one that is never predicted.

    Source: scikit-learn 1.9, metrics.precision_score(average="macro", zero_division=0).
    """
    return _mean(_precision(counts), counts.predicted + counts.actual > 0)


@metric(LABELS, LABEL_SETS)
def precision_micro(counts: Counts) -> Array:
    """The share of the predicted classes that are right; NaN when none is predicted.

    Source: scikit-learn 1.9, metrics.precision_score(average="micro").
    """
    return _micro(counts.right, counts.predicted)


@metric(LABELS, LABEL_SETS)
def precision_weighted(counts: Counts) -> Array:
    """The mean precision of the classes, each as often as it occurs; 0 for one that is never predicted.

    Source: scikit-learn 1.9, metrics.precision_score(average="weighted", zero_division=0).
    """
    return _mean(_precision(counts), counts.actual)


@metric(LABELS, LABEL_SETS)
def recall_macro(counts: Counts) -> Array:
    """The mean recall of the classes that occur or are predicted; 0 for one that is predicted and never occurs.

    Source: scikit-learn 1.9, metrics.recall_score(average="macro", zero_division=0).
    """
    return _mean(_recall(counts), counts.predicted + counts.actual > 0)


@metric(LABELS, LABEL_SETS)
def recall_micro(counts: Counts) -> Array:
    """The share of the classes that are found; NaN when there is none to find.

    Source: scikit-learn 1.9, metrics.recall_score(average="micro").
    """
    return _micro(counts.right, counts.actual)


@metric(LABELS, LABEL_SETS)
def recall_weighted(counts: Counts) -> Array:
    """The mean recall of the classes, each as often as it occurs (for one class a record, the accuracy).

    Source: scikit-learn 1.9, metrics.recall_score(average="weighted").
    """
    return _mean(_recall(counts), counts.actual)


@metric(LABELS, scale="-1 to 1")
def matthews_correlation(counts: Counts) -> Array:
    """The correlation of predicted and actual classes, from -1 to 1; 0 when either is one class throughout.

    Source: Gorodkin, Comparing two K-category assignments by a K-category correlation coefficient, 2004.
    """
    together = counts.exact * counts.n - (counts.predicted * counts.actual).sum(axis=1)
    predicted = counts.n**2 - (counts.predicted**2).sum(axis=1)
    actual = counts.n**2 - (counts.actual**2).sum(axis=1)
    return _divide(together, np.sqrt(predicted * actual), 0)


def confusion(predicted: NDArray[np.int64], references: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """How many records of each class, in rows, were predicted as each class, in columns: `(k, k)`."""
    return np.bincount(np.asarray(references) * k + np.asarray(predicted), minlength=k * k).reshape(k, k)


def report(predicted: NDArray[Any], references: NDArray[Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """How well each class is found.

    Args:
        predicted: Classes `(n,)`, or booleans `(n, classes)`.
        references: The same.
        names: Of the classes.

    Returns:
        For each class `label`, `precision`, `recall` and `f1` (each 0 where it would be 0/0), its records `n`, and
        `read_as`: the other classes they were predicted as, with how many, the most frequent first. With several
        classes a record, nothing says which was read as which, and the list is empty.
    """
    predicted, references, k = np.asarray(predicted), np.asarray(references), len(names)
    if references.ndim == 2:
        cells = np.zeros((k, k), np.int64)
        right, given, actual = (part.sum(axis=0) for part in (predicted & references, predicted, references))
    else:
        cells = confusion(predicted, references, k)
        right, given, actual = cells.diagonal(), cells.sum(axis=0), cells.sum(axis=1)
    fractions = [(right, given), (right, actual), (2 * right, given + actual)]
    columns = [_divide(part, whole, 0).tolist() for part, whole in fractions]
    rows = []
    for i, (name, precision, recall, f1) in enumerate(zip(names, *columns, strict=True)):
        others = [(names[j], int(cells[i, j])) for j in np.argsort(-cells[i], kind="stable") if j != i and cells[i, j]]
        scores = {"label": name, "precision": precision, "recall": recall, "f1": f1}
        rows.append(scores | {"n": int(actual[i]), "read_as": others})
    return rows
