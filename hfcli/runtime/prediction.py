"""Many records through a model: read ahead, batched by length and tokens, given back in the order they came."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hfcli.errors import DataError, DeviceError, HfcliError
from hfcli.events import Note, Tell, Working
from hfcli.options import PromptOptions
from hfcli.records import Row, dumps
from hfcli.runtime import environment, generation, sampling
from hfcli.runtime.batching import MAX_ROWS, SILENCE_SECONDS, Together, batches, budget_tokens, chunks, together
from hfcli.runtime.decoding import Decoding
from hfcli.runtime.loading import Loaded
from hfcli.tasks import text_generation
from hfcli.tasks.base import Feature, Setup

CHUNK_TOKENS = 256  # new tokens that the rows of a chunk have one after another: about a minute on two cores


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
        loaded = self.loaded
        self.setup = Setup(loaded.tokenizer, loaded.model.config, self.options, (), loaded.max_tokens)
        self.max_rows = MAX_ROWS[loaded.placement.device.type]
        self.together: Together | None = None

    def encode(self, record: Mapping[str, Any]) -> Feature:
        """One record, checked and encoded.

        Raises:
            DataError: There is no prompt in it, or it is too long.
        """
        (feature,) = next(self.loaded.task.encode([text_generation.ask(record, self.options)], self.setup))
        return text_generation.fit(feature, self.setup, self.decoding.max_new_tokens, self.loaded.vocabulary)

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
        progress = _Progress()
        before = fraction(done) or 0.0
        # More rows than a batch holds can be sorted by length; how many depends on settings only, so that a resumed job
        # cuts its chunks where the first one did.
        size = self.max_rows * (min(8, max(1, CHUNK_TOKENS // self.decoding.max_new_tokens)) if patient else 1)

        def tick(tokens: int) -> None:
            progress.tokens += tokens
            progress.chunk_tokens += tokens
            # A chunk may take a minute: the share of its tokens counts as a share of its records.
            begun = progress.chunk_rows * min(progress.chunk_tokens / max(progress.chunk_most_tokens, 1), 1.0)
            share = fraction(done + progress.finished + begun)
            if share is not None:  # an estimate by size: shorter records later on must not turn the bar back
                share = progress.share = max(share, progress.share)
            tell(Working(progress.finished, progress.tokens, share, time.monotonic() - started, before))

        for chunk in chunks(rows, size, size - done % size, None if patient else SILENCE_SECONDS):
            texts = self.decoding.copies
            progress.chunk_rows, progress.chunk_tokens = len(chunk), 0
            progress.chunk_most_tokens = len(chunk) * texts * self.decoding.max_new_tokens
            finished, failure = self._chunk(chunk, tick, tell)
            progress.finished += len(finished)
            progress.chunk_rows = 0
            tick(0)
            yield finished
            if failure is not None:
                raise failure

    def _chunk(
        self, chunk: Sequence[Row], tick: Callable[[int], None], tell: Tell
    ) -> tuple[list[Finished], HfcliError | None]:
        """The chunk's records finished, up to the first that fails, and that failure."""
        known = _Chunk()
        features, errors = known.features, known.errors
        for i, row in enumerate(chunk):
            try:
                if row.record is None:
                    raise row.error or DataError("unreadable")
                features[i] = self.encode(row.record)
                known.keys[i] = self.keys(row.record, features[i])
            except HfcliError as error:
                errors[i] = error
                if not self._goes_on(error):
                    break
        if len(features) > 1 and self.together is None:
            self.together = together(self.loaded)
            if self.together != "any":
                tell(Note(f"this kind of model mixes up the texts of a batch; {self.together} is right, and slower"))
        for batch in self._batches(features):
            self._generate(batch, known, tick, tell)
        ends = min((i for i, error in errors.items() if not self._goes_on(error)), default=len(chunk))
        finished = [
            Finished(chunk[i].record, [], _located(errors[i], chunk[i]))
            if i in errors
            else self._finished(chunk[i].record or {}, features[i], known.made[i])
            for i in range(ends)
        ]
        return finished, _located(errors[ends], chunk[ends]) if ends in errors else None

    def _goes_on(self, error: HfcliError) -> bool:
        """Whether an error is a record's own, and gets a place in the output."""
        return self.keep_going and isinstance(error, (DataError, DeviceError))

    def _batches(self, features: Mapping[int, Feature]) -> Iterator[list[int]]:
        budget = budget_tokens(self.loaded)
        return batches(features, self.decoding, self.loaded, self.max_rows, budget, self.together or "any")

    def _generate(self, batch: list[int], known: "_Chunk", tick: Callable[[int], None], tell: Tell) -> None:
        """Fill in what a batch gives. Out of memory halves it, and those of later chunks; but for rounding, no text
        depends on the batch it was made in."""
        own, own_keys = [known.features[i] for i in batch], [known.keys[i] for i in batch]
        try:
            made = generation.generate(self.loaded, own, own_keys, self.decoding, tick)
            known.made.update(zip(batch, made, strict=True))
            return
        except RuntimeError as error:
            if not environment.out_of_memory(error):
                raise
        environment.empty_cache()
        if len(batch) == 1:
            known.errors[batch[0]] = generation.too_large(own[0])
            return
        half = len(batch) // 2
        self.max_rows = min(self.max_rows, (len(batch) - half) * self.decoding.copies)
        tell(Note(f"out of memory at {len(batch)} prompts at once; now {len(batch) - half} at most"))
        for part in (batch[:half], batch[half:]):
            self._generate(part, known, tick, tell)

    def _finished(self, record: Mapping[str, Any], feature: Feature, samples: Sequence[list[int]]) -> Finished:
        ends, stop = self.decoding.end_token_ids, self.decoding.stop
        answers = [
            self.loaded.task.decode(record, [feature], text_generation.Answer(ids, ends, stop), self.setup)
            for ids in samples
        ]
        return Finished(record, answers, None, feature.notes.cut_tokens)


@dataclass
class _Chunk:
    """What is known of a chunk's records, by their place in it: new token ids are a list for each sample."""

    features: dict[int, Feature] = field(default_factory=dict)
    keys: dict[int, list[bytes]] = field(default_factory=dict)
    made: dict[int, list[list[int]]] = field(default_factory=dict)
    errors: dict[int, HfcliError] = field(default_factory=dict)


@dataclass
class _Progress:
    share: float = 0.0
    finished: int = 0
    tokens: int = 0
    chunk_rows: int = 0
    chunk_tokens: int = 0
    chunk_most_tokens: int = 0


def _located(error: HfcliError, row: Row) -> HfcliError:
    """The error with the place of its record in front, if it does not name it already."""
    if row.error is error or not row.where:
        return error
    return type(error)(f"{row.where}: {error.message}", error.hint)
