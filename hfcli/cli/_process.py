"""A step as a process of its own, which gets the signals that end or stop the run."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import IO, NamedTuple

from hfcli.cli._steps import environment, process

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
        code: Its exit code; of one that a signal killed, 128 and the signal's number.
        out: What it wrote to standard output, if that was kept.
        signal: The first signal that came meanwhile to end the run, None for none.
    """

    code: int
    out: str
    signal: int | None


def run(argv: Sequence[str], stdin: str | None, kept: bool, out: int | None) -> Ended:
    """Run hfcli as a process, and wait until it has ended, whatever signals come: it gets each of them once.

    Args:
        argv: Its arguments.
        stdin: What it reads from standard input, None for nothing.
        kept: Whether its standard output is kept for the caller.
        out: Else the file descriptor that gets it, None for this process's own.
    """
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as result, _Forwarding() as forwarding:
        source.write((stdin or "").encode())
        source.seek(0)
        child = subprocess.Popen(
            process(argv),
            stdin=subprocess.DEVNULL if stdin is None else source,
            stdout=result if kept else out,
            env=environment(),
            process_group=0,  # of a terminal's Ctrl-C it gets ours, once, and not the terminal's, too
        )
        forwarding.to(child)
        code = child.wait()
        return Ended(code if code >= 0 else 128 - code, _text(result), forwarding.first)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


class _Forwarding:
    """Hands signals on to a process group; those that are ignored here stay ignored."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []
        self.first: int | None = None

    def __enter__(self) -> "_Forwarding":
        wanted = {number: self._forward for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN}
        if sys.stderr.isatty() and signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
            wanted[signal.SIGTSTP] = self._pause
        self._before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
        return self

    def __exit__(self, *about: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def to(self, child: "subprocess.Popen[bytes]") -> None:
        """From now on to this one; also what has come already."""
        self._child = child
        while self._waiting:
            self._send(self._waiting.pop(0))

    def _forward(self, number: int, frame: object) -> None:
        self.first = self.first or number
        if self._child is None:
            self._waiting.append(number)
        else:
            self._send(number)

    def _pause(self, number: int, frame: object) -> None:
        self._send(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        self._send(signal.SIGCONT)

    def _send(self, number: int) -> None:
        if self._child is not None and self._child.returncode is None:
            try:
                os.killpg(self._child.pid, number)
            except ProcessLookupError:
                return  # it has just ended
