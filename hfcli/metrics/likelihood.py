"""Metrics of how likely texts are to a model, from sums over documents, or over blocks of one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hfcli.metrics import base
from hfcli.metrics.base import Family, Statistics, Sums, additive, metric
from hfcli.metrics.resampling import Array, Kinds

NLL, TOKENS, WORDS, BYTES = range(4)


@dataclass(frozen=True)
class Read:
    """How texts were read, for signatures; said by who measures.

    Attributes:
        how: "protocol:stride|window:1024|stride:512|bos:no".
        tokenizer: "tok:1f3a9c2"; "" where scores can be compared whatever the tokenizer.
    """

    how: str = field(default="", metadata=base.NOT_TYPED)
    tokenizer: str = field(default="", metadata=base.NOT_TYPED)


def _reduce(predictions: Sequence[Sequence[float]], references: Sequence[Any], options: Read) -> Statistics:
    return Statistics({"counts": np.array(predictions, dtype=np.float64).reshape(-1, 4)})


def _sums(statistics: Statistics, options: Read) -> Kinds:
    return additive(statistics.columns["counts"])


def _means(statistics: Statistics, options: Read) -> Kinds:
    counts = statistics.columns["counts"]
    return additive(np.stack([_exp(counts[:, NLL], counts[:, TOKENS]), np.ones(len(counts))], axis=1))


def _signed(options: Read) -> tuple[str, ...]:
    return tuple(part for part in (options.how, options.tokenizer) if part)


BY_TOKEN = Family("token_likelihood", "likelihoods", _reduce, _sums, Read, _signed)
BY_TEXT = Family("text_likelihood", "likelihoods", _reduce, _means, Read, _signed)
BY_BYTE = Family("likelihood", "likelihoods", _reduce, _sums, Read, _signed)


@metric(BY_TOKEN, better="lower", scale="")
def perplexity(sums: Sums) -> Array:
    """The exponential of the mean over tokens of minus their log-likelihood; comparable with the same tokenizer only.

    Source: Jelinek et al., Perplexity: a measure of the difficulty of speech recognition tasks, 1977; transformers
    5.23, docs/source/en/perplexity.md.
    """
    return _exp(sums.sums[:, NLL], sums.sums[:, TOKENS])


@metric(BY_BYTE, better="lower", scale="")
def word_perplexity(sums: Sums) -> Array:
    """The same over words, comparable whatever the tokenizer.

    Source: lm-evaluation-harness 0.4.12, weighted_perplexity.
    """
    return _exp(sums.sums[:, NLL], sums.sums[:, WORDS])


@metric(BY_BYTE, better="lower", scale="")
def byte_perplexity(sums: Sums) -> Array:
    """The same over bytes of UTF-8.

    Source: lm-evaluation-harness 0.4.12, weighted_perplexity.
    """
    return _exp(sums.sums[:, NLL], sums.sums[:, BYTES])


@metric(BY_BYTE, better="lower", scale="")
def bits_per_byte(sums: Sums) -> Array:
    """Bits that the text takes when the model compresses it, for each of its bytes.

    Source: lm-evaluation-harness 0.4.12, bits_per_byte; Gao et al., The Pile, 2020, section 3.1.
    """
    return _ratio(sums.sums[:, NLL], sums.sums[:, BYTES]) / math.log(2)


@metric(BY_TEXT, better="lower", scale="")
def mean_perplexity(sums: Sums) -> Array:
    """The mean over texts of their perplexities.

    Source: evaluate 0.4.6, measurements/perplexity.
    """
    return _ratio(sums.sums[:, 0], sums.sums[:, 1])


def _ratio(above: Array, below: Array) -> Array:
    """NaN where nothing was counted."""
    ratio: Array = above / np.where(below > 0, below, np.nan)
    return ratio


def _exp(nll: Array, count: Array) -> Array:
    with np.errstate(over="ignore"):  # a model may be as wrong as it likes
        value: Array = np.exp(_ratio(nll, count))
    return value
