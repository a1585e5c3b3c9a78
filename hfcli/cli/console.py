"""The only printer: standard output is data, standard error is talk.

Data is written as UTF-8 bytes whatever the locale. Talk is `note:`, `error:` and `hint:` lines, and one live line,
which appears after two seconds of waiting and on a terminal only; elsewhere there are sparse lines. Colour repeats what
words say.
"""

import contextlib
import errno
import os
import re
import select
import shutil
import signal
import sys
import textwrap
import time
from collections.abc import Iterator
from typing import Any

from hfcli.errors import DataError, HfcliError
from hfcli.events import Downloading, Event, Note, Working

_PATIENCE_SECONDS = 1.0
_LIVE_AFTER_SECONDS = 2.0
_LIVE_EVERY_SECONDS = 0.25
_LINE_EVERY_SECONDS = 30.0
_COLOURS = {"error": "31;1", "hint": "36", "note": "33"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


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
        self._live: Any = None
        self._began = self._shown = time.monotonic()
        self._download = ""

    # data

    def data(self, text: str) -> None:
        """Write to standard output, at once.

        Raises:
            ClosedOutput: Nobody reads it any more.
            DataError: It cannot be written, for instance to a full disk.
        """
        self.data_bytes((_visible(text) if self.terminal else text).encode("utf-8", "replace"))

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

    def line(self, text: str) -> None:
        """A line of talk without a status word, as it is."""
        if not self.quiet:
            self._err(text)

    def error(self, error: HfcliError) -> None:
        self._talk("error", error.message)
        if error.hint:
            self._talk("hint", error.hint)

    def _talk(self, word: str, text: str) -> None:
        label = f"{word}:".ljust(7) if word != "note" else "note: "
        shown = f"\x1b[{_COLOURS[word]}m{word}:\x1b[0m{label[len(word) + 1 :]}" if self._colour() else label
        indent = " " * len(label)
        lines = []
        for given in _visible(text).split("\n"):
            width = min(shutil.get_terminal_size().columns, 100) - len(label)
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
        self._drop_live()
        with contextlib.suppress(OSError):  # talk that nobody can hear is no reason to stop
            _write(2, (text + "\n").encode("utf-8", "backslashreplace"))

    # progress

    def tell(self, event: Event) -> None:
        """Show what a running job says; called often, so it looks at the clock first."""
        if self.quiet:
            return
        if isinstance(event, Note):
            return self.note(event.text)
        now = time.monotonic()
        if isinstance(event, Downloading) and self._download != event.name:
            self._download, self._began = event.name, now
            self.line(f"downloading {event.name}, {_size(event.total_bytes)}, once")
        if self._talk_terminal:
            if now - self._began >= _LIVE_AFTER_SECONDS and now - self._shown >= _LIVE_EVERY_SECONDS:
                self._shown = now
                self._show_live(self._describe(event, now))
        elif now - max(self._shown, self._began) >= _LINE_EVERY_SECONDS:
            self._shown = now
            self.line(self._describe(event, now))

    def begin(self) -> None:
        """A new wait begins: the two seconds before a live line count from here."""
        self._began = self._shown = time.monotonic()

    def _describe(self, event: Downloading | Working, now: float) -> str:
        if isinstance(event, Downloading):
            share = min(event.done_bytes / max(event.total_bytes, 1), 1.0)
            seconds = max(now - self._began, 1e-9)
            sizes = f"{_size(event.done_bytes, event.total_bytes)} of {_size(event.total_bytes)}"
            speed = f"{_size(int(event.done_bytes / seconds))}/s"
            left = f" · {_left(seconds * (1 - share) / share)}" if 0 < share < 1 else ""
            return self._glyphs(f"{share:4.0%}  {_blocks(share)}  {sizes} · {speed}{left}")
        rate = f"{event.tokens / max(event.seconds, 1e-9):,.0f} tokens/s"
        if not event.fraction:
            return self._glyphs(f"{event.records:,} records · {rate}")
        share = min(event.fraction, 1.0)
        gained = share - event.fraction_before  # in this run; a hair of it tells nothing
        left = f" · {_left(event.seconds * (1 - share) / gained)}" if gained > 0.005 and share < 1 else ""
        return self._glyphs(f"{share:4.0%}  {_blocks(share)}  {event.records:,} records · {rate}{left}")

    def _glyphs(self, text: str) -> str:
        if "utf" in (sys.stderr.encoding or "").lower():
            return text
        return re.sub("[▏▎▍▌▋▊▉█]", "#", text).replace("·", "-")

    def _show_live(self, text: str) -> None:
        from rich.console import Console as RichConsole
        from rich.live import Live
        from rich.text import Text

        if self._live is None:
            console = RichConsole(stderr=True, highlight=False, emoji=False, markup=False)
            self._live = Live(
                console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self._live.start()
        self._live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)

    def _drop_live(self) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def close(self) -> None:
        """Take the live line away."""
        self._drop_live()


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


def _visible(text: str) -> str:
    """Control characters as escapes, so that what a model or a file says cannot steer a terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _size(count: int, of: int | None = None) -> str:
    """Bytes for people, in the unit of the total where there is one; that unit is then left out."""
    scale = of if of is not None else count
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if scale >= factor:
            number = f"{count / factor:.1f}" if scale < 10 * factor else f"{count / factor:.0f}"
            return number if of is not None else f"{number} {unit}"
    return f"{count}" if of is not None else f"{count} bytes"


def _left(seconds: float) -> str:
    if seconds < 90:
        return f"~{max(round(seconds), 1)} s left"
    return f"~{seconds / 60:.0f} min left" if seconds < 5400 else f"~{seconds / 3600:.1f} h left"


def _blocks(share: float, width: int = 24) -> str:
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    return ("█" * (eighths // 8) + "▏▎▍▌▋▊▉"[eighths % 8 - 1] * (eighths % 8 > 0)).ljust(width)
