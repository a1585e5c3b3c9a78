"""Records to statistics, chunk by chunk: what was reduced is forgotten. Slow metrics get a process for each core."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

    from hfcli.metrics.base import Family, Statistics

CHUNK = 512
_AHEAD = 8192  # records of a slow family after which other processes are worth their start
_WORKERS = 8


class Wanted(NamedTuple):
    """A family that is measured, with its options."""

    family: "Family"
    options: Any


class Batch(NamedTuple):
    """A chunk of records, as the families read them.

    Attributes:
        predictions: Of each system, of each family: a list.
        references: Of each family: a list.
    """

    predictions: list[list[list[Any]]]
    references: list[list[Any]]

    def __len__(self) -> int:
        return len(self.references[0])


def reduced(
    batches: Iterator[Batch], wanted: Sequence[Wanted], seen: "Callable[[Batch, list[list[Statistics]]], None]"
) -> "list[list[Statistics]]":
    """Statistics of all records.

    Args:
        batches: The records.
        wanted: The families.
        seen: Told each chunk in order, with its statistics by system and family.

    Returns:
        By system and family.

    Raises:
        DataError: What a family says of records that it cannot measure.
    """
    parts: list[list[list[Statistics]]] = []

    def keep(batch: Batch, found: "list[list[Statistics]]") -> None:
        seen(batch, found)
        parts.append(found)

    waiting: deque[tuple[Batch, Future[Any]]] = deque()
    pool: ProcessPoolExecutor | None = None
    cores = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, _WORKERS)
    slow = cores > 1 and any(each.family.slow for each in wanted)
    count = 0
    try:
        for batch in batches:
            count += len(batch) * len(batch.predictions)
            if slow and pool is None and count > _AHEAD:
                pool = _pool(cores)
            if pool is None:
                keep(batch, _reduce(batch, wanted))
                continue
            waiting.append((batch, pool.submit(_reduce_elsewhere, batch, _keys(wanted))))
            while len(waiting) > 3 * cores:
                first, future = waiting.popleft()
                keep(first, future.result())
        for first, future in waiting:
            keep(first, future.result())
    except BaseException:
        if pool is not None:
            _end_workers()
        raise
    finally:
        if pool is not None:  # waited for: a pool that is closed while Python ends leaves a traceback
            pool.shutdown(wait=True, cancel_futures=True)
    return _joined(parts)


def _pool(cores: int) -> "ProcessPoolExecutor":
    """Processes that start from nothing: a fork of one with numpy's threads may hang."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    return ProcessPoolExecutor(cores, multiprocessing.get_context("spawn"), initializer=_quiet)


def _end_workers() -> None:
    """Nobody wants what they are working on; a command has no other processes of this kind."""
    from multiprocessing import active_children

    for process in active_children():
        process.terminate()


def _quiet() -> None:
    """Leave Ctrl-C to the process that shows what is kept."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _keys(wanted: Sequence[Wanted]) -> list[tuple[str, Any]]:
    """What another process finds the families by: their functions cannot be sent there."""
    return [(each.family.name, each.options) for each in wanted]


def _reduce_elsewhere(batch: Batch, keys: Sequence[tuple[str, Any]]) -> "list[list[Statistics]]":
    from hfcli import metrics

    return _reduce(batch, [Wanted(metrics.family(name), options) for name, options in keys])


def _reduce(batch: Batch, wanted: Sequence[Wanted]) -> "list[list[Statistics]]":
    return [
        [
            each.family.reduce(predictions, references, each.options)
            for each, predictions, references in zip(wanted, system, batch.references, strict=True)
        ]
        for system in batch.predictions
    ]


def _joined(parts: "list[list[list[Statistics]]]") -> "list[list[Statistics]]":
    from hfcli.metrics import joined

    systems, families = len(parts[0]), len(parts[0][0])
    return [[joined([part[s][f] for part in parts]) for f in range(families)] for s in range(systems)]
