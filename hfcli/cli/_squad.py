"""Answers to questions, scored by the official rules of SQuAD: stored ones, by id, or a model's."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hfcli.cli import _measure, _outcome, _scores, _stored
from hfcli.cli._details import Details
from hfcli.cli._measure import Taken
from hfcli.cli._outcome import Outcome
from hfcli.cli.console import Console
from hfcli.errors import UsageError
from hfcli.options import ModelOptions
from hfcli.options.answering import AnswersOptions, Reading
from hfcli.options.evaluating import MeasuredData, MetricOptions, ShowOptions, StoredOptions


class _Answers(NamedTuple):
    """Answers that are measured, question by question.

    Attributes:
        ids: Of the questions, None for those without one.
        predictions: None for no answer.
        guesses: The best answer that is one.
        references: The right ones, [] for none.
        null: How strongly no answer is preferred; None where that is not known.
        groups: "" without --group-by.
    """

    ids: Sequence[str | None]
    predictions: Sequence[str | None]
    guesses: Sequence[str | None]
    references: Sequence[Sequence[str]]
    null: Sequence[float] | None
    groups: Sequence[str]


def of_files(console: Console, name: str, stored: StoredOptions, options: MetricOptions, show: ShowOptions) -> Outcome:
    """Score stored answers.

    Raises:
        UsageError: The files are not one of each.
        DataError: A file cannot be read, or holds what cannot be measured.
    """
    if len(stored.predictions) != 1 or len(stored.references) != 1:
        what = "--predictions" if len(stored.predictions) != 1 else "--references"
        raise UsageError(
            f"--metric {name} needs one {what} FILE",
            f"hfcli eval --metric {name} --predictions answers.jsonl --references dev-v1.1.json",
        )
    given = _stored.predictions(stored.predictions[0], stored.prediction_column or "answer")
    columns = stored.reference_column
    if len(columns) > 1:
        raise UsageError(f"--metric {name} reads one column of answers", "--answers-column once")
    right = _stored.references(stored.references[0], options.group_by, *columns)
    pairs = _stored.paired(given, right, name == "squad_v2")
    for note in pairs.notes:
        console.note(note)
    unsaid = sum(answer is None for answer in pairs.predictions)
    if pairs.null is not None and unsaid:
        console.note(
            f"{unsaid:,} predictions are no answer, and what they would say is not known: the best threshold may be "
            "another one; hfcli qa --no-answer-threshold 1 writes all answers"
        )
    groups = [right.groups.get(key, "") for key in pairs.ids]
    answers = _Answers(pairs.ids, pairs.predictions, pairs.predictions, pairs.references, pairs.null, groups)
    data = ":".join([_scores.file_name(stored.references[0], right.sha256), *columns])
    settings = {"predictions": stored.predictions, "metric": name}
    outcome = _measured(name, answers, (given.name, ""), data, options, Details(show, settings))
    return outcome._replace(more={**outcome.more, "missing": pairs.missing, "unknown": pairs.unknown})


def of_model(
    console: Console,
    name: str | None,
    data: MeasuredData,
    model: ModelOptions,
    reading: Reading,
    answers: AnswersOptions,
    options: MetricOptions,
    show: ShowOptions,
) -> Outcome:
    """Let a model answer, and score that.

    Raises:
        UsageError: The options contradict what is there.
        DataError: The data cannot be used.
        ModelError: The model cannot.
    """
    from hfcli import tasks
    from hfcli.runtime import evaluating

    def check(references: list[tuple[str, ...]], title: str) -> None:
        console.begin()  # what is loaded is loaded
        if name == "squad":
            _stored.no_unanswerable(references, title)

    task = tasks.get("question-answering")
    found = evaluating.answer(
        task, model, data.data(), reading, answers.answers_column, check, console.tell, options.group_by
    )
    v2 = name == "squad_v2" or (name is None and not all(found.references))
    null = found.null if v2 else None
    taken = _Answers(found.ids, found.predictions, found.guesses, found.references, null, found.groups)
    chosen = "squad_v2" if v2 else "squad"
    settings = {"model": found.system, "data": found.data, "metric": chosen}
    return _measured(chosen, taken, (found.name, found.system), found.data, options, Details(show, settings))


def _measured(
    name: str,
    answers: _Answers,
    system: tuple[str, str],
    data: str,
    options: MetricOptions,
    details: Details,
) -> Outcome:
    import numpy as np

    from hfcli.metrics import squad
    from hfcli.metrics.results import Drawing

    asked = _measure.families([name], lambda: False)
    with details:
        outcome = _measure.measure(_taken(answers), asked, [system], lambda each: data, details, options)
    drawing = Drawing(options.confidence_level, options.resamples, options.seed)
    outcome = outcome._replace(counted=_outcome.counted(len(answers.references), "question"))
    if name != "squad_v2":
        return outcome
    apart = squad.apart(outcome.results[0].parts[0], answers.references, drawing)
    lines = ["", *_scores.groups(apart, gap=False)]
    more: dict[str, Any] = {"apart": _scores.groups_json(apart)["groups"]}
    if answers.null is not None:
        best = squad.best(answers.guesses, answers.references, np.array(answers.null), drawing)
        lines.append("")
        for at, (title, each) in enumerate(best.items()):
            metric = outcome.results[0].scores[at].metric
            shown = _scores.cell(metric, each.score)
            lines.append(f"{'' if at else 'best':<12}  {shown}  {title} at no-answer threshold {each.threshold:.6g}")
            told = {"score": each.score.value, "low": each.score.low, "high": each.score.high, "n": each.score.n}
            more[f"best_{title.removesuffix('_match')}"] = {**told, "threshold": each.threshold}
    return outcome._replace(more=more, lines=tuple(lines))


def _taken(answers: _Answers) -> Iterator[Taken]:
    rows = zip(answers.ids, answers.predictions, answers.references, answers.groups, strict=True)
    for key, prediction, reference, group in rows:
        seen: Mapping[str, Any] = {"id": key, "prediction": prediction, "reference": list(reference)}
        yield Taken("", key, group, [[prediction]], [list(reference)], seen)
