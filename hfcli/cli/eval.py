"""`hfcli eval`: scores with intervals, of a model or of outputs that are there already."""

import os
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from hfcli.cli import _scores, _stored
from hfcli.cli._expand import expand
from hfcli.cli._refuse import no_empty_text
from hfcli.cli.console import Console
from hfcli.errors import UsageError
from hfcli.options import ModelOptions
from hfcli.options.answering import (
    AnswersOptions,
    LongestOptions,
    NoAnswerOptions,
    QuestionOptions,
    Reading,
    WindowOptions,
)
from hfcli.options.evaluating import MeasuredData, ScoreOptions, StoredOptions

if TYPE_CHECKING:
    from hfcli.metrics.squad import Answered

_MODEL = "builtin/reader"
_ENVIRONMENT = {"model": "HFCLI_MODEL", "offline": "HF_HUB_OFFLINE"}  # what is set there is not meant for this line


@expand
def eval(
    *,
    stored: StoredOptions,
    data: MeasuredData,
    model: ModelOptions,
    questions: QuestionOptions,
    answers: AnswersOptions,
    windows: WindowOptions,
    longest: LongestOptions,
    none: NoAnswerOptions,
    show: ScoreOptions,
) -> None:
    """Score answers to questions by the official rules of SQuAD: a model's, or stored ones.

    Exact match and F1, from 0 to 100, with intervals; squad_v2 tells apart what can be answered and what cannot, and
    the best threshold. A model answers as in hfcli qa. On a terminal a table, else one JSON object.

    \b
    hfcli eval -m MODEL --dataset squad
    hfcli eval --metric squad --predictions out.jsonl --references dev-v1.1.json
    """
    about_model = (data, model, questions, answers, windows, longest, none)
    for group in (stored, *about_model):
        no_empty_text(group)
    stored.check()
    none.check()
    console = Console(show.quiet)
    try:
        if stored.stored:
            _no_model(about_model)
            return _of_files(console, stored, show)
        if data.dataset is None:
            raise UsageError(
                "nothing to measure", "--dataset squad measures a model, --predictions FILE stored answers"
            )
        model = replace(model, model=model.model or _MODEL)
        reading = Reading(questions, windows, longest, none)
        _of_model(console, stored.metric, _Measured(data, model, reading, answers), show)
    finally:
        console.close()


def _no_model(groups: tuple[Any, ...]) -> None:
    """Refuse flags that mean nothing for stored answers.

    Raises:
        UsageError: Says which.
    """
    for group in groups:
        for field in fields(group):
            value = getattr(group, field.name)
            meant = not os.environ.get(_ENVIRONMENT.get(field.name, ""))
            if value != field.default and meant:
                flag = "--" + field.name.replace("_", "-")
                raise UsageError(f"{flag} is about a model, and --predictions are there already", f"leave out {flag}")


def _of_files(console: Console, stored: StoredOptions, show: ScoreOptions) -> None:
    """Score stored answers."""
    given = _stored.predictions(str(stored.predictions), stored.prediction_column)
    right = _stored.references(str(stored.references))
    v2 = stored.metric == "squad_v2"
    pairs = _stored.paired(given, right, v2)
    for note in pairs.notes:
        console.note(note)
    import numpy as np

    from hfcli.metrics import squad

    null = None if pairs.null is None else np.array(pairs.null)
    unsaid = sum(answer is None for answer in pairs.predictions)
    if null is not None and unsaid:
        console.note(
            f"{unsaid:,} predictions are no answer, and what they would say is not known: the best threshold may be "
            "another one; hfcli qa --no-answer-threshold 1 writes all answers"
        )
    answered = squad.evaluate(pairs.predictions, pairs.references, v2, null)
    data = _scores.file_name(str(stored.references), right.sha256)
    signed = {"score": _scores.signature(str(stored.metric), data, len(pairs.references))}
    counts = {"missing": pairs.missing, "unknown": pairs.unknown}
    show_scores(console, answered, signed, counts, json=show.json)


class _Measured(NamedTuple):
    data: MeasuredData
    model: ModelOptions
    reading: Reading
    answers: AnswersOptions


def _of_model(console: Console, metric: str | None, measured: _Measured, show: ScoreOptions) -> None:
    """Let a model answer, and score that."""
    import numpy as np

    from hfcli import tasks
    from hfcli.metrics import squad
    from hfcli.runtime import environment, evaluating

    def check(references: list[tuple[str, ...]], name: str) -> None:
        console.begin()  # what is loaded is loaded
        if metric == "squad":
            _stored.no_unanswerable(references, name)

    environment.silence()
    task, column = tasks.get("question-answering"), measured.answers.answers_column
    found = evaluating.answer(task, measured.model, measured.data.data(), measured.reading, column, check, console.tell)
    v2 = metric == "squad_v2" or (metric is None and not all(found.references))
    null = np.array(found.null) if found.null is not None and v2 else None
    answered = squad.evaluate(found.predictions, found.references, v2, null, found.guesses)
    name = "squad_v2" if v2 else "squad"
    signed = {"score": _scores.signature(name, found.data, len(found.references)), "system": found.system}
    show_scores(console, answered, signed, {}, json=show.json)


def show_scores(
    console: Console, answered: "Answered", signatures: dict[str, str], more: dict[str, int], *, json: bool
) -> None:
    """Print scores.

    Args:
        console: Prints.
        answered: The scores.
        signatures: `score`, and for a model `system`.
        more: What else the JSON object tells.
        json: One JSON object on a terminal, too.
    """
    if json or not console.terminal:
        from hfcli.records import dumps

        console.data(dumps({**_scores.as_json(answered, signatures), **more}) + "\n")
    else:
        console.data("".join(line + "\n" for line in _scores.lines(answered, signatures)))
