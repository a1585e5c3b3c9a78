"""Models that no device holds as a whole (FSDP2): each rank has a share of every weight, of its gradient and averages.

A layer is put together just before it computes, forward and backward, and taken apart again. All ranks do that
together, so each has to run the model as often as every other one: who has less to do runs it for nothing (`idle`). And
none can try again: out of memory ends the run.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from hfcli.errors import DeviceError, ModelError

_DROPPING = ("layerdrop", "encoder_layerdrop", "decoder_layerdrop")
_CLASS = 2  # of a sharded module's classes, behind two of torch, the one that it had


def shard(model: Any, units: Iterable[torch.nn.ModuleList], device: torch.device, bfloat16: bool, name: str) -> None:
    """Keep a share of every weight here, on the device.

    Gradients become the sum over ranks, not the mean: every rank's loss is divided by the records of the whole step.

    Args:
        model: The same on all ranks, and on the CPU as a whole; in float32, which the shares stay in.
        units: Stacks of layers that are put together one at a time; the rest of the model is another unit.
        device: Of this rank.
        bfloat16: Whether layers are put together in bfloat16: half the traffic, and nothing else stays in memory of
            them. The rest, such as a head, is float32.
        name: Of the model, for an error.

    Raises:
        ModelError: It cannot be shared among ranks.
    """
    if any(getattr(model.config, field, 0) for field in _DROPPING):
        raise ModelError(f"{name} leaves out layers at random (layerdrop), each rank others", "leave out --fsdp")
    if device.type == "cuda":
        torch.cuda.set_device(device)  # shares are put on the current one
    mesh = torch.distributed.DeviceMesh.from_group(torch.distributed.group.WORLD, device.type)
    mixed = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    try:
        for layers in units:
            for layer in layers:
                fully_shard(layer, mesh=mesh, mp_policy=mixed if bfloat16 else MixedPrecisionPolicy())
        fully_shard(model, mesh=mesh)
    except ValueError as error:  # a weight that is a single number
        raise ModelError(f"the weights of {name} cannot be shared among ranks ({error})", "leave out --fsdp") from error
    for module in _sharded(model):
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)  # gloo knows no other


def is_sharded(model: Any) -> bool:
    """Whether ranks share one model."""
    return isinstance(model, FSDPModule)


def most_here(model: torch.nn.Module, units: Iterable[torch.nn.ModuleList], ranks: int) -> int:
    """How many of a model's weights a rank has at once: its share, two layers and what is no layer.

    Args:
        model: Before it is sharded.
        units: As in `shard`.
        ranks: Number of them.
    """
    layers = [_count(layer) for stack in units for layer in stack]
    return _count(model) // ranks + _count(model) - sum(layers) + 2 * max(layers, default=0)


def idle(dealt: Sequence[Sequence[np.ndarray]], rank: int) -> list[np.ndarray]:
    """Batches that count for nothing, as many as a rank lacks to the one with the most.

    Args:
        dealt: Batches of every rank; the features of one go from the longest to the shortest.
        rank: This one.
    """
    short = next(batches for batches in dealt if batches)[-1][-1:]
    return [short] * (max(map(len, dealt)) - len(dealt[rank]))


def does_not_fit(rows: int, length: int) -> DeviceError:
    """A batch was too large, and the others wait for this rank: what there is to say."""
    if rows == 1:
        return DeviceError(
            f"one record of {length} tokens does not fit into memory",
            "--gradient-checkpointing, --lora, a smaller --max-length or more --num-processes take less",
        )
    return DeviceError(
        f"{rows} x {length} tokens at once do not fit into memory, and with --fsdp no rank can try again",
        f"--tokens-per-batch {rows // 2 * length}; what is saved is kept, and --resume goes on from there",
    )


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """All of a tensor that ranks may share: then all of them have to call this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def share(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """This rank's share of a tensor that every rank has, if another one of its shape is shared; else all of it."""
    if not isinstance(like, DTensor) or tensor.shape != like.shape:
        return tensor.to(like.device)
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def take_apart(model: Any) -> None:
    """After a forward without a backward: what is no layer would stay together, and as it is now."""
    for module in _sharded(model):
        module.reshard()


def put_together(model: Any, keep: bool) -> None:
    """Make it a plain model again, on the CPU; all ranks have to call this, and it is of no use for more training.

    Args:
        model: Sharded, or not.
        keep: Whether this rank wants it; the others keep their shares.
    """
    take_apart(model)
    plain: dict[int, torch.nn.Parameter] = {}  # what is tied stays so
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if not isinstance(parameter, DTensor):
                continue
            if id(parameter) not in plain:
                full = parameter.detach().full_tensor()
                plain[id(parameter)] = torch.nn.Parameter(full.cpu(), parameter.requires_grad) if keep else parameter
            module._parameters[name] = plain[id(parameter)]
    if keep:
        for module in _sharded(model):
            module.__class__ = type(module).__mro__[_CLASS]
        model.to("cpu")


def _sharded(model: Any) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, FSDPModule)]


def _count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
