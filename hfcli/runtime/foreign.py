"""Metrics of the package `evaluate`: somebody else's code, run over all records at once."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from hfcli.errors import DataError, ModelError
from hfcli.metrics import Score
from hfcli.metrics.base import Metric

GROUPS = 20


class Foreign:
    """A metric of `evaluate`.

    Args:
        name: On the Hub, or the path of its script. Its code runs, so whoever asks has to have allowed it.
        offline: Whether the Hub may not be asked.
        confidence: Of the intervals, between 0 and 1.

    Raises:
        ModelError: It cannot be loaded.
    """

    def __init__(self, name: str, offline: bool, confidence: float) -> None:
        import datasets
        import evaluate

        self.name = name
        self._normal = NormalDist().inv_cdf((1 + confidence) / 2)
        with _explained(name):
            config = datasets.DownloadConfig(local_files_only=offline)
            self._metric = evaluate.load(name, download_config=config)
        features = self._metric.features
        self._features = features[0] if isinstance(features, list) else features
        self._value = datasets.Value
        self.version = evaluate.__version__

    def scores(self, predictions: Sequence[Any], references: Sequence[Any]) -> list[tuple[Metric, Score]]:
        """Every number that it gives, with the interval of a jackknife over 20 groups of records.

        Args:
            predictions: Cells as they stand there.
            references: The same.

        Raises:
            DataError: It cannot measure these.

        Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 11 (delete-d jackknife by groups).
        """
        given = [self._cast(cell, "predictions") for cell in predictions]
        right = [self._cast(cell, "references") for cell in references]
        whole = self._compute(given, right)
        groups = min(GROUPS, len(right))
        of = np.arange(len(right)) % groups
        without: list[dict[str, float]] = []
        for group in range(groups if groups > 1 else 0):
            keep = np.flatnonzero(of != group)
            without.append(self._compute([given[i] for i in keep], [right[i] for i in keep]))
        return [(self._metric_of(name), self._score(name, value, without, len(right))) for name, value in whole.items()]

    def _metric_of(self, name: str) -> Metric:
        title = f"evaluate:{self.name.rpartition('/')[2].removesuffix('.py')}.{name}"
        return Metric(title, title, (), "higher", "", lambda sample: sample)

    def _score(self, name: str, value: float, without: Sequence[dict[str, float]], n: int) -> Score:
        left = np.array([each.get(name, math.nan) for each in without])
        if not left.size or np.isnan(left).any():
            return Score(value, math.nan, math.nan, n)
        groups = len(left)
        error = math.sqrt((groups - 1) / groups * float(((left - left.mean()) ** 2).sum()))
        return Score(value, value - self._normal * error, value + self._normal * error, n)

    def _compute(self, predictions: list[Any], references: list[Any]) -> dict[str, float]:
        try:
            found = self._metric.compute(predictions=predictions, references=references)
        except Exception as error:  # whatever its code raises
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(f"evaluate:{self.name} cannot measure these: {reason}") from error
        told = (found or {}).items()
        numbers = {str(name): value for name, value in told if isinstance(value, int | float | np.number)}
        if not numbers:
            raise DataError(f"evaluate:{self.name} gives no number")
        return {name: float(value) for name, value in numbers.items()}

    def _cast(self, cell: Any, column: str) -> Any:
        """Text as the kind of value that the metric wants."""
        feature = self._features.get(column) if hasattr(self._features, "get") else None
        kind = feature.dtype if isinstance(feature, self._value) else ""
        try:
            if isinstance(cell, str) and kind.startswith(("int", "uint")):
                return int(cell)
            return float(cell) if isinstance(cell, str) and kind.startswith("float") else cell
        except ValueError:
            raise DataError(f"evaluate:{self.name} wants numbers, and {cell!r} is none") from None


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a stranger's code, and the way to it
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"the metric {name} cannot be loaded: {reason}", "evaluate:./folder/metric.py loads a script from here"
        ) from error
