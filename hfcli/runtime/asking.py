"""A model asked about the records of a chunk: encoded together, in batches by length and tokens, outputs by record."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from hfcli.errors import DataError, DeviceError, HfcliError, ModelError
from hfcli.events import Note, Tell
from hfcli.options import ModelOptions
from hfcli.records import Row
from hfcli.runtime import environment, loading, replicas
from hfcli.runtime.batching import MAX_ROWS, Together, by_tokens, logit_tokens, logits_together
from hfcli.runtime.chunking import ByWork, Chunk, Tick
from hfcli.runtime.dealing import Dealt, Part
from hfcli.runtime.forward import Network, precise_head
from hfcli.runtime.loading import Loaded
from hfcli.tasks.base import Feature, Record, Setup, Task

CHUNK_CHARACTERS = (1 << 15, 1 << 22)
CHARACTERS_A_TOKEN = 4
_CHUNK_SECONDS = 2.0
_OPERATIONS_A_SECOND = {"cpu": 1e11, "cuda": 1e14, "mps": 2e12}  # roughly, in bfloat16
_ODD = (RuntimeError, ValueError, TypeError, IndexError, AttributeError, KeyError)  # what a model raises that is amiss


Ask = Callable[[Mapping[str, Any]], list[Record]]
"""What the model reads for a record, [] for nothing; a DataError where a column is not there, or holds no text."""


@dataclass
class Known:
    """What is known of a chunk.

    Attributes:
        chunk: Its rows, and what went wrong with some of them.
        asked: What the model reads for each record, by the record's place.
        features: All of them, one after the other.
        owners: The record of each.
        spans: For each record and question where its windows begin and end among the features.
        outputs: Of each feature, float32: `(labels,)`, or `(tokens, outputs)` where every token has some.
        dealt: The features in batches, under way.
    """

    chunk: Chunk
    asked: dict[int, list[Record]] = field(default_factory=dict)
    features: list[Feature] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    spans: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    outputs: list[np.ndarray] = field(default_factory=list)
    dealt: Dealt | None = None

    @property
    def lengths(self) -> list[int]:
        """Tokens of each feature."""
        return [len(feature.inputs["input_ids"]) for feature in self.features]

    def add(self, i: int, windows: list[Feature]) -> None:
        """Take in the windows of a record's next question."""
        begin = len(self.features)
        self.features += windows
        self.owners += [i] * len(windows)
        self.spans.setdefault(i, []).append((begin, len(self.features)))

    def windows(self, i: int) -> tuple[list[list[Feature]], list[list[np.ndarray]]]:
        """A record's features and their outputs, by question."""
        spans = self.spans[i]
        return [self.features[a:b] for a, b in spans], [self.outputs[a:b] for a, b in spans]


class Asker:
    """Asks a model.

    Args:
        loaded: The model.
        setup: What encode looks at.
        verb: What the model does, for errors: "classify".
        encode: Records to features; that of the task without one.

    Attributes:
        network: The model with what its inputs need.
        budget: Tokens of a batch.
    """

    def __init__(
        self,
        loaded: Loaded,
        setup: Setup,
        verb: str,
        encode: Callable[[Sequence[Record]], Iterator[list[Feature]]] | None = None,
    ) -> None:
        self.loaded, self.setup, self._verb = loaded, setup, verb
        self._encode = encode or (lambda records: loaded.task.encode(records, setup))
        self.network = network(loaded)
        self.budget = logit_tokens(loaded, setup.options.max_length)
        self._together: Together | None = None

    def cut(self, share: int = 1, more: int = 0) -> ByWork:
        """Chunks of about two seconds of work.

        Args:
            share: Times that the model reads each record.
            more: Characters that it reads with every record and that are not in it.
        """
        model = self.loaded.model
        embedding = model.get_input_embeddings()
        known = embedding.weight.numel() if isinstance(embedding, torch.nn.Module) else 0
        weights = sum(parameter.numel() for parameter in model.parameters()) - known
        a_second = _OPERATIONS_A_SECOND[self.loaded.placement.device.type] / (2 * max(weights, 1))
        characters = int(_CHUNK_SECONDS * a_second * CHARACTERS_A_TOKEN)
        least, most = CHUNK_CHARACTERS
        most = min(max(characters, least), most) // share
        return ByWork(min(self.budget * CHARACTERS_A_TOKEN, most), most, more=more)

    def skip(self, row: Row, ask: Ask, keep_going: bool) -> None:
        """Pass over a record that an earlier run has finished.

        Args:
            row: The record.
            ask: What the model would read for it.
            keep_going: Whether it may have got an error in its place, also for what it says.

        Raises:
            DataError: It cannot be worked on, and so was not.
        """
        if row.record is None:
            raise row.error or DataError("unreadable")
        asked = ask(row.record)
        if keep_going:
            list(self._encode(asked))

    def begin(self, known: Known, tell: Tell) -> None:
        """Encode what is asked, and deal it out in batches."""
        self._encode_all(known)
        lengths = known.lengths
        if len(set(lengths)) > 1 and self._together is None:
            with _explained(self.loaded, self._verb):
                self._together = logits_together(self.network, self.loaded.task, self.setup)
            if self._together != "any":
                tell(Note(f"this kind of model mixes up the texts of a batch; {self._together} is right, and slower"))
        rows = MAX_ROWS[self.loaded.placement.device.type]
        parts = [
            Part(batch, [known.features[f]._replace(labels={}, notes=None) for f in batch])
            for batch in by_tokens(lengths, self.budget, rows, self._together or "any")
        ]
        known.dealt = Dealt(self.loaded, _outputs, parts, self._verb, self.loaded.remote)

    def _encode_all(self, known: Known) -> None:
        """Questions to features: all of a chunk in one call of the tokenizer, which then uses every core.

        After a record that cannot be encoded it begins again behind it, with one, then two, then four.
        """
        # Not while the model runs: on two cores this is a quarter of the time of the smallest models, and a hundredth
        # of MiniLM's, and the model has use for both.
        questions = [(i, question) for i, asked in known.asked.items() for question in asked]
        at, count = 0, len(questions)
        while at < len(questions):
            try:
                for features in self._encode([asked for _, asked in questions[at : at + count]]):
                    known.add(questions[at][0], features)
                    at += 1
                count *= 2
            except DataError as error:
                i = questions[at][0]
                known.chunk.errors[i] = error
                if known.chunk.ends(i):
                    return
                at, count = at + 1, 1

    def end(self, known: Known, tick: Tick, tell: Tell) -> None:
        """Fill in the outputs of all features. Where memory ran out, batches of later chunks are smaller."""
        lengths = known.lengths
        total = sum(lengths)
        known.outputs = [np.zeros(0, dtype=np.float32)] * len(lengths)
        assert known.dealt is not None
        for part, done, _ in known.dealt.results():
            for f, output in done.outputs.items():
                known.outputs[f] = output[: lengths[f]].copy() if output.ndim == 2 else output
            for _, left in done.halved:
                self.budget = min(self.budget, left * lengths[part.places[0]])
                tell(Note("out of memory; batches are smaller from here on"))
            for f in done.too_large:
                known.chunk.errors[known.owners[f]] = DeviceError(
                    f"out of memory at a text of {lengths[f]:,} tokens", "a smaller --max-length, or --dtype bfloat16"
                )
            tokens = sum(lengths[f] for f in part.places)
            tick(tokens, tokens / total)


def _outputs(loaded: Loaded, features: list[Feature], verb: str, tick: Callable[[int], None]) -> np.ndarray:
    """What a model says of features, float32 of shape `(features, labels)` or `(features, longest, outputs)`."""
    highest = max(int(feature.inputs["input_ids"].max()) for feature in features)
    if highest >= loaded.vocabulary:
        raise ModelError(
            f"the tokenizer gives token id {highest:,}, and the model has {loaded.vocabulary:,}",
            "copy or fetch model and tokenizer again, both from the same place",
        )
    with torch.inference_mode(), _explained(loaded, verb):
        outputs: np.ndarray = network(loaded).logits(features).float().cpu().numpy()
    return outputs


@contextlib.contextmanager
def _explained(loaded: Loaded, verb: str) -> Iterator[None]:
    """What a config holds, and what a kernel lacks, is only seen when a model runs; that is about the model."""
    try:
        yield
    except _ODD as error:
        if isinstance(error, RuntimeError) and environment.out_of_memory(error):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        half = loaded.placement.dtype != torch.float32
        raise ModelError(
            f"{loaded.location.name} cannot {verb} in {loaded.placement.dtype_name}: {reason}",
            "--dtype float32" if half else "its config.json may hold what makes no sense; fetch it again",
        ) from error


def ask_each(chunk: Chunk, ask: Ask) -> Known:
    """What the model reads for every record of a chunk that can be read."""
    known = Known(chunk)
    for i, record in chunk.readable():
        try:
            known.asked[i] = ask(record)
        except HfcliError as error:
            chunk.errors[i] = error
    return known


def network(loaded: Loaded) -> Network:
    """A loaded model with what its inputs need."""
    return Network(
        loaded.model, loaded.tokenizer, loaded.vocabulary, loaded.placement.device, outputs=loaded.task.outputs
    )


def load(task: Task, options: ModelOptions, tell: Tell) -> Loaded:
    """Load a model with a head, on all ranks.

    In float32 where it cannot compute in what `--dtype auto` would take (DeBERTa, FNet).

    Raises:
        ModelError: It cannot be found, fetched or loaded, or has no trained head.
        DeviceError: The device is not there, or its memory does not hold the model.
    """
    return replicas.everywhere(_load_here, task, options, tell)


def _load_here(task: Task, options: ModelOptions, tell: Tell) -> Loaded:
    loaded = loading.load_here(task, options, tell)
    precise_head(loaded.model)
    if options.dtype != "auto" or loaded.placement.dtype == torch.float32:
        return loaded
    ids = np.array(loaded.tokenizer("one two")["input_ids"], dtype=np.int32)
    try:
        with torch.inference_mode():
            network(loaded).logits([Feature({"input_ids": ids}, {})])
    except _ODD as error:  # what does not run in any format is explained where it is used
        if not isinstance(error, RuntimeError) or environment.out_of_memory(error):
            return loaded
        tell(Note(f"{loaded.location.name} cannot compute in {loaded.placement.dtype_name}; float32 is used"))
        return loading.load_here(task, replace(options, dtype="float32"), tell)
    return loaded


def setup(loaded: Loaded, chosen: Any) -> Setup:
    """What encode and decode look at."""
    config = loaded.model.config
    labels = tuple(str(config.id2label[i]) for i in sorted(config.id2label or {}))
    return Setup(loaded.tokenizer, config, chosen, labels, loaded.max_tokens)
