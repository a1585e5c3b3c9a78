"""ROUGE: how much of the words, and of their order, a text shares with its references (`texts`), from 0 to 1.

Source: Lin, ROUGE: A Package for Automatic Evaluation of Summaries, Text Summarization Branches Out 2004; rouge_score
0.1.2, rouge_scorer.RougeScorer, whose choices are kept: which longest common subsequence counts, and which reference.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hfcli.errors import DataError, UsageError, did_you_mean
from hfcli.metrics.base import Family, Statistics, Sums, additive, metric
from hfcli.metrics.porter import stem
from hfcli.metrics.resampling import Array, Kinds
from hfcli.metrics.words import words

TYPES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
MEASURES = ("precision", "recall", "f")
TOKENIZERS = ("default", "unicode")
DROPPED = "dropped"
"""The column that says of which records the default tokenizer leaves less than half of a reference's letters."""

_DEFAULT_WORD = re.compile(r"[a-z0-9]+")
_STEMMED_FROM = 4  # letters


@dataclass(frozen=True)
class RougeOptions:
    """How texts are compared.

    Attributes:
        stemmer: By the stems of English words, as scripts for summarization do.
        tokenizer: `default`: runs of a-z and 0-9, as in rouge_score; nothing is left of other scripts, and words with
            accents come apart. `unicode`: words of any script; only those of a-z and 0-9 are stemmed.
        measure: `f`, `precision` or `recall`.
    """

    stemmer: bool = True
    tokenizer: str = "default"
    measure: str = "f"

    def __post_init__(self) -> None:
        for name, given, there in (
            ("tokenizer", self.tokenizer, TOKENIZERS),
            ("measure", self.measure, MEASURES),
        ):
            if given not in there:
                raise UsageError(
                    f"rouge has no {name} {given}; there is {', '.join(there)}", did_you_mean(given, there)
                )


class _Text(NamedTuple):
    lines: list[list[str]]  # the words of each line
    words: list[str]
    single: Counter[str]
    pairs: Counter[tuple[str, str]]


def _text(text: str, options: RougeOptions) -> _Text:
    lines = [line for each in text.split("\n") if (line := _tokens(each, options))]
    whole = list(chain.from_iterable(lines))
    return _Text(lines, whole, Counter(whole), Counter(pairwise(whole)))


def _tokens(text: str, options: RougeOptions) -> list[str]:
    found = words(text) if options.tokenizer == "unicode" else _DEFAULT_WORD.findall(text.lower())
    if not options.stemmer:
        return found
    return [stem(word) if len(word) >= _STEMMED_FROM and word.isascii() else word for word in found]


def _counts(given: _Text, wanted: _Text) -> list[tuple[int, int, int]]:
    """What is shared, what is in the prediction and what in the reference, for each of TYPES."""
    n, m = len(given.words), len(wanted.words)
    longest = n - _rows(wanted.words, _places(given.words), n)[-1].bit_count()
    one_line = len(given.lines) == len(wanted.lines) == 1
    return [
        (_shared(given.single, wanted.single), n, m),
        (_shared(given.pairs, wanted.pairs), max(n - 1, 0), max(m - 1, 0)),
        (longest, n, m),
        (longest if one_line else _summary(given, wanted), n, m),
    ]


def _shared(a: Mapping[Any, int], b: Mapping[Any, int]) -> int:
    return sum(min(a[each], b[each]) for each in a.keys() & b.keys())


def _summary(given: _Text, wanted: _Text) -> int:
    """How many words of the reference's lines are in the union of their longest common subsequences with each line of
    the prediction, a word no more often than the prediction has it.
    """
    places = [_places(line) for line in given.lines]
    found: Counter[str] = Counter()
    for line in wanted.lines:
        union = {at for other, where in zip(given.lines, places, strict=True) for at in _longest(line, other, where)}
        found.update(line[at] for at in union)
    return _shared(found, given.single)


def _places(text: Sequence[str]) -> dict[str, int]:
    """Where each word is, as the bits of a number."""
    places: dict[str, int] = {}
    for at, word in enumerate(text):
        places[word] = places.get(word, 0) | 1 << at
    return places


def _rows(wanted: Sequence[str], places: Mapping[str, int], length: int) -> list[int]:
    """The table of lengths of longest common subsequences, a row a number.

    Args:
        wanted: The words of one text.
        places: Those of the other.
        length: How many the other has.

    Returns:
        For each beginning of `wanted`, from the empty one on: bit j is 0 where the first j + 1 words of the other have
        a longer common subsequence with it than the first j.

    Source: Hyyrö, Bit-Parallel LCS-length Computation Revisited, AWOCA 2004.
    """
    full = (1 << length) - 1
    row = full
    rows = [row]
    for word in wanted:
        if hits := row & places.get(word, 0):
            row = (row + hits | row - hits) & full
        rows.append(row)
    return rows


def _longest(wanted: Sequence[str], given: Sequence[str], places: Mapping[str, int]) -> list[int]:
    """Where in `wanted` the words are of one of the longest common subsequences, the last first.

    Of several it is the one that rouge_score finds: from the end, a word of `wanted` is passed over before one of
    `given` is, unless that makes the rest shorter.
    """
    rows = _rows(wanted, places, len(given))
    i, j = len(wanted), len(given)
    left = j - rows[i].bit_count()
    found = []
    while left:
        if wanted[i - 1] == given[j - 1]:
            i, j, left = i - 1, j - 1, left - 1
            found.append(i)
        elif left > j - (rows[i - 1] & (1 << j) - 1).bit_count():
            j -= 1
        else:
            i -= 1
    return found


def _is_dropped(text: str) -> bool:
    """Whether less than half of its letters are a-z."""
    if text.isascii():
        return False
    letters = [letter for letter in text if letter.isalpha()]
    return 2 * sum(letter.isascii() for letter in letters) < len(letters)


def shares(counts: NDArray[Any]) -> Array:
    """Precision, recall and F `(..., 3)` of what is shared, in the prediction and in the reference `(..., 3)`."""
    shared, given, wanted = np.moveaxis(counts.astype(np.float64), -1, 0)
    precision, recall = shared / np.maximum(given, 1), shared / np.maximum(wanted, 1)
    both = precision + recall
    return np.stack([precision, recall, 2 * precision * recall / np.where(both > 0, both, 1)], axis=-1)


def _of_texts(predictions: Sequence[str], references: Sequence[Sequence[str]], options: RougeOptions) -> Statistics:
    if not all(references):
        raise DataError("a record has no text that it should be; rouge needs at least one for each")
    pairs = []
    for prediction, texts in zip(predictions, references, strict=True):
        given = _text(prediction, options)
        pairs += [_counts(given, _text(text, options)) for text in texts]
    counts = np.array(pairs, dtype=np.int32).reshape(-1, len(TYPES), 3)
    f = shares(counts)[..., MEASURES.index("f")]
    bounds = pairwise(accumulate(map(len, references), initial=0))
    best = [first + f[first:last].argmax(axis=0) for first, last in bounds]
    chosen = counts[np.array(best, dtype=np.int64).reshape(-1, len(TYPES)), np.arange(len(TYPES))]
    columns: dict[str, NDArray[Any]] = {name: chosen[:, at] for at, name in enumerate(TYPES)}
    drops = options.tokenizer == "default"
    columns[DROPPED] = np.array([drops and any(map(_is_dropped, texts)) for texts in references], dtype=np.bool_)
    return Statistics(columns)


def _kinds(statistics: Statistics, options: RougeOptions) -> Kinds:
    counts = np.stack([statistics.columns[name] for name in TYPES], axis=1)
    return additive(shares(counts)[..., MEASURES.index(options.measure)], options)


def _signed(options: RougeOptions) -> tuple[str, ...]:
    measure = () if options.measure == "f" else (f"measure:{options.measure}",)
    return (f"tok:{options.tokenizer}", f"stem:{'yes' if options.stemmer else 'no'}", *measure)


def _odd(statistics: Statistics) -> str:
    count = int(statistics.columns[DROPPED].sum())
    if not count:
        return ""
    of = f"{count:,} of {len(statistics):,} records"
    return f"rouge's default tokenizer drops everything but a-z and 0-9, most of {of}; rouge:tokenizer=unicode does not"


ROUGE = Family("rouge", "texts", _of_texts, _kinds, RougeOptions, _signed, odd=_odd, slow=True)


@metric(ROUGE)
def rouge1(records: Sums) -> Array:
    """The mean F1 of the words that a text shares with that of its references that it shares most with.

    Source: rouge_score 0.1.2, rouge1 of score_multi.
    """
    return _mean(records, "rouge1")


@metric(ROUGE)
def rouge2(records: Sums) -> Array:
    """The same of pairs of words that follow each other.

    Source: rouge_score 0.1.2, rouge2 of score_multi.
    """
    return _mean(records, "rouge2")


@metric(ROUGE, title="rougeL")
def rougel(records: Sums) -> Array:
    """The same of the longest sequence of words that both have, with gaps.

    Source: rouge_score 0.1.2, rougeL of score_multi.
    """
    return _mean(records, "rougeL")


@metric(ROUGE, title="rougeLsum")
def rougelsum(records: Sums) -> Array:
    """The same of such sequences of each line of the reference and any line of the text: of a summary with a sentence a
    line. For texts of one line it is rougeL.

    Source: rouge_score 0.1.2, rougeLsum of score_multi with split_summaries=False.
    """
    return _mean(records, "rougeLsum")


def _mean(records: Sums, name: str) -> Array:
    mean: Array = records.sums[:, TYPES.index(name)] / records.n
    return mean
