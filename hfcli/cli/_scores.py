"""How scores look: a table on a terminal, one JSON object elsewhere; never without an interval and a number."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hfcli import __version__
from hfcli.cli._format import interval

if TYPE_CHECKING:
    from hfcli.metrics import Score
    from hfcli.metrics.squad import Answered, Best

BOOTSTRAP = "bs1000-12345"
"""How intervals are made: a bootstrap of 1,000 resamples, and its seed."""


def signature(metric: str, data: str, n: int) -> str:
    """What was measured and how; scores whose signatures differ cannot be compared.

    Args:
        metric: The name as it was asked for.
        data: What it was measured on, with its version: "dev-v1.1.json@95aa6a5".
        n: How many records were measured.
    """
    parts = [metric, f"data:{data}", f"n:{n}", f"ci:{BOOTSTRAP}", f"hfcli:{__version__}"]
    return "|".join(parts)


def file_name(path: str, sha256: str) -> str:
    """A file and its content, for a signature.

    Args:
        path: Of the file; "-" is standard input.
        sha256: Of its content, unpacked.
    """
    name = "stdin" if path == "-" else os.path.basename(path).removesuffix(".gz")
    return f"{name}@{sha256[:7]}"


def lines(answered: "Answered", signatures: Mapping[str, str]) -> list[str]:
    """The scores of questions for a terminal.

    Args:
        answered: The scores, from 0 to 100.
        signatures: `score` and whatever else there is, such as `system`.
    """
    width = max(len(name) for name in [*answered.scores, *answered.apart])
    shown = []
    for i, (name, score) in enumerate(answered.scores.items()):
        n = f"   {score.n:,} question{'s' * (score.n != 1)}" if not i else ""
        shown.append(f"{name:<{width}}  {_cell(score)}{n}".rstrip())
    if answered.apart:
        names = list(answered.scores)
        head = f"{'':<{width}}  {'  '.join(f'{name:<23}' for name in names)}  {'n':>8}"
        shown += ["", head]
        for group, scores in answered.apart.items():
            cells = "  ".join(_cell(scores[name]) for name in names)
            shown.append(f"{group:<{width}}  {cells}  {scores[names[0]].n:>8,}")
    if answered.best:
        shown.append("")
    for i, (name, best) in enumerate(answered.best.items()):
        start = "best" if not i else ""
        shown.append(f"{start:<{width}}  {_cell(best.score)}  {name} at no-answer threshold {best.threshold:.6g}")
    return [*shown, "", *(f"{name:<7} {text}" for name, text in signatures.items())]


def as_json(answered: "Answered", signatures: Mapping[str, str]) -> dict[str, Any]:
    """All of it, for programs."""
    told: dict[str, Any] = {"scores": _entries(answered.scores, signatures["score"])}
    if answered.apart:
        told["apart"] = {group: _entries(scores) for group, scores in answered.apart.items()}
    told |= {f"best_{name.removesuffix('_match')}": _best(best) for name, best in answered.best.items()}
    return told | {name: text for name, text in signatures.items() if name != "score"}


def _cell(score: "Score") -> str:
    return f"{score.value:7.3f}  {interval(score.low, score.high):<14}"


def _entries(scores: Mapping[str, "Score"], signed: str | None = None) -> list[dict[str, Any]]:
    end = {"signature": signed} if signed else {}
    return [
        {"metric": name, "score": score.value, "low": score.low, "high": score.high, "n": score.n, **end}
        for name, score in scores.items()
    ]


def _best(best: "Best") -> dict[str, Any]:
    score = best.score
    return {"score": score.value, "low": score.low, "high": score.high, "n": score.n, "threshold": best.threshold}
