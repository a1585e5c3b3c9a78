"""Which weights learn and how fast: freezing, layers from the top, learning rates by layer, adapters, the schedule."""

import math
from collections.abc import Iterator
from typing import Any

import torch

from hfcli.errors import ModelError, UsageError, did_you_mean
from hfcli.options.training import TrainingOptions
from hfcli.options.transfer import TransferOptions
from hfcli.runtime.sharding import share, whole

_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # AdamW's, as in the published finetunings of BERT
_GRADUAL_SHARE = 0.5  # of the steps, after which everything is free


def schedule(step: int, steps: int, warmup_ratio: float, kind: str) -> float:
    """Share of the peak learning rate for a step, counted from 0: up linearly, then linear, cosine or constant.

    The first step is not lost: it has 1/warmup of the peak, and the last has more than 0.
    """
    warmup = math.ceil(steps * warmup_ratio)
    if step < warmup:
        return (step + 1) / warmup
    if kind == "constant":
        return 1.0
    left = (steps - step) / max(steps - warmup, 1)
    return left if kind == "linear" else 0.5 * (1 - math.cos(math.pi * left))


def stacks(model: torch.nn.Module) -> dict[str, torch.nn.ModuleList]:
    """The stacks of layers, by name: the longest lists of modules of one kind. An encoder-decoder has two."""
    lists = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) and len({type(layer) for layer in module}) == 1
    }
    most = max((len(module) for module in lists.values()), default=0)
    longest = {name: module for name, module in lists.items() if len(module) == most}
    return {
        name: module for name, module in longest.items() if not any(name.startswith(f"{outer}.") for outer in longest)
    }


def depths(model: torch.nn.Module) -> tuple[dict[str, int], int]:
    """Where every parameter stands: 0 for embeddings, 1 for the lowest layer ..., and after the last one the head.

    Returns:
        Depth by parameter name, and the depth of the head.
    """
    found = stacks(model)
    head = sum(len(layers) for layers in found.values()) + 1
    embedding = {id(parameter) for parameter in _embeddings(model)}
    seen_layer = False
    depth: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        below = 0
        for stack, layers in found.items():
            if name.startswith(f"{stack}."):
                depth[name] = below + int(name.removeprefix(f"{stack}.").split(".")[0]) + 1
                seen_layer = True
                break
            below += len(layers)
        else:
            # What comes before the first layer belongs to the embeddings, what comes after to the head.
            depth[name] = 0 if id(parameter) in embedding or not seen_layer else head
    return depth, head


def _embeddings(model: torch.nn.Module) -> Iterator[torch.nn.Parameter]:
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            yield from module.parameters()


def put_adapters(model: Any, options: TransferOptions, spans: bool = False) -> Any:
    """The model with low-rank adapters (LoRA) in it; they and the new head learn.

    Args:
        model: The model.
        options: Rank and the like.
        spans: Whether its head finds spans, not classes.

    Raises:
        ModelError: peft is not installed.
        UsageError: --lora-target-modules names what is not there.
    """
    try:
        import peft
    except ImportError:
        raise ModelError("--lora needs the package peft", "pip install 'hfcli[peft]'") from None
    targets: str | list[str] = "all-linear"
    if options.lora_target_modules:
        targets = [name.strip() for name in options.lora_target_modules.split(",") if name.strip()]
        linear = sorted(
            {name.split(".")[-1] for name, m in model.named_modules() if hasattr(m, "weight") and m.weight.ndim == 2}
        )
        for name in targets:
            if not any(known == name or known.endswith(f".{name}") for known, _ in model.named_modules()):
                raise UsageError(
                    f"--lora-target-modules: the model has no {name}; there is {', '.join(linear)}",
                    did_you_mean(name, linear),
                )
    config = peft.LoraConfig(
        task_type=peft.TaskType.QUESTION_ANS if spans else peft.TaskType.SEQ_CLS,
        exclude_modules=["qa_outputs"] if spans else None,  # which learns as a whole
        r=options.lora_r,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        target_modules=targets,
    )
    return peft.get_peft_model(model, config)


def chosen(model: torch.nn.Module, transfer: TransferOptions) -> tuple[dict[str, torch.nn.Parameter], int]:
    """What learns at some time.

    Args:
        model: With its adapters, where there are some.
        transfer: What flags say.

    Returns:
        Name to parameter, and how many layers gradients pass through.

    Raises:
        UsageError: More layers are to be kept than there are.
    """
    depth, head = depths(model)
    lowest = _lowest(transfer, head)
    found = {
        name: parameter
        for name, parameter in model.named_parameters()
        if (parameter.requires_grad if transfer.lora else depth[name] >= lowest)
    }
    return found, head - max(lowest, 1)


def _lowest(transfer: TransferOptions, head: int) -> int:
    """The lowest depth that learns."""
    layers = head - 1
    if transfer.freeze:
        return head
    if transfer.freeze_layers is None:
        return 0
    if transfer.freeze_layers > layers:
        raise UsageError(
            f"--freeze-layers {transfer.freeze_layers}: the model has {layers} layer{'s' * (layers != 1)}",
            f"--freeze-layers {max(layers - 1, 0)} leaves one; --freeze trains the head alone",
        )
    return transfer.freeze_layers + 1


class Learning:
    """The parameters that learn, their optimizer and their learning rates.

    Args:
        model: Its `requires_grad` are set.
        training: Rates, decay and schedule.
        transfer: What learns.
        learning_rate: At the peak, of the fastest parameters.
        steps: Of the whole run.

    Attributes:
        parameters: Name to parameter, those that learn at some time.
        layers: How many layers their gradients pass through.
        optimizer: Fused AdamW; no weight decay on biases and norms.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        training: TrainingOptions,
        transfer: TransferOptions,
        learning_rate: float,
        steps: int,
    ) -> None:
        self.training, self.transfer, self.rate, self.steps = training, transfer, learning_rate, steps
        self.depth, self.head = depths(model)
        self.parameters, self.layers = chosen(model, transfer)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in self.parameters)
        self._free = -1
        self.optimizer = torch.optim.AdamW(self._groups(), lr=learning_rate, betas=_BETAS, eps=_EPSILON, fused=True)

    def _groups(self) -> list[dict[str, Any]]:
        """Parameters by depth and by whether they decay: all of one group have one learning rate."""
        groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
        for name, parameter in self.parameters.items():
            slower = (self.transfer.layerwise_lr_decay or 1.0) ** (self.head - self.depth.get(name, self.head))
            decay = self.training.weight_decay if parameter.ndim > 1 else 0.0  # norms and biases are vectors
            groups.setdefault((slower, decay), []).append(parameter)
        return [
            {"params": members, "weight_decay": decay, "slower": slower} for (slower, decay), members in groups.items()
        ]

    def prepare_step(self, step: int) -> float:
        """Set what learns in this step, and how fast.

        Returns:
            The learning rate of the fastest parameters.
        """
        kind = self.training.lr_scheduler_type
        rate = self.rate * schedule(step, self.steps, self.training.warmup_ratio, kind)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["slower"]
        if self.transfer.unfreeze:
            self._thaw(step)
        return rate

    def _thaw(self, step: int) -> None:
        """Free the layers from the top, evenly over the first half of the run.

        Source: gradual unfreezing of Howard and Ruder, 2018 (arXiv:1801.06146); one layer an epoch there, for
        models of three layers.
        """
        free = min(self.head, int(step / max(self.steps * _GRADUAL_SHARE, 1) * (self.head + 1)))
        if free != self._free:
            self._free = free
            for name, parameter in self.parameters.items():
                parameter.requires_grad_(self.depth[name] >= self.head - free)

    def tensors(self, keep: bool = True) -> dict[str, dict[str, torch.Tensor]]:
        """Everything that a checkpoint needs: the weights, and the optimizer's averages by parameter name.

        Args:
            keep: Whether this rank wants them. What ranks share is put together by all, one tensor at a time.
        """
        weights: dict[str, torch.Tensor] = {}
        state: dict[str, torch.Tensor] = {}
        for name, parameter in self.parameters.items():
            averages = self.optimizer.state.get(parameter, {})
            for into, key, value in (
                (weights, name, parameter.detach()),
                *((state, f"{name}:{kind}", average) for kind, average in averages.items()),
            ):
                full = whole(value)
                if keep:
                    into[key] = value if full is value else full.cpu()
        return {"model": weights, "optimizer": state}

    def restore(self, model: dict[str, torch.Tensor], optimizer: dict[str, torch.Tensor]) -> None:
        """Put a checkpoint's tensors back."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(share(model[name], parameter))
        for key, value in optimizer.items():
            name, _, kind = key.rpartition(":")
            parameter = self.parameters[name]
            self.optimizer.state[parameter][kind] = share(value, parameter)
