"""What the steps of a recipe measured, and whether that is what the recipe expects."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from hfcli.cli._format import decimal, interval
from hfcli.cli._steps import Checked
from hfcli.errors import DataError, did_you_mean
from hfcli.recipes import Recipe

Score = dict[str, Any]
"""`metric`, `score`, `low`, `high` (None where there is no interval), `n`, and `system` where there were several."""


class Verdict(NamedTuple):
    """What became of an expected score.

    Attributes:
        word: reached, below, above or missing.
        text: The rest of the sentence.
        worse: Whether it is not as good as expected, and surely so.
    """

    word: str
    text: str
    worse: bool


def printed(text: str) -> list[Score]:
    """The scores that `hfcli eval` has written to standard output as JSON; [] where it has not."""
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        told = json.loads(text)
        systems = told.get("systems", [told])
        return [
            _score(each, each["metric"], each["score"], system.get("name"))
            for system in systems
            for each in system["scores"]
            if each["score"] is not None
        ]
    return []


def refuse_unknown(recipe: Recipe, checked: Sequence[Checked], source: str) -> None:
    """Refuse to expect scores that no metric has.

    Raises:
        DataError: Says which.
    """
    expects = [(source, name) for name in recipe.scores] + [(s.where, name) for s in checked for name in s.step.expects]
    if not expects or any(str(name).startswith("evaluate:") for s in checked for name in s.values.get("metric") or ()):
        return  # what others' metrics report is known when they have been run
    from hfcli import metrics

    known = {*metrics.names(), *(row["name"] for row in metrics.listed())}
    for where, name in expects:
        if name.partition(":")[0] not in known:
            near = did_you_mean(name, sorted(known)) or "hfcli eval --list-metrics"
            raise DataError(f"{where}: expects {name}: no score is called so", near)


def learnt(folder: str, wanted: Iterable[str]) -> list[Score]:
    """The scores of a finetuned model: the one that picked it, and those that are wanted."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads((Path(folder) / "metrics.json").read_text(encoding="utf-8"))
        names = dict.fromkeys([told["metric"], *(name for name in told["scores"] if name in {*wanted})])
        found = [(name, told["scores"][name]) for name in names]
        return [_score(each, name, each["value"], None) for name, each in found if each["value"] is not None]
    return []


def _score(told: Mapping[str, Any], metric: str, value: float, system: str | None) -> Score:
    numbers = {name: told[name] for name in ("low", "high", "n")}
    return {"metric": metric, "score": value, **numbers, **({"system": system} if system else {})}


def line(score: Score) -> str:
    """A score with its interval and what it was measured on."""
    shown = f"{score['metric']} {_number(score['score'])}"
    known = score["low"] is not None and score["high"] is not None
    shown += f" {interval(score['low'], score['high'])}" if known else ""
    return f"{score['system']}: {shown}, n {score['n']:,}" if "system" in score else f"{shown}, n {score['n']:,}"


def _number(value: float) -> str:
    return decimal(value, 3 if abs(value) < 10 else 2)


def expected(scores: Mapping[str, float | None]) -> str:
    """Expected scores, as in `accuracy 0.913, f1 88.5`."""
    return ", ".join(f"{name} {value:g}" for name, value in scores.items() if value is not None)


def verdicts(expects: Mapping[str, float | None], scores: Sequence[Score], of: str = "") -> list[Verdict]:
    """Whether each expected score lies inside the interval of what was measured, the last of its name.

    Args:
        expects: By metric.
        scores: What was measured, in that order.
        of: The step that they are of, "" for the whole recipe.
    """
    by_name = {score["metric"]: score for score in scores}
    found = []
    for name, value in expects.items():
        if value is None:
            continue
        title = f"{name} {value:g}" + f" ({of})" * bool(of)
        if name not in by_name:
            there = ", ".join(by_name) or "nothing"
            found.append(Verdict("missing", f"expected {title}, and {there} was measured", True))
        else:
            found.append(_verdict(by_name[name], value, title))
    return found


def _verdict(score: Score, value: float, title: str) -> Verdict:
    low, high = (score["score"] if score[end] is None else score[end] for end in ("low", "high"))
    if low <= value <= high or math.isclose(score["score"], value, rel_tol=1e-9):
        return Verdict("reached", f"{title} lies inside the interval", False)
    lower = _lower_is_better(str(score["metric"]))
    end = ", and lower is better" if lower else ""
    if value > high:
        return Verdict("below", f"expected {title}, interval ends at {_number(high)}{end}", not lower)
    return Verdict("above", f"expected {title}, interval begins at {_number(low)}{end}", lower)


def _lower_is_better(name: str) -> bool:
    from hfcli import metrics

    base = name.partition(":")[0]
    return any(each["name"] == base and each["better"] == "lower" for each in metrics.listed())
