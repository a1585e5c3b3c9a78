"""How scores look: a table on a terminal, one JSON object elsewhere; never without an interval and a number."""

import os
import shutil
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
        shown += ["", *([one_line(result.name)] if several else []), *groups(found, result.titles())]
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
            told |= groups_json(outcome.groups[at], result.titles())
        if classes := _report(result):
            told["classes"] = classes
        systems.append(told)
    if len(systems) == 1:
        return {**systems[0], **outcome.more}
    named = [{"name": result.name, **told} for result, told in zip(outcome.results, systems, strict=True)]
    return {"systems": named, **outcome.more}


def _entries(result: "Result") -> dict[str, Any]:
    from hfcli.metrics.results import entry

    entries = zip(result.titles(), result.scores, strict=True)
    told: dict[str, Any] = {"scores": [{**entry(result, each), "metric": title} for title, each in entries]}
    return told | ({"system": result.system} if result.system else {})


def value(metric: "Metric", score: float) -> str:
    """A score in as many digits as its scale has use for."""
    if metric.scale == "0 to 100":
        return f"{score:.3f}"
    return decimal(score, 4 if metric.scale or abs(score) < 10 else 2)


def cell(metric: "Metric", score: "Score") -> str:
    """A score with its interval."""
    return "  ".join(_numbers(metric, score))


def _numbers(metric: "Metric", score: "Score") -> tuple[str, str]:
    if score.value != score.value:
        return f"{'-':>8}", "not defined"
    known = interval(score.low, score.high) if score.low == score.low else "no interval"
    return f"{value(metric, score.value):>8}", known


def _one(result: "Result", counted: str) -> list[str]:
    """A row a metric."""
    rows = [("", "score", "interval", "scale")]
    for title, each in zip(result.titles(), result.scores, strict=True):
        scale = (each.metric.scale or "from 0 up") + ", lower is better" * (each.metric.better == "lower")
        rows.append((title, *_numbers(each.metric, each.score), scale))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    shown = []
    for title, number, ends, scale in rows:
        columns = (f"{title:<{widths[0]}}", f"{number:>{widths[1]}}", f"{ends:<{max(widths[2], 14)}}")
        shown.append("  ".join([*columns, f"{scale:<{widths[3]}}"]))
    first = f"{shown[1]}  {counted}"
    fits = len(first) <= _columns()
    shown = [line.rstrip() for line in shown]
    return [shown[0], first, *shown[2:]] if fits else [*shown, "", counted]


def _systems(outcome: "Outcome") -> list[str]:
    """A row a system, a column a metric."""
    names, scores = [result.name for result in outcome.results], outcome.results[0].scores
    titles = outcome.results[0].titles()
    columns = [
        (title, [cell(each.metric, result.scores[at].score) for result in outcome.results])
        for at, (title, each) in enumerate(zip(titles, scores, strict=True))
    ]
    if speed := outcome.more.get("models", []):
        sizes = [f"{about['parameters']:>12,}{_rate(about['per_second']):>12}" for about in speed]
        columns.append((f"{'parameters':>12}{'per second':>12}", sizes))
    lower = [title for title, each in zip(titles, scores, strict=True) if each.metric.better == "lower"]
    end = f"; lower is better: {', '.join(lower)}" if lower else ""
    return [*_table(names, columns), "", f"each on {outcome.counted}{end}"]


def _rate(number: float) -> str:
    """With three digits at least, and none behind the point of what is large."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.4g}"


def groups(found: "Sequence[Grouped]", titles: Sequence[str] = (), *, gap: bool = True) -> list[str]:
    """A row a group, a column a metric, and the gap.

    Args:
        found: By metric.
        titles: What they are called, () for their own titles.
        gap: Whether it is shown.
    """
    names, last = list(found[0].scores), gap and len(found[0].scores) > 1
    columns = [
        (title, [cell(each.metric, score) for score in [*each.scores.values(), *([each.gap] if last else [])]])
        for title, each in zip(titles or [each.metric.title for each in found], found, strict=True)
    ]
    counts = [f"{score.n:>9,}" for score in found[0].scores.values()]
    return _table([*names, *(["gap"] if last else [])], columns, (f"{'n':>9}", [*counts, ""]))


_Column = tuple[str, list[str]]  # its head, and a cell a row


def _table(names: Sequence[str], columns: Sequence[_Column], end: _Column = ("", [])) -> list[str]:
    """Columns side by side, as many as fit; what does not fit goes below. The last one stands in each block."""
    names = [one_line(name) for name in names]
    width = min(max(map(cells, names)), 30)
    wide = max(24, *(len(text) for head, some in columns for text in [head, *some]))
    at_once = max(1, (_columns() - width - len(end[0]) - 2 * bool(end[0])) // (wide + 2))
    shown: list[str] = []
    for at in range(0, len(columns), at_once):
        block = [*columns[at : at + at_once], *([end] if end[0] else [])]
        shown += [""] * bool(shown)
        shown.append(" " * width + "".join(f"  {head:<{wide}}" for head, _ in block).rstrip())
        for row, name in enumerate(names):
            cells_of_row = "".join(f"  {some[row]:<{wide}}" for _, some in block if some[row:])
            shown.append((fit(name, width) + cells_of_row).rstrip())
    return shown


def _columns() -> int:
    """How wide a table may be."""
    return max(shutil.get_terminal_size().columns, 80)


def groups_json(found: "Sequence[Grouped]", titles: Sequence[str] = ()) -> dict[str, Any]:
    """The same for programs."""

    def told(title: str, score: "Score") -> dict[str, Any]:
        numbers = {"score": score.value, "low": score.low, "high": score.high}
        shown = {name: number if number == number else None for name, number in numbers.items()}
        return {"metric": title, **shown, "n": score.n}

    both = list(zip(titles or [each.metric.title for each in found], found, strict=True))
    by_name = {name: [told(title, each.scores[name]) for title, each in both] for name in found[0].scores}
    return {"groups": by_name, "gaps": [told(title, each.gap) for title, each in both]}


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
    width = min(max(cells(one_line(row["label"])) for row in rows), 30)
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
            ways.setdefault(f"{','.join(titles)}|{rest}", []).append(one_line(result.name))
    shown = []
    for way, names in ways.items():
        of = f"  ({', '.join(names)})" if len(names) < len(outcome.results) else ""
        shown.append(f"score   {way}{of}")
    return shown + [f"system  {one_line(result.system)}" for result in outcome.results if result.system]
