"""Passages as token ids with the characters they stand for, each tokenised once for all questions about it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np

from hfcli.errors import ModelError
from hfcli.tasks._windows import tokenise

_PIECE_CHARACTERS = 1 << 16
_LOOK_BACK = 1 << 10
_GROUP_CHARACTERS = 1 << 20
_KEPT_CHARACTERS = 1 << 23


class Passage(NamedTuple):
    """A passage's tokens.

    Attributes:
        ids: int32 `(tokens,)`.
        starts: The first character of each, int32 `(tokens,)`; characters count as in a Python string.
        ends: The character behind the last one, the same. Equal to the start for a token that stands for none.
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


class Passages:
    """Tokenises passages, and remembers the last ones.

    Args:
        tokenizer: One that knows which characters a token stands for.

    Raises:
        ModelError: It does not.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not tokenizer.is_fast:
            raise ModelError(
                "the tokenizer does not say where a token stands in the text, so no answer can be found there",
                "a model with a tokenizer.json",
            )
        self._tokenizer = tokenizer
        self._known: dict[str, Passage] = {}
        self._separable: bool | None = None

    def get(self, texts: Iterable[str]) -> list[Passage]:
        """The tokens of each text; those not seen before in one call of the tokenizer, which then uses every core."""
        asked = list(texts)
        new = [text for text in dict.fromkeys(asked) if text not in self._known]
        if new:
            self._known.update(zip(new, self._tokenised(new), strict=True))
        found = [self._known[text] for text in asked]
        self._forget(set(asked))
        return found

    def _forget(self, used: set[str]) -> None:
        """Keep those of this call, and of the others the latest that fit."""
        kept = [text for text in self._known if text in used]
        room = _KEPT_CHARACTERS - sum(map(len, kept))
        for text in reversed([text for text in self._known if text not in used]):
            room -= len(text)
            if room < 0:
                break
            kept.insert(0, text)
        self._known = {text: self._known[text] for text in kept}

    def _tokenised(self, texts: Sequence[str]) -> list[Passage]:
        """Some pieces at a time: what a tokenizer returns is Python objects, 200 bytes a token."""
        pieces = [self._pieces(text) for text in texts]
        arrays: Iterator[tuple[np.ndarray, np.ndarray]] = chain.from_iterable(
            self._arrays(group) for group in _groups([piece for some in pieces for piece in some])
        )
        return [self._joined(some, arrays) for some in pieces]

    def _arrays(self, pieces: list[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each piece the ids, and first and last characters, `(tokens, 2)`."""
        found = tokenise(self._tokenizer, pieces, offsets=True)
        return [
            (np.array(ids, dtype=np.int32), np.array(offsets, dtype=np.int32).reshape(-1, 2))
            for ids, offsets in zip(found["input_ids"], found["offset_mapping"], strict=True)
        ]

    def _joined(self, pieces: list[str], arrays: Iterator[tuple[np.ndarray, np.ndarray]]) -> Passage:
        numbers, places, at = [], [], 0
        for piece in pieces:
            ids, offsets = next(arrays)
            numbers.append(ids)
            places.append(offsets + np.int32(at))
            at += len(piece)
        both = np.concatenate(places)
        return Passage(np.concatenate(numbers), both[:, 0].copy(), both[:, 1].copy())

    def _pieces(self, text: str) -> list[str]:
        """A long text in pieces that begin with the space before a word, which counts to that word's first token.

        Pieces are tokenised in parallel, and some at a time.
        """
        if len(text) <= _PIECE_CHARACTERS or not self._may_cut():
            return [text]
        cuts = [0]
        while len(text) - cuts[-1] > _PIECE_CHARACTERS:
            end = cuts[-1] + _PIECE_CHARACTERS
            space = text.rfind(" ", end - _LOOK_BACK, end)
            while space > 0 and not (text[space - 1].isalnum() and text[space + 1].isalnum()):
                space = text.rfind(" ", end - _LOOK_BACK, space)
            if space < 0:  # no language that has words
                break
            cuts.append(space)
        return [text[start:end] for start, end in pairwise([*cuts, len(text)])]

    def _may_cut(self) -> bool:
        """Whether words in pieces have the tokens that they have together."""
        if self._separable is None:
            parts = ["One two, three", " four 5th six", " seven"]
            *apart, whole = tokenise(self._tokenizer, [*parts, "".join(parts)])["input_ids"]
            self._separable = [number for part in apart for number in part] == whole
        return self._separable


def _groups(pieces: Sequence[str]) -> Iterator[list[str]]:
    """Pieces of about so many characters together."""
    group: list[str] = []
    characters = 0
    for piece in pieces:
        group.append(piece)
        characters += len(piece)
        if characters >= _GROUP_CHARACTERS:
            yield group
            group, characters = [], 0
    if group:
        yield group
