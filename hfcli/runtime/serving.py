"""What every rank but the first does in a job that is dealt out: load models, compute batches, until it is over."""

import contextlib
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from hfcli.errors import HfcliError
from hfcli.runtime import ranks, watchdog
from hfcli.runtime.dealing import DONE, HEARTBEAT_SECONDS, IDLE_SECONDS, WORK, Job, do, take
from hfcli.runtime.ranks import Connected


def serve(connected: Connected) -> None:
    """Load models and compute batches until rank 0 says that it is over."""
    store, rank = connected.store, connected.world.rank
    models: dict[int, Any] = {}
    loading = threading.Event()
    threading.Thread(target=_live, args=(store.clone(), rank, loading), daemon=True).start()
    while True:
        message = take(store, f"hfcli/load/{rank}")
        if message == b"end":
            store.set(f"hfcli/gone/{rank}", "")
            return
        if message is not None:
            loading.set()
            _guarded(connected, -1, _load, store, models, int(message))
            loading.clear()
            continue
        message = take(store, WORK)
        if message is None:
            time.sleep(IDLE_SECONDS)
            continue
        job: Job = ranks.unpack(message)
        _guarded(connected, job.number, _answer, store, models, job)


def _live(store: Any, rank: int, loading: threading.Event) -> None:
    """Say every second that this rank lives, and how often it has moved; loading a model is moving."""
    count = moves = 0
    with contextlib.suppress(RuntimeError):
        while True:
            moves += loading.is_set()
            store.set(f"hfcli/alive/{rank}", f"{count} {watchdog.moves() + moves}")
            count += 1
            time.sleep(HEARTBEAT_SECONDS)


def _guarded(connected: Connected, number: int, function: Callable[..., None], *arguments: Any) -> None:
    """Call a function; what it raises goes to rank 0, in the place of what it should have given."""
    where = f"rank {connected.world.rank} on {connected.hosts[connected.world.rank]}"
    try:
        return function(*arguments)
    except HfcliError as error:
        failure: BaseException = type(error)(f"{where}: {error.message}", error.hint)
    except Exception:  # a bug; its stack would be lost with this rank
        failure = RuntimeError(f"{where}:\n{traceback.format_exc()}")
    connected.store.queue_push(DONE, ranks.pack((number, failure)))


def _load(store: Any, models: dict[int, Any], number: int) -> None:
    if number in models:
        return
    function, arguments, of = ranks.unpack(store.get(f"hfcli/model/{number}"))
    if of is not None:
        _load(store, models, of)
        arguments = (models[of], *arguments)
    models[number] = function(*arguments)


def _answer(store: Any, models: dict[int, Any], job: Job) -> None:
    _load(store, models, job.model)
    with watchdog.step():
        done = do(models[job.model], job.run, job.part, job.common, lambda count: watchdog.beat())
    store.queue_push(DONE, ranks.pack((job.number, done)))
