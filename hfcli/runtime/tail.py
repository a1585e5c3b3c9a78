"""A language model in two parts, its body and what makes logits of it, so that those of a window never exist at once.

What is behind the body is not always one matrix: Gemma 2 caps its logits, Granite and Cohere scale them, BERT has a
layer in between. The model's own code is used, with a body that gives what it is told to.
"""

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from transformers.utils import ModelOutput

from hfcli.errors import ModelError
from hfcli.runtime.loading import Loaded
from hfcli.runtime.spreading import is_spread

# Of GPT-2's vocabulary of 50,257 on two cores, 2,048 tokens took 1.3 s in parts of 128 tokens (25 MB), no less in
# larger ones, 1.7 s in parts of 64, and 2.3 s in torch's linear_cross_entropy; in bfloat16 0.55, 0.7 and 0.65 s.
_LOGIT_BYTES = {"cpu": 1 << 25, "cuda": 1 << 28, "mps": 1 << 26}
_PLAIN_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31, "mps": 1 << 29}
_PROBE_TOKENS = 12
_LOUD = 30.0  # times as large, hidden states make logits that a cap would cut

ODD = (RuntimeError, ValueError, TypeError, IndexError, AttributeError, KeyError)
"""What a model raises that is amiss."""

Way = Literal["linear", "tail", "plain"]


class Parts:
    """A model taken apart, and found to give what it gives as a whole.

    Args:
        loaded: A causal or a masked model.
        causal: Whether it is to predict tokens that it must not see.

    Attributes:
        way: How hidden states become logits: `linear` (one matrix), `tail` (the model's own code behind its body) or
            `plain` (the whole model, where nothing else gives the same, or it is spread over devices).
        plain_tokens: Tokens of which all logits may exist at once, where nothing else is to be had.
        spread: How much the costs of the tokens of some text without sense differ, their standard deviation in nats.

    Raises:
        ModelError: It sees the tokens that it is to predict.
    """

    def __init__(self, loaded: Loaded, causal: bool) -> None:
        self._model, self._device = loaded.model, loaded.placement.device
        self._exact = loaded.placement.dtype == torch.float32
        length = min(_PROBE_TOKENS, loaded.max_tokens)
        limit = min(loaded.vocabulary, 1 << 20)
        ids = torch.from_numpy((np.arange(length, dtype=np.int64) * 7 + 1) % limit)[None].to(self._device)
        logits = self._logits({"input_ids": ids})
        self.plain_tokens = max(1, _PLAIN_BYTES[self._device.type] // (4 * logits.shape[-1]))
        self._part = max(1, _LOGIT_BYTES[self._device.type] // (4 * logits.shape[-1]))
        costs = F.cross_entropy(logits[0, :-1].float(), ids[0, 1:], reduction="none")
        self.spread = float(costs.std()) if length > 2 else 0.0
        if causal:
            self._check_causal(loaded, ids, logits)
        self.way: Way = "plain"
        if is_spread(self._model):  # its parts are moved about as they are called, from outside
            return
        base = self._model.base_model
        for body in (base, getattr(base, "decoder", None)):  # OPT's head is put on the decoder in its body
            if self.way != "plain" or body is None or body is self._model:
                continue
            with contextlib.suppress(*ODD):  # remote code may be written in any way
                self._body = body
                self.way = self._found({"input_ids": ids}, logits[0])

    def nll(self, inputs: dict[str, torch.Tensor], places: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Minus the log-likelihood of tokens, in nats, computed in float32: `(scored,)`.

        Args:
            inputs: What the model reads, each `(rows, tokens)`.
            places: Where logits are taken, counted through all rows: `(scored,)`.
            targets: The tokens whose likelihood is meant, `(scored,)`.
        """
        whole = self.way == "plain"
        hidden = self._logits(inputs) if whole else self._hidden(inputs)[0]
        chosen = hidden.flatten(0, 1)[places]
        costs = [
            F.cross_entropy((part if whole else self._finish(part)).float(), target, reduction="none")
            for part, target in zip(chosen.split(self._part), targets.split(self._part), strict=True)
        ]
        return torch.cat(costs)

    def _found(self, inputs: dict[str, torch.Tensor], logits: torch.Tensor) -> Way:
        hidden, self._shape = self._hidden(inputs)
        if hidden.shape[:2] != inputs["input_ids"].shape or not self._near(self._tail(hidden[0]), logits):
            return "plain"
        self._last = self._model.get_output_embeddings()
        if isinstance(self._last, torch.nn.Linear):
            with contextlib.suppress(RuntimeError):  # of another size, or in another format
                # A single matrix has the same digits, whatever the format, and however large what goes in.
                pairs = [(self._last(states), self._tail(states)) for states in (hidden[0], hidden[0] * _LOUD)]
                return "linear" if all(_apart(a, b) <= 1e-6 for a, b in pairs) else "tail"
        return "tail"

    def _hidden(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, Any]:
        """The body's last hidden states, `(rows, tokens, hidden)`, and all that it returns."""
        found = self._body(**inputs, **_without_cache(self._body))
        return found[0], found

    def _finish(self, hidden: torch.Tensor) -> torch.Tensor:
        return self._last(hidden) if self.way == "linear" else self._tail(hidden)

    def _tail(self, hidden: torch.Tensor) -> torch.Tensor:
        """The model's logits of `(tokens, hidden)`, by its own code."""
        first = next(iter(self._shape)) if isinstance(self._shape, ModelOutput) else None
        if first is None:
            given = (hidden[None], *self._shape[1:])
        else:
            given = type(self._shape)(**{**self._shape, first: hidden[None]})
        ids = torch.zeros(1, len(hidden), dtype=torch.long, device=self._device)
        with _instead(self._body, given):
            return self._logits({"input_ids": ids})[0]

    def _logits(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return self._model(**inputs, **_without_cache(self._model)).logits

    def _near(self, ours: torch.Tensor, theirs: torch.Tensor) -> bool:
        return ours.shape == theirs.shape and _apart(ours, theirs) <= (1e-5 if self._exact else 3e-2)

    def _check_causal(self, loaded: Loaded, ids: torch.Tensor, logits: torch.Tensor) -> None:
        """Whether what stands behind a token changes what it is followed by."""
        half = ids.shape[1] // 2
        other = ids.clone()
        other[:, half:] = other[:, half:].flip(1).roll(1, 1)
        if not self._near(self._logits({"input_ids": other})[:, :half], logits[:, :half]):
            raise ModelError(
                f"{loaded.location.name} looks at the tokens that it is to predict, so its perplexity means nothing",
                "a causal model, such as a GPT, a Llama or a Qwen",
            )


@contextlib.contextmanager
def _instead(body: Any, given: Any) -> Iterator[None]:
    """A body that returns what is given."""
    own = body.__dict__.get("forward")
    body.forward = lambda *args, **kwargs: given
    try:
        yield
    finally:
        del body.forward
        if own is not None:
            body.forward = own


def _without_cache(module: Any) -> dict[str, bool]:
    return {"use_cache": False} if "use_cache" in inspect.signature(module.forward).parameters else {}


def _apart(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference, by the size of the second."""
    difference = (a.float() - b.float()).abs().max() / b.float().abs().max().clamp(min=1e-6)
    return float(difference)
