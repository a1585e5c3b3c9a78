"""The report of a data check as lines: the verdict, what there is, what is wrong with it."""

import re
from typing import TYPE_CHECKING, Any

from hfcli.cli._format import blocks, cells, share, visible

if TYPE_CHECKING:
    from hfcli.runtime.checking import Report, TextLengths
    from hfcli.runtime.findings import Finding

_LABELS, _PLACES = 3, 3
_BAR = 16
_TEXT = 38  # places stand under each other where texts are shorter
_KINDS = {"regression": "a number", "multi_label_classification": "several each"}


def verdict(report: "Report") -> str:
    """`fail`, `warn` or `ok`."""
    return "fail" if report.errors else "warn" if report.warnings else "ok"


def lines(report: "Report", every: bool = False) -> list[str]:
    """The report without what to do next.

    Args:
        report: What was found.
        every: Every label and every place, not some of them and a number.
    """
    counts = [(len(report.errors), "error"), (len(report.warnings), "warning")]
    found = ", ".join(_count(n, noun) for n, noun in counts if n)
    records = _count(report.records, "record")
    said = f"{found} in {records}" if found else f"{records}, nothing to note"
    shown = [f"{verdict(report):<6} {said}", "", *_topic("columns", [_columns(report)])]
    shown += _topic("answers" if report.task == "question-answering" else "labels", _labels(report, every))
    shown += _topic("length", _length(report.lengths, report) if report.lengths else [])
    if report.findings:
        shown += ["", *(_finding(finding, every) for finding in report.findings)]
    return [visible(line).replace("\n", "\\n") for line in shown]


def as_json(report: "Report") -> dict[str, Any]:
    """All of it, for programs."""
    found = [
        {**finding._asdict(), "places": [place[0] if len(place) == 1 else list(place) for place in finding.places]}
        for finding in report.findings
    ]
    return {
        "verdict": verdict(report),
        "task": report.task,
        "train": report.train,
        "records": report.records,
        "evaluation": report.evaluation or None,
        "evaluation_records": report.evaluation_records,
        "columns": dict(report.columns),
        "unused": list(report.unused),
        "problem_type": report.problem_type,
        "labels": dict(report.labels),
        "evaluation_labels": dict(report.evaluation_labels),
        "labels_per_record": report.per_record,
        "numbers": report.numbers._asdict() if report.numbers else None,
        "lengths": report.lengths._asdict() if report.lengths else None,
        "findings": found,
        "flags": list(report.flags),
    }


def _topic(name: str, texts: list[str]) -> list[str]:
    return [f"{name if not i else '':<8} {text}" for i, text in enumerate(texts)]


def _columns(report: "Report") -> str:
    kinds = [f"{len(report.labels)} labels"] if report.labels else []
    kinds += [_KINDS[report.problem_type]] if report.problem_type in _KINDS else []
    parts = [
        f"{field} <- {column}" + (f" ({', '.join(kinds)})" if field == "label" and kinds else "")
        for field, column in report.columns.items()
        if column is not None
    ]
    return " · ".join([*parts, *([f"not used: {', '.join(report.unused)}"] if report.unused else [])])


def _labels(report: "Report", every: bool) -> list[str]:
    if report.numbers:
        low, median, mean, high = report.numbers
        return [f"{low:g} to {high:g}, median {median:g}, mean {mean:.4g}"]
    counts = list(report.labels.items())
    if not counts or not counts[0][1]:
        return []
    some = counts if every or len(counts) <= _LABELS + 1 else counts[:_LABELS]
    total = sum(report.labels.values()) / report.per_record  # records that have labels
    width = max(cells(name) for name, _ in some)
    most = some[0][1]
    rows = []
    for name, n in some:
        figures = f"{n:>{len(f'{most:,}')},}  {n / total:5.1%}"
        rows.append(f"{name}{' ' * (width - cells(name))}   {figures}  {blocks(n / most, _BAR)}".rstrip())
    if len(some) < len(counts):
        name, n = counts[-1]
        rows.append(f"{f'... {len(counts) - len(some)} more, smallest {name} with {n:,}':<47} (--all shows them)")
    if report.problem_type == "multi_label_classification":
        rows.append(f"{report.per_record:.3g} labels a record")
    return rows


def _length(lengths: "TextLengths", report: "Report") -> list[str]:
    quantiles = f"median {lengths.median:,} {lengths.unit}, 95% under {lengths.p95:,}, longest {lengths.longest:,}"
    part = f"   of {lengths.counted:,} records" if lengths.counted < report.records // 2 else ""
    rows = [quantiles + part + (f"   {lengths.tokenizer}" if lengths.tokenizer else "")]
    if lengths.max_length is None:
        return rows
    flag = f"--max-length {lengths.max_length}"
    over = round(lengths.over_records * lengths.counted)
    records = f"{_count(over, 'record')} ({share(lengths.over_records)})" if not part else share(lengths.over_records)
    if not over:
        rows.append(f"{flag} cuts nothing")
    elif lengths.on_long == "window":
        rows.append(f"{flag} reads {records} in about {lengths.windows:,} windows")
    else:
        verb = "cuts" if lengths.on_long == "truncate" else "refuses"
        rows.append(f"{flag} {verb} {records}, {share(lengths.over_tokens)} of all tokens")
    return rows


def _finding(finding: "Finding", every: bool) -> str:
    start = f"{finding.level:<6} {finding.text}"
    if not finding.places:
        return start
    most = len(finding.places) if every else 1 if len(finding.places[0]) > 1 else _PLACES
    places = finding.places[:most]
    shown, before = [], ""
    for place in places:
        parts = []
        for where in place if every else place[:_PLACES]:
            found = re.fullmatch(r"(.*?)(\d+)", where, re.DOTALL)
            prefix, number = (found[1], found[2]) if found else (where, "")
            parts.append(f"{':' * prefix.endswith(':')}{number}" if prefix == before and number else where)
            before = prefix
        shown.append(" = ".join([*parts, *(["..."] if len(parts) < len(place) else [])]))
    more = len(finding.places) - len(places)
    text = " ".join([*shown, *([f"... {more:,} more"] if more else [])])
    return f"{start:<{_TEXT + 6}} {text}" if len(start) < _TEXT + 5 else f"{start}   {text}"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' * (n != 1)}"
