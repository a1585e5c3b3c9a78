"""Labels, or numbers, for many records: read by their columns, batched by length and tokens, given back in order."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hfcli.errors import HfcliError, ModelError
from hfcli.events import Tell
from hfcli.options.classification import ClassifyOptions
from hfcli.options.reading import TextOptions
from hfcli.records import Row
from hfcli.runtime import dealing, labelling, settings
from hfcli.runtime.asking import Asker, Known, ask_each, setup
from hfcli.runtime.chunking import SILENCE_SECONDS, Chunk, Finished, Tick, chunks, run
from hfcli.runtime.columns import Columns
from hfcli.runtime.lengths import fit
from hfcli.runtime.loading import Loaded
from hfcli.tasks.base import Record, Settings


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

    def __post_init__(self) -> None:
        self.asker = Asker(self.loaded, setup(self.loaded, self.settings), "classify")
        self.cut = self.asker.cut(len(self.labels.questions({"text": ""})))

    def skip(self, row: Row) -> None:
        """Count a record that an earlier run has finished.

        Raises:
            DataError: It cannot be worked on, and so was not.
        """
        self.cut(row)
        self.asker.skip(row, self.ask, self.keep_going)

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

    def begin(self, rows: Sequence[Row], tell: Tell) -> Known:
        """A chunk's records, read, encoded, and dealt out in batches."""
        known = ask_each(Chunk(rows, self.keep_going), self.ask)
        self.asker.begin(known, tell)
        return known

    def end(self, known: Known, tick: Tick, tell: Tell) -> tuple[list[Finished], HfcliError | None]:
        """Its records finished, up to the first that fails, and that failure."""
        self.asker.end(known, tick, tell)
        return known.chunk.settled(lambda i, record: self._finished(record, known, i))

    @property
    def ahead(self) -> int:
        """Chunks that are begun before the first of them ends."""
        return dealing.ahead(self.loaded.remote)

    def _finished(self, record: Mapping[str, Any], known: Known, i: int) -> Finished:
        if i not in known.spans:
            return Finished(record, [labelling.nothing(self.labels)])
        features, outputs = known.windows(i)
        prediction = self.labels.prediction(known.asked[i][0], features, [np.stack(rows) for rows in outputs])
        over = max(windows[0].notes.total_tokens for windows in features) - self.settings.max_length
        self.longer += over > 0
        return Finished(record, [labelling.shown(prediction, self.show)], None, max(over, 0))


def choose(loaded: Loaded, texts: TextOptions, show: ClassifyOptions, keep_going: bool) -> Classifier:
    """A classifier as flags say, else as stored with the model, else as is usual.

    Raises:
        UsageError: A flag means nothing for this model, or more than it takes.
        ModelError: The model was not made for this.
    """
    name, most = loaded.location.name, loaded.max_tokens
    stored = settings.of(loaded.location.folder, loaded.adapter.folder if loaded.adapter else None)
    if stored is not None and stored.task != loaded.task.name:
        raise ModelError(f"{name} was finetuned for {stored.task}, not for {loaded.task.name}", "take another model")
    known = stored or Settings(loaded.task.name, {}, max_length=512)
    length = fit(texts.max_length or min(known.max_length, most), most, name)
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
