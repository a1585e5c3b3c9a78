"""A model made ready to learn: everything between its weights, or random ones, and the first step."""

from typing import Any

import torch

from hfcli.errors import UsageError
from hfcli.options.training import TrainingOptions
from hfcli.options.transfer import TransferOptions
from hfcli.runtime import environment, optimization, sharding
from hfcli.runtime.environment import Placement
from hfcli.runtime.forward import precise_head
from hfcli.runtime.quick import quicken


def place(device: torch.device, dtype: str) -> Placement:
    """The number format to train in, which the weights themselves do not have.

    Raises:
        UsageError: It cannot be trained in.
    """
    if dtype == "float16":
        raise UsageError("--dtype float16 cannot train (its range is too small)", "--dtype bfloat16, or auto")
    return environment.place(device, dtype)


def equip(model: Any, name: str, training: TrainingOptions, transfer: TransferOptions, spans: bool) -> Any:
    """The model with checkpointing, a precise head and adapters, as flags say.

    Args:
        model: With a head, on any device; torch's seed decides how adapters begin.
        name: Of the model.
        training: Whether activations are kept.
        transfer: Whether there are adapters.
        spans: Whether the head finds spans, not classes.

    Raises:
        ModelError: peft is not installed.
        UsageError: The model cannot do what a flag says.
    """
    if training.gradient_checkpointing:
        if not model.supports_gradient_checkpointing:
            raise UsageError(f"{name} cannot do --gradient-checkpointing", "leave it out")
        model.gradient_checkpointing_enable({"use_reentrant": False})
    precise_head(model)
    return optimization.put_adapters(model, transfer, spans) if transfer.lora else model


def settle(model: Any, placement: Placement, tokens: torch.Tensor, shared: str = "") -> Any:
    """The model where it learns, in training mode.

    Args:
        model: From `equip`, on the CPU.
        placement: Where that is.
        tokens: Ids that the model takes, `(1, seq)`, to try it on.
        shared: The name of a model that ranks share.
    """
    stacks, bfloat16 = list(optimization.stacks(model).values()), placement.dtype == torch.bfloat16
    if placement.device.type == "cpu":
        bfloat16 = quicken(model.train(), stacks, tokens, autocast=bfloat16)
    if shared:
        sharding.shard(model, stacks, placement.device, bfloat16, shared)
    return model.to(placement.device).train()
