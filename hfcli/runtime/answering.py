"""Answers to questions about texts of any length: each text tokenised once, windows batched, the best spans of all."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hfcli.errors import HfcliError, ModelError, UsageError
from hfcli.events import Tell
from hfcli.options.answering import NoAnswerOptions, Reading
from hfcli.records import Row
from hfcli.runtime import dealing, settings
from hfcli.runtime.asking import Asker, Known, ask_each, setup
from hfcli.runtime.chunking import SILENCE_SECONDS, Chunk, Finished, Tick, chunks, run
from hfcli.runtime.columns import Columns
from hfcli.runtime.lengths import fit, overlap
from hfcli.runtime.loading import Loaded
from hfcli.tasks import question_answering
from hfcli.tasks._passages import Passages
from hfcli.tasks.base import Record, Settings

_UNANSWERABLE = re.compile(r"squad[-_. ]?v?2(?!\d)[^/]*$", re.IGNORECASE)


@dataclass
class Answerer:
    """A loaded model with everything that decides what it answers.

    Attributes:
        loaded: The model.
        settings: How questions and contexts are read and when there is no answer, without columns.
        columns: Where questions, and contexts where they are not all about one, are in a record.
        passage: The one text that all questions are about, with its name; None where each record has its own.
        top_k: How many answers to give, None for the best alone.
        keep_going: Whether a bad record gets an error in its place instead of ending the job.
        windowed: Records so far whose context did not fit at once.
    """

    loaded: Loaded
    settings: Settings
    columns: Columns
    passage: tuple[str, str] | None = None
    top_k: int | None = None
    keep_going: bool = False
    windowed: int = 0

    def __post_init__(self) -> None:
        made, passages = setup(self.loaded, self.settings), Passages(self.loaded.tokenizer)
        self.asker = Asker(
            self.loaded, made, "answer", lambda records: question_answering.encode(records, made, passages)
        )
        self.cut = self.asker.cut(more=len(self.passage[0]) if self.passage else 0)

    def skip(self, row: Row) -> None:
        """Count a record that an earlier run has finished.

        Raises:
            DataError: It cannot be worked on, and so was not.
        """
        self.cut(row)
        self.asker.skip(row, self.ask, self.keep_going)

    def run(
        self,
        rows: Iterable[Row],
        tell: Tell,
        fraction: Callable[[float], float | None],
        *,
        done: int = 0,
        patient: bool = False,
    ) -> Iterator[list[Finished]]:
        """Records finished, in input order, as many at a time as make good batches; see `chunking.run`."""
        return run(chunks(rows, self.cut, None if patient else SILENCE_SECONDS), self, tell, fraction, done)

    def note(self) -> str:
        """How many contexts were longer than fits at once; "" where none was."""
        if not self.windowed:
            return ""
        return f"{self.windowed:,} longer than {self.settings.max_length:,} tokens (windows)"

    def ask(self, record: Mapping[str, Any]) -> list[Record]:
        """The question and what it is about.

        Raises:
            DataError: A column is not there, or holds no text.
        """
        texts = self.columns.canonical(record)
        return [texts if self.passage is None else {**texts, "context": self.passage[0]}]

    def begin(self, rows: Sequence[Row], tell: Tell) -> Known:
        """A chunk's records, read, encoded, and dealt out in batches."""
        known = ask_each(Chunk(rows, self.keep_going), self.ask)
        self.asker.begin(known, tell)
        return known

    def end(self, known: Known, tick: Tick, tell: Tell) -> tuple[list[Finished], HfcliError | None]:
        """Its records finished, up to the first that fails, and that failure.

        Their answers are the prediction as flags want it, and all of it, as `question_answering.answer` gives it.
        """
        self.asker.end(known, tick, tell)
        return known.chunk.settled(lambda i, record: self._finished(record, known, i))

    @property
    def ahead(self) -> int:
        """Chunks that are begun before the first of them ends."""
        return dealing.ahead(self.loaded.remote)

    def _finished(self, record: Mapping[str, Any], known: Known, i: int) -> Finished:
        features, outputs = known.windows(i)
        prediction = self.loaded.task.decode(known.asked[i][0], features[0], outputs[0], self.asker.setup)
        over = features[0][0].notes.total_tokens - self.settings.max_length
        self.windowed += over > 0
        return Finished(record, [self._shown(prediction), prediction], None, max(over, 0))

    def _shown(self, prediction: dict[str, Any]) -> dict[str, Any]:
        """A prediction as the flags want it."""
        best = {name: prediction[name] for name in ("answer", "score", "start", "end")}
        made = self._placed(best)
        if "no_answer_probability" in prediction:
            made["no_answer_probability"] = _rounded(prediction["no_answer_probability"])
        if self.top_k is not None:
            answers = list(prediction["answers"])
            if best["answer"] is None:
                answers.insert(0, best)
            made["answers"] = [self._placed(answer) for answer in answers[: self.top_k]]
        return made

    def _placed(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """An answer with the line where it begins, where the context is a file."""
        made = {**answer, "score": _rounded(answer["score"])}
        if self.passage and self.passage[1]:
            text, name = self.passage
            start = answer["start"]
            made["where"] = name if start is None else f"{name}:{text.count(chr(10), 0, start) + 1}"
        return made


def choose(
    loaded: Loaded,
    reading: Reading,
    passage: tuple[str, str] | None = None,
    top_k: int | None = None,
    keep_going: bool = False,
) -> Answerer:
    """A model that answers as flags say, else as stored with it, else as is usual.

    Raises:
        UsageError: A flag means nothing for this model, or more than it takes.
        ModelError: The model was not made for this.
    """
    questions, windows, longest, none = reading
    name, most, task = loaded.location.name, loaded.max_tokens, loaded.task
    stored = settings.of(loaded.location.folder, loaded.adapter.folder if loaded.adapter else None)
    if stored is not None and stored.task != task.name:
        raise ModelError(f"{name} was finetuned for {stored.task}, not for {task.name}", "take another model")
    known = stored or Settings(
        task.name, {}, max_length=384, on_long="window", null_threshold=0.5 if _UNANSWERABLE.search(name) else None
    )
    length = fit(windows.max_length or min(known.max_length, most), most, name)
    stride = overlap(windows.doc_stride, stored.doc_stride if stored else None, length)
    chosen = replace(
        known, max_length=length, doc_stride=stride, columns={},
        max_answer_length=longest.max_answer_length or known.max_answer_length,
        null_threshold=_threshold(known, none, stored is not None, name),
    )  # fmt: skip
    given = {"question": questions.question_column, "context": questions.context_column}
    fields = task.fields if passage is None else tuple(field for field in task.fields if field.name == "question")
    columns = {field.name: (stored.columns if stored else {}).get(field.name) for field in fields}
    return Answerer(
        loaded, chosen, Columns(replace(task, fields=fields), given, columns, name), passage, top_k, keep_going
    )


def _threshold(known: Settings, none: NoAnswerOptions, stored: bool, name: str) -> float | None:
    """The probability above which there is no answer, None for always an answer.

    Raises:
        UsageError: `auto` was asked for, and nothing was ever found for this model.
    """
    if none.null_score_diff_threshold is not None:
        return float(question_answering.no_answer(none.null_score_diff_threshold, known))
    if none.no_answer_threshold in (None, "auto"):
        if none.no_answer_threshold and (not stored or known.null_threshold is None):
            raise UsageError(
                f"--no-answer-threshold auto: none is stored with {name}; finetune finds it where some questions "
                "have no answer",
                "--no-answer-threshold 0.5",
            )
        return known.null_threshold
    return float(str(none.no_answer_threshold))


def _rounded(score: float) -> float:
    return float(f"{score:.6g}")  # about what float32 knows
