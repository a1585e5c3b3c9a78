"""The only printer: standard output is data, standard error is talk.

Data is written as UTF-8 bytes whatever the locale. Talk is `note:`, `error:` and `hint:` lines, and a live region of at
most four lines, which appears after two seconds of waiting and on a terminal only; elsewhere there are sparse lines.
Colour repeats what words say.
"""

import contextlib
import errno
import os
import select
import shutil
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Sequence

from hfcli.cli._format import ascii_glyphs, blocks, cells, left, size, visible
from hfcli.errors import DataError, HfcliError
from hfcli.events import Downloading, Event, Note, Progress, Stopping, Working

_PATIENCE_SECONDS = 1.0
_LIVE_AFTER_SECONDS = 2.0
_LIVE_EVERY_SECONDS = 0.25
_LINE_EVERY_SECONDS = 30.0
_COLOURS = {"error": "31;1", "fail": "31;1", "hint": "36", "note": "33"}


class ClosedOutput(Exception):
    """Whoever read standard output has gone; `hfcli ... | head -1` is no error."""


class Console:
    """What one command prints.

    Args:
        quiet: No notes and no progress; errors and data only.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.terminal = sys.stdout.isatty()
        self._talk_terminal = sys.stderr.isatty()
        self._said: set[str] = set()
        self._live: list[str] = []
        self._began = self._shown = time.monotonic()
        self._download = ""
        self._progress: Progress | None = None

    # data

    def data(self, text: str) -> None:
        """Write to standard output, at once.

        Raises:
            ClosedOutput: Nobody reads it any more.
            DataError: It cannot be written, for instance to a full disk.
        """
        self.data_bytes((visible(text) if self.terminal else text).encode("utf-8", "replace"))

    def bold(self, text: str) -> str:
        """Text for `data_bytes`, bold on a colour terminal; elsewhere as it is."""
        colour = self.terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return f"\x1b[1m{text}\x1b[0m" if colour else text

    def data_bytes(self, data: bytes) -> None:
        self._drop_live()
        try:
            _write(1, data)
        except BrokenPipeError:
            raise ClosedOutput from None
        except OSError as error:
            raise unwritable(error) from error

    # talk

    def note(self, text: str) -> None:
        """Say something once."""
        if not self.quiet and text not in self._said:
            self._said.add(text)
            self._talk("note", text)

    def line(self, text: str = "") -> None:
        """A line of talk without a status word."""
        if not self.quiet:
            self._err(visible(text))

    def hint(self, text: str) -> None:
        """What to type next, though nothing is wrong."""
        if not self.quiet:
            self._talk("hint", text)

    def fail(self, text: str) -> None:
        """Say what was not met, though everything worked; said with --quiet, too."""
        self._talk("fail", text)

    def error(self, error: HfcliError) -> None:
        self._talk("error", error.message)
        if error.hint:
            self._talk("hint", error.hint)

    def columns(self) -> int | None:
        """How wide talk may be: the terminal's width, None where there is none and nothing is cut or wrapped."""
        return self._screen()[0] if self._talk_terminal else None

    def _screen(self) -> tuple[int, int]:
        """Columns and lines of the terminal that talk goes to; standard output may be another one, or none."""
        with contextlib.suppress(OSError):
            found = os.get_terminal_size(2)
            if found.columns and found.lines:
                return found.columns, found.lines
        return shutil.get_terminal_size()

    def _talk(self, word: str, text: str) -> None:
        label = f"{word}:".ljust(7) if word != "note" else "note: "
        shown = f"\x1b[{_COLOURS[word]}m{word}:\x1b[0m{label[len(word) + 1 :]}" if self._colour() else label
        indent = " " * len(label)
        lines = []
        for given in visible(text).split("\n"):
            width = min(self._screen()[0], 100) - len(label)
            wrap = self._talk_terminal and word != "hint"  # a hint is there to be pasted
            lines += (
                textwrap.wrap(given, max(width, 40), break_long_words=False, break_on_hyphens=False)
                if wrap
                else [given]
            )
        self._err(shown + f"\n{indent}".join(lines))

    def _colour(self) -> bool:
        return self._talk_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def _err(self, text: str) -> None:
        if "utf" not in (sys.stderr.encoding or "").lower():
            text = ascii_glyphs(text)
        with _signals_later(), contextlib.suppress(OSError):  # talk that nobody can hear is no reason to stop
            _write(2, self._cleared() + (text + "\n").encode("utf-8", "backslashreplace"))

    # progress

    def tell(self, event: Event) -> None:
        """Show what a running job says; called often, so it looks at the clock first."""
        if isinstance(event, Note):
            return self.note(event.text)
        if isinstance(event, Stopping):
            return self._stopping(event)
        if isinstance(event, Downloading) and self._download != event.name:
            self._download, self._began = event.name, time.monotonic()
            self.line(f"downloading {event.name}, {size(event.total_bytes)}, once")
        if isinstance(event, Progress):
            before, self._progress = self._progress, event
            if before is None or before.what != event.what or before.done > event.done:
                self._began = time.monotonic()
        if self.due():
            self.show([self._describe(event, time.monotonic())])

    def begin(self) -> None:
        """A new wait begins: the two seconds before live lines count from here."""
        self._drop_live()
        self._began = self._shown = time.monotonic()

    @property
    def lively(self) -> bool:
        """Whether there can be live lines; elsewhere some lines of progress stay."""
        return self._talk_terminal and os.environ.get("TERM") != "dumb"

    def due(self, early: bool = False) -> bool:
        """Whether it is time to show progress.

        Args:
            early: A sign of life, shown at once where lines stay.
        """
        if self.quiet:
            return False
        now = time.monotonic()
        if self.lively:
            waited = bool(self._live) or now - self._began >= _LIVE_AFTER_SECONDS
            due = waited and now - self._shown >= _LIVE_EVERY_SECONDS
        else:
            due = early or now - max(self._shown, self._began) >= _LINE_EVERY_SECONDS
        if due:
            self._shown = now
        return due

    def show(self, lines: Sequence[str]) -> None:
        """Progress: live lines, or lines that stay where there can be none."""
        if self.lively:
            self.live(lines)
        else:
            for line in lines:
                self.line(line)

    def live(self, lines: Sequence[str]) -> None:
        """Show these lines in place of the live ones before; what is printed afterwards scrolls above."""
        columns, rows = self._screen()
        shown = [line[: columns - 1] for line in lines[-max(rows - 1, 1) :]]
        if "utf" not in (sys.stderr.encoding or "").lower():
            shown = [ascii_glyphs(line)[: columns - 1] for line in shown]
        with _signals_later(), contextlib.suppress(OSError):
            _write(2, self._cleared() + "\n".join(shown).encode("utf-8", "backslashreplace"))
            self._live = shown

    def _cleared(self) -> bytes:
        """What takes the live lines away; a terminal that has become narrower has wrapped them."""
        if not self._live:
            return b""
        columns = self._screen()[0]
        up = sum(max(-(-cells(line) // columns), 1) for line in self._live) - 1
        self._live = []
        return (
            b"\r\x1b[2K" + b"\x1b[A\x1b[2K" * up
        )  # not \x1b[J: tmux keeps what that clears from the top in its history

    def _drop_live(self) -> None:
        if self._live:
            with _signals_later(), contextlib.suppress(OSError):
                _write(2, self._cleared())

    def close(self) -> None:
        """Take the live lines away."""
        self._drop_live()

    def _stopping(self, event: Stopping) -> None:
        kept = f"keep the save of step {event.saved_step:,}" if event.saved_step else "nothing is saved yet"
        text = f"stopping after this step (Ctrl-C again: stop now, {kept})"
        if text not in self._said:
            self._said.add(text)
            self.line(text)

    def _describe(self, event: Downloading | Working | Progress, now: float) -> str:
        if isinstance(event, Working):
            return self._describe_work(event)
        seconds = max(now - self._began, 1e-9)
        if isinstance(event, Downloading):
            done = min(event.done_bytes / max(event.total_bytes, 1), 1.0)
            sizes = f"{size(event.done_bytes, event.total_bytes)} of {size(event.total_bytes)}"
            told = f"{sizes} · {size(int(event.done_bytes / seconds))}/s"
        else:
            done = min(event.done / max(event.total, 1), 1.0)
            told = f"{event.what} {event.done:,} of {event.total:,} records"
        rest = f" · {left(seconds * (1 - done) / done)}" if 0 < done < 1 else ""
        return f"{done:4.0%}  {blocks(done)}  {told}{rest}"

    def _describe_work(self, event: Working) -> str:
        seconds = max(event.seconds, 1e-9)
        rate = (
            f"{event.records / seconds:,.0f}/s" if event.tokens is None else f"{event.tokens / seconds:,.0f} tokens/s"
        )
        rate += f" · {event.note}" if event.note else ""
        if not event.fraction:
            return f"{event.records:,} {event.what} · {rate}"
        done = min(event.fraction, 1.0)
        gained = done - event.fraction_before  # in this run; a hair of it tells nothing
        rest = f" · {left(event.seconds * (1 - done) / gained)}" if gained > 0.005 and done < 1 else ""
        return f"{done:4.0%}  {blocks(done)}  {event.records:,} {event.what} · {rate}{rest}"


def unwritable(error: OSError) -> DataError:
    """The error for a standard output that cannot be written, such as on a full disk."""
    return DataError(
        f"standard output cannot be written ({(error.strerror or str(error)).lower()})", "-o FILE writes elsewhere"
    )


def _write(fd: int, data: bytes) -> None:
    """Write all of it, also when Ctrl-C or SIGTERM comes meanwhile: then afterwards, so that lines stay whole.

    Without Python's buffer: what cannot be written would stay in it, and fail again when the process ends.
    """
    view = memoryview(data)
    with _signals_later() as arrived:
        while view:
            if select.select([], [fd], [], _PATIENCE_SECONDS)[1]:
                with contextlib.suppress(BlockingIOError):
                    view = view[os.write(fd, view[: select.PIPE_BUF]) :]
            elif arrived:
                return  # nobody reads, and nobody wants to wait


@contextlib.contextmanager
def _signals_later() -> Iterator[list[int]]:
    """Collects the numbers of the signals that arrive inside, and raises them at the end."""
    arrived: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # where signals do not arrive
        yield arrived
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda got, frame: arrived.append(got))
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])


def open_closed_streams() -> None:
    """Put something where a standard stream was closed (`<&-`): the next file that is opened would take its number.

    Nothing comes from it, and writing to it fails.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def discard_output() -> None:
    """Let what is still buffered for a closed standard output go nowhere instead of failing at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.EINVAL):
            raise
