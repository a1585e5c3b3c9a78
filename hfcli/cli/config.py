"""`hfcli config`: defaults for flags that outlive a command, and the file they are in."""

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hfcli.cli import _settings
from hfcli.cli.console import Console
from hfcli.errors import DataError, HfcliError, UsageError, did_you_mean

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

_ACTIONS = {"list": 0, "path": 0, "get": 1, "set": 2, "unset": 1}
_TAKES = {0: "nothing more", 1: "KEY", 2: "KEY VALUE"}
_EXAMPLE = "hfcli config set generate.max-new-tokens 100"


def config(
    action: Annotated[str | None, typer.Argument(help="list, path, get, set or unset.", show_default="list")] = None,
    key: Annotated[
        str | None, typer.Argument(help="COMMAND.FLAG, or model, device, dtype, offline, quiet.", show_default=False)
    ] = None,
    value: Annotated[
        list[str] | None, typer.Argument(metavar="VALUE", help="Its value; several for a list.", show_default=False)
    ] = None,
) -> None:
    """Show or change defaults for flags.

    They are in a file of your own (config path); hfcli.toml in the working folder or above it holds those of a project,
    but none that allow code, pickles or uploads. A flag typed comes first, then the environment, the project, yours.

    \b
    hfcli config set model ./smollm2
    hfcli config set generate.max-new-tokens 100
    """
    action = action or "list"
    if action not in _ACTIONS:
        raise UsageError(f"no action {action}; there is {', '.join(_ACTIONS)}", did_you_mean(action, _ACTIONS))
    given = (key is not None) + bool(value)
    if given != _ACTIONS[action]:
        raise UsageError(f"config {action} takes {_TAKES[_ACTIONS[action]]}", _EXAMPLE)
    console = Console()
    if action == "path":
        console.data(f"{_settings.user_path()}\n")
    elif action == "list":
        _list(console)
    elif action == "get":
        _get(console, str(key))
    else:
        _change(str(key), value)


def _list(console: Console) -> None:
    """Every file as it is, what is wrong with it, and what could be set."""
    project = _settings.project_path()
    broken: HfcliError | None = None
    said = False
    for path, stranger in ((_settings.user_path(), False), (project, True)):
        if path is None:
            continue
        there = path.is_file()
        console.line(f"{_settings.shown(path)}{'' if there else ' (not there yet)'}")
        if not there:
            continue
        try:
            said = True
            console.data(path.read_text(encoding="utf-8", errors="replace").rstrip("\n") + "\n")
            file = _settings.read(path, project=stranger)
            if file is not None:
                _check(file)
        except OSError as error:
            broken = broken or DataError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}")
        except HfcliError as error:
            broken = broken or error
    if os.environ.get("HFCLI_CONFIG") == "0":
        console.note("HFCLI_CONFIG=0 leaves these files out")
    if not said:
        console.data("# nothing is set\n")
        console.hint(_EXAMPLE)
    if broken is not None:
        console.close()
        raise broken


def _check(file: _settings.File) -> None:
    """Refuse what a file may not hold, in any table.

    Raises:
        HfcliError: Says file and key.
    """
    from hfcli.cli import NAMES

    for key, value in file.content.items():
        _settings.check_top(key, NAMES, file.shown, table=isinstance(value, dict))
        name = key if isinstance(value, dict) else _holder(key)
        if name is not None:
            _parse(name, [file])


def _holder(key: str) -> str | None:
    """A command with a flag that stands above the tables; None where there is none yet."""
    from hfcli.cli import NAMES

    if key == _settings.MODEL:
        return "generate"
    names = (name for name in NAMES if name not in _settings.WITHOUT)
    return next((name for name in names if key in _settings.flags(_built(name))), None)


def _built(name: str) -> Any:
    """A command as it is on the command line."""
    from hfcli.cli import application

    return typer.main.get_group(application([name])).commands[name]


def _parse(name: str, files: list[_settings.File]) -> None:
    """Let a command's own flags read what files say about them.

    Raises:
        HfcliError: It is not what they take.
    """
    command = _built(name)
    for parameter, (value, origin) in _settings.defaults(command, files).items():
        option = next(each for each in command.params if each.name == parameter)
        try:
            option.process_value(typer.Context(command, info_name=name), value)
        except typer.BadParameter as error:
            said = f"{origin.where}: {origin.key}: {_settings.reason(error)}"
            raise DataError(said, _settings.mend(origin.where, origin.key, None)) from error


def _get(console: Console, key: str) -> None:
    """The value that holds: the project's, else the user's."""
    _known(key)
    for file in reversed(_settings.files()):
        value: Any = file.content
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            shown = [str(each).lower() if isinstance(each, bool) else str(each) for each in _many(value)]
            return console.data("".join(f"{each}\n" for each in shown))


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _known(key: str) -> Any:
    """The option that a key is about.

    Raises:
        UsageError: There is none, or it can have no default; says why.
    """
    from hfcli.cli import NAMES

    name, dot, flag = key.partition(".")
    try:
        if not dot:
            if key in NAMES:
                raise UsageError(f"{key} is a command; its flags are set one by one", f"hfcli config get {key}.FLAG")
            _settings.check_top(key, NAMES, "config", table=False)
            holder = _holder(key)
            if holder is None:
                raise UsageError(f"no command has a flag --{key}", "hfcli config set device cpu")
            return _settings.flags(_built(holder))[key][0]
        if name not in NAMES:
            raise UsageError(f"no command {name}; there is {', '.join(NAMES)}", did_you_mean(name, NAMES))
        command = _built(name)
        _settings.check_flag(command, flag, "config")
        return _settings.flags(command)[flag][0]
    except DataError as error:
        raise UsageError(error.message.removeprefix("config: "), error.hint) from error


def _change(key: str, values: list[str] | None) -> None:
    """Set or unset a key of the user's file; comments, order and all else in it stay.

    Raises:
        UsageError: There is no such key, or the flag does not take the value.
        DataError: The file cannot be read or written.
    """
    path = _settings.user_path()
    value = _typed(key, values) if values else None
    name, dot, flag = key.rpartition(".")
    document = _document(path)
    holder: Any = document
    if dot:
        if value is not None and name not in document:
            import tomlkit

            document[name] = tomlkit.table()
        holder = document.get(name, {})
        if not isinstance(holder, dict):
            raise DataError(f"{_settings.shown(path)}: {name} is one value, not a table", f"hfcli config unset {name}")
    if value is not None:
        holder[flag] = value
        for other in [each for each in holder if dot and each != flag and _same(name, each, flag)]:
            del holder[other]
    elif flag in holder:
        del holder[flag]
        if dot and not holder and "#" not in holder.as_string() + holder.trivia.comment:
            del document[name]
    else:
        near = did_you_mean(flag, [str(each) for each in holder])
        raise UsageError(f"{key} is not set in {_settings.shown(path)}", near)
    import tomlkit

    _write(path, tomlkit.dumps(document))


def _same(command: str, one: str, other: str) -> bool:
    """Whether two names are one flag's."""
    known = _settings.flags(_built(command))
    return one in known and other in known and known[one][0] is known[other][0]


def _typed(key: str, values: list[str]) -> Any:
    """What was typed, as TOML has it, after the flag's own parser took it."""
    option = _known(key)
    if option.is_flag:
        text = values[0].lower()
        if len(values) > 1 or text not in ("true", "false"):
            raise UsageError(f"{key} is {' '.join(values)}; true or false is wanted", f"hfcli config set {key} true")
        return text == "true"
    if len(values) > 1 and not option.multiple:
        raise UsageError(f"{key} takes one value, {len(values)} were given", f"hfcli config set {key} {values[0]!r}")
    if "" in values and option.name != "text_pair_column":
        raise UsageError(f"{key} is empty", f"hfcli config unset {key}")
    try:
        parsed = option.process_value(
            typer.Context(_built("config"), info_name="config"), values if option.multiple else values[0]
        )
    except typer.BadParameter as error:
        raise UsageError(f"{key}: {_settings.reason(error)}", _EXAMPLE) from error
    if option.name == "device" and not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", values[0]):
        raise UsageError(
            f"{key}: no device {values[0]}; there is auto, cpu, cuda, cuda:N and mps", f"hfcli config set {key} auto"
        )
    if option.multiple:
        return list(parsed)
    return parsed if isinstance(parsed, int | float) else values[0]


def _document(path: Path) -> "TOMLDocument":
    """The user's file, to change; empty where there is none.

    Raises:
        DataError: It is not TOML.
    """
    import tomlkit

    if _settings.read(path) is None:
        return tomlkit.document()
    return tomlkit.parse(path.read_text(encoding="utf-8"))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path.resolve()  # dotfiles are often links into a repository
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        if target.exists():
            shutil.copymode(target, draft)
        draft.replace(target)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({(error.strerror or str(error)).lower()})") from error
