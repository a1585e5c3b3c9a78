"""`hfcli config`: the few settings that outlive a command."""

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated

import typer

from hfcli.cli.console import Console
from hfcli.errors import DataError, UsageError, did_you_mean

KEYS = {"model": "what generate, and perplexity in eval, use without -m and HFCLI_MODEL"}


def path() -> Path:
    """Where the settings are: XDG_CONFIG_HOME, else ~/.config."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "hfcli" / "config.toml"


def load() -> dict[str, str]:
    """The settings; {} without a file.

    Raises:
        DataError: The file is not TOML, or holds something hfcli does not know.
    """
    try:
        settings = tomllib.loads(path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path()} cannot be read: {error}", "hfcli config prints where it is and what may stand in it"
        ) from error
    for key, value in settings.items():
        _check(key)
        if not isinstance(value, str):
            raise DataError(f"{path()}: {key} must be text in quotes", f"hfcli config set {key} VALUE")
    return settings


def config(
    action: Annotated[str | None, typer.Argument(help="get, set or unset; without it all settings are listed.")] = None,
    key: Annotated[str | None, typer.Argument(help="The setting: model.")] = None,
    value: Annotated[str | None, typer.Argument(help="Its new value.")] = None,
) -> None:
    """Show or change your settings.

    \b
    hfcli config set model ./smollm2
    """
    console = Console()
    if action is None:
        settings = load()
        console.line(f"{path()}{'' if path().exists() else ' (not there yet)'}")
        for name, meaning in KEYS.items():
            console.data(
                f"{name} = {json.dumps(settings[name])}\n" if name in settings else f"# {name}: not set; {meaning}\n"
            )
        return
    arguments = {"get": 1, "set": 2, "unset": 1}
    if action not in arguments:
        raise UsageError(f"no action {action}; there is get, set and unset", did_you_mean(action, arguments))
    given = sum(argument is not None for argument in (key, value))
    if key is None or given != arguments[action]:
        raise UsageError(
            f"config {action} takes {'KEY VALUE' if action == 'set' else 'KEY'}", "hfcli config set model NAME"
        )
    _check(key)
    if action == "get":
        settings = load()
        if key in settings:
            console.data(settings[key] + "\n")
    else:
        _write(key, value)


def _check(key: str) -> None:
    if key not in KEYS:
        raise UsageError(f"no setting {key}; there is {', '.join(KEYS)}", did_you_mean(key, KEYS))


def _write(key: str, value: str | None) -> None:
    """Replace the line of one setting; comments and everything else in the file stay."""
    load()
    file = path()
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    kept = [line for line in lines if not re.match(rf"\s*{key}\s*=", line)]
    if value is not None:
        kept.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".toml.new")
        draft.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        raise DataError(f"{file} cannot be written ({(error.strerror or str(error)).lower()})") from error
