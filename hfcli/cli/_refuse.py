"""What `hfcli generate` refuses before anything is loaded: flags that contradict each other or would do nothing."""

import contextlib
import dataclasses
import os
import shlex
from typing import Any

from hfcli.errors import UsageError
from hfcli.options import DecodingOptions, InputOptions, ModelOptions, OutputOptions, PromptOptions


def refuse(
    given: list[str],
    model: ModelOptions,
    decoding: DecodingOptions,
    prompts: PromptOptions,
    source: InputOptions,
    output: OutputOptions,
) -> list[str] | None:
    """Refuse what cannot be meant.

    Returns:
        The positional arguments when there is a PROMPT, else None.

    Raises:
        UsageError: Says which flags, and what to leave out.
    """
    for options in (model, prompts, source, output):
        no_empty_text(options)
    not_over_input(output, source.file)
    decoding.check()
    output.check()
    if given and given[-1] == "-" and source.file is not None:
        raise UsageError("- and --file are two inputs", "leave one of them out")
    if len(given) > 2 or (len(given) == 2 and (given[1] != "-" or given[0] == "-")):
        words = [word for word in given if word != "-"]
        hint = f"quote it: hfcli generate {shlex.quote(' '.join(words))}" + " -" * ("-" in given)
        raise UsageError(f"{len(given)} prompts were given, one is wanted", hint)
    has_prompt = bool(given) and given[0] != "-"
    if has_prompt and not given[0]:
        raise UsageError("the prompt is empty", 'hfcli generate "Once upon a time"')
    if prompts.template is not None:
        from hfcli.tasks.text_generation import check_template

        check_template(prompts.template)
    if prompts.template is not None and prompts.prompt_column is not None:
        raise UsageError("--template and --prompt-column both make the prompt", "leave one of them out")
    if not has_prompt and not source.file and not given and os.isatty(0):
        raise UsageError("no prompt", 'hfcli generate "Once upon a time", or hfcli generate --file prompts.txt')
    if has_prompt:
        _no_records(prompts, source)
    if has_prompt or source.slurp:
        _one_text(source, output, "PROMPT" if has_prompt else "--slurp")
    return given if has_prompt else None


def no_empty_text(options: Any) -> None:
    """Refuse a flag with an empty text, which is what an unset variable leaves behind: `-m "$MODEL"`.

    Raises:
        UsageError: Says which.
    """
    for field in dataclasses.fields(options):
        if getattr(options, field.name) == "":
            flag = "--" + field.name.replace("_", "-")
            raise UsageError(f"{flag} is empty", f"give it a value, or leave out {flag}")


def not_over_input(output: OutputOptions, *paths: str | None) -> None:
    """Refuse to write over what is read.

    Raises:
        UsageError: --output is one of these files.
    """
    for path in filter(None, paths):
        with contextlib.suppress(OSError):
            if output.output and os.path.samefile(output.output, path):
                raise UsageError(f"--output {output.output} is what is read, and would be lost", "-o another file")


def _no_records(prompts: PromptOptions, source: InputOptions) -> None:
    if source.file is not None:
        hint = "--template 'Summarise: {text}' puts a text around records"
        raise UsageError("PROMPT and --file were both given", hint)
    about_records = {
        "--template": prompts.template is not None,
        "--prompt-column": prompts.prompt_column is not None,
        "--slurp": source.slurp,
        "--shard": source.shard is not None,
    }
    for flag, used in about_records.items():
        if used:
            raise UsageError(f"{flag} is about records, and a PROMPT was given", f"leave out PROMPT or {flag}")


def _one_text(source: InputOptions, output: OutputOptions, why: str) -> None:
    about_many = {
        "--input-format": source.input_format not in ("auto", "text"),
        "--on-error record": source.on_error == "record",
        "--resume": output.resume,
        "--shard": source.shard is not None,
    }
    for flag, used in about_many.items():
        if used:
            raise UsageError(f"{flag} is about many records, and {why} makes one text", f"leave out {flag}")
