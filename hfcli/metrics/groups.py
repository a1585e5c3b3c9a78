"""Scores of groups of records, such as languages or dialects, and how far they lie apart."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hfcli.metrics import Score, resampling
from hfcli.metrics.base import Metric
from hfcli.metrics.results import Drawing, Part


class Grouped(NamedTuple):
    """One metric, by group.

    Attributes:
        metric: The metric.
        scores: By group, in the order in which they first appear.
        gap: The highest minus the lowest score. It is never negative, so chance widens it: of groups that do not
            differ, too, the interval lies above 0.
    """

    metric: Metric
    scores: dict[str, Score]
    gap: Score


def name(cell: Any) -> str:
    """What the group of a record is called: a text itself, anything else as JSON has it."""
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False, default=str)


def by_group(part: Part, groups: Sequence[str], drawing: Drawing) -> list[Grouped]:
    """Measure every group by itself.

    Records are drawn anew within each group, as many as it has.

    Args:
        part: What is measured.
        groups: Of each record, `(n,)`.
        drawing: How intervals are made.

    Raises:
        DataError: A group cannot be measured.
    """
    codes = {group: code for code, group in enumerate(dict.fromkeys(groups))}
    of = np.array([codes[group] for group in groups])
    kinds = [part.family.kinds(part.statistics.some(of == code), part.options) for code in codes.values()]
    found = []
    for metric in part.metrics:
        scores, drawn = {}, []
        for (group, code), each in zip(codes.items(), kinds, strict=True):
            value = float(metric.function(each.sample(np.bincount(each.of)[None].astype(np.float64)))[0])
            weights = resampling.weights(each.of, drawing.resamples, drawing.seed + code)
            drawn.append(np.concatenate([metric.function(each.sample(some)) for some in weights]))
            low, high = resampling.interval(drawn[-1], drawing.confidence)
            scores[group] = Score(value, low, high, len(each.of))
        values = np.array([score.value for score in scores.values()])
        gaps = np.max(drawn, axis=0) - np.min(drawn, axis=0)
        gap = Score(float(values.max() - values.min()), *resampling.interval(gaps, drawing.confidence), len(of))
        found.append(Grouped(metric, scores, gap))
    return found
