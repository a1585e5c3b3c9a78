"""Likelihood of texts: a document to token ids, and the likelihood of each token to sums that metrics read."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hfcli.tasks._passages import Passages
from hfcli.tasks._protocols import Ids, Reading
from hfcli.tasks._windows import tokenise
from hfcli.tasks.base import Feature, Field, Record, Setup, Task

BLOCK_CHARACTERS = 512


class Statistics(NamedTuple):
    """What is known of a document; sums of these are what perplexities are made of.

    Attributes:
        nll: Minus the log-likelihood of the scored tokens, in nats.
        tokens: How many are scored.
        tokens_total: How many there are.
        words: As lm-evaluation-harness counts: stretches of whitespace, and one.
        bytes: In UTF-8.
        blocks: nll, tokens, words and bytes of each 512 characters, float64 `(blocks, 4)`. A token counts where it
            begins, whitespace likewise. One block where the tokenizer does not say where tokens stand.
    """

    nll: float
    tokens: int
    tokens_total: int
    words: int
    bytes: int
    blocks: NDArray[np.float64]


def encode(records: Sequence[Record], setup: Setup) -> Iterator[list[Feature]]:
    """One feature a document, `input_ids` of shape `(seq,)`, whatever its length.

    Args:
        records: With `text`.
        setup: Its options are a `Reading`, whose special tokens are put around documents of causal models. The notes
            of a feature are where each token begins in the text, int32 `(seq,)`, or None.
    """
    reading: Reading = setup.options
    around = (reading.prefix, reading.suffix) if reading.protocol is not None else (reading.prefix[:0],) * 2
    texts = [record["text"] for record in records]
    for text, (ids, starts) in zip(texts, _tokens(setup.tokenizer, texts, reading.split), strict=True):
        if starts is not None:
            places = [np.full(len(part), at, dtype=np.int32) for part, at in zip(around, (0, len(text)), strict=True)]
            starts = np.concatenate([places[0], starts, places[1]])
        yield [Feature({"input_ids": np.concatenate([around[0], ids, around[1]])}, {}, starts)]


def _tokens(tokenizer: Any, texts: list[str], split: bool) -> Iterator[tuple[Ids, Ids | None]]:
    """Of each text the ids, and the character where each begins."""
    reader = tokenizer if split else _Unsplit(tokenizer)
    if tokenizer.is_fast:
        for passage in Passages(reader).get(texts):
            yield passage.ids, passage.starts
        return
    for ids in tokenise(reader, texts)["input_ids"]:
        yield np.array(ids, dtype=np.int32), None


class _Unsplit:
    """A tokenizer that reads `<unk>` in a text as the token of that name, as tokenizers do by themselves."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.is_fast = tokenizer.is_fast

    def __call__(self, *texts: list[str], **options: Any) -> Any:
        return self._tokenizer(*texts, **options | {"split_special_tokens": False})


def decode(record: Record, features: list[Feature], outputs: NDArray[np.float32], setup: Setup) -> Statistics:
    """The sums over a document.

    Args:
        record: With `text`.
        features: As encode made them.
        outputs: Minus the log-likelihood of each token, `(seq,)`; NaN where it is not scored.
        setup: As for encode.

    Source: words and bytes, lm-evaluation-harness 0.4.12, tasks/wikitext.
    """
    text, starts = record["text"], features[0].notes
    count = max(1, -(-len(text) // BLOCK_CHARACTERS)) if starts is not None else 1
    blocks = np.zeros((count, 4))
    scored = ~np.isnan(outputs)
    nll = outputs[scored].astype(np.float64)
    of = np.zeros(len(nll), dtype=np.int64) if starts is None else _block(starts[scored], count)
    blocks[:, 0] = np.bincount(of, weights=nll, minlength=count)
    blocks[:, 1] = np.bincount(of, minlength=count)
    spaces = np.fromiter((found.start() for found in re.finditer(r"\s+", text)), dtype=np.int64)
    blocks[:, 2] = np.bincount(_block(spaces, count), minlength=count)
    blocks[0, 2] += 1  # "a b" is two words
    step = BLOCK_CHARACTERS if count > 1 else max(1, len(text))
    blocks[:, 3] = [len(text[at * step : (at + 1) * step].encode()) for at in range(count)]
    total = len(outputs) - (len(setup.options.prefix) if setup.options.protocol is not None else 0)
    return Statistics(float(nll.sum()), len(nll), total, int(blocks[:, 2].sum()), int(blocks[:, 3].sum()), blocks)


def _block(characters: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """The block of each character; what stands behind the text belongs to the last one."""
    blocks: NDArray[np.int64] = np.minimum(characters // BLOCK_CHARACTERS, count - 1).astype(np.int64)
    return blocks


def _task(auto_model: str) -> Task:
    return Task(
        name="perplexity",
        auto_model=auto_model,
        fields=(Field("text"),),
        encode=encode,
        decode=decode,
        kind="nll",
        example={"text": "Once upon a time there was a fox."},
        outputs=("logits",),
    )


CAUSAL = _task("AutoModelForCausalLM")
MASKED = _task("AutoModelForMaskedLM")
