"""Several runs that differ in their seed only: mean, deviation, and the best one as the result."""

import json
import math
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

from hfcli.errors import DataError
from hfcli.events import Measured
from hfcli.runtime import manifest
from hfcli.runtime.folders import FINISHED, RUN

SEEDS = "seeds.json"
_NAMES_ITSELF = ("README.md", "hfcli.yaml")


class Seeded(NamedTuple):
    """A finished run of one seed, in its folder, with the score that picks the best."""

    seed: int
    folder: Path
    score: Measured


class Settled(NamedTuple):
    """All seeds together: the score's mean and standard deviation (of a sample), and the best one's seed."""

    runs: Sequence[Seeded]
    mean: float
    deviation: float
    best: Seeded


def read(seed: int, folder: Path, metric: str) -> Seeded:
    """The score of a finished run."""
    score = json.loads((folder / FINISHED).read_text(encoding="utf-8"))["scores"][metric]
    value, low, high = (math.nan if score[name] is None else score[name] for name in ("value", "low", "high"))
    return Seeded(seed, folder, Measured(value, low, high, score["n"]))


def settle(folder: Path, runs: Sequence[Seeded], metric: str, higher_is_better: bool) -> Settled:
    """Copy the best run's result into the folder above, and say there how all of them did."""
    sign = 1 if higher_is_better else -1
    best = max(runs, key=lambda run: -math.inf if math.isnan(run.score.value) else sign * run.score.value)
    values = [run.score.value for run in runs]
    defined = not any(map(math.isnan, values))  # a correlation with a constant is not
    settled = Settled(runs, mean(values) if defined else math.nan, stdev(values) if defined else math.nan, best)
    about = {
        "metric": metric,
        "mean": settled.mean if defined else None,
        "standard_deviation": settled.deviation if defined else None,
        "best_seed": best.seed,
        "scores": {str(run.seed): None if math.isnan(run.score.value) else run.score.value for run in runs},
    }
    try:
        (folder / SEEDS).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        for entry in sorted(
            best.folder.iterdir(), key=lambda entry: entry.name == FINISHED
        ):  # the mark of the end last
            _copy(entry, folder / entry.name)
            if entry.name in _NAMES_ITSELF:
                _rename(folder / entry.name, best.folder, folder)
    except OSError as error:
        hint = "make room; the same line with --resume writes it again"
        raise DataError(f"{folder} cannot be written ({manifest.reason(error)})", hint) from error
    return settled


def _copy(entry: Path, target: Path) -> None:
    if entry.is_dir():
        shutil.copytree(entry, target, dirs_exist_ok=True)
    elif entry.name != RUN:
        aside = target.with_name(f".{entry.name}.new")
        try:
            shutil.copyfile(entry, aside)
            manifest.sync(aside)
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)


def _rename(file: Path, then: Path, now: Path) -> None:
    """What is said about a folder, for its copy."""
    text = file.read_text(encoding="utf-8").replace(str(then), str(now))
    file.write_text(re.sub(rf"\b{re.escape(then.name)}\b", lambda _: now.name, text), encoding="utf-8")
