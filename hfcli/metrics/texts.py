"""Texts that should be equal to one of several (`texts`)."""

import string
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np

from hfcli.errors import DataError
from hfcli.metrics.base import Family, Statistics, Sums, additive, metric
from hfcli.metrics.resampling import Array


@dataclass(frozen=True)
class EqualOptions:
    """What may differ between texts that count as equal.

    Attributes:
        ignore_case: Letters' case, by Unicode's case folding.
        ignore_punctuation: All that Unicode has as punctuation, and the ASCII symbols.
        ignore_space: How much space there is, and of which kind, and any at the ends.
    """

    ignore_case: bool = False
    ignore_punctuation: bool = False
    ignore_space: bool = False


def _plain(text: str, options: EqualOptions) -> str:
    if options.ignore_case:
        text = text.casefold()
    if options.ignore_punctuation:
        text = "".join(each for each in text if not _is_punctuation(each))
    return " ".join(text.split()) if options.ignore_space else text


@cache
def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character)[0] == "P"


def _equal(predictions: Sequence[str], references: Sequence[Sequence[str]], options: EqualOptions) -> Statistics:
    if not all(references):
        raise DataError("a record has no text that it should be; exact_match needs at least one for each")
    pairs = zip(predictions, references, strict=True)
    right = [_plain(text, options) in {_plain(each, options) for each in texts} for text, texts in pairs]
    return Statistics({"right": np.array(right, dtype=np.bool_)})


EXACT = Family(
    "exact_match",
    "texts",
    _equal,
    lambda statistics, options: additive(statistics.columns["right"][:, None], options),
    EqualOptions,
    lambda options: tuple(f"{name}:yes" for name, ignored in asdict(options).items() if ignored),
    right=lambda statistics: statistics.columns["right"],
)


@metric(EXACT, title="exact_match")
def equal_texts(records: Sums) -> Array:
    """The share of texts that are equal to one of their references.

    Source: evaluate 0.4.6, exact_match, which has one reference a text.
    """
    share: Array = records.sums[:, 0] / records.n
    return share
