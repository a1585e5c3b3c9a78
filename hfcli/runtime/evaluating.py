"""`hfcli eval -m MODEL` without its screen: a model answers the questions of a data set, as `hfcli qa` does."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from hfcli.errors import DataError
from hfcli.events import Tell
from hfcli.options import ModelOptions
from hfcli.options.answering import QuestionOptions, Reading
from hfcli.options.reading import DataOptions
from hfcli.records import Row
from hfcli.runtime import answering, asking, data, measured, settings
from hfcli.runtime.answering import Answerer
from hfcli.runtime.chunking import Finished
from hfcli.runtime.splits import Split
from hfcli.tasks import _answers, _columns
from hfcli.tasks.base import Task

_AT_ONCE = 512


class Measured(NamedTuple):
    """What a model answers to the questions of a data set, and what is right.

    Attributes:
        predictions: As `hfcli qa` gives them, None for no answer.
        guesses: The best answer of each that is one; None where the context has none.
        null: The probability of no answer of each; None of a model that always answers.
        references: The texts of the right answers, () for none.
        ids: Of the questions, None for those without one.
        groups: Of the questions, "" where none are wanted.
        data: "stanfordnlp/imdb@e628166:test", "dev.json@95aa6a5".
        name: The model's short name.
        system: The model and everything else that may differ between systems.
    """

    predictions: list[str | None]
    guesses: list[str | None]
    null: list[float] | None
    references: list[tuple[str, ...]]
    ids: list[str | None]
    groups: list[str]
    data: str
    name: str
    system: str


def answer(
    task: Task,
    model: ModelOptions,
    options: DataOptions,
    reading: Reading,
    answers_column: str | None,
    check: Callable[[list[tuple[str, ...]], str], None],
    tell: Tell,
    group_by: str | None = None,
) -> Measured:
    """Let a model answer every question of a split.

    Args:
        task: Question answering.
        model: Which model.
        options: Which data.
        reading: How it reads and answers.
        answers_column: The column of the right answers, None to find it by name.
        check: Refuses right answers that cannot be measured; gets the data's name.
        tell: Gets progress.
        group_by: A column that says which group a question belongs to.

    Raises:
        DataError: The data is not there, has no such columns, or has a record that cannot be used.
        UsageError: The options contradict what is there.
        ModelError: The model cannot be loaded, or has no trained head for this.
    """
    split = data.one_split(options, offline=model.offline, tell=tell)
    loaded = asking.load(task, model, tell)
    stored = settings.of(loaded.location.folder, loaded.adapter.folder if loaded.adapter else None)
    own = stored.columns if stored and stored.task == task.name else {}
    questions = reading.questions
    flags = {"question": questions.question_column, "context": questions.context_column, "answers": answers_column}
    given = {name: flag or (own.get(name) if own.get(name) in split.columns else None) for name, flag in flags.items()}
    samples = {name: split.sample(name) for name in split.columns}
    columns = _columns.find(samples, task, given, split.class_names, need_target=True)
    references = [_reference(split, i, cell, columns) for i, cell in enumerate(split.values(str(columns["answers"])))]
    check(references, split.title)
    found = QuestionOptions(columns["question"], columns["context"])
    answerer = answering.choose(loaded, reading._replace(questions=found))
    raw = [one.answers[1] for some in _run(answerer, split, columns, tell) for one in some]
    null = [each["no_answer_probability"] for each in raw if "no_answer_probability" in each]
    return Measured(
        [each["answer"] for each in raw],
        [each["answers"][0]["answer"] if each["answers"] else None for each in raw],
        null or None,
        references,
        measured.ids(split),
        measured.groups(split, group_by),
        measured.name_of_data(options, split, columns.values(), [name for name in flags.values() if name]),
        measured.short_name(loaded),
        _system(answerer),
    )


def _reference(split: Split, index: int, cell: Any, columns: dict[str, str | None]) -> tuple[str, ...]:
    try:
        return _answers.read(cell, None, str(columns["answers"])).texts
    except DataError as error:
        raise DataError(f"{split.where(index)}: {error.message}", error.hint) from error


def _run(answerer: Answerer, split: Split, columns: dict[str, str | None], tell: Tell) -> Iterator[list[Finished]]:
    names = {name: name for name in (columns["question"], columns["context"]) if name}

    def rows() -> Iterator[Row]:
        for start in range(0, len(split), _AT_ONCE):
            indices = range(start, min(start + _AT_ONCE, len(split)))
            for index, record in zip(indices, split.records(indices, names), strict=True):
                yield Row(record, split.where(index))

    return answerer.run(rows(), tell, lambda done: done / len(split), patient=True)


def _system(answerer: Answerer) -> str:
    reads = answerer.settings
    threshold = reads.null_threshold
    parts = [f"max_len:{reads.max_length}", f"doc_stride:{reads.doc_stride}", f"max_answer:{reads.max_answer_length}"]
    return measured.system(
        answerer.loaded, [*parts, *([f"no_answer:{threshold:.4g}"] if threshold is not None else [])]
    )
