"""What the Tab key offers behind a flag: names that exist. Where there are none the shell offers files.

Typer answers the shell: it runs `hfcli` with the line in the environment, and prints what fits. Nothing here may be
slow, and nothing may fail: what goes wrong is no offer.
"""

import inspect
import os
import shlex
from collections.abc import Callable
from typing import Any

import typer

VARIABLE = "_HFCLI_COMPLETE"
_MOST_BYTES = 1 << 20  # a JSON document is read whole, however little of it is wanted
# Flags that say where records are, the likeliest first.
_DATA = ("file", "dataset", "predictions", "references", "eval_dataset")


def line() -> list[str] | None:
    """The words that are complete on the line the shell asks about, without `hfcli`; None where no shell asks."""
    if not os.environ.get(VARIABLE):
        return None
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    try:
        words = shlex.split(typed)
    except ValueError:  # a quote is still open
        words = typed.split()
    if "COMP_CWORD" in os.environ and os.environ["COMP_CWORD"].isdecimal():
        return words[1 : int(os.environ["COMP_CWORD"])]
    return words[1:] if typed.endswith((" ", "\n")) else words[1:-1]


def attach(name: str, command: Callable[..., None]) -> None:
    """Let a command's parameters offer what is known for their names."""
    for parameter in inspect.signature(command).parameters.values():
        offer = _OFFERS.get(f"{name} {parameter.name}") or _OFFERS.get(parameter.name)
        for info in getattr(parameter.annotation, "__metadata__", ()):
            if offer is not None and info.autocompletion is None:
                info.autocompletion = offer


def recipe_names(incomplete: str) -> list[str]:
    """Shipped recipes; what looks like a path is left to the shell."""
    from hfcli import recipes

    return _fitting((path.stem for path in recipes.folder().glob("*.yaml")), incomplete)


def models(incomplete: str) -> list[str]:
    """Embedded models."""
    import hfcli

    folder = os.path.join(os.path.dirname(hfcli.__file__), "builtin")
    return _fitting((f"builtin/{each.name}" for each in os.scandir(folder) if each.is_dir()), incomplete)


def metrics(incomplete: str) -> list[str]:
    """Metrics, by the names that --metric takes."""
    from hfcli import metrics as known

    return _fitting((row["name"] for row in known.listed()), incomplete)


def columns(ctx: typer.Context, incomplete: str) -> list[str]:
    """Columns of the first record of a local file that is on the line."""
    flags = [ctx.params.get(name) for name in _DATA]
    given = [each for value in flags for each in (value if isinstance(value, list | tuple) else [value])]
    # Arguments are not known while a flag in front of them waits for its value.
    path = next((each for each in (*given, *(line() or [])) if isinstance(each, str) and os.path.isfile(each)), None)
    return _fitting(_columns(path), incomplete) if path else []


def _columns(path: str) -> list[str]:
    from hfcli import records

    whole = path.lower().removesuffix(".gz").endswith(".json")
    if whole and os.path.getsize(path) > _MOST_BYTES:
        return []
    try:
        with records.read(path) as source:
            return [*(next(iter(source)).record or {})]
    except Exception:  # whatever is wrong with the file is said when it is used; here it would garble the line
        return []


def keys(incomplete: str) -> list[str]:
    """What `hfcli config` can set: command by command, so that only the one that is asked for is read."""
    from hfcli.cli import NAMES, application
    from hfcli.cli._settings import MODEL, ONE_RUN, SHARED, WITHOUT, flags

    command, dot, _ = incomplete.partition(".")
    names = [name for name in NAMES if name not in WITHOUT]
    if not dot:
        return _fitting([MODEL, *SHARED, *(f"{name}." for name in names)], incomplete)
    if command not in names:
        return []
    built = typer.main.get_group(application([command])).commands[command]
    return _fitting((f"{command}.{flag}" for flag in flags(built) if flag not in (*ONE_RUN, "help")), incomplete)


def _fitting(names: Any, incomplete: str) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))


def _words(*words: str) -> Callable[[str], list[str]]:
    def offer(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return offer


# By parameter, or by command and parameter.
_OFFERS: dict[str, Callable[..., list[str]]] = {
    "model": models,
    "finetune name": models,
    "scorer": models,
    "metric": metrics,
    "metric_for_best_model": metrics,
    "device": _words("auto", "cpu", "cuda", "mps"),
    "group_by": columns,
    "config action": _words("list", "path", "get", "set", "unset"),
    "config key": keys,
    "data action": _words("check"),
    "run name": recipe_names,
    "recipes name": recipe_names,
    "recipes action": _words("show", "copy", "check"),
}
_OFFERS |= dict.fromkeys(
    (
        *("text_column", "text_pair_column", "label_column", "question_column", "context_column", "answers_column"),
        *("prompt_column", "prediction_column", "reference_column"),
    ),
    columns,
)
