"""How the next token is drawn: processors of scores, and the numbers that decide."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import transformers
from transformers import LogitsProcessor, LogitsProcessorList
from transformers.generation.logits_process import TopHLogitsWarper

from hfcli.errors import ModelError
from hfcli.runtime.decoding import Decoding
from hfcli.runtime.padding import WithoutPadding
from hfcli.tasks.base import Feature

RARE_WARPERS = {  # of a model's own generation_config; hfcli has no flags for them
    "typical_p": transformers.TypicalLogitsWarper,
    "epsilon_cutoff": transformers.EpsilonLogitsWarper,
    "eta_cutoff": transformers.EtaLogitsWarper,
    "top_h": TopHLogitsWarper,
}


class Finite(LogitsProcessor):
    """Lets no scores pass that are not numbers: the likeliest of them would be some token all the same."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        best = scores.amax(-1)
        if bool((best.isnan() | best.isposinf()).any()):
            hint = "--dtype float32 has the widest range; if that does not help, the weights are damaged"
            raise ModelError("the model gives scores that are not numbers (NaN or infinity)", hint)
        return scores


class Draw(LogitsProcessor):
    """Picks one token a row by inverting the cumulative distribution at a number that only this row decides.

    The number is a hash of the row's key and the step, so a text is a function of seed, record and sample: not of the
    batch, its order, the device or how often the job was resumed. One number a row costs a twelfth of what
    `torch.multinomial` draws (one a vocabulary entry), and the distribution is the same.
    """

    def __init__(self, keys: Sequence[bytes], decoding: Decoding) -> None:
        self.keys = keys
        self.step = 0
        self.decoding = decoding

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores `(rows, vocabulary)` to zeros at the drawn token and -inf elsewhere."""
        values, tokens = self.candidates(scores.float() / self.decoding.temperature)
        exact = torch.float32 if scores.device.type == "mps" else torch.float64
        cumulative = values.softmax(-1).to(exact).cumsum(-1)
        points = torch.tensor([uniform(key, self.step) for key in self.keys], dtype=exact).to(scores.device)
        index = torch.searchsorted(cumulative, points[:, None] * cumulative[:, -1:], right=True)
        # Rounding may put a point behind the last token that can be drawn.
        last = (values > -torch.inf).long().cumsum(-1).argmax(-1, keepdim=True)
        index = torch.minimum(index, last)
        self.step += 1
        return torch.full_like(scores, -torch.inf).scatter(1, index if tokens is None else tokens.gather(1, index), 0.0)

    def candidates(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The tokens that may be drawn, in vocabulary order, so that rows with equal scores cannot swap.

        Returns:
            Scores `(rows, candidates)`, -inf for what is ruled out, and their token ids; None for all ids.
        """
        top_k, top_p, min_p = self.decoding.top_k, self.decoding.top_p, self.decoding.min_p
        if top_k is None and top_p is None:
            return self.above(scores, min_p), None
        size = scores.shape[-1]
        count = min(top_k or 1024, size)  # top_p alone: the nucleus is nearly always among the likeliest 1,024
        values, tokens = scores.topk(count)
        if top_p is not None:
            mass = values.softmax(-1) if top_k else (values - scores.logsumexp(-1, keepdim=True)).exp()
            if not top_k and count < size and bool((mass.sum(-1) < top_p).any()):
                values, tokens = scores.sort(descending=True)
                mass = values.softmax(-1)
            values = values.masked_fill(mass.cumsum(-1) - mass >= top_p, -torch.inf)
        tokens, order = tokens.sort(-1)
        return self.above(values.gather(1, order), min_p), tokens

    @staticmethod
    def above(scores: torch.Tensor, min_p: float | None) -> torch.Tensor:
        if min_p is None:
            return scores
        return scores.masked_fill(scores < scores.amax(-1, keepdim=True) + float(np.log(min_p)), -torch.inf)


def uniform(key: bytes, step: int) -> float:
    """A number in [0, 1), the same for the same key and step everywhere."""
    digest = hashlib.blake2b(step.to_bytes(8, "little"), key=key, digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) / 2**53


def sample_key(seed: int, feature: Feature, occurrence: int, sample: int) -> bytes:
    """What a sampled text depends on: seed, prompt, how often that prompt came before, and which sample it is."""
    head = b"".join(number.to_bytes(8, "little") for number in (seed, occurrence, sample))
    return hashlib.blake2b(head + feature.inputs["input_ids"].astype("<i4").tobytes(), digest_size=32).digest()


def processors(model: Any, decoding: Decoding, padding: Sequence[int], keys: Sequence[bytes]) -> LogitsProcessorList:
    """Everything between the model's scores and the choice of a token."""
    processors = LogitsProcessorList([Finite()])
    if decoding.repetition_penalty is not None:
        penalty = transformers.RepetitionPenaltyLogitsProcessor(float(decoding.repetition_penalty))
        processors.append(WithoutPadding(penalty, padding))
    if decoding.no_repeat_ngram_size is not None:
        ngram = transformers.NoRepeatNGramLogitsProcessor(decoding.no_repeat_ngram_size)
        processors.append(WithoutPadding(ngram, padding))
    if decoding.do_sample:
        own = model.generation_config
        rare = {name: getattr(own, name) for name in RARE_WARPERS if getattr(own, name, None) is not None}
        if rare:  # they judge scores that the temperature has shaped already
            processors.append(transformers.TemperatureLogitsWarper(float(decoding.temperature)))
            processors.extend(RARE_WARPERS[name](value) for name, value in rare.items() if 0 < value < 1)
            decoding = replace(decoding, temperature=1.0)
        processors.append(Draw(keys, decoding))
    return processors
