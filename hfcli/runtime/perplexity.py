"""Documents to what perplexities are made of: nats, tokens, words and bytes of each, in order, in bounded memory."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import transformers

from hfcli.errors import DataError, HfcliError, ModelError, UsageError
from hfcli.events import Tell
from hfcli.options import ModelOptions
from hfcli.runtime import asking, dealing, hub, lengths, loading
from hfcli.runtime.likelihood import Scorer, Tick, tokens_a_second
from hfcli.runtime.loading import Loaded
from hfcli.tasks import _protocols, _text
from hfcli.tasks._likelihood import CAUSAL, MASKED, Statistics
from hfcli.tasks._protocols import Bos, Protocol, Reading, Window
from hfcli.tasks.base import Feature, Setup

_WINDOW = 2048
_STRIDE = 512
_CHUNK_SECONDS = 2.0
_CHARACTERS_A_TOKEN = 4
_MOST_CHARACTERS = 1 << 22
_BATCHES = 4  # windows of so many batches are sorted by length


@dataclass(frozen=True)
class Choice:
    """How perplexity is measured; what is None is as the protocol or the model says.

    Attributes:
        protocol: See `hfcli.tasks._protocols`; `stride` for None. Masked models have one way only.
        max_length: Most tokens that the model reads at once; for None what it takes, with `stride` and `disjoint` at
            most 2,048.
        stride: Of `stride`; for None 512, or half of a window that is smaller than 1,024.
        bos: Whether documents begin with a token that says so.
        split_special_tokens: Whether `<unk>` in a text is read as five characters; lm-evaluation-harness, evaluate and
            transformers' documentation read it as the special token where it is one.
    """

    protocol: Protocol | None = None
    max_length: int | None = None
    stride: int | None = None
    bos: Bos = "auto"
    split_special_tokens: bool = False


class Document(NamedTuple):
    """A text, and the place where it comes from: "a.txt:3"."""

    text: str
    place: str


def load(options: ModelOptions, tell: Tell) -> Loaded:
    """Load a causal model, or a masked one, with weights that are all there.

    Raises:
        ModelError: It cannot be found, fetched or loaded, is an encoder-decoder, or has no trained head.
        DeviceError: The device is not there, or its memory does not hold the model.
    """
    assert options.model is not None
    location = hub.locate(options.model, options, tell)
    loading.check_folder(location, options)
    config = loading.load_config(location, options)
    made_as = [str(name) for name in getattr(config, "architectures", None) or []]
    if config.is_encoder_decoder:
        raise ModelError(
            f"{location.name} is an encoder-decoder ({config.model_type}), which writes an answer to a text and does "
            "not read it word by word",
            "a causal model (GPT, Llama, Qwen) or a masked one (BERT)",
        )
    decoder = getattr(config, "is_decoder", False) or any(re.search("CausalLM|LMHeadModel", name) for name in made_as)
    masked = type(config) in transformers.AutoModelForMaskedLM._model_mapping and not decoder
    # By the name that was found: that it goes by another one has been told.
    return asking.load(MASKED if masked else CAUSAL, replace(options, model=location.name), tell)


def reading(loaded: Loaded, choice: Choice) -> Reading:
    """The choice, with what the model says where nothing was chosen.

    Raises:
        UsageError: It contradicts the model or itself.
    """
    masked = loaded.task is MASKED
    protocol: Protocol | None = None if masked else choice.protocol or "stride"
    name, room = loaded.location.name, loaded.max_tokens
    if masked and (choice.protocol is not None or choice.bos != "auto"):
        flag = f"--protocol {choice.protocol}" if choice.protocol else f"--bos {choice.bos}"
        raise UsageError(f"{flag} is about causal models, and {name} is a masked one", f"leave out {flag}")
    if choice.stride is not None and protocol != "stride":
        said = f"with --protocol {protocol}" if protocol else f"with a masked model such as {name}"
        raise UsageError(f"--stride means nothing {said}", "--protocol stride")
    sparing = protocol in ("stride", "disjoint")
    length = min(room, _WINDOW) if choice.max_length is None and (sparing or room > 10**8) else room
    if choice.max_length is not None:
        length = lengths.fit(choice.max_length, room, name)
    prefix, suffix = _protocols.around(loaded.tokenizer, protocol, choice.bos)
    least = len(prefix) + len(suffix) + 1 if masked else 1 if protocol in ("full", "lm-eval") else 2
    if length < least:
        raise UsageError(f"--max-length {length}: nothing can be scored with fewer than {least}", "--max-length 512")
    stride = choice.stride
    if protocol == "disjoint":
        stride = length
    elif protocol == "stride" and stride is None:
        stride = _STRIDE if length >= 2 * _STRIDE else length // 2
    if stride is not None and not 1 <= stride <= length:
        said = f"--stride {stride} is not between 1 and the window of {length:,} tokens"
        raise UsageError(said, f"--stride {length // 2}")
    cut, split = choice.max_length is not None, choice.split_special_tokens
    return Reading(protocol, length, stride or 0, prefix, suffix, cut, split)


@dataclass
class _Work:
    """A document under way; `nll` is NaN where a token is not scored."""

    document: Document
    feature: Feature
    nll: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.nll = np.full(len(self.feature.inputs["input_ids"]), np.nan, dtype=np.float32)


class Likelihoods:
    """Measures how likely documents are to a model.

    Args:
        loaded: What `load` gives.
        choice: How it is measured.
        tell: Gets notes.

    Attributes:
        reading: How it is measured, with everything filled in.
        scorer: The model.
        under_way: Texts that are being measured, times the share of their tokens that is.

    Raises:
        UsageError: The choice contradicts the model or itself.
        ModelError: The model cannot be measured.
    """

    def __init__(self, loaded: Loaded, choice: Choice, tell: Tell) -> None:
        self._loaded = loaded
        self.reading = reading(loaded, choice)
        self.scorer = Scorer(loaded, self.reading.length, tell)
        self._setup = Setup(loaded.tokenizer, loaded.model.config, self.reading, (), loaded.max_tokens)
        # Other ranks have their part of a chunk, and should wait for the slowest of its batches seldom.
        batches = _BATCHES * max(1, dealing.ahead(loaded.remote) // 2)
        tokens = max(_CHUNK_SECONDS * tokens_a_second(loaded), batches * self.scorer.budget)
        self._chunk_tokens = int(tokens)
        self.under_way = 0.0

    def __call__(self, documents: Iterable[Document], tick: Tick = lambda tokens: None) -> Iterator[Statistics]:
        """What each document gives, in order; `tokens` is 0 where it is too short for any to be scored.

        Raises:
            DataError: A document cannot be read or scored; those before it were given back.
            ModelError: What it costs is not a number, or the model cannot run.
            DeviceError: Memory does not hold a window.
        """
        for group, failure in self._groups(documents):
            yield from self._measured(group, tick)
            if failure is not None:
                raise failure

    def _groups(self, documents: Iterable[Document]) -> Iterator[tuple[list[Document], HfcliError | None]]:
        """Documents of about a chunk together, the first ones of less; and what ends the job behind them."""
        most = min(self._chunk_tokens * _CHARACTERS_A_TOKEN, _MOST_CHARACTERS)
        wanted = min(self.scorer.budget * _CHARACTERS_A_TOKEN, most)
        group: list[Document] = []
        seen = 0
        given = iter(documents)
        while True:
            try:
                document = next(given, None)
                if document is None:
                    break
                _text.check(document.text, document.place or "the text")
            except DataError as error:
                yield group, error
                return
            group.append(document)
            seen += len(document.text) + 1
            if seen >= wanted:
                yield group, None
                wanted, group, seen = min(2 * wanted, most), [], 0
        if group:
            yield group, None

    def _measured(self, documents: list[Document], tick: Tick) -> Iterator[Statistics]:
        records = [{"text": document.text} for document in documents]
        works = [
            _Work(document, *features)
            for document, features in zip(documents, self._loaded.task.encode(records, self._setup), strict=True)
        ]
        each = len(works) / max(1, sum(len(work.nll) for work in works))

        def told(tokens: int) -> None:
            self.under_way = min(self.under_way + tokens * each, len(works))
            tick(tokens)

        failed: tuple[int, HfcliError] | None = None
        for part in self._parts(works):
            if isinstance(part, tuple):
                failed = part
                break
            failed = self._score(works, part, told)
            if failed is not None:
                break
        self.under_way = 0.0
        for work, record in zip(works[: failed[0] if failed else None], records, strict=False):
            yield self._loaded.task.decode(record, [work.feature], work.nll, self._setup)
        if failed:
            raise failed[1]

    def _parts(self, works: Sequence[_Work]) -> Iterator["list[tuple[int, Window]] | tuple[int, HfcliError]"]:
        """Windows of about a chunk together, with their documents; last what is wrong with one, if anything is."""
        part: list[tuple[int, Window]] = []
        tokens = 0
        for d, work in enumerate(works):
            try:
                for window in _protocols.windows(work.feature.inputs["input_ids"], self.reading):
                    part.append((d, window))
                    copies = 1 if self.reading.protocol else window.end - window.first
                    tokens += len(window.ids) * copies
                    if tokens >= self._chunk_tokens:
                        yield part
                        part, tokens = [], 0
            except DataError as error:
                if part:
                    yield part
                yield d, _placed(error, work.document)
                return
        if part:
            yield part

    def _score(
        self, works: Sequence[_Work], part: list[tuple[int, Window]], tick: Tick
    ) -> tuple[int, HfcliError] | None:
        """Fill in what the windows cost; the first document where that is no number, and the error that says so."""
        for (d, window), nll in zip(part, self.scorer.nll([window for _, window in part], tick), strict=True):
            if not np.isfinite(nll).all():
                at = window.at + int((~np.isfinite(nll)).argmax())
                return d, _placed(self._infinite(at, works[d].feature), works[d].document)
            works[d].nll[window.at : window.at + len(nll)] = nll
        return None

    def _infinite(self, at: int, feature: Feature) -> ModelError:
        token = self._loaded.tokenizer.convert_ids_to_tokens(int(feature.inputs["input_ids"][at]))
        half = self._loaded.placement.dtype_name != "float32"
        return ModelError(
            f"the model gives no likelihood to token {at + 1:,}, {token!r}, in {self._loaded.placement.dtype_name}",
            "--dtype float32" if half else "its weights may be damaged; fetch them again",
        )


def _placed(error: HfcliError, document: Document) -> HfcliError:
    return type(error)(f"{document.place}: {error.message}" if document.place else error.message, error.hint)
