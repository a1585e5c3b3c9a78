"""How likely tokens are to a model: windows in batches by length, memory and what the model keeps apart."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from hfcli.errors import DeviceError, ModelError
from hfcli.events import Note, Tell
from hfcli.runtime import environment
from hfcli.runtime.batching import MAX_ROWS, Together, by_tokens, logit_tokens
from hfcli.runtime.chunking import in_halves
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
        with self._explained(), torch.inference_mode():
            self.parts = Parts(loaded, causal=not self._masked)
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

        def work(part: list[int]) -> None:
            chosen = [rows[i] for i in part]
            with torch.inference_mode(), self._explained():
                values = self._run(chosen, windows)
            for row, value in zip(chosen, values, strict=True):
                if row.hidden is None:
                    found[row.window][:] = value
                else:
                    found[row.window][row.hidden - windows[row.window].first] = value[0]
            tick(sum(map(len, values)))

        for batch in by_tokens(lengths, budget, MAX_ROWS[self._device.type], self._together):

            def halved(count: int, left: int, width: int = lengths[batch[0]]) -> None:
                self.budget = min(self.budget, left * width)
                self._tell(Note("out of memory; batches are smaller from here on"))

            for i in in_halves(batch, work, halved):
                said = f"out of memory at a window of {lengths[i]:,} tokens"
                raise DeviceError(said, "a smaller --max-length, or --dtype bfloat16")
        return found

    def _rows(self, windows: Sequence[Window]) -> Iterator[Row]:
        for w, window in enumerate(windows):
            if not self._masked:
                yield Row(w, None)
                continue
            # Source: Salazar et al., Masked Language Model Scoring, ACL 2020.
            for at in range(window.first, window.end):
                yield Row(w, at)

    def _run(self, rows: Sequence[Row], windows: Sequence[Window]) -> list[np.ndarray]:
        """What the scored tokens of each row cost, float32."""
        inputs, places, targets = (self._hidden if self._masked else self._shifted)(rows, windows)
        index = torch.from_numpy(np.concatenate(places)).to(self._device)
        wanted = torch.from_numpy(np.concatenate(targets).astype(np.int64)).to(self._device)
        values = self.parts.nll(inputs, index, wanted).cpu().numpy()
        return np.split(values, np.cumsum([len(part) for part in places])[:-1])

    def _shifted(self, rows: Sequence[Row], windows: Sequence[Window]) -> tuple[Any, list[Any], list[Any]]:
        """Causal: padded on the right without a mask, for no token sees what is behind it."""
        chosen = [windows[row.window] for row in rows]
        width = max(len(window.ids) for window in chosen) - 1
        ids = np.full((len(rows), width), pad_id(self._loaded.tokenizer, self._loaded.vocabulary), dtype=np.int64)
        for line, window in zip(ids, chosen, strict=True):
            line[: len(window.ids) - 1] = window.ids[:-1]
        places = [i * width + np.arange(window.first - 1, window.end - 1) for i, window in enumerate(chosen)]
        return {"input_ids": torch.from_numpy(ids).to(self._device)}, places, [window.scored for window in chosen]

    def _hidden(self, rows: Sequence[Row], windows: Sequence[Window]) -> tuple[Any, list[Any], list[Any]]:
        """Masked: each row has one token hidden."""
        loaded, features, places, targets = self._loaded, [], [], []
        width = max(len(windows[row.window].ids) for row in rows)
        for i, (w, at) in enumerate(rows):
            assert at is not None
            ids = windows[w].ids.copy()
            targets.append(ids[at : at + 1].copy())
            ids[at] = loaded.tokenizer.mask_token_id
            features.append(Feature({"input_ids": ids}, {}))
            places.append(np.array([i * width + at]))
        inputs = pad(features, loaded.tokenizer, loaded.vocabulary, "right", self._device)
        if all(len(windows[row.window].ids) == width for row in rows):
            del inputs["attention_mask"]  # kernels are faster without
        return inputs, places, targets

    def _tried(self) -> Together:
        """Which rows the model keeps apart in a batch, tried on a few tokens."""
        limit = min(self._loaded.vocabulary, 1 << 20)
        lengths = [min(size, self._loaded.max_tokens) for size in (8, 8, 20)]
        all_ids = [(np.arange(size) * 7 + i + 1).astype(np.int32) % limit for i, size in enumerate(lengths)]
        short, other, long = (Window(ids, 1, len(ids), 0) for ids in all_ids)
        # Of masked models a middle token, which sees both sides.
        at = len(short.ids) // 2 if self._masked else None

        def costs(*windows: Window) -> np.ndarray:
            return self._run([Row(i, at) for i in range(len(windows))], windows)[0]

        alone = self._run([Row(0, at)], [short])[0]
        spread = self.parts.spread
        full = self._loaded.placement.dtype == torch.float32
        tolerance = 1e-3 * spread + 1e-5 if full else 0.3 * spread + 0.02

        def same(with_: Window) -> bool:
            return bool(np.abs(costs(short, with_) - alone).max() <= tolerance)

        return "alone" if not same(other) else "any" if same(long) else "equal lengths"

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """What a config holds, and what a kernel lacks, is only seen when a model runs; that is about the model."""
        try:
            yield
        except ODD as error:
            if isinstance(error, RuntimeError) and environment.out_of_memory(error):
                raise
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            half = self._loaded.placement.dtype != torch.float32
            raise ModelError(
                f"{self._loaded.location.name} cannot score text in {self._loaded.placement.dtype_name}: {reason}",
                "--dtype float32" if half else "its config.json may hold what makes no sense; fetch it again",
            ) from error


def tokens_a_second(loaded: Loaded) -> float:
    """How many tokens the model may read in a second, roughly."""
    weights = sum(parameter.numel() for parameter in loaded.model.parameters())
    return OPERATIONS_A_SECOND[loaded.placement.device.type] / (2 * max(weights, 1))
