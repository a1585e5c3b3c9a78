"""How many records at a time: read ahead, cut into chunks by number, into batches by length, tokens and memory."""

import queue
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import torch

from hfcli.records import Row
from hfcli.runtime import environment, generation
from hfcli.runtime.decoding import Decoding
from hfcli.runtime.loading import Loaded
from hfcli.tasks.base import Feature

SILENCE_SECONDS = 0.02
MAX_ROWS = {"cpu": 128, "cuda": 512, "mps": 128}  # on two cores 128 rows gave 1,090 tokens/s, 256 rows 1,112
MAX_TOKENS = {"cpu": 64 * 1024, "cuda": 1024 * 1024, "mps": 64 * 1024}
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
    config = loaded.model.config.get_text_config(decoder=True)
    layers: int = getattr(config, "num_hidden_layers", None) or getattr(config, "num_layers", None) or 12
    heads: int = getattr(config, "num_attention_heads", None) or 1
    head: int = getattr(config, "head_dim", None) or getattr(config, "hidden_size", 1024) // heads
    kv_heads: int = getattr(config, "num_key_value_heads", None) or heads
    both = 2 if loaded.model.config.is_encoder_decoder else 1  # keys and values of the encoder's output, too
    per_token = 2 * layers * kv_heads * head * loaded.placement.dtype.itemsize * both
    device = loaded.placement.device
    fitting = max(1, environment.free_bytes(device) // 2 // per_token)
    return min(MAX_TOKENS[device.type], 1 << (fitting.bit_length() - 1))  # a power of two: seldom another one next time


def chunks(rows: Iterable[Row], size: int, first: int, silence_seconds: float | None) -> Iterator[list[Row]]:
    """Rows in lists of `size`, the first of `first`; fewer after a silence: `tail -f` is answered as lines arrive.

    A thread reads ahead, by a few rows only. Its exception is raised after the rows before it were given out.
    """
    lines: queue.Queue[Row | BaseException | None] = queue.Queue(maxsize=64)
    stop = threading.Event()

    def put(item: Row | BaseException | None) -> None:
        while not stop.is_set():
            try:
                return lines.put(item, timeout=0.2)
            except queue.Full:
                continue

    def pump() -> None:
        try:
            for row in rows:
                put(row)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    threading.Thread(target=pump, daemon=True).start()
    try:
        yield from _gather(lines, size, first, silence_seconds)
    finally:
        stop.set()


def _gather(
    lines: "queue.Queue[Row | BaseException | None]", size: int, first: int, silence_seconds: float | None
) -> Iterator[list[Row]]:
    room = first
    chunk: list[Row] = []
    while True:
        try:
            item = lines.get(timeout=silence_seconds if chunk else None)
        except queue.Empty:
            yield chunk
            chunk = []
            continue
        if isinstance(item, Row):
            chunk.append(item)
            if len(chunk) < room:
                continue
            room = size
        if chunk:
            yield chunk
            chunk = []
        if item is None:
            return
        if isinstance(item, BaseException):
            raise item
