"""The end of a finetuning: the best weights as a model anybody can load, and what is known about them."""

import json
import os
import re
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from hfcli import metrics
from hfcli.errors import DataError
from hfcli.records import dumps
from hfcli.runtime import checkpoints, environment, quick, saving, settings
from hfcli.runtime.run import State, Stop
from hfcli.runtime.saving import Result
from hfcli.runtime.training import HISTORY

if TYPE_CHECKING:
    from hfcli.runtime.finetuning import Finetuning

_SURE = 0.99  # from here on a wrong prediction is more likely a wrong label
_SURPRISING = 100


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
    if run.accelerator.is_main_process:
        _save_model(run)
        saving.write(result)
        checkpoints.prune(run.folder, 0, ())
    run.accelerator.wait_for_everyone()
    return result


def _save_model(run: "Finetuning") -> None:
    """Written aside and moved file by file: what is in the folder is whole."""
    aside = run.folder / ".model"
    shutil.rmtree(aside, ignore_errors=True)
    model, tokenizer = run.network.model, run.prepared.foundation.tokenizer
    try:
        if run.transfer.lora:
            for config in model.peft_config.values():
                config.base_model_name_or_path = run.prepared.foundation.location.name
            model.save_pretrained(run.folder / "adapter")
            model = model.merge_and_unload(safe_merge=True)
        quick.restore(model)
        model.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
        settings.write(aside, run.prepared.settings)
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
    loss, probabilities, scores = run.best[state.best_step]
    per_class, confusion = _classes(run, probabilities)
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
        columns=dict(prepared.columns), settings=prepared.settings, labels=prepared.labels.names,
        options=dict(run.flags), hyperparameters=_hyperparameters(run), history=history,
        best={"epoch": state.best_step / run.plan.steps_per_epoch, "step": state.best_step, "loss": loss},
        scores={run.metric: scores[run.metric], **scores}, per_class=per_class, confusion=confusion,
        lengths=prepared.lengths, surprising=_surprising(run, probabilities), versions=environment.versions(),
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


def _classes(
    run: "Finetuning", probabilities: np.ndarray
) -> tuple[list[dict[str, Any]] | None, list[list[int]] | None]:
    names, evaluator = run.prepared.labels.names, run.evaluator
    if evaluator.kind == "regression":
        return None, None
    predictions = evaluator.predictions(probabilities)
    report = metrics.report(predictions, evaluator.references, names)
    if evaluator.kind != "single_label_classification":
        return report, None
    return report, metrics.confusion(predictions, evaluator.references, len(names)).tolist()


def _surprising(run: "Finetuning", probabilities: np.ndarray) -> list[dict[str, Any]]:
    """Records that the model is sure are labelled wrongly, the surest first."""
    evaluator, prepared = run.evaluator, run.prepared
    if evaluator.kind != "single_label_classification":
        return []
    predictions, references, names = probabilities.argmax(1), evaluator.references, prepared.labels.names
    sure = probabilities.max(1)
    found = np.flatnonzero((predictions != references) & (sure > _SURE))
    found = found[np.argsort(-sure[found], kind="stable")][:_SURPRISING]
    fields = {column: column for name, column in prepared.columns.items() if column and name != "label"}
    records = prepared.evaluation.records(found, fields)
    return [
        {
            **json.loads(dumps(record)), "label": names[int(references[i])], "predicted": names[int(predictions[i])],
            "score": round(float(sure[i]), 6), "where": prepared.evaluation.where(int(i)),
        }
        for i, record in zip(found, records, strict=True)
    ]  # fmt: skip
