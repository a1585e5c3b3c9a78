"""Many records, a line out for a line in: what every command that works on records does besides its work.

It opens the input, looks at the first record, loads the model, passes over what an earlier run has finished, writes
what comes (crash-safe with --output), and says how to go on when it is stopped.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Protocol

import typer

from hfcli.cli.console import Console
from hfcli.errors import DataError, Exit, HfcliError, Terminated
from hfcli.events import Tell
from hfcli.options import OutputOptions, RecordOptions

if TYPE_CHECKING:
    from hfcli.records import Row, Source
    from hfcli.runtime.chunking import Finished
    from hfcli.writing import Output


class Worker(Protocol):
    """A loaded model that works on records."""

    def skip(self, row: "Row") -> None:
        """Count in a record that an earlier run has finished; a DataError where it got an error in its place."""

    def run(
        self,
        rows: "Iterator[Row]",
        tell: Tell,
        fraction: Callable[[float], float | None],
        *,
        done: int,
        patient: bool,
    ) -> "Iterator[list[Finished]]":
        """Records finished, in input order, some at a time."""


class Command(Protocol):
    """What a command brings to a job.

    Attributes:
        field: The column that a line of plain text becomes.
    """

    @property
    def field(self) -> str: ...

    def check(self, record: Mapping[str, Any]) -> None:
        """Refuse a record without the columns that were asked for, with a DataError."""

    def load(self) -> Worker:
        """Load the model."""

    def begin(self, source: "Source | None") -> None:
        """The input's format is known, and the model is loaded."""

    def settings(self) -> dict[str, Any]:
        """What the results depend on besides the input; they are only continued with the same."""

    def count(self, finished: "Finished | None") -> None:
        """Count a record for the summary; None stands for one that failed in an earlier run."""

    def lines(self, finished: "Finished") -> Iterator[str]:
        """What stands for a record in the output, without the ends of the lines."""

    def end(self, count: int, seconds: float) -> bool:
        """Sum up. Whether every record got an answer."""


class Job:
    """One call of a command.

    Args:
        command: What it does with records.
        console: Says what there is to say.
        source: Where records come from.
        output: Where results go.
        end: Ends a line of the output.
        styled: The command's lines have escape sequences of its own, and none of the input's.
    """

    def __init__(
        self,
        command: Command,
        console: Console,
        source: RecordOptions,
        output: OutputOptions,
        end: bytes = b"\n",
        styled: bool = False,
    ) -> None:
        self.command, self.console, self.source, self.output, self.line_end = command, console, source, output, end
        self.styled = styled

    def from_input(self, slurp: bool = False) -> None:
        """Work on what --file or standard input holds."""
        from hfcli import records

        asked = self.source
        with records.read(
            asked.file or "-",
            format=asked.input_format,
            field=self.command.field,
            slurp=slurp,
            on_error=asked.on_error,
        ) as source:
            if self._complete():
                return
            # What a file holds is looked at before a model is loaded for it; whoever writes a pipe may take as long.
            rows = self._with_first(source) if source.size_bytes is not None else None
            worker = self.command.load()
            rows = self._with_first(source) if rows is None else rows
            part, parts = asked.shard or (1, 1)
            self._many(worker, islice(rows, part - 1, None, parts), source)

    def from_rows(self, rows: "Sequence[Row]") -> None:
        """Work on records that are there already."""
        if not self._complete():
            self._many(self.command.load(), iter(rows), None, len(rows))

    def _many(self, worker: Worker, rows: "Iterator[Row]", source: "Source | None", total: int = 0) -> None:
        self.command.begin(source)
        self.console.begin()
        with self.open_output(self.command.settings) as out:
            started = time.monotonic()
            count = self._work(worker, rows, source, out, total)
            if out is not None:
                out.finish()
        if not self.command.end(count, time.monotonic() - started):
            raise typer.Exit(Exit.SOME_FAILED)

    def _work(
        self, worker: Worker, rows: "Iterator[Row]", source: "Source | None", out: "Output | None", total: int
    ) -> int:
        from hfcli.writing import InputDigest

        digest = InputDigest()
        done = count = self._skip(worker, rows, digest, out) if out is not None and out.done else 0

        def fraction(finished: float) -> float | None:
            if source is None:
                return finished / total
            share, (_, parts) = source.share, self.source.shard or (1, 1)
            return share * finished * parts / source.rows if share and source.rows else None

        patient = source is None or source.size_bytes is not None
        try:
            for finished in worker.run(rows, self.console.tell, fraction, done=count, patient=patient):
                for one in finished:
                    digest.update(one.record)
                count += len(finished)
                self.emit(finished, out, digest.hexdigest())
        except (KeyboardInterrupt, Terminated, HfcliError):
            self._stopped(out)
            raise
        return count - done

    def _skip(self, worker: Worker, rows: "Iterator[Row]", digest: Any, out: "Output") -> int:
        """Pass over the records an earlier run has finished, once they are known to be the same."""
        for _ in range(out.done):
            row = next(rows, None)
            if row is None:
                break
            digest.update(row.record)
            try:
                worker.skip(row)
            except DataError:  # it got an error in its place
                self.command.count(None)
        out.check_input(digest.hexdigest())
        self.console.note(f"{self.output.output}: {out.done:,} records are done, going on from there")
        return out.done

    def _complete(self) -> bool:
        """Whether the output is finished already; one that cannot be written is refused before a model is loaded."""
        path, output = self.output.output, self.output
        if path is None or (os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)):
            return False
        from hfcli.writing import Output

        if output.resume and os.path.exists(path) and not os.path.exists(path + ".partial"):
            self.console.note(f"{path} is complete already; without --resume it is made anew")
            return True
        if not output.resume and not output.overwrite:
            Output(path, settings={}, resume=False, overwrite=False).close()
        return False

    def _with_first(self, source: "Source") -> "Iterator[Row]":
        """The source's rows, its first one read already: format and columns are known, and are what was asked for."""
        rows = iter(source)
        first = next(rows)
        columns = dict.fromkeys(source.columns, " ") if source.columns is not None else first.record
        where = first.where if source.columns is None else source.name
        if columns is not None and (source.columns is not None or self.source.on_error == "fail"):
            try:
                self.command.check(columns)
            except DataError as error:
                raise DataError(f"{where}: {error.message}", error.hint) from None
        return chain([first], rows)

    def open_output(self, settings: Callable[[], dict[str, Any]]) -> Any:
        """The file of --output, or nothing without it."""
        if self.output.output is None:
            return nullcontext()
        from hfcli.writing import Output

        output, shard = self.output, self.source.shard
        kept = settings() | ({"shard": "/".join(map(str, shard))} if shard else {})
        return Output(self.output.output, settings=kept, resume=output.resume, overwrite=output.overwrite)

    def emit(self, finished: "list[Finished]", out: "Output | None", digest: str) -> None:
        """Write a chunk's results, and count what the summary tells."""
        lines: list[bytes] = []
        for one in finished:
            self.command.count(one)
            lines += [line.encode("utf-8", "replace") for line in self.command.lines(one)]
        if out is not None:
            out.write(lines, digest, len(finished))
        elif self.line_end != b"\n" or self.styled:
            self.console.data_bytes(b"".join(line + self.line_end for line in lines))
        else:
            self.console.data("".join(line.decode() + "\n" for line in lines))

    def _stopped(self, out: "Output | None") -> None:
        if out is not None and out.done and os.path.exists(f"{self.output.output}.partial"):
            self.console.close()
            self.console.line(f"{out.done:,} records are kept in {self.output.output}.partial")
            self.console.line("hint:  the same line with --resume goes on from there")
