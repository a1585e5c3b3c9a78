"""Every option of every command, once: a field is a flag, its default and its help text.

A command lists the groups it takes (`hfcli.cli._expand` turns their fields into flags) and hands them on as they are.
Rules between options stand in `check` methods, which raise UsageError; ranges stand beside the field. Groups that
several commands share, and those of `hfcli generate`, are here; training and classifying have files of their own.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import typer

from hfcli.errors import UsageError
from hfcli.options._numbers import number, share, whole

DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"


@dataclass(frozen=True)
class ModelName:
    """Which model."""

    model: Annotated[
        str | None,
        typer.Option(
            "-m", "--model", envvar="HFCLI_MODEL", help="Hub name, folder or builtin/NAME.", show_default=False
        ),
    ] = None


@dataclass(frozen=True)
class LoadingOptions:
    """Where a model comes from, and on what it runs."""

    adapter: Annotated[
        str | None, typer.Option("--adapter", help="PEFT adapter (folder or Hub name) put on the model.")
    ] = None
    revision: Annotated[str | None, typer.Option("--revision", help="Branch, tag or commit on the Hub.")] = None
    device: Annotated[str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.")] = "auto"
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        typer.Option("--dtype", help="Number format to compute in; auto picks what is fast here."),
    ] = "auto"
    offline: Annotated[
        bool, typer.Option("--offline", envvar="HF_HUB_OFFLINE", help="Use what is on this machine, no network.")
    ] = False
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the Python code that comes with the model.")
    ] = False
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Load .bin weights too (weights_only), not just safetensors.")
    ] = False


@dataclass(frozen=True)
class ModelOptions(LoadingOptions, ModelName):
    """Which model, from where, and on what it runs."""


@dataclass(frozen=True)
class PromptOptions:
    """How a record becomes a prompt."""

    prompt_column: Annotated[
        str | None,
        typer.Option("--prompt-column", help="Column that holds the prompt.", show_default="prompt, messages"),
    ] = None
    template: Annotated[
        str | None, typer.Option("--template", help="Prompt made from columns: 'Summarise: {text}'; {{ is a brace.")
    ] = None
    system: Annotated[str | None, typer.Option("--system", help="System message, for chat models.")] = None
    chat_template: Annotated[
        bool,
        typer.Option("--chat-template/--no-chat-template", help="Apply the tokenizer's chat template, if it has one."),
    ] = True
    split_special_tokens: Annotated[
        bool,
        typer.Option(
            "--split-special-tokens/--no-split-special-tokens",
            help="Take special tokens such as </s> in a prompt as plain text.",
        ),
    ] = True
    on_long: Annotated[
        Literal["error", "truncate", "truncate-left"],
        typer.Option(
            "--on-long", help="A prompt beyond the model's length: stop, or drop its end or its beginning (counted)."
        ),
    ] = "error"


@dataclass(frozen=True)
class DecodingOptions:
    """How the next token is chosen. None means: what the model's own generation_config says."""

    max_new_tokens: Annotated[
        int, typer.Option("--max-new-tokens", parser=whole(1), metavar="N", help="Longest answer, in tokens.")
    ] = 256
    sample: Annotated[
        bool | None,
        typer.Option(
            "--sample/--greedy", help="Draw each token, or take the likeliest.", show_default="as the model says"
        ),
    ] = None
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", parser=number(0), metavar="T", help="Flatter above 1; 0 is greedy."),
    ] = None
    top_k: Annotated[
        int | None, typer.Option("--top-k", parser=whole(1), metavar="K", help="Sample from the K likeliest tokens.")
    ] = None
    top_p: Annotated[
        float | None,
        typer.Option("--top-p", parser=number(0, 1, above=True), metavar="P", help="... from the fewest that hold P."),
    ] = None
    min_p: Annotated[
        float | None,
        typer.Option("--min-p", parser=number(0, 1), metavar="P", help="... from those above P times the likeliest."),
    ] = None
    repetition_penalty: Annotated[
        float | None,
        typer.Option("--repetition-penalty", parser=number(0, above=True), metavar="R", help="Above 1 avoids repeats."),
    ] = None
    no_repeat_ngram_size: Annotated[
        int | None,
        typer.Option("--no-repeat-ngram-size", parser=whole(1), metavar="N", help="No N tokens in a row twice."),
    ] = None
    num_beams: Annotated[
        int | None, typer.Option("--num-beams", parser=whole(1), metavar="N", help="Beam search with N beams.")
    ] = None
    length_penalty: Annotated[
        float | None,
        typer.Option("--length-penalty", parser=number(-10, 10), metavar="L", help="Above 1 beams prefer long texts."),
    ] = None
    min_new_tokens: Annotated[
        int | None, typer.Option("--min-new-tokens", parser=whole(0), metavar="N", help="Shortest answer, in tokens.")
    ] = None
    num_return_sequences: Annotated[
        int,
        typer.Option(
            "--num-return-sequences", parser=whole(1), metavar="N", help="Texts per prompt (sampling or beams)."
        ),
    ] = 1
    stop: Annotated[
        list[str], typer.Option("--stop", help="Stop before this text; may be repeated.", show_default=False)
    ] = field(default_factory=list)
    seed: Annotated[int, typer.Option("--seed", parser=whole(0, 2**63), metavar="N", help="Seed of sampling.")] = 0

    def check(self) -> None:
        """Refuse combinations that contradict each other, before anything is loaded."""
        sampling = [name for name in ("temperature", "top_k", "top_p", "min_p") if getattr(self, name)]
        flags = ", ".join("--" + name.replace("_", "-") for name in sampling)
        if self.sample is False and sampling:
            raise UsageError(f"--greedy takes the likeliest token, {flags} samples", f"leave out --greedy or {flags}")
        if self.sample and self.temperature == 0:
            raise UsageError("--temperature 0 is greedy, --sample is not", "leave one of them out")
        if (self.num_beams or 1) > 1 and (self.sample or sampling):
            raise UsageError(
                f"--num-beams searches, {flags or '--sample'} samples; they cannot be combined", "leave one of them out"
            )
        if self.temperature == 0 and len(sampling) > 0:
            raise UsageError(f"--temperature 0 is greedy, {flags} samples", "leave one of them out")
        if (self.num_beams or 1) > 1 and self.num_return_sequences > (self.num_beams or 1):
            raise UsageError(
                f"--num-beams {self.num_beams} finds fewer than --num-return-sequences {self.num_return_sequences}",
                f"--num-beams {self.num_return_sequences}",
            )
        if (self.min_new_tokens or 0) > self.max_new_tokens:
            raise UsageError(
                f"--min-new-tokens {self.min_new_tokens} is more than --max-new-tokens {self.max_new_tokens}",
                f"--max-new-tokens {self.min_new_tokens}",
            )
        if any(not text for text in self.stop):
            raise UsageError("--stop needs some text", r"--stop $'\n' stops at the end of the line")


@dataclass(frozen=True)
class RecordOptions:
    """Where records come from."""

    file: Annotated[
        str | None,
        typer.Option("--file", help="Text, JSONL, JSON, CSV, TSV, CoNLL or Parquet, .gz; - is standard input."),
    ] = None
    input_format: Annotated[
        Literal["auto", "text", "jsonl", "json", "csv", "tsv", "conll", "parquet"],
        typer.Option("--input-format", help="Format of --file or standard input."),
    ] = "auto"
    on_error: Annotated[
        Literal["fail", "record"],
        typer.Option("--on-error", help='A bad record: stop, or write {"error": ...} in its place and exit 3.'),
    ] = "fail"
    shard: Annotated[
        Any,  # Typer knows no tuples that are written as one word
        typer.Option("--shard", parser=share, metavar="K/N", help="Every Nth record, from the Kth on; for job arrays."),
    ] = None


@dataclass(frozen=True)
class InputOptions(RecordOptions):
    """... or one record, the whole input."""

    slurp: Annotated[bool, typer.Option("--slurp", help="Take the whole input as one record.")] = False


@dataclass(frozen=True)
class OutputOptions:
    """Where results go, and how much is said."""

    output: Annotated[
        str | None, typer.Option("-o", "--output", help="Write here; complete or not there (FILE.partial until then).")
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished --output.")] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start an unfinished --output again.")] = False
    json: Annotated[bool, typer.Option("--json", help="JSON lines, whatever the input was.")] = False
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no notes; errors only.")] = False
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Say which model, settings and device were used.")
    ] = False

    def check(self) -> None:
        """Refuse combinations that contradict each other, before anything is loaded."""
        if self.resume and self.overwrite:
            raise UsageError("--resume goes on, --overwrite starts again", "leave one of them out")
        if self.quiet and self.verbose:
            raise UsageError("--quiet says nothing and --verbose more", "leave one of them out")
        if (self.resume or self.overwrite) and not self.output:
            flag = "--resume" if self.resume else "--overwrite"
            raise UsageError(f"{flag} needs --output FILE", "what went to standard output cannot be taken up again")
