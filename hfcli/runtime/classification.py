"""Labels, or numbers, for many records: read by their columns, batched by length and tokens, given back in order."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from hfcli.errors import DataError, DeviceError, HfcliError, ModelError, UsageError
from hfcli.events import Note, Tell
from hfcli.options import ModelOptions
from hfcli.options.classification import ClassifyOptions
from hfcli.options.training import TextOptions
from hfcli.records import Row
from hfcli.runtime import environment, labelling, loading, settings
from hfcli.runtime.batching import MAX_ROWS, Together, by_tokens, logit_tokens, logits_together
from hfcli.runtime.chunking import SILENCE_SECONDS, ByWork, Chunk, Finished, Tick, chunks, in_halves, run
from hfcli.runtime.columns import Columns
from hfcli.runtime.forward import Network
from hfcli.runtime.loading import Loaded
from hfcli.tasks.base import Feature, Record, Settings, Setup, Task

CHUNK_CHARACTERS = (1 << 15, 1 << 22)
_CHUNK_SECONDS = 2.0
_OPERATIONS_A_SECOND = {"cpu": 1e11, "cuda": 1e14, "mps": 2e12}  # roughly, in bfloat16
_CHARACTERS_A_TOKEN = 4
_ODD = (RuntimeError, ValueError, TypeError, IndexError, AttributeError, KeyError)  # what a model raises that is amiss


@dataclass
class Classifier:
    """A loaded model with everything that decides what it says.

    Attributes:
        loaded: The model.
        settings: How texts are read, without their columns.
        columns: Where the texts of a record are.
        labels: What can come out.
        show: What of it is shown.
        keep_going: Whether a bad record gets an error in its place instead of ending the job.
        longer: Records so far that had more tokens than fit at once.
    """

    loaded: Loaded
    settings: Settings
    columns: Columns
    labels: labelling.Labels
    show: ClassifyOptions
    keep_going: bool = False
    longer: int = 0
    together: Together | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        loaded = self.loaded
        self.setup = setup(loaded, self.settings)
        self.network = Network(loaded.model, loaded.tokenizer, loaded.vocabulary, loaded.placement.device)
        self.budget = logit_tokens(loaded, self.settings.max_length)
        most = self._chunk_characters()
        self.cut = ByWork(min(self.budget * _CHARACTERS_A_TOKEN, most), most)

    def _chunk_characters(self) -> int:
        """Characters of the records of a chunk: about two seconds of work."""
        model = self.loaded.model
        embedding = model.get_input_embeddings()
        known = embedding.weight.numel() if isinstance(embedding, torch.nn.Module) else 0
        weights = sum(parameter.numel() for parameter in model.parameters()) - known
        a_second = _OPERATIONS_A_SECOND[self.loaded.placement.device.type] / (2 * max(weights, 1))
        characters = int(_CHUNK_SECONDS * a_second * _CHARACTERS_A_TOKEN)
        least, most = CHUNK_CHARACTERS
        return min(max(characters, least), most) // len(self.labels.questions({"text": ""}))

    def skip(self, row: Row) -> None:
        """Count a record that an earlier run has finished.

        Raises:
            DataError: It cannot be worked on, and so was not.
        """
        self.cut(row)
        if row.record is None:
            raise row.error or DataError("unreadable")
        asked = self.ask(row.record)
        if self.keep_going:
            list(self.loaded.task.encode(asked, self.setup))

    def run(
        self,
        rows: Iterable[Row],
        tell: Tell,
        fraction: Callable[[float], float | None],
        *,
        done: int = 0,
        patient: bool = False,
    ) -> Iterator[list[Finished]]:
        """Records finished, in input order, as many at a time as make good batches; see `chunking.run`.

        Args:
            rows: The input, read ahead by a thread; those that an earlier run has finished went to `skip`.
            tell: Gets progress.
            fraction: The share of the input that so many records are, those of an earlier run counted in.
            done: Records that an earlier run has finished.
            patient: Wait for whole chunks, however slowly the input comes.
        """
        return run(chunks(rows, self.cut, None if patient else SILENCE_SECONDS), self, tell, fraction, done)

    def note(self) -> str:
        """How many records were longer than fits at once, and what became of them; "" where none was."""
        if not self.longer:
            return ""
        how = "cut" if self.settings.on_long == "truncate" else "windows, pooled"
        return f"{self.longer:,} longer than {self.settings.max_length:,} tokens ({how})"

    def ask(self, record: Mapping[str, Any]) -> list[Record]:
        """What the model reads for a record, [] where there is nothing to read.

        Raises:
            DataError: A column is not there, or holds no text.
        """
        texts = self.columns.canonical(record)
        return self.labels.questions(texts) if any(text.strip() for text in texts.values()) else []

    def chunk(self, rows: Sequence[Row], tick: Tick, tell: Tell) -> tuple[list[Finished], HfcliError | None]:
        """A chunk's records finished, up to the first that fails, and that failure."""
        known = _Known(Chunk(rows, self.keep_going))
        for i, record in known.chunk.readable():
            try:
                known.asked[i] = self.ask(record)
            except HfcliError as error:
                known.chunk.errors[i] = error
        self._encode(known)
        if len(set(known.lengths)) > 1 and self.together is None:
            with _explained(self.loaded):
                self.together = logits_together(self.network, self.loaded.task, self.setup)
            if self.together != "any":
                tell(Note(f"this kind of model mixes up the texts of a batch; {self.together} is right, and slower"))
        self._answer(known, tick, tell)
        return known.chunk.settled(lambda i, record: self._finished(record, known, i))

    def _encode(self, known: "_Known") -> None:
        """Questions to features: all of a chunk in one call of the tokenizer, which then uses every core.

        After a record that cannot be encoded it begins again behind it, with one, then two, then four.
        """
        # Not while the model runs: on two cores this is a quarter of the time of the smallest models, and a hundredth
        # of MiniLM's, and the model has use for both.
        questions = [(i, question) for i, asked in known.asked.items() for question in asked]
        at, count = 0, len(questions)
        while at < len(questions):
            try:
                for features in self.loaded.task.encode([asked for _, asked in questions[at : at + count]], self.setup):
                    known.add(questions[at][0], features)
                    at += 1
                count *= 2
            except DataError as error:
                i = questions[at][0]
                known.chunk.errors[i] = error
                if known.chunk.ends(i):
                    return
                at, count = at + 1, 1

    def _answer(self, known: "_Known", tick: Tick, tell: Tell) -> None:
        """Fill in the logits of all features. Out of memory halves a batch, and those of later chunks."""
        features, lengths = known.features, known.lengths
        total, device = sum(lengths), self.loaded.placement.device.type

        def work(part: list[int]) -> None:
            logits = self._logits([features[f] for f in part])
            if known.logits is None:
                known.logits = np.zeros((len(features), logits.shape[1]), dtype=np.float32)
            known.logits[part] = logits
            tokens = sum(lengths[f] for f in part)
            tick(tokens, tokens / total)

        for batch in by_tokens(lengths, self.budget, MAX_ROWS[device], self.together or "any"):
            width = lengths[batch[0]]

            def halved(count: int, left: int, width: int = width) -> None:
                self.budget = min(self.budget, left * width)
                tell(Note("out of memory; batches are smaller from here on"))

            for f in in_halves(batch, work, halved):
                known.chunk.errors[known.owners[f]] = DeviceError(
                    f"out of memory at a text of {lengths[f]:,} tokens", "a smaller --max-length, or --dtype bfloat16"
                )

    def _logits(self, features: list[Feature]) -> np.ndarray:
        """float32 of shape `(features, labels)`."""
        highest = max(int(feature.inputs["input_ids"].max()) for feature in features)
        if highest >= self.loaded.vocabulary:
            raise ModelError(
                f"the tokenizer gives token id {highest:,}, and the model has {self.loaded.vocabulary:,}",
                "copy or fetch model and tokenizer again, both from the same place",
            )
        with torch.inference_mode(), _explained(self.loaded):
            logits: np.ndarray = self.network.logits(features).float().cpu().numpy()
        return logits

    def _finished(self, record: Mapping[str, Any], known: "_Known", i: int) -> Finished:
        spans = known.spans.get(i)
        if spans is None or known.logits is None:
            return Finished(record, [labelling.nothing(self.labels)])
        features = [known.features[begin:end] for begin, end in spans]
        outputs = [known.logits[begin:end] for begin, end in spans]
        prediction = self.labels.prediction(known.asked[i][0], features, outputs)
        over = max(windows[0].notes.total_tokens for windows in features) - self.settings.max_length
        self.longer += over > 0
        return Finished(record, [labelling.shown(prediction, self.show)], None, max(over, 0))


@dataclass
class _Known:
    """What is known of a chunk.

    Attributes:
        chunk: Its rows, and what went wrong with some of them.
        asked: What the model reads for each record, by the record's place.
        features: All of them, one after the other.
        owners: The record of each.
        spans: For each record and question where its windows begin and end among the features.
        logits: Of all features, float32 of shape `(features, labels)`.
    """

    chunk: Chunk
    asked: dict[int, list[Record]] = field(default_factory=dict)
    features: list[Feature] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    spans: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    logits: np.ndarray | None = None

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


@contextlib.contextmanager
def _explained(loaded: Loaded) -> Iterator[None]:
    """What a config holds, and what a kernel is missing, is only seen when a model runs; that is about the model."""
    try:
        yield
    except _ODD as error:
        if isinstance(error, RuntimeError) and environment.out_of_memory(error):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        half = loaded.placement.dtype != torch.float32
        raise ModelError(
            f"{loaded.location.name} cannot classify in {loaded.placement.dtype_name}: {reason}",
            "--dtype float32" if half else "its config.json may hold what makes no sense; fetch it again",
        ) from error


def load(task: Task, options: ModelOptions, tell: Tell) -> Loaded:
    """Load a classifier; in float32 where it cannot compute in what `--dtype auto` would take (DeBERTa, FNet).

    Raises:
        ModelError: It cannot be found, fetched or loaded, or has no trained head.
        DeviceError: The device is not there, or its memory does not hold the model.
    """
    loaded = loading.load(task, options, tell)
    if options.dtype != "auto" or loaded.placement.dtype == torch.float32:
        return loaded
    ids = np.array(loaded.tokenizer("one two")["input_ids"], dtype=np.int32)
    network = Network(loaded.model, loaded.tokenizer, loaded.vocabulary, loaded.placement.device)
    try:
        with torch.inference_mode():
            network.logits([Feature({"input_ids": ids}, {})])
    except _ODD as error:  # what does not run in any format is explained where it is used
        if not isinstance(error, RuntimeError) or environment.out_of_memory(error):
            return loaded
        tell(Note(f"{loaded.location.name} cannot compute in {loaded.placement.dtype_name}; float32 is used"))
        return loading.load(task, replace(options, dtype="float32"), tell)
    return loaded


def setup(loaded: Loaded, chosen: Settings) -> Setup:
    """What encode and decode look at."""
    config = loaded.model.config
    labels = tuple(str(config.id2label[i]) for i in sorted(config.id2label or {}))
    return Setup(loaded.tokenizer, config, chosen, labels, loaded.max_tokens)


def choose(loaded: Loaded, texts: TextOptions, show: ClassifyOptions, keep_going: bool) -> Classifier:
    """A classifier as flags say, else as stored with the model, else as is usual.

    Raises:
        UsageError: A flag means nothing for this model, or more than it takes.
        ModelError: The model was not made for this.
    """
    name, most = loaded.location.name, loaded.max_tokens
    stored = settings.read(loaded.location.folder)
    if stored is not None and stored.task != loaded.task.name:
        raise ModelError(f"{name} was finetuned for {stored.task}, not for {loaded.task.name}", "take another model")
    known = stored or Settings(loaded.task.name, {}, max_length=512)
    length = texts.max_length or min(known.max_length, most)
    if length > most:
        raise UsageError(f"--max-length {length:,}: {name} takes {most:,} tokens", f"--max-length {most}")
    stride = texts.doc_stride
    if stride is None:
        stride = known.doc_stride if known.doc_stride < length / 2 else length // 4
    threshold = known.threshold if show.threshold is None else show.threshold
    chosen = replace(
        known, max_length=length, on_long=texts.on_long or known.on_long, doc_stride=stride, threshold=threshold
    )
    given = {"text": texts.text_column, "text_pair": texts.text_pair_column}
    columns = {} if stored is None else {name: stored.columns.get(name) for name in given}
    own = labelling.OwnLabels(loaded.task, setup(loaded, chosen))
    labels = own if show.labels is None else labelling.any_labels(loaded, show, chosen)
    labelling.check(show, labels, name)
    if show.labels is not None:
        given["text_pair"], columns = given["text_pair"] or "", {}
    return Classifier(
        loaded, replace(chosen, columns={}), Columns(loaded.task, given, columns, name), labels, show, keep_going
    )
