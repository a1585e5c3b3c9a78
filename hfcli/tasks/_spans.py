"""Spans of a passage: where an answer stands among the tokens of a window, and the best spans that outputs point to."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_CELLS = 1 << 21  # of scores at once: 16 MB


class Place(NamedTuple):
    """Where a window's tokens stand in the passage.

    Attributes:
        total_tokens: Of question and passage in one row, special tokens included.
        cut_tokens: 0: windows drop nothing.
        null: Place in the row of the token that says "no answer".
        first: Place in the row of the window's first token of the passage.
        starts: First character in the passage of each of its tokens, int32 `(tokens,)`.
        ends: The character behind the last one.
    """

    total_tokens: int
    cut_tokens: int
    null: int
    first: int
    starts: np.ndarray
    ends: np.ndarray

    def find(self, start: int, end: int) -> tuple[int, int]:
        """The first and the last token in the row of the characters from `start` to `end`; the null token twice where
        the window does not hold all of them.

        Source: `prepare_train_features` of run_qa.py, transformers 4.57.
        """
        solid = self.ends > self.starts  # of tokens that stand for no character the places may go back
        there = np.flatnonzero(solid)
        starts, ends = self.starts[there], self.ends[there]
        if not len(there) or start < starts[0] or end > ends[-1]:
            return self.null, self.null
        first = int(np.searchsorted(starts, start, side="right")) - 1
        last = int(np.searchsorted(ends, end, side="left"))
        return self.first + int(there[first]), self.first + int(there[max(first, last)])


class Span(NamedTuple):
    """Characters of a passage, from `start` to before `end`, and the sum of the two logits that point there."""

    score: float
    start: int
    end: int


def best(text: str, places: Sequence[Place], outputs: Sequence[np.ndarray], longest: int, count: int) -> list[Span]:
    """The best spans of a passage over all of its windows, best first, none of them twice.

    Args:
        text: The passage. No span begins or ends with white space.
        places: Of every window.
        outputs: Logits of the start and of the end for every token of the window's row, float32 `(tokens, 2)`.
        longest: Most tokens of a span.
        count: How many spans to find.

    Returns:
        At most `count`, fewer only where the passage has no more.

    Source: Devlin et al., BERT, 2019, section 4.2: the sum of both logits, the end not before the start.
    """
    widest = max(len(place.starts) for place in places)
    longest = min(longest, widest)
    each = max(1, _CELLS // (widest * longest))
    found: list[np.ndarray] = []
    for start in range(0, len(places), each):
        some = slice(start, start + each)
        found.append(_candidates(places[some], outputs[some], widest, longest, count))
    scores, begins, ends = np.concatenate(found, axis=1)
    spans: dict[tuple[int, int], float] = {}
    for i in np.lexsort((ends, begins, -scores)):
        trimmed = _trimmed(text, int(begins[i]), int(ends[i]))
        if trimmed not in spans and trimmed[1] > trimmed[0]:
            spans[trimmed] = float(scores[i])
            if len(spans) == count:
                break
    return [Span(score, *where) for where, score in spans.items()]


def _candidates(
    places: Sequence[Place], outputs: Sequence[np.ndarray], widest: int, longest: int, count: int
) -> np.ndarray:
    """The best spans of each of some windows: scores, first and last characters, float64 `(3, spans)`."""
    logits = np.full((2, len(places), widest + longest), -np.inf)
    characters = np.zeros((2, len(places), widest), dtype=np.int64)
    for row, (place, output) in enumerate(zip(places, outputs, strict=True)):
        n = len(place.starts)
        masked = np.where((place.ends > place.starts)[:, None], output[place.first : place.first + n], -np.inf)
        logits[:, row, :n] = masked.T
        characters[:, row, :n] = place.starts, place.ends
    # [window, start, length - 1]: the end is the start plus so many tokens.
    lasts = np.lib.stride_tricks.sliding_window_view(logits[1], longest, axis=1)[:, :widest]
    scores = (logits[0, :, :widest, None] + lasts).reshape(len(places), -1)
    most = min(count, scores.shape[1])
    top = np.argpartition(-scores, most - 1, axis=1)[:, :most] if most < scores.shape[1] else np.arange(most)[None]
    top = np.broadcast_to(top, (len(places), most))
    rows = np.arange(len(places))[:, None]
    values = scores[rows, top]
    first, length = np.divmod(top, longest)
    last = np.minimum(first + length, widest - 1)
    valid = np.isfinite(values)
    found: np.ndarray = np.stack([values, characters[0][rows, first], characters[1][rows, last]])[:, valid]
    return found


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The same without white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
