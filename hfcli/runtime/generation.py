"""One prompt as a stream, many as batches: the calls of `model.generate`."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import transformers
from transformers import StoppingCriteria, StoppingCriteriaList

from hfcli.errors import DeviceError, ModelError
from hfcli.runtime import environment
from hfcli.runtime.decoding import SAMPLING, SEARCHING, Decoding
from hfcli.runtime.loading import Loaded
from hfcli.runtime.padding import pad, pad_id
from hfcli.runtime.sampling import RARE_WARPERS, processors
from hfcli.tasks.base import Feature
from hfcli.tasks.text_generation import TextStream

# Kinds of decoding that a model's own generation_config may ask for, and forms of output, that are not ours.
_NOT_OURS = (
    *("penalty_alpha", "dola_layers", "num_beam_groups", "diversity_penalty", "constraints", "force_words_ids"),
    *("prompt_lookup_num_tokens", "assistant_early_exit", "token_healing", "stop_strings", "return_dict_in_generate"),
    *("output_scores", "output_logits", "output_attentions", "output_hidden_states", "max_time"),
)


class Watch(StoppingCriteria):
    """Sees every step: ends rows at their stop text, hands text on as it becomes certain, counts tokens."""

    def __init__(
        self,
        tails: Sequence[Sequence[int]],
        tokenizer: Any,
        decoding: Decoding,
        tick: Callable[[int], None],
        on_text: Callable[[str], None] | None = None,
    ) -> None:
        # Beams are reordered under way, so their texts cannot be followed; `decode` cuts them at the stop text.
        followed = (decoding.stop or on_text) and decoding.num_beams == 1
        self.streams = [TextStream(tokenizer, tail, decoding.stop) for tail in tails] if followed else []
        self.ended = [False] * len(self.streams)
        self.end_token_ids = decoding.end_token_ids
        self.beams = decoding.num_beams
        self.tick = tick
        self.on_text = on_text

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        self.tick(len(input_ids) // self.beams)
        done = torch.zeros(len(input_ids), dtype=torch.bool)
        if self.streams:
            for row, token in enumerate(input_ids[:, -1].tolist()):
                done[row] = self._follow(row, token)
        return done.to(input_ids.device)

    def _follow(self, row: int, token: int) -> bool:
        stream = self.streams[row]
        if not self.ended[row]:
            self.ended[row] = token in self.end_token_ids
            if not self.ended[row]:
                self._hand_on(stream.push([token]))
                self.ended[row] = stream.stopped
        return self.ended[row]

    def finish(self) -> None:
        """Hand on what was held back in case more would follow."""
        for stream in self.streams:
            if not stream.stopped:
                self._hand_on(stream.finish())

    def _hand_on(self, text: str) -> None:
        if self.on_text is not None and text:
            self.on_text(text)


def generate(
    loaded: Loaded,
    features: Sequence[Feature],
    keys: Sequence[Sequence[bytes]],
    decoding: Decoding,
    tick: Callable[[int], None] = lambda rows: None,
) -> list[list[list[int]]]:
    """New token ids of every feature and sample: features, then samples, then ids.

    Args:
        loaded: A causal or encoder-decoder model.
        features: What to go on from; `input_ids` of shape `(seq,)`.
        keys: For each feature the keys of its samples; used only when sampling.
        decoding: The settings.
        tick: Called after every step with the number of texts that grew.

    Raises:
        RuntimeError: Out of memory, among others; `environment.out_of_memory` tells.
        ModelError: The model's own settings make no sense.
    """
    samples = decoding.num_return_sequences
    copies = samples if decoding.do_sample else 1  # beams are multiplied by transformers, samples by us
    rows = [feature for feature in features for _ in range(copies)]
    row_keys = [key for own in keys for key in own]
    watch = Watch([row.notes.tail for row in rows], loaded.tokenizer, decoding, tick)
    new = _run(loaded, rows, row_keys, decoding, watch).tolist()
    return [new[i : i + samples] for i in range(0, len(new), samples)]


def next_scores(loaded: Loaded, features: Sequence[Feature]) -> torch.Tensor:
    """The model's scores for the first two new tokens, float32 of shape `(features, 2, vocabulary)`."""
    batch = pad(features, loaded.tokenizer, loaded.vocabulary, "left", loaded.placement.device)
    settings = transformers.GenerationConfig(
        max_new_tokens=2, do_sample=False, pad_token_id=0, output_logits=True, return_dict_in_generate=True
    )
    with torch.inference_mode(), _settings(loaded.model, settings), _explained(loaded):
        return torch.stack(loaded.model.generate(**batch, generation_config=settings).logits, 1).float()


def stream(
    loaded: Loaded, feature: Feature, key: bytes, decoding: Decoding, on_text: Callable[[str], None]
) -> list[int]:
    """New token ids for one feature; `on_text` gets the text piece by piece.

    It calls back because `model.generate` has the loop: a generator would need a thread, which Ctrl-C cannot stop.
    """
    watch = Watch([feature.notes.tail], loaded.tokenizer, decoding, lambda rows: None, on_text)
    try:
        new = _run(loaded, [feature], [key], decoding, watch)
    except RuntimeError as error:
        if environment.out_of_memory(error):
            raise too_large(feature) from error
        raise
    watch.finish()
    return [int(token) for token in new[0]]


def too_large(feature: Feature) -> DeviceError:
    return DeviceError(
        f"out of memory at a prompt of {len(feature.inputs['input_ids']):,} tokens",
        "a smaller --max-new-tokens, fewer --num-return-sequences, or --dtype bfloat16",
    )


@contextlib.contextmanager
def _settings(model: Any, settings: Any) -> Iterator[None]:
    """These settings alone: what is None in them would be filled in from the model's own."""
    own, model.generation_config = model.generation_config, settings
    try:
        yield
    finally:
        model.generation_config = own


@contextlib.contextmanager
def _explained(loaded: Loaded) -> Iterator[None]:
    """What a model's own settings hold is only looked at while it generates; what that raises is about the model."""
    try:
        yield
    except (ValueError, TypeError, IndexError, AttributeError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{loaded.location.name} cannot generate: {reason}",
            "its generation_config.json or config.json may hold what makes no sense; fetch them again",
        ) from error


def longest_answer(feature: Feature, decoding: Decoding, loaded: Loaded) -> int:
    """How many tokens may follow a prompt: what was asked for, or what the model's length leaves."""
    taken = 0 if loaded.model.config.is_encoder_decoder else len(feature.inputs["input_ids"])
    return min(decoding.max_new_tokens, loaded.max_tokens - taken)


def _run(
    loaded: Loaded, rows: Sequence[Feature], keys: Sequence[bytes], decoding: Decoding, watch: Watch
) -> torch.Tensor:
    """One call of `model.generate`; new token ids of shape `(rows, steps)`, rows that ended early filled up."""
    model, tokenizer = loaded.model, loaded.tokenizer
    seq2seq = model.config.is_encoder_decoder
    batch = pad(rows, tokenizer, loaded.vocabulary, "right" if seq2seq else "left", loaded.placement.device)
    width = batch["input_ids"].shape[1]
    padding = [0] * len(rows) if seq2seq else [width - len(row.inputs["input_ids"]) for row in rows]
    settings = copy.deepcopy(model.generation_config)
    settings.update(
        do_sample=False,
        num_beams=decoding.num_beams,
        num_return_sequences=1 if decoding.do_sample else decoding.num_return_sequences,
        max_new_tokens=min(longest_answer(row, decoding, loaded) for row in rows),
        max_length=None,
        forced_eos_token_id=None,  # it would make a text that was cut look finished
        pad_token_id=pad_id(tokenizer, loaded.vocabulary),
        repetition_penalty=None,
        no_repeat_ngram_size=None,
        **{name: decoding.others[name] for name in SEARCHING if name in decoding.others},
        **dict.fromkeys((*SAMPLING, *RARE_WARPERS, *_NOT_OURS)),
    )
    chain = processors(model, decoding, padding, keys)
    with torch.inference_mode(), _settings(model, settings), _explained(loaded):
        ids = model.generate(
            **batch,
            generation_config=settings,
            logits_processor=chain,
            stopping_criteria=StoppingCriteriaList([watch]),
        )
    return ids[:, 1:] if seq2seq else ids[:, width:]
