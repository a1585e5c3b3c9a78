"""`hfcli classify`: labels, or numbers, for texts."""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hfcli.cli import _origins, _ranks
from hfcli.cli._expand import expand
from hfcli.cli._job import Job
from hfcli.cli._refuse import no_empty_text, not_over_input
from hfcli.cli._results import own
from hfcli.cli._stdin import bytes_waiting
from hfcli.cli.console import Console
from hfcli.errors import DataError, UsageError, did_you_mean
from hfcli.options import InputOptions, ModelOptions, OutputOptions
from hfcli.options.classification import ClassifyOptions
from hfcli.options.ranks import RankOptions
from hfcli.options.reading import TextOptions

if TYPE_CHECKING:
    from hfcli.records import Source
    from hfcli.runtime.chunking import Finished
    from hfcli.runtime.classification import Classifier

DEFAULT_MODEL = "builtin/reviews"
_OWN_COLUMNS = ("label", "score", "labels", "scores", "error")


@expand
def classify(
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="Texts to classify.", show_default=False)
    ] = None,
    *,
    model: ModelOptions,
    show: ClassifyOptions,
    reading: TextOptions,
    source: InputOptions,
    output: OutputOptions,
    ranks: RankOptions,
) -> None:
    """Classify texts, or pairs of them.

    With TEXT, these. Without, a text a line from a pipe or --file, or a record a line (JSONL, CSV, TSV, Parquet), which
    keeps its columns. In a pipe, and with --json or --output, a line of JSON each: label and score; of models that give
    several labels, labels; of models that give a number, score.

    \b
    hfcli classify "A quiet, lovely film." "Two hours gone."
    tail -f app.log | hfcli classify -m ./tickets
    hfcli classify -m MODEL --labels sports,politics --file news.csv -o out.jsonl
    """
    if texts and "-" not in texts:  # what a file says of records is not meant for a few texts
        reading = _origins.left_out(reading, "text_column", "text_pair_column")
        source = _origins.left_out(source, "file", "input_format", "slurp", "on_error", "shard")
        ranks = _origins.left_out(ranks, "num_processes")
    given = _refuse(texts or [], model, show, reading, source, output)
    console = Console(output.quiet)
    try:
        command = _Classify(console, model, show, reading, source, output, given)
        with _ranks.shared(ranks, model.device):
            if given:
                from hfcli.records import Row

                command.job.from_rows([Row({"text": text}, "") for text in given])
            else:
                command.job.from_input(source.slurp)
    finally:
        console.close()


def _refuse(
    texts: list[str],
    model: ModelOptions,
    show: ClassifyOptions,
    reading: TextOptions,
    source: InputOptions,
    output: OutputOptions,
) -> list[str]:
    """Refuse what cannot be meant; the texts, [] where they come from an input.

    Raises:
        UsageError: Says which flags, and what to leave out.
    """
    for options in (model, show, replace(reading, text_pair_column=reading.text_pair_column or None), source, output):
        no_empty_text(options)
    show.check()
    output.check()
    not_over_input(output, source.file)
    if show.labels is not None and reading.text_pair_column:
        raise UsageError(
            "--labels puts a second text to each, and --text-pair-column names one", "leave one of them out"
        )
    if "" in texts:
        raise UsageError("a text is empty", 'hfcli classify "A quiet, lovely film."')
    if "-" in texts:
        if len(texts) > 1 or source.file is not None:
            raise UsageError("- is standard input, and something else was given too", "leave one of them out")
        return []
    if not texts:
        if source.file is None and os.isatty(0):
            raise UsageError("no text", 'hfcli classify "A quiet, lovely film.", or hfcli classify --file texts.txt')
        if source.slurp and source.input_format not in ("auto", "text"):
            raise UsageError(
                f"--slurp takes the input as one text, not as {source.input_format}", "leave one of them out"
            )
        if source.slurp and source.shard is not None:
            raise UsageError("--slurp is one text, and --shard takes a part of many", "leave one of them out")
        return []
    about_input = {
        "--file": source.file is not None,
        "--input-format": source.input_format != "auto",
        "--slurp": source.slurp,
        "--on-error record": source.on_error == "record",
        "--resume": output.resume,
        "--shard": source.shard is not None,
        "--text-column": reading.text_column is not None,
        "--text-pair-column": bool(reading.text_pair_column),
    }
    for flag, used in about_input.items():
        if used:
            raise UsageError(f"{flag} is about an input, and texts were given", f"leave out the texts or {flag}")
    return texts


class _Classify:
    """One call of classify: what was asked for, and how it is shown."""

    classifier: "Classifier"

    def __init__(
        self,
        console: Console,
        model: ModelOptions,
        show: ClassifyOptions,
        reading: TextOptions,
        source: InputOptions,
        output: OutputOptions,
        given: list[str],
    ) -> None:
        self.console, self.show, self.reading, self.source, self.output = console, show, reading, source, output
        self.given = given
        self.why = (_origins.where("model") or "-m") if model.model else "default; -m or HFCLI_MODEL change it"
        self.model = model if model.model else replace(model, model=DEFAULT_MODEL)
        self.columns = console.terminal and not output.json and output.output is None
        self.failed = self.width = 0
        self.job = Job(self, console, source, output)

    @property
    def field(self) -> str:
        """The column that plain text becomes."""
        return self.reading.text_column or "text"

    def check(self, record: Mapping[str, Any]) -> None:
        for column in (self.reading.text_column, self.reading.text_pair_column):
            if column and column.casefold() not in {name.casefold() for name in record}:
                raise DataError(f"no column {column}; there is {', '.join(record)}", did_you_mean(column, record))

    def load(self) -> "Classifier":
        """Load the model; everything that can be wrong with the flags alone was checked before."""
        from rich.cells import cell_len

        from hfcli import tasks
        from hfcli.runtime import asking, classification

        loaded = asking.load(tasks.get("text-classification"), self.model, self.console.tell)
        keep_going = self.source.on_error == "record"
        self.classifier = classification.choose(loaded, self.reading, self.show, keep_going)
        self.width = max((cell_len(_plain(name)) for name in self.classifier.labels.names), default=0)
        return self.classifier

    def begin(self, source: "Source | None") -> None:
        if source is None or source.format == "text":
            self.classifier.columns.lines(self.field)
        if self.given and bytes_waiting():
            self.console.note("standard input was not read, because texts were given; without them it is")

    def settings(self) -> dict[str, Any]:
        loaded, classifier = self.classifier.loaded, self.classifier
        used = {"model": str(loaded.location), "dtype": loaded.placement.dtype_name, "show": asdict(self.show)}
        used |= {"reading": asdict(classifier.settings), "columns": dict(classifier.columns.given)}
        return used | ({"adapter": str(loaded.adapter)} if loaded.adapter else {})

    def count(self, finished: "Finished | None") -> None:
        self.failed += finished is None or finished.error is not None

    def lines(self, finished: "Finished") -> Iterator[str]:
        from hfcli.records import dumps

        if self.columns:
            yield self._columns(finished)
        else:
            answer = {"error": finished.error.message} if finished.error else finished.answers[0]
            yield dumps({**own(self.console, finished.record, _OWN_COLUMNS), **answer})

    def _columns(self, finished: "Finished") -> str:
        """A line for a terminal: label, score and as much of the text as fits."""
        from rich.cells import cell_len, set_cell_size

        texts = self.classifier.columns.texts(finished.record or {})
        text = _plain(" | ".join(texts))
        if finished.error:
            return f"error  {_plain(finished.error.message)}"
        start = self._answer(finished.answers[0])
        room = max(shutil.get_terminal_size().columns - cell_len(start) - 2, 8)
        if cell_len(text) > room:
            text = set_cell_size(text, room - 1).rstrip() + "…"
        return f"{start}  {text}".rstrip()

    def _answer(self, answer: dict[str, Any]) -> str:
        """Label and score, each as wide in every line; of several labels as many as there are."""
        from rich.cells import set_cell_size

        def column(label: str | None, score: float | None) -> str:
            shown = "    -" if score is None else f"{score:.3f}"
            return f"{set_cell_size(_plain(label or '-'), self.width)}  {shown}" if self.width else f"{shown:>8}"

        if "label" not in answer and "labels" in answer:
            return ", ".join(f"{_plain(each['label'])} {each['score']:.3f}" for each in answer["labels"]) or "-"
        more = answer.get("labels") or [{"label": k, "score": v} for k, v in answer.get("scores", {}).items()]
        first = column(answer.get("label"), answer["score"])
        return "  ".join([first, *(column(each["label"], each["score"]) for each in more[1:])])

    def end(self, count: int, seconds: float) -> bool:
        note = self.classifier.note()
        if self.given:
            if note:
                whole = "; --on-long window reads them whole" if "(cut)" in note else ""
                self.console.note(f"{note}{whole}")
        else:
            parts = [f"{count:,} record{'s' * (count != 1)} in {seconds:.1f} s", *([note] if note else [])]
            self.console.line(" · ".join([*parts, *([f"{self.failed:,} failed"] if self.failed else [])]))
        if self.output.verbose:
            self._verbose(count, seconds)
        return not self.failed

    def _verbose(self, count: int, seconds: float) -> None:
        """Which model, labels, columns and device it was."""
        classifier, line = self.classifier, self.console.line
        loaded, settings, placement = classifier.loaded, classifier.settings, classifier.loaded.placement
        adapter = f" + {loaded.adapter}" if loaded.adapter else ""
        line(f"model   {loaded.location}{adapter}  ({self.why})")
        line(f"labels  {_some(classifier.labels.names)}")
        found = classifier.columns.found or {}
        named = [f"{name} <- {column}" for name, column in found.items() if column and column != name]
        reads = [*named, f"at most {settings.max_length:,} tokens, a longer text: {settings.on_long}"]
        line(f"reads   {' · '.join(reads)}")
        line(
            f"device  {placement.device}, {placement.dtype_name} ({placement.reason}) · "
            f"loaded in {loaded.load_seconds:.1f} s · {count / max(seconds, 1e-9):,.0f} records/s"
        )
        _origins.tell(self.console)


def _some(names: tuple[str, ...], most: int = 6) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest if names else "none: it gives a number"


def _plain(text: str) -> str:
    """On one line, and without what could steer a terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in " ".join(text.split()))
