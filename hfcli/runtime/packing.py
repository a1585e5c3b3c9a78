"""A batch without its padding, for the layers of a model.

The records of a step differ in length, and half of a padded batch may be padding. What a layer does it does to each
token by itself, all but attention: so from the first layer to the last the batch is one row of tokens, and only
attention sees rows again, a few at a time, padded to the longest of those few.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

_NAME = "hfcli_packing"  # an attribute of every module in a layer
_HIDDEN = "hidden_states"
_ROWS = 8  # of a group: always the same, since the matrix library makes a kernel for every new shape


class Group(NamedTuple):
    """Rows that attention sees as one padded batch.

    Attributes:
        first: Its first row.
        last: The row after its last one.
        length: Of the longest, in tokens, up to a multiple of 8.
        offset: Where it begins among the groups, laid one after the other.
    """

    first: int
    last: int
    length: int
    offset: int

    @property
    def end(self) -> int:
        return self.offset + (self.last - self.first) * self.length


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the tokens of one batch stand.

    Attributes:
        shape: `(batch, seq)` of the batch with its padding.
        size: Length of the row of tokens. It ends in a few that are none: the matrix library makes a kernel for every
            new length, and that takes longer than a few tokens more.
        tokens: Positions of the tokens in the batch, flat, int64 of shape `(tokens,)`.
        slots: Their positions among the groups, the same shape.
        groups: All rows.
    """

    shape: tuple[int, int]
    size: int
    tokens: torch.Tensor
    slots: torch.Tensor
    groups: tuple[Group, ...]

    def pack(self, batch: torch.Tensor) -> torch.Tensor:
        """`(batch, seq, ...)` as `(1, size, ...)`."""
        flat: torch.Tensor = _Move.apply(batch.flatten(0, 1), self.tokens, None, self.size)
        return flat[None]

    def unpack(self, row: torch.Tensor) -> torch.Tensor:
        """`(1, size, ...)` as `(batch, seq, ...)`, with zeros where there is no token."""
        batch, seq = self.shape
        flat: torch.Tensor = _Move.apply(row[0], None, self.tokens, batch * seq)
        return flat.unflatten(0, self.shape)

    def spread(self, heads: torch.Tensor) -> list[torch.Tensor]:
        """`(1, heads, size, head)` as `(rows, heads, length, head)` for every group."""
        flat = _Move.apply(heads[0].transpose(0, 1), None, self.slots, self.groups[-1].end)
        parts = flat.split([group.end - group.offset for group in self.groups])
        return [
            part.unflatten(0, (-1, group.length)).transpose(1, 2)
            for part, group in zip(parts, self.groups, strict=True)
        ]

    def collect(self, groups: Sequence[torch.Tensor]) -> torch.Tensor:
        """`(rows, length, heads, head)` of every group as `(1, size, heads, head)`."""
        flat = torch.cat([group.flatten(0, 1) for group in groups])
        row: torch.Tensor = _Move.apply(flat, self.slots, None, self.size)
        return row[None]

    def masks(self, mask: torch.Tensor | None) -> list[torch.Tensor | None]:
        """Every group's part of an attention mask `(batch or 1, heads or 1, seq, seq)`."""
        if mask is None:
            return [None] * len(self.groups)
        batch, seq = self.shape
        mask = mask.expand(batch, -1, seq, seq)
        return [mask[group.first : group.last, :, : group.length, : group.length] for group in self.groups]


class _Move(torch.autograd.Function):
    """Rows of a tensor from some places to others, zeros in the rest; no place is named twice.

    torch's own backward of such an indexing adds up row by row, in case one is.
    """

    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, source: torch.Tensor | None, target: torch.Tensor | None, size: int
    ) -> torch.Tensor:
        ctx.places, ctx.size = (source, target), len(values)
        return _moved(values, source, target, size)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        source, target = ctx.places
        return _moved(gradients[0], target, source, ctx.size), None, None, None


def _moved(values: torch.Tensor, source: torch.Tensor | None, target: torch.Tensor | None, size: int) -> torch.Tensor:
    """`values[source]` at `target`; None is the places from 0 on."""
    moved = values.new_zeros(size, *values.shape[1:])
    if target is None:
        assert source is not None
        torch.index_select(values, 0, source, out=moved[: len(source)])
        return moved
    return moved.index_copy_(0, target, values[: len(target)])


def layout(mask: np.ndarray) -> Layout:
    """How to pack a batch.

    Args:
        mask: Where there is a token, bool `(batch, seq)`.
    """
    seq = mask.shape[1]
    ends = np.where(mask.any(1), seq - mask[:, ::-1].argmax(1), 1)
    groups: list[Group] = []
    for first in range(0, len(mask), _ROWS):
        last = min(first + _ROWS, len(mask))
        length = min(_rounded(int(ends[first:last].max())), seq)
        groups.append(Group(first, last, length, groups[-1].end if groups else 0))
    rows, columns = mask.nonzero()
    lengths = np.concatenate([np.full(group.last - group.first, group.length) for group in groups])
    starts = np.cumsum(lengths) - lengths
    return Layout(
        (mask.shape[0], seq),
        _rounded(len(rows)),
        torch.from_numpy(rows * seq + columns),
        torch.from_numpy(starts[rows] + columns),
        tuple(groups),
    )


def _rounded(size: int) -> int:
    """Up to a multiple of 8, and to one of eight sizes from one power of two to the next."""
    step = max(8, 1 << max(size.bit_length() - 4, 0))
    return -(-size // step) * step


class Packing:
    """What the hooks of a model and its attention know of the batch at hand.

    It is the last one that the model was given: a backward pass that runs layers again (gradient checkpointing) has to
    come before the next.

    Attributes:
        layout: Of the batch; None where it is not packed.
    """

    def __init__(self) -> None:
        self.layout: Layout | None = None
        self._handles: list[Any] = []
        self._inside: list[torch.nn.Module] = []

    def install(self, model: torch.nn.Module, layers: Sequence[torch.nn.Module]) -> None:
        """Pack what goes through the layers; their attention finds this with `packing_of`."""
        self._inside = [module for layer in layers for module in layer.modules()]
        for module in self._inside:
            vars(module)[_NAME] = self
        self._handles = [
            model.register_forward_pre_hook(self._begin, with_kwargs=True),
            layers[0].register_forward_pre_hook(self._enter, with_kwargs=True),
            *(layer.register_forward_pre_hook(self._along, with_kwargs=True) for layer in layers),
            layers[-1].register_forward_hook(self._leave),
        ]

    def remove(self) -> None:
        """Take it away again."""
        for handle in self._handles:
            handle.remove()
        for module in self._inside:
            vars(module).pop(_NAME, None)

    def _begin(self, model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        mask = kwargs.get("attention_mask")
        if mask is None or mask.ndim != 2 or mask.all():  # nothing is known of its padding, or there is none
            self.layout = None
        else:
            self.layout = layout(mask.bool().numpy())

    def _enter(self, layer: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.layout is None:
            return None
        if args:
            return (self.layout.pack(args[0]), *args[1:]), kwargs
        return args, {**kwargs, _HIDDEN: self.layout.pack(kwargs[_HIDDEN])}

    def _along(self, layer: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What else every layer is given for each token, such as rotary embeddings."""
        if self.layout is None:
            return None
        return args, {
            name: value if name == _HIDDEN or "mask" in name else self._packed(value) for name, value in kwargs.items()
        }

    def _packed(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self._packed(part) for part in value)
        assert self.layout is not None
        batch, seq = self.layout.shape
        if isinstance(value, torch.Tensor) and 2 <= value.ndim <= 3 and value.shape[:2] in ((batch, seq), (1, seq)):
            return self.layout.pack(value.expand(batch, *value.shape[1:]))
        return value

    def _leave(self, layer: torch.nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if self.layout is None:
            return None
        if isinstance(output, tuple):
            return (self.layout.unpack(output[0]), *output[1:])
        return self.layout.unpack(output)


def packing_of(module: torch.nn.Module) -> Packing | None:
    """What is installed on the layer that the module is in."""
    return vars(module).get(_NAME)
