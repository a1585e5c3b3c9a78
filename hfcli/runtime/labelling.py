"""What a classifier is asked about a record, and what its outputs say: its own labels, or any (zero-shot)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hfcli.errors import ModelError, UsageError
from hfcli.options.classification import ClassifyOptions
from hfcli.runtime.loading import Loaded
from hfcli.tasks._labels import MULTI, REGRESSION
from hfcli.tasks.base import Feature, Record, Settings, Setup, Task
from hfcli.tasks.text_classification import problem_type

_KINDS = {MULTI: "several labels", REGRESSION: "a number"}


@dataclass(frozen=True)
class OwnLabels:
    """The labels that the model was trained on."""

    task: Task
    setup: Setup

    @property
    def kind(self) -> str | None:
        return problem_type(self.setup)

    @property
    def names(self) -> tuple[str, ...]:
        """Labels that can come out, () for a number."""
        placeholder = self.setup.labels in ((), ("LABEL_0",))
        return () if self.kind == REGRESSION or placeholder else self.setup.labels

    def questions(self, record: Record) -> list[Record]:
        """What the model reads for a record."""
        return [record]

    def prediction(self, record: Record, features: Sequence[list[Feature]], outputs: Sequence[np.ndarray]) -> Any:
        """As the task's `decode`; of a model with one output and no name for it, the score alone."""
        made = self.task.decode(record, features[0], outputs[0], self.setup)
        return made if self.names else {"score": made["score"]}


@dataclass(frozen=True)
class AnyLabels:
    """Labels that a model of natural language inference is asked about: does the text entail "This is about X."?

    Source: `ZeroShotClassificationPipeline` of transformers 5.23.

    Attributes:
        names: The labels.
        template: The hypothesis, with {} where the label goes.
        several: Whether each label is judged for itself.
        threshold: Score from which a label of several is given.
        entailment: Number of the output that says so.
        contradiction: Number of the output that says the opposite.
    """

    names: tuple[str, ...]
    template: str
    several: bool
    threshold: float
    entailment: int
    contradiction: int

    @property
    def kind(self) -> str | None:
        return MULTI if self.several else None

    def questions(self, record: Record) -> list[Record]:
        """The record's text with each label's hypothesis."""
        return [{"text": record["text"], "text_pair": self.template.replace("{}", name)} for name in self.names]

    def prediction(self, record: Record, features: Sequence[list[Feature]], outputs: Sequence[np.ndarray]) -> Any:
        """As for a model of these labels; the logits of a long text's windows are averaged."""
        logits = np.stack([windows.mean(axis=0, dtype=np.float64) for windows in outputs])
        if np.isnan(logits).any():
            raise ModelError("the model's outputs are not numbers (nan) for this text", "--dtype float32")
        if self.several:
            scores = 1 / (1 + np.exp(logits[:, self.contradiction] - logits[:, self.entailment]))
        else:
            raised = np.exp(logits[:, self.entailment] - logits[:, self.entailment].max())
            scores = raised / raised.sum()
        order = np.argsort(-scores, kind="stable")
        by_name = {self.names[i]: float(scores[i]) for i in order}
        if self.several:
            return {"labels": [name for name, score in by_name.items() if score >= self.threshold], "scores": by_name}
        best = self.names[order[0]]
        return {"label": best, "score": by_name[best], "scores": by_name}


Labels = OwnLabels | AnyLabels


def any_labels(loaded: Loaded, show: ClassifyOptions, settings: Settings) -> AnyLabels:
    """The labels of --labels.

    Raises:
        ModelError: The model does not say whether a text entails another.
    """
    names = {str(name).lower(): int(i) for name, i in (loaded.model.config.label2id or {}).items()}
    entailment = next((i for name, i in names.items() if name.startswith("entail")), None)
    if entailment is None:
        own, name = ", ".join(list(names)[:6]), loaded.location.name
        raise ModelError(
            f"--labels needs a model that was trained on entailment, and the labels of {name} are {own}",
            "-m facebook/bart-large-mnli, for instance",
        )
    opposite = (i for name, i in names.items() if name.startswith("contradict") or "not" in name or "non" in name)
    contradiction = next(opposite, len(names) - 1 if entailment == 0 else 0)
    labels, threshold = tuple(show.label_list()), settings.threshold
    return AnyLabels(labels, show.hypothesis_template, show.multi_label, threshold, entailment, contradiction)


def check(show: ClassifyOptions, labels: Labels, name: str) -> None:
    """Refuse flags that mean nothing for what the model gives.

    Raises:
        UsageError: Says which, and what does it instead.
    """
    wrong = {
        REGRESSION: ("top_k", "all_scores", "threshold", "min_score"),
        MULTI: ("min_score",),
    }.get(labels.kind or "", ("threshold",) if labels.names else ("top_k", "all_scores", "threshold", "min_score"))
    instead = {"min_score": "--threshold P", "threshold": "--min-score P gives no label below P"}
    for field in wrong:
        if getattr(show, field):
            flag = "--" + field.replace("_", "-")
            what = _KINDS.get(labels.kind or "", "one label" if labels.names else "a number")
            hint = instead.get(field, "") if what != "a number" else ""
            raise UsageError(f"{flag} does nothing here: {name} gives {what}", hint or f"leave out {flag}")


def shown(prediction: dict[str, Any], show: ClassifyOptions) -> dict[str, Any]:
    """A prediction as the flags want it: `label` and `score`; `labels`, each with its score; `score` alone.

    Args:
        prediction: As `decode` gives it.
        show: --min-score, --top-k, --all-scores.
    """
    scores: dict[str, float] = prediction.get("scores", {})
    made: dict[str, Any] = {}
    several = prediction.get("labels")
    if several is None:
        low = show.min_score is not None and prediction["score"] < show.min_score
        made = {"label": None if low else prediction["label"]} if "label" in prediction else {}
        made["score"] = _rounded(prediction["score"])
        several = list(scores) if show.top_k else None
    if several is not None:
        made["labels"] = [{"label": name, "score": _rounded(scores[name])} for name in several[: show.top_k]]
    if show.all_scores:
        made["scores"] = {name: _rounded(score) for name, score in scores.items()}
    return made


def nothing(labels: Labels) -> dict[str, Any]:
    """What stands for a text that is blank: there is nothing to be said of it."""
    if labels.kind == MULTI:
        return {"labels": []}
    return {"label": None, "score": None} if labels.names else {"score": None}


def _rounded(score: float) -> float:
    return float(f"{score:.6g}")  # about what float32 knows
