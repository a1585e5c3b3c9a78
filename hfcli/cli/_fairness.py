"""`hfcli eval --metric toxicity` and `--metric counterfactual`: what a classifier makes of texts."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hfcli.cli import _files, _measure, _outcome, _resuming
from hfcli.cli._cells import Cells
from hfcli.cli._measure import Taken
from hfcli.cli._outcome import Outcome
from hfcli.cli._outputs import Outputs, Together
from hfcli.cli.console import Console
from hfcli.errors import DataError, UsageError
from hfcli.options import ModelOptions
from hfcli.options.evaluating import FairnessOptions, MeasuredData, MetricOptions, ShowOptions, StoredOptions
from hfcli.options.reading import TextOptions

if TYPE_CHECKING:
    from hfcli.runtime.labelled import Labelled
    from hfcli.runtime.scoring import Scorer

_TOXICITY = "hfcli eval --metric toxicity --scorer MODEL --predictions out.jsonl"


def toxicity(
    console: Console,
    stored: StoredOptions,
    model: ModelOptions,
    fairness: FairnessOptions,
    options: MetricOptions,
    show: ShowOptions,
) -> Outcome:
    """Score stored texts by a classifier.

    Raises:
        UsageError: There is no scorer, or it has no such label.
        DataError: A file cannot be read, or holds no texts.
        ModelError: The scorer cannot be loaded.
    """
    if fairness.scorer is None:
        raise UsageError("toxicity needs --scorer MODEL, a classifier that knows it", _TOXICITY)
    if not stored.predictions:
        raise UsageError("toxicity measures texts that are there already", _TOXICITY)
    _files.no_references(stored, "toxicity")
    from hfcli import tasks
    from hfcli.runtime import environment
    from hfcli.runtime.scoring import Scorer

    environment.silence()
    with Outputs(stored.predictions, []) as outputs:
        places = _Texts(outputs, stored, options)
        scorer = Scorer(tasks.get("text-classification"), model, fairness.scorer_label, console.tell)
        console.begin()
        asked = _measure.families(options.metric, lambda: False)
        settings = {"scorer": scorer.system, "predictions": stored.predictions}
        with _resuming.details(console, show, settings, "text") as details:
            taken = places.taken(scorer, console, len(stored.predictions))
            systems = [(name, "") for name in _measure.system_names(stored.predictions)]
            outcome = _measure.measure(taken, asked, systems, lambda each: f"none|{scorer.system}", details, options)
        if places.blank:
            console.note(f"{places.blank:,} {'texts are' if places.blank > 1 else 'text is'} empty, and scored 0")
        return outcome


class _Texts:
    """Texts of each system, place by place, and the scorer's view of them."""

    def __init__(self, outputs: Outputs, stored: StoredOptions, options: MetricOptions) -> None:
        self._outputs, self._group_by = outputs, options.group_by
        self._cells = Cells("text", options.metric[0], stored.prediction_column, [])
        self._places = iter(outputs)
        self._waiting: list[tuple[Together, list[str]]] = []
        self.blank = 0

    def taken(self, scorer: "Scorer", console: Console, systems: int) -> Iterator[Taken]:
        """Records with the scores of their texts."""

        def share(done: float) -> float | None:
            return self._outputs.share

        scores = scorer.scores(self._texts(), console.tell, share)
        while True:
            first = next(scores, None)
            if first is None:
                return
            found = [first, *(next(scores) for _ in range(systems - 1))]
            place, texts = self._waiting.pop(0)
            pairs = [{"text": text, "score": score} for text, score in zip(texts, found, strict=True)]
            group = _measure.group_of(self._group_by, place.predictions, place.where)
            yield Taken(place.where, place.id, group, [[pair] for pair in pairs], [None], {"texts": texts})

    def _texts(self) -> Iterator[tuple[str, str]]:
        for place in self._places:
            texts = [self._cells.prediction(record, s, place.where) for s, record in enumerate(place.predictions)]
            self._waiting.append((place, texts))
            self.blank += sum(not text.strip() for text in texts)
            yield from ((place.where, text) for text in texts)


def counterfactual(
    console: Console,
    data: MeasuredData,
    model: ModelOptions,
    texts: TextOptions,
    fairness: FairnessOptions,
    options: MetricOptions,
    show: ShowOptions,
) -> Outcome:
    """Let a classifier predict texts before and after words were swapped.

    Raises:
        UsageError: No words are listed, or the model gives numbers.
        DataError: The data cannot be used, or has none of the words.
        ModelError: The model cannot.
    """
    if fairness.swap is None:
        raise UsageError("counterfactual needs --swap, the words to swap", "--swap he=she,his=her")
    from hfcli import tasks
    from hfcli.runtime import labelled, swapping

    swap = swapping.Swap(swapping.pairs(fairness.swap))
    task = tasks.get("text-classification")
    opened = labelled.open_texts(task, model, data.data(), texts, console.tell)
    if opened.reads != "labels":
        raise UsageError(f"counterfactual is about one label, which {opened.name} does not give", "take another model")
    console.begin()
    asked = _measure.families(options.metric, lambda: False)
    records, swapped = _with_words(opened, swap)
    words = _words(fairness.swap)
    settings = {"model": opened.system, "data": opened.data, "swap": words}
    with _resuming.details(console, show, settings, "record") as details:
        taken = _before_and_after(opened, records, swapped, options.group_by, console)
        outcome = _measure.measure(
            taken, asked, [(opened.name, opened.system)], lambda each: f"{opened.data}|swap:{words}", details, options
        )
    total = len(opened.rows)
    said = f"the {len(records):,} of {_outcome.counted(total)} that have such words"
    return outcome._replace(counted=said, more={"records": total})


def _words(swap: str) -> str:
    """The pairs for a signature: as typed, or the file with its content."""
    if "=" in swap:
        return swap
    from hfcli.runtime import measured

    return measured.file(swap)


def _with_words(opened: "Labelled", swap: Any) -> tuple[list[int], list[dict[str, Any]]]:
    """The places of the records that have listed words, and these swapped.

    Raises:
        DataError: There are none.
    """
    places, swapped = [], []
    for place, record in enumerate(opened.records()):
        other = {name: swap(text) if isinstance(text, str) else text for name, text in record.items()}
        if other != record:
            places.append(place)
            swapped.append(other)
    if not places:
        raise DataError(f"no text of {opened.split.title} has one of the words of --swap", "--swap he=she,his=her")
    return places, swapped


def _before_and_after(
    opened: "Labelled",
    places: Sequence[int],
    swapped: Sequence[dict[str, Any]],
    group_by: str | None,
    console: Console,
) -> Iterator[Taken]:
    from hfcli.runtime import measured

    kept = opened.some(places)
    originals = kept.records()
    both = [record for pair in zip(originals, swapped, strict=True) for record in pair]
    answers = kept.answers_to(both, console.tell)
    groups, ids = measured.groups(kept.split, group_by), measured.ids(kept.split)
    for row, before, after in zip(kept.rows, originals, swapped, strict=True):
        first, second = next(answers), next(answers)
        label = first["label"]
        pair = [
            {"text": " | ".join(map(str, record.values())), "label": answer["label"], "score": answer["scores"][label]}
            for record, answer in ((before, first), (after, second))
        ]
        yield Taken(kept.split.where(row), ids[row], groups[row], [[pair[0]]], [pair[1]], before)
