"""`hfcli estimate`: whether finetuning a model fits into memory here, before anything is fetched but its config."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from hfcli.cli._estimated import Estimated
from hfcli.cli._expand import Only, expand
from hfcli.cli._format import ascii_glyphs
from hfcli.cli._refuse import no_empty_text
from hfcli.cli.console import Console
from hfcli.errors import Exit, UsageError
from hfcli.options import ModelOptions
from hfcli.options.estimating import EstimateOptions
from hfcli.options.reading import DataOptions, TextOptions
from hfcli.options.training import LabelOptions, TrainingOptions
from hfcli.options.transfer import TransferOptions

if TYPE_CHECKING:
    from hfcli.runtime.estimating import Estimating
    from hfcli.runtime.trial import Measured


@expand
def estimate(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="Hub name or folder of the model; its config is enough.", show_default=False
        ),
    ] = None,
    *,
    model: Annotated[ModelOptions, Only("model", "revision", "device", "dtype", "offline", "trust_remote_code")],
    labels: Annotated[LabelOptions, Only("task")],
    texts: Annotated[TextOptions, Only("max_length")],
    training: Annotated[
        TrainingOptions,
        Only(
            "batch_size",
            "per_device_train_batch_size",
            "gradient_accumulation_steps",
            "tokens_per_batch",
            "gradient_checkpointing",
            "num_train_epochs",
            "max_steps",
        ),
    ],
    transfer: Annotated[TransferOptions, Only("freeze", "freeze_layers", "lora", "lora_r", "lora_target_modules")],
    data: Annotated[DataOptions, Only("dataset", "subset", "dataset_revision", "train_split", "max_train_samples")],
    options: EstimateOptions,
) -> None:
    """Say whether finetuning a model fits into memory.

    The flags are finetune's. Only the model's config is fetched. Where a step fits, one is taken with random weights,
    and what it took is shown beside the estimate. Where none fits, flags that would, and exit 6.

    \b
    hfcli estimate bert-base-uncased --batch-size 32 --max-length 512
    hfcli estimate Qwen/Qwen2.5-7B --lora
    hfcli estimate bert-base-uncased --dataset imdb
    """
    model = replace(model, model=name or model.model)
    for group in (model, labels, data):
        no_empty_text(group)
    for checked in (training, transfer):
        checked.check()
    options.check_with(labels.task)
    data.check()
    if not model.model:
        raise UsageError("no model to estimate", "hfcli estimate bert-base-uncased")
    console = Console(options.quiet)
    try:
        shown = _estimated(console, model, labels.task, texts.max_length, training, transfer, data, options)
    finally:
        console.close()
    if options.json:
        from hfcli.records import dumps

        console.data(dumps(shown.json()) + "\n")
    else:
        text = "".join(f"{line}\n" for line in shown.lines())
        console.data(text if "utf" in (sys.stdout.encoding or "").lower() else ascii_glyphs(text))
    raise typer.Exit(Exit.OK if shown.fits else Exit.DEVICE)


def _estimated(
    console: Console,
    model: ModelOptions,
    task: str | None,
    max_length: int | None,
    training: TrainingOptions,
    transfer: TransferOptions,
    data: DataOptions,
    options: EstimateOptions,
) -> Estimated:
    from hfcli import tasks

    if task is not None:
        tasks.get(task)  # a mistyped name is reported before anything heavy is imported
    from hfcli.runtime import environment, estimating

    environment.silence()
    records = None
    if data.dataset:
        records, columns = estimating.look(data, model.offline, console.tell)
        task = task or tasks.infer(columns)
    wanted = options.num_processes
    world = max(environment.accelerators(), 1) if wanted == "auto" else int(wanted)
    asked = estimating.Asked(model, task, max_length, training, transfer, world, options.fsdp and world > 1)
    found = estimating.Estimating(asked, console.tell)
    return Estimated(found, records, *_measured(found, options.measure))


def _measured(found: "Estimating", wanted: bool | None) -> "tuple[Measured | None, bool]":
    """What a step took, and whether memory held it as far as is known."""
    if found.plan is None or not found.fits or wanted is False or found.asked.fsdp:
        return None, found.fits
    try:
        return found.measure(anyway=wanted is True), True
    except MemoryError:
        return None, False
