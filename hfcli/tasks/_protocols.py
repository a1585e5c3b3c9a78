"""From a document's token ids to windows: what a model reads at once, and which of it counts."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hfcli.errors import DataError, UsageError
from hfcli.tasks._windows import template

Protocol = Literal["stride", "disjoint", "full", "lm-eval", "hf-evaluate"]
Bos = Literal["auto", "yes", "no"]
Ids = NDArray[np.int32]
_NONE: Ids = np.zeros(0, dtype=np.int32)


class Window(NamedTuple):
    """What a model reads at once.

    Attributes:
        ids: Token ids, int32 `(tokens,)`. A causal model need not read the last one.
        first: The first token that is scored; in a causal model each is predicted from those before it.
        end: Behind the last one that is.
        at: Where the first one stands in the document, special tokens in front of it counted.
    """

    ids: Ids
    first: int
    end: int
    at: int

    @property
    def scored(self) -> Ids:
        """The ids that are scored."""
        return self.ids[self.first : self.end]


class Reading(NamedTuple):
    """How documents are read.

    Attributes:
        protocol: As below; None for masked models, which read windows side by side and see both sides of a token.
        length: Most tokens that the model reads at once.
        stride: Tokens from window to window; 0 where the protocol has none.
        prefix: Ids in front of a document (of masked models, of each window).
        suffix: Ids behind it.
        cut: Whether `hf-evaluate` cuts a longer text; else it is an error.
        split: Whether what looks like a special token in a text is read as its characters.
    """

    protocol: Protocol | None
    length: int
    stride: int = 0
    prefix: Ids = _NONE
    suffix: Ids = _NONE
    cut: bool = False
    split: bool = False


def around(tokenizer: Any, protocol: Protocol | None, bos: Bos) -> tuple[Ids, Ids]:
    """The special tokens in front of a document and behind it.

    Args:
        tokenizer: The model's tokenizer.
        protocol: How documents are read.
        bos: `auto` is what the tokenizer adds itself (and so the documentation's number), or with `lm-eval` and
            `hf-evaluate` what these put in front: the BOS token, `lm-eval` for want of one the EOS token. `yes` is one
            token in front, `no` is none.

    Raises:
        UsageError: There is no such token.
        ModelError: The tokenizer changes texts when it adds special tokens.
    """
    if protocol is None or (bos == "auto" and protocol not in ("lm-eval", "hf-evaluate")):
        own = template(tokenizer, 1)
        return own.ids[: own.sizes[0]], own.ids[own.sizes[0] :]
    if bos == "no":
        return _NONE, _NONE
    token = tokenizer.bos_token_id
    if token is None and protocol == "hf-evaluate":
        said = "hf-evaluate begins each text with a BOS token, which this model does not have"
        raise UsageError(said, "--bos no scores from the second token on")
    if token is None:
        token = tokenizer.eos_token_id
    if token is None:
        said = "--bos yes" if bos == "yes" else f"--protocol {protocol}"
        raise UsageError(f"{said}: this model has neither a BOS nor an EOS token to begin a text with", "--bos no")
    return np.array([token], dtype=np.int32), _NONE


def windows(ids: Ids, reading: Reading) -> Iterator[Window]:
    """The windows of a document, in order; each token is scored once at most. None where nothing can be scored.

    Args:
        ids: Its ids; those of `reading.prefix` and `reading.suffix` are there already, except for masked models.
        reading: How it is read.

    Raises:
        DataError: The text is too short or too long for `hf-evaluate`.
    """
    if reading.protocol is None:
        return _side_by_side(ids, reading)
    if reading.protocol == "lm-eval":
        return _rolling(ids, reading.length)
    if reading.protocol == "hf-evaluate":
        return _whole(ids, reading)
    if reading.protocol == "full":
        return _sliding(ids, reading.length + 1, 1)
    return _sliding(ids, reading.length, reading.stride)


def _sliding(ids: Ids, length: int, step: int) -> Iterator[Window]:
    """Windows that move on by `step`; what an earlier one has read is only context.

    The first token of a window has no context, and is not scored: with a step of the length, one in each window.

    Source: transformers 5.23, docs/source/en/perplexity.md.
    """
    done = 1
    for begin in range(0, len(ids), step):
        end = min(begin + length, len(ids))
        first = max(done - begin, 1)
        if first < end - begin:
            yield Window(ids[begin:end], first, end - begin, begin + first)
        done = end
        if end == len(ids):
            return


def _rolling(ids: Ids, length: int) -> Iterator[Window]:
    """Every window scores as many tokens as the model reads, from the last token of the one before on; the last window
    is as long, and so has more context.

    Source: lm-evaluation-harness 0.4.12, utils.get_rolling_token_windows(context_len=1) and make_disjoint_window. Texts
    are read without special tokens, as by default until its version 0.4.9.1 and ever after with add_bos_token=False.
    """
    done = 1
    while done < len(ids):
        end = min(done + length, len(ids))
        begin = max(end - length - 1, 0)
        yield Window(ids[begin:end], done - begin, end - begin, done)
        done = end


def _whole(ids: Ids, reading: Reading) -> Iterator[Window]:
    """A text for itself, cut where a length was given.

    Source: evaluate 0.4.6, measurements/perplexity.
    """
    need = 2 - len(reading.prefix)
    if len(ids) < 2:
        said = "has no token" if need == 1 else "has fewer than two tokens"
        raise DataError(f"the text {said}, and hf-evaluate has no score for it", "leave it out, or --protocol stride")
    if len(ids) > reading.length and not reading.cut:
        raise DataError(
            f"the text is {len(ids):,} tokens, the model takes {reading.length:,}, and hf-evaluate does not cut it",
            f"--max-length {reading.length} cuts it, --protocol stride does not",
        )
    kept = ids[: reading.length]
    yield Window(kept, 1, len(kept), 1)


def _side_by_side(ids: Ids, reading: Reading) -> Iterator[Window]:
    room = reading.length - len(reading.prefix) - len(reading.suffix)
    for begin in range(0, len(ids), room):
        part = ids[begin : begin + room]
        first = len(reading.prefix)
        yield Window(np.concatenate([reading.prefix, part, reading.suffix]), first, first + len(part), begin)
