"""What a measurement gives: scores, and the statistics of every record that they were computed from.

As a file (`hfcli eval -o FILE`) it is one JSON object with a column for each statistic, which `hfcli compare` reads:
neither the texts nor the model are needed again.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hfcli import metrics
from hfcli.errors import DataError, UsageError
from hfcli.metrics import Score
from hfcli.metrics.base import Family, Metric, Statistics, objects

FORMAT = 1


class Part(NamedTuple):
    """Records as one family of metrics sees them.

    Attributes:
        family: The family.
        options: Of the family.
        metrics: What is measured.
        statistics: Of every record.
        signature: What was measured and how, but for the metric: it must be the same for a comparison.
    """

    family: Family
    options: Any
    metrics: tuple[Metric, ...]
    statistics: Statistics
    signature: str


class Scored(NamedTuple):
    """A score and where it is from.

    Attributes:
        metric: The metric.
        score: Its value, interval and number of records.
        part: The place of its part.
    """

    metric: Metric
    score: Score
    part: int


class Result(NamedTuple):
    """A system, measured.

    Attributes:
        name: Short: of the model, or the file with its outputs.
        system: What may differ between systems that are compared; "" where only outputs are known.
        parts: What was measured.
        scores: The scores, in the order they were asked for.
        ids: Of the records, [] where they have none.
    """

    name: str
    system: str
    parts: list[Part]
    scores: list[Scored]
    ids: list[str]

    def titles(self) -> list[str]:
        """What each of the scores is called, all different."""
        return titles([(part.options, part.metrics) for part in self.parts])

    def signature(self, scored: Scored) -> str:
        """Of one score: the metric, and what was measured and how."""
        return f"{scored.metric.title}|{self.parts[scored.part].signature}"


def titles(measured: Sequence[tuple[Any, Sequence[Metric]]]) -> list[str]:
    """What scores are called that stand side by side: those of one metric by the options in which they differ, too.

    Args:
        measured: Of each family its options and metrics.
    """
    plain = [metric.title for _, metrics in measured for metric in metrics]
    named = [(metric.title, options) for options, metrics in measured for metric in metrics]
    return [title if plain.count(title) == 1 else title + said(options) for title, options in named]


def said(options: Any) -> str:
    """Options that are not as usual, as --metric takes them."""
    said = (
        []
        if options is None
        else [
            f"{field.name}={str(value).lower() if isinstance(value, bool) else value}"
            for field in fields(options)
            if (value := getattr(options, field.name)) != field.default
        ]
    )
    return f":{','.join(said)}" if said else ""


class Drawing(NamedTuple):
    """How intervals are made.

    Attributes:
        confidence: Of the interval, between 0 and 1.
        resamples: How often records are drawn anew.
        seed: Of the draws.
    """

    confidence: float = 0.95
    resamples: int = 1000
    seed: int = 12345

    def __str__(self) -> str:
        """For a signature."""
        level = "" if self.confidence == 0.95 else f"-{100 * self.confidence:g}"
        return f"bs{self.resamples}-{self.seed}{level}"


def scored(parts: Sequence[Part], drawing: Drawing) -> list[Scored]:
    """All metrics of all parts, each with its interval.

    Raises:
        DataError: A part has no records, or statistics that cannot be measured.
    """
    found = []
    for at, part in enumerate(parts):
        kinds = part.family.kinds(part.statistics, part.options)
        for metric in part.metrics:
            score = metrics.measure(metric.name, kinds, **drawing._asdict())
            found.append(Scored(metric, score, at))
    return found


def entry(result: Result, each: Scored) -> dict[str, Any]:
    """A score, for programs; NaN, which JSON has not, is None."""
    score, metric = each.score, each.metric
    numbers = {"score": score.value, "low": score.low, "high": score.high}
    shown = {name: value if np.isfinite(value) else None for name, value in numbers.items()}
    return {"metric": metric.title, **shown, "n": score.n, "better": metric.better, "signature": result.signature(each)}


def to_json(result: Result) -> dict[str, Any]:
    """All of it, for a file."""
    return {
        "format": FORMAT,
        "name": result.name,
        "scores": [{**entry(result, each), "part": each.part} for each in result.scores],
        "system": result.system,
        "parts": [
            {
                "family": part.family.name,
                "metrics": [metric.name for metric in part.metrics],
                "options": asdict(part.options),
                "signature": part.signature,
                "names": list(part.statistics.names),
                "columns": {name: _column(values) for name, values in part.statistics.columns.items()},
            }
            for part in result.parts
        ],
        "ids": result.ids,
    }


def from_json(kept: Any, where: str) -> Result:
    """What `to_json` gave.

    Args:
        kept: The JSON.
        where: The file, for errors.

    Raises:
        DataError: It is something else, or of another version.
    """
    hint = "hfcli eval ... -o FILE writes such files"
    if not isinstance(kept, dict) or not {"format", "parts", "scores"} <= {*kept}:
        raise DataError(f"{where} is not a file of hfcli eval -o", hint)
    if kept["format"] != FORMAT:
        raise DataError(f"{where} was written by another version of hfcli (format {kept['format']})", hint)
    try:
        parts = [_part(part) for part in kept["parts"]]
        scores = [_scored(each, parts) for each in kept["scores"]]
        return Result(str(kept["name"]), str(kept["system"]), parts, scores, list(kept["ids"]))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, StopIteration, UsageError) as error:
        raise DataError(f"{where} is not whole ({type(error).__name__}: {error})", hint) from error


def _part(kept: Mapping[str, Any]) -> Part:
    found = tuple(metrics.get(name) for name in kept["metrics"])
    family = next(family for family in found[0].families if family.name == kept["family"])
    columns = {name: _values(column) for name, column in kept["columns"].items()}
    statistics = Statistics(columns, tuple(kept["names"]))
    if len({len(column) for column in columns.values()}) != 1:
        raise ValueError("columns of different lengths")
    if not isinstance(kept["signature"], str):
        raise TypeError("a signature that is no text")
    options = family.options(**kept["options"])
    family.kinds(statistics, options)  # a column that is not there is found now
    return Part(family, options, found, statistics, kept["signature"])


def _scored(kept: Mapping[str, Any], parts: Sequence[Part]) -> Scored:
    metric = next(metric for metric in parts[kept["part"]].metrics if metric.title == kept["metric"])
    value, low, high = (float("nan") if kept[name] is None else float(kept[name]) for name in ("score", "low", "high"))
    return Scored(metric, Score(value, low, high, int(kept["n"])), int(kept["part"]))


def _column(values: NDArray[Any]) -> Any:
    """Numbers as the bytes they are, which is exact and a third of the size; labels as they are."""
    if values.dtype.kind == "O":
        return values.tolist()
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return {
        "dtype": little.dtype.str,
        "shape": list(values.shape),
        "base64": base64.b64encode(little.tobytes()).decode(),
    }


def _values(kept: Any) -> NDArray[Any]:
    if isinstance(kept, list):
        return objects([tuple(each) if isinstance(each, list) else each for each in kept])
    array = np.frombuffer(base64.b64decode(kept["base64"], validate=True), dtype=np.dtype(kept["dtype"]))
    return array.reshape(kept["shape"]).astype(array.dtype.newbyteorder("="))
