"""Many records through a model: read ahead, batched by length and tokens, given back in the order they came."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hfcli.errors import DataError, HfcliError
from hfcli.events import Tell, Working
from hfcli.options import PromptOptions
from hfcli.records import Row, dumps
from hfcli.runtime import environment, generation, sampling
from hfcli.runtime.decoding import Decoding
from hfcli.runtime.loading import Loaded, vocabulary_rows
from hfcli.tasks import text_generation
from hfcli.tasks.base import Feature, Setup

SILENCE_SECONDS = 0.02
MAX_ROWS = {"cpu": 128, "cuda": 512, "mps": 128}  # on two cores 128 rows gave 1,090 tokens/s, 256 rows 1,112
MAX_TOKENS = {"cpu": 64 * 1024, "cuda": 1024 * 1024, "mps": 64 * 1024}


class Finished(NamedTuple):
    """One record, finished.

    Attributes:
        record: What came in, None where it could not be read.
        answers: One prediction for each sample; empty where the record failed.
        error: Why it failed.
        cut_tokens: Tokens dropped from the beginning of the prompt.
    """

    record: Mapping[str, Any] | None
    answers: list[dict[str, Any]]
    error: HfcliError | None = None
    cut_tokens: int = 0


@dataclass
class Generator:
    """Turns records into texts with one loaded model.

    Attributes:
        loaded: The model.
        decoding: The settings.
        options: How records become prompts.
        keep_going: Whether a bad record gets an error in its place instead of ending the job.
        seen: How often each prompt came so far, so that the same prompt twice is not the same sample twice. Kept only
            when sampling: about 100 bytes a different prompt.
    """

    loaded: Loaded
    decoding: Decoding
    options: PromptOptions
    keep_going: bool = False
    seen: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        model = self.loaded.model
        self.setup = Setup(self.loaded.tokenizer, model.config, self.options, (), self.loaded.max_tokens)
        self.vocabulary = vocabulary_rows(model)

    def encode(self, record: Mapping[str, Any]) -> Feature:
        """One record, checked and encoded.

        Raises:
            DataError: There is no prompt in it, or it is too long.
        """
        (feature,) = next(text_generation.encode([text_generation.ask(record, self.options)], self.setup))
        return text_generation.fit(feature, self.setup, self.decoding.max_new_tokens, self.vocabulary)

    def keys(self, record: Mapping[str, Any], feature: Feature) -> list[bytes]:
        """What the record's samples are drawn with."""
        occurrence = self.count(record)
        samples = range(self.decoding.num_return_sequences if self.decoding.do_sample else 0)
        return [sampling.sample_key(self.decoding.seed, feature, occurrence, sample) for sample in samples]

    def skip(self, record: Mapping[str, Any]) -> None:
        """Count a record that an earlier run has finished.

        Raises:
            DataError: It cannot be worked on, and so was not.
        """
        if self.keep_going:
            self.encode(record)
        self.count(record)

    def count(self, record: Mapping[str, Any]) -> int:
        """How often this prompt came before."""
        if not self.decoding.do_sample:
            return 0
        key = hash(dumps(text_generation.ask(record, self.options)))
        self.seen[key] = self.seen.get(key, -1) + 1
        return self.seen[key]

    def stream(self, record: Mapping[str, Any], on_text: Callable[[str], None]) -> Finished:
        """One record, its text handed on piece by piece."""
        feature = self.encode(record)
        key = next(iter(self.keys(record, feature)), b"")
        ids = generation.stream(self.loaded, feature, key, self.decoding, on_text)
        return self._finished(record, feature, [ids])

    def run(
        self,
        rows: Iterable[Row],
        tell: Tell,
        fraction: Callable[[float], float | None],
        *,
        done: int = 0,
        patient: bool = False,
    ) -> Iterator[list[Finished]]:
        """Records finished, in input order, as many at a time as make good batches.

        A record that fails ends the job after those before it are given back, unless `keep_going`.

        Args:
            rows: The input, read ahead by a thread.
            tell: Gets progress.
            fraction: The share of the input that so many records are, those of an earlier run counted in.
            done: Records that an earlier run has finished. Which records share a batch is a function of their numbers
                alone, as far as the input comes fast enough: rounding depends on the batch, and so, now and then, a
                text does; a resumed job has to make the texts that it would have made.
            patient: Wait for whole chunks, however slowly the input comes.
        """
        started = time.monotonic()
        max_rows = MAX_ROWS[self.loaded.placement.device.type]
        progress = _Progress()
        budget = budget_tokens(self.loaded)

        def tick(tokens: int) -> None:
            progress.tokens += tokens
            progress.chunk_tokens += tokens
            # A chunk may take a minute: the share of its tokens counts as a share of its records.
            begun = progress.chunk_rows * min(progress.chunk_tokens / max(progress.chunk_most_tokens, 1), 1.0)
            share = fraction(done + progress.finished + begun)
            tell(Working(progress.finished, progress.tokens, share, time.monotonic() - started))

        for chunk in chunks(rows, max_rows, max_rows - done % max_rows, None if patient else SILENCE_SECONDS):
            texts = max(self.decoding.num_return_sequences, self.decoding.num_beams)
            progress.chunk_rows, progress.chunk_tokens = len(chunk), 0
            progress.chunk_most_tokens = len(chunk) * texts * self.decoding.max_new_tokens
            finished, failure = self._chunk(chunk, max_rows, budget, tick)
            progress.finished += len(finished)
            progress.chunk_rows = 0
            tick(0)
            yield finished
            if failure is not None:
                raise failure

    def _chunk(
        self, chunk: Sequence[Row], max_rows: int, budget: int, tick: Callable[[int], None]
    ) -> tuple[list[Finished], HfcliError | None]:
        """The chunk's records finished, up to the first that fails, and that failure."""
        results: list[Finished | None] = []
        features: dict[int, Feature] = {}
        keys: dict[int, list[bytes]] = {}
        failure = None
        for i, row in enumerate(chunk):
            try:
                if row.record is None:
                    raise row.error or DataError("unreadable")
                features[i] = self.encode(row.record)
                keys[i] = self.keys(row.record, features[i])
                results.append(None)
            except HfcliError as error:
                placed = row.error is error or not row.where
                located = error if placed else type(error)(f"{row.where}: {error.message}", error.hint)
                if not (self.keep_going and isinstance(error, DataError)):
                    failure = located
                    break
                results.append(Finished(row.record, [], located))
        for batch in batches(features, self.decoding, self.loaded, max_rows, budget):
            own, own_keys = [features[i] for i in batch], [keys[i] for i in batch]
            made = generation.generate(self.loaded, own, own_keys, self.decoding, tick)
            for i, samples in zip(batch, made, strict=True):
                results[i] = self._finished(chunk[i].record or {}, features[i], samples)
        return [result for result in results if result is not None], failure

    def _finished(self, record: Mapping[str, Any], feature: Feature, samples: Sequence[list[int]]) -> Finished:
        ends, stop = self.decoding.end_token_ids, self.decoding.stop
        answers = [
            text_generation.decode(record, [feature], text_generation.Answer(ids, ends, stop), self.setup)
            for ids in samples
        ]
        return Finished(record, answers, None, feature.notes.cut_tokens)


@dataclass
class _Progress:
    finished: int = 0
    tokens: int = 0
    chunk_rows: int = 0
    chunk_tokens: int = 0
    chunk_most_tokens: int = 0


def batches(
    features: Mapping[int, Feature], decoding: Decoding, loaded: Loaded, max_rows: int, budget: int
) -> Iterator[list[int]]:
    """Indices of features by length, longest first, so many at a time as the token budget holds.

    Tokens are counted with their padding and their answer. All rows of a batch have the same longest answer: a row
    near the model's length must not shorten the others.
    """
    copies = max(decoding.num_return_sequences, decoding.num_beams)
    order = sorted(features, key=lambda i: -len(features[i].inputs["input_ids"]))
    batch: list[int] = []
    width = answer = 0
    for i in order:
        own = generation.longest_answer(features[i], decoding, loaded)
        rows = (len(batch) + 1) * copies
        if batch and (own != answer or rows > max_rows or rows * (width + answer) > budget):
            yield batch
            batch = []
        if not batch:
            width, answer = len(features[i].inputs["input_ids"]), own
        batch.append(i)
    if batch:
        yield batch


def budget_tokens(loaded: Loaded) -> int:
    """How many tokens, prompts and answers, a batch may hold: what half the free memory takes as keys and values."""
    config = loaded.model.config.get_text_config(decoder=True)
    layers: int = getattr(config, "num_hidden_layers", None) or getattr(config, "num_layers", None) or 12
    heads: int = getattr(config, "num_attention_heads", None) or 1
    head: int = getattr(config, "head_dim", None) or getattr(config, "hidden_size", 1024) // heads
    kv_heads: int = getattr(config, "num_key_value_heads", None) or heads
    both = 2 if loaded.model.config.is_encoder_decoder else 1  # keys and values of the encoder's output, too
    per_token = 2 * layers * kv_heads * head * loaded.placement.dtype.itemsize * both
    device = loaded.placement.device
    fitting = max(1, environment.free_bytes(device) // 2 // per_token)
    return min(MAX_TOKENS[device.type], 1 << (fitting.bit_length() - 1))  # a power of two: seldom another one next time


def chunks(rows: Iterable[Row], size: int, first: int, silence_seconds: float | None) -> Iterator[list[Row]]:
    """Rows in lists of `size`, the first of `first`; fewer after a silence: `tail -f` is answered as lines arrive.

    A thread reads ahead, by a few rows only. Its exception is raised after the rows before it were given out.
    """
    lines: queue.Queue[Row | BaseException | None] = queue.Queue(maxsize=64)
    stop = threading.Event()

    def put(item: Row | BaseException | None) -> None:
        while not stop.is_set():
            try:
                return lines.put(item, timeout=0.2)
            except queue.Full:
                continue

    def pump() -> None:
        try:
            for row in rows:
                put(row)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    threading.Thread(target=pump, daemon=True).start()
    try:
        yield from _gather(lines, size, first, silence_seconds)
    finally:
        stop.set()


def _gather(
    lines: "queue.Queue[Row | BaseException | None]", size: int, first: int, silence_seconds: float | None
) -> Iterator[list[Row]]:
    room = first
    chunk: list[Row] = []
    while True:
        try:
            item = lines.get(timeout=silence_seconds if chunk else None)
        except queue.Empty:
            yield chunk
            chunk = []
            continue
        if isinstance(item, Row):
            chunk.append(item)
            if len(chunk) < room:
                continue
            room = size
        if chunk:
            yield chunk
            chunk = []
        if item is None:
            return
        if isinstance(item, BaseException):
            raise item
