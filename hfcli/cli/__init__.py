"""The command line: a name a command here, one file a command beside this one.

`main` is the only place that catches errors and decides exit codes. Only ours, Typer's and interrupts are caught;
anything else is a bug and keeps its traceback.
"""

import re
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import FrameType
from typing import Annotated

import typer

from hfcli import __version__, launch
from hfcli.cli import _completion
from hfcli.cli._command import Command
from hfcli.cli.console import ClosedOutput, Console, discard_output, open_closed_streams, unwritable
from hfcli.errors import Exit, HfcliError, RankLost, Terminated, UsageError, did_you_mean

# In the order of the help page; each is the function of that name in the file of that name.
NAMES = (
    *("generate", "finetune", "classify", "qa", "eval", "compare", "estimate", "data"),
    *("run", "recipes", "demo", "doctor", "config", "history"),
)


def command(name: str) -> Callable[..., None]:
    """A command's function, with its flags as Typer reads them."""
    found: Callable[..., None] = getattr(import_module(f"hfcli.cli.{name}"), name)
    return found


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hfcli {__version__}")
        raise typer.Exit


def application(names: Sequence[str] = NAMES, *, completing: bool = False) -> typer.Typer:
    """The command line, or as much of it as a line needs: other commands' files are not even read.

    Args:
        names: Of the commands.
        completing: A shell asks what fits, so flags need to know what they can offer.
    """
    app = typer.Typer(
        name="hfcli",
        help="Language models from the shell: generate, finetune, classify, answer questions, evaluate.",
        epilog="hfcli COMMAND --help tells more. Try it without internet: hfcli demo",
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(hfcli)
    for name in names:
        function = command(name)
        if completing:
            _completion.attach(name, function)
        app.command(name, cls=Command)(function)
    return app


def hfcli(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main(argv: list[str] | None = None) -> int:
    """Run one command line.

    Args:
        argv: Arguments without the program's name; None takes the process's own.

    Returns:
        The exit code, as `hfcli.errors.Exit` lists them.
    """
    argv = sys.argv[1:] if argv is None else argv
    open_closed_streams()
    launch.begin(argv)
    try:
        before = signal.signal(signal.SIGTERM, _terminate)
        try:
            return _run(argv)
        finally:
            signal.signal(signal.SIGTERM, before)
    except HfcliError as error:
        return _failed(error)
    except typer.TyperException as error:
        return _failed(usage(error))
    except RuntimeError as error:
        if not launch.voice.is_loss(error):
            raise
        said = re.sub(r"^\[\S+\] |\.? This is typically.*", "", str(error).splitlines()[0])  # gloo's source, and advice
        hint = "what is saved is kept; the same line with --resume goes on from there"
        return _failed(RankLost(f"another process of this job is gone ({said})", hint))
    except ClosedOutput:
        discard_output()
        return Exit.OK
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Terminated:
        return Exit.TERMINATED


def _failed(error: HfcliError) -> int:
    """Say what went wrong; of several ranks one does."""
    if isinstance(error, RankLost) and launch.started_here():
        return launch.LOST  # whoever started them saw which one went, and how
    if launch.voice.speaks():
        Console().error(error)
    return error.exit_code


def _run(argv: list[str]) -> int:
    if (words := _completion.line()) is not None:
        return _complete(words)
    named = bool(argv) and not argv[0].startswith("-")
    if named and argv[0] not in NAMES:
        near = did_you_mean(argv[0], NAMES)
        raise UsageError(f"no command {argv[0]}; there is {', '.join(NAMES)}", near or "hfcli --help")
    app = application(argv[:1] if named else NAMES)
    try:
        return int(app(args=argv or ["--help"], prog_name="hfcli", standalone_mode=False) or Exit.OK)
    except SystemExit:  # how Typer leaves when nobody reads the help that it prints
        raise ClosedOutput from None
    except OSError as error:
        if {"-h", "--help", "--version"}.isdisjoint(argv or ["--help"]):
            raise
        discard_output()
        raise unwritable(error) from error


def _complete(words: list[str]) -> int:
    """Tell a shell what fits behind these words; its exit code is part of the answer."""
    app = application(words[:1] if words and words[0] in NAMES else NAMES, completing=True)
    try:
        app(args=[], prog_name="hfcli", standalone_mode=False)
    except SystemExit as answer:
        return int(answer.code or Exit.OK)
    return Exit.BUG


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def usage(error: typer.TyperException) -> UsageError:
    """Typer's message in our form: lower case, with the nearest flag as a hint."""
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    message = message.replace("Value error, ", "")
    possible = getattr(error, "possibilities", None) or []
    context = getattr(error, "ctx", None)
    help_line = f"{context.command_path} --help" if context is not None else "hfcli --help"
    name = getattr(error, "option_name", None)
    if name and message.startswith("No such option"):
        return UsageError(f"no option {name}", f"did you mean {possible[0]}?" if possible else help_line)
    return UsageError(message[:1].lower() + message[1:].rstrip("."), help_line)
