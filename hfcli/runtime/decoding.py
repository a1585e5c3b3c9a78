"""Which settings hold: those of the flags, and of the model's own generation_config where a flag is silent."""

from dataclasses import dataclass, field
from typing import Any

from hfcli.errors import ModelError, UsageError
from hfcli.options import DecodingOptions

SAMPLING = ("temperature", "top_k", "top_p", "min_p")
_SMALLEST = 1e-30  # what is smaller would be 0 in float32
SEARCHING = ("length_penalty", "min_new_tokens")
"""Of those that act in a search of transformers itself, the ones with a flag."""
_ACTING = (
    *("typical_p", "epsilon_cutoff", "eta_cutoff", "top_h", "min_length"),
    *("early_stopping", "bad_words_ids", "suppress_tokens", "begin_suppress_tokens", "forced_bos_token_id"),
    *("sequence_bias", "guidance_scale", "encoder_repetition_penalty", "encoder_no_repeat_ngram_size"),
    "exponential_decay_length_penalty",
)
_OWN_RANGES = {"temperature": 1e9, "top_k": 1e9, "top_p": 1.0, "min_p": 1.0, "repetition_penalty": 1e9} | dict.fromkeys(
    ("no_repeat_ngram_size", "num_beams"), 1e9
)


@dataclass(frozen=True)
class Decoding:
    """Every setting that decides which text comes out, resolved from flags and the model's generation_config."""

    do_sample: bool
    max_new_tokens: int
    num_beams: int
    num_return_sequences: int
    seed: int
    stop: tuple[str, ...]
    temperature: float
    top_k: int | None
    top_p: float | None
    min_p: float | None
    repetition_penalty: float | None
    no_repeat_ngram_size: int | None
    end_token_ids: frozenset[int]
    source: str
    others: dict[str, Any] = field(default_factory=dict)  # those that act besides

    @property
    def copies(self) -> int:
        """Rows that one prompt takes."""
        return max(self.num_return_sequences, self.num_beams)

    def settings(self) -> dict[str, Any]:
        """What was used, without what has no effect; for JSON lines, `-v` and the check of --resume."""
        used: dict[str, Any] = {"do_sample": self.do_sample, "max_new_tokens": self.max_new_tokens}
        if self.do_sample:
            used |= {"seed": self.seed, "temperature": self.temperature}
            used |= {name: getattr(self, name) for name in SAMPLING[1:] if getattr(self, name) is not None}
        if self.num_beams > 1:
            used["num_beams"] = self.num_beams
        if self.num_return_sequences > 1:
            used["num_return_sequences"] = self.num_return_sequences
        for name in ("repetition_penalty", "no_repeat_ngram_size"):
            if getattr(self, name) is not None:
                used[name] = getattr(self, name)
        return used | self.others | ({"stop": list(self.stop)} if self.stop else {})


def resolve(options: DecodingOptions, own: Any, max_tokens: int) -> Decoding:
    """Settings from the flags, and from the model's own generation_config where a flag is silent.

    Args:
        options: The flags.
        own: The model's generation_config.
        max_tokens: The longest sequence the model takes.

    Raises:
        UsageError: Several different texts are asked for, and nothing makes them differ; or flags contradict the model.
        ModelError: The model's generation_config holds what makes no sense.
    """
    _check_own(own, options)
    flagged = any(getattr(options, name) for name in SAMPLING)
    if options.sample is not None:
        sample, source = options.sample, "--sample" if options.sample else "--greedy"
    elif options.temperature == 0:
        sample, source = False, "--temperature 0"
    elif flagged or (options.num_beams or 1) > 1:
        sample, source = flagged, "flags"
    else:
        sample = bool(own.do_sample) and own.temperature != 0
        source = "the model's generation_config" if own.do_sample else "no sampling in the model's generation_config"
    one = sample or options.sample is False or options.temperature == 0
    beams = options.num_beams or (1 if one else int(own.num_beams or 1))
    count = options.num_return_sequences
    if count > 1 and not sample and count > beams:
        raise UsageError(
            f"--num-return-sequences {count}: greedy decoding gives one text", f"--sample, or --num-beams {count}"
        )

    def value(name: str, no_effect: float) -> Any:
        flag = getattr(options, name)
        chosen = getattr(own, name, None) if flag is None else flag
        if chosen is None or chosen == no_effect:
            return None
        whole = name in ("top_k", "no_repeat_ngram_size")
        return int(chosen) if whole else min(max(float(chosen), _SMALLEST), 1 / _SMALLEST)

    end = own.eos_token_id if own.eos_token_id is not None else []
    return Decoding(
        do_sample=sample,
        max_new_tokens=min(options.max_new_tokens, max_tokens),
        num_beams=beams,
        num_return_sequences=count,
        seed=options.seed,
        stop=tuple(options.stop) or _texts(getattr(own, "stop_strings", None)),
        temperature=value("temperature", 1.0) or 1.0,
        top_k=value("top_k", 0),
        top_p=value("top_p", 1.0),
        min_p=value("min_p", 0.0),
        repetition_penalty=value("repetition_penalty", 1.0),
        no_repeat_ngram_size=value("no_repeat_ngram_size", 0),
        end_token_ids=frozenset(end if isinstance(end, (list, tuple)) else [end]),
        source=source,
        others=_others(options, own, beams),
    )


def _others(options: DecodingOptions, own: Any, beams: int) -> dict[str, Any]:
    """What acts besides: of the model's own settings, and of the flags that override them."""
    if options.length_penalty is not None and beams == 1:
        raise UsageError("--length-penalty is about beams, and there is but one", "--num-beams 4")
    found = {name: getattr(own, name) for name in (*_ACTING, *SEARCHING) if getattr(own, name, None) is not None}
    return found | {name: getattr(options, name) for name in SEARCHING if getattr(options, name) is not None}


def _check_own(own: Any, options: DecodingOptions) -> None:
    hint = "mend or fetch again its generation_config.json"
    for name, most in _OWN_RANGES.items():
        value = getattr(own, name, None)
        usable = isinstance(value, (int, float)) and 0 <= value <= most
        if value is not None and not usable and getattr(options, name) is None:
            flag = "--" + name.replace("_", "-")
            message = f"the model's generation_config has {name} {value!r}, which is no number from 0 to {most:g}"
            raise ModelError(message, f"{flag} overrides it")
    end = own.eos_token_id
    if not all(isinstance(token, int) for token in (end if isinstance(end, list) else [end or 0])):
        raise ModelError(f"the model's generation_config has eos_token_id {end!r}, which is no token id", hint)


def _texts(stop: Any) -> tuple[str, ...]:
    given = [stop] if isinstance(stop, str) else stop if isinstance(stop, (list, tuple)) else []
    return tuple(text for text in given if isinstance(text, str) and text)
