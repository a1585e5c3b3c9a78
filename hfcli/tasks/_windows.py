"""Texts as token ids within a length: cut, or in overlapping windows, with the special tokens put around each.

A batch is tokenised once and untruncated, so that what is cut can be counted; everything after that is arithmetic on
one flat array. What comes out is what `tokenizer(text, text_pair, truncation=True, max_length=...)` gives, and with
windows what its `return_overflowing_tokens` gives (the last window is shorter).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np

from hfcli.errors import DataError, ModelError, UsageError
from hfcli.tasks.base import Settings, Setup

Inputs = dict[str, np.ndarray]
_PROBES = ("one two", "three")
# Tokenizers of transformers 5 give no token types to some models that were trained with them:
# https://github.com/huggingface/transformers/issues/48128
_TYPED = ("albert", "bert", "funnel", "nystromformer", "rembert", "roformer", "splinter", "xlnet", "yoso")


def has_types(setup: Setup) -> bool:
    """Whether the model takes `token_type_ids`."""
    return "token_type_ids" in setup.tokenizer.model_input_names or setup.config.model_type in _TYPED


def pads_left(tokenizer: Any, config: Any) -> bool:
    """Whether the model was trained on rows that end together. What tokenizers of decoders say is about generation."""
    return tokenizer.padding_side == "left" and config.model_type in ("xlnet", "transfo-xl")


class Window(NamedTuple):
    """What is known of a record that was encoded, the same for each of its windows.

    Attributes:
        cut_tokens: Tokens that were dropped; 0 with windows, which drop none.
        total_tokens: Tokens of the whole record, special tokens included.
    """

    cut_tokens: int
    total_tokens: int


class Windows(NamedTuple):
    """A record's model inputs, one for each window, and what is known of it."""

    inputs: list[Inputs]
    note: Window


@dataclass(frozen=True)
class Template:
    """The special tokens around one text, or around and between two.

    Attributes:
        ids: Before, (between,) behind: all in one int32 array of shape `(special,)`.
        types: Their token types, the same shape.
        sizes: How many stand before, (between,) behind, shape `(texts + 1,)`.
        text_types: Token type of each text, shape `(texts,)`.
    """

    ids: np.ndarray
    types: np.ndarray
    sizes: np.ndarray
    text_types: np.ndarray


def template(tokenizer: Any, texts: int) -> Template:
    """Learn from a tokenizer's own output what it puts around one or two texts.

    Raises:
        ModelError: It does not put tokens around texts, it changes them.
    """
    probes = _PROBES[:texts]
    lone = tokenise(tokenizer, list(probes))["input_ids"]
    whole = tokenise(tokenizer, *([probe] for probe in probes), add_special_tokens=True)
    ids = np.array(whole["input_ids"][0], dtype=np.int32)
    special = np.array(whole["special_tokens_mask"][0], dtype=bool)
    if not all(lone) or ids[~special].tolist() != [i for text in lone for i in text]:
        raise ModelError("the tokenizer changes a text's tokens when it adds special ones, so texts cannot be cut")
    types = np.array(whole["token_type_ids"][0], dtype=np.int32)
    places, lengths = np.flatnonzero(~special), [len(text) for text in lone]
    ends = np.cumsum(lengths)
    firsts, lasts = places[ends - lengths], places[ends - 1]
    sizes = np.append(firsts, len(ids)) - np.append(-1, lasts) - 1
    return Template(ids[special], types[special], sizes, types[firsts])


def tokenise(tokenizer: Any, *texts: list[str], add_special_tokens: bool = False, offsets: bool = False) -> Any:
    """Token ids of texts or pairs, whole; what looks like a special token in a text stays text.

    Args:
        tokenizer: A tokenizer.
        texts: Texts, or the first and the second ones of pairs.
        add_special_tokens: Whether to put special tokens around them; then `special_tokens_mask` and `token_type_ids`
            come too.
        offsets: Whether `offset_mapping` comes, the characters that each token stands for.
    """
    return tokenizer(
        *texts,
        add_special_tokens=add_special_tokens,
        split_special_tokens=True,
        return_special_tokens_mask=add_special_tokens,
        return_token_type_ids=add_special_tokens,
        return_attention_mask=False,
        return_offsets_mapping=offsets,
        verbose=False,  # no warning about long texts: cutting them is what follows
    )


def encode(
    tokenizer: Any, texts: Sequence[tuple[str, ...]], settings: Settings, max_tokens: int, *, types: bool
) -> list[Windows | DataError]:
    """Records as model inputs.

    Args:
        tokenizer: Called once for all texts, and on a few words.
        texts: What each record says: one text or, in all of them, two.
        settings: `max_length`, `on_long` and `doc_stride` are read.
        max_tokens: What the model takes.
        types: Whether it takes `token_type_ids`.

    Returns:
        For each record its windows, or what is wrong with it.

    Raises:
        UsageError: The settings leave no room for text.
        ModelError: The tokenizer is none that texts can be cut with.
    """
    around = template(tokenizer, len(texts[0]))
    limit = min(settings.max_length, max_tokens)
    room = limit - len(around.ids)
    _check_room(settings, limit, room)
    ids = tokenise(tokenizer, [text for column in zip(*texts, strict=True) for text in column])["input_ids"]
    lengths = np.array([len(text) for text in ids], dtype=np.int64).reshape(-1, len(texts))
    cuts = _windows(lengths, room, settings) if settings.on_long == "window" else _truncated(lengths, room, tokenizer)
    flat, offsets = _gather(around, ids, lengths, cuts)
    if not types:
        del flat["token_type_ids"]
    ends = np.cumsum(cuts.counts)
    totals = lengths.sum(axis=0) + len(around.ids)
    dropped = totals - np.diff(offsets)[ends - 1] if settings.on_long == "truncate" else np.zeros_like(totals)
    results: list[Windows | DataError] = []
    for i, (last, count, cut, total) in enumerate(
        zip(*(column.tolist() for column in (ends, cuts.counts, dropped, totals)), strict=True)
    ):
        bounds = offsets[last - count : last + 1].tolist()
        inputs = [{name: row[a:b] for name, row in flat.items()} for a, b in pairwise(bounds)]
        results.append(_wrong(lengths[:, i], total, room, limit, settings) or Windows(inputs, Window(cut, total)))
    return results


def _check_room(settings: Settings, limit: int, room: int) -> None:
    if room < 1:
        raise UsageError(
            f"{limit} tokens at once leave no room for text beside {limit - room} special ones",
            f"--max-length {limit - room + 8} at least",
        )
    if settings.on_long == "window" and settings.doc_stride >= room:
        raise UsageError(
            f"--doc-stride {settings.doc_stride} is not below the {room} tokens of text that a window of {limit} holds",
            f"--doc-stride {room // 4}",
        )


def _wrong(lengths: np.ndarray, total: int, room: int, limit: int, settings: Settings) -> DataError | None:
    if not total:
        return DataError("the text is empty, and this tokenizer adds nothing to it")
    if total <= limit or settings.on_long == "truncate":
        return None
    if settings.on_long == "error":
        return DataError(
            f"the text is {total:,} tokens, --max-length takes {limit:,}", "--on-long truncate, or --on-long window"
        )
    if len(lengths) > 1 and lengths.min() >= room:
        return DataError(
            f"texts of {lengths[0]:,} and {lengths[1]:,} tokens: the shorter one leaves no room for windows of the "
            f"other in --max-length {limit:,}",
            "--on-long truncate",
        )
    return None


class _Cuts(NamedTuple):
    """Which part of each text stands in each row of model inputs.

    Attributes:
        records: The record of each row, shape `(rows,)`.
        counts: Rows of each record, shape `(records,)`.
        starts: First token that is kept, shape `(texts, rows)`.
        sizes: How many are, the same shape.
    """

    records: np.ndarray
    counts: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray


def _longer(lengths: np.ndarray) -> np.ndarray:
    """Which text of a record is the longest, of equal ones the last: bool of shape `(texts, records)`."""
    texts = len(lengths)
    longer: np.ndarray = np.arange(texts)[:, None] == texts - 1 - lengths[::-1].argmax(axis=0)
    return longer


def _truncated(lengths: np.ndarray, room: int, tokenizer: Any) -> _Cuts:
    """One row a record; of a pair the longer text is cut first, then both alike.

    Source: `truncate_encodings` of tokenizers 0.23, `TruncationStrategy::LongestFirst`.
    """
    longest = lengths.max(axis=0)
    other = np.minimum(lengths.sum(axis=0) - longest, room // 2)
    sizes = np.where(_longer(lengths), np.minimum(longest, room - other), other)
    starts = lengths - sizes if tokenizer.truncation_side == "left" else np.zeros_like(sizes)
    records = np.arange(lengths.shape[1])
    return _Cuts(records, np.ones_like(records), starts, sizes)


def _windows(lengths: np.ndarray, room: int, settings: Settings) -> _Cuts:
    """Rows that overlap by `doc_stride` tokens, the last one shorter; of a pair the longer text moves, the other stays.

    Where the other text leaves less room than the overlap, windows overlap by half of it.

    Source: `Encoding::truncate` of tokenizers 0.23.
    """
    longest = lengths.max(axis=0)
    space = np.maximum(room - (lengths.sum(axis=0) - longest), 0)
    step = np.where(space > settings.doc_stride, space - settings.doc_stride, (space + 1) // 2)
    more = -(-(longest - space) // np.maximum(step, 1))
    counts = np.where((longest > space) & (space > 0), more + 1, 1)
    records = np.repeat(np.arange(len(counts)), counts)
    numbers = np.arange(len(records)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = numbers * step[records]
    longer = _longer(lengths)[:, records]
    sizes = np.where(longer, np.minimum(longest[records] - start, space[records]), lengths[:, records])
    return _Cuts(records, counts, np.where(longer, start, 0), sizes)


def _gather(around: Template, ids: list[list[int]], lengths: np.ndarray, cuts: _Cuts) -> tuple[Inputs, np.ndarray]:
    """All rows one after the other, special tokens in place, and where each begins: shape `(rows + 1,)`."""
    source = np.concatenate([around.ids, np.fromiter(chain.from_iterable(ids), np.int32, int(lengths.sum()))])
    types = np.concatenate([around.types, np.repeat(around.text_types, lengths.sum(axis=1))])
    begins = (np.cumsum(lengths) - lengths.ravel()).reshape(lengths.shape) + len(around.ids)
    # A row is pieces of the source: special tokens, a text, special tokens ...
    pieces = 2 * len(lengths) + 1
    first, size = np.empty((2, pieces, len(cuts.records)), dtype=np.int64)
    first[0::2], size[0::2] = (np.cumsum(around.sizes) - around.sizes)[:, None], around.sizes[:, None]
    first[1::2], size[1::2] = begins[:, cuts.records] + cuts.starts, cuts.sizes
    firsts, sizes = first.T.ravel(), size.T.ravel()
    ends = np.cumsum(sizes)
    index = np.repeat(firsts - (ends - sizes), sizes) + np.arange(ends[-1])
    offsets = np.concatenate([[0], ends[pieces - 1 :: pieces]])
    return {"input_ids": source[index], "token_type_ids": types[index].astype(np.int32)}, offsets
