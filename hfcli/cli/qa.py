"""`hfcli qa`: answers to questions, found in texts."""

import hashlib
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from hfcli.cli import _answers, _origins, _ranks
from hfcli.cli._expand import expand
from hfcli.cli._job import Job
from hfcli.cli._refuse import no_empty_text, not_over_input
from hfcli.cli._results import own
from hfcli.cli._stdin import bytes_waiting
from hfcli.cli.console import Console
from hfcli.errors import DataError, UsageError, did_you_mean
from hfcli.options import ModelOptions, OutputOptions, RecordOptions
from hfcli.options.answering import (
    AnsweringOptions,
    LongestOptions,
    NoAnswerOptions,
    QuestionOptions,
    Reading,
    WindowOptions,
)
from hfcli.options.ranks import RankOptions

if TYPE_CHECKING:
    from hfcli.records import Source
    from hfcli.runtime.answering import Answerer
    from hfcli.runtime.chunking import Finished

DEFAULT_MODEL = "builtin/reader"
_OWN_COLUMNS = ("answer", "score", "start", "end", "where", "no_answer_probability", "error")
_EXAMPLE = 'hfcli qa --context-file lease.txt "When is the deposit returned?"'


class _Context(NamedTuple):
    """What all questions are about.

    Attributes:
        text: The text; None where it comes from a file.
        path: The file; "-" is standard input.
    """

    text: str | None
    path: str | None


@expand
def qa(
    questions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUESTION", help="Questions, as --question; - is the text on stdin.", show_default=False
        ),
    ] = None,
    *,
    model: ModelOptions,
    show: AnsweringOptions,
    none: NoAnswerOptions,
    longest: LongestOptions,
    windows: WindowOptions,
    columns: QuestionOptions,
    source: RecordOptions,
    output: OutputOptions,
    ranks: RankOptions,
) -> None:
    """Find the answers to questions in a text of any length.

    With QUESTION and --context, --context-file or - (standard input), these. Without QUESTION, a question a line from
    a pipe or --file, or records with question and context (JSONL, CSV, TSV, Parquet, SQuAD's JSON), which keep their
    columns. In a pipe, and with --json or --output, a line of JSON each: answer, score, start, end (characters).

    \b
    hfcli qa --context-file lease.txt "When is the deposit returned?"
    hfcli qa -m MODEL --context-file book.txt --file questions.txt -o out.jsonl
    hfcli qa -m MODEL --file squad.json | jq -r .answer
    """
    if any(text != "-" for text in questions or []) or show.question:
        # What a file says of records is not meant for a few questions.
        columns = _origins.left_out(columns, "question_column", "context_column")
        source = _origins.left_out(source, "file", "input_format", "on_error", "shard")
        ranks = _origins.left_out(ranks, "num_processes")
    given = [*(text for text in questions or [] if text != "-"), *show.question]
    none.check()
    context = _refuse(given, "-" in (questions or []), model, show, columns, source, output)
    console = Console(output.quiet)
    try:
        options = _Options(model, show, Reading(columns, windows, longest, none), source, output)
        command = _Qa(console, options, given, context)
        with _ranks.shared(ranks, model.device):
            if given:
                from hfcli.records import Row

                command.job.from_rows([Row({"question": question.strip()}, "") for question in given])
            else:
                command.job.from_input()
    finally:
        console.close()


class _Options(NamedTuple):
    model: ModelOptions
    show: AnsweringOptions
    reading: Reading
    source: RecordOptions
    output: OutputOptions


def _refuse(
    given: list[str],
    dash: bool,
    model: ModelOptions,
    show: AnsweringOptions,
    columns: QuestionOptions,
    source: RecordOptions,
    output: OutputOptions,
) -> _Context | None:
    """Refuse what cannot be meant; what the questions are about, None where each record says that itself.

    Raises:
        UsageError: Says which flags, and what to leave out.
    """
    for options in (model, show, columns, source, output):
        no_empty_text(options)
    show.check()
    output.check()
    not_over_input(output, show.context_file, source.file)
    if any(not question.strip() for question in given):
        raise UsageError("a question is empty", _EXAMPLE)
    path = "-" if show.context == "-" else show.context_file
    text = None if show.context == "-" else show.context
    if dash and (path or text is not None):
        raise UsageError("- is the text on standard input, and another text was given too", "leave one of them out")
    path = "-" if dash else path
    if given:
        if path is None and text is None:
            file = next((shlex.quote(word) for word in given if os.path.isfile(word)), "FILE")
            hint = f"--context-file {file}, --context TEXT, or - at the end for standard input"
            raise UsageError("no text to find the answer in", hint)
        about_input = {
            "--file": source.file is not None,
            "--input-format": source.input_format != "auto",
            "--on-error record": source.on_error == "record",
            "--resume": output.resume,
            "--shard": source.shard is not None,
            "--question-column": columns.question_column is not None,
            "--context-column": columns.context_column is not None,
        }
        for flag, used in about_input.items():
            if used:
                raise UsageError(f"{flag} is about an input, and a question was given", f"leave out QUESTION or {flag}")
    elif source.file is None and os.isatty(0):
        raise UsageError("no question", _EXAMPLE)
    elif path == "-" and source.file in (None, "-"):
        raise UsageError("standard input is the text, and there is no question", f"{_EXAMPLE.split(' --')[0]} Q -")
    if columns.context_column is not None and (path or text is not None):
        raise UsageError("--context-column, and one text for all questions", "leave one of them out")
    return None if path is None and text is None else _Context(text, path)


class _Qa:
    """One call of qa: what was asked for, and how it is shown."""

    answerer: "Answerer"

    def __init__(self, console: Console, options: _Options, given: list[str], context: _Context | None) -> None:
        self.console, self.options, self.given, self.context = console, options, given, context
        model, output = options.model, options.output
        self.why = (_origins.where("model") or "-m") if model.model else "default; -m or HFCLI_MODEL change it"
        self.model = model if model.model else replace(model, model=DEFAULT_MODEL)
        self.screen = console.terminal and not output.json and output.output is None
        self.failed = self.unanswered = self.shown = 0
        self.guess: dict[str, Any] | None = None
        self.passage: tuple[str, str] | None = None
        if context is not None:
            self.passage = _answers.passage(context.text, context.path)
        self.job = Job(self, console, options.source, output, styled=self.screen)

    @property
    def field(self) -> str:
        """The column that plain text becomes."""
        return self.options.reading.questions.question_column or "question"

    def check(self, record: Mapping[str, Any]) -> None:
        columns = self.options.reading.questions
        for column in (columns.question_column, columns.context_column):
            if column and column.casefold() not in {name.casefold() for name in record}:
                raise DataError(f"no column {column}; there is {', '.join(record)}", did_you_mean(column, record))
        context = next((name for name in record if name.casefold() == "context"), None)
        if self.passage is not None and context is not None:
            self.console.note(f"column {context} is not read: all questions are about the one text that was given")
        if self.passage is None and list(record) == [self.field]:
            raise DataError(
                "questions alone, and no text to find the answers in", "--context-file FILE, or records with a context"
            )

    def load(self) -> "Answerer":
        """Load the model; everything that can be wrong with the flags alone was checked before."""
        from hfcli import tasks
        from hfcli.runtime import answering, asking

        loaded = asking.load(tasks.get("question-answering"), self.model, self.console.tell)
        _, show, reading, source, _ = self.options
        keep_going = source.on_error == "record"
        self.answerer = answering.choose(loaded, reading, self.passage, show.top_k, keep_going)
        return self.answerer

    def begin(self, source: "Source | None") -> None:
        if self.passage is not None and (source is None or source.format == "text"):
            self.answerer.columns.lines(self.field)
        if self.given and self.context is not None and self.context.path != "-" and bytes_waiting():
            self.console.note("standard input was not read; - at the end of the line takes the text from there")

    def settings(self) -> dict[str, Any]:
        loaded, answerer = self.answerer.loaded, self.answerer
        used: dict[str, Any] = {"model": str(loaded.location), "dtype": loaded.placement.dtype_name}
        used |= {"top_k": answerer.top_k}
        used |= {"reading": asdict(answerer.settings), "columns": dict(answerer.columns.given)}
        if self.passage is not None:
            text = self.passage[0].encode("utf-8", "surrogatepass")
            used["context"] = [self.passage[1], hashlib.sha256(text).hexdigest()]
        return used | ({"adapter": str(loaded.adapter)} if loaded.adapter else {})

    def count(self, finished: "Finished | None") -> None:
        self.failed += finished is None or finished.error is not None
        self.unanswered += finished is not None and not finished.error and finished.answers[0]["answer"] is None

    def lines(self, finished: "Finished") -> Iterator[str]:
        from hfcli.records import dumps

        if self.screen:
            yield from self._screen(finished)
            return
        answer = {"error": finished.error.message} if finished.error else finished.answers[0]
        mine = (*_OWN_COLUMNS, "answers") if "answers" in answer else _OWN_COLUMNS
        yield dumps({**own(self.console, finished.record, mine), **answer})

    def _screen(self, finished: "Finished") -> Iterator[str]:
        """For a terminal: the answer, how likely, where; then its surroundings."""
        found = self.answerer.columns.found or {}
        record = finished.record or {}
        question = str(record.get(found.get("question") or self.field, ""))
        quiet = self.options.output.quiet
        if not quiet and (len(self.given) != 1 or self.shown):
            if self.shown:
                yield ""
            yield _answers.plain(question)
        self.shown += 1
        if finished.error:
            yield f"error  {_answers.plain(finished.error.message)}"
            return
        answer, whole = finished.answers
        if quiet:
            yield _answers.plain(answer["answer"] or _answers.NONE)
            return
        context = self.passage[0] if self.passage else str(record.get(found.get("context") or "context", ""))
        words = self.options.show.show_context
        words = _answers.WORDS if words is None else words
        yield from _answers.screen(answer, context, words, self.console)
        if answer["answer"] is None and whole["answers"] and len(self.given) == 1 and "answers" not in answer:
            self.guess = whole["answers"][0]

    def end(self, count: int, seconds: float) -> bool:
        note = self.answerer.note()
        if self.guess is not None:
            text, score = _answers.plain(self.guess["answer"]), self.guess["score"]
            self.console.note(f'best guess "{text}" ({score:.2f}); --top-k 3 for more')
        if not self.given:
            parts = [f"{count:,} record{'s' * (count != 1)} in {seconds:.1f} s", *([note] if note else [])]
            parts += [f"{self.unanswered:,} without an answer"] if self.unanswered else []
            self.console.line(" · ".join([*parts, *([f"{self.failed:,} failed"] if self.failed else [])]))
        if self.options.output.verbose:
            self._verbose(count, seconds)
        return not self.failed

    def _verbose(self, count: int, seconds: float) -> None:
        """Which model, windows, threshold and device it was."""
        answerer, line = self.answerer, self.console.line
        loaded, settings, placement = answerer.loaded, answerer.settings, answerer.loaded.placement
        adapter = f" + {loaded.adapter}" if loaded.adapter else ""
        line(f"model   {loaded.location}{adapter}  ({self.why})")
        found = answerer.columns.found or {}
        named = [f"{name} <- {column}" for name, column in found.items() if column and column != name]
        window = f"windows of {settings.max_length:,} tokens that overlap by {settings.doc_stride:,}"
        line(f"reads   {' · '.join([*named, window, f'answers of at most {settings.max_answer_length:,} tokens'])}")
        threshold = settings.null_threshold
        line(f"none    {'never' if threshold is None else f'where no answer is likelier than {threshold:.3g}'}")
        line(
            f"device  {placement.device}, {placement.dtype_name} ({placement.reason}) · "
            f"loaded in {loaded.load_seconds:.1f} s · {count / max(seconds, 1e-9):,.1f} questions/s"
        )
        _origins.tell(self.console)
