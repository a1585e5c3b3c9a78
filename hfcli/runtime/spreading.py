"""A model that its device does not hold: spread over every accelerator there is, and the CPU."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hfcli.errors import DeviceError
from hfcli.events import Note
from hfcli.runtime import environment
from hfcli.runtime.environment import Placement

_FOR_WEIGHTS = 0.9  # of what is free; the rest is for what the model works with


def weight_bytes(folder: Path, config: Any, dtype: torch.dtype) -> int:
    """How much the weights of a folder take in a number format; 0 where there are none.

    Args:
        folder: Of the model.
        config: Its config, which says in what format the files are.
        dtype: What they are loaded in.
    """
    files = list(folder.glob("*.safetensors")) or list(folder.glob("pytorch_model*.bin"))
    stored = getattr(config, "dtype", None)
    width = stored.itemsize if isinstance(stored, torch.dtype) else torch.float32.itemsize
    return sum(file.stat().st_size for file in files) * dtype.itemsize // width


def too_large(name: str, asked: str, needed: int, free: Mapping[str, int]) -> bool:
    """Whether a model has to be spread.

    Args:
        name: Of the model.
        asked: What --device says.
        needed: Bytes of its weights.
        free: Bytes that each device has left: first the one that was chosen, the CPU last.

    Raises:
        DeviceError: All devices together do not hold it.
    """
    chosen = next(iter(free))
    if asked not in ("auto", "cuda") or not chosen.startswith("cuda") or needed <= free[chosen] * _FOR_WEIGHTS:
        return False
    together = sum(free.values())
    if needed > together * _FOR_WEIGHTS:
        raise DeviceError(
            f"{name} takes {_gigabytes(needed)} GB, and {_and(free)} have {_gigabytes(together)} GB free together",
            "a smaller model, or --dtype bfloat16",
        )
    return True


def device_map(name: str, asked: str, placement: Placement, needed: int) -> str | dict[str, torch.device]:
    """Where transformers is to put a model: on its device, or `auto`.

    Raises:
        DeviceError: All devices together do not hold it.
    """
    alone: dict[str, torch.device] = {"": placement.device}
    ranks = int(os.environ.get("WORLD_SIZE", "1"))  # each has a device to itself
    if placement.device.type != "cuda" or ranks > 1:
        return alone
    chosen = placement.device.index or 0
    numbers = sorted(range(torch.cuda.device_count()), key=lambda number: number != chosen)
    free = {f"cuda:{number}": environment.free_bytes(torch.device("cuda", number)) for number in numbers}
    free["cpu"] = environment.free_bytes(torch.device("cpu"))
    return "auto" if too_large(name, asked, needed, free) else alone


def places(model: Any) -> list[str]:
    """The devices that a model is spread over, in its own order; one for a model that is not."""
    there = (getattr(model, "hf_device_map", None) or {}).values()
    return list(dict.fromkeys(f"cuda:{place}" if isinstance(place, int) else str(place) for place in there))


def is_spread(model: Any) -> bool:
    """Whether its parts are on several devices, so that it is best left as it is."""
    return len(places(model)) > 1


def said(name: str, needed: int, chosen: str, free: int, model: Any) -> Note:
    """What is told of a model that is spread.

    Args:
        name: Of the model.
        needed: Bytes of its weights.
        chosen: The device that it would be on.
        free: Bytes that this had left.
        model: Where it is now.
    """
    where = f"spread over {_and(places(model))}, which is slower"
    return Note(f"{name} takes {_gigabytes(needed)} GB and {chosen} has {_gigabytes(free)} free: {where}")


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.0f}" if count >= 99.95e9 else f"{count / 1e9:.1f}"


def _and(names: Any) -> str:
    """cuda:0, cuda:1 and the CPU."""
    shown = ["the CPU" if name == "cpu" else str(name) for name in names]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
