"""How much memory training takes, estimated; and how many tokens at once that leaves room for."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from hfcli.runtime.environment import Placement

# On CPUs more tokens at once are hardly faster, and cost memory.
_CPU_TOKENS = 2048
_CUDA_TOKENS = 128 * 1024
_LIBRARIES = 40_000_000  # kernels and their workspaces, measured on a CPU
_SHORT = 96  # tokens, up to which attention computes its weights in float32 (quick.py)


class Estimate(NamedTuple):
    """Bytes of one training step, by what they are for."""

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        return sum(self)


@dataclass(frozen=True)
class Need:
    """What decides how much memory a step of training takes on a device.

    Attributes:
        placement: The device, and the number format that is computed in; weights are float32.
        config: The model's.
        parameters: How many it has.
        learning: How many of them learn: a gradient and AdamW's two averages each.
        layers: How many layers gradients pass through.
        length: Of the longest row, in tokens.
        checkpointing: Whether activations are computed twice instead of kept.
        lora: Whether adapters learn.
        world: How many devices share the records of a step.
        fsdp: Whether they share weights, gradients and optimizer, too.
    """

    placement: Placement
    config: Any
    parameters: int
    learning: int
    layers: int
    length: int
    checkpointing: bool = False
    lora: bool = False
    world: int = 1
    fsdp: bool = False

    def estimate(self, tokens: int) -> Estimate:
        """What a step takes with so many tokens at once."""
        share = self.world if self.fsdp else 1
        kept = tokens * self.per_token() + self._copies() + _LIBRARIES
        return Estimate(4 * self.parameters // share, 4 * self.learning // share, 8 * self.learning // share, kept)

    def per_token(self) -> int:
        """Bytes of activations for each token: of every layer what its backward pass needs, and one layer at work."""
        layer = self._layer()
        if self.checkpointing:  # the input of each layer, and two layers' worth while one is gone through again
            return self.layers * _sizes(self.config)[0] * 4 + 2 * layer
        return (self.layers + 1) * layer

    def _layer(self) -> int:
        """Bytes of a token in a layer."""
        hidden, wide, heads = _sizes(self.config)
        width = self.placement.dtype.itemsize
        cpu = self.placement.device.type == "cpu"
        mask = width if cpu else 1  # of dropout, a value
        full = width if cpu else 4  # the residual stream; on CPUs it is in the format of the products (quick.py)
        values = hidden * (6 * width + 2 * mask + 2 * full)  # what products read; dropout; what norms read
        values += wide * width * _inner(self.config)
        if self.lora:  # each adapter has its input in float32, with a dropout of its own
            values += (5 * hidden + wide) * (width + (4 if cpu else 1))
        if _written_out(self.config, cpu):
            half = 10 if not cpu or self.length <= _SHORT else 6
            values += heads * self.length * (half if width == 2 else 12)
        # Measured on T5: the decoder looks at the other text, too, and norms are made of several steps.
        return 2 * values if self.config.is_encoder_decoder else values

    def _copies(self) -> int:
        """Bytes of the matrices in the format that is computed in, which a step keeps from forward to backward."""
        if self.placement.dtype == torch.float32:
            return 0
        text = self.config.get_text_config()
        embedding = (getattr(text, "vocab_size", None) or 0) * _sizes(self.config)[0]
        layers = max(getattr(text, "num_hidden_layers", None) or self.layers, 1)
        share = min(self.layers / layers, 1.0)
        return int(self.placement.dtype.itemsize * max(self.parameters - embedding, 0) * share)

    def tokens_at_once(self, free: int) -> int:
        """How many tokens a micro-batch may hold, with padding: a power of two, one row at least.

        Args:
            free: Bytes of the device that nothing holds before the model is on it.
        """
        room = max(free * 0.8 - self.estimate(0).total, 1.0)
        fitting = int(room / max(self.per_token(), 1))
        most = _CUDA_TOKENS if self.placement.device.type == "cuda" else _CPU_TOKENS
        return max(self.length, min(most, 1 << max(fitting.bit_length() - 1, 0)))


def working_bytes(config: Any, dtype: torch.dtype, length: int) -> int:
    """What a model holds for a token while it reads rows of that length, and nothing is learnt.

    A layer at work holds about 16 values of the hidden size for a token, and where attention is not fused two for every
    other token and head; what a layer is done with is given back.
    """
    hidden, _, heads = _sizes(config)
    return (16 * hidden + 2 * heads * length) * dtype.itemsize


def cached_bytes(config: Any, dtype: torch.dtype) -> int:
    """Keys and values of a token, in a model that writes."""
    text = config.get_text_config(decoder=True)
    hidden, _, heads = _sizes(text)
    layers = _first(text, "num_hidden_layers", "n_layer", "num_layers") or 12
    head = _first(text, "head_dim") or hidden // heads
    both = 2 if config.is_encoder_decoder else 1  # those of the encoder's output, too
    return 2 * layers * (_first(text, "num_key_value_heads") or heads) * head * dtype.itemsize * both


def _sizes(config: Any) -> tuple[int, int, int]:
    """Hidden size, that of the feed-forward layer in between, and attention heads."""
    text = config.get_text_config()
    hidden = _first(text, "hidden_size", "d_model", "n_embd", "dim") or 768
    wide = _first(text, "intermediate_size", "d_ff", "n_inner", "encoder_ffn_dim", "ffn_dim", "hidden_dim")
    return hidden, wide or 4 * hidden, _first(text, "num_attention_heads", "n_head", "n_heads", "num_heads") or 12


def _first(config: Any, *names: str) -> int | None:
    """The first of some attributes that is there."""
    return next((int(value) for name in names if isinstance(value := getattr(config, name, None), int)), None)


def _inner(config: Any) -> int:
    """How many values of its size the feed-forward layer keeps: two, more where its activation is made of several."""
    text = config.get_text_config()
    names = ("hidden_act", "activation_function", "activation", "feed_forward_proj")
    kind = next((str(value) for name in names if (value := getattr(text, name, None))), "gelu")
    if "gated" in kind or kind in ("silu", "swish"):
        return 5
    return 6 if kind in ("gelu_new", "gelu_fast", "quick_gelu", "gelu_pytorch_tanh_python") else 2


def _written_out(config: Any, cpu: bool) -> bool:
    """Whether attention keeps something for each pair of tokens: where it is not fused, on CPUs with dropout."""
    text = config.get_text_config()
    dropout = ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop", "dropout_rate")
    drops = any(getattr(text, name, 0) for name in dropout)
    return getattr(config, "_attn_implementation", None) == "eager" or (cpu and drops)
