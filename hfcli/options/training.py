"""The options of training: what is learnt and how, what becomes of the run.

Which data and how its texts are read is in `reading.py`, which weights learn in `transfer.py`.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple

import typer

from hfcli.errors import UsageError
from hfcli.options._numbers import number, whole
from hfcli.options.answering import AnswersOptions, LongestOptions, QuestionOptions
from hfcli.options.reading import TextOptions

PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")


@dataclass(frozen=True)
class LabelOptions:
    """What is learnt."""

    task: Annotated[str | None, typer.Option("--task", help="What to learn.", show_default="from the columns")] = None
    label_column: Annotated[
        str | None, typer.Option("--label-column", help="Column that holds the label.", show_default="by name and type")
    ] = None
    problem_type: Annotated[
        Literal["single_label_classification", "multi_label_classification", "regression"] | None,
        typer.Option(
            "--problem-type",
            metavar="TYPE",
            help="single_label_classification, multi_label_classification or regression.",
            show_default="from the labels",
        ),
    ] = None


class Asked(NamedTuple):
    """What flags say of columns, lengths and targets."""

    texts: TextOptions
    labels: LabelOptions
    questions: QuestionOptions
    answers: AnswersOptions
    longest: LongestOptions

    @property
    def columns(self) -> dict[str, str | None]:
        """The column of each field of any task: None where there is no flag, "" to take none."""
        return {
            "text": self.texts.text_column,
            "text_pair": self.texts.text_pair_column,
            "label": self.labels.label_column,
            "question": self.questions.question_column,
            "context": self.questions.context_column,
            "answers": self.answers.answers_column,
        }


@dataclass(frozen=True)
class TrainingOptions:
    """How the model learns. None means: the task's own default."""

    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            "--lr",
            parser=number(0, above=True),
            metavar="LR",
            help="At its peak.",
            show_default="2e-5; answers 3e-5",
        ),
    ] = None
    num_train_epochs: Annotated[
        float | None,
        typer.Option(
            "--num-train-epochs", "--epochs", parser=number(0, above=True), metavar="N", help="Passes over the data.",
            show_default="3; answers 2",
        ),
    ] = None  # fmt: skip
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", parser=whole(1), metavar="N", help="Steps, instead of epochs.")
    ] = None
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            parser=whole(1),
            metavar="N",
            help="Records a step, over all devices.",
            show_default="32; answers 12",
        ),
    ] = None
    per_device_train_batch_size: Annotated[
        int | None,
        typer.Option("--per-device-train-batch-size", parser=whole(1), metavar="N", help="... or records a device."),
    ] = None
    gradient_accumulation_steps: Annotated[
        int,
        typer.Option(
            "--gradient-accumulation-steps", parser=whole(1), metavar="N", help="... so many of these a step."
        ),
    ] = 1
    tokens_per_batch: Annotated[
        int | None,
        typer.Option(
            "--tokens-per-batch", parser=whole(1), metavar="N", help="Tokens on a device at once (speed, not result).",
            show_default="what its memory holds",
        ),
    ] = None  # fmt: skip
    weight_decay: Annotated[
        float,
        typer.Option("--weight-decay", parser=number(0), metavar="W", help="AdamW's, not on biases and norms."),
    ] = 0.01
    warmup_ratio: Annotated[
        float, typer.Option("--warmup-ratio", parser=number(0, 1), metavar="R", help="Share of the steps to warm up.")
    ] = 0.06
    lr_scheduler_type: Annotated[
        Literal["linear", "cosine", "constant"],
        typer.Option("--lr-scheduler-type", help="Course of the learning rate after that."),
    ] = "linear"
    max_grad_norm: Annotated[
        float, typer.Option("--max-grad-norm", parser=number(0), metavar="G", help="Clip gradients there; 0 does not.")
    ] = 1.0
    label_smoothing_factor: Annotated[
        float, typer.Option("--label-smoothing-factor", parser=number(0, 1), metavar="F", help="Soften the labels.")
    ] = 0.0
    class_weight: Annotated[
        str | None,
        typer.Option("--class-weight", metavar="W", help="balanced, or neg=1,pos=2: what errors on a class cost."),
    ] = None
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="Less memory, about a third slower.")
    ] = False
    seed: Annotated[int, typer.Option("--seed", parser=whole(0, 2**32), metavar="N", help="Seed of everything.")] = 42
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="1,2,3", help="One run a seed; mean and deviation, the best kept.")
    ] = None

    def check(self) -> None:
        """Refuse combinations that contradict each other, before anything is loaded."""
        if self.max_steps and self.num_train_epochs:
            raise UsageError("--max-steps and --num-train-epochs both set the end", "leave one of them out")
        if self.batch_size and self.per_device_train_batch_size:
            raise UsageError(
                "--batch-size counts over all devices, --per-device-train-batch-size on each", "leave one of them out"
            )
        if self.gradient_accumulation_steps > 1 and not self.per_device_train_batch_size:
            raise UsageError(
                "--gradient-accumulation-steps multiplies --per-device-train-batch-size, which is not given",
                "--batch-size N is the whole step; hfcli cuts it to what memory holds",
            )
        if self.seeds is not None:
            self.seed_list()

    def seed_list(self) -> list[int]:
        """The seeds of --seeds, or [] without it."""
        if self.seeds is None:
            return []
        parts = [part.strip() for part in self.seeds.split(",")]
        if not all(part.isdecimal() and int(part) < 2**32 for part in parts) or len(set(parts)) < max(len(parts), 2):
            raise UsageError(f"--seeds {self.seeds!r} is not a list of different whole numbers", "--seeds 1,2,3")
        return [int(part) for part in parts]


@dataclass(frozen=True)
class RunOptions:
    """When to measure and save, where the run is kept, and how much is said."""

    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder of the run.", show_default="runs/DATA-MODEL"),
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in that folder stopped.")] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start again in a folder that is there.")] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, the data and the memory it takes; train nothing.")
    ] = False
    metric_for_best_model: Annotated[
        str | None,
        typer.Option(
            "--metric-for-best-model", "--metric", help="Picks the best checkpoint.", show_default="the task's"
        ),
    ] = None
    eval_steps: Annotated[
        int | None,
        typer.Option(
            "--eval-steps", parser=whole(1), metavar="N", help="Measure every N steps.", show_default="an epoch"
        ),
    ] = None
    early_stopping_patience: Annotated[
        int | None,
        typer.Option(
            "--early-stopping-patience", parser=whole(1), metavar="N", help="Stop after N without a new best."
        ),
    ] = None
    save_steps: Annotated[
        int | None, typer.Option("--save-steps", parser=whole(1), metavar="N", help="Save every N steps, too.")
    ] = None
    save_minutes: Annotated[
        float | None,
        typer.Option("--save-minutes", parser=number(0, above=True), metavar="M", help="Save every M minutes, too."),
    ] = 10
    save_epochs: Annotated[
        int, typer.Option("--save-epochs", parser=whole(1), metavar="N", help="Save every N epochs.")
    ] = 1
    save_total_limit: Annotated[
        int,
        typer.Option("--save-total-limit", parser=whole(1), metavar="N", help="Checkpoints kept, besides the best."),
    ] = 1
    report_to: Annotated[
        list[str],
        typer.Option(
            "--report-to", help="Tracker: tensorboard, wandb, mlflow ...; may be repeated.", show_default=False
        ),
    ] = field(default_factory=list)
    push_to_hub: Annotated[
        str | None, typer.Option("--push-to-hub", metavar="OWNER/NAME", help="Upload the result (private if new).")
    ] = None
    json: Annotated[bool, typer.Option("--json", help="metrics.json on standard output, not the folder.")] = False
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no notes; errors only.")] = False
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Say where values that were not typed came from.")
    ] = False

    def check(self) -> None:
        """Refuse combinations that contradict each other, before anything is loaded."""
        if self.quiet and self.verbose:
            raise UsageError("--quiet says nothing and --verbose more", "leave one of them out")
        if self.resume and self.overwrite:
            raise UsageError("--resume goes on, --overwrite starts again", "leave one of them out")
        if self.dry_run and (self.resume or self.overwrite):
            flag = "--resume" if self.resume else "--overwrite"
            raise UsageError(f"--dry-run changes nothing, {flag} does", "leave one of them out")
