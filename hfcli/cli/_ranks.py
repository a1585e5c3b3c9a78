"""A command among several processes: it starts them, or is one of them."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from hfcli import launch
from hfcli.cli.console import Console
from hfcli.errors import DeviceError, Exit, RankLost
from hfcli.options.ranks import RankOptions

if TYPE_CHECKING:
    from hfcli.runtime.ranks import Connected

_LAST_WORDS_SECONDS = 3.0  # all ranks bark at about the same time, and whoever started them ends with the first


def start(asked: RankOptions) -> None:
    """Start the ranks that are asked for, and exit as they do; nothing where this is one of them, or where it is alone.

    Raises:
        UsageError: These are ranks already, of another number.
        RankLost: One was killed.
        typer.Exit: They ran; with the code of the one that failed first.
    """
    accelerators = 0
    if asked.num_processes == "auto":
        from hfcli.runtime import environment

        accelerators = environment.accelerators()
    size = launch.count(asked.num_processes, accelerators)
    if launch.world().size > 1 or size == 1:
        return
    ended = launch.run(launch.command_line, size)
    if ended.code < 0:
        launch.handed_on.clear()  # nobody else can say in the history that it ended so
        name = signal.Signals(-ended.code).name
        why = ": the machine's memory may have run out" if -ended.code == signal.SIGKILL else ""
        raise RankLost(
            f"rank {ended.rank} of {size} was killed ({name}){why}",
            "what is saved is kept; the same line with --resume goes on from there",
        )
    if ended.code == launch.LOST:
        raise RankLost(f"rank {ended.rank} of {size} has lost the others", "hfcli doctor --distributed")
    raise typer.Exit(ended.code)


def join(asked: RankOptions, device: str, *, keep: bool) -> "Connected | None":
    """Meet the other ranks; None where there are none.

    Args:
        asked: How long none of them may move.
        device: As `--device`.
        keep: Whether tensors are added up later on.
    """
    if launch.world().size == 1:
        return None
    from hfcli.runtime import environment, ranks, watchdog

    connected = ranks.connect(environment.pick_device(device), keep=keep)
    watchdog.current = watchdog.Watchdog(asked.hang_timeout, lambda stack: _hangs(asked.hang_timeout, stack, connected))
    return connected


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """The body of a command that one process does, though another launcher may have started several."""
    if launch.world().rank > 0:
        raise typer.Exit
    yield


@contextlib.contextmanager
def shared(asked: RankOptions, device: str) -> Iterator[None]:
    """The body of a command whose batches all ranks compute; ranks other than 0 do that here, and exit.

    Args:
        asked: How many there are to be.
        device: As `--device`.
    """
    start(asked)
    if launch.world().rank > 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # rank 0 decides what that means
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing here is worth saving
    connected = join(asked, device, keep=False)
    if connected is None:
        yield
        return
    from hfcli.runtime import dealing

    if connected.world.rank > 0:
        from hfcli.runtime import serving

        serving.serve(connected)
        raise typer.Exit
    dealing.current = dealing.Pool(connected)
    try:
        yield
    finally:
        dealing.current.close()
        dealing.current = None


def _hangs(seconds: float, stack: str, connected: "Connected") -> None:
    """Say where this rank stands, and end it."""
    world, console = connected.world, Console()
    where = f"rank {world.rank} of {world.size} on {connected.hosts[world.rank]}, process {os.getpid()}"
    console.line(f"{where}, has not moved for {seconds:g} s. It stands here:\n{stack.rstrip()}")
    if launch.voice.speaks():
        console.error(
            DeviceError(
                f"no step has finished for {seconds:g} s; every rank says above where it stands",
                "--hang-timeout S waits longer; hfcli doctor --distributed tries the connection alone",
            )
        )
    time.sleep(_LAST_WORDS_SECONDS)
    os._exit(Exit.DEVICE)
