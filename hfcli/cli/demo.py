"""`hfcli demo`: every command that exists, offline, each line shown before its output."""

import inspect
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import typer

from hfcli import recipes
from hfcli.cli.console import Console
from hfcli.errors import Exit


def positional(command: Callable[..., None]) -> list[str]:
    """Names of a command's arguments that stand without a flag."""
    parameters = inspect.signature(command).parameters.values()
    metadata = {parameter.name: getattr(parameter.annotation, "__metadata__", ()) for parameter in parameters}
    return [name for name, notes in metadata.items() if any(type(note).__name__ == "ArgumentInfo" for note in notes)]


def demo() -> None:
    """Walk through every command, offline, with the embedded models."""
    from hfcli.cli import NAMES, command

    commands = {name: command(name) for name in NAMES}
    recipe = recipes.load(recipes.folder() / "demo.yaml", commands)
    console, started = Console(), time.monotonic()
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HFCLI_HISTORY": "1", "PYTHONPATH": path}
    with tempfile.TemporaryDirectory(prefix="hfcli-demo-") as scratch:  # what the steps write is gone afterwards
        # Neither the user's defaults nor among the user's runs.
        environment |= {"XDG_CONFIG_HOME": f"{scratch}/.config", "XDG_STATE_HOME": f"{scratch}/.state"}
        for step in recipe.steps:
            arguments = positional(commands[step.command])
            if step.about:
                console.data(f"# {step.about}\n")
            line = f"$ {step.shell(arguments)}"
            console.data(f"\x1b[1m{line}\x1b[0m\n" if colour else f"{line}\n")
            done = subprocess.run(
                [sys.executable, "-m", "hfcli", *step.argv(arguments)],
                input=step.stdin.encode() if step.stdin else None,
                stdin=None if step.stdin else subprocess.DEVNULL,
                env=environment,
                cwd=scratch,
                check=False,
            )
            if done.returncode != Exit.OK:
                raise typer.Exit(done.returncode)
            console.data("\n")
    console.data(f"{len(recipe.steps)} steps in {time.monotonic() - started:.0f} s, without internet. Your turn:\n")
    console.data('  hfcli generate "Write one sentence about the sea."     fetches a real model once\n')
    console.data("  hfcli finetune bert-base-uncased --dataset imdb        trains one of your own\n")
