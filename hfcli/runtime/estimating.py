"""What finetuning a model takes, and using it, by its config alone; and one step to see whether that is true."""

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch

from hfcli import tasks
from hfcli.errors import HfcliError
from hfcli.events import Note, Progress, Tell
from hfcli.options import ModelOptions
from hfcli.options.reading import DataOptions
from hfcli.options.training import TrainingOptions
from hfcli.options.transfer import TransferOptions
from hfcli.runtime import (
    batching,
    data,
    environment,
    heads,
    hub,
    lengths,
    loading,
    memory,
    optimization,
    trainable,
    trial,
)
from hfcli.runtime.likelihood import OPERATIONS_A_SECOND
from hfcli.runtime.memory import Estimate, Need
from hfcli.runtime.trial import Measured, Trial

_USUAL = "text-classification"
_WRITTEN = 2048  # tokens of a text that is generated, where nothing else is said
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Asked:
    """What is estimated.

    Attributes:
        model: Which, from where, on what and in which number format.
        task: What --task says.
        max_length: Tokens of a record, None for what finetune takes.
        training: How it learns.
        transfer: What of it learns.
        world: How many devices share the records of a step.
        fsdp: Whether they share the model, too.
    """

    model: ModelOptions
    task: str | None
    max_length: int | None
    training: TrainingOptions
    transfer: TransferOptions
    world: int
    fsdp: bool = False


class Use(NamedTuple):
    """Bytes of a model that is used, by what they are for.

    Attributes:
        weights: In the number format that it is used in.
        activations: While it reads.
        cache: Keys and values of what it has read and written; 0 for a model that does not write.
    """

    weights: int
    activations: int
    cache: int

    @property
    def total(self) -> int:
        return sum(self)


@dataclass(frozen=True)
class Plan:
    """What finetune would do, and what that takes on each device.

    Attributes:
        estimate: With as many records at once as finetune would take.
        whole: With all records of the device at once.
        rows: Records at once.
        pieces: So many times.
        parameters: Of the model.
        learning: Those of them that learn.
        fits: Whether that is less than what is free.
    """

    estimate: Estimate
    whole: Estimate
    rows: int
    pieces: int
    parameters: int
    learning: int
    fits: bool


def look(options: DataOptions, offline: bool, tell: Tell) -> tuple[int, tuple[str, ...]]:
    """How many records there are to learn from, and the columns they have.

    Raises:
        DataError: They cannot be read.
    """
    train = data.load(options, offline=offline, tell=tell, seed=TrainingOptions().seed).train
    return len(train), tuple(train.columns)


class Estimating:
    """One model, and what is asked of it.

    Args:
        asked: See Asked.
        tell: Gets notes and progress.

    Attributes:
        location: Where the model is.
        task: What for.
        placement: Where and in what number format it would learn.
        used_in: The same of a model that is used.
        free: Bytes that each device has left.
        batch: Records of a step, over all devices.
        length: Tokens of each.
        plan: What learning takes; None for a task that is not learnt.
        use: What using it takes.
        model: The model without numbers in it, for options of transfer.

    Raises:
        HfcliError: The model cannot be found, or cannot do what is asked.
    """

    def __init__(self, asked: Asked, tell: Tell) -> None:
        assert asked.model.model is not None
        self.asked, self._tell = asked, tell
        device = environment.pick_device(asked.model.device, tell)
        self.location = hub.locate(asked.model.model, asked.model, tell, kind="config")
        hub.check_revision(self.location, asked.model)
        loading.check_folder(self.location, asked.model, weights=False)
        self._config = trial.load_config(self.location, asked.model)
        self.task = tasks.get(asked.task or self._made_for())
        self.learnt = self.task.target is not None
        if not self.learnt:
            heads.check_made_for(self.task, self.location, self._config)
        room = loading.longest(self._config, None)
        self.length = lengths.fit(asked.max_length or self._usual_length(room), room, self.location.name)
        self.free = environment.free_bytes(device) // (asked.world if device.type == "cpu" else 1)
        training, each = asked.training, asked.training.per_device_train_batch_size
        batch = each * asked.world * training.gradient_accumulation_steps if each else training.batch_size
        self.batch = batch or int(self.task.defaults.get("batch_size", 1))
        self.model = cache(self._made)
        plain = sum(parameter.numel() for parameter in self._made(None).parameters())
        stored = getattr(self._config, "dtype", None)  # a few configs hold what is none
        size = stored.itemsize if isinstance(stored, torch.dtype) else torch.float32.itemsize
        self.used_in = environment.place(device, asked.model.dtype, plain * size)
        self.placement = trainable.place(device, asked.model.dtype) if self.learnt else self.used_in
        self.plan = self.plan_for(training, asked.transfer, self.length) if self.learnt else None
        self.use = self.use_of(plain, self.batch if self.plan is None else self.plan.rows)

    @property
    def fits(self) -> bool:
        """Whether it does, as far as is estimated."""
        return self.plan.fits if self.plan else self.use.total <= self.free

    @property
    def device(self) -> str:
        """The device's name."""
        return environment.name_of(self.placement.device)

    def _made_for(self) -> str:
        """The task of a model that answers questions already, else the usual one."""
        made_as = str((getattr(self._config, "architectures", None) or [""])[0])
        return "question-answering" if made_as.endswith("QuestionAnswering") else _USUAL

    def _usual_length(self, room: int) -> int:
        usual = int(self.task.defaults.get("max_length", 512)) if self.learnt else _WRITTEN
        return min(usual, room)

    def _made(self, transfer: TransferOptions | None) -> Any:
        """The model without numbers in it; with adapters where they are asked for."""
        model = trial.bare(self.task, self._config, self.asked.model, self.location, "meta")
        if transfer is None:
            return model
        spans = len(self.task.outputs) > 1
        return trainable.equip(model, self.location.name, self.asked.training, transfer, spans)

    def _need(self, training: TrainingOptions, transfer: TransferOptions, length: int, world: int, fsdp: bool) -> Need:
        model = self.model(transfer if transfer.lora else TransferOptions())
        learning, layers = optimization.chosen(model, transfer)
        return Need(
            self.placement, model.config, sum(parameter.numel() for parameter in model.parameters()),
            sum(parameter.numel() for parameter in learning.values()), layers, length,
            training.gradient_checkpointing, transfer.lora, world, fsdp,
        )  # fmt: skip

    def plan_for(
        self,
        training: TrainingOptions,
        transfer: TransferOptions,
        length: int,
        world: int = 0,
        fsdp: bool | None = None,
    ) -> Plan:
        """What learning takes with other flags.

        Args:
            training: How it learns.
            transfer: What of it learns.
            length: Of a record, in tokens.
            world: How many devices there are, 0 for as many as were asked for.
            fsdp: Whether they share the model, None for what was asked for.
        """
        world = world or self.asked.world
        need = self._need(training, transfer, length, world, self.asked.fsdp if fsdp is None else fsdp)
        records = -(-self.batch // world)
        tokens = training.tokens_per_batch or need.tokens_at_once(self.free)
        rows = min(records, max(tokens // length, 1))
        whole, taken = need.estimate(records * length), need.estimate(rows * length)
        pieces = -(-records // rows)
        return Plan(taken, whole, rows, pieces, need.parameters, need.learning, taken.total <= self.free)

    def use_of(self, parameters: int, rows: int) -> Use:
        """What using the model takes, so many records at once."""
        dtype = self.used_in.dtype
        tokens = rows * self.length
        most = batching.MAX_LOGIT_TOKENS[self.used_in.device.type]
        working = memory.working_bytes(self._config, dtype, self.length) * max(min(tokens, most), self.length)
        cached = 0 if self.learnt else tokens * memory.cached_bytes(self._config, dtype)
        return Use(parameters * dtype.itemsize, working, cached)

    # one step

    def measure(self, anyway: bool) -> Measured | None:
        """Take a step; None where it cannot be taken, or takes too long.

        Args:
            anyway: Whether it may take as long as it likes.

        Raises:
            MemoryError: It does not fit.
        """
        assert self.plan is not None
        plan, asked = self.plan, self.asked
        tokens = plan.rows * self.length * (1 + min(plan.pieces, 2))
        seconds = 6 * plan.parameters * tokens / OPERATIONS_A_SECOND[self.placement.device.type]
        if seconds > _PATIENCE_SECONDS and not anyway:
            self._tell(Note(f"not measured, which would take about {seconds / 60:.0f} min here; --measure does it"))
            return None
        taken = Trial(
            self.location, self.task.name, asked.model, asked.training, asked.transfer, str(self.placement.device),
            self.placement.dtype_name, plan.rows, plan.pieces, self.length,
        )  # fmt: skip
        try:
            return trial.measure(
                taken, lambda done, of: self._tell(Progress("measuring", done * plan.rows, of * plan.rows))
            )
        except HfcliError as error:
            self._tell(Note(f"a step could not be taken to measure it: {error.message}"))
            return None
