"""`hfcli data check`: what is wrong with records, before hours are spent on learning from them."""

import os
import shlex
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated

import typer

from hfcli.cli._checked import as_json, lines
from hfcli.cli._expand import expand
from hfcli.cli._format import ascii_glyphs
from hfcli.cli._refuse import no_empty_text
from hfcli.cli.console import Console
from hfcli.errors import Exit, UsageError, did_you_mean
from hfcli.options.answering import AnswersOptions, LongestOptions, QuestionOptions
from hfcli.options.checking import CheckOptions
from hfcli.options.reading import TextOptions
from hfcli.options.training import Asked, LabelOptions

if TYPE_CHECKING:
    from hfcli.runtime.checking import Report

_WIDTH = 80
_MODEL = "bert-base-uncased"
_NOT_FINETUNES = {"model", "offline", "all", "strict", "json"}


@expand
def data(
    action: Annotated[str | None, typer.Argument(help="check.", show_default=False)] = None,
    dataset: Annotated[
        str | None,
        typer.Argument(
            metavar="DATASET",
            help="Hub name, file (CSV, TSV, JSON, JSONL, Parquet, .gz), folder, or - for stdin.",
            show_default=False,
        ),
    ] = None,
    *,
    options: CheckOptions,
    texts: TextOptions,
    labels: LabelOptions,
    questions: QuestionOptions,
    answers: AnswersOptions,
) -> None:
    """Check labelled records, or questions with answers, before a model learns from them.

    Labels and how even they are, answers that are not where they should be, repeated texts, texts that are both learnt
    from and measured on, what cannot be used and where it stands, lengths and what --max-length cuts. Exit 4 when
    something cannot be learnt from.

    \b
    hfcli data check tickets.csv --eval-dataset test.csv
    hfcli data check imdb -m bert-base-uncased --max-length 256
    """
    if action != "check":
        said = f"no action {action}; there is check" if action else "data needs an action; there is check"
        raise UsageError(said, did_you_mean(action or "", ["check"]) or "hfcli data check tickets.csv")
    if not dataset:
        raise UsageError("no data to check", "hfcli data check tickets.csv, or a Hub name")
    asked = Asked(texts, labels, questions, answers, LongestOptions())
    for group in (options, labels, questions, answers):
        no_empty_text(group)
    options.data(dataset).check()
    from hfcli.runtime import environment, examining

    environment.silence()
    console = Console()
    try:
        report = examining.examine(dataset, options, asked, console.tell)
    finally:
        console.close()
    command = _next(report, dataset, options, asked)
    if options.json:
        from hfcli.records import dumps

        console.data(dumps({**as_json(report), "try": " ".join(command)}) + "\n")
    else:
        console.data(_screen(report, dataset, options.all, command))
    failed = report.errors or (options.strict and report.warnings)
    raise typer.Exit(Exit.DATA if failed else Exit.OK)


def _screen(report: "Report", dataset: str, every: bool, command: list[str]) -> str:
    shown = lines(report, every)
    if report.train != os.path.basename(dataset) and dataset != "-":
        measured = f" · {report.evaluation} ({report.evaluation_records:,}) to evaluate on" if report.evaluation else ""
        shown.insert(2, f"data     {report.train}{measured}")
    if command:
        shown += ["", *_wrapped(command)]
    text = "".join(line + "\n" for line in shown)
    return text if "utf" in (sys.stdout.encoding or "").lower() else ascii_glyphs(text)


def _next(report: "Report", dataset: str, options: CheckOptions, asked: Asked) -> list[str]:
    """The command to go on with, in parts between which it may be broken."""
    if not report.learnable:
        return [report.fix] if report.fix else []
    piped = "... | " * (dataset == "-")
    command = [f"{piped}hfcli finetune {shlex.quote(options.model or _MODEL)}", f"--dataset {shlex.quote(dataset)}"]
    suggested = {flag.split()[0] for flag in report.flags}
    for group in (options, *asked):
        given = {f.name: getattr(group, f.name) for f in fields(group) if getattr(group, f.name) != f.default}
        for name, value in given.items():
            flag = "--" + name.replace("_", "-")
            if name not in _NOT_FINETUNES and flag not in suggested:
                command.append(flag if value is True else f"{flag} {shlex.quote(str(value))}")
    return [*command, *report.flags]


def _wrapped(command: list[str]) -> list[str]:
    shown: list[str] = []
    line = f"try    {command[0]}"
    for part in command[1:]:
        if len(line) + len(part) + 3 > _WIDTH:
            shown.append(line + " \\")
            line = f"         {part}"
        else:
            line += f" {part}"
    return [*shown, line]
