"""Texts from many records: batched by length and tokens, drawn so that the batch does not matter."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hfcli.errors import DataError, HfcliError, UsageError
from hfcli.events import Note, Tell
from hfcli.options import PromptOptions
from hfcli.records import Row, dumps
from hfcli.runtime import dealing, generation, sampling
from hfcli.runtime.batching import MAX_ROWS, Together, batches, budget_tokens, together
from hfcli.runtime.chunking import SILENCE_SECONDS, ByNumber, Chunk, Finished, Tick, chunks, run
from hfcli.runtime.dealing import Dealt, Part
from hfcli.runtime.decoding import Decoding
from hfcli.runtime.loading import Loaded
from hfcli.tasks import text_generation
from hfcli.tasks.base import Feature, Setup

CHUNK_TOKENS = 256  # new tokens that the rows of a chunk have one after another: about a minute on two cores


@dataclass
class Generator:
    """Turns records into texts with one loaded model.

    Attributes:
        loaded: The model.
        decoding: The settings.
        options: How records become prompts.
        keep_going: Whether a bad record gets an error in its place instead of ending the job.
        shard: Which part of the records this is, from 1, and of how many: a prompt that is in several of them is not
            the same sample there.
        seen: How often each prompt came so far, so that the same prompt twice is not the same sample twice. Kept only
            when sampling: about 100 bytes a different prompt.

    Raises:
        UsageError: Prompts are to lose their end, and that is where the model goes on.
    """

    loaded: Loaded
    decoding: Decoding
    options: PromptOptions
    keep_going: bool = False
    shard: tuple[int, int] = (1, 1)
    seen: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        loaded = self.loaded
        if self.options.on_long == "truncate" and not loaded.model.config.is_encoder_decoder:
            message = f"--on-long truncate drops the end of a prompt, which is where {loaded.location.name} goes on"
            raise UsageError(message, "--on-long truncate is for encoder-decoders such as T5 or BART")
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

    def skip(self, row: Row) -> None:
        """Count a record that an earlier run has finished.

        Raises:
            DataError: It cannot be worked on, and so was not.
        """
        if row.record is None:
            raise row.error or DataError("unreadable")
        if self.keep_going:
            self.encode(row.record)
        self.count(row.record)

    def count(self, record: Mapping[str, Any]) -> int:
        """How often this prompt came before."""
        if not self.decoding.do_sample:
            return 0
        key = hash(dumps(text_generation.ask(record, self.options)))
        self.seen[key] = self.seen.get(key, -1) + 1
        part, parts = self.shard
        return self.seen[key] * parts + part - 1

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
        # More rows than a batch holds can be sorted by length; how many depends on settings only, so that a resumed job
        # cuts its chunks where the first one did.
        size = self.max_rows * (min(8, max(1, CHUNK_TOKENS // self.decoding.max_new_tokens)) if patient else 1)
        cut = ByNumber(size, size - done % size)
        return run(chunks(rows, cut, None if patient else SILENCE_SECONDS), self, tell, fraction, done)

    def note(self) -> None:
        """New tokens are what is counted."""

    @property
    def ahead(self) -> int:
        """Chunks that are begun before the first of them ends."""
        return dealing.ahead(self.loaded.remote)

    def begin(self, rows: Sequence[Row], tell: Tell) -> "_Known":
        """A chunk's prompts, read, encoded, and dealt out in batches."""
        known = _Known(Chunk(rows, self.keep_going))
        features = known.features
        for i, record in known.chunk.readable():
            try:
                feature = self.encode(record)
                known.keys[i] = self.keys(record, feature)
                features[i] = feature
            except HfcliError as error:
                known.chunk.errors[i] = error
        if len(features) > 1 and self.together is None:
            self.together = together(self.loaded)
            if self.together != "any":
                tell(Note(f"this kind of model mixes up the texts of a batch; {self.together} is right, and slower"))
        parts = [Part(batch, [(features[i], known.keys[i]) for i in batch]) for batch in self._batches(features)]
        known.dealt = Dealt(self.loaded, _texts, parts, self.decoding, self.loaded.remote)
        return known

    def _batches(self, features: Mapping[int, Feature]) -> Iterator[list[int]]:
        budget = budget_tokens(self.loaded)
        return batches(features, self.decoding, self.loaded, self.max_rows, budget, self.together or "any")

    def end(self, known: "_Known", tick: Tick, tell: Tell) -> tuple[list[Finished], HfcliError | None]:
        """Its records finished, up to the first that fails, and that failure.

        Where memory ran out, batches of later chunks are smaller; but for rounding, no text depends on the batch it was
        made in.
        """
        most_tokens = len(known.chunk.rows) * self.decoding.copies * self.decoding.max_new_tokens
        assert known.dealt is not None
        for _, done, told in known.dealt.results(lambda tokens: tick(tokens, tokens / most_tokens)):
            known.made |= done.outputs
            for count, left in done.halved:
                self.max_rows = min(self.max_rows, left * self.decoding.copies)
                tell(Note(f"out of memory at {count} prompts at once; now {left} at most"))
            for i in done.too_large:
                known.chunk.errors[i] = generation.too_large(known.features[i])
            if not told:
                tokens = sum(len(ids) for samples in done.outputs.values() for ids in samples)
                tick(tokens, tokens / most_tokens)
        return known.chunk.settled(lambda i, record: self._finished(record, known.features[i], known.made[i]))

    def _finished(self, record: Mapping[str, Any], feature: Feature, samples: Sequence[list[int]]) -> Finished:
        ends, stop = self.decoding.end_token_ids, self.decoding.stop
        answers = [
            self.loaded.task.decode(record, [feature], text_generation.Answer(ids, ends, stop), self.setup)
            for ids in samples
        ]
        return Finished(record, answers, None, feature.notes.cut_tokens)


@dataclass
class _Known:
    """What is known of a chunk's records, by their place in it: new token ids are a list for each sample."""

    chunk: Chunk
    dealt: Dealt | None = None
    features: dict[int, Feature] = field(default_factory=dict)
    keys: dict[int, list[bytes]] = field(default_factory=dict)
    made: dict[int, list[list[int]]] = field(default_factory=dict)


def _texts(
    loaded: Loaded, items: list[tuple[Feature, list[bytes]]], decoding: Decoding, tick: Callable[[int], None]
) -> list[list[list[int]]]:
    features, keys = [feature for feature, _ in items], [keys for _, keys in items]
    return generation.generate(loaded, features, keys, decoding, tick)
