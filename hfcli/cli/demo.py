"""`hfcli demo`: every command that exists, offline, each line shown before its output."""

import os
import subprocess
import sys
import tempfile
import time

import typer

from hfcli.cli import _chosen, _steps
from hfcli.cli.console import Console
from hfcli.errors import Exit


def demo() -> None:
    """Walk through every command, offline, with the embedded models."""
    steps = _steps.check(*_chosen.find("demo"))
    console, started = Console(), time.monotonic()
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    with tempfile.TemporaryDirectory(prefix="hfcli-demo-") as scratch:  # what the steps write is gone afterwards
        environment = {**_steps.environment(), "HF_HUB_OFFLINE": "1", "HFCLI_HISTORY": "1"}
        # Not among the user's runs.
        environment |= {"XDG_CONFIG_HOME": f"{scratch}/.config", "XDG_STATE_HOME": f"{scratch}/.state"}
        for checked in steps:
            step = checked.step
            if step.about:
                console.data(f"# {step.about}\n")
            line = f"$ {checked.shell}"
            console.data(f"\x1b[1m{line}\x1b[0m\n" if colour else f"{line}\n")
            done = subprocess.run(
                _steps.process(checked.argv),
                input=step.stdin.encode() if step.stdin else None,
                stdin=None if step.stdin else subprocess.DEVNULL,
                env=environment,
                cwd=scratch,
                check=False,
            )
            if done.returncode != Exit.OK:
                raise typer.Exit(done.returncode)
            console.data("\n")
    console.data(f"{len(steps)} steps in {time.monotonic() - started:.0f} s, without internet. Your turn:\n")
    console.data('  hfcli generate "Write one sentence about the sea."     fetches a real model once\n')
    console.data("  hfcli finetune bert-base-uncased --dataset imdb        trains one of your own\n")
