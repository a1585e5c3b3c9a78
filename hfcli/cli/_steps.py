"""The steps of a recipe as command lines: checked by the parsers of the commands themselves, run as processes."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer

from hfcli.errors import DataError, HfcliError, UsageError, did_you_mean
from hfcli.recipes import Recipe, Step

# A recipe in a recipe, and what is about this machine.
NOT_STEPS = ("run", "recipes", "demo")
_SETTINGS = {"HFCLI_CONFIG": "machine"}  # a recipe is the same for everybody, but for what their machines can do
_SAME_RESULT = ("offline", "quiet", "num_processes")
_LONGEST_ARGUMENT = 100_000  # bytes; the kernel takes 128 kB
_LONGEST_LINE = 1_000_000


class Checked(NamedTuple):
    """A step that its command's parser has taken.

    Attributes:
        step: With flags as the parser knows them: arguments first, in its order, and no False.
        where: The recipe, the number and the name of the step, for errors.
        number: From 1 on.
        positional: Names of the command's arguments.
        values: What the parser made of it, by parameter.
        environment: Of these, what is from the environment and from files, and may change the result.
    """

    step: Step
    where: str
    number: int
    positional: tuple[str, ...]
    values: dict[str, Any]
    environment: dict[str, Any]

    @property
    def argv(self) -> list[str]:
        return self.step.argv(self.positional)

    @property
    def shell(self) -> str:
        return self.step.shell(self.positional)

    def has(self, flag: str) -> bool:
        """Whether the command has a parameter of that name."""
        return flag.replace("-", "_") in self.values

    def adding(self, **flags: Any) -> "Checked":
        """The same with more flags, of those that the command has."""
        more = {name.replace("_", "-"): value for name, value in flags.items() if self.has(name)}
        return self._replace(step=self.step._replace(flags={**self.step.flags, **more}))


def check(recipe: Recipe, source: str) -> list[Checked]:
    """Every step, as its command's parser takes it.

    Args:
        recipe: The recipe.
        source: What it is called in errors.

    Raises:
        UsageError: A flag is unknown, or has a value that it cannot have.
        DataError: It has no steps, or a value is too long for a command line.
    """
    if not recipe.steps:
        raise DataError(f"{source} has no steps")
    parsers = _Parsers()
    return [parsers.check(step, f"{source}, step {n} ({step.label})", n) for n, step in enumerate(recipe.steps, 1)]


class _Parsers:
    """The commands' parsers, each made once."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def check(self, step: Step, where: str, number: int) -> Checked:
        from hfcli.cli import usage

        if step.command in NOT_STEPS:
            raise UsageError(f"{where}: {step.command} is no step of a recipe", "leave it out")
        parser = self._parser(step.command)
        parameters = _by_key(parser)
        step = step._replace(flags=dict(_canonical(step, where, parameters)))
        positional = tuple(each.name for each in parser.params if each.param_type_name == "argument")
        _shifted(step, where, positional)
        argv = step.argv(positional)
        _fits(argv, step.stdin, where)
        try:
            with _machines_settings():
                context = parser.make_context(f"hfcli {step.command}", argv[1:])
            _contradictions(step.command, context.params)
        except typer.TyperException as error:
            told = usage(error)
            raise UsageError(f"{where}: {told.message}", told.hint) from error
        except HfcliError as error:
            raise type(error)(f"{where}: {error.message}", error.hint) from error
        sources = {name: context.get_parameter_source(name) for name in context.params}
        environment = {
            name: context.params[name]
            for name, source in sources.items()
            if getattr(source, "name", "") in ("ENVIRONMENT", "DEFAULT_MAP") and name not in _SAME_RESULT
        }
        return Checked(step, where, number, positional, dict(context.params), environment)

    def _parser(self, command: str) -> Any:
        if command not in self._known:
            from typer.main import get_command

            from hfcli.cli import application

            group: Any = get_command(application([command]))
            self._known[command] = group.commands[command]
        return self._known[command]


def _by_key(parser: Any) -> dict[str, Any]:
    """The command's parameters by what a recipe may call them: long flags without dashes, and names of arguments."""
    found: dict[str, Any] = {}
    for each in parser.params:
        names = [each.name] if each.param_type_name == "argument" else [*each.opts, *each.secondary_opts]
        for name in names:
            if each.param_type_name == "argument" or name.startswith("--"):
                found.setdefault(name.removeprefix("--"), each)
    return found


def _canonical(step: Step, where: str, parameters: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Flags that the command has, with values of the right kind; arguments first, in the parser's order."""
    for name in step.flags:
        if name not in parameters:
            near = did_you_mean(name, parameters) or f"hfcli {step.command} --help"
            raise UsageError(f"{where}: {step.command} has no flag {name}", near)
        if name in ("resume", "overwrite"):
            raise UsageError(f"{where}: {name} is for hfcli run to decide", "leave it out")
    order = list(parameters)
    for name in sorted(
        step.flags, key=lambda name: order.index(name) if _is_argument(parameters[name]) else len(order)
    ):
        parameter, value = parameters[name], step.flags[name]
        if getattr(parameter, "is_flag", False):
            switched = _switch(name, value, parameter, f"{where}: {name}")
            if switched is not None:
                yield switched, True
            continue
        several = value if isinstance(value, list) else [value]
        if any(isinstance(one, bool) for one in several):
            raise UsageError(f"{where}: {name} needs a value", f"hfcli {step.command} --help")
        if isinstance(value, list) and not (parameter.nargs == -1 or getattr(parameter, "multiple", False)):
            raise UsageError(f"{where}: {name} takes one value, {len(value)} were given", "leave out the others")
        yield name, value


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _switch(name: str, value: Any, parameter: Any, where: str) -> str | None:
    """The flag that says so; None where that is to leave it out."""
    if value in ("true", "false"):  # from a variable
        value = value == "true"
    if not isinstance(value, bool):
        raise UsageError(f"{where} is true or false", "leave it out, or true")
    if value:
        return name
    ways = [parameter.opts, parameter.secondary_opts]
    opposite = next((way for way in ways if f"--{name}" not in way), None)
    if not opposite:
        raise UsageError(f"{where} cannot be false; it is off if it is left out", "leave it out")
    return str(opposite[0]).removeprefix("--")


def _shifted(step: Step, where: str, positional: Sequence[str]) -> None:
    """Refuse an argument without the ones before it: it would be taken for the first of them."""
    given = [name in step.flags for name in positional]
    if True in given and False in given[: len(given) - given[::-1].index(True)]:
        raise UsageError(f"{where}: {positional[given.index(False)]} is missing", f"hfcli {step.command} --help")


def _fits(argv: Sequence[str], stdin: str | None, where: str) -> None:
    """Refuse what cannot be given to a process."""
    for text in [*argv, stdin or ""]:
        try:
            data = text.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{where}: a value holds what is no character ({text[error.start]!a})") from error
        if b"\0" in data and text is not stdin:
            raise DataError(f"{where}: a value holds a NUL character")
        if len(data) > _LONGEST_ARGUMENT and text is not stdin:
            raise DataError(f"{where}: a value is too long for a command line ({len(data):,} bytes)", "use a file")
    if sum(map(len, argv)) > _LONGEST_LINE:
        raise DataError(f"{where}: it is too long for a command line", "use a file")


def _contradictions(command: str, values: dict[str, Any]) -> None:
    """What the options themselves refuse before anything is loaded."""
    from hfcli.cli import command as function

    for group, fields in getattr(function(command), "groups", {}).values():
        options = group(**{field: values[field] for field in fields})
        if hasattr(options, "check"):
            options.check()


@contextlib.contextmanager
def _machines_settings() -> Iterator[None]:
    """Of this process, as a step's will be."""
    before = os.environ.get("HFCLI_CONFIG")
    os.environ |= _SETTINGS if before != "0" else {}
    try:
        yield
    finally:
        os.environ.pop("HFCLI_CONFIG", None)
        os.environ |= {} if before is None else {"HFCLI_CONFIG": before}


def environment() -> dict[str, str]:
    """Of a step's process: it finds this hfcli, and imports nothing from the working folder, where steps may write."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**_SETTINGS, **os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def process(argv: Sequence[str]) -> list[str]:
    """A step's command line as a process."""
    return [sys.executable, "-m", "hfcli", *argv]
