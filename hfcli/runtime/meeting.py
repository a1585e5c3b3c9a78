"""`hfcli doctor --distributed`: whether ranks see each other, and how fast they add up."""

import time
from collections.abc import Iterator

import torch

from hfcli.runtime import environment, ranks
from hfcli.runtime.diagnosis import Finding

_BYTES = 1 << 24
_TIMES = 5


def examine(device_name: str) -> Iterator[Finding]:
    """Meet the other ranks and add up with them; every rank has to come here, and rank 0 tells.

    Args:
        device_name: As `--device`.

    Raises:
        DeviceError: They do not find each other.
    """
    environment.silence()
    device = environment.pick_device(device_name)
    connected = ranks.connect(device, keep=True)
    world, store = connected.world, connected.store
    name = f" {torch.cuda.get_device_name(device)}" if device.type == "cuda" else ""
    store.set(f"hfcli/device/{world.rank}", f"{device}{name}")
    backend = torch.distributed.get_backend()
    where = f"rank {world.rank} of {world.size} on {connected.hosts[world.rank]} cannot add up"
    slowest = ranks.within(lambda: _timed(device, 1), f"{where} one number with the others")
    each = ranks.within(lambda: _timed(device, _BYTES // 4), f"{where} {_BYTES >> 20} MB with the others")
    try:
        if world.rank > 0:
            return
        yield Finding("ok", "ranks", f"{world.size} see each other ({backend})")
        for rank in range(world.size):
            what = store.get(f"hfcli/device/{rank}").decode()
            yield Finding("ok", f"rank {rank}", what, private=f" on {connected.hosts[rank]}")
        # Source: nccl-tests, PERFORMANCE.md: what each link carries of an all-reduce is 2 (n - 1) / n of its bytes.
        carried = 2 * (world.size - 1) / world.size * _BYTES / each / 1e9
        text = f"one number in {slowest * 1e3:.2g} ms, {_BYTES >> 20} MB in {each * 1e3:.3g} ms ({carried:.2g} GB/s)"
        yield Finding("ok", "all-reduce", text)
    finally:
        torch.distributed.barrier()  # rank 0 may have the store, which the others still need
        torch.distributed.destroy_process_group()


def _timed(device: torch.device, numbers: int) -> float:
    """The fastest of a few all-reduces, in seconds."""
    values = torch.ones(numbers, device=device)
    times = []
    for _ in range(_TIMES):
        values.fill_(1.0)
        began = time.monotonic()
        torch.distributed.all_reduce(values)
        total = float(values[-1])  # waits for a GPU, too
        times.append(time.monotonic() - began)
        if total != torch.distributed.get_world_size():
            raise RuntimeError(f"{torch.distributed.get_world_size()} ranks added up {total:g} ones")
    return min(times)
