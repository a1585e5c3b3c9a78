"""N-grams that texts have in common with others."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIECE = 512  # records at a time, so that what is counted stays in the cache


def in_common(
    texts: Sequence[Sequence[str]], others: Sequence[Sequence[Sequence[str]]], order: int
) -> NDArray[np.int32]:
    """How many n-grams of each text are in others, each at most as often as in that of them where it is most frequent.

    Args:
        texts: Words of each text.
        others: Words of each of the others of each text, which are at least one.
        order: Of the longest n-grams.

    Returns:
        For 1 to `order`, `(n, order)`.

    Source: Papineni et al., BLEU: a Method for Automatic Evaluation of Machine Translation, ACL 2002, section 2.1.
    """
    pieces = range(0, len(texts), PIECE)
    found = [_in_common(texts[at : at + PIECE], others[at : at + PIECE], order) for at in pieces]
    return np.concatenate([np.empty((0, order), dtype=np.int32), *found])


def _in_common(texts: Sequence[Sequence[str]], others: Sequence[Sequence[Sequence[str]]], order: int) -> NDArray[Any]:
    every = [*texts, *chain.from_iterable(others)]
    counts = [len(several) for several in others]
    record = np.concatenate([np.arange(len(texts)), np.repeat(np.arange(len(texts)), counts)])
    # 0 for the texts, from 1 for the others of each.
    rank = np.array([*[0] * len(texts), *(which for count in counts for which in range(1, count + 1))])
    lengths = np.array([len(words) for words in every])
    codes: dict[str, int] = {}
    words = np.array([codes.setdefault(word, len(codes)) for text in every for word in text], dtype=np.int64)

    # Of every word that may begin an n-gram: its place, its text, and a number for the n-gram of the words before.
    starts = np.arange(len(words))
    of = np.repeat(np.arange(len(every)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - starts
    grams = record[of]  # of no words yet, but other records have others
    found = np.zeros((len(texts), order), dtype=np.int32)
    for n in range(order):
        keep = left[starts] > n
        starts, grams = starts[keep], grams[keep]
        if not len(starts):
            break
        distinct, grams = np.unique(grams * len(codes) + words[starts + n], return_inverse=True)
        width = len(distinct)
        cells = rank[of[starts]] * width + grams
        table = np.bincount(cells, minlength=(1 + max(counts)) * width).reshape(-1, width)
        shared = np.minimum(table[0], table[1:].max(axis=0))
        owner = np.empty(width, dtype=np.int64)
        owner[grams] = record[of[starts]]
        found[:, n] = np.bincount(owner, weights=shared, minlength=len(texts))
        keep = shared[grams] > 0  # what begins with an n-gram that is nowhere else is nowhere else
        starts, grams = starts[keep], grams[keep]
    return found
