"""`hfcli generate`: text from a prompt, or from as many prompts as come."""

import os
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hfcli.cli._expand import expand
from hfcli.cli._refuse import refuse
from hfcli.cli._results import Results
from hfcli.cli._stdin import bytes_waiting, quoted
from hfcli.cli.config import load as load_settings
from hfcli.cli.console import Console
from hfcli.errors import DataError, DeviceError, Exit, HfcliError, ModelError, Terminated, UsageError
from hfcli.options import DEFAULT_MODEL, DecodingOptions, InputOptions, ModelOptions, OutputOptions, PromptOptions

if TYPE_CHECKING:
    from hfcli.records import Row, Source
    from hfcli.runtime.prediction import Finished, Generator
    from hfcli.writing import Output


@expand
def generate(
    prompt: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROMPT] [-]", help="The prompt; - appends standard input to it.", show_default=False),
    ] = None,
    *,
    model: ModelOptions,
    decoding: DecodingOptions,
    prompts: PromptOptions,
    source: InputOptions,
    output: OutputOptions,
    print0: Annotated[bool, typer.Option("--print0", help="Raw texts, each ended by a NUL byte.")] = False,
) -> None:
    """Generate text.

    With PROMPT, one text, as it is made. Without, a prompt a line from a pipe or --file, or a record a line (JSONL with
    prompt or messages, CSV, TSV, Parquet): then a line out for a line in, in order.

    \b
    hfcli generate "Once upon a time"
    git diff | hfcli generate "Write a commit message." -
    hfcli generate --file news.jsonl --template "Summarise: {text}" -o out.jsonl
    """
    given = refuse(prompt or [], model, decoding, prompts, source, output)
    if print0 and (output.json or output.output):
        flag, instead = ("--json", "") if output.json else ("--output", ", or redirect: > FILE")
        raise UsageError(f"--print0 ends texts with NUL bytes, {flag} writes lines", f"leave one of them out{instead}")
    console = Console(output.quiet)
    try:
        job = _Job(console, model, decoding, prompts, source, output, print0)
        if given is not None or source.slurp:
            job.one(given)
        else:
            job.many()
    finally:
        console.close()


class _Job:
    """One call of generate: what was asked for, and how it is shown."""

    def __init__(
        self,
        console: Console,
        model: ModelOptions,
        decoding: DecodingOptions,
        prompts: PromptOptions,
        source: InputOptions,
        output: OutputOptions,
        print0: bool,
    ) -> None:
        self.console = console
        self.why = "-m or HFCLI_MODEL"
        if not model.model:
            chosen = load_settings().get("model")
            self.why = (
                "your config" if chosen else "default; -m, HFCLI_MODEL or `hfcli config set model NAME` change it"
            )
            model = replace(model, model=chosen or DEFAULT_MODEL)
        self.model, self.decoding, self.prompts, self.source, self.output = model, decoding, prompts, source, output
        self.print0 = print0
        self.results = Results(console, output.json, print0)

    def generator(self) -> "Generator":
        """Load the model; everything that can be wrong with the flags alone was checked before."""
        from hfcli import tasks
        from hfcli.runtime import loading, prediction
        from hfcli.runtime.decoding import resolve

        loaded = loading.load(tasks.get("text-generation"), self.model, self.console.tell)
        resolved = resolve(self.decoding, loaded.model.generation_config, loaded.max_tokens)
        return prediction.Generator(loaded, resolved, self.prompts, self.source.on_error == "record")

    def one(self, given: list[str] | None) -> None:
        """One prompt: from the command line, or everything that an input holds."""
        record, where = self._single(given)
        with self._open_output(None) as out:
            generator = self.generator()
            if given is not None and len(given) == 1:
                self._report_waiting(given[0])
            self.console.close()
            started = time.monotonic()
            try:
                generator.encode(record)
            except DataError as error:
                raise DataError(f"{where}{error.message}", error.hint) from error
            finished = self._one(generator, record, out)
            if out is not None:
                out.finish()
        self.results.announce(finished, generator.decoding, self.decoding.max_new_tokens)
        if self.output.verbose:
            self.results.verbose(generator, time.monotonic() - started, self.why)

    def _one(self, generator: "Generator", record: dict[str, Any], out: "Output | None") -> "Finished":
        decoding = generator.decoding
        streams = (
            decoding.num_return_sequences == 1 and decoding.num_beams == 1 and not self.results.json and out is None
        )
        if streams:
            last = ""

            def show(text: str) -> None:
                nonlocal last
                last = text.replace("\0", "\ufffd") if self.print0 else text
                self.console.data(last)

            try:
                finished = generator.stream(record, show)
            except (KeyboardInterrupt, Terminated, ModelError, DeviceError):
                if last and not last.endswith("\n"):
                    self.console.data("\n")  # what follows starts on a line of its own
                raise
            end = "\0" if self.print0 else "" if last.endswith("\n") else "\n"
            self.console.data(end)
            self.results.count(finished)
            return finished
        from hfcli.records import Row

        ((finished,),) = generator.run([Row(record, "")], lambda event: None, lambda finished: None)
        if finished.error is not None:
            raise finished.error
        self._emit([finished], generator, out, raw=decoding.num_return_sequences == 1, digest="")
        return finished

    def _single(self, given: list[str] | None) -> tuple[dict[str, Any], str]:
        """The one record, and where it stands for messages."""
        from hfcli import records

        if given is not None and len(given) == 1:
            return {"prompt": given[0]}, ""
        with records.read(self.source.file or "-", field=self._field(), slurp=True) as source:
            record = next(iter(source)).record or {}
        if given is None:
            return record, f"{source.name}: "
        return {"prompt": f"{given[0]}\n\n{record[self._field()]}"}, ""

    def many(self) -> None:
        """A record a line; with --output, crash-safe and resumable."""
        from hfcli import records

        asked = self.source
        with records.read(
            asked.file or "-", format=asked.input_format, field=self._field(), on_error=asked.on_error
        ) as source:
            if self._complete():
                return
            # What a file holds is looked at before a model is loaded for it; whoever writes a pipe may take as long.
            rows = self._with_first(source) if source.size_bytes is not None else None
            generator = self.generator()
            rows = self._with_first(source) if rows is None else rows
            self.results.json = self.results.json or (source.format != "text" and not self.print0)
            self.console.begin()
            with self._open_output(generator) as out:
                started = time.monotonic()
                count = self._work(generator, rows, source, out)
                if out is not None:
                    out.finish()
            self.results.summary(count, time.monotonic() - started, generator.decoding)
            if self.output.verbose:
                self.results.verbose(generator, time.monotonic() - started, self.why)
        if self.results.failed:
            raise typer.Exit(Exit.SOME_FAILED)

    def _field(self) -> str:
        """The column that plain text becomes: what the prompt is made of."""
        template = self.prompts.template
        return self.prompts.prompt_column or ("text" if template and "{prompt}" not in template else "prompt")

    def _work(self, generator: "Generator", rows: "Iterator[Row]", source: "Source", out: "Output | None") -> int:
        from hfcli.writing import InputDigest

        digest = InputDigest()
        done = count = self._skip(generator, rows, digest, out) if out is not None and out.done else 0

        def fraction(finished: float) -> float | None:
            share = source.share
            return share * finished / source.rows if share and source.rows else None

        try:
            for finished in generator.run(
                rows, self.console.tell, fraction, done=count, patient=source.size_bytes is not None
            ):
                for one in finished:
                    digest.update(one.record)
                count += len(finished)
                self._emit(finished, generator, out, raw=False, digest=digest.hexdigest())
        except (KeyboardInterrupt, Terminated, HfcliError):
            self._stopped(out)
            raise
        return count - done

    def _skip(self, generator: "Generator", rows: "Iterator[Row]", digest: Any, out: "Output") -> int:
        """Pass over the records an earlier run has finished, once they are known to be the same."""
        for _ in range(out.done):
            row = next(rows, None)
            if row is None:
                break
            digest.update(row.record)
            try:
                if row.record is None:
                    raise row.error or DataError("unreadable")
                generator.skip(row.record)
            except DataError:  # it got an error in its place
                self.results.failed += 1
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
        from itertools import chain

        from hfcli.tasks import text_generation

        rows = iter(source)
        first = next(rows)
        columns = dict.fromkeys(source.columns, " ") if source.columns is not None else first.record
        where = first.where if source.columns is None else source.name
        if columns is not None and (source.columns is not None or self.source.on_error == "fail"):
            try:
                text_generation.ask(columns, self.prompts)
            except DataError as error:
                raise DataError(f"{where}: {error.message}", error.hint) from None
        return chain([first], rows)

    def _open_output(self, generator: "Generator | None") -> Any:
        from contextlib import nullcontext

        if self.output.output is None:
            return nullcontext()
        from hfcli.writing import Output

        used: dict[str, Any] = {"prompts": asdict(self.prompts), "json": self.results.json, "print0": self.print0}
        if generator is not None:
            loaded = generator.loaded
            used |= generator.decoding.settings() | {
                "model": str(loaded.location),
                "dtype": loaded.placement.dtype_name,
            }
            used |= {"adapter": str(loaded.adapter)} if loaded.adapter else {}
        return Output(self.output.output, settings=used, resume=self.output.resume, overwrite=self.output.overwrite)

    def _emit(
        self, finished: "list[Finished]", generator: "Generator", out: "Output | None", raw: bool, digest: str
    ) -> None:
        """Write a chunk's results, and count what the summary tells."""
        lines: list[bytes] = []
        for one in finished:
            self.results.count(one)
            lines += [line.encode("utf-8", "replace") for line in self.results.lines(one, generator.decoding, raw)]
        if out is not None:
            out.write(lines, digest, len(finished))
        elif self.print0:
            self.console.data_bytes(b"".join(line + b"\0" for line in lines))
        else:
            self.console.data("".join(line.decode() + "\n" for line in lines))

    def _report_waiting(self, prompt: str) -> None:
        if bytes_waiting():
            self.console.note(
                "text on standard input was not read; to append it, end the line with -\n"
                f"... | hfcli generate {quoted(prompt)} -"
            )

    def _stopped(self, out: "Output | None") -> None:
        if out is not None and out.done and os.path.exists(f"{self.output.output}.partial"):
            self.console.close()
            self.console.line(f"{out.done:,} records are kept in {self.output.output}.partial")
            self.console.line("hint:  the same line with --resume goes on from there")
