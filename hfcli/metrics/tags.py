"""Metrics of tagged tokens: entities, right where their type and both borders are, and tokens; from 0 to 1."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hfcli.errors import DataError, UsageError, did_you_mean
from hfcli.metrics.base import Family, Statistics, Sums, additive, metric, objects
from hfcli.metrics.resampling import Array, Kinds

_ANY = "--metric entity_f1:scheme=conll reads tags of all schemes, badly formed ones too"
_TAG = re.compile(r"([BIESLU])(?:[-_](.*))?", re.DOTALL)
_ALIKE = str.maketrans("LlUu", "EeSs")  # BILOU's letters in those of BIOES


class _Scheme(NamedTuple):
    """What may stand before a type, and how the letters of an entity go on.

    A letter stands for each token; it is small where the type is not that of the token before, and so after O.
    """

    prefixes: str
    entity: re.Pattern[str]


_LENIENT = _Scheme("BIESLU", re.compile("[Ss]|[BbIi]I*E?|[Ee]"))
_SCHEMES = {
    "auto": _LENIENT,
    "conll": _LENIENT,
    # B is only for what touches another of its type. After a B that is wrong, I begins one, as in seqeval.
    "iob1": _Scheme("BI", re.compile("(?:i|B(?!b)|(?<=[Bb])I)I*")),
    "iob2": _Scheme("BI", re.compile("[Bb]I*")),
    "bioes": _Scheme("BIES", re.compile("[Ss]|[Bb]I*E")),
    "bilou": _Scheme("BILU", re.compile("[Ss]|[Bb]I*E")),
}


@dataclass(frozen=True)
class TagOptions:
    """How tags stand for entities.

    Attributes:
        scheme: auto and conll: any of IOB1, IOB2, BIOES and BILOU, also badly formed, and types without a prefix. Or
            iob1, iob2, bioes, bilou: that one only; what is badly formed is no entity.
    """

    scheme: str = "auto"

    def __post_init__(self) -> None:
        if self.scheme not in _SCHEMES:
            there = ", ".join(_SCHEMES)
            raise UsageError(f"no scheme {self.scheme} of tags; there is {there}", did_you_mean(self.scheme, _SCHEMES))


def chunks(tags: Sequence[str], scheme: str = "auto") -> list[tuple[str, int, int]]:
    """The entities of one sentence.

    Args:
        tags: Of its tokens: `O`, `B-PER`, `I-PER`, ... A prefix without a type, such as `B`, has the type `_`.
        scheme: As in `TagOptions`. With auto and conll an entity begins with B, S and U, with any tag after O or after
            one of another type, and after E, L, S and U; it goes on with I, E and L of its type. A tag without a
            prefix, such as `PER`, is read as `I-PER`.

    Returns:
        Type, first token and the token after the last of each, in their order.

    Raises:
        DataError: The scheme has no such tag.

    Source: Tjong Kim Sang and Buchholz, Introduction to the CoNLL-2000 Shared Task, 2000: conlleval, with its option -r
    for tags without a prefix; seqeval 1.2.2, get_entities, and for strict schemes scheme.Tokens. Lenient, neither of
    them knows L and U, which are E and S here, and conlleval does not know S.
    """
    chosen = _SCHEMES[scheme]
    letters: list[str] = []
    types: list[str] = []
    before = ""
    for tag in tags:
        if tag == "O":
            letter, type = "O", ""
        else:
            letter, type = _parsed(tag)
            if chosen is not _LENIENT and (not letter or letter not in chosen.prefixes):
                there = ", ".join(f"{prefix}-TYPE" for prefix in chosen.prefixes)
                raise DataError(f"{scheme} has no tag {tag!r}; there is O, {there}", _ANY)
            letter = letter or "I"
        letters.append(letter if type == before else letter.lower())
        types.append(type)
        before = type
    found = chosen.entity.finditer("".join(letters).translate(_ALIKE))
    return [(types[each.start()], each.start(), each.end()) for each in found]


@lru_cache(4096)
def _parsed(tag: str) -> tuple[str, str]:
    """Prefix and type; "" and the tag where it has no prefix."""
    match = _TAG.fullmatch(tag)
    return (match[1], match[2] or "_") if match else ("", tag)


class _Tokens(NamedTuple):
    """What is counted of tokens; tags are right as a whole, prefixes too.

    Attributes:
        tokens: All.
        right: Whose tag is right.
        found: Whose tag is right and not O.
        predicted: Whose predicted tag is not O.
        actual: Whose tag is not O.
    """

    tokens: Any
    right: Any
    found: Any
    predicted: Any
    actual: Any


def _of_tags(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]], options: TagOptions
) -> Statistics:
    """For each record the counts of `_Tokens`, and (type, right, predicted, actual) of the entities it has."""
    tokens, entities = [], []
    for at, (predicted, actual) in enumerate(zip(predictions, references, strict=True), 1):
        if len(predicted) != len(actual):
            counts = f"{len(predicted):,} predicted tags and {len(actual):,} right ones"
            raise DataError(f"record {at:,} has {counts}", "give a tag for every token, in both")
        try:
            entities.append(tuple(_compared(predicted, actual, options.scheme)))
        except DataError as error:
            raise DataError(f"record {at:,}: {error.message}", error.hint) from error
        pairs = list(zip(predicted, actual, strict=True))
        right = [tag for tag, other in pairs if tag == other]
        found, given, there = (sum(tag != "O" for tag in tags) for tags in (right, predicted, actual))
        tokens.append(_Tokens(len(pairs), len(right), found, given, there))
    counted = np.array(tokens, dtype=np.int64).reshape(-1, len(_Tokens._fields))
    return Statistics({"tokens": counted, "entities": objects(entities)})


def _compared(predicted: Sequence[str], actual: Sequence[str], scheme: str) -> Iterator[tuple[str, int, int, int]]:
    given, there = ({*chunks(tags, scheme)} for tags in (predicted, actual))
    counts = [Counter(type for type, _, _ in some) for some in (given & there, given, there)]
    for type in sorted(counts[1] | counts[2]):
        yield (type, counts[0][type], counts[1][type], counts[2][type])


def _table(statistics: Statistics) -> tuple[list[str], NDArray[np.int64]]:
    """The types, and how many of each are right, predicted and actual in each record: `(n, 3, types)`."""
    rows = statistics.columns["entities"]
    types = sorted({type for row in rows for type, *_ in row})
    codes = {type: code for code, type in enumerate(types)}
    table = np.zeros((len(rows), 3, len(types)), dtype=np.int64)
    for counts, row in zip(table, rows, strict=True):
        for type, *numbers in row:
            counts[:, codes[type]] = numbers
    return types, table


def _kinds(statistics: Statistics, options: TagOptions) -> Kinds:
    tokens, (_, table) = statistics.columns["tokens"], _table(statistics)
    return additive(np.hstack([tokens, table.reshape(len(tokens), 3 * table.shape[2])]), options)


def tags(predictions: NDArray[Any], references: NDArray[Any]) -> Kinds | None:
    """A list of tags a record, `(n,)` each (`objects` makes such arrays), or texts `(n, tokens)`; by scheme auto."""
    sides = [[*array] for array in (predictions, references)]
    if not all(isinstance(each, list | tuple | np.ndarray) for side in sides for each in side):
        return None
    if not all(isinstance(tag, str) for side in sides for each in side for tag in each):
        return None
    options = TagOptions()
    return _kinds(_of_tags(sides[0], sides[1], options), options)


def _right(statistics: Statistics) -> NDArray[np.bool_]:
    tokens = _Tokens(*statistics.columns["tokens"].T)
    right: NDArray[np.bool_] = tokens.right == tokens.tokens
    return right


TAGS = Family(
    "tags",
    "tags",
    _of_tags,
    _kinds,
    TagOptions,
    lambda options: ("scheme:conll" if _SCHEMES[options.scheme] is _LENIENT else f"scheme:{options.scheme}",),
    tags,
    _right,
    lambda statistics: entities(statistics),
)


def _tokens(sums: Sums) -> _Tokens:
    return _Tokens(*sums.sums[:, : len(_Tokens._fields)].T)


def _entities(sums: Sums) -> list[Array]:
    """Right, predicted and actual entities by type, `(resamples, types)` each."""
    return np.split(sums.sums[:, len(_Tokens._fields) :], 3, axis=1)


def _divide(part: NDArray[Any], whole: NDArray[Any], otherwise: float) -> Array:
    ratio: Array = np.divide(part, whole, out=np.full(part.shape, otherwise), where=whole > 0)
    return ratio


def _of_all(part: Array, whole: Array, either: Array) -> Array:
    """A ratio over all types together: 0 for 0/0, but NaN where there is nothing to measure."""
    return np.where(either.sum(axis=1) > 0, _divide(part.sum(axis=1), whole.sum(axis=1), 0.0), np.nan)


@metric(TAGS)
def entity_precision(sums: Sums) -> Array:
    """The share of the predicted entities that are right, 0 when none is predicted; NaN when none occurs either.

    Source: conlleval of CoNLL-2000 (there in percent, and 0 for NaN); seqeval 1.2.2, precision_score.
    """
    right, predicted, actual = _entities(sums)
    return _of_all(right, predicted, predicted + actual)


@metric(TAGS)
def entity_recall(sums: Sums) -> Array:
    """The share of the entities that are found, 0 when there is none to find; NaN when none is predicted either.

    Source: conlleval of CoNLL-2000 (there in percent, and 0 for NaN); seqeval 1.2.2, recall_score.
    """
    right, predicted, actual = _entities(sums)
    return _of_all(right, actual, predicted + actual)


@metric(TAGS)
def entity_f1(sums: Sums) -> Array:
    """F1 of the entities of all types together; NaN when none occurs or is predicted.

    Source: conlleval of CoNLL-2000 (there in percent, and 0 for NaN); seqeval 1.2.2, f1_score.
    """
    right, predicted, actual = _entities(sums)
    return _of_all(2 * right, predicted + actual, predicted + actual)


@metric(TAGS)
def entity_f1_macro(sums: Sums) -> Array:
    """The mean F1 of the types of entities that occur or are predicted, all alike; NaN when there is none.

    Source: seqeval 1.2.2, f1_score(average="macro").
    """
    right, predicted, actual = _entities(sums)
    either = predicted + actual
    return _divide(_divide(2 * right, either, 0.0).sum(axis=1), (either > 0).sum(axis=1), np.nan)


@metric(TAGS)
def token_accuracy(sums: Sums) -> Array:
    """The share of the tokens whose tag is right, over all records together; NaN when there are none.

    Source: conlleval of CoNLL-2000 (there in percent); seqeval 1.2.2, accuracy_score.
    """
    tokens = _tokens(sums)
    return _divide(tokens.right, tokens.tokens, np.nan)


@metric(TAGS)
def token_f1(sums: Sums) -> Array:
    """F1 of all tokens together whose tag is not O, whole tags compared; NaN when no tag is another.

    Source: scikit-learn 1.9, metrics.f1_score(labels=all but "O", average="micro") on the tags of all tokens.
    """
    tokens = _tokens(sums)
    return _divide(2 * tokens.found, tokens.predicted + tokens.actual, np.nan)


def entities(statistics: Statistics) -> list[dict[str, Any]]:
    """How well the entities of each type are found.

    Args:
        statistics: Of the family `TAGS`.

    Returns:
        For each type that occurs or is predicted, by name, `label`, `precision`, `recall` and `f1` (each 0 where it
        would be 0/0), and how many there are, `n`.

    Source: conlleval of CoNLL-2000; seqeval 1.2.2, classification_report.
    """
    types, table = _table(statistics)
    right, predicted, actual = table.sum(axis=0)
    fractions = [(right, predicted), (right, actual), (2 * right, predicted + actual)]
    rows = zip(types, *(_divide(part, whole, 0.0).tolist() for part, whole in fractions), actual.tolist(), strict=True)
    return [dict(zip(("label", "precision", "recall", "f1", "n"), row, strict=True)) for row in rows]
