"""Batches for all ranks: rank 0 puts them into a queue, every rank takes the next one, rank 0 sorts the outputs.

Which rank a batch is computed on changes nothing in it, so the results are those of one process, and another number of
ranks can go on with a job. Only rank 0 reads and writes; the others do what they are told (`serving`). The queue is a
TCPStore of torch, not collectives: nobody has to wait for the slowest, or while `tail -f` is silent.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from hfcli.errors import RankLost
from hfcli.runtime import environment, ranks, watchdog
from hfcli.runtime.ranks import Connected

Run = Callable[[Any, list[Any], Any, Callable[[int], None]], Any]
"""A function of a module, which other ranks import: (model, items, what they have in common, tick) to an output each.

Raises RuntimeError where memory runs out."""

IDLE_SECONDS = 0.005
HEARTBEAT_SECONDS = 1.0
_SILENCE_SECONDS = 15.0
_AHEAD = 4  # chunks that are under way, for each rank: a batch of the last ones is what ranks wait for at the end
WORK, DONE = "hfcli/work", "hfcli/done"


class Part(NamedTuple):
    """A batch: places and what is there."""

    places: list[int]
    items: list[Any]


class Done(NamedTuple):
    """What became of a batch.

    Attributes:
        outputs: By place.
        too_large: Places of those that do not fit into memory even alone.
        halved: How many did not fit, and how many of them are tried now, each time that memory ran out.
    """

    outputs: dict[int, Any]
    too_large: list[int]
    halved: list[tuple[int, int]]


def do(model: Any, run: Run, part: Part, common: Any, tick: Callable[[int], None] = lambda count: None) -> Done:
    """Work on a batch; where memory runs out, on its halves."""
    done = Done({}, [], [])
    waiting = [part]
    while waiting:
        places, items = waiting.pop()
        try:
            done.outputs.update(zip(places, run(model, items, common, tick), strict=True))
            continue
        except RuntimeError as error:
            if not environment.out_of_memory(error):
                raise
        environment.empty_cache()
        if len(places) == 1:
            done.too_large.append(places[0])
            continue
        half = len(places) // 2
        done.halved.append((len(places), len(places) - half))
        waiting += [Part(places[half:], items[half:]), Part(places[:half], items[:half])]
    return done


class Dealt:
    """Batches under way.

    Args:
        model: What they are for.
        run: What is done with each.
        parts: The batches.
        common: What they have in common.
        remote: The other ranks, where the model is there, too.
    """

    def __init__(self, model: Any, run: Run, parts: Sequence[Part], common: Any, remote: "Remote | None") -> None:
        self._model, self._run, self._common, self._remote = model, run, common, remote
        self._parts = deque(parts)
        self._jobs = [remote.pool.give(remote.number, run, part, common) for part in parts] if remote else []

    def results(self, tick: Callable[[int], None] = lambda count: None) -> Iterator[tuple[Part, Done, bool]]:
        """Each batch, what became of it, and whether `tick` was told of it under way, in their order.

        Raises:
            HfcliError: What a model raised, on whichever rank.
        """
        if self._remote is None:
            while self._parts:
                part = self._parts.popleft()
                yield part, do(self._model, self._run, part, self._common, tick), True
            return
        for job in self._jobs:
            done, here = self._remote.pool.result(job, tick)
            yield self._parts.popleft(), done, here


class Remote(NamedTuple):
    """A model that all ranks have.

    Attributes:
        pool: The ranks.
        number: Of the model.
    """

    pool: "Pool"
    number: int

    def derive(self, function: Callable[[Any], Any], own: Any) -> "Remote":
        """What a function of a module makes of the model, on every rank; `own` is what it made of it here."""
        number = self.pool.load(function, of=self.number)
        self.pool.own(number, own)
        return Remote(self.pool, number)


def ahead(remote: Remote | None) -> int:
    """How many chunks are worth beginning before the first of them ends: 0 where nobody else works."""
    return remote.pool.ahead if remote else 0


class Job(NamedTuple):
    """A batch as it is sent.

    Attributes:
        number: Of the batch.
        model: Number of the model.
        run: What is done with it.
        part: It.
        common: What it has in common with others.
    """

    number: int
    model: int
    run: Run
    part: Part
    common: Any


class Pool:
    """The other ranks, as rank 0 sees them.

    Args:
        connected: The ranks.
    """

    def __init__(self, connected: Connected) -> None:
        self._connected, self._store = connected, connected.store
        self._others = range(1, connected.world.size)
        self._models: dict[int, Any] = {}
        self._specs = self._given = 0
        self._results: dict[int, tuple[Done | BaseException, bool]] = {}
        now = time.monotonic()
        self._heard = dict.fromkeys(self._others, (b"", now))
        self._looked = now

    @property
    def ahead(self) -> int:
        """How many chunks are worth beginning before the first is done."""
        return _AHEAD * self._connected.world.size

    def load(self, function: Callable[..., Any], *arguments: Any, of: int | None = None) -> int:
        """Let the other ranks call a function of a module that loads a model.

        Args:
            function: It.
            arguments: Of the function.
            of: Number of a model that is its first argument.

        Returns:
            The number of the model.
        """
        number = self._specs
        self._specs += 1
        self._store.set(f"hfcli/model/{number}", ranks.pack((function, arguments, of)))
        for rank in self._others:
            self._store.queue_push(f"hfcli/load/{rank}", str(number))
        return number

    def own(self, number: int, model: Any) -> None:
        """Rank 0's own copy of a model."""
        self._models[number] = model

    def give(self, model: int, run: Run, part: Part, common: Any) -> int:
        """Put a batch into the queue."""
        job = Job(self._given, model, run, part, common)
        self._given += 1
        self._store.queue_push(WORK, ranks.pack(job))
        return job.number

    def result(self, number: int, tick: Callable[[int], None]) -> tuple[Done, bool]:
        """What became of a batch, and whether it was done here. Until that is known rank 0 works, too.

        Raises:
            HfcliError: What a model raised, on whichever rank.
            RankLost: A rank has not been heard of for a while.
        """
        with watchdog.step():
            while number not in self._results:
                if not self._collect() and not self._work(tick):
                    self._look()
                    time.sleep(IDLE_SECONDS)
                else:
                    watchdog.beat()
        done, here = self._results.pop(number)
        if isinstance(done, BaseException):
            raise done
        return done, here

    def close(self) -> None:
        """Let the other ranks go home; what is still waiting is not done."""
        with contextlib.suppress(RuntimeError):
            while take(self._store, WORK) is not None:
                pass
            for rank in self._others:
                self._store.queue_push(f"hfcli/load/{rank}", "end")
            until = time.monotonic() + HEARTBEAT_SECONDS
            while time.monotonic() < until:
                if all(self._store.check([f"hfcli/gone/{rank}"]) for rank in self._others):
                    return
                time.sleep(IDLE_SECONDS)

    def _collect(self) -> bool:
        message = take(self._store, DONE)
        if message is None:
            return False
        number, done = ranks.unpack(message)
        if number < 0:
            raise done
        self._results[number] = done, False
        return True

    def _work(self, tick: Callable[[int], None]) -> bool:
        message = take(self._store, WORK)
        if message is None:
            return False
        job: Job = ranks.unpack(message)

        def told(count: int) -> None:
            watchdog.beat()
            tick(count)

        self._results[job.number] = do(self._models[job.model], job.run, job.part, job.common, told), True
        return True

    def _look(self) -> None:
        """Whether all ranks live."""
        now = time.monotonic()
        if now - self._looked < HEARTBEAT_SECONDS:
            return
        self._looked = now
        for rank in self._others:
            key = f"hfcli/alive/{rank}"
            told: bytes = self._store.get(key) if self._store.check([key]) else b""
            before, since = self._heard[rank]
            if told.split()[1:] != before.split()[1:]:
                watchdog.beat()
            if told != before:
                self._heard[rank] = told, now
            elif now - since > _SILENCE_SECONDS:
                raise RankLost(
                    f"rank {rank} on {self._connected.hosts[rank]} has not been heard of for {_SILENCE_SECONDS:.0f} s",
                    "what is finished is kept: --resume",
                )


def take(store: Any, name: str) -> bytes | None:
    """The next of a queue, None where it is empty."""
    if not store.queue_len(name):
        return None
    try:
        message: bytes = store.queue_pop(name, block=False)
        return message
    except ranks.QUEUE_EMPTY:  # somebody else was faster
        return None


current: Pool | None = None
"""The other ranks, in rank 0 of a job that has some."""
