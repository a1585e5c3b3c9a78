"""`hfcli finetune`: a model of your own from a pretrained one and labelled records."""

import dataclasses
import os
import re
import shlex
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hfcli import launch
from hfcli.cli import _accelerate, _origins, _ranks, _remembered
from hfcli.cli._expand import expand
from hfcli.cli._refuse import no_empty_text
from hfcli.cli.console import Console
from hfcli.errors import UsageError
from hfcli.options import ModelOptions
from hfcli.options.answering import AnswersOptions, LongestOptions, QuestionOptions
from hfcli.options.ranks import TrainingRanks
from hfcli.options.reading import DataOptions, TextOptions
from hfcli.options.training import Asked, LabelOptions, RunOptions, TrainingOptions
from hfcli.options.transfer import TransferOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from hfcli.cli._training import Ended, TrainingView
    from hfcli.runtime.preparing import Prepared
    from hfcli.runtime.ranks import Connected
    from hfcli.runtime.saving import Result

# What a run is called, shown by and fetched with; not what it is.
_NOT_REPEATED = (
    "model",
    "dataset",
    "output",
    "resume",
    "overwrite",
    "dry_run",
    "push_to_hub",
    "json",
    "quiet",
    "verbose",
    "offline",
)


@expand
def finetune(
    name: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="Hub name or folder of the model to begin with.", show_default=False),
    ] = None,
    *,
    model: ModelOptions,
    data: DataOptions,
    texts: TextOptions,
    labels: LabelOptions,
    questions: QuestionOptions,
    answers: AnswersOptions,
    longest: LongestOptions,
    training: TrainingOptions,
    transfer: TransferOptions,
    run: RunOptions,
    ranks: TrainingRanks,
) -> None:
    """Train a model on labelled records, or on questions and their answers.

    Columns, labels, validation records, batch and device are found and shown; flags decide otherwise. Standard output
    is one line, the folder of the result.

    \b
    hfcli finetune bert-base-uncased --dataset imdb
    hfcli finetune bert-base-uncased --dataset tickets.csv --label-column queue
    hfcli finetune bert-base-uncased --dataset squad
    m=$(hfcli finetune MODEL --dataset D -q) && hfcli classify -m "$m" "some text"
    """
    if name:
        _origins.forget("model")
    model, training = _accelerate.honoured(replace(model, model=name or model.model), training)
    asked = Asked(texts, labels, questions, answers, longest)
    for group in (model, data, labels, questions, answers, run):
        no_empty_text(group)
    for checked in (data, training, transfer, run):
        checked.check()
    if not model.model:
        raise UsageError("no model to begin with", "hfcli finetune bert-base-uncased --dataset imdb")
    if not data.dataset:
        raise UsageError("no data to learn from", f"hfcli finetune {model.model} --dataset imdb, or FILE.csv")
    _ranks.start(ranks)
    alone = launch.world().size == 1
    if ranks.fsdp and alone:
        raise UsageError("--fsdp shares a model among several processes, and this is one", "--num-processes N")
    sharded = (ranks.fsdp or _accelerate.fsdp()) and not alone
    _accelerate.keep_out()
    folder = Path(run.output or default_folder(model.model, data))
    flags = _given(model, data, *asked, training, transfer, run)
    console = Console(run.quiet or _rank() > 0)
    try:
        connected = _ranks.join(ranks, model.device, keep=True)
        if connected is not None and "-" in (data.dataset, data.eval_dataset):
            from hfcli.runtime.ranks import share_stdin

            share_stdin(connected)
        _Command(console, model, data, asked, training, transfer, run, folder, flags, connected, sharded).go()
    finally:
        console.close()


class _Command:
    """One call of finetune."""

    def __init__(
        self,
        console: Console,
        model: ModelOptions,
        data: DataOptions,
        asked: Asked,
        training: TrainingOptions,
        transfer: TransferOptions,
        run: RunOptions,
        folder: Path,
        flags: dict[str, Any],
        connected: "Connected | None",
        sharded: bool,
    ) -> None:
        self.console, self.folder, self.flags, self.run = console, folder, flags, run
        self.model, self.data, self.asked = model, data, asked
        self.training, self.transfer, self.connected, self.sharded = training, transfer, connected, sharded

    def go(self) -> None:
        from hfcli.cli._training import TrainingView
        from hfcli.runtime import environment, folders, preparing

        if not self.run.dry_run and folders.look(self.folder, self.run):
            self.console.note(f"{self.folder} is finished already; --overwrite makes it anew")
            return self._answer()
        if self.run.push_to_hub:
            from hfcli.runtime import saving

            if self.model.offline:
                raise UsageError("--push-to-hub needs the network, and --offline forbids it", "leave one of them out")
            saving.check_push(self.run.push_to_hub)
        environment.silence()
        if self.run.verbose:
            _origins.tell(self.console)
        prepared = preparing.prepare(self.model, self.data, self.asked, self.training, self.console.tell, self._turns())
        view = TrainingView(self.console)
        if self.run.dry_run:
            return self._dry(view, prepared)
        seeds = self.training.seed_list()
        if seeds:
            self._seeds(view, prepared, seeds)
        else:
            result = self._one(view, prepared, self.training, self.folder)
            view.end(self._ended(result, prepared))
        self._answer()

    def _turns(self) -> "Callable[[], AbstractContextManager[None]]":
        if self.connected is None:
            return nullcontext
        from hfcli.runtime.ranks import turns

        return turns(self.connected)

    def _finetuning(self, view: "TrainingView", prepared: "Prepared", training: TrainingOptions, folder: Path) -> Any:
        from hfcli.runtime.finetuning import Finetuning

        return Finetuning(
            prepared, self.model, training, self.transfer, self.run, folder, self.flags, view.event, self.sharded
        )

    def _one(self, view: "TrainingView", prepared: "Prepared", training: TrainingOptions, folder: Path) -> "Result":
        from hfcli.events import Head
        from hfcli.runtime.saving import Result

        with closing(self._finetuning(view, prepared, training, folder).go()) as events:
            for event in events:
                if isinstance(event, Result):
                    return event
                if isinstance(event, Head):
                    view.head(event)
                    for line in prepared.warnings:
                        self.console.note(line)
                else:
                    view.event(event)
        raise AssertionError("a run ends with its result")

    def _seeds(self, view: "TrainingView", prepared: "Prepared", seeds: list[int]) -> None:
        """A run for each seed; the best one's result becomes the folder's."""
        from hfcli.runtime import checkpoints, folders
        from hfcli.runtime import seeds as several
        from hfcli.runtime.judging import kind_of, primary

        metric, higher = primary(self.run.metric_for_best_model, kind_of(prepared.settings))
        inner = replace(self.run, overwrite=False)
        first, runs = _rank() == 0, []
        with checkpoints.lock(self.folder) if first else nullcontext():
            if first:
                folders.open_run(self.folder, self.run, {"seeds": seeds})
            for seed in seeds:
                own = self.folder / f"seed-{seed}"
                # None of these runs ends without all ranks, so what another rank finds finished was so from the start.
                there = (own / folders.FINISHED).exists() and not self.run.overwrite
                if not (folders.look(own, inner) if first else there):
                    self.console.line(f"seed    {seed}")
                    self._one(view, prepared, replace(self.training, seed=seed), own)
                runs.append(several.read(seed, own, metric))
            if first:
                view.seeds(metric, several.settle(self.folder, runs, metric, higher))

    def _dry(self, view: "TrainingView", prepared: "Prepared") -> None:
        from hfcli.cli._checked import as_json, lines

        finetuning = self._finetuning(view, prepared, self.training, self.folder)
        if _rank() > 0:
            return
        if self.run.json:
            from hfcli.records import dumps

            head = finetuning.head()
            lengths = head.lengths._asdict() if head.lengths else None
            plan = {**head._asdict(), "lengths": lengths, "steps": finetuning.steps}
            memory = finetuning.estimate._asdict()
            self.console.data(dumps({"plan": plan, "check": as_json(prepared.report), "memory_bytes": memory}) + "\n")
            return
        view.dry(finetuning.head(), lines(prepared.report, False), finetuning.estimate._asdict())

    def _ended(self, result: "Result", prepared: "Prepared") -> "Ended":
        from hfcli.cli._training import Ended

        folder = shlex.quote(str(self.folder))
        example = "--file FILE" if result.columns.get("text_pair") else '"some text"'
        line = f"hfcli classify -m {folder} {example}"
        if result.settings.task == "question-answering":
            line = f'hfcli qa -m {folder} --context-file FILE --question "..."'
        return Ended(
            scores=result.scores,
            metric=next(iter(result.scores)),
            held_out=prepared.held_out,
            evaluation=prepared.evaluation.name,
            best_epoch=result.best["epoch"] if sum("eval_loss" in entry for entry in result.history) > 1 else None,
            per_class=result.per_class,
            surprising=len(result.surprising),
            surprising_path=str(self.folder / "surprising.jsonl"),
            next_lines=[line],
        )

    def _answer(self) -> None:
        """Upload it if asked to; then what standard output gets: the folder, or what is known about the model in it."""
        if _rank() > 0:
            return
        if self.run.push_to_hub:
            from hfcli.runtime import saving

            saving.push(self.folder, self.run.push_to_hub, self.console.tell)
        metrics = (self.folder / "metrics.json").read_text(encoding="utf-8")
        _remembered.scores_of(metrics)
        if self.run.json:
            self.console.data(metrics)
        else:
            self.console.data(f"{self.folder}\n")


def default_folder(model: str, data: DataOptions) -> str:
    """runs/imdb-bert-base-uncased."""
    name = "stdin" if data.dataset == "-" else os.path.basename(str(data.dataset).rstrip("/"))
    name = re.sub(r"\.(csv|tsv|jsonl|json|ndjson|parquet)(\.gz)?$", "", name)
    parts = [name, *([data.subset] if data.subset else []), os.path.basename(model.rstrip("/"))]
    return "runs/" + "-".join(re.sub(r"[^\w.-]+", "-", part) for part in parts)


def _given(*groups: Any) -> dict[str, Any]:
    """The flags that differ from their defaults: what a recipe needs to repeat the run."""
    given = {}
    for group in groups:
        for field in dataclasses.fields(group):
            value = getattr(group, field.name)
            default = [] if field.default is dataclasses.MISSING else field.default
            if value != default and field.name not in _NOT_REPEATED[2:]:
                given[field.name.replace("_", "-")] = value
    return given


def _rank() -> int:
    return launch.world().rank
