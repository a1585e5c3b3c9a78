"""Texts scored by a classifier: how probable one of its labels is."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from hfcli.errors import UsageError, did_you_mean
from hfcli.events import Tell
from hfcli.options import ModelOptions
from hfcli.options.classification import ClassifyOptions
from hfcli.options.reading import TextOptions
from hfcli.records import Row
from hfcli.runtime import asking, classification, measured
from hfcli.tasks.base import Task

_WORDS = "toxic|hate|offens|abus|insult|obscen|nsfw|unsafe|harm"
_TOXIC = re.compile(_WORDS, re.IGNORECASE)
# non-toxic, NOT_HATE, nothate, "no offense", but not "another insult"
_NEGATED = re.compile(rf"(?<![a-z])no[nt]?[^a-z]*({_WORDS})|(?<![a-z])(neutral|safe)|harmless|inoffens", re.IGNORECASE)


class Scorer:
    """A classifier and the label it is asked about.

    Args:
        task: Text classification.
        model: Which model.
        label: Its label, None for the first that is called like something toxic.
        tell: Gets progress.

    Attributes:
        label: The label.

    Raises:
        UsageError: There is no such label.
        ModelError: The model cannot be loaded, or is no classifier.
    """

    def __init__(self, task: Task, model: ModelOptions, label: str | None, tell: Tell) -> None:
        loaded = asking.load(task, model, tell)
        self._classifier = classification.choose(loaded, TextOptions("text", ""), ClassifyOptions(), keep_going=False)
        self._classifier.show = ClassifyOptions(all_scores=True)
        names = self._classifier.labels.names
        if not names:
            raise UsageError(f"{model.model} gives a number, and toxicity needs a label", "--scorer another model")
        found = label if label in names else None
        if label is None:
            found = next((name for name in names if _TOXIC.search(name) and not _NEGATED.search(name)), None)
        if found is None:
            there = ", ".join(names)
            said = f"no label {label}" if label is not None else "no label that is called toxic"
            hint = did_you_mean(label, names) if label is not None else None
            raise UsageError(f"{model.model} has {said}; its labels are {there}", hint or "--scorer-label NAME")
        self.label = found

    @property
    def system(self) -> str:
        """Model and label, for a signature."""
        loaded = self._classifier.loaded
        commit = f"@{loaded.location.commit[:7]}" if loaded.location.commit else ""
        name = loaded.location.name if commit else measured.short_name(loaded)
        return f"scorer:{name}{commit}:{self.label}"

    def scores(self, texts: Iterable[tuple[str, str]], tell: Tell, share: Any) -> Iterator[float]:
        """The probability of the label for each text; of a blank one 0.

        Args:
            texts: Place and text of each.
            tell: Gets progress.
            share: So many records to the share of the input that they are, None where it is unknown.
        """
        rows = (Row({"text": text}, where) for where, text in texts)
        for some in self._classifier.run(rows, tell, share, patient=True):
            for one in some:
                yield float(one.answers[0].get("scores", {}).get(self.label, 0.0))
