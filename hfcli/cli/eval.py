"""`hfcli eval`: scores with intervals, of a model or of outputs that are there already."""

import os
from collections.abc import Sequence
from dataclasses import replace

import typer

from hfcli.cli import _fitting, _origins, _outcome, _ranks, _remembered, _scores, _settings
from hfcli.cli._expand import expand
from hfcli.cli._outcome import Outcome
from hfcli.cli._refuse import no_empty_text
from hfcli.cli.console import Console
from hfcli.errors import Exit, UsageError
from hfcli.options import DEFAULT_MODEL, ModelOptions
from hfcli.options.answering import (
    AnswersOptions,
    LongestOptions,
    NoAnswerOptions,
    QuestionOptions,
    Reading,
    WindowOptions,
)
from hfcli.options.evaluating import (
    ANSWERS,
    FOREIGN,
    LIKELIHOODS,
    FairnessOptions,
    MeasuredData,
    MetricOptions,
    ModelNames,
    ModelsOptions,
    PerplexityOptions,
    PromptedOptions,
    ShowOptions,
    StoredOptions,
)
from hfcli.options.ranks import RankOptions
from hfcli.options.reading import TextOptions

# Without -m; what writes, or reads texts, takes the model of `hfcli config`.
_MODELS = {
    "question-answering": "builtin/reader",
    "text-classification": "builtin/reviews",
    "counterfactual": "builtin/reviews",
}
_NOTHING = "--dataset NAME measures a model, --predictions FILE stored outputs, --metric perplexity a language model"


@expand
def eval(
    *,
    measured: MetricOptions,
    stored: StoredOptions,
    models: ModelsOptions,
    data: MeasuredData,
    texts: TextOptions,
    perplexity: PerplexityOptions,
    prompted: PromptedOptions,
    questions: QuestionOptions,
    longest: LongestOptions,
    none: NoAnswerOptions,
    fairness: FairnessOptions,
    show: ShowOptions,
    ranks: RankOptions,
) -> None:
    """Measure models, or outputs that are there already: scores with intervals.

    Stored outputs (--predictions, --references) need no model. A model predicts as in hfcli classify, qa and generate;
    --metric perplexity measures a language model on texts (--file, --dataset, standard input, else WikiText-2). On a
    terminal a table, else one JSON object; -o keeps what hfcli compare needs.

    \b
    hfcli eval --metric bleu --predictions out.txt --references ref.txt
    hfcli eval -m MODEL --dataset imdb -o imdb.json --fail-under accuracy=0.9
    hfcli eval --metric perplexity --file book.txt --slurp
    """
    chosen = replace(texts, text_pair_column=texts.text_pair_column or None)
    about_model = (models, data, chosen, questions, longest, none, perplexity, prompted)
    for group in (measured, stored, *about_model, fairness, show):
        no_empty_text(group)
    for each in (measured, stored, none, show):
        each.check()
    console = Console(show.quiet)
    try:
        if measured.list_metrics:
            return _list(console, show)
        if stored.stored:
            loads = any(name in ("toxicity", "toxic_share") or name.startswith(FOREIGN) for name in measured.metric)
            named = ModelNames(models.model)
            _fitting.no_model((named, *about_model[1:]) if loads else (*about_model, ranks))
            with _ranks.shared(ranks, models.device) if loads else _ranks.alone():
                outcome = _stored(console, measured, stored, models, fairness, show)
        else:
            reading = Reading(questions, WindowOptions(texts.max_length, texts.doc_stride), longest, none)
            _no_references(stored)
            call = _Call(console, measured, stored, models, data, texts, perplexity, prompted, reading, fairness, show)
            with _ranks.shared(ranks, models.device):
                outcome = call.outcome()
        _end(console, outcome, show, [*stored.predictions, *stored.references, data.dataset, perplexity.file])
    finally:
        console.close()


def _no_references(stored: StoredOptions) -> None:
    if len(stored.reference_column) > 1:
        raise UsageError("a model's predictions are compared with one column", "--reference-column once")


def _stored(
    console: Console,
    measured: MetricOptions,
    stored: StoredOptions,
    models: ModelsOptions,
    fairness: FairnessOptions,
    show: ShowOptions,
) -> Outcome:
    """Score stored outputs.

    Raises:
        UsageError: There is no metric, or metrics that cannot be measured together.
    """
    _outcome.check_files(show, [*stored.predictions, *stored.references], len(stored.predictions))
    if not measured.metric:
        raise UsageError("no --metric says what to measure", "hfcli eval --list-metrics shows what there is")
    names = [name.partition(":")[0] for name in measured.metric]
    likelihood = next((name for name in names if name in LIKELIHOODS), None)
    if likelihood is not None:
        raise UsageError(
            f"{likelihood} is about a model, and --predictions are there already", "leave out --predictions"
        )
    if any(name.startswith(FOREIGN) for name in measured.metric):
        from hfcli.cli import _foreign

        return _foreign.measure(console, stored, models, measured, show)
    _outcome.check_limits(show, measured.metric)
    if _fitting.stored(measured.metric, fairness) == "scored":
        from hfcli.cli import _fairness

        model = models.each(fairness.scorer or "")[0]
        return _fairness.toxicity(console, stored, replace(model, model=fairness.scorer), fairness, measured, show)
    answers = [name for name in names if name in ANSWERS]
    if not answers:
        from hfcli.cli import _files

        return _files.measure(console, stored, measured, show)
    if len(names) > 1:
        raise UsageError(
            f"{answers[0]} is measured by ids, the others line by line", "ask for them one after the other"
        )
    from hfcli.cli import _squad

    return _squad.of_files(console, answers[0], stored, measured, show)


class _Call:
    """One measurement of models."""

    def __init__(
        self,
        console: Console,
        measured: MetricOptions,
        stored: StoredOptions,
        models: ModelsOptions,
        data: MeasuredData,
        texts: TextOptions,
        perplexity: PerplexityOptions,
        prompted: PromptedOptions,
        reading: Reading,
        fairness: FairnessOptions,
        show: ShowOptions,
    ) -> None:
        self.console, self.measured, self.models, self.data = console, measured, models, data
        self.texts, self.perplexity, self.reading, self.show = texts, perplexity, reading, show
        self.fairness, self.prompted, self.stored = fairness, prompted, stored
        self.column = next(iter(stored.reference_column), None)
        self.names = [name.partition(":")[0] for name in measured.metric]

    def outcome(self) -> Outcome:
        """The scores of one model, or of several."""
        named = self.models.model
        if len(named) > 1 and self.show.details is not None:
            raise UsageError("--details is about one model", "measure the models one after the other")
        twice = next((name for name in named if named.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"-m {twice} was given twice", "leave out one of them")
        _outcome.check_files(self.show, [self.data.dataset, self.perplexity.file], len(named))
        task = self._task()
        reading = self.reading.questions, self.reading.longest, self.reading.none
        _fitting.only(task, self.texts, self.perplexity, self.prompted, self.fairness, self.stored, *reading)
        if len(named) > 1:
            self._read_once(task, len(named))
        if self.names and task != "perplexity":
            _outcome.check_limits(self.show, self.measured.metric)
        default = _MODELS.get(task) or DEFAULT_MODEL
        if not named and (model := os.environ.get("HFCLI_MODEL")):
            _origins.add("model", model, "HFCLI_MODEL")
        elif not named and task not in _MODELS and (set_in_file := _settings.default_model()):
            default, where = set_in_file
            _origins.add("model", default, where)
        outcomes = [self._one(task, model) for model in self.models.each(default)]
        return outcomes[0] if len(outcomes) == 1 else _outcome.together(outcomes, named)

    def _task(self) -> str:
        """What the metrics are about, else what the model or the data is for.

        Raises:
            UsageError: There is nothing to measure, or several things at once.
        """
        about = {self._about(name) for name in self.names}
        if len(about) > 1:
            raise UsageError(f"{', '.join(self.names)} are about different things", "ask for them one after the other")
        flag = "--file" if self.perplexity.file is not None else "--slurp" if self.perplexity.slurp else ""
        if about == {"perplexity"} or (flag and not about):
            return "perplexity"
        if flag:
            hint = "--dataset FILE" if flag == "--file" else f"leave out {flag}"
            raise UsageError(f"{flag} is about perplexity, and {', '.join(self.names)} is not", hint)
        if self.data.dataset is None:
            raise UsageError("nothing to measure", _NOTHING)
        return about.pop() if about else self._by_model()

    def _read_once(self, task: str, models: int) -> None:
        """Refuse standard input for several models."""
        from hfcli.cli import _perplexity

        named = self.data.dataset, self.perplexity.file
        piped = task == "perplexity" and named == (None, None) and _perplexity.given()
        if "-" in named or piped:
            raise UsageError(f"standard input is read once, and {models} models were given", "put it into a file")

    def _about(self, name: str) -> str:
        if name in LIKELIHOODS:
            return "perplexity"
        if name in ANSWERS:
            return "question-answering"
        if name.startswith(FOREIGN.rstrip(":")):
            raise UsageError(
                "metrics of evaluate measure outputs that are there already", "--predictions FILE --references FILE"
            )
        if name in ("counterfactual", "flip_rate", "score_shift"):
            return "counterfactual"
        reads = _fitting.reads([name])
        if reads <= {"texts", "text"}:
            return "text-generation"
        if not reads & {"labels", "label_sets", "values", "probabilities"}:
            raise UsageError(f"{name} measures outputs that are there already", "--predictions FILE")
        return "text-classification"

    def _by_model(self) -> str:
        from hfcli.runtime import measured

        first = self.models.each("")[0]
        if self.data.dataset == "-" and not first.model:
            raise UsageError(
                "standard input is read once, and nothing says what to measure", "-m MODEL, or --metric NAME"
            )
        found = measured.task_of(first if first.model else None, self.data.data(), first.offline, self.console.tell)
        return "perplexity" if found == "text-generation" else found

    def _one(self, task: str, model: ModelOptions) -> Outcome:
        from hfcli.cli import _fairness, _generated, _labelled, _perplexity, _squad
        from hfcli.runtime import environment

        environment.silence()
        console, data, measured, show = self.console, self.data, self.measured, self.show
        if task == "question-answering":
            name = self.names[0] if self.names else None
            answers = AnswersOptions(self.column)
            return _squad.of_model(console, name, data, model, self.reading, answers, measured, show)
        if task == "perplexity":
            return _perplexity.of_model(console, data, model, self.texts, self.perplexity, measured, show)
        if task == "text-generation":
            return _generated.of_model(
                console, data, model, self.prompted, self.texts.on_long, self.stored, measured, show
            )
        if task == "counterfactual":
            return _fairness.counterfactual(console, data, model, self.texts, self.fairness, measured, show)
        return _labelled.of_model(console, data, model, self.texts, self.column, measured, show)


def _end(console: Console, outcome: Outcome, show: ShowOptions, inputs: Sequence[str | None]) -> None:
    """Show the scores, keep them, and say whether they are good enough."""
    from hfcli.records import dumps

    _remembered.scores(*_outcome.remembered(outcome))
    for note in _outcome.odd(outcome):
        console.note(note)
    if show.verbose:
        _origins.tell(console)
    if show.json or not console.terminal:
        console.data(dumps(_scores.as_json(outcome)) + "\n")
    else:
        console.data("".join(line + "\n" for line in _scores.lines(outcome)))
    if show.output is not None:
        _outcome.keep(outcome, show.output, inputs)
    worse = _outcome.fails(outcome, show)
    if worse:
        console.close()
        for sentence in worse:
            console.fail(sentence)
        raise typer.Exit(Exit.BELOW_THRESHOLD)


def _list(console: Console, show: ShowOptions) -> None:
    """What can be measured."""
    from hfcli import metrics
    from hfcli.records import dumps

    rows = metrics.listed()
    if show.json or not console.terminal:
        console.data("".join(dumps(row) + "\n" for row in rows))
        return
    console.data("metric                reads          scale                      options\n")
    for row in rows:
        lower = ", lower is better" if row["better"] == "lower" else ""
        scale = f"{row['scale'] or 'from 0 up'}{lower}"
        console.data(f"{row['name']:<22}{row['reads']:<15}{scale:<27}{', '.join(row['options'])}".rstrip() + "\n")
