"""`hfcli eval --metric perplexity`: how likely texts are to a language model."""

import math
import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from hfcli.cli import _measure, _outcome
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
_NEW = 16  # texts whose details are written at once
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

    file = how.file if how.file is not None else "-" if data.dataset is None and _given() else None
    if file is not None and data.dataset is not None:
        raise UsageError("--file and --dataset both say what to read", "leave one of them out")
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
    with Details(show, {"model": system, "data": source.title, "how": read}) as details:
        run = _Run(console, likelihoods, source, details)
        units, unit = run.units()
        asked = _asked(options.metric, f"{read}|unit:{unit}", measured.tokenizer(loaded), likelihoods.reading.protocol)
        taken = (
            Taken("", each.id, each.group, [[each.counts] * len(asked)], [None] * len(asked), {}) for each in units
        )
        kept = Details(ShowOptions(), {})  # what is told of each text is told in this file already
        outcome = _measure.measure(taken, asked, [(name, system)], lambda each: source.name(), kept, options)
        details.finish()
    about = {"name": name, "parameters": measured.parameters(loaded), "per_second": round(run.speed, 1)}
    more = {"tokens": run.tokens, "texts": run.texts, "models": [about]}
    counted = f"{_outcome.counted(run.tokens, 'token')} in {_outcome.counted(run.texts, 'text')}"
    lines = ("", "across tokenizers compare word_perplexity, byte_perplexity or bits_per_byte")
    return outcome._replace(counted=counted, more=more, lines=lines)


def _given() -> bool:
    """Whether standard input is a pipe or a file, and so a text; what a job without a terminal has is neither."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _asked(names: Sequence[str], how: str, tokenizer: str, protocol: str | None) -> list[Asked]:
    """The metrics that were asked for; by evaluate's protocol, perplexity is the mean over texts."""
    usual = USUAL if protocol != "hf-evaluate" else ("mean_perplexity", *USUAL)
    chosen = [name for asked in names or ["perplexity"] for name in (usual if asked == "perplexity" else [asked])]
    found = []
    for each in _measure.families(chosen, lambda: False):
        comparable = each.wanted.family.name == "likelihood"  # by words and bytes, whatever the tokenizer
        read = replace(each.wanted.options, how=how, tokenizer="" if comparable else tokenizer)
        found.append(each._replace(wanted=Wanted(each.wanted.family, read)))
    return found


class _Run:
    """One pass over the texts; what an earlier run has measured comes from its details."""

    def __init__(self, console: Console, likelihoods: "Likelihoods", source: "Texts", details: Details) -> None:
        self._console, self._likelihoods, self._source, self._details = console, likelihoods, source, details
        self.tokens = self.texts = self._short = self._new_tokens = self._seen = 0
        self._began = time.monotonic()
        self.speed = 0.0

    def units(self) -> tuple[list[_Unit], str]:
        """What is drawn anew, and what that is: texts, or of few texts blocks of 512 characters.

        Raises:
            DataError: No text has anything to score.
        """
        whole: list[_Unit] = []
        blocks: list[_Unit] = []
        for text, line in self._lines():
            self.texts += 1
            if not line["tokens"]:
                self._short += 1
                continue
            self.tokens += line["tokens"]
            whole.append(_Unit(text.id, text.group, [line[name] for name in _COUNTS]))
            if len(whole) < FEW:
                blocks += [_Unit(None, text.group, counts) for counts in line["blocks"]]
        seconds = time.monotonic() - self._began
        self.speed = self._new_tokens / max(seconds, 1e-9)
        self._notes(bool(whole))
        by_text = len(whole) >= FEW or self._likelihoods.reading.protocol == "hf-evaluate"
        return (whole, "text") if by_text else (blocks, "block")

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
            text = next(self._source.rows)
            self._details.write([{"text": text.text}], [line])
            kept += 1
            yield text, line
        if kept:
            self._console.note(f"{kept:,} texts are done, going on from there")
        waiting: list[Text] = []

        def documents() -> "Iterator[Document]":
            for text in self._source.rows:
                waiting.append(text)
                yield Document(text.text, text.where)

        done: list[tuple[Text, dict[str, Any]]] = []
        for at, found in enumerate(self._likelihoods(documents(), self._tick), kept):
            text = waiting.pop(0)
            pair = text, self._line(text, found, at)
            self._new_tokens += found.tokens
            done.append(pair)
            if len(done) == _NEW:
                self._write(done)
                done = []
            yield pair
        self._write(done)

    def _line(self, text: "Text", found: "Statistics", at: int) -> dict[str, Any]:
        line: dict[str, Any] = {"where": text.where, **({} if text.id is None else {"id": text.id})}
        counts = (found.nll, found.tokens, found.words, found.bytes)
        line |= dict(zip(_COUNTS, counts, strict=True))
        mean = found.nll / found.tokens if found.tokens else math.inf
        line["perplexity"] = math.exp(mean) if mean < 700 else None
        return line | ({"blocks": found.blocks.tolist()} if at < FEW else {})

    def _write(self, done: "list[tuple[Text, dict[str, Any]]]") -> None:
        self._details.write([{"text": text.text} for text, _ in done], [line for _, line in done])

    def _tick(self, tokens: int) -> None:
        self._seen += tokens
        seconds = time.monotonic() - self._began
        self._console.tell(Working(self.texts, self._seen, self._source.share(self.texts), seconds))
