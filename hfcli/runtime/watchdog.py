"""A rank that waits for another one for ever says where it stands.

Ranks hang together: when one of them does not come to an all-reduce, all wait there. So each watches itself, and all of
them print their stacks at about the same moment.
"""

import contextlib
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator

_LOOKS_A_SECOND = 5


class Watchdog:
    """Watches the thread that it is made in.

    Args:
        seconds: How long a step may take.
        bark: Gets the stack when one takes longer; called once, from another thread.

    Attributes:
        moves: How often it has moved.
    """

    def __init__(self, seconds: float, bark: Callable[[str], None]) -> None:
        self._seconds, self._bark = seconds, bark
        self._watched = threading.get_ident()
        self._since: float | None = None
        self.moves = 0
        threading.Thread(target=self._watch, daemon=True).start()

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Something that has to be done, or to `beat`, in time."""
        before, self._since = self._since, time.monotonic()
        try:
            yield
        finally:
            self._since = None if before is None else time.monotonic()

    def beat(self) -> None:
        """It moves."""
        self.moves += 1
        if self._since is not None:
            self._since = time.monotonic()

    def _watch(self) -> None:
        looked = time.monotonic()
        while True:
            time.sleep(1 / _LOOKS_A_SECOND)
            now = time.monotonic()
            if now - looked > 10 / _LOOKS_A_SECOND and self._since is not None:
                self._since = now  # the whole process was stopped, by Ctrl-Z or with its machine
            looked, since = now, self._since
            if since is not None and time.monotonic() - since > self._seconds:
                return self._bark("".join(traceback.format_stack(sys._current_frames().get(self._watched))))


current: Watchdog | None = None
"""That of this process, where it is one of several."""


def beat() -> None:
    """It moves."""
    if current is not None:
        current.beat()


def moves() -> int:
    """How often it has moved."""
    return 0 if current is None else current.moves


def step() -> contextlib.AbstractContextManager[None]:
    """Something that has to be done in time."""
    return contextlib.nullcontext() if current is None else current.step()
