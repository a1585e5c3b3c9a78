"""How many records at a time: batches by length, tokens and memory."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import torch

from hfcli.runtime import environment, generation, memory
from hfcli.runtime.decoding import Decoding
from hfcli.runtime.forward import Network
from hfcli.runtime.loading import Loaded
from hfcli.tasks.base import Feature, Settings, Setup, Task

MAX_ROWS = {"cpu": 128, "cuda": 512, "mps": 128}  # on two cores 128 rows gave 1,090 tokens/s, 256 rows 1,112
MAX_TOKENS = {"cpu": 64 * 1024, "cuda": 1024 * 1024, "mps": 64 * 1024}
MAX_LOGIT_TOKENS = {"cpu": 4096, "cuda": 128 * 1024, "mps": 8192}
Together = Literal["any", "equal lengths", "alone"]


def together(loaded: Loaded) -> Together:
    """Which rows a model keeps apart in a batch, tried on a few tokens.

    Some architectures read left padding as text (XLNet, RecurrentGemma), some mix up rows of any kind (RWKV).
    """
    if loaded.model.config.is_encoder_decoder:
        return "any"  # padded on the right of the encoder, behind a mask that all of them know
    ids = [np.arange(1, 1 + length, dtype=np.int32) * 7 % loaded.vocabulary for length in (3, 9, 3)]
    short, long, other = (Feature({"input_ids": row}, {}) for row in (ids[0], ids[1], ids[2][::-1].copy()))
    alone = generation.next_scores(loaded, [short])
    tolerance = 0.01 if loaded.placement.dtype == torch.float32 else 0.5  # of the scores' spread; rounding is below

    def same(rows: Sequence[Feature]) -> bool:
        difference = (generation.next_scores(loaded, rows)[0] - alone[0]).abs().max()
        return bool(difference <= tolerance * alone.std())

    return "alone" if not same([short, other]) else "any" if same([short, long]) else "equal lengths"


def batches(
    features: Mapping[int, Feature],
    decoding: Decoding,
    loaded: Loaded,
    max_rows: int,
    budget: int,
    apart: Together = "any",
) -> Iterator[list[int]]:
    """Indices of features by length, longest first, so many at a time as the token budget holds.

    Tokens are counted with their padding and their answer. All rows of a batch have the same longest answer: a row
    near the model's length must not shorten the others.
    """
    copies = decoding.copies
    order = sorted(features, key=lambda i: -len(features[i].inputs["input_ids"]))
    batch: list[int] = []
    width = answer = 0
    for i in order:
        own = generation.longest_answer(features[i], decoding, loaded)
        rows = (len(batch) + 1) * copies
        length = len(features[i].inputs["input_ids"])
        unlike = apart == "alone" or (apart == "equal lengths" and length != width)
        if batch and (own != answer or unlike or rows > max_rows or rows * (width + answer) > budget):
            yield batch
            batch = []
        if not batch:
            width, answer = length, own
        batch.append(i)
    if batch:
        yield batch


def budget_tokens(loaded: Loaded) -> int:
    """How many tokens, prompts and answers, a batch may hold: what half the free memory takes as keys and values."""
    per_token = memory.cached_bytes(loaded.model.config, loaded.placement.dtype)
    device = loaded.placement.device
    fitting = max(1, environment.free_bytes(device) // 2 // per_token)
    return min(MAX_TOKENS[device.type], 1 << (fitting.bit_length() - 1))  # a power of two: seldom another one next time


def logits_together(network: Network, task: Task, setup: Setup) -> Together:
    """Which rows a model with a head keeps apart in a batch, tried on a few words.

    Some architectures read padding as text (FNet), or start counting positions on the other side of it.
    """
    length = min(32, setup.max_tokens)
    plain = setup._replace(options=Settings(task.name, {}, max_length=length, doc_stride=length // 4))
    words = ("one", "one two three four five six seven", "seven")
    records = [{"text": text, "question": "one", "context": text} for text in words]
    rows = [windows[0] for windows in task.encode(records, plain)]

    def same(*rows: Feature) -> bool:
        with torch.inference_mode():
            together, alone = (network.logits(given)[0].float() for given in (rows, rows[:1]))
        if together.ndim == 2:
            together = together[: len(alone)]
        rounding = 1e-3 if network.model.dtype == torch.float32 else 0.05
        return bool((together - alone).abs().max() <= rounding * alone.abs().max().clamp(min=0.1))

    return "alone" if not same(rows[0], rows[2]) else "any" if same(rows[0], rows[1]) else "equal lengths"


def logit_tokens(loaded: Loaded, length: int) -> int:
    """How many tokens a batch of a classifier may hold with their padding: what half the free memory takes.

    Args:
        loaded: The model.
        length: Of the longest row, in tokens.
    """
    per_token = memory.working_bytes(loaded.model.config, loaded.placement.dtype, length)
    device = loaded.placement.device
    fitting = max(1, environment.free_bytes(device) // 2 // per_token)
    return min(MAX_LOGIT_TOKENS[device.type], 1 << (fitting.bit_length() - 1))


def by_tokens(lengths: Sequence[int], budget: int, max_rows: int, apart: Together) -> Iterator[list[int]]:
    """Indices by length, longest first, so many at a time as the budget holds with their padding."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        width = lengths[batch[0]] if batch else 0
        unlike = apart == "alone" or (apart == "equal lengths" and lengths[i] != width)
        if batch and (unlike or len(batch) == max_rows or (len(batch) + 1) * width > budget):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
