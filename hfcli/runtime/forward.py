"""One micro-batch through a model that has a head: inputs, outputs, and the loss that its labels call for."""

import contextlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from accelerate.utils import align_module_device

from hfcli.errors import UsageError, did_you_mean
from hfcli.runtime.padding import pad
from hfcli.tasks._windows import pads_left
from hfcli.tasks.base import Feature


@dataclass(frozen=True)
class Network:
    """A model with what its inputs need.

    Attributes:
        model: On its device.
        tokenizer: For padding.
        vocabulary: Rows of its input embedding.
        device: Where it is.
        wide: Rows are padded to multiples of 8 up to this length, which the model takes; 0 to the longest row.
        outputs: Names of the outputs that are asked for; several are of every token.
    """

    model: Any
    tokenizer: Any
    vocabulary: int
    device: torch.device
    wide: int = 0
    outputs: tuple[str, ...] = ("logits",)

    @property
    def side(self) -> Literal["left", "right"]:
        """Where padding goes: encoders as their tokenizer says; decoders look for the last token from the left."""
        return "left" if pads_left(self.tokenizer, self.model.config) else "right"

    def logits(self, features: Sequence[Feature]) -> torch.Tensor:
        """The head's outputs: `(batch, labels)`, or of several outputs `(batch, longest, outputs)`.

        The latter stand at the places of the features' tokens wherever the padding is, and are -inf behind them.
        """
        inputs = pad(features, self.tokenizer, self.vocabulary, self.side, self.device, self.wide)
        found = self.model(**{name: value for name, value in inputs.items() if name in self._taken})
        if len(self.outputs) == 1:
            return found[self.outputs[0]]
        stacked = torch.stack([found[name] for name in self.outputs], dim=-1).float()
        lengths = inputs["attention_mask"].sum(dim=1, keepdim=True)
        places = torch.arange(stacked.shape[1], device=self.device)
        if self.side == "left":
            moved = (places + stacked.shape[1] - lengths).clamp(max=stacked.shape[1] - 1)
            stacked = stacked.gather(1, moved[..., None].expand_as(stacked))
        return stacked.masked_fill((places >= lengths)[..., None], -torch.inf)

    @cached_property
    def _taken(self) -> set[str]:
        """What the model reads: a DistilBERT may come with a BERT's tokenizer, and knows no token types."""
        model = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model  # LoRA wraps it
        return set(inspect.signature(model.forward).parameters)


def targets(features: Sequence[Feature], device: torch.device) -> torch.Tensor:
    """The features' labels, stacked: `(batch,)` or `(batch, labels)`; of spans int `(batch, 2)`."""
    rows = [feature.labels["labels"] if "labels" in feature.labels else _span(feature) for feature in features]
    return torch.from_numpy(np.stack(rows)).to(device)


def _span(feature: Feature) -> np.ndarray:
    return np.stack([feature.labels["start_positions"], feature.labels["end_positions"]])


def precise_head(model: Any) -> None:
    """Let the last layer of a model that finds spans compute in float32, whatever the others do.

    bfloat16 has two or three digits: many a token would be as good a start as its neighbour.
    """
    for name, module in model.named_modules():
        if name.rpartition(".")[2] == "qa_outputs" and isinstance(module, torch.nn.Linear):
            module.register_forward_hook(_in_float32)


def _in_float32(module: torch.nn.Linear, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
    # The weights of a module that is kept elsewhere are only there while it is called.
    there = align_module_device(module, output.device) if module.weight.is_meta else contextlib.nullcontext()
    with there, torch.autocast(output.device.type, enabled=False):
        bias = None if module.bias is None else module.bias.float()
        return F.linear(args[0].to(output.device).float(), module.weight.float(), bias)


@dataclass(frozen=True)
class Loss:
    """The loss that dtype and shape of the labels call for, summed over records.

    int `(batch,)` is a class (cross entropy), float `(batch,)` a number (squared error), float `(batch, labels)` a set
    of classes (binary cross entropy, mean over labels), int `(batch, 2)` a span (cross entropy over the tokens, mean of
    its start's and its end's).

    Attributes:
        class_weights: What errors on each class cost, `(labels,)`, or None.
        smoothing: Share of the target that is spread over all classes.
    """

    class_weights: torch.Tensor | None = None
    smoothing: float = 0.0

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """The sum of the losses, each times its weight.

        Args:
            logits: `(batch, labels)`, or `(batch, longest, 2)` for spans.
            labels: As above.
            weights: `(batch,)`, 1 for a record of one window.
        """
        return (self.each(logits, labels) * weights).sum()

    def each(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The losses, computed in float32: `(batch,)`."""
        logits = logits.float()
        if labels.ndim == 2 and not labels.is_floating_point():
            return F.cross_entropy(logits, labels, reduction="none").mean(dim=1)
        if labels.ndim == 2:
            smooth = labels * (1 - self.smoothing) + self.smoothing / 2
            pairs = F.binary_cross_entropy_with_logits(logits, smooth, pos_weight=self.class_weights, reduction="none")
            return pairs.mean(dim=1)
        if labels.is_floating_point():
            return F.mse_loss(logits.squeeze(-1), labels, reduction="none")
        return F.cross_entropy(
            logits, labels, weight=self.class_weights, label_smoothing=self.smoothing, reduction="none"
        )


def class_weights(text: str | None, names: Sequence[str], counts: np.ndarray) -> list[float] | None:
    """What --class-weight says.

    Args:
        text: `balanced` (every class weighs the same in sum), or `name=weight,...`; the others weigh 1.
        names: Names of the classes.
        counts: Training records of every class, `(labels,)`.

    Raises:
        UsageError: It is neither, or names a label that is not there.
    """
    if text is None:
        return None
    if text == "balanced":
        # Source: scikit-learn's class_weight="balanced", n / (k * n_c).
        return [float(counts.sum() / (len(names) * count)) if count else 0.0 for count in counts]
    weights = dict.fromkeys(names, 1.0)
    for part in text.split(","):
        name, _, value = part.rpartition("=")
        if name.strip() not in weights:
            there = ", ".join(names)
            hint = did_you_mean(name.strip(), names) or "--class-weight balanced"
            raise UsageError(f"--class-weight: no label {name.strip()!r}; there is {there}", hint)
        try:
            weights[name.strip()] = float(value)
        except ValueError:
            raise UsageError(f"--class-weight: {value!r} is not a number", f"--class-weight {names[0]}=2") from None
        if not 0 <= weights[name.strip()] < float("inf"):
            raise UsageError(f"--class-weight: {value} is not a weight", "a number from 0 up")
    if not any(weights.values()):
        raise UsageError(
            f"--class-weight {text}: nothing is learnt where every class weighs 0", "--class-weight balanced"
        )
    return list(weights.values())
