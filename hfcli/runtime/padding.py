"""Features of different lengths as one batch of tensors."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from transformers import LogitsProcessor

from hfcli.tasks.base import Feature


def pad(
    features: Sequence[Feature],
    tokenizer: Any,
    vocabulary: int,
    side: Literal["left", "right"],
    device: torch.device,
    wide: int = 0,
) -> dict[str, torch.Tensor]:
    """Stack inputs to `(batch, longest)` and add `attention_mask`.

    Where `wide` is given, rows are as long as the next multiple of 8, up to that: matrix units like that, and fewer
    different shapes are fewer kernels to make.

    The tokenizer's own padding is not used: it is state of a shared object, and its `padding_side` is often wrong for
    generation. What the padding holds is never attended to, so any id will do for a tokenizer without a pad token.
    """
    fill = {"input_ids": pad_id(tokenizer, vocabulary), "token_type_ids": getattr(tokenizer, "pad_token_type_id", 0)}
    lengths = [len(feature.inputs["input_ids"]) for feature in features]
    longest = max(lengths)
    if wide:
        longest = max(longest, min(-(-longest // 8) * 8, wide))
    batch = {}
    for name in features[0].inputs:
        rows = np.full((len(features), longest), fill.get(name, 0), dtype=np.int64)
        for row, feature, length in zip(rows, features, lengths, strict=True):
            row[_span(side, length, longest)] = feature.inputs[name]
        batch[name] = torch.from_numpy(rows).to(device)
    mask = np.zeros((len(features), longest), dtype=np.int64)
    for row, length in zip(mask, lengths, strict=True):
        row[_span(side, length, longest)] = 1
    return {**batch, "attention_mask": torch.from_numpy(mask).to(device)}


class WithoutPadding(LogitsProcessor):
    """Applies a processor to each row without its left padding, which is not part of the text.

    transformers' processors read it as text: the repetition penalty then punishes the pad token, which is often the end
    token, in the rows that happen to be short.
    """

    def __init__(self, processor: LogitsProcessor, padding: Sequence[int]) -> None:
        self.processor = processor
        self.padding = padding

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if not any(self.padding):
            return self.processor(input_ids, scores)
        copies = len(input_ids) // len(self.padding)  # beams stand side by side
        rows = [
            self.processor(input_ids[row : row + 1, self.padding[row // copies] :], scores[row : row + 1])
            for row in range(len(input_ids))
        ]
        return torch.cat(rows)


def _span(side: str, length: int, longest: int) -> slice:
    return slice(longest - length, longest) if side == "left" else slice(0, length)


def pad_id(tokenizer: Any, vocabulary: int) -> int:
    """The tokenizer's pad token, else its end token, else 0; one that the model has an embedding for.

    Finetunes often add `[PAD]` to the tokenizer behind the last row of the embedding.
    """
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if isinstance(token, int) and 0 <= token < vocabulary:
            return token
    return 0
