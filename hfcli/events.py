"""What a long job tells while it runs: the runtime calls `tell(event)`, the console decides what is shown.

A job's results are yielded; these are about the job. Callbacks rather than yields, because `model.generate` and the
Hub's downloads call back from their own loops. Training owns its loop, and yields what it tells (`Training`).
"""

from collections.abc import Callable
from typing import NamedTuple


class Note(NamedTuple):
    """Something the user should know, said once."""

    text: str


class Downloading(NamedTuple):
    """A repository is being fetched. Sizes in bytes, of everything that is fetched."""

    name: str
    done_bytes: int
    total_bytes: int


class Working(NamedTuple):
    """Many records are being worked on.

    Attributes:
        records: Records finished.
        tokens: Tokens generated so far, also of unfinished records; None where records are counted instead.
        fraction: Share of the input that was finished, None where its size is unknown.
        seconds: Since the first record.
        fraction_before: The share that an earlier run had finished.
        note: What else was counted, such as "2 longer than 512 tokens (cut)".
        what: What records are called.
    """

    records: int
    tokens: int | None
    fraction: float | None
    seconds: float
    fraction_before: float = 0.0
    note: str = ""
    what: str = "records"


class Lengths(NamedTuple):
    """How long the training texts are, in tokens, and what --max-length does to them.

    Attributes:
        median: Half of the records are longer.
        p95: 95% are shorter.
        longest: The longest.
        max_length: Most tokens at once.
        cut_records: Share of records that are longer, between 0 and 1.
        cut_tokens: Share of all tokens that are cut off (or, with windows, read in a further one).
        on_long: What happens to them: truncate, window or error.
    """

    median: int
    p95: int
    longest: int
    max_length: int
    cut_records: float
    cut_tokens: float
    on_long: str


class Head(NamedTuple):
    """What a run is going to do, shown before it does it. Everything is ready to be shown.

    Attributes:
        model: Full name, size and head: "google-bert/bert-base-uncased · 109 M parameters · new head, 2 labels".
        data: Lines: name and columns, then how many records learn and measure.
        lengths: None for what has none.
        device: "cuda:0 H100, bfloat16 · about 5.3 of 79 GB".
        run: "runs/imdb-bert · batch 32 · lr 2e-05 · 3 epochs".
        resume: Lines about the run that is gone on with, () for a new one.
    """

    model: str
    data: tuple[str, ...]
    lengths: Lengths | None
    device: str
    run: str
    resume: tuple[str, ...] = ()


class Step(NamedTuple):
    """An optimizer step is done.

    Attributes:
        step: Its number, from 1.
        steps: How many there will be.
        loss: Its mean loss per target.
        learning_rate: Of the fastest parameters.
        records_per_second: Lately.
        seconds_left: An estimate, None where it would be a guess.
        memory_bytes: Most that was in use, on the device (CUDA) or by the process.
        saved_step: The step that `--resume` would go on from, 0 before the first save.
        saved_seconds: Since then.
    """

    step: int
    steps: int
    loss: float
    learning_rate: float
    records_per_second: float
    seconds_left: float | None
    memory_bytes: int
    saved_step: int
    saved_seconds: float


class Measured(NamedTuple):
    """A score with its interval: between `low` and `high` with 95% confidence, over `n` records."""

    value: float
    low: float
    high: float
    n: int


class Evaluated(NamedTuple):
    """The model was measured during training.

    Attributes:
        epoch: Passes over the data so far, such as 1.0 or 2.54.
        step: After this step.
        train_loss: Mean loss per target since the last time.
        eval_loss: Mean loss per target of the evaluation records; None for a metric-only evaluation.
        metric: Name of the metric that picks the best.
        score: That metric's score.
        best: Whether it is the best so far.
        seconds: Since training began, earlier sessions of a resumed run included.
    """

    epoch: float
    step: int
    train_loss: float
    eval_loss: float | None
    metric: str
    score: Measured
    best: bool
    seconds: float


class Saved(NamedTuple):
    """A checkpoint is on disk."""

    step: int
    steps: int
    seconds: float
    asked: bool = False
    """Whether a signal asked for it."""


class Stopping(NamedTuple):
    """A signal arrived: the run stops after this step. A second one stops it at once, at the save of `saved_step`."""

    saved_step: int


class Progress(NamedTuple):
    """A part of a job that takes a while is under way: encoding, measuring.

    Attributes:
        what: "encoding", "measuring".
        done: Records done.
        total: Of so many.
    """

    what: str
    done: int
    total: int


Event = Note | Downloading | Working | Progress | Stopping
Training = Head | Step | Evaluated | Saved
Tell = Callable[[Event], None]
