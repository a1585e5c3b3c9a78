"""The options of `hfcli qa`, and those of answers that other commands share."""

from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

import typer

from hfcli.errors import UsageError
from hfcli.options._numbers import number, whole

MOST_ANSWERS = 20


@dataclass(frozen=True)
class QuestionOptions:
    """Where questions and passages are. None means: as stored with the model, else by name."""

    question_column: Annotated[
        str | None, typer.Option("--question-column", help="Column that holds the question.", show_default="by name")
    ] = None
    context_column: Annotated[
        str | None,
        typer.Option("--context-column", help="Column that holds the text with the answer.", show_default="by name"),
    ] = None


@dataclass(frozen=True)
class AnswersOptions:
    """What is known about the right answers."""

    answers_column: Annotated[
        str | None, typer.Option("--answers-column", help="Column that holds the answers.", show_default="by name")
    ] = None


@dataclass(frozen=True)
class LongestOptions:
    """How long an answer may be. None means: as stored with the model, else the default."""

    max_answer_length: Annotated[
        int | None,
        typer.Option(
            "--max-answer-length", parser=whole(1), metavar="N", help="Most tokens of an answer.", show_default="30"
        ),
    ] = None


@dataclass(frozen=True)
class WindowOptions:
    """How long texts are read: in windows. None means: as stored with the model, else the default."""

    max_length: Annotated[
        int | None,
        typer.Option("--max-length", parser=whole(4), metavar="N", help="Most tokens at once.", show_default="384"),
    ] = None
    doc_stride: Annotated[
        int | None,
        typer.Option(
            "--doc-stride", parser=whole(0), metavar="N", help="Tokens that windows overlap.", show_default="128"
        ),
    ] = None


def _threshold(text: str) -> str:
    """`auto`, or a probability."""
    if text != "auto":
        number(0, 1)(text)
    return text


@dataclass(frozen=True)
class NoAnswerOptions:
    """When there is no answer."""

    no_answer_threshold: Annotated[
        str | None,
        typer.Option(
            "--no-answer-threshold",
            parser=_threshold,
            metavar="P",
            help="No answer (null) where that is likelier than P; auto is what finetune found, 1 always answers.",
            show_default="auto",
        ),
    ] = None
    null_score_diff_threshold: Annotated[
        float | None,
        typer.Option(
            "--null-score-diff-threshold",
            parser=number(-1e9),
            metavar="D",
            help="... where its score is D above the best answer's, as in run_qa.",
        ),
    ] = None

    def check(self) -> None:
        """Refuse combinations that contradict each other, before anything is loaded."""
        if self.no_answer_threshold is not None and self.null_score_diff_threshold is not None:
            raise UsageError(
                "--no-answer-threshold and --null-score-diff-threshold say the same thing in two ways",
                "leave one of them out",
            )


class Reading(NamedTuple):
    """How a model reads and answers."""

    questions: QuestionOptions
    windows: WindowOptions
    longest: LongestOptions
    none: NoAnswerOptions


@dataclass(frozen=True)
class AnsweringOptions:
    """What is asked, and what is shown of the answers."""

    question: Annotated[
        list[str], typer.Option("--question", help="A question; may be repeated.", show_default=False)
    ] = field(default_factory=list)
    context: Annotated[
        str | None, typer.Option("--context", metavar="TEXT", help="Text to find the answers in; - is standard input.")
    ] = None
    context_file: Annotated[
        str | None,
        typer.Option("--context-file", metavar="FILE", help="... in a file (.gz too), of any length; - likewise."),
    ] = None
    top_k: Annotated[
        int | None, typer.Option("--top-k", parser=whole(1), metavar="K", help="The K best, in `answers`.")
    ] = None
    show_context: Annotated[
        int | None,
        typer.Option(
            "--show-context", parser=whole(0), metavar="N", help="Words around an answer on a terminal; 0 shows none.",
            show_default="12",
        ),
    ] = None  # fmt: skip

    def check(self) -> None:
        """Refuse combinations that contradict each other, before anything is loaded."""
        if self.context is not None and self.context_file is not None:
            raise UsageError("--context and --context-file both say where to look", "leave one of them out")
        if self.top_k is not None and self.top_k > MOST_ANSWERS:
            raise UsageError(f"--top-k {self.top_k}: {MOST_ANSWERS} answers are looked for", f"--top-k {MOST_ANSWERS}")
        if any(not question.strip() for question in self.question):
            raise UsageError("--question is empty", '--question "When is the deposit returned?"')
