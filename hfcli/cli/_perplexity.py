"""`hfcli eval --metric perplexity`: how likely texts are to a language model."""

import math
import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from hfcli.cli import _measure, _outcome, _resuming
from hfcli.cli._details import Details
from hfcli.cli._measure import Asked, Taken
from hfcli.cli._outcome import Outcome
from hfcli.cli._reducing import Wanted
from hfcli.cli.console import Console
from hfcli.errors import DataError, UsageError
from hfcli.events import Working
from hfcli.options import ModelOptions
from hfcli.options.evaluating import MeasuredData, MetricOptions, PerplexityOptions, ShowOptions
from hfcli.options.reading import TextOptions

if TYPE_CHECKING:
    from hfcli.runtime.perplexity import Document, Likelihoods
    from hfcli.runtime.texts import Text, Texts
    from hfcli.tasks._likelihood import Statistics

USUAL = ("perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte")
FEW = 30  # texts, below which blocks of 512 characters are drawn anew instead
_NEW, _SECONDS = 16, 1.0  # details are written after so many texts, or when they took so long
_COUNTS = ("nll", "tokens", "words", "bytes")


class _Unit(NamedTuple):
    """What is drawn anew for intervals: a text, or a block of one.

    Attributes:
        id: Of the text.
        group: Of the text.
        counts: nll, tokens, words, bytes.
    """

    id: str | None
    group: str
    counts: Sequence[float]


def of_model(
    console: Console,
    data: MeasuredData,
    model: ModelOptions,
    texts: TextOptions,
    how: PerplexityOptions,
    options: MetricOptions,
    show: ShowOptions,
) -> Outcome:
    """Measure a language model on texts.

    Raises:
        UsageError: The options contradict the model or themselves.
        DataError: The texts cannot be read, or none of them can be measured.
        ModelError: The model cannot be loaded, or measured.
    """
    from hfcli.runtime import measured, perplexity
    from hfcli.runtime import texts as reading

    file = how.file if how.file is not None else "-" if data.dataset is None and given() else None
    _check(file, data, texts, how, options)
    chosen = _chosen(options.metric, how.protocol, cut=texts.max_length is not None)
    _outcome.check_limits(show, chosen)
    column, group_by = texts.text_column, options.group_by
    source = reading.of_file(file, column, how.slurp, group_by) if file is not None else None
    loaded = perplexity.load(model, console.tell)
    choice = perplexity.Choice(how.protocol, texts.max_length, how.stride, how.bos)
    likelihoods = perplexity.Likelihoods(loaded, choice, console.tell)
    if source is None:
        source = reading.of_data(data.data(), column, how.slurp, group_by, model.offline, console.tell)
    console.begin()
    name, read = measured.short_name(loaded), measured.how(likelihoods.reading)
    system = measured.system(loaded, [])
    settings = {"model": system, "data": source.title, "how": read}
    with _resuming.details(console, show, settings, "text") as details:
        run = _Run(console, likelihoods, source, details, show)
        units, unit = run.units(whole="mean_perplexity" in chosen)
        asked = _asked(chosen, f"{read}|unit:{unit}", measured.tokenizer(loaded))
        taken = (
            Taken("", each.id, each.group, [[each.counts] * len(asked)], [None] * len(asked), {}) for each in units
        )
        kept = Details(ShowOptions(), {})  # what is told of each text is told in this file already
        outcome = _measure.measure(taken, asked, [(name, system)], lambda each: source.name(), kept, options)
        details.finish()
    about = {"name": name, "parameters": measured.parameters(loaded), "per_second": round(run.speed, 1)}
    more = {"tokens": run.tokens, "texts": run.scored, "models": [about]}
    counted = f"{_outcome.counted(run.tokens, 'token')} in {_outcome.counted(run.scored, 'text')}"
    lines = ("", "across tokenizers compare word_perplexity, byte_perplexity or bits_per_byte")
    return outcome._replace(counted=counted, more=more, lines=lines)


def given() -> bool:
    """Whether standard input is a pipe or a file, and so a text; what a job without a terminal has is neither."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _check(
    file: str | None, data: MeasuredData, texts: TextOptions, how: PerplexityOptions, options: MetricOptions
) -> None:
    """Refuse what contradicts itself, before a model is loaded."""
    if file is not None and data.dataset is not None:
        raise UsageError("--file and --dataset both say what to read", "leave one of them out")
    if data.dataset is None:
        for flag, value in (("--subset", data.subset), ("--dataset-revision", data.dataset_revision)):
            if value is not None:
                raise UsageError(f"{flag} is about a data set, and none is named", "--dataset Salesforce/wikitext")
    if file is not None:
        for flag, said in (("--split", data.split), ("--max-samples", data.max_samples)):
            if said is not None:
                raise UsageError(f"{flag} is about a data set, and a file is read", f"--dataset FILE {flag} {said}")
    whole = "--slurp" if how.slurp else "WikiText-2" if file is None and data.dataset is None else None
    if whole and options.group_by is not None:
        raise UsageError(f"{whole} is one text, and has no groups", "leave out --group-by")
    if file is not None and how.slurp and texts.text_column is not None:
        takes = "--slurp takes a file as it is, without columns"
        raise UsageError(takes, "--dataset FILE --slurp joins the texts of a column")
    if (data.dataset or "").lower().removesuffix(".gz").endswith(".txt") and os.path.isfile(data.dataset or ""):
        raise UsageError(f"--dataset {data.dataset} is lines of text, without columns", f"--file {data.dataset}")


def _chosen(names: Sequence[str], protocol: str | None, cut: bool) -> list[str]:
    """The metrics that were asked for; by evaluate's protocol, perplexity is the mean over texts.

    Args:
        names: What --metric says.
        protocol: What --protocol says.
        cut: Whether evaluate's protocol cuts texts: of what it leaves, words and bytes are not known.
    """
    cut = cut and protocol == "hf-evaluate"
    usual = (("mean_perplexity",) if protocol == "hf-evaluate" else ()) + (USUAL[:1] if cut else USUAL)
    found: list[str] = []
    for asked in names or ["perplexity"]:
        name, colon, _ = asked.partition(":")
        if colon:
            raise UsageError(f"--metric {asked}: {name} has no options", f"--metric {name}")
        if cut and name in USUAL[1:]:
            said = f"{name} is about whole texts, and --max-length with --protocol hf-evaluate cuts them"
            raise UsageError(said, "--protocol stride does not")
        found += usual if name == "perplexity" else [name]
    return list(dict.fromkeys(found))


def _asked(chosen: Sequence[str], how: str, tokenizer: str) -> list[Asked]:
    found = []
    for each in _measure.families(chosen, lambda: False):
        comparable = each.wanted.family.name == "likelihood"  # by words and bytes, whatever the tokenizer
        read = replace(each.wanted.options, how=how, tokenizer="" if comparable else tokenizer)
        found.append(each._replace(wanted=Wanted(each.wanted.family, read)))
    return found


class _Run:
    """One pass over the texts; what an earlier run has measured comes from its details."""

    def __init__(
        self, console: Console, likelihoods: "Likelihoods", source: "Texts", details: Details, show: ShowOptions
    ) -> None:
        self._console, self._likelihoods, self._source, self._details = console, likelihoods, source, details
        self._show = show
        self.tokens = self.scored = self._texts = self._short = self._new_tokens = self._seen = 0
        self._before = 0.0
        self._began = time.monotonic()
        self.speed = 0.0

    def units(self, whole: bool) -> tuple[list[_Unit], str]:
        """What is drawn anew, and what that is: texts, or of few texts blocks of 512 characters.

        Args:
            whole: Whether it has to be texts: a mean over texts is none over blocks.

        Raises:
            DataError: No text has anything to score.
        """
        units: list[_Unit] = []
        blocks: list[_Unit] = []
        for text, line in self._lines():
            self._texts += 1
            if not line["tokens"]:
                self._short += 1
                continue
            if self.scored < FEW:
                blocks += [_Unit(None, text.group, counts) for counts in line["blocks"]]
            units.append(_Unit(text.id, text.group, [line[name] for name in _COUNTS]))
            self.tokens += line["tokens"]
            self.scored += 1
        seconds = time.monotonic() - self._began
        self.speed = self._new_tokens / max(seconds, 1e-9)
        self._notes(bool(units))
        by_text = whole or self.scored >= FEW or self._likelihoods.reading.protocol == "hf-evaluate"
        return (units, "text") if by_text else (blocks, "block")

    def _notes(self, some: bool) -> None:
        if blank := self._source.blank():
            self._console.note(f"{_outcome.counted(blank, 'blank text')} {'are' if blank > 1 else 'is'} left out")
        if not some:
            raise DataError(
                f"{self._source.title} has nothing to score: a token is predicted from those before it, and there is "
                "no text of two",
                "--slurp takes all of it as one text, --bos yes scores the first token, too",
            )
        if self._short:
            has = "texts have" if self._short > 1 else "text has"
            self._console.note(f"{self._short:,} {has} fewer than two tokens, and nothing to score")

    def _lines(self) -> "Iterator[tuple[Text, dict[str, Any]]]":
        """Texts and what is known of them, those of an earlier run first."""
        from hfcli.runtime.perplexity import Document

        kept = 0
        for line in self._details.kept():
            text = next(self._source.rows, None)
            if text is None:
                raise _resuming.other_input(self._show)
            self._details.write([{"text": text.text}], [line])
            kept += 1
            yield text, line
        _resuming.going_on(self._console, kept, "text")
        self._before = self._source.share(kept) or 0.0
        self._began = written = time.monotonic()
        waiting: list[Text] = []

        def documents() -> "Iterator[Document]":
            for text in self._source.rows:
                waiting.append(text)
                yield Document(text.text, text.where)

        done: list[tuple[Text, dict[str, Any]]] = []
        try:
            for found in self._likelihoods(documents(), self._tick):
                text = waiting.pop(0)
                pair = text, self._line(text, found)
                self._new_tokens += found.tokens
                done.append(pair)
                if len(done) == _NEW or time.monotonic() - written > _SECONDS:
                    self._write(done)
                    done, written = [], time.monotonic()
                yield pair
        finally:  # what is measured is kept, whatever ends the job
            self._write(done)

    def _line(self, text: "Text", found: "Statistics") -> dict[str, Any]:
        line: dict[str, Any] = {"where": text.where, **({} if text.id is None else {"id": text.id})}
        counts = (found.nll, found.tokens, found.words, found.bytes)
        line |= dict(zip(_COUNTS, counts, strict=True))
        mean = found.nll / found.tokens if found.tokens else math.inf
        line["perplexity"] = math.exp(mean) if mean < 700 else None
        return line | ({"blocks": found.blocks.tolist()} if self.scored < FEW else {})

    def _write(self, done: "list[tuple[Text, dict[str, Any]]]") -> None:
        self._details.write([{"text": text.text} for text, _ in done], [line for _, line in done])

    def _tick(self, tokens: int) -> None:
        self._seen += tokens
        seconds = time.monotonic() - self._began
        share = self._source.share(self._texts + self._likelihoods.under_way)
        self._console.tell(Working(self._texts, self._seen, share, seconds, self._before, what="texts"))
