"""Defaults for flags, from configuration files: which files there are, what they hold, and which flags it reached.

    ~/.config/hfcli/config.toml        the user's
    hfcli.toml                         the project's, in the working folder or above it

    device = "cuda:1"                  # of every command that has the flag
    model = "./smollm2"                # of what writes: generate, and perplexity in eval
    [generate]
    max-new-tokens = 100               # --max-new-tokens of generate

A flag on the command line comes first, then the environment, the project's file, the user's, and what is built in. A
project's file may come from strangers, so it cannot allow code, pickles or uploads.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hfcli.errors import DataError, did_you_mean, nearest

PROJECT = "hfcli.toml"
SHARED = ("device", "dtype", "offline", "quiet", "num-processes")
"""Flags that mean the same in every command, so that they can stand above the tables."""
MODEL = "model"
WITHOUT = ("config", "demo")
"""Commands without defaults from files."""
ONE_RUN = (
    *("output", "details", "flips", "resume", "overwrite", "force", "dry-run", "list-metrics"),
    *("from", "only", "set", "clear", "prefetch"),
)
"""Flags that belong to one run, and so cannot be defaults."""
STRANGERS = {
    "trust-remote-code": "runs code",
    "allow-pickle": "loads pickles",
    "push-to-hub": "uploads",
    "report-to": "sends results away",
}
"""What a project's file may not set."""


class Origin(NamedTuple):
    """Where a value came from.

    Attributes:
        where: HFCLI_MODEL, or the file as it is shown.
        key: Of the file: generate.max-new-tokens; "" for an environment variable.
    """

    where: str
    key: str


class File(NamedTuple):
    """One configuration file, read.

    Attributes:
        path: Where it is.
        project: Whether it is a project's, which may come from strangers.
        content: What it holds; nothing is checked yet.
    """

    path: Path
    project: bool
    content: dict[str, Any]

    @property
    def shown(self) -> str:
        """Its name for messages, short."""
        return shown(self.path)


def shown(path: Path) -> str:
    """A path for messages: a project's from the working folder, the user's from the home folder."""
    home, text = os.path.expanduser("~"), str(path)
    if path.name == PROJECT:
        return os.path.relpath(text)
    return f"~{text[len(home) :]}" if text.startswith(home + os.sep) else text


def user_path() -> Path:
    """The user's file: below XDG_CONFIG_HOME, else ~/.config, on macOS too."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(base) / "hfcli" / "config.toml"


def project_path() -> Path | None:
    """The project's file: in the working folder, or in the nearest folder above it that has one.

    Above it is looked only inside of what belongs together: up to the folder with .git, else below the home folder.
    """
    try:
        here = Path.cwd()
    except OSError:
        return None
    home = Path(os.path.expanduser("~"))
    above = [here, *here.parents]
    root = next((at for at, folder in enumerate(above) if (folder / ".git").exists()), None)
    if home in above and (root is None or root > above.index(home)):
        root = above.index(home)
    folders = above[: (root or 0) + 1]
    return next((folder / PROJECT for folder in folders if (folder / PROJECT).is_file()), None)


def read(path: Path, *, project: bool = False) -> File | None:
    """One file; None where there is none.

    Raises:
        DataError: It is not TOML, or cannot be read.
    """
    import tomllib

    try:
        return File(path, project, tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        raise DataError(f"{shown(path)} cannot be read: {reason}", f"mend it in an editor, {path}") from error


def files() -> list[File]:
    """The user's file and then the project's, as far as they are there. HFCLI_CONFIG=0 leaves both out.

    Raises:
        DataError: One is not TOML, or cannot be read.
    """
    if os.environ.get("HFCLI_CONFIG") == "0":
        return []
    project = project_path()
    found = [read(user_path()), read(project, project=True) if project else None]
    return [file for file in found if file is not None]


def flags(command: Any) -> dict[str, tuple[Any, bool]]:
    """Of a command's flags, by each name without dashes: the option, and whether the name turns it off."""
    named: dict[str, tuple[Any, bool]] = {}
    for option in command.params:
        if option.param_type_name == "option":
            named |= {name[2:]: (option, False) for name in option.opts if name.startswith("--")}
            named |= {name[2:]: (option, True) for name in option.secondary_opts}
    return named


def defaults(command: Any, found: list[File]) -> dict[str, tuple[Any, Origin]]:
    """What files say about a command's flags, by parameter, as if it had been typed; later files beat earlier ones.

    Raises:
        DataError: A key that does not exist, cannot stand there, or has a value of another kind; says file and key.
    """
    taken: dict[str, tuple[Any, Origin]] = {}
    for file in found:
        for key, value in _entries(command, file):
            name = key.rpartition(".")[2]
            option, off = flags(command)[name]
            taken[option.name] = (_value(option, off, value, file, key), Origin(file.shown, key))
    if os.environ.get("HFCLI_CONFIG") == "machine":  # the steps of a recipe: the machine's settings, nobody's taste
        return {name: each for name, each in taken.items() if each[1].key in SHARED}
    return taken


def _entries(command: Any, file: File) -> Iterator[tuple[str, Any]]:
    """What a file holds for a command, the general before the special; everything in it that can be is checked."""
    from hfcli.cli import NAMES

    known = flags(command)
    tables = {key: value for key, value in file.content.items() if isinstance(value, dict)}
    for key in file.content:
        check_top(key, NAMES, file.shown, table=key in tables)
    for key, value in file.content.items():
        if key == MODEL and (not isinstance(value, str) or not value):
            raise DataError(f"{file.shown}: model must be text in quotes", mend(file.shown, MODEL, "NAME"))
        if (key in SHARED and key in known) or (key == MODEL and command.name == "generate"):
            yield key, value
    seen: dict[str, str] = {}
    for name, value in tables.get(command.name, {}).items():
        key = f"{command.name}.{name}"
        check_flag(command, name, file.shown, project=file.project)
        option = known[name][0].name
        if option in seen:
            raise DataError(f"{file.shown}: {command.name}.{seen[option]} and {key} are the same flag", "keep one")
        seen[option] = name
        yield key, value


def mend(where: str, key: str, value: str | None) -> str:
    """What to do about a key with a wrong value: of a project's file no command does it."""
    if where.endswith(PROJECT):
        return f"mend it in {where}"
    return f"hfcli config unset {key}" if value is None else f"hfcli config set {key} {value}"


def check_top(key: str, commands: tuple[str, ...], where: str, *, table: bool) -> None:
    """Refuse what cannot stand above the tables.

    Raises:
        DataError: Says why.
    """
    single = (MODEL, *SHARED)
    if key in single and not table:
        return
    if key in commands and table:
        return
    if key in commands:
        raise DataError(f"{where}: {key} is a command, and its flags stand in a table", f"[{key}]")
    if key in single:
        raise DataError(f"{where}: {key} is one value, not a table", f'{key} = "..."')
    near = nearest(key, commands if table else single)
    if table:
        hint = f"did you mean [{near}]?" if near else None
        raise DataError(f"{where}: no command {key}; there is {', '.join(commands)}", hint)
    hint = f"did you mean {near}?" if near else "the flags of a command stand in its table: [generate]"
    raise DataError(f"{where}: no setting {key}; there is {', '.join(single)}, and a table for each command", hint)


def check_flag(command: Any, name: str, where: str, *, project: bool = False) -> None:
    """Refuse what cannot stand in a command's table.

    Raises:
        DataError: Says why.
    """
    known, start = flags(command), f"{where}: {command.name}.{name}"
    plain = known[name][0].opts if name in known else [f"--{name}"]
    names = {each.lstrip("-") for each in plain}
    if command.name in WITHOUT:
        raise DataError(f"{where}: {command.name} takes no defaults", f"leave out [{command.name}]")
    if name not in known:
        if name in {each.name for each in command.params if each.param_type_name == "argument"}:
            raise DataError(f"{start} is an argument, not a flag, and only flags have defaults", f"leave out {name}")
        hint = did_you_mean(name.replace("_", "-"), known) or f"hfcli {command.name} --help"
        raise DataError(f"{start}: {command.name} has no flag --{name}", hint)
    if names & {*ONE_RUN}:
        raise DataError(f"{start} belongs to one run and cannot be a default", f"--{name} on the command line")
    if project and (bad := next((each for each in STRANGERS if each in names), None)):
        hint = f"--{name} on the command line, or hfcli config set {command.name}.{name} VALUE for yourself"
        raise DataError(f"{start} {STRANGERS[bad]}, and a project's file may come from strangers", hint)


def _value(option: Any, off: bool, value: Any, file: File, key: str) -> Any:
    """A value of a file as it would be typed: a switch as it is, anything else as text for the flag's own parser.

    Raises:
        DataError: It is of another kind.
    """
    start = f"{file.shown}: {key}"
    if option.is_flag:
        if not isinstance(value, bool):
            raise DataError(f"{start} is {_kind(value)}; true or false is wanted", f"{_last(key)} = true")
        return value is not off
    if isinstance(value, list) and not option.multiple:
        raise DataError(f"{start} is a list; one value is wanted", f"{_last(key)} = VALUE")
    values = value if isinstance(value, list) else [value]
    typed = option.type_descriptor
    text = typed.parameter_info.parser is None and typed.annotation in (str, list[str])
    for each in values:
        if not isinstance(each, str) and (text or isinstance(each, bool) or not isinstance(each, int | float)):
            wanted = "text in quotes" if text else "a number, or text in quotes"
            raise DataError(f"{start} is {_kind(each)}; {wanted} is wanted", f'{_last(key)} = "..."')
    texts = [str(each) for each in values]
    return texts if option.multiple else texts[0]


def reason(error: Any) -> str:
    """What Typer says of a value, as the end of a sentence."""
    return str(error.message).removeprefix("Value error, ").rstrip(".")


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _kind(value: Any) -> str:
    """What a TOML value is, for a sentence."""
    if isinstance(value, bool):
        return str(value).lower()
    kinds: Mapping[type, str] = {str: f"the text {value!r}", dict: "a table", list: "a list"}
    return kinds.get(type(value), f"{value}")


def default_model() -> tuple[str, str] | None:
    """The model of what writes, and the file that says so.

    Raises:
        DataError: A file is not TOML, or says something else.
    """
    if os.environ.get("HFCLI_CONFIG") == "machine":
        return None
    for file in reversed(files()):
        model = file.content.get(MODEL)
        if model is not None and (not isinstance(model, str) or not model):
            raise DataError(f"{file.shown}: model must be text in quotes", mend(file.shown, MODEL, "NAME"))
        if model is not None:
            return model, file.shown
    return None
