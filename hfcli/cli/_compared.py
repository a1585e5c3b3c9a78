"""How a comparison looks: the verdict, the numbers under it, and what was compared."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hfcli.cli._format import cells, one_line
from hfcli.cli._kept import Kept, Shared, signed
from hfcli.options.comparing import CompareOptions

if TYPE_CHECKING:
    from hfcli.metrics.comparing import Difference
    from hfcli.metrics.mcnemar import Flips


class Compared(NamedTuple):
    """A system, compared with the baseline.

    Attributes:
        name: Of the system.
        differences: In each metric, the first decides.
        ps: The p of each, corrected where there are several systems.
        verdict: In words.
        flips: Records that became right or wrong, None where none can.
    """

    name: str
    differences: "list[Difference]"
    ps: list[float]
    verdict: str
    flips: "Flips | None"


class Comparison(NamedTuple):
    """All of it.

    Attributes:
        files: The baseline's and those of the systems.
        baseline: Its name.
        metrics: In which they are compared.
        systems: The systems that are compared with it.
        options: How.
    """

    files: list[Kept]
    baseline: str
    metrics: list[Shared]
    systems: list[Compared]
    options: CompareOptions

    @property
    def n(self) -> int:
        """Records."""
        return len(self.metrics[0].parts[0].statistics)


def lines(comparison: Comparison) -> list[str]:
    """The comparison for a terminal."""
    several = len(comparison.systems) > 1
    width = max(len(each.verdict) for each in comparison.systems) + 3
    shown = [f"{each.verdict:<{width}}{_sentence(comparison, each)}" for each in comparison.systems]
    tables = [_table_of(comparison, at) for at in range(len(comparison.metrics))] if several else [_table(comparison)]
    for table in tables:
        shown += ["", *_aligned(table)]
    shown += ["", *_flips(comparison), *_signatures(comparison)]
    return [one_line(line) for line in shown]


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison for programs; what has no score is NaN."""
    options = comparison.options
    return {
        "verdicts": {each.name: each.verdict for each in comparison.systems},
        "baseline": comparison.baseline,
        "n": comparison.n,
        "comparisons": [_entry(comparison, each) for each in comparison.systems],
        "test": options.test,
        "corrected": "holm" if len(comparison.systems) > 1 else None,
        "confidence_level": options.confidence_level,
        "margin": options.margin,
        "resamples": options.resamples,
        "trials": options.trials,
        "seed": options.seed,
        "signatures": _scores(comparison),
        "systems": [
            {"name": name, "file": file.path, "system": file.result.system}
            for name, file in zip(_names(comparison), comparison.files, strict=True)
        ],
        "differ": _differ(comparison),
    }


def remembered(comparison: Comparison) -> tuple[dict[str, dict[str, Any]], Any]:
    """The differences by system and metric, and what was compared and how."""
    found = {}
    for system in comparison.systems:
        whose = f"{system.name} " if len(comparison.systems) > 1 else ""
        for shared, each in zip(comparison.metrics, system.differences, strict=True):
            numbers = {"value": each.value, "low": each.low, "high": each.high, "n": comparison.n}
            found[f"{whose}{shared.name} difference"] = numbers
    return found, _scores(comparison)


def _entry(comparison: Comparison, system: Compared) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    for shared, difference, p in zip(comparison.metrics, system.differences, system.ps, strict=True):
        entry = {
            "metric": shared.name,
            "better": shared.metric.better,
            "baseline": difference.baseline,
            "score": difference.system,
            "difference": difference.value,
            "low": difference.low,
            "high": difference.high,
            "p": p,
            "p_randomised": difference.p_randomised,
            "p_bootstrap": difference.p_bootstrap,
        }
        if not found and comparison.options.margin is not None:
            low, high = difference.inner
            entry["equivalence"] = {
                "low": low,
                "high": high,
                "equivalent": difference.within(comparison.options.margin),
            }
        found.append(entry)
    told: dict[str, Any] = {"system": system.name, "verdict": system.verdict, "metrics": found}
    if system.flips is not None:
        right, wrong, p = system.flips
        told["flips"] = {"now_right": len(right), "now_wrong": len(wrong), "p": p}
    return told


def _sentence(comparison: Comparison, system: Compared) -> str:
    """What the verdict is about, and rests on."""
    shared, difference, options = comparison.metrics[0], system.differences[0], comparison.options
    between = {"better": "over", "worse": "than"}.get(system.verdict, "and")
    start = f"{system.name} {between} {comparison.baseline}: {shared.name}"
    if not math.isfinite(difference.value):
        without = system.name if not math.isfinite(difference.system) else comparison.baseline
        return f"{start} is not defined for {without}"
    digits = _digits(difference)
    value = f"{start} {difference.value:+.{digits}f}"
    if system.verdict in ("equivalent", "not shown to be equivalent"):
        level = f"{100 * (2 * options.confidence_level - 1):g}"
        said = "within" if system.verdict == "equivalent" else "not within"
        return f"{value}, {level}% interval {_interval(*difference.inner, digits)} {said} {options.margin:g}"
    return f"{value} {_interval(difference.low, difference.high, digits)}, p {_p(system.ps[0], equals=True)}"


def _table(comparison: Comparison) -> list[list[str]]:
    """Two systems: a row a metric."""
    system = comparison.systems[0]
    rows = [["", comparison.baseline, system.name, *_heads(comparison)]]
    for shared, difference, p in zip(comparison.metrics, system.differences, system.ps, strict=True):
        digits = _digits(difference)
        scores = [_score(score, digits) for score in (difference.baseline, difference.system)]
        rows.append([shared.name, *scores, *_cells(difference, p)])
    return rows


def _table_of(comparison: Comparison, at: int) -> list[list[str]]:
    """Several systems: a row a system, for one metric."""
    first = comparison.systems[0].differences[at]
    rows = [[comparison.metrics[at].name, "score", *_heads(comparison)]]
    rows.append([comparison.baseline, _score(first.baseline, _digits(first)), "", "", ""])
    for system in comparison.systems:
        difference = system.differences[at]
        score = _score(difference.system, _digits(difference))
        rows.append([system.name, score, *_cells(difference, system.ps[at])])
    return rows


def _heads(comparison: Comparison) -> list[str]:
    return ["difference", f"{100 * comparison.options.confidence_level:g}% interval", "p"]


def _cells(difference: "Difference", p: float) -> list[str]:
    if not math.isfinite(difference.value):
        return ["-", "-", "-"]
    digits = _digits(difference)
    return [f"{difference.value:+.{digits}f}", _interval(difference.low, difference.high, digits), _p(p)]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns under each other: the first from the left, an interval's head in the middle, others from the right."""
    widths = [max(cells(row[at]) for row in rows) for at in range(len(rows[0]))]
    shown = []
    for number, row in enumerate(rows):
        parts = [row[0] + " " * (widths[0] - cells(row[0]))]
        for at, text in enumerate(row[1:], 1):
            space = widths[at] - cells(text)
            before = space // 2 if not number and at == len(row) - 2 else space
            parts.append(" " * before + text + " " * (space - before))
        shown.append("  ".join(parts).rstrip())
    return shown


def _flips(comparison: Comparison) -> list[str]:
    """How many records became right or wrong."""
    found = [(each.name, each.flips) for each in comparison.systems if each.flips is not None]
    if not found:
        return []
    shown = []
    for name, flips in found:
        whose = f" ({name})" if len(comparison.systems) > 1 else ""
        counts = f"now right {len(flips.now_right):>6,}   now wrong {len(flips.now_wrong):>6,}"
        shown.append(f"{counts}   of {comparison.n:,} records, McNemar p {_p(flips.p, equals=True)}{whose}")
    total = sum(len(flips.now_right) + len(flips.now_wrong) for _, flips in found)
    if total:
        path = comparison.options.flips
        told = f"all {total:,} are in {path}" if path else f"--flips flips.jsonl writes all {total:,}"
        shown.append(f"           {told}")
    return shown


def _signatures(comparison: Comparison) -> list[str]:
    shown = [f"score      {signature}" for signature in _scores(comparison)]
    count = len(comparison.systems)
    if count > 1:
        shown.append(f"p          corrected for {count} systems by Holm's method")
    differ = [
        key if key == "model" else f"{key} ({', '.join(value or '-' for value in values)})"
        for key, values in _differ(comparison).items()
    ]
    if differ:
        shown.append(f"systems    differ in: {', '.join(differ)}")
    return shown


def _scores(comparison: Comparison) -> list[str]:
    """What was measured and how, with the intervals and p of the comparison: one a part of the first file."""
    names: dict[str, list[str]] = {}
    for shared in comparison.metrics:
        names.setdefault(shared.parts[0].signature, []).append(shared.metric.title)
    return [f"{','.join(titles)}|{_drawn(comparison, signature)}" for signature, titles in names.items()]


def _drawn(comparison: Comparison, signature: str) -> str:
    from hfcli.metrics.results import Drawing

    options = comparison.options
    drawing = Drawing(options.confidence_level, options.resamples, options.seed)
    draws = options.trials if options.test == "ar" else options.resamples
    parts = signature.split("|")
    at = next((at for at, part in enumerate(parts) if part.startswith("ci:")), len(parts))
    return "|".join([*parts[:at], f"ci:{drawing}", f"p:{options.test}{draws}-{options.seed}", *parts[at + 1 :]])


def _differ(comparison: Comparison) -> dict[str, list[str | None]]:
    """In what the systems differ, with what is said of each, None where nothing is."""
    said = []
    for file in comparison.files:
        model, _, more = file.result.system.partition("|")
        said.append(({"model": model} if model else {}) | (signed(more) if more else {}))
    keys = dict.fromkeys(key for each in said for key in each)
    values = {key: [each.get(key) for each in said] for key in keys}
    return {key: each for key, each in values.items() if len({*each}) > 1}


def _names(comparison: Comparison) -> list[str]:
    return [comparison.baseline, *(each.name for each in comparison.systems)]


def _digits(difference: "Difference") -> int:
    """After the point: four, two of scores from 10 up, more of very small ones."""
    largest = max((abs(score) for score in (difference.baseline, difference.system) if math.isfinite(score)), default=0)
    if difference.metric.scale == "0 to 100" or largest >= 10:
        return 2
    return min(max(4, 3 - math.floor(math.log10(largest))), 12) if largest else 4


def _score(score: float, digits: int) -> str:
    return f"{score:.{digits}f}" if math.isfinite(score) else "-"


def _interval(low: float, high: float, digits: int) -> str:
    return f"[{low:+.{digits}f}, {high:+.{digits}f}]"


def _p(p: float, *, equals: bool = False) -> str:
    """In three digits after the point, four where it is small; with `equals`, "= 0.012" or "< 0.0001"."""
    if p < 0.00005:
        return "< 0.0001"
    return f"{'= ' * equals}{p:.{3 if p >= 0.001 else 4}f}"
