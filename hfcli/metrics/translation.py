"""Translations and other texts against what they should be: `bleu`, `chrf`, `chrf++` and `ter`, as sacrebleu has them.

Texts are tokenised by sacrebleu, and the statistics of each record are those that it resamples itself; the scores are
its corpus scores, from 0 to 100. Options have its names and defaults.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import chain
from typing import Any

import numpy as np

from hfcli.errors import DataError, ModelError, UsageError, did_you_mean
from hfcli.metrics.base import METRICS, Family, Statistics, Sums, additive, metric
from hfcli.metrics.ngrams import in_common
from hfcli.metrics.resampling import Array, Kinds
from hfcli.metrics.words import remembered_13a

# How BLEU takes precisions of 0, and with what value.
SMOOTHING: dict[str, float | None] = {"exp": None, "floor": 0.1, "add-k": 1, "none": None}


@dataclass(frozen=True)
class BleuOptions:
    """What sacrebleu's BLEU may be told.

    Attributes:
        tokenize: How texts are cut into words.
        smooth_method: What becomes of precisions of 0: exp, floor, add-k or none.
        smooth_value: For floor and add-k; None for 0.1 and 1.
        lowercase: Whether case is of no account.
        effective_order: Whether n-grams that are longer than all texts are left out. For scores of single sentences.
        max_ngram_order: The length of the longest n-grams.
    """

    tokenize: str = "13a"
    smooth_method: str = "exp"
    smooth_value: float | None = None
    lowercase: bool = False
    effective_order: bool = False
    max_ngram_order: int = 4

    def __post_init__(self) -> None:
        _known("tokenize", self.tokenize, _tokenizers() if self.tokenize != "13a" else ["13a"])
        _known("smooth_method", self.smooth_method, SMOOTHING)
        _at_least("max_ngram_order", self.max_ngram_order, 1)
        if self.smooth_value is not None:
            _at_least("smooth_value", self.smooth_value, 0)
            if SMOOTHING[self.smooth_method] is None:
                raise UsageError(f"smooth_value is for floor and add-k; smooth_method is {self.smooth_method}")


@dataclass(frozen=True)
class ChrfOptions:
    """What sacrebleu's chrF may be told.

    Attributes:
        char_order: The length of the longest n-grams of characters.
        word_order: The length of the longest n-grams of words; 0 for chrF, 2 for chrF++.
        beta: How many times as much recall weighs as precision.
        lowercase: Whether case is of no account.
        whitespace: Whether white space counts as characters.
        eps_smoothing: Whether n-grams that are longer than all texts count as missed, as in chrF++.py, NLTK and Moses,
            rather than being left out.
    """

    char_order: int = 6
    word_order: int = 0
    beta: int = 2
    lowercase: bool = False
    whitespace: bool = False
    eps_smoothing: bool = False

    def __post_init__(self) -> None:
        _at_least("char_order", self.char_order, 1)
        _at_least("word_order", self.word_order, 0)
        _at_least("beta", self.beta, 0)


@dataclass(frozen=True)
class TerOptions:
    """What sacrebleu's TER may be told.

    Attributes:
        normalized: Whether punctuation is split off, and XML entities are read.
        no_punct: Whether punctuation is of no account.
        asian_support: With either of those: whether they concern Chinese and Japanese characters too.
        case_sensitive: Whether case counts.
    """

    normalized: bool = False
    no_punct: bool = False
    asian_support: bool = False
    case_sensitive: bool = False


def _known(name: str, given: str, there: Any) -> None:
    if given not in there:
        raise UsageError(f"{name} is {given}; it may be {', '.join(there)}", did_you_mean(given, there))


def _at_least(name: str, given: float, least: int) -> None:
    if not least <= given < float("inf"):
        raise UsageError(f"{name} is {given:g}; it must be a number from {least} up")


def _tokenizers() -> list[str]:
    from sacrebleu.metrics.bleu import BLEU

    return list(BLEU.TOKENIZERS)


@cache
def _scorer(options: Any) -> Any:
    """The metric as sacrebleu has it, made once: it reads tables and models.

    Raises:
        ModelError: It needs a package or a file that is not there.
    """
    from sacrebleu.metrics import bleu, chrf, ter

    named: dict[type, Callable[..., Any]] = {BleuOptions: bleu.BLEU, ChrfOptions: chrf.CHRF, TerOptions: ter.TER}
    try:
        return named[type(options)](**asdict(options))
    except (ImportError, RuntimeError, AssertionError, OSError) as error:
        raise _missing(options.tokenize, error) from error


def _missing(tokenizer: str, error: Exception) -> ModelError:
    """What a tokenizer needs that is not there; sacrebleu says it in a way of its own for each."""
    language = {"ja-mecab": "ja", "ko-mecab": "ko"}.get(tokenizer)
    if language or isinstance(error, ImportError):
        packages = f"'sacrebleu[{language}]'" if language else "sentencepiece"
        return ModelError(f"the tokenizer {tokenizer} needs packages that are not there", f"pip install {packages}")
    from sacrebleu.utils import SACREBLEU_DIR

    return ModelError(
        f"the tokenizer {tokenizer} has a model that could not be fetched or read: {error}",
        f"sacrebleu --tokenize {tokenizer} REFERENCES -i TEXTS fetches it to {SACREBLEU_DIR}/models",
    )


@contextmanager
def _scoring(options: Any) -> Iterator[Any]:
    """sacrebleu's metric; its tokenizers forget the texts afterwards, of which they would keep the last 65,536."""
    scorer = _scorer(options)
    yield scorer
    tokenizer = getattr(scorer, "tokenizer", None)
    for each in (tokenizer, getattr(tokenizer, "_post_tokenizer", None)):
        forget = getattr(type(each).__call__, "cache_clear", None)
        if forget:
            forget()


def _signed(options: Any) -> tuple[str, ...]:
    """What sacrebleu's own signature says; then what it does not say, where that is not as always."""
    scorer = _scorer(options)
    scorer.corpus_score(["a"], [["a"]])  # before, it has no signature
    said = str(scorer.get_signature()).split("|")
    unsaid = {"max_ngram_order": 4, "beta": 2}
    more = [f"{name}:{value}" for name, value in asdict(options).items() if value != unsaid.get(name, value)]
    value = getattr(options, "smooth_value", None)
    if value is not None and value != float(f"{value:.2f}"):
        more.append(f"smooth_value:{value}")
    return (*(part for part in said if not part.startswith("nrefs:")), *more)


def _with_references(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    for prediction, texts in zip(predictions, references, strict=True):
        if not texts:
            raise DataError(f"{prediction[:40]!r} has no reference; a record needs at least one, which may be empty")


def _bleu_statistics(
    predictions: Sequence[str], references: Sequence[Sequence[str]], options: BleuOptions
) -> Statistics:
    """By record: the lengths of the text and of the reference nearest to it, n-grams that match, n-grams of the text.

    As sacrebleu's `BLEU._extract_corpus_statistics`, in a third of its time.
    """
    _with_references(predictions, references)
    with _scoring(options) as scorer:
        words = _words(scorer.tokenizer, options)
        texts = [words(text) for text in predictions]
        others = [[words(text) for text in several] for several in references]
    order = options.max_ngram_order
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    nearest = np.array(
        [_nearest(len(text), map(len, each)) for text, each in zip(texts, others, strict=True)], np.int64
    )
    total = np.maximum(lengths[:, None] - np.arange(order), 0)
    columns = [lengths, nearest, in_common(texts, others, order), total]
    return Statistics({"counts": np.column_stack(columns).astype(np.int32)})


def _nearest(length: int, others: Iterable[int]) -> int:
    """The length that differs least, the shorter of two such."""
    return min(others, key=lambda other: (abs(other - length), other))


def _words(tokenizer: Callable[[str], str], options: BleuOptions) -> Callable[[str], list[str]]:
    by_word = _words_of_13a(options) if options.tokenize == "13a" else None

    def words(text: str) -> list[str]:
        text = text.lower() if options.lowercase else text
        if by_word is not None and "\n" not in text:
            return list(chain.from_iterable(map(by_word, text.split())))
        return tokenizer(text.rstrip()).split()

    return words


@cache
def _words_of_13a(options: BleuOptions) -> Callable[[str], tuple[str, ...]]:
    return remembered_13a(_scorer(options).tokenizer)


def _statistics(dtype: type) -> Callable[[Sequence[str], Sequence[Sequence[str]], Any], Statistics]:
    """What sacrebleu extracts of each record to resample it: one record at a time, as it keeps all of a call."""

    def reduce(predictions: Sequence[str], references: Sequence[Sequence[str]], options: Any) -> Statistics:
        _with_references(predictions, references)
        with _scoring(options) as scorer:
            rows = [
                scorer._extract_corpus_statistics([text], [[other] for other in several])[0]
                for text, several in zip(predictions, references, strict=True)
            ]
        width = 3 * (options.char_order + options.word_order) if isinstance(options, ChrfOptions) else 2
        return Statistics({"counts": np.array(rows, dtype=dtype).reshape(-1, width)})

    return reduce


def _kinds(statistics: Statistics, options: Any) -> Kinds:
    return additive(statistics.columns["counts"], options)


BLEU = Family("bleu", "texts", _bleu_statistics, _kinds, options=BleuOptions, signed=_signed, slow=True)
CHRF = Family("chrf", "texts", _statistics(np.int32), _kinds, options=ChrfOptions, signed=_signed, slow=True)
# The length of several references is their mean.
TER = Family("ter", "texts", _statistics(np.float64), _kinds, options=TerOptions, signed=_signed, slow=True)


def _divide(part: Array, whole: Array) -> Array:
    """The ratio, 0 where there is nothing to divide by."""
    ratio: Array = np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)
    return ratio


@metric(BLEU, scale="0 to 100")
def bleu(records: Sums) -> Array:
    """The geometric mean of n-gram precisions, times a penalty for texts that are shorter than their references.

    Source: Papineni et al., ACL 2002; Chen and Cherry, A Systematic Comparison of Smoothing Techniques for
    Sentence-Level BLEU, WMT 2014; sacrebleu 2.6, BLEU.compute_bleu.
    """
    options: BleuOptions = records.options
    order, method = options.max_ngram_order, options.smooth_method
    given = (SMOOTHING[method] or 0) if options.smooth_value is None else options.smooth_value
    length, reference = records.sums[:, 0], records.sums[:, 1]
    correct, total = records.sums[:, 2 : 2 + order].copy(), records.sums[:, 2 + order :].copy()
    some = correct.any(axis=1)
    if method == "add-k":
        correct[:, 1:] += given
        total[:, 1:] += given
    there = np.logical_and.accumulate(total > 0, axis=1)
    none = there & (correct == 0)
    if method == "exp":
        correct[none] = 0.5 ** none.cumsum(axis=1)[none]
    elif method == "floor":
        correct[none] = given
    precision = np.where(there, _divide(correct, total), 0)
    counted = there if options.effective_order else np.ones_like(there)
    logarithms = np.where(counted, np.log(precision, out=np.full(precision.shape, -np.inf), where=precision > 0), 0)
    mean = logarithms.sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    penalty = np.where(length < reference, np.exp(1 - reference / np.maximum(length, 1)), 1)
    return np.where(some, 100 * penalty * np.exp(mean), 0)


@metric(CHRF, scale="0 to 100")
def chrf(records: Sums) -> Array:
    """The F score of n-grams of characters, and of words in chrF++; recall weighs `beta` times as much as precision.

    Of the several references of a record, the one with the best F score counts.

    Source: Popović, chrF: character n-gram F-score for automatic MT evaluation, WMT 2015; Popović, chrF++: words
    helping character n-grams, WMT 2017; sacrebleu 2.6, CHRF._compute_f_score.
    """
    options: ChrfOptions = records.options
    counts = records.sums.reshape(len(records.sums), -1, 3)  # of the text, of the reference, in common
    text, reference, common = counts[..., 0], counts[..., 1], counts[..., 2]
    precision, recall = _divide(common, text), _divide(common, reference)
    if not options.eps_smoothing:
        there = (text > 0) & (reference > 0)
        orders = np.maximum(there.sum(axis=1), 1)
        precision, recall = ((each * there).sum(axis=1) / orders for each in (precision, recall))
    weight = options.beta**2
    scores = _divide((1 + weight) * precision * recall, weight * precision + recall)
    return 100 * (scores.mean(axis=1) if options.eps_smoothing else scores)


# The same with words, which the name sets (GROUPS).
METRICS["chrf++"] = replace(METRICS["chrf"], name="chrf++", title="chrf++")


@metric(TER, better="lower", scale="")
def ter(records: Sums) -> Array:
    """Edits, among them moves of words, per hundred words of the references; above 100 where texts are too long.

    Source: Snover et al., A Study of Translation Edit Rate with Targeted Human Annotation, AMTA 2006; sacrebleu 2.6,
    TER._compute_score_from_stats.
    """
    edits, length = records.sums.T
    return 100 * np.where(length > 0, _divide(edits, length), edits > 0)
