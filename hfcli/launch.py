"""One command line in several processes: which of them this is, and starting them.

Each process is a *rank*. They are started by `torchrun`, `accelerate launch` or `srun`, or by `run` here, which is what
`--num-processes` does. Torch's elastic launcher is not used: it sends Ctrl-C on a second time, kills a rank that takes
longer than 30 s to save, and has to import torch before it starts anything.
"""

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from hfcli.errors import Exit, UsageError

LOST = 75
"""What a rank exits with whose only trouble is that another one is gone; whoever started them knows which."""
STARTED = "HFCLI_RANKS"
"""Set in ranks that `run` has started: the number of the pipe that ends with their parent."""
LISTENING = "HFCLI_LISTEN_FD"
"""Set in rank 0 of these: the number of a socket that listens at MASTER_PORT already."""
KEY = "HFCLI_RANKS_KEY"
"""Set in these ranks: what they sign their messages with, so that others of this machine cannot send them any."""
_POLL_SECONDS = 0.03
_PATIENCE_SECONDS = 4.0  # for ranks to notice by themselves that another one is gone, and to save what is to be saved
_AFTER_RANK_0_SECONDS = 0.5
_AT_THE_END_SECONDS = 4.0
_KILL_SECONDS = 2.0

command_line: list[str] = []
"""The arguments of this process, as `main` was called with them."""
handed_on: list[int] = []
"""How many ranks this process has started to do its work, once it has."""


class World(NamedTuple):
    """Which rank this process is, of how many; `local` counts those of this machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1


def world() -> World:
    """Which rank this process is."""
    return World(_number("RANK", 0), _number("WORLD_SIZE", 1), _number("LOCAL_RANK", 0), _number("LOCAL_WORLD_SIZE", 1))


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default


def started_here() -> bool:
    """Whether this rank was started by `run`."""
    return STARTED in os.environ


def begin(arguments: Sequence[str]) -> None:
    """What comes before everything else in a process that may be a rank.

    Args:
        arguments: Its command line, without the program's name.
    """
    command_line[:] = arguments
    handed_on.clear()
    _adopt_slurm()
    if world().size > 1:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # torch tells the terminal of every connection's end
        _hold_leash()


def _adopt_slurm() -> None:
    """Give a task of `srun` the variables that torchrun would have given it.

    A batch script without srun has SLURM_NTASKS, too, and is one process; only a step has SLURM_STEP_NUM_TASKS.
    """
    tasks = _number("SLURM_STEP_NUM_TASKS", 1)
    if tasks == 1 or "RANK" in os.environ:
        return
    job = _number("SLURM_JOB_ID", 0) * 16 + _number("SLURM_STEP_ID", 0)
    per_node = os.environ.get("SLURM_STEP_TASKS_PER_NODE", "1")
    os.environ |= {
        "RANK": os.environ.get("SLURM_PROCID", "0"),
        "WORLD_SIZE": str(tasks),
        "LOCAL_RANK": os.environ.get("SLURM_LOCALID", "0"),
        "LOCAL_WORLD_SIZE": re.split(r"[(,]", per_node)[0],
        "MASTER_ADDR": os.environ.get("MASTER_ADDR") or first_host(os.environ.get("SLURM_STEP_NODELIST", "127.0.0.1")),
        "MASTER_PORT": os.environ.get("MASTER_PORT") or str(20000 + job % 20000),
    }


def first_host(nodes: str) -> str:
    """The first of SLURM's compressed list: "gpu07" of "gpu[07-09,12],cpu1"."""
    found = re.match(r"([^\[,]+)(?:\[([^\],-]+))?", nodes)
    return (found[1] + (found[2] or "")) if found else nodes


def count(asked: str | None, accelerators: int) -> int:
    """How many ranks `--num-processes` asks for.

    Args:
        asked: A whole number, or auto; None for one.
        accelerators: That this machine has, for auto.

    Raises:
        UsageError: These are ranks already, of another number.
    """
    here = world()
    wanted = max(accelerators, 1) if asked == "auto" else int(asked or 1)
    if here.size > 1 and asked not in (None, "auto") and wanted not in (here.size, here.local_size):
        raise UsageError(
            f"--num-processes {asked}, and these are {here.size} processes already, started by another launcher",
            "leave out --num-processes",
        )
    return wanted


class Voice(NamedTuple):
    """What a rank that is connected to the others knows of them.

    Attributes:
        speaks: Whether this rank tells what went wrong; the first one that asks does.
        is_loss: Whether an exception only says that another rank is gone.
    """

    speaks: Callable[[], bool]
    is_loss: Callable[[RuntimeError], bool]


voice = Voice(lambda: world().rank == 0, lambda error: False)
"""Of this process; `hfcli.runtime.ranks` puts another one here when the ranks are connected."""


def _hold_leash() -> None:
    """End with the process that started this rank, whatever ends that one."""
    leash = os.environ.get(STARTED, "")
    if not leash.isdecimal():
        return
    os.set_inheritable(int(leash), False)

    def wait() -> None:
        with contextlib.suppress(OSError):
            os.read(int(leash), 1)  # nothing is ever written there
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_KILL_SECONDS)
        os._exit(Exit.TERMINATED)

    threading.Thread(target=wait, daemon=True).start()


class Ended(NamedTuple):
    """How ranks have ended.

    Attributes:
        rank: The one that counts: of those that failed the first.
        code: Its exit code; minus the number of the signal that killed it.
    """

    rank: int
    code: int


def run(arguments: Sequence[str], size: int) -> Ended:
    """Start ranks of this machine with the same command line, pass signals on to them, and wait for all of them.

    Only rank 0 has this process's standard input and output; the others write to standard error alone.

    Args:
        arguments: Without the program's name.
        size: How many.
    """
    handed_on.append(size)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4 * size))
        leash, held = os.pipe()
        key = secrets.token_hex(32)
        stack.callback(os.close, held)  # also by the kernel, where this process is killed
        children: list[subprocess.Popen[bytes]] = []
        stack.callback(_kill, children)
        with _passing_on(children) as received:
            try:
                for rank in range(size):
                    children.append(_start(arguments, rank, size, listener, leash, key))
            finally:
                os.close(leash)
            listener.close()
            return _wait(children, received)


def _start(
    arguments: Sequence[str], rank: int, size: int, listener: socket.socket, leash: int, key: str
) -> "subprocess.Popen[bytes]":
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {
        "OMP_NUM_THREADS": str(max(1, cores // size)),  # more threads than cores are slower than one
        **os.environ,
        "PYTHONPATH": path,
        "PYTHONSAFEPATH": "1",  # as for the console script: nothing is imported from the working folder
        KEY: key,
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_RANK": str(rank),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(listener.getsockname()[1]),
        STARTED: str(leash),
    }
    kept = [leash]
    if rank == 0:
        environment[LISTENING] = str(listener.fileno())
        kept.append(listener.fileno())
    return subprocess.Popen(
        [sys.executable, "-m", "hfcli", *arguments],
        env=environment,
        stdin=None if rank == 0 else subprocess.DEVNULL,
        stdout=None if rank == 0 else subprocess.DEVNULL,
        pass_fds=kept,
        start_new_session=True,  # else a terminal's Ctrl-C would reach them, and the one passed on would be a second
    )


@contextlib.contextmanager
def _passing_on(children: Sequence["subprocess.Popen[bytes]"]) -> Iterator[list[int]]:
    """Signals for this process go to the ranks, which know how to end; yields the numbers of those that came."""
    received: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for child in children:
            _signal(child, number)

    def pause(number: int, frame: FrameType | None) -> None:
        for child in children:
            _signal(child, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        for child in children:
            _signal(child, signal.SIGCONT)

    handlers = dict.fromkeys((signal.SIGINT, signal.SIGTERM), pass_on)
    heard = {n: handler for n, handler in handlers.items() if signal.getsignal(n) is not signal.SIG_IGN}
    if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:  # Ctrl-Z
        heard[signal.SIGTSTP] = pause
    before = {number: signal.signal(number, handler) for number, handler in heard.items()}
    try:
        yield received
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _wait(children: Sequence["subprocess.Popen[bytes]"], received: Sequence[int]) -> Ended:
    """Wait; when a rank has failed, or rank 0 is done, the others have some seconds.

    Args:
        children: The ranks.
        received: Signals that were passed on to them; who dies of one has not failed.
    """
    first: Ended | None = None
    stop_at: float | None = None
    terminated = False
    while True:
        codes = [child.poll() for child in children]
        gone = [Ended(rank, code) for rank, code in enumerate(codes) if code is not None]
        failed = [each for each in gone if each.code not in (Exit.OK, LOST) and -each.code not in received]
        if first is None and not terminated:  # later ones have died of what is done here
            first = next(iter(failed), None)
        if len(gone) == len(codes):
            return _verdict(gone, first, received)
        now = time.monotonic()
        if codes[0] not in (None, 0, LOST):
            stop_at = min(stop_at or now + _AFTER_RANK_0_SECONDS, now + _AFTER_RANK_0_SECONDS)
        elif stop_at is None and failed:
            stop_at = now + _PATIENCE_SECONDS
        elif stop_at is None and codes[0] == 0:  # the others may be done before rank 0 is, which writes
            stop_at = now + _AT_THE_END_SECONDS
        elif stop_at is None and LOST in codes:
            stop_at = now + _PATIENCE_SECONDS
        if stop_at is not None and now > stop_at:
            for child in children:
                _signal(child, signal.SIGKILL if terminated else signal.SIGTERM)
            terminated, stop_at = True, now + _KILL_SECONDS
        time.sleep(_POLL_SECONDS)


def _verdict(gone: Sequence[Ended], first: Ended | None, received: Sequence[int]) -> Ended:
    """Which rank's end is that of the command: the first failure, unless rank 0 has done all there was to do."""
    if gone[0].code == Exit.OK:
        return gone[0]
    if first is not None:
        return first
    if received:  # rank 0 died of it before it could say so
        return Ended(0, gone[0].code if gone[0].code > 0 and gone[0].code != LOST else 128 + received[0])
    return next((each for each in gone if each.code == LOST), gone[0])


def _signal(child: "subprocess.Popen[bytes]", number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if child.poll() is None:
            child.send_signal(number)


def _kill(children: Sequence["subprocess.Popen[bytes]"]) -> None:
    for child in children:
        _signal(child, signal.SIGKILL)
        child.wait()
