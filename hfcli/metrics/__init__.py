"""Metrics: one function each; every score has an interval and a number of records.

    predictions, references --family--> statistics --kinds--> sample --metric--> value

To add a metric, write it with `@metric(FAMILY, ...)` in its family's file; to add a family, add a file. `base.py` says
what a family and a metric are.
"""

from collections.abc import Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import numpy as np

from hfcli.errors import DataError, UsageError, did_you_mean
from hfcli.metrics import base, resampling
from hfcli.metrics.labels import confusion, report

__all__ = [
    "GROUPS",
    "Asked",
    "Score",
    "asked",
    "confusion",
    "each",
    "family",
    "get",
    "joined",
    "listed",
    "measure",
    "names",
    "options",
    "report",
    "score",
]


class Score(NamedTuple):
    """A score, its interval and the number of records it is measured on."""

    value: float
    low: float
    high: float
    n: int


def _all() -> dict[str, base.Metric]:
    for module in _MODULES:
        import_module(module)
    return base.METRICS


_MODULES = [f"{__name__}.{path.stem}" for path in sorted(Path(__file__).parent.glob("[a-z]*.py"))]


def _found(name: str) -> base.Metric | None:
    """The metric of that name. The file that defines it is imported before the others: most commands need but one."""
    folder, definition = Path(__file__).parent, f"def {name}("
    files = [] if name in base.METRICS else [folder / f"{module.rpartition('.')[2]}.py" for module in _MODULES]
    for path in sorted(files, key=lambda path: definition not in path.read_text(encoding="utf-8")):
        import_module(f"{__name__}.{path.stem}")
        if name in base.METRICS:
            break
    return base.METRICS.get(name)


def names(reads: str | None = None) -> list[str]:
    """All names, or those of metrics of a family."""
    return [name for name, each in _all().items() if reads is None or reads in each.reads]


def get(name: str) -> base.Metric:
    """The metric of that name.

    Raises:
        UsageError: There is no such metric.
    """
    found = _found(name)
    if found is None:
        raise UsageError(f"no metric {name}; there is {', '.join(names())}", did_you_mean(name, names()))
    return found


class Asked(NamedTuple):
    """Metrics that were asked for by one name.

    Attributes:
        metrics: Which.
        options: What was said of them, as text, by name.
    """

    metrics: tuple[base.Metric, ...]
    options: dict[str, str]


# Names for several metrics, or for one under another name, and what they set.
GROUPS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "toxicity": (("toxicity", "toxic_share"), {}),
    "counterfactual": (("flip_rate", "score_shift"), {}),
    "squad": (("exact_match", "f1"), {"version": "1"}),
    "squad_v2": (("exact_match", "f1"), {"version": "2"}),
    "chrf++": (("chrf++",), {"word_order": "2"}),
    # SQuAD's, by the name that is kept in metrics.json, are asked for as squad; alone the name is that of any texts.
    "exact_match": (("equal_texts",), {}),
    "rouge": (("rouge1", "rouge2", "rougel", "rougelsum"), {}),
    "rougeL": (("rougel",), {}),
    "rougeLsum": (("rougelsum",), {}),
}


def asked(text: str) -> Asked:
    """What `--metric` says: a name, and perhaps options: `bleu:tokenize=intl,lowercase=true`.

    Raises:
        UsageError: There is no such metric, or what follows is no options.
    """
    name, _, said = text.partition(":")
    options = {}
    for each in said.split(",") if said else []:
        key, equals, value = each.partition("=")
        if not (key.strip() and equals):
            raise UsageError(f"--metric {text}: {each!r} is no option", f"--metric {name}:OPTION=VALUE,...")
        options[key.strip()] = value.strip()
    found = _found(name)
    alone = found is not None and found.families[0].reads != "answers"  # squad's are measured together, by ids
    if name not in GROUPS and not alone:
        near = did_you_mean(name, [row["name"] for row in listed()])
        raise UsageError(f"no metric {name}", near or "hfcli eval --list-metrics")
    chosen, fixed = GROUPS.get(name, ((name,), {}))
    return Asked(tuple(get(each) for each in chosen), options | fixed)


def listed() -> list[dict[str, Any]]:
    """What can be asked for, by what it reads."""
    rows = []
    for name, metric in _all().items():
        row = {"name": name, "reads": metric.families[0].reads, "scale": metric.scale, "better": metric.better}
        rows.append({**row, "options": _typed(metric.families[0])})
    for name, (members, fixed) in GROUPS.items():
        first = _all()[members[0]]
        known = [each for each in _typed(first.families[0]) if each not in fixed]
        row = {"name": name, "reads": first.families[0].reads, "scale": first.scale, "better": first.better}
        rows.append({**row, "options": known})
    other = {members[0] for members, _ in GROUPS.values() if len(members) == 1}  # these go by another name
    named = {
        row["name"]: row
        for row in rows
        if row["name"] in GROUPS or not (row["name"] in other or row["reads"] == "answers")
    }
    return sorted(named.values(), key=lambda row: row["reads"])


def _typed(family: base.Family) -> list[str]:
    """The options that users may set."""
    return [each.name for each in fields(family.options) if each.metadata != base.NOT_TYPED]


def options(family: base.Family, said: dict[str, str], name: str) -> Any:
    """The options of a family from what was said of them.

    Args:
        family: The family.
        said: Options as text, by name.
        name: Of the metric, for errors.

    Raises:
        UsageError: The family has no such option, or not with such a value.
    """
    known = _typed(family)
    hints = {
        key: hint.__name__ if isinstance(hint, type) else hint for key, hint in get_type_hints(family.options).items()
    }
    values: dict[str, Any] = {}
    for key, text in said.items():
        if key not in known:
            there = f"there is {', '.join(known)}" if known else "it has none"
            raise UsageError(f"{name} has no option {key}; {there}", did_you_mean(key, known))
        values[key] = _value(text, str(hints[key]), f"{name}:{key}={text}")
    return family.options(**values)


def _value(text: str, kind: str, where: str) -> Any:
    """A value of one of the kinds that options have: "bool", "int", "float | None", ..."""
    if kind.startswith("bool"):
        if text.lower() not in ("true", "false", "yes", "no"):
            raise UsageError(f"--metric {where}: true or false is wanted")
        return text.lower() in ("true", "yes")
    if kind.startswith("str"):
        return text
    try:
        return (int if kind.startswith("int") else float)(text)
    except ValueError:
        raise UsageError(f"--metric {where}: a number is wanted") from None


def family(name: str) -> base.Family:
    """The family of that name."""
    return next(family for metric in _all().values() for family in metric.families if family.name == name)


def joined(parts: Sequence[base.Statistics]) -> base.Statistics:
    """Statistics of parts of the records, one after the other.

    Raises:
        DataError: The parts are about different labels.
    """
    first = parts[0]
    for part in parts:
        if part.names != first.names:
            other = ", ".join(sorted({*part.names} ^ {*first.names}))
            raise DataError(f"some records have probabilities of labels that others have not ({other})")
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in first.columns}
    return base.Statistics(columns, first.names)


def each(metric: base.Metric, family: base.Family, statistics: base.Statistics, options: Any) -> resampling.Array:
    """The score of every record by itself, `(n,)`; NaN where it has none, such as a correlation."""
    kinds = family.kinds(statistics, options)
    by_kind = metric.function(kinds.sample(np.eye(int(kinds.of.max()) + 1)))
    return by_kind[kinds.of]


def score(
    name: str, predictions: Any, references: Any, *, confidence: float = 0.95, resamples: int = 1000, seed: int = 12345
) -> Score:
    """Measure predictions against references.

    The interval is that of a percentile bootstrap over records. Where all records count alike (one record, or all of
    them right) it has no width, which says that nothing varied and not that the score is exact. Macro averages over
    many classes of very few records are lower in resamples, so much that the interval can lie below the score.

    Args:
        name: Of the metric.
        predictions: What `get(name).reads` says. labels: classes `(n,)`, integers or strings; label_sets: booleans
            `(n, classes)`; values: numbers `(n,)`; probabilities: `(n, classes)`; answers: texts or None `(n,)`.
        references: The same; for probabilities the right class of each record, integers `(n,)`; for answers lists of
            the right texts, objects `(n,)`.
        confidence: Of the interval.
        resamples: How often the records are drawn anew.
        seed: Of the draws. Metrics of the same records and seed share their draws.

    Returns:
        The score. It is NaN where the metric is not defined, such as a correlation with a constant; then so is the
        interval.

    Raises:
        UsageError: There is no such metric.
        DataError: There are no records, not as many predictions as references, or values that cannot be measured.
    """
    chosen, predictions, references = get(name), np.asarray(predictions), np.asarray(references)
    n = len(references)
    if len(predictions) != n:
        raise DataError(f"{len(predictions):,} predictions for {n:,} references; {name} needs one for each")
    if n == 0:
        raise DataError(f"no records to measure {name} on; at least one is needed")
    kinds = next(
        (kinds for each in chosen.families if each.read and (kinds := each.read(predictions, references))), None
    )
    if kinds is None:
        shapes = f"{predictions.dtype} {predictions.shape} and references {references.dtype} {references.shape}"
        raise DataError(f"{name} reads {' or '.join(chosen.reads)}; the predictions are {shapes}")
    return measure(name, kinds, confidence=confidence, resamples=resamples, seed=seed)


def measure(
    name: str, kinds: resampling.Kinds, *, confidence: float = 0.95, resamples: int = 1000, seed: int = 12345
) -> Score:
    """Measure records that a reader of the metric has read; the rest is as for `score`.

    Raises:
        UsageError: There is no such metric.
        DataError: There are no records.
    """
    function, n = get(name).function, len(kinds.of)
    if n == 0:
        raise DataError(f"no records to measure {name} on; at least one is needed")
    as_they_are = np.bincount(kinds.of)[None].astype(np.float64)
    value = float(function(kinds.sample(as_they_are))[0])
    if np.isnan(value):
        return Score(value, value, value, n)
    drawn = [function(kinds.sample(some)) for some in resampling.weights(kinds.of, resamples, seed)]
    return Score(value, *resampling.interval(np.concatenate(drawn), confidence), n)
