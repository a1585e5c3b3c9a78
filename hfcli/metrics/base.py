"""The contract between metrics and those who measure.

A *reader* (`labels`, `label_sets`, `values`, `probabilities`, `answers`) turns two arrays into kinds of records. A
*metric* is a function of a sample of them, with one value per resample: the data as they are is a sample like others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from hfcli.metrics.resampling import Array, Kinds

Reader = Callable[[Any, Any], Kinds | None]
"""Predictions and references, as arrays, to kinds of records; None where the arrays are of another kind."""


@dataclass(frozen=True)
class Metric:
    """A metric: its name, what it reads, which direction is better, and the function of a sample."""

    name: str
    readers: tuple[Reader, ...]
    better: Literal["higher", "lower"]
    function: Callable[[Any], Array]

    @property
    def reads(self) -> tuple[str, ...]:
        """The names of its readers, such as `("labels", "label_sets")`."""
        return tuple(reader.__name__ for reader in self.readers)


METRICS: dict[str, Metric] = {}
_Function = TypeVar("_Function", bound=Callable[[Any], Array])


def metric(*readers: Reader, better: Literal["higher", "lower"] = "higher") -> Callable[[_Function], _Function]:
    """Make a function of a sample a metric of the function's name."""

    def register(function: _Function) -> _Function:
        METRICS[function.__name__] = Metric(function.__name__, readers, better, function)
        return function

    return register
