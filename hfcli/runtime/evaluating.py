"""`hfcli eval -m MODEL` without its screen: a model answers the questions of a data set, as `hfcli qa` does."""

import gzip
import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import transformers

from hfcli.errors import DataError
from hfcli.events import Tell
from hfcli.options import ModelOptions
from hfcli.options.answering import QuestionOptions, Reading
from hfcli.options.training import DataOptions
from hfcli.records import Row
from hfcli.runtime import answering, asking, data, settings
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
        data: "stanfordnlp/imdb@e628166:test", "dev.json@95aa6a5".
        system: The model and everything else that may differ between systems.
    """

    predictions: list[str | None]
    guesses: list[str | None]
    null: list[float] | None
    references: list[tuple[str, ...]]
    data: str
    system: str


def answer(
    task: Task,
    model: ModelOptions,
    options: DataOptions,
    reading: Reading,
    answers_column: str | None,
    check: Callable[[list[tuple[str, ...]], str], None],
    tell: Tell,
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
    guesses = [each["answers"][0]["answer"] if each["answers"] else None for each in raw]
    predictions = [each["answer"] for each in raw]
    return Measured(predictions, guesses, null or None, references, _named(options, split, columns), _system(answerer))


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


def _named(options: DataOptions, split: Split, columns: dict[str, str | None]) -> str:
    """Name, revision (or content) and split of the data; of a file as for stored answers."""
    path = str(options.dataset)
    if os.path.isfile(path):
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
            return f"{os.path.basename(path).removesuffix('.gz')}@{hashlib.file_digest(file, 'sha256').hexdigest()[:7]}"
    version = split.revision or split.digest([name for name in columns.values() if name])
    source = "stdin" if split.name == "standard input" else split.source or split.name
    name = f"{source}{f'/{split.subset}' if split.subset else ''}@{version[:7]}"
    return name if split.source in ("", split.name) else f"{name}:{split.name}"


def _system(answerer: Answerer) -> str:
    loaded, reads = answerer.loaded, answerer.settings
    location = loaded.location
    name = f"{location.name}@{location.commit[:7]}" if location.commit else os.path.basename(location.name.rstrip("/"))
    name = location.name if location.name.startswith("builtin/") else name
    threshold = reads.null_threshold
    parts = [
        name, *([f"adapter:{loaded.adapter}"] if loaded.adapter else []),
        f"max_len:{reads.max_length}", f"doc_stride:{reads.doc_stride}",
        f"max_answer:{reads.max_answer_length}", *([f"no_answer:{threshold:.4g}"] if threshold is not None else []),
        f"dtype:{loaded.placement.dtype_name}", f"transformers:{transformers.__version__}",
    ]  # fmt: skip
    return "|".join(parts)
