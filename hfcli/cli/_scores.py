"""How scores look: a table on a terminal, one JSON object elsewhere; never without an interval and a number."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hfcli.cli._format import cells, decimal, fit, interval, one_line

if TYPE_CHECKING:
    from hfcli.cli._outcome import Outcome
    from hfcli.metrics import Score
    from hfcli.metrics.base import Metric
    from hfcli.metrics.groups import Grouped
    from hfcli.metrics.results import Result

_CLASSES = 20  # rows of a table of classes
_NAME = 40  # columns of a name at most


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
    return f"{value(metric, score.value):>8}  {interval(score.low, score.high)}"


def _one(result: "Result", counted: str) -> list[str]:
    """A row a metric."""
    rows = [("", "score", "interval", "scale", "")]
    for at, each in enumerate(result.scores):
        metric, score = each.metric, each.score
        scale = (metric.scale or "from 0 up") + (", lower is better" if metric.better == "lower" else "")
        numbers = value(metric, score.value), interval(score.low, score.high)
        rows.append((metric.title, *numbers, scale, "" if at else counted))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    shown = []
    for title, number, ends, scale, end in rows:
        columns = (f"{title:<{widths[0]}}", f"{number:>{max(widths[1], 8)}}", f"{ends:<{max(widths[2], 14)}}")
        shown.append("  ".join([*columns, f"{scale:<{widths[3]}}", end]).rstrip())
    return shown


def _systems(outcome: "Outcome") -> list[str]:
    """A row a system, a column a metric."""
    first, models = outcome.results[0], outcome.more.get("models", [])
    more = ["parameters", "per second"] if models else []
    rows = [["", *(each.metric.title for each in first.scores), *more]]
    for at, result in enumerate(outcome.results):
        about = [f"{models[at]['parameters']:,}", f"{models[at]['per_second']:,.4g}"] if models else []
        name = one_line(result.name)
        scores = [cell(each.metric, each.score) for each in result.scores]
        rows.append([fit(name, _NAME) if len(name) > _NAME else name, *scores, *about])
    lower = [each.metric.title for each in first.scores if each.metric.better == "lower"]
    end = f"{outcome.counted} each" + (f" · lower is better: {', '.join(lower)}" if lower else "")
    return [*_table(rows, len(more)), "", end]


def _table(rows: Sequence[Sequence[str]], numbers: int) -> list[str]:
    """Columns side by side, the last ones, numbers, on the right of theirs."""
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    shown = []
    for row in rows:
        padded = [text + " " * (width - cells(text)) for text, width in zip(row, widths, strict=True)]
        split = len(row) - numbers
        padded[split:] = [f"{text:>{width}}" for text, width in zip(row[split:], widths[split:], strict=True)]
        shown.append("  ".join(padded).rstrip())
    return shown


def groups(found: "Sequence[Grouped]", *, gap: bool = True) -> list[str]:
    """A row a group, a column a metric, and the gap."""
    names = list(found[0].scores)
    rows = [["", *(each.metric.title for each in found), "n"]]
    for name in names:
        label = one_line(name)
        scores = [cell(each.metric, each.scores[name]) for each in found]
        rows.append([fit(label, _NAME) if len(label) > _NAME else label, *scores, f"{found[0].scores[name].n:,}"])
    if gap and len(names) > 1:
        rows.append(["gap", *(cell(each.metric, each.gap) for each in found), ""])
    return _table(rows, 1)


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
    """What was measured and how, once for metrics and systems that differ in nothing else; then the systems."""
    ways: dict[str, list[str]] = {}
    for result in outcome.results:
        by_rest: dict[str, list[str]] = {}
        for each in result.scores:
            by_rest.setdefault(result.parts[each.part].signature, []).append(each.metric.title)
        for rest, titles in by_rest.items():
            ways.setdefault(f"{','.join(titles)}|{rest}", []).append(result.name)
    shown = []
    for way, names in ways.items():
        of = f"  ({', '.join(names)})" if len(names) < len(outcome.results) else ""
        shown.append(f"score   {way}{of}")
    return shown + [f"system  {result.system}" for result in outcome.results if result.system]
