"""The contract between metrics and those who measure.

    predictions, references --family--> statistics --kinds--> sample --metric--> value

A *family* reduces records, some at a time, to statistics: a few numbers each, which are all that its metrics, their
intervals and comparisons of systems need, so that texts can be forgotten. A *metric* is a function of a sample of
them, with one value per resample: the data as they are is a sample like others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from hfcli.metrics.resampling import Array, Kinds

Reader = Callable[[Any, Any], Kinds | None]
"""Predictions and references, as arrays, to kinds of records; None where the arrays are of another kind."""

Reads = Literal[
    "texts",
    "text",
    "labels",
    "label_sets",
    "values",
    "probabilities",
    "tags",
    "answers",
    "likelihoods",
    "scored",
    "swapped",
]
"""What a record brings.

texts: a text, and the texts it should be (at least one). text: a text alone. labels: a label (str) each. label_sets:
any number of labels (list of str) each. values: a number each. probabilities: `{label: probability}`, and the right
label. tags: a tag for every token (list of str) each. answers: a text or None, and the right texts, [] for none.
likelihoods: statistics that a model gave. scored: a text with a classifier's score. swapped: what a classifier says
before and after words were swapped.
"""


class Statistics(NamedTuple):
    """What is kept of records.

    Attributes:
        columns: By name, each with a row a record: `(n,)` or `(n, k)`.
        names: What the columns of those `(n, k)` stand for, where that is not always the same: labels.
    """

    columns: dict[str, NDArray[Any]]
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many records."""
        return len(next(iter(self.columns.values())))

    def some(self, which: NDArray[Any]) -> "Statistics":
        """Those of some records, by their indices or a mask."""
        return Statistics({name: column[which] for name, column in self.columns.items()}, self.names)


NOT_TYPED = MappingProxyType({"typed": False})
"""Of an option that is not for users: who measures says what it is."""


@dataclass(frozen=True)
class NoOptions:
    """A family that has none."""


@dataclass(frozen=True)
class Family:
    """Metrics that are functions of the same statistics.

    Attributes:
        name: In files: "bleu".
        reads: What a record brings.
        reduce: Predictions, references and options to statistics, for any part of the records: what it gives for two
            parts, one after the other, is what it gives for both.
        kinds: Statistics and options to kinds of records, whose samples the metrics take.
        options: What may stand behind a metric's name (`bleu:tokenize=intl`): a frozen dataclass of bool, int, float,
            str and `str | None` with defaults; `__post_init__` raises a UsageError for values that cannot be.
        signed: Options to what a signature says of them: ("case:mixed", "tok:13a").
        read: Arrays to kinds at once, for those who have arrays; None where there is no such form.
        right: Statistics to whether each record is right, `(n,)` booleans; None where records are not right or wrong.
        report: Statistics to how well each class is found: label, precision, recall, f1, n; None where there are none.
        odd: Statistics to a sentence about what makes the scores odd, "" where nothing does.
        slow: Reducing takes long enough that several processes are worth it.
    """

    name: str
    reads: Reads
    reduce: Callable[[Sequence[Any], Sequence[Any], Any], Statistics]
    kinds: Callable[[Statistics, Any], Kinds]
    options: type[Any] = NoOptions
    signed: Callable[[Any], tuple[str, ...]] = lambda options: ()
    read: Reader | None = None
    right: Callable[[Statistics], NDArray[np.bool_]] | None = None
    report: Callable[[Statistics], list[dict[str, Any]]] | None = None
    odd: Callable[[Statistics], str] = lambda statistics: ""
    slow: bool = False


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        name: Unique.
        title: What people call it; a name that families share, such as `f1`, is shown for both.
        families: What it can be computed from.
        better: Which direction is.
        scale: "0 to 1", "0 to 100", "-1 to 1"; "" for from 0 up.
        function: Of a sample, `(resamples,)`.
    """

    name: str
    title: str
    families: tuple[Family, ...]
    better: Literal["higher", "lower"]
    scale: str
    function: Callable[[Any], Array]

    @property
    def reads(self) -> tuple[str, ...]:
        """The names of its families, such as `("labels", "label_sets")`."""
        return tuple(family.name for family in self.families)


METRICS: dict[str, Metric] = {}
_Function = TypeVar("_Function", bound=Callable[[Any], Array])


def metric(
    *families: Family,
    better: Literal["higher", "lower"] = "higher",
    scale: str = "0 to 1",
    title: str | None = None,
) -> Callable[[_Function], _Function]:
    """Make a function of a sample a metric of the function's name."""

    def register(function: _Function) -> _Function:
        name = function.__name__
        METRICS[name] = Metric(name, title or name, families, better, scale, function)
        return function

    return register


class Sums(NamedTuple):
    """What metrics take that are functions of sums over records.

    Attributes:
        sums: Of each column of the statistics, `(resamples, columns)`.
        n: Records in each resample, `(resamples,)`.
        options: Of the family.
    """

    sums: Array
    n: Array
    options: Any


def additive(rows: NDArray[Any], options: Any = None) -> Kinds:
    """Kinds of records whose statistics are summed, from statistics `(n, columns)`."""
    values = rows.astype(np.float64)
    return Kinds(np.arange(len(values)), lambda weights: Sums(weights @ values, weights.sum(axis=1), options))


def objects(items: Sequence[Any]) -> NDArray[np.object_]:
    """Items of any kind as an array `(n,)`; numpy would make a table of lists of the same length."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
