"""Training curves as a picture: losses, and the metric with its interval, over the optimizer steps."""

import io
import logging
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TRAIN, _EVALUATION = "#0072B2", "#D55E00"  # told apart with any colour vision: Okabe and Ito, Color Universal Design
_GREY = "#595959"
_INCHES, _DPI = (8, 6), 200  # so that 10 points are 14 pixels where 800 are shown of the 1,600

LOSS = "loss"
"""The name of the evaluation loss as a metric."""


def draw(history: Sequence[Mapping[str, Any]], metric: str, best_step: int, loss_unit: str) -> bytes | None:
    """A PNG of 1,600 pixels in width, the same bytes for the same numbers; None where nothing was measured.

    Args:
        history: The lines of history.jsonl: those with `train_loss` are evaluations, the others have `loss`.
        metric: The one that picks the best; its interval is in METRIC_low and METRIC_high.
        best_step: Where the best one was measured.
        loss_unit: Of a record's loss.
    """
    evaluations = [line for line in history if "train_loss" in line]
    if not evaluations:
        return None
    # Late, and without pyplot: its figures and its choice of a window system are the process's, not ours.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of the font cache that it builds
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style.context(["default", {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}]):
        figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        ratios = [1] if metric == LOSS else [3, 2]
        panels = figure.subplots(len(ratios), squeeze=False, sharex=True, height_ratios=ratios)[:, 0]
        _losses(panels[0], history, loss_unit, best_step, star=metric == LOSS)
        if metric != LOSS:
            _metric(panels[1], evaluations, metric, best_step)
        below, step, epoch = panels[-1], evaluations[-1]["step"], evaluations[-1]["epoch"]
        below.set_xlabel("optimizer step" + (f" (1 epoch = {step / epoch:,.0f} steps)" if epoch else ""))
        below.xaxis.get_major_locator().set_params(integer=True)
        below.xaxis.set_major_formatter("{x:,.0f}")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _losses(axes: "Axes", history: Sequence[Mapping[str, Any]], unit: str, best_step: int, star: bool) -> None:
    evaluations = [line for line in history if "train_loss" in line]
    lines = [line for line in history if "train_loss" not in line]
    steps = [line["step"] for line in evaluations]
    every = max(1, round(steps[-1] / max(len(lines), 1)))
    axes.plot(
        [line["step"] for line in lines], _values(lines, "loss"), color=_TRAIN, alpha=0.35, linewidth=1,
        label="training, each step" if every == 1 else f"training, mean of {every:,} steps",
    )  # fmt: skip
    axes.plot(steps, _values(evaluations, "train_loss"), "s-", color=_TRAIN, label="training, mean between evaluations")
    axes.plot(steps, _values(evaluations, "eval_loss"), "o-", color=_EVALUATION, label="evaluation")
    if star:
        _star(axes, steps, _values(evaluations, "eval_loss"), best_step)
    _finish(axes, "Loss", f"mean loss per record ({unit})", best_step)
    axes.set_ylim(bottom=0)


def _metric(axes: "Axes", evaluations: Sequence[Mapping[str, Any]], metric: str, best_step: int) -> None:
    steps = [line["step"] for line in evaluations]
    values, low, high = (_values(evaluations, key) for key in (metric, f"{metric}_low", f"{metric}_high"))
    # A bootstrap's interval can lie beside the score, and a bar cannot be shorter than nothing.
    down = [max(value - end, 0) for value, end in zip(values, low, strict=True)]
    up = [max(end - value, 0) for value, end in zip(values, high, strict=True)]
    axes.errorbar(
        steps, values, yerr=[down, up], fmt="o-", color=_EVALUATION, capsize=4, label="evaluation, 95% interval"
    )
    _star(axes, steps, values, best_step)
    name = metric.replace("_", " ")
    _finish(axes, name[0].upper() + name[1:], name, best_step)


def _star(axes: "Axes", steps: list[int], values: list[float], best_step: int) -> None:
    if best_step in steps:
        best = values[steps.index(best_step)]
        told = f"best, kept: {best:.4f} at step {best_step:,}"
        axes.plot([best_step], [best], "*", color="black", markersize=14, zorder=5, linestyle="none", label=told)


def _finish(axes: "Axes", title: str, label: str, best_step: int) -> None:
    axes.axvline(best_step, color=_GREY, linestyle=":", linewidth=1.2)
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_ylabel(label)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.03, y=0.12)
    # Beside the title, where it never lies on a curve.
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles, labels, loc="lower right", bbox_to_anchor=(1, 1), ncols=2 if len(labels) > 3 else 3, fontsize=9,
        frameon=False, borderaxespad=0.3, borderpad=0, columnspacing=1.2, handletextpad=0.5,
    )  # fmt: skip


def _values(lines: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    """Values of a column; a missing one is NaN, which leaves a gap."""
    values = [line.get(key) for line in lines]
    return [math.nan if value is None else float(value) for value in values]
