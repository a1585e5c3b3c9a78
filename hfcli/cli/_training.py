"""How a training run looks: its head, a table that grows, live lines or a log, and how it ended."""

import textwrap
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hfcli.cli._format import (
    Curve,
    blocks,
    cells,
    clock,
    decimal,
    fit,
    interval,
    left,
    one_line,
    rate,
    share,
    size,
    span,
)
from hfcli.cli.console import Console
from hfcli.events import Evaluated, Event, Head, Lengths, Measured, Progress, Saved, Step, Stopping, Training

if TYPE_CHECKING:
    from hfcli.runtime.seeds import Settled

_WIDTH = 80
_SMOOTHED_STEPS = 20  # the loss of one batch tells little
_BAR = 28
_ALL_CLASSES = 12
_WEAKEST = 9  # of more classes than that
_LABEL = 20


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        scores: By the metric's name.
        metric: The one that picked the best checkpoint.
        held_out: Whether the records it was measured on were held out of the training data.
        evaluation: Else the name of their split or file.
        best_epoch: The epoch that was kept, None where there was no choice.
        per_class: For each class label, precision, recall, f1, n and read_as: (label, count), the most common first.
        surprising: How many records the model is sure are labelled wrongly.
        sure: From this probability on it is.
        surprising_path: The file that lists them.
        next_lines: What to type next.
    """

    scores: Mapping[str, Measured]
    metric: str
    held_out: bool
    evaluation: str
    best_epoch: float | None = None
    per_class: Sequence[Mapping[str, Any]] | None = None
    surprising: int = 0
    sure: float = 0.99
    surprising_path: str = ""
    next_lines: Sequence[str] = ()


class TrainingView:
    """Shows a run, or one after the other, on standard error.

    Args:
        console: Prints; it knows whether there is a terminal and whether anything is to be said.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._start()

    def _start(self) -> None:
        self._losses: deque[float] = deque(maxlen=_SMOOTHED_STEPS)
        self._curve = Curve()
        self._steps = 0
        self._step: Step | None = None
        self._metric = ""
        self._stopping = False

    # before

    def head(self, head: Head) -> None:
        """What is going to be done; a new run begins here."""
        self._start()
        for line in self._head(head):
            self.console.line(line)
        self.console.begin()

    def _head(self, head: Head) -> Iterator[str]:
        yield from self._labelled("resume", head.resume)
        yield from self._labelled("model", [head.model])
        yield from self._labelled("data", head.data)
        if head.lengths is not None:
            yield from self._labelled("length", [_lengths(head.lengths)])
        yield from self._labelled("device", [head.device])
        yield from self._labelled("run", [head.run])

    def dry(self, head: Head, report: Sequence[str], memory: Mapping[str, int]) -> None:
        """What would be done, what the data is like, and the memory it takes; the last two are the command's result.

        Args:
            head: Of the run.
            report: Lines about the data.
            memory: Bytes of a training step, by what they are for.
        """
        self.head(head)
        self.console.line()
        self.console.data("".join(f"{line}\n" for line in [*report, "", *estimate_lines(memory)]))

    # while it runs

    def event(self, event: Training | Event) -> None:
        """Show what happened, or do not; there may be hundreds a second."""
        if isinstance(event, Step):
            self._count(event)
            if self.console.due(early=self._steps & (self._steps - 1) == 0):
                self.console.show(self._region(event) if self.console.lively else [self._logged(event)])
        elif isinstance(event, Progress) and self.console.lively and self._step is not None:
            if self.console.due():
                self.console.live(self._region(self._step, event))
        elif isinstance(event, Evaluated):
            self._evaluated(event)
        elif isinstance(event, Saved):
            if event.asked:
                self.console.line(f"saved step {event.step:,} of {event.steps:,} in {event.seconds:.1f} s")
                self.console.hint("the same line with --resume goes on from here")
        elif isinstance(event, Head):
            self.head(event)
        else:
            self._stopping = self._stopping or isinstance(event, Stopping)
            self.console.tell(event)

    def _count(self, step: Step) -> None:
        self._step = step
        self._steps += 1
        self._losses.append(step.loss)
        self._curve.add(step.loss)

    def _loss(self) -> str:
        return decimal(sum(self._losses) / len(self._losses), 3)

    def _logged(self, step: Step) -> str:
        numbers = f"loss {self._loss()}  lr {step.learning_rate:.1e}  {rate(step.records_per_second):>4} records/s"
        rest = f"  {left(step.seconds_left)}" if step.seconds_left is not None else ""
        return f"step {step.step:>5}/{step.steps}  {numbers}{rest}"

    def _region(self, step: Step, measuring: Progress | None = None) -> list[str]:
        """The live lines."""
        what, done, total, rest = "step", step.step, step.steps, step.seconds_left
        if measuring is not None:
            what, done, total, rest = measuring.what, measuring.done, measuring.total, None
        part = done / max(total, 1)
        bar = f"{what} {done:,} of {total:,}   {blocks(part, _BAR)} {int(part * 100):3}%"
        numbers = [
            f"loss {self._loss()} {self._curve.drawn()}",
            f"lr {step.learning_rate:.1e}",
            f"{rate(step.records_per_second)} records/s",
            *([size(step.memory_bytes)] if step.memory_bytes else []),
        ]
        saved = (
            f"saved {span(step.saved_seconds)} ago (step {step.saved_step:,})"
            if step.saved_step
            else "nothing saved yet"
        )
        return [
            "",
            bar + (f"   {left(rest)}" if rest is not None else ""),
            "   ".join(numbers),
            f"{saved} · {'stopping' if self._stopping else 'Ctrl-C saves and stops'}",
        ]

    def _evaluated(self, event: Evaluated) -> None:
        train = decimal(event.train_loss, 3)
        measured = decimal(event.eval_loss, 3) if event.eval_loss is not None else ""
        value = decimal(event.score.value, 4)
        if not self.console.lively:
            line = f"epoch {_epoch(event.epoch)} step {event.step} train_loss {train}"
            line += f" eval_loss {measured}" if measured else ""
            return self.console.line(f"{line} {event.metric} {value}{' best' * event.best}")
        if not self._metric:
            self._metric = event.metric
            name = f"{event.metric:>11}" if len(event.metric) <= 8 else f"   {event.metric}"
            self.console.line()
            self.console.line(f"epoch   step   train loss   eval loss{name:<27}  time")
        row = f"{_epoch(event.epoch):>5} {event.step:>6,}"
        row += f"{train:>{25 - len(row)}}{measured or '-':>12}{value:>11}"
        row += f"  {interval(event.score.low, event.score.high)}"
        row += f" {clock(event.seconds):>{69 - len(row)}}{'  new best' * event.best}"
        self.console.line(row)

    # after

    def end(self, ended: Ended) -> None:
        """The verdict, the evidence, and what to do next."""
        self.console.line()
        self._say(_verdict(ended))
        others = [f"{name} {_measured(one)}" for name, one in ended.scores.items() if name != ended.metric]
        if others:
            self._say(" · ".join(others))
        if ended.per_class:
            self.console.line()
            for line in self._classes(ended.per_class):
                self.console.line(line)
        if ended.surprising or ended.next_lines:
            self.console.line()
        if ended.surprising:
            one = ended.surprising == 1
            records = "1 record" if one else f"{ended.surprising:,} records"
            self.console.line(
                f"look at  {records} the model is sure (> {ended.sure:g}) {'is' if one else 'are'} labelled wrongly:"
            )
            self.console.line(f"         {ended.surprising_path}")
        for number, line in enumerate(ended.next_lines):
            self.console.line(f"{'' if number else 'next':<9}{line}")

    def _classes(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """A row a class, or the weakest ones where they are many."""
        shown = rows
        if len(rows) > _ALL_CLASSES:
            shown = sorted((row for row in rows if row["n"]), key=lambda row: float(row["f1"]))[:_WEAKEST]
        terminal = self.console.columns() is not None  # elsewhere nothing is cut
        labels = [one_line(str(row["label"])) for row in shown]
        width = max(map(cells, labels))
        width = max(min(width, _LABEL) if terminal else width, 10)
        yield f"{'':{width}}  precision  recall     f1      n"
        for label, row in zip(labels, shown, strict=True):
            numbers = f"{row['precision']:>11.3f}{row['recall']:>8.3f}{row['f1']:>7.3f}{row['n']:>7,}"
            line = f"{fit(label, width)}{numbers}"
            if row["read_as"]:
                other, count = row["read_as"][0]
                line += f"    {count:,} read as "
                other = one_line(str(other))
                line += fit(other, min(cells(other), _WIDTH - cells(line))) if terminal else other
            yield line
        if len(shown) < len(rows):
            yield f"{len(shown)} of {len(rows)} shown, the lowest f1 first; metrics.json has all"

    def seeds(self, metric: str, settled: "Settled") -> None:
        """Runs that differ in their seed only."""
        names = ", ".join(str(run.seed) for run in settled.runs)
        spread = f"{decimal(settled.mean, 3)} ± {decimal(settled.deviation, 3)}"
        self.console.line()
        self._say(f"{metric} {spread} over seeds {names} · best seed {settled.best.seed} kept")
        self.console.line()
        self.console.line(f"{'seed':>10}   {metric}")
        for run in settled.runs:
            row = f"{run.seed:>10}{decimal(run.score.value, 4):>11}  {interval(run.score.low, run.score.high)}"
            self.console.line(row + "  kept" * (run.seed == settled.best.seed))

    # lines

    def _labelled(self, label: str, lines: Sequence[str]) -> Iterator[str]:
        for line in lines:
            for part in self._wrapped(line, 8):
                yield f"{label:<8}{part}"
                label = ""

    def _say(self, text: str) -> None:
        for line in self._wrapped(text, 0):
            self.console.line(line)

    def _wrapped(self, text: str, indent: int) -> list[str]:
        """Lines that fit the terminal, broken at dots where that is possible."""
        columns = self.console.columns()
        if columns is None:
            return [text]
        width = max(min(columns, _WIDTH) - indent, 30)
        lines: list[str] = []
        for part in text.split(" · "):
            if lines and len(lines[-1]) + 3 + len(part) <= width:
                lines[-1] += f" · {part}"
            else:
                lines += textwrap.wrap(part, width, break_long_words=False, break_on_hyphens=False)
        return lines


def estimate_lines(memory: Mapping[str, int]) -> list[str]:
    """The memory of a training step as a table.

    Args:
        memory: Bytes, by what they are for.
    """
    total = sum(memory.values())
    unit, factor = next((each for each in (("GB", 1e9), ("MB", 1e6)) if total >= each[1]), ("kB", 1e3))
    rows = [*memory.items(), ("total", total)]
    return [f"{'':<12}{'train':>9}", *(f"{name:<12}{count / factor:>9.2f} {unit}" for name, count in rows)]


def _verdict(ended: Ended) -> str:
    one = ended.scores[ended.metric]
    records = "record" if one.n == 1 else "records"
    where = f"{one.n:,} held-out {records}" if ended.held_out else f"{one.n:,} {records} ({ended.evaluation})"
    kept = f", best epoch {_epoch(ended.best_epoch)} kept" if ended.best_epoch is not None else ""
    return f"{ended.metric} {_measured(one)} on {where}{kept}"


def _measured(one: Measured) -> str:
    return f"{decimal(one.value, 3)} {interval(one.low, one.high)}"


def _epoch(epoch: float) -> str:
    return f"{epoch:.2f}".rstrip("0").rstrip(".")


def _lengths(lengths: Lengths) -> str:
    texts = f"median {lengths.median:,} tokens, 95% under {lengths.p95:,}"
    if not lengths.cut_records:
        return f"{texts}, longest {lengths.longest:,} (--max-length {lengths.max_length} cuts nothing)"
    does = "makes windows of" if lengths.on_long == "window" else "cuts"
    return f"{texts}; --max-length {lengths.max_length} {does} {share(lengths.cut_records)} of records"
