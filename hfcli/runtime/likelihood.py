"""How likely tokens are to a model: windows in batches by length, memory and what the model keeps apart."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from hfcli.errors import DeviceError, ModelError
from hfcli.events import Note, Tell
from hfcli.runtime import environment
from hfcli.runtime.batching import MAX_ROWS, Together, by_tokens, logit_tokens
from hfcli.runtime.dealing import Dealt, Part
from hfcli.runtime.loading import Loaded
from hfcli.runtime.padding import pad, pad_id
from hfcli.runtime.tail import ODD, Parts
from hfcli.tasks._likelihood import MASKED
from hfcli.tasks._protocols import Window
from hfcli.tasks.base import Feature

OPERATIONS_A_SECOND = {"cpu": 1e11, "cuda": 1e14, "mps": 2e12}  # roughly, in bfloat16
# On a CPU 1,024 tokens cost least, of GPT-2 (435 tokens/s a core, with 4,096 356) as of a model of 0.3 M parameters.
_BATCH_TOKENS = {"cpu": 1024, "cuda": 128 * 1024, "mps": 4096}

Tick = Callable[[int], None]
"""Told under way: tokens that were scored since the last time."""


class Row(NamedTuple):
    """A row of a batch: a window, and in masked models the token that is hidden in it."""

    window: int
    hidden: int | None


class Scorer:
    """Scores tokens.

    Args:
        loaded: A causal or a masked model.
        length: Most tokens of a window.
        tell: Gets notes.

    Attributes:
        parts: The model, taken apart.
        budget: Tokens of a batch.

    Raises:
        ModelError: A causal model looks at the tokens that it is to predict, a masked one has no mask token, or it
            cannot run.
    """

    def __init__(self, loaded: Loaded, length: int, tell: Tell) -> None:
        self._loaded, self._tell = loaded, tell
        self._device = loaded.placement.device
        self._masked = loaded.task is MASKED
        if self._masked and loaded.tokenizer.mask_token_id is None:
            raise ModelError(f"{loaded.location.name} has no mask token, so nothing can be hidden from it")
        self.budget = min(logit_tokens(loaded, length), _BATCH_TOKENS[self._device.type])
        self._model = _take_apart(loaded)
        self.parts = self._model.parts
        self._remote = loaded.remote.derive(_take_apart, self._model) if loaded.remote else None
        self._together = self._tried()
        if self._together != "any":
            tell(Note(f"this kind of model mixes up the texts of a batch; {self._together} is right, and slower"))

    def nll(self, windows: Sequence[Window], tick: Tick = lambda tokens: None) -> list[np.ndarray]:
        """Minus the log-likelihood in nats of the scored tokens of each window, float32 `(scored,)`.

        Raises:
            DeviceError: Memory does not hold a window.
            ModelError: The tokenizer gives ids that the model does not have, or the model cannot run.
        """
        found = [np.zeros(window.end - window.first, dtype=np.float32) for window in windows]
        highest = max((int(window.ids.max()) for window in windows), default=0)
        if highest >= self._loaded.vocabulary:
            raise ModelError(
                f"the tokenizer gives token id {highest:,}, and the model has {self._loaded.vocabulary:,}",
                "copy or fetch model and tokenizer again, both from the same place",
            )
        rows = list(self._rows(windows))
        lengths = [len(windows[row.window].ids) for row in rows]
        budget = min(self.budget, self.parts.plain_tokens) if self.parts.way == "plain" else self.budget

        batches = by_tokens(lengths, budget, MAX_ROWS[self._device.type], self._together)
        parts = [Part(batch, [(windows[rows[i].window], rows[i].hidden) for i in batch]) for batch in batches]
        dealt = Dealt(self._model, _score, parts, None, self._remote)
        for part, done, _ in dealt.results():
            for i, value in done.outputs.items():
                row = rows[i]
                if row.hidden is None:
                    found[row.window][:] = value
                else:
                    found[row.window][row.hidden - windows[row.window].first] = value[0]
            for _, left in done.halved:
                self.budget = min(self.budget, left * lengths[part.places[0]])
                self._tell(Note("out of memory; batches are smaller from here on"))
            for i in done.too_large:
                said = f"out of memory at a window of {lengths[i]:,} tokens"
                raise DeviceError(said, "a smaller --max-length, or --dtype bfloat16")
            tick(sum(map(len, done.outputs.values())))
        return found

    def _rows(self, windows: Sequence[Window]) -> Iterator[Row]:
        for w, window in enumerate(windows):
            if not self._masked:
                yield Row(w, None)
                continue
            # Source: Salazar et al., Masked Language Model Scoring, ACL 2020.
            for at in range(window.first, window.end):
                yield Row(w, at)

    def _tried(self) -> Together:
        """Which rows the model keeps apart in a batch, tried on a few tokens."""
        limit = min(self._loaded.vocabulary, 1 << 20)
        lengths = [min(size, self._loaded.max_tokens) for size in (8, 8, 20)]
        all_ids = [(np.arange(size) * 7 + i + 1).astype(np.int32) % limit for i, size in enumerate(lengths)]
        short, other, long = (Window(ids, 1, len(ids), 0) for ids in all_ids)
        # Of masked models a middle token, which sees both sides.
        at = len(short.ids) // 2 if self._masked else None

        def costs(*windows: Window) -> np.ndarray:
            return _score(self._model, [(window, at) for window in windows], None, lambda tokens: None)[0]

        alone = costs(short)
        spread = self.parts.spread
        full = self._loaded.placement.dtype == torch.float32
        tolerance = 1e-3 * spread + 1e-5 if full else 0.3 * spread + 0.02

        def same(with_: Window) -> bool:
            return bool(np.abs(costs(short, with_) - alone).max() <= tolerance)

        return "alone" if not same(other) else "any" if same(long) else "equal lengths"


class _Apart(NamedTuple):
    """A model, and it taken apart."""

    loaded: Loaded
    parts: Parts


def _take_apart(loaded: Loaded) -> _Apart:
    with _explained(loaded), torch.inference_mode():
        return _Apart(loaded, Parts(loaded, causal=loaded.task != MASKED))


def _score(
    model: _Apart, items: Sequence[tuple[Window, int | None]], common: None, tick: Callable[[int], None]
) -> list[np.ndarray]:
    """What the scored tokens of each window cost, float32; of one with a hidden token, what that costs."""
    loaded = model.loaded
    with torch.inference_mode(), _explained(loaded):
        inputs, places, targets = (_hidden if loaded.task == MASKED else _shifted)(loaded, items)
        device = loaded.placement.device
        index = torch.from_numpy(np.concatenate(places)).to(device)
        wanted = torch.from_numpy(np.concatenate(targets).astype(np.int64)).to(device)
        values = model.parts.nll(inputs, index, wanted).cpu().numpy()
    return np.split(values, np.cumsum([len(part) for part in places])[:-1])


def _shifted(
    loaded: Loaded, items: Sequence[tuple[Window, int | None]]
) -> tuple[dict[str, torch.Tensor], list[np.ndarray], list[np.ndarray]]:
    """Causal: padded on the right without a mask, for no token sees what is behind it."""
    windows = [window for window, _ in items]
    width = max(len(window.ids) for window in windows) - 1
    ids = np.full((len(items), width), pad_id(loaded.tokenizer, loaded.vocabulary), dtype=np.int64)
    for line, window in zip(ids, windows, strict=True):
        line[: len(window.ids) - 1] = window.ids[:-1]
    places = [i * width + np.arange(window.first - 1, window.end - 1) for i, window in enumerate(windows)]
    inputs = {"input_ids": torch.from_numpy(ids).to(loaded.placement.device)}
    return inputs, places, [window.scored for window in windows]


def _hidden(
    loaded: Loaded, items: Sequence[tuple[Window, int | None]]
) -> tuple[dict[str, torch.Tensor], list[np.ndarray], list[np.ndarray]]:
    """Masked: each row has one token hidden."""
    features, places, targets = [], [], []
    width = max(len(window.ids) for window, _ in items)
    for i, (window, at) in enumerate(items):
        assert at is not None
        ids = window.ids.copy()
        targets.append(ids[at : at + 1].copy())
        ids[at] = loaded.tokenizer.mask_token_id
        features.append(Feature({"input_ids": ids}, {}))
        places.append(np.array([i * width + at]))
    inputs = pad(features, loaded.tokenizer, loaded.vocabulary, "right", loaded.placement.device)
    if all(len(window.ids) == width for window, _ in items):
        del inputs["attention_mask"]  # kernels are faster without
    return inputs, places, targets


@contextlib.contextmanager
def _explained(loaded: Loaded) -> Iterator[None]:
    """What a config holds, and what a kernel lacks, is only seen when a model runs; that is about the model."""
    try:
        yield
    except ODD as error:
        if isinstance(error, RuntimeError) and environment.out_of_memory(error):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        half = loaded.placement.dtype_name != "float32"
        raise ModelError(
            f"{loaded.location.name} cannot score text in {loaded.placement.dtype_name}: {reason}",
            "--dtype float32" if half else "its config.json may hold what makes no sense; fetch it again",
        ) from error


def tokens_a_second(loaded: Loaded) -> float:
    """How many tokens the model may read in a second, roughly."""
    weights = sum(parameter.numel() for parameter in loaded.model.parameters())
    return OPERATIONS_A_SECOND[loaded.placement.device.type] / (2 * max(weights, 1))
