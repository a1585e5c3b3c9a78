"""Many records as a job: read ahead, cut into chunks, worked on, given back in the order they came, errors in place."""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from hfcli.errors import DataError, DeviceError, HfcliError
from hfcli.events import Tell, Working
from hfcli.records import Row

SILENCE_SECONDS = 0.02
CHUNK_RECORDS = 4096  # of a model whose work is next to nothing


class Cut(Protocol):
    """Says where a chunk ends."""

    def __call__(self, row: Row) -> bool:
        """Whether the chunk ends with this row, the next of the input."""

    def restart(self) -> None:
        """The chunk ended before, because nothing came."""


@dataclass
class ByNumber:
    """Chunks of `size` rows, the first of `first`."""

    size: int
    first: int
    count: int = 0

    def __call__(self, row: Row) -> bool:
        self.count += 1
        if self.count < self.first:
            return False
        self.first, self.count = self.size, 0
        return True

    def restart(self) -> None:
        self.count = 0


@dataclass
class ByWork:
    """Chunks of about as much work, by the characters of their rows; the first ones are small, each twice the last.

    Characters and not seconds: a resumed job has to cut where the first one did.

    Attributes:
        characters: Of the next chunk.
        most: Of a chunk in the end.
        more: What counts besides for every row.
    """

    characters: int
    most: int
    records: int = 0
    seen: int = 0
    more: int = 0

    def __call__(self, row: Row) -> bool:
        self.records += 1
        self.seen += self.more + sum(len(value) for value in (row.record or {}).values() if isinstance(value, str))
        if self.seen < self.characters and self.records < CHUNK_RECORDS:
            return False
        self.characters = min(2 * self.characters, self.most)
        self.restart()
        return True

    def restart(self) -> None:
        self.records = self.seen = 0


def chunks(rows: Iterable[Row], cut: Cut, silence_seconds: float | None) -> Iterator[list[Row]]:
    """Rows in lists; shorter ones after a silence, and an empty one: `tail -f` is answered as lines arrive.

    A thread reads ahead, by a few rows only. Its exception is raised after the rows before it were given out.
    """
    lines: queue.Queue[Row | BaseException | None] = queue.Queue(maxsize=64)
    stop = threading.Event()

    def put(item: Row | BaseException | None) -> None:
        while not stop.is_set():
            try:
                return lines.put(item, timeout=0.2)
            except queue.Full:
                continue

    def pump() -> None:
        try:
            for row in rows:
                put(row)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    threading.Thread(target=pump, daemon=True).start()
    try:
        yield from _gather(lines, cut, silence_seconds)
    finally:
        stop.set()


def _gather(
    lines: "queue.Queue[Row | BaseException | None]", cut: Cut, silence_seconds: float | None
) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    silent = True
    while True:
        try:
            item = lines.get(timeout=None if silent else silence_seconds)
            silent = False
        except queue.Empty:
            cut.restart()
            if chunk:
                yield chunk
                chunk = []
            yield []  # what is under way can end, for nothing else comes now
            silent = True
            continue
        if isinstance(item, Row):
            chunk.append(item)
            if not cut(item):
                continue
        if chunk:
            yield chunk
            chunk = []
        if item is None:
            return
        if isinstance(item, BaseException):
            raise item


class Finished(NamedTuple):
    """One record, finished.

    Attributes:
        record: What came in, None where it could not be read.
        answers: Its predictions, one for each sample; empty where the record failed.
        error: Why it failed.
        over_tokens: Tokens that were more than fit at once: dropped, or read in further windows.
    """

    record: Mapping[str, Any] | None
    answers: list[dict[str, Any]]
    error: HfcliError | None = None
    over_tokens: int = 0


@dataclass
class Chunk:
    """Rows that are worked on together, and what went wrong with some of them, by their place.

    Attributes:
        rows: The rows.
        keep_going: Whether a bad record gets an error in its place instead of ending the job.
        errors: What went wrong.
    """

    rows: Sequence[Row]
    keep_going: bool
    errors: dict[int, HfcliError] = field(default_factory=dict)

    def readable(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Places and records of those that could be read, up to the first error that ends the job."""
        for i, row in enumerate(self.rows):
            if row.record is None:
                self.errors[i] = row.error or DataError("unreadable")
            else:
                yield i, row.record
            if self.ends(i):
                return

    def ends(self, i: int) -> bool:
        """Whether what happened to a record ends the job; else an error of its own has a place in the output."""
        return i in self.errors and not (self.keep_going and isinstance(self.errors[i], (DataError, DeviceError)))

    def settled(self, finish: Callable[[int, Mapping[str, Any]], Finished]) -> tuple[list[Finished], HfcliError | None]:
        """The records finished, up to the first error that ends the job, and that error."""
        errors = {i: _located(error, self.rows[i]) for i, error in self.errors.items()}
        end = min((i for i in errors if self.ends(i)), default=len(self.rows))
        finished = [
            Finished(row.record, [], errors[i]) if i in errors else finish(i, row.record or {})
            for i, row in enumerate(self.rows[:end])
        ]
        return finished, errors.get(end)


Tick = Callable[[int, float], None]
"""Told under way: new tokens, and which share of the chunk they are."""


Begun = TypeVar("Begun")


class Worker(Protocol[Begun]):
    """What works on chunks: a loaded model with everything it needs.

    Attributes:
        ahead: Chunks that are begun before the first of them ends, where other ranks work on them.
    """

    @property
    def ahead(self) -> int: ...

    def begin(self, rows: Sequence[Row], tell: Tell) -> Begun:
        """A chunk that is under way."""

    def end(self, begun: Begun, tick: Tick, tell: Tell) -> tuple[list[Finished], HfcliError | None]:
        """It finished, as `Chunk.settled` says."""

    def note(self) -> str | None:
        """What it counts besides records; None where it is tokens."""


def run(
    chunks: Iterable[list[Row]], worker: Worker[Any], tell: Tell, fraction: Callable[[float], float | None], done: int
) -> Iterator[list[Finished]]:
    """Records finished, chunk by chunk. A record that fails ends the job after those before it are given back.

    Args:
        chunks: The input.
        worker: Works on each.
        tell: Gets progress.
        fraction: The share of the input that so many records are, those of an earlier run counted in.
        done: Records that an earlier run has finished.
    """
    started = time.monotonic()
    before = share = fraction(done) or 0.0
    finished = tokens = 0
    rows, begun = 0, 0.0
    failure: HfcliError | None = None

    def tick(new_tokens: int, part: float) -> None:
        nonlocal share, tokens, begun
        tokens += new_tokens
        begun += part
        # A chunk may take a minute: the share of its tokens counts as a share of its records.
        now = fraction(done + finished + rows * min(begun, 1.0))
        if now is not None:  # an estimate by size: shorter records later on must not turn the bar back
            share = max(now, share)
        note = worker.note()
        seconds = time.monotonic() - started
        counted = tokens if note is None else None
        tell(Working(finished, counted, None if now is None else share, seconds, before, note or ""))

    def end(chunk: Any, size: int) -> list[Finished]:
        nonlocal finished, rows, begun, failure
        rows, begun = size, 0.0
        made, failure = worker.end(chunk, tick, tell)
        finished += len(made)
        rows = 0
        tick(0, 0.0)
        return made

    under_way: deque[tuple[Any, int]] = deque()
    for chunk, failed in _until_failure(chunks):
        if chunk:
            under_way.append((worker.begin(chunk, tell), len(chunk)))
        while under_way and (not chunk or len(under_way) > worker.ahead):
            yield end(*under_way.popleft())
            if failure is not None:
                raise failure
        if failed is not None:
            raise failed


def _until_failure(chunks: Iterable[list[Row]]) -> Iterator[tuple[list[Row], HfcliError | None]]:
    """Chunks; in the end an empty one, with the error that ends the input where one does."""
    try:
        for chunk in chunks:
            yield chunk, None
    except HfcliError as error:
        yield [], error
    else:
        yield [], None


def _located(error: HfcliError, row: Row) -> HfcliError:
    """The error with the place of its record in front, if it does not name it already."""
    if row.error is error or not row.where:
        return error
    return type(error)(f"{row.where}: {error.message}", error.hint)
