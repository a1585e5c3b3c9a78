"""How scores look: a table on a terminal, one JSON object elsewhere; never without an interval and a number."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hfcli.cli._format import decimal, fit, interval, one_line

if TYPE_CHECKING:
    from hfcli.cli._outcome import Outcome
    from hfcli.metrics import Score
    from hfcli.metrics.base import Metric
    from hfcli.metrics.groups import Grouped
    from hfcli.metrics.results import Result, Scored

_CLASSES = 20  # rows of a table of classes


def file_name(path: str, sha256: str) -> str:
    """A file and its content, for a signature.

    Args:
        path: Of the file; "-" is standard input.
        sha256: Of its content, unpacked.
    """
    name = "stdin" if path == "-" else os.path.basename(path).removesuffix(".gz")
    return f"{name}@{sha256[:7]}"


def lines(outcome: "Outcome") -> list[str]:
    """All of it for a terminal."""
    several = len(outcome.results) > 1
    shown = _systems(outcome) if several else _one(outcome.results[0], outcome.counted)
    for result, found in zip(outcome.results, outcome.groups, strict=False):
        shown += ["", *([result.name] if several else []), *groups(found)]
    if not several:
        shown += _classes(outcome.results[0])
    shown += [*outcome.lines, "", *_signatures(outcome)]
    return shown


def as_json(outcome: "Outcome") -> dict[str, Any]:
    """All of it for programs: of several systems a list."""
    systems = []
    for at, result in enumerate(outcome.results):
        told: dict[str, Any] = _entries(result)
        if outcome.groups:
            told |= groups_json(outcome.groups[at])
        if classes := _report(result):
            told["classes"] = classes
        systems.append(told)
    if len(systems) == 1:
        return {**systems[0], **outcome.more}
    named = [{"name": result.name, **told} for result, told in zip(outcome.results, systems, strict=True)]
    return {"systems": named, **outcome.more}


def _entries(result: "Result") -> dict[str, Any]:
    from hfcli.metrics.results import entry

    told: dict[str, Any] = {"scores": [entry(result, each) for each in result.scores]}
    return told | ({"system": result.system} if result.system else {})


def value(metric: "Metric", score: float) -> str:
    """A score in as many digits as its scale has use for."""
    if metric.scale == "0 to 100":
        return f"{score:.3f}"
    return decimal(score, 4 if metric.scale or abs(score) < 10 else 2)


def cell(metric: "Metric", score: "Score") -> str:
    """A score with its interval, 24 characters wide."""
    return f"{value(metric, score.value):>8}  {interval(score.low, score.high):<14}"


def _one(result: "Result", counted: str) -> list[str]:
    """A row a metric."""
    width = max(len(each.metric.title) for each in result.scores)
    scales = [each.metric.scale or "from 0 up" for each in result.scores]
    shown = [f"{'':<{width}}     score  interval        scale"]
    for at, (each, scale) in enumerate(zip(result.scores, scales, strict=True)):
        end = f"  {counted}" if not at else ""
        scale = f"{scale:<{max(map(len, scales))}}" if end else scale
        better = ", lower is better" if each.metric.better == "lower" else ""
        shown.append(f"{each.metric.title:<{width}}  {cell(each.metric, each.score)}  {scale}{end}{better}".rstrip())
    return shown


def _systems(outcome: "Outcome") -> list[str]:
    """A row a system, a column a metric."""
    first, names = outcome.results[0], [one_line(result.name) for result in outcome.results]
    width = min(max(map(len, names)), 40)
    heads = [f"{each.metric.title + _arrow(each):<24}" for each in first.scores]
    speed = outcome.more.get("models", [])
    more = f"{'parameters':>12}{'per second':>12}" if speed else ""
    shown = [f"{'':<{width}}  {'  '.join(heads)}{more}".rstrip()]
    for at, (result, name) in enumerate(zip(outcome.results, names, strict=True)):
        cells = "  ".join(cell(each.metric, each.score) for each in result.scores)
        about = speed[at] if speed else {}
        end = f"{about['parameters']:>12,}{about['per_second']:>12,.4g}" if about else ""
        shown.append(f"{fit(name, width)}  {cells}{end}".rstrip())
    return [*shown, "", f"{outcome.counted} each"]


def _arrow(each: "Scored") -> str:
    return " (lower is better)" if each.metric.better == "lower" else ""


def groups(found: "Sequence[Grouped]", *, gap: bool = True) -> list[str]:
    """A row a group, a column a metric, and the gap."""
    names = list(found[0].scores)
    width = min(max(len(one_line(name)) for name in [*names, "gap"]), 30)
    shown = [f"{'':<{width}}  {'  '.join(f'{each.metric.title:<24}' for each in found)}  {'n':>9}"]
    for name in names:
        cells = "  ".join(cell(each.metric, each.scores[name]) for each in found)
        shown.append(f"{fit(one_line(name), width)}  {cells}  {found[0].scores[name].n:>9,}")
    if gap and len(names) > 1:
        shown.append(f"{'gap':<{width}}  {'  '.join(cell(each.metric, each.gap) for each in found)}".rstrip())
    return shown


def groups_json(found: "Sequence[Grouped]") -> dict[str, Any]:
    """The same for programs."""

    def told(metric: "Metric", score: "Score") -> dict[str, Any]:
        numbers = {"score": score.value, "low": score.low, "high": score.high}
        shown = {name: number if number == number else None for name, number in numbers.items()}
        return {"metric": metric.title, **shown, "n": score.n}

    by_name = {name: [told(each.metric, each.scores[name]) for each in found] for name in found[0].scores}
    return {"groups": by_name, "gaps": [told(each.metric, each.gap) for each in found]}


def _report(result: "Result") -> list[dict[str, Any]]:
    """How well each class is found, [] where records have none."""

    for part in result.parts:
        if part.family.report is not None:
            return part.family.report(part.statistics)
    return []


def _classes(result: "Result") -> list[str]:
    """A row a class."""
    rows = _report(result)
    if not rows:
        return []
    width = min(max(len(one_line(row["label"])) for row in rows), 30)
    shown = ["", f"{'':<{width}}  precision  recall     f1         n"]
    for row in rows[:_CLASSES]:
        start = (
            f"{fit(one_line(row['label']), width)}      {row['precision']:.3f}   {row['recall']:.3f}  {row['f1']:.3f}"
        )
        read = ", ".join(f"{count:,} read as {one_line(other)}" for other, count in row.get("read_as", [])[:2])
        shown.append(f"{start}  {row['n']:>8,}    {read}".rstrip())
    if len(rows) > _CLASSES:
        shown.append(f"{_CLASSES} of {len(rows):,} shown, --json")
    return shown


def _signatures(outcome: "Outcome") -> list[str]:
    """What was measured and how, once for metrics that differ in nothing else; then the systems."""
    first = outcome.results[0]
    by_rest: dict[str, list[str]] = {}
    for each in first.scores:
        by_rest.setdefault(first.parts[each.part].signature, []).append(each.metric.title)
    shown = [f"score   {','.join(titles)}|{rest}" for rest, titles in by_rest.items()]
    return shown + [f"system  {result.system}" for result in outcome.results if result.system]
