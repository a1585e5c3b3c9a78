"""How much memory training takes, estimated; and how many tokens at once that leaves room for."""

from typing import Any, NamedTuple

import torch

from hfcli.runtime import environment

# On CPUs more tokens at once are hardly faster, and cost memory.
_CPU_TOKENS = 2048
_CUDA_TOKENS = 128 * 1024


class Estimate(NamedTuple):
    """Bytes of one training step, by what they are for."""

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        return sum(self)


def per_token_bytes(config: Any, length: int, checkpointing: bool, device: torch.device) -> int:
    """Activations that the backward pass needs, for a token in a row of `length`.

    Args:
        config: The model's.
        length: Of the row: where attention is written out, every token keeps something for each other one.
        checkpointing: Whether only the input of each layer is kept.
        device: Attention is fused on GPUs; on CPUs it is not, where it has dropout.

    Source: measured on MiniLM under bfloat16 autocast, 26 kB a token and layer for rows of 64 tokens and 61 kB for rows
        of 512; the terms are those of Korthikanti et al. 2022 (arXiv:2205.05198), hidden size and heads times length.
    """
    text = config.get_text_config()
    hidden = getattr(text, "hidden_size", None) or getattr(text, "d_model", None) or 768
    layers = getattr(text, "num_hidden_layers", None) or getattr(text, "num_layers", None) or 12
    heads = getattr(text, "num_attention_heads", None) or 12
    layer = 53 * hidden + (7 * heads * length if device.type == "cpu" else 0)
    return 2 * hidden * layers + layer if checkpointing else layers * layer


def estimate(
    device: torch.device, parameters: int, learning: int, tokens: int, config: Any, length: int, checkpointing: bool
) -> Estimate:
    """What a step takes.

    Args:
        device: Where it is taken.
        parameters: Of the model, in float32.
        learning: Those that learn: a gradient and AdamW's two averages each.
        tokens: At once.
        config: The model's.
        length: Of the longest row.
        checkpointing: Whether activations are computed twice instead of kept.
    """
    activations = tokens * per_token_bytes(config, length, checkpointing, device)
    return Estimate(4 * parameters, 4 * learning, 8 * learning, activations)


def tokens_at_once(
    device: torch.device, parameters: int, learning: int, config: Any, length: int, checkpointing: bool
) -> int:
    """How many tokens a micro-batch may hold, with padding: a power of two, one row at least."""
    fixed = estimate(device, parameters, learning, 0, config, length, checkpointing).total
    room = max(environment.free_bytes(device) * 0.8 - fixed, 1.0)
    fitting = int(room / per_token_bytes(config, length, checkpointing, device))
    most = _CUDA_TOKENS if device.type == "cuda" else _CPU_TOKENS
    return max(length, min(most, 1 << max(fitting.bit_length() - 1, 0)))
