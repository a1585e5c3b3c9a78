"""The ranks of a job find each other: a store that all of them see, and a proof that they do.

What ranks are is in `hfcli.launch`. Training is the same program on every rank (`training`); everything else is done by
rank 0, which deals out batches to the others (`dealing`).
"""

import contextlib
import datetime
import hmac
import itertools
import os
import pickle
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from hfcli import launch
from hfcli.errors import DeviceError
from hfcli.launch import World

QUEUE_EMPTY: type[Exception] = torch.distributed.QueueEmptyError

_MEET_SECONDS = 300.0  # a cluster's file system may take minutes to import torch
_PROVE_SECONDS = 60.0
_EVER = datetime.timedelta(days=365)  # nobody waits for a tail -f, or for rank 0 to save, with a clock
_PART_BYTES = 1 << 24
_SIGNS = ("gloo", "nccl", "by peer", "connection reset", "connection closed", "broken pipe", "socket", "tcpstore")


class Connected(NamedTuple):
    """The ranks of this job, found.

    Attributes:
        world: Which of them this is.
        store: What all of them see; keys begin with "hfcli/".
        hosts: Name of each one's machine.
        seconds: What one all-reduce of one number took.
    """

    world: World
    store: Any
    hosts: tuple[str, ...]
    seconds: float


def connect(device: torch.device, *, keep: bool) -> Connected:
    """Meet the other ranks, and add up one number with them.

    Args:
        device: What this rank computes on; ranks on GPUs add up there.
        keep: Whether more is to be added up later, as in training.

    Raises:
        DeviceError: They do not all come, or cannot reach each other.
    """
    world = launch.world()
    store = _store(world)
    launch.voice = launch.Voice(lambda: _first(store, world), is_loss)
    store.set(f"hfcli/here/{world.rank}", socket.gethostname())
    _meet(store, world)
    hosts = tuple(store.get(f"hfcli/here/{rank}").decode() for rank in range(world.size))
    taken = _prove(store, world, device if keep else torch.device("cpu"), hosts)
    if not keep:
        torch.distributed.destroy_process_group()
    return Connected(world, store, hosts, taken)


def _store(world: World) -> Any:
    listening = os.environ.get(launch.LISTENING, "")
    try:
        if listening.isdecimal():
            os.set_inheritable(int(listening), False)
            port = int(os.environ["MASTER_PORT"])
            return torch.distributed.TCPStore(
                "127.0.0.1", port, is_master=True, wait_for_workers=False, master_listen_fd=int(listening)
            )
        found: Iterator[Any] = torch.distributed.rendezvous("env://", timeout=datetime.timedelta(seconds=_MEET_SECONDS))
        return next(found)[0]
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise DeviceError(
            f"rank {world.rank} of {world.size} cannot reach rank 0 at {where} ({str(error).splitlines()[0]})",
            "MASTER_ADDR and MASTER_PORT name a machine and port that all ranks can reach",
        ) from error


def _first(store: Any, world: World) -> bool:
    try:
        return bool(store.compare_set("hfcli/failed", "", str(world.rank)) == str(world.rank).encode())
    except RuntimeError:  # it was rank 0's, or that of who started the ranks, and is gone with them
        return world.rank == 0


def _meet(store: Any, world: World) -> None:
    """Wait until every rank is there."""
    until = time.monotonic() + _MEET_SECONDS
    missing = set(range(world.size))
    while True:
        missing = {rank for rank in missing if not store.check([f"hfcli/here/{rank}"])}
        if not missing:
            return
        if time.monotonic() > until:
            names = ", ".join(map(str, sorted(missing)[:8])) + ", ..." * (len(missing) > 8)
            raise DeviceError(
                f"of {world.size} ranks (WORLD_SIZE) these have not come within {_MEET_SECONDS:.0f} s: {names}",
                "did they start? hfcli doctor --distributed, started the same way, tries this alone",
            )
        time.sleep(0.01)


def _prove(store: Any, world: World, device: torch.device, hosts: tuple[str, ...]) -> float:
    """Add up all ranks' numbers; how many seconds that took once the group was there."""

    def work() -> float:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        backend = {"cuda": "nccl"}.get(device.type, "gloo")
        torch.distributed.init_process_group(
            backend,
            store=torch.distributed.PrefixStore("hfcli/group", store),
            rank=world.rank,
            world_size=world.size,
            timeout=_EVER,
        )
        began = time.monotonic()
        total = torch.full((1,), float(world.rank + 1), device=device)
        torch.distributed.all_reduce(total)
        if float(total) != world.size * (world.size + 1) / 2:
            raise RuntimeError(f"the sum of 1 to {world.size} came out as {float(total):g}")
        return time.monotonic() - began

    where = f"rank {world.rank} of {world.size} on {hosts[world.rank]}"
    return within(work, f"{where} cannot add up one number with the others")


def within(work: Callable[[], float], what: str) -> float:
    """What ranks do together, which may come to no end: a port that a firewall swallows is waited for for ever.

    Args:
        work: What is done, and gives a number.
        what: What is said where it does not work, or takes a minute.

    Raises:
        DeviceError: It does not.
    """
    done: list[float | BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            done.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_PROVE_SECONDS)
    reason = f"nothing came back within {_PROVE_SECONDS:.0f} s" if not done else done[0]
    if isinstance(reason, float):
        return reason
    said = str(reason).splitlines()[0] if str(reason) else type(reason).__name__
    hint = "a firewall between machines, or a network card that is none (GLOO_SOCKET_IFNAME, NCCL_SOCKET_IFNAME)"
    raise DeviceError(f"{what} ({said})", hint)


def is_loss(error: RuntimeError) -> bool:
    """Whether an exception of torch says no more than that another rank is gone."""
    text = str(error).lower()
    return isinstance(error, torch.distributed.DistError) or any(sign in text for sign in _SIGNS)


def share_stdin(connected: Connected) -> None:
    """Give every rank what rank 0 has on standard input, as a file in its place."""
    store, world = connected.store, connected.world
    with tempfile.TemporaryFile() as file:
        if world.rank == 0:
            number = 0
            while True:
                part = os.read(0, _PART_BYTES)
                store.set(f"hfcli/stdin/{number}", part)
                file.write(part)
                number += 1
                if not part:
                    break
        else:
            number = 0
            while part := _wait_for(store, f"hfcli/stdin/{number}"):
                file.write(part)
                number += 1
        file.flush()
        file.seek(0)
        os.dup2(file.fileno(), 0)


def turns(connected: Connected) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """For bodies that fetch what is kept on a machine: one rank of each goes first, and its others find it there."""
    numbers = itertools.count()

    @contextlib.contextmanager
    def turn() -> Iterator[None]:
        key = f"hfcli/turn/{next(numbers)}/{connected.hosts[connected.world.rank]}"
        if connected.world.local_rank:
            _wait_for(connected.store, key)
        yield
        if not connected.world.local_rank:
            connected.store.set(key, "over")

    return turn


def _wait_for(store: Any, key: str) -> bytes:
    while not store.check([key]):  # a wait of the store's own has a clock
        time.sleep(0.01)
    value: bytes = store.get(key)
    return value


def pack(content: Any) -> bytes:
    """A message for another rank; signed, where whoever started the ranks gave them a key."""
    data = pickle.dumps(content)
    return _signature(data) + data


def unpack(message: bytes) -> Any:
    """What a message holds.

    Raises:
        DeviceError: It is from somebody else; nothing of it was read.
    """
    length = len(_signature(b""))
    signature, data = message[:length], message[length:]
    if not hmac.compare_digest(signature, _signature(data)):
        raise DeviceError("a message came that no rank has sent; it was not read", "who else can reach this machine?")
    return pickle.loads(data)


def _signature(data: bytes) -> bytes:
    key = os.environ.get(launch.KEY, "")
    return hmac.digest(key.encode(), data, "sha256") if key else b""
