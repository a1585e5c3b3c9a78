"""What else would fit: finetune's other flags, each with what a step takes then."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch

from hfcli.errors import ModelError
from hfcli.options.training import TrainingOptions
from hfcli.options.transfer import TransferOptions
from hfcli.runtime import optimization
from hfcli.runtime.estimating import Estimating, Plan

_MOST_DEVICES = 64
_LEAST_TOKENS = 32


class Way(NamedTuple):
    """Flags, the bytes that a step takes with them, and whether that fits."""

    flags: str
    bytes: int
    fits: bool


def ways(found: Estimating) -> list[Way]:
    """Flags that take less than what was asked for; those that are not enough, too."""
    return list(_Learnt(found).ways()) if found.plan else list(_used(found))


class _Learnt:
    """Ways to learn with less memory."""

    def __init__(self, found: Estimating) -> None:
        self._found, self._length = found, found.length
        self._training, self._transfer = found.asked.training, found.asked.transfer
        self._sparing = replace(self._training, gradient_checkpointing=True)
        self._can_checkpoint = bool(found.model(TransferOptions()).supports_gradient_checkpointing)

    def ways(self) -> Iterator[Way]:
        found, training, transfer = self._found, self._training, self._transfer
        if training.tokens_per_batch:
            usual = replace(training, tokens_per_batch=None)
            yield _way("no --tokens-per-batch", found.plan_for(usual, transfer, self._length))
        if self._can_checkpoint and not training.gradient_checkpointing:
            yield _way("--gradient-checkpointing", found.plan_for(self._sparing, transfer, self._length))
        yield from self._shorter()
        if not (transfer.freeze or transfer.freeze_layers is not None or transfer.lora):
            yield from self._less_learning()
        if found.placement.device.type != "cpu":  # where more processes have no more memory
            yield from self._shared()

    def _shorter(self) -> Iterator[Way]:
        """Half the length, a quarter of it ...: the longest that fits."""
        length = self._length // 2
        while length >= _LEAST_TOKENS:
            plan = self._found.plan_for(self._training, self._transfer, length)
            if plan.fits:
                yield _way(f"--max-length {length}", plan)
                return
            length //= 2

    def _less_learning(self) -> Iterator[Way]:
        found, training = self._found, self._training
        layers = optimization.depths(found.model(TransferOptions()))[1] - 1
        for number in range(1, layers):
            plan = found.plan_for(training, replace(self._transfer, freeze_layers=number), self._length)
            if plan.fits:
                yield _way(f"--freeze-layers {number}", plan)
                break
        adapted = self._with_adapters(training)
        if adapted:
            yield _way("--lora", adapted)
            both = None if adapted.fits or not self._can_checkpoint else self._with_adapters(self._sparing)
            if both:
                yield _way("--lora --gradient-checkpointing", both)
        yield _way("--freeze", found.plan_for(training, replace(self._transfer, freeze=True), self._length))

    def _with_adapters(self, training: TrainingOptions) -> Plan | None:
        try:
            return self._found.plan_for(training, replace(self._transfer, lora=True), self._length)
        except ModelError:  # peft is not installed
            return None

    def _shared(self) -> Iterator[Way]:
        """The fewest devices that hold the model together."""
        world = max(self._found.asked.world * (1 + self._found.asked.fsdp), 2)
        while world <= _MOST_DEVICES:
            plan = self._found.plan_for(self._training, self._transfer, self._length, world, fsdp=True)
            if plan.fits or world * 2 > _MOST_DEVICES:
                yield _way(f"--num-processes {world} --fsdp", plan)
                return
            world *= 2


def _way(flags: str, plan: Plan) -> Way:
    return Way(flags, plan.estimate.total, plan.fits)


def _used(found: Estimating) -> Iterator[Way]:
    """Ways to use a model that writes with less memory."""
    parameters = found.use.weights // found.used_in.dtype.itemsize
    if found.used_in.dtype == torch.float32:
        half = found.use.total // 2
        yield Way("--dtype bfloat16", half, half <= found.free)
    if found.batch > 1:
        one = found.use_of(parameters, 1).total
        yield Way("--batch-size 1", one, one <= found.free)
