"""The end of a finetuning: the best weights as a model anybody can load, and what is known about them."""

import json
import os
import re
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hfcli.errors import DataError
from hfcli.runtime import checkpoints, environment, quick, saving, settings, sharding
from hfcli.runtime.run import State, Stop
from hfcli.runtime.saving import Result
from hfcli.runtime.training import HISTORY
from hfcli.tasks.base import Settings

if TYPE_CHECKING:
    from hfcli.runtime.finetuning import Finetuning


def finish(run: "Finetuning", state: State) -> Result:
    """The best weights, as a model anybody can load, with everything that is known about them."""
    if state.best_step != state.step:
        found = [entry for entry in run.folder.glob(f"checkpoint-{state.best_step}") if entry.is_dir()]
        checkpoint, said = checkpoints.newest(run.folder, state.best_step) if found else (None, [])
        if checkpoint is None:
            raise DataError(f"the best checkpoint of {run.folder} is gone ({'; '.join(said)})", "--overwrite")
        run.learning.restore(checkpoints.tensors(checkpoint, "model"), {})
    if state.best_step not in run.best:  # measured before the run was interrupted
        kept, state.step = state.step, state.best_step
        run.evaluate(Stop())
        state.step = kept
    result = _result(run, state)
    run.accelerator.wait_for_everyone()  # until all have read the checkpoint that goes now
    sharding.put_together(run.network.model, keep=run.accelerator.is_main_process)
    if run.accelerator.is_main_process:
        _save_model(run, result.settings)
        saving.write(result)
        checkpoints.prune(run.folder, 0, ())
    run.accelerator.wait_for_everyone()
    return result


def _save_model(run: "Finetuning", read: Settings) -> None:
    """Written aside and moved file by file: what is in the folder is whole."""
    aside = run.folder / ".model"
    shutil.rmtree(aside, ignore_errors=True)
    model, tokenizer = run.network.model, run.prepared.foundation.tokenizer
    try:
        if run.transfer.lora:
            for config in model.peft_config.values():
                config.base_model_name_or_path = run.prepared.foundation.location.name
            model.save_pretrained(run.folder / "adapter")
            settings.write(run.folder / "adapter", read)
            model = model.merge_and_unload(safe_merge=True)
        quick.restore(model)
        model.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
        settings.write(aside, read)
        mode = (aside / "config.json").stat().st_mode
        for file in sorted(aside.iterdir()):
            file.chmod(mode)  # safetensors writes files for the owner alone
            with open(file, "rb") as written:
                os.fsync(written.fileno())
            file.replace(run.folder / file.name)
        aside.rmdir()
    except Exception as error:
        told = re.search(r"os error ([0-9]+)", str(error))  # safetensors and tokenizers raise kinds of their own
        if told is None and not isinstance(error, OSError):
            raise
        reason = os.strerror(int(told[1])) if told else str(getattr(error, "strerror", None) or error)
        hint = "make room; the same line with --resume writes it again"
        raise DataError(f"{run.folder} cannot be written ({reason.lower()})", hint) from error


def _result(run: "Finetuning", state: State) -> Result:
    prepared = run.prepared
    judged = run.best[state.best_step]
    scores = judged.scores
    location = prepared.foundation.location
    history = [json.loads(line) for line in (run.folder / HISTORY).read_text(encoding="utf-8").splitlines()]
    roles = [("train", prepared.train), ("evaluation", prepared.evaluation)]
    described = [
        {
            "role": role, "name": split.source, "subset": split.subset, "split": split.name,
            "revision": split.revision, "records": len(split), "held_out": role == "evaluation" and prepared.held_out,
        }
        for role, split in roles
    ]  # fmt: skip
    return Result(
        folder=run.folder, model_name=location.name, model_revision=location.commit, data=described,
        columns=dict(prepared.columns), settings=judged.settings, labels=prepared.goal.names,
        options=dict(run.flags), hyperparameters=_hyperparameters(run), history=history,
        best={"epoch": state.best_step / run.plan.steps_per_epoch, "step": state.best_step, "loss": judged.loss},
        scores={run.metric: scores[run.metric], **scores}, per_class=run.judge.per_class(judged),
        confusion=run.judge.confusion(judged),
        lengths=prepared.lengths, surprising=run.judge.surprising(judged), versions=environment.versions(),
        device=run.head().device.split(" · ")[0], seconds=state.seconds, seed=run.training.seed,
    )  # fmt: skip


def _hyperparameters(run: "Finetuning") -> dict[str, Any]:
    both = {**asdict(run.training), **asdict(run.transfer)}
    lora = {name: value for name, value in both.items() if not name.startswith("lora") or run.transfer.lora}
    shown = {name.replace("_", "-"): value for name, value in lora.items() if value not in (None, False)}
    drop = ("per-device-train-batch-size", "gradient-accumulation-steps", "seeds", "max-steps")
    shown = {name: value for name, value in shown.items() if name not in drop}
    effective = {"learning-rate": run.rate, "batch-size": run.batch, "num-train-epochs": round(run.epochs, 4)}
    return {
        **effective,
        **{name: value for name, value in shown.items() if name not in effective},
        "steps": run.steps,
    }
