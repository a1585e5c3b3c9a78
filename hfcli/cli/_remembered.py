"""What `hfcli history` keeps of a run: its flags without texts, hashes, scores, seconds and exit code."""

import contextlib
import hashlib
import json
import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from hfcli import __version__, history, launch
from hfcli.cli import _origins
from hfcli.cli.console import ClosedOutput
from hfcli.errors import Exit, HfcliError, Terminated

JOBS = ("generate", "finetune", "classify", "qa", "eval", "compare", "run")
# Parameters whose values are texts, by name; only how many there were is kept.
_TEXTS = {
    *("prompt", "texts", "questions", "question", "context"),
    *("template", "system", "stop", "hypothesis_template", "labels"),
}
_DIGITS = 12

_found: dict[str, Any] = {}


def scores(found: Mapping[str, Mapping[str, Any]], signature: object) -> None:
    """Keep what the running command measured.

    Args:
        found: By the name of a score: value, low, high and n; NaN counts as None.
        signature: What was measured and how; a hash of it is kept.
    """
    told = {name: {key: _finite(value) for key, value in score.items()} for name, score in found.items()}
    _found.update(scores=told, score_hash=_hash(signature))


def scores_of(metrics_json: str) -> None:
    """Keep what a finetuned model was found to reach, from the content of its metrics.json."""
    told = json.loads(metrics_json)
    measured = [row for row in told["data"] if row["role"] == "evaluation"]
    scores(told["scores"], [sorted(told["scores"]), measured])


@contextlib.contextmanager
def run(ctx: Any) -> Iterator[None]:
    """Keep the run that happens inside, if it is a job that began."""
    _found.clear()
    started, clock, code = time.time(), time.monotonic(), int(Exit.OK)
    try:
        yield
    except BaseException as error:
        code = _code(error)
        raise
    finally:
        about_hfcli = ctx.params.get("list_metrics") or ctx.params.get("dry_run")
        kept = history.wanted() and not launch.handed_on  # what ranks are started for rank 0 keeps
        if ctx.command.name in JOBS and code != Exit.USAGE and not about_hfcli and kept:
            history.append(_entry(ctx, started, time.monotonic() - clock, code))


def _code(error: BaseException) -> int:
    """The exit code that this ends the process with."""
    if isinstance(error, typer.Exit | HfcliError):
        return int(error.exit_code)
    codes = {
        typer.TyperException: Exit.USAGE,
        ClosedOutput: Exit.OK,
        KeyboardInterrupt: Exit.INTERRUPTED,
        Terminated: Exit.TERMINATED,
    }
    if isinstance(error, RuntimeError) and launch.voice.is_loss(error):
        return int(Exit.DEVICE)
    return next((int(code) for kind, code in codes.items() if isinstance(error, kind)), int(Exit.BUG))


def _entry(ctx: Any, started: float, seconds: float, code: int) -> dict[str, Any]:
    arguments: list[Any] = []
    flags: dict[str, Any] = {}
    texts: dict[str, int] = {}
    given: dict[str, Any] = {}
    for option in ctx.command.params:
        name, value = option.name, ctx.params.get(option.name)
        source = ctx.get_parameter_source(name)
        values = list(value) if isinstance(value, list | tuple) else [value]
        if name == "help" or source is None or source.name == "DEFAULT" or value == option.default or not values:
            continue
        if source.name != "COMMANDLINE" and _origins.get(name) is None:  # it was not meant for this line
            continue
        given[name] = values
        flag = next((each[2:] for each in option.opts if each.startswith("--")), name)
        if name in _TEXTS:
            texts[flag] = len(values)
        elif option.param_type_name == "argument":
            arguments += values
        else:
            flags[flag] = [_short(each, name == "set") for each in values] if option.multiple else value
    if "model" not in flags and (taken := _origins.get("model")) is not None:
        given["model"] = flags["model"] = taken.value
    folder = ""
    with contextlib.suppress(OSError):  # it may be gone
        folder = os.getcwd()
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "command": ctx.command.name,
        "arguments": arguments,
        "flags": flags,
        "texts": texts,
        "folder": folder,
        "line_hash": _hash([ctx.command.name, given]),
        **_found,
        "seconds": round(seconds, 2),
        "exit": code,
        "hfcli": __version__,
    }


def _short(value: Any, variable: bool) -> Any:
    """A value of a flag that may be repeated; of a recipe's variables, what is a number or a path that is there."""
    name, equals, rest = str(value).partition("=")
    if variable:
        number = re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", rest, re.ASCII | re.IGNORECASE)
        return value if number or (rest and os.path.exists(rest)) else f"{name}=..."
    return f"{name}=..." if equals and " " in rest.strip() else value


def _hash(content: object) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:_DIGITS]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
