"""A command of the command line: its flags have defaults from configuration files, and its run is remembered."""

import os
from typing import Any

import typer
from typer.core import TyperCommand

from hfcli import launch
from hfcli.cli import _origins, _remembered, _settings
from hfcli.cli.console import Console
from hfcli.errors import DataError, UsageError

# They are for finding out what is wrong, also with a configuration file. `config` and `demo` have no defaults at all.
_FORGIVING = ("doctor", "history")

_SHARED = ("generate", "finetune", "classify", "qa", "eval", "doctor")
"""Commands that several processes do together."""


class _Defaults(dict[str, Any]):
    """What configuration files say; they are read when the first flag asks, and so not for --help."""

    def __init__(self, command: "Command") -> None:
        super().__init__()
        self._command = command
        self._found: dict[str, tuple[Any, _settings.Origin]] | None = None

    @property
    def found(self) -> dict[str, tuple[Any, _settings.Origin]]:
        if self._found is None:
            self._found = self._command.configured()
        return self._found

    def get(self, name: str, default: Any = None) -> Any:
        return self.found[name][0] if name in self.found else default


class Command(TyperCommand):
    """A command of the command line."""

    def configured(self) -> dict[str, tuple[Any, _settings.Origin]]:
        """The values of flags that files give, by parameter.

        Raises:
            DataError: A file cannot be read, or holds what it may not.
        """
        if self.name in _settings.WITHOUT:
            return {}
        try:
            found = _settings.defaults(self, _settings.files())
        except DataError as error:
            if self.name not in _FORGIVING:
                raise
            Console().note(f"{error.message}; it is left out here")
            return {}
        if self.name == "eval" and os.environ.get("HFCLI_MODEL"):  # eval reads it itself, and whole
            found.pop("model", None)
        return found

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # for completion
            return super().parse_args(ctx, args)
        defaults = ctx.default_map = _Defaults(self)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            name = error.param.name if error.param is not None else ""
            if _source(ctx, name) != "DEFAULT_MAP":
                raise
            where, key = defaults.found[name][1]
            hint = _settings.mend(where, key, "VALUE")
            raise DataError(f"{where}: {key}: {_settings.reason(error)}", hint) from error

    def format_help(self, ctx: Any, formatter: Any) -> None:
        ctx.default_map = None  # a page tells what is built in
        super().format_help(ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        if launch.world().rank > 0 and self.name not in _SHARED:
            raise typer.Exit  # what cannot be shared is done by one of the processes that another launcher has started
        _origins.begin(self._taken(ctx))
        with _remembered.run(ctx):
            try:
                return super().invoke(ctx)
            except UsageError as error:
                _origins.explain(error)
                raise

    def _taken(self, ctx: Any) -> dict[str, _origins.Taken]:
        """What was neither typed nor is built in; what a typed flag rules out goes back to what is built in."""
        options = {option.name: option for option in self.params}
        sources = {name: _source(ctx, name) for name in options}
        ruled_out: set[str] = set()
        for name, source in sources.items():
            ruled_out |= _origins.ruled_out(name, ctx.params.get(name)) if source == "COMMANDLINE" else set()
        for name in ruled_out:
            if sources.get(name) == "DEFAULT_MAP":
                ctx.params[name], sources[name] = options[name].default, "DEFAULT"
        taken = {}
        for name, option in options.items():
            flag = next((each[2:] for each in option.opts if each.startswith("--")), name)
            value = ctx.params.get(name)
            if sources[name] == "ENVIRONMENT":
                taken[name] = _origins.Taken(flag, value, str(option.envvar))
            elif sources[name] == "DEFAULT_MAP":
                where, key = ctx.default_map.found[name][1]
                taken[name] = _origins.Taken(flag, value, where, key, option.default)
        return taken


def _source(ctx: Any, name: str) -> str:
    """COMMANDLINE, ENVIRONMENT, DEFAULT_MAP or DEFAULT."""
    source = ctx.get_parameter_source(name)
    return source.name if source is not None else ""
