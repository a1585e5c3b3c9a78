"""`hfcli generate`: text from a prompt, or from as many prompts as come."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hfcli.cli import _origins, _ranks
from hfcli.cli._expand import expand
from hfcli.cli._job import Job
from hfcli.cli._refuse import refuse
from hfcli.cli._results import Results
from hfcli.cli._stdin import bytes_waiting, quoted
from hfcli.cli.console import Console
from hfcli.errors import DataError, DeviceError, ModelError, Terminated, UsageError
from hfcli.options import DEFAULT_MODEL, DecodingOptions, InputOptions, ModelOptions, OutputOptions, PromptOptions
from hfcli.options.ranks import RankOptions

if TYPE_CHECKING:
    from hfcli.records import Source
    from hfcli.runtime.chunking import Finished
    from hfcli.runtime.prediction import Generator
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
    ranks: RankOptions,
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
    if prompt and prompt[0] != "-":  # what a file says of records is not meant for one prompt
        prompts = _origins.left_out(prompts, "template", "prompt_column")
        source = _origins.left_out(source, "file", "input_format", "slurp", "on_error", "shard")
        ranks = _origins.left_out(ranks, "num_processes")
    given = refuse(prompt or [], model, decoding, prompts, source, output)
    if source.slurp:
        ranks = _origins.left_out(ranks, "num_processes")
    if ranks.num_processes not in (None, "1", "auto") and (given is not None or source.slurp):
        raise UsageError("--num-processes shares many records, and this is one prompt", "leave out --num-processes")
    if print0 and (output.json or output.output):
        flag, instead = ("--json", "") if output.json else ("--output", ", or redirect: > FILE")
        raise UsageError(f"--print0 ends texts with NUL bytes, {flag} writes lines", f"leave one of them out{instead}")
    console = Console(output.quiet)
    try:
        command = _Generate(console, model, decoding, prompts, source, output, print0)
        if given is not None or source.slurp:
            with _ranks.alone():
                command.one(given)
        else:
            with _ranks.shared(ranks, model.device):
                command.job.from_input()
    finally:
        console.close()


class _Generate:
    """One call of generate: what was asked for, and how it is shown."""

    generator: "Generator"

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
        self.why = _origins.where("model") or "-m"
        if not model.model:
            self.why = "default; -m, HFCLI_MODEL or `hfcli config set model NAME` change it"
            model = replace(model, model=DEFAULT_MODEL)
        self.model, self.decoding, self.prompts, self.source, self.output = model, decoding, prompts, source, output
        self.print0 = print0
        self.results = Results(console, output.json, print0, prompts.on_long)
        self.job = Job(self, console, source, output, b"\0" if print0 else b"\n")

    @property
    def field(self) -> str:
        """The column that plain text becomes: what the prompt is made of."""
        template = self.prompts.template
        return self.prompts.prompt_column or ("text" if template and "{prompt}" not in template else "prompt")

    def check(self, record: Mapping[str, Any]) -> None:
        from hfcli.tasks import text_generation

        text_generation.ask(record, self.prompts)

    def load(self) -> "Generator":
        """Load the model; everything that can be wrong with the flags alone was checked before."""
        from hfcli import tasks
        from hfcli.runtime import loading, prediction
        from hfcli.runtime.decoding import resolve

        loaded = loading.load(tasks.get("text-generation"), self.model, self.console.tell)
        resolved = resolve(self.decoding, loaded.model.generation_config, loaded.max_tokens)
        keep_going, shard = self.source.on_error == "record", self.source.shard or (1, 1)
        self.generator = prediction.Generator(loaded, resolved, self.prompts, keep_going, shard)
        return self.generator

    def begin(self, source: "Source | None") -> None:
        mixed = source is not None and source.format != "text"
        self.results.json = self.results.json or (mixed and not self.print0)

    def settings(self) -> dict[str, Any]:
        loaded = self.generator.loaded
        used = self._asked() | self.generator.decoding.settings()
        used |= {"model": str(loaded.location), "dtype": loaded.placement.dtype_name}
        return used | ({"adapter": str(loaded.adapter)} if loaded.adapter else {})

    def _asked(self) -> dict[str, Any]:
        return {"prompts": asdict(self.prompts), "json": self.results.json, "print0": self.print0}

    def count(self, finished: "Finished | None") -> None:
        self.results.count(finished)

    def lines(self, finished: "Finished") -> Iterator[str]:
        return self.results.lines(finished, self.generator.decoding)

    def end(self, count: int, seconds: float) -> bool:
        self.results.summary(count, seconds, self.generator.decoding)
        if self.output.verbose:
            self.results.verbose(self.generator, seconds, self.why)
            _origins.tell(self.console)
        return not self.results.failed

    def one(self, given: list[str] | None) -> None:
        """One prompt: from the command line, or everything that an input holds."""
        record, where = self._single(given)
        with self.job.open_output(self._asked) as out:
            generator = self.load()
            if given is not None and len(given) == 1:
                self._report_waiting(given[0])
            self.console.close()
            started = time.monotonic()
            try:
                generator.encode(record)
            except DataError as error:
                raise DataError(f"{where}{error.message}", error.hint) from error
            finished = self._one(record, out)
            if out is not None:
                out.finish()
        self.results.announce(finished, generator.decoding, self.decoding.max_new_tokens)
        if self.output.verbose:
            self.results.verbose(generator, time.monotonic() - started, self.why)
            _origins.tell(self.console)

    def _one(self, record: dict[str, Any], out: "Output | None") -> "Finished":
        generator = self.generator
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
        self.results.raw = decoding.num_return_sequences == 1
        self.job.emit([finished], out, digest="")
        return finished

    def _single(self, given: list[str] | None) -> tuple[dict[str, Any], str]:
        """The one record, and where it stands for messages."""
        from hfcli import records

        if given is not None and len(given) == 1:
            return {"prompt": given[0]}, ""
        with records.read(self.source.file or "-", field=self.field, slurp=True) as source:
            record = next(iter(source)).record or {}
        if given is None:
            return record, f"{source.name}: "
        return {"prompt": f"{given[0]}\n\n{record[self.field]}"}, ""

    def _report_waiting(self, prompt: str) -> None:
        if bytes_waiting():
            self.console.note(
                "text on standard input was not read; to append it, end the line with -\n"
                f"... | hfcli generate {quoted(prompt)} -"
            )
