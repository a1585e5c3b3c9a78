"""`hfcli finetune` without its screen: from what was asked for to a trained model in a folder."""

import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import accelerate
import numpy as np
import psutil
import torch

from hfcli.errors import ModelError, UsageError, did_you_mean
from hfcli.events import Head, Measured, Note, Tell, Training
from hfcli.options import ModelOptions
from hfcli.options.training import RunOptions, TrainingOptions
from hfcli.options.transfer import TransferOptions
from hfcli.runtime import checkpoints, environment, folders, foundation, loading, memory, optimization, trainable
from hfcli.runtime import sharding as shares
from hfcli.runtime.evaluation import Evaluator
from hfcli.runtime.finishing import finish
from hfcli.runtime.forward import Loss, Network, class_weights
from hfcli.runtime.judging import SPANS, Judged, kind_of, primary
from hfcli.runtime.plan import Plan
from hfcli.runtime.preparing import Prepared
from hfcli.runtime.run import Job, State, Stop
from hfcli.runtime.saving import Result
from hfcli.runtime.training import HISTORY, train


@dataclass
class Finetuning:
    """One model, one data set, one seed.

    Attributes:
        prepared: Data, labels and features.
        model: How the model is loaded and placed.
        training: How it learns.
        transfer: What of it learns.
        run: When to measure and save.
        folder: Where everything goes.
        flags: What the user typed, by flag; for the recipe that repeats the run.
        tell: Gets notes and progress.
        sharded: Whether ranks share one model; else each has a whole one.
    """

    prepared: Prepared
    model: ModelOptions
    training: TrainingOptions
    transfer: TransferOptions
    run: RunOptions
    folder: Path
    flags: Mapping[str, Any]
    tell: Tell
    sharded: bool = False
    best: dict[int, Judged] = field(default_factory=dict)

    def __post_init__(self) -> None:
        prepared = self.prepared
        self.metric, self.higher = primary(self.run.metric_for_best_model, kind_of(prepared.settings))
        self.began = time.monotonic()
        self.accelerator = self._accelerator()
        self.device = self.accelerator.device
        defaults = prepared.task.defaults
        self.rate = self.training.learning_rate or float(defaults["learning_rate"])
        each = self.training.per_device_train_batch_size
        world = self.accelerator.num_processes
        batch = each * world * self.training.gradient_accumulation_steps if each else self.training.batch_size
        self.batch = batch or int(defaults["batch_size"])
        encoded = prepared.encoded
        self.plan = Plan(encoded.starts, encoded.lengths, self.batch, self.training.seed)
        self.epochs = self.training.num_train_epochs or float(defaults["num_train_epochs"])
        self.steps = self.training.max_steps or math.ceil(self.epochs * self.plan.steps_per_epoch)
        if self.training.max_steps:
            self.epochs = self.steps / self.plan.steps_per_epoch
        self.class_weights = self._class_weights()
        self._load()

    # the parts

    def _class_weights(self) -> list[float] | None:
        encoded, names = self.prepared.encoded, self.prepared.goal.names
        training = self.training
        given = {"--class-weight": training.class_weight, "--label-smoothing-factor": training.label_smoothing_factor}
        if not names:
            for flag in filter(given.get, given):
                what = "answers are spans" if kind_of(self.prepared.settings) == SPANS else "these labels are numbers"
                raise UsageError(f"{flag} is about classes, and {what}", f"leave out {flag}")
            return None
        values = encoded.labels["labels"][encoded.starts[:-1]]
        counts = values.sum(0) if values.ndim == 2 else np.bincount(values.astype(int), minlength=len(names))
        return class_weights(training.class_weight, names, counts)

    def _accelerator(self) -> Any:
        device = environment.pick_device(self.model.device, self.tell)
        self.placement = trainable.place(device, self.model.dtype)
        self.dtype, self.why = self.placement.dtype_name, self.placement.reason
        if device.index:
            os.environ["ACCELERATE_TORCH_DEVICE"] = str(device)
        for tracker in self.run.report_to:
            there = [str(kind.value) for kind in accelerate.tracking.get_available_trackers()]
            if tracker not in there:
                known = [str(kind.value) for kind in accelerate.utils.LoggerType if kind.value != "all"]
                if tracker in known:
                    raise UsageError(f"--report-to {tracker} is not installed", f"pip install {tracker}")
                near = did_you_mean(tracker, known)
                raise UsageError(f"--report-to {tracker} is no tracker; there is {', '.join(known)}", near)
        accelerate.state.AcceleratorState._reset_state()  # else a second run in this process has the first one's dtype
        return accelerate.Accelerator(
            cpu=device.type == "cpu",
            mixed_precision="bf16" if self.dtype == "bfloat16" else "no",
            log_with=self.run.report_to or None,
            project_dir=str(self.folder),
        )

    def _load(self) -> None:
        """The model on its device, and what learns of it."""
        prepared, free = self.prepared, environment.free_bytes(self.device)
        overrides = prepared.goal.overrides
        built = foundation.build(prepared.task, prepared.foundation, overrides, self.model, self.training.seed)
        self.new_head, spans = built.new_head, kind_of(prepared.settings) == SPANS
        torch.manual_seed(self.training.seed)
        name = prepared.foundation.location.name
        model = trainable.equip(built.model, name, self.training, self.transfer, spans)
        tokens = prepared.encoded.take([0])[0].inputs["input_ids"]
        if model.config.is_encoder_decoder and prepared.goal.names:  # it classifies by the token that ends a text
            end = model.config.eos_token_id
            if end not in tokens or prepared.foundation.tokenizer.pad_token_id == end:
                wrong = "does not add" if end not in tokens else "pads with"
                raise ModelError(f"the tokenizer of {name} {wrong} the end token, by which the model classifies")
        where, world = self.placement._replace(device=self.device), self.accelerator.num_processes
        self.parameters = sum(parameter.numel() for parameter in model.parameters())
        if self.sharded:  # what is put together at a time is more than a share
            here = shares.most_here(model, optimization.stacks(model).values(), world)
            free -= 4 * (here - self.parameters // world)
        model = trainable.settle(
            model, where, torch.tensor(tokens[None], dtype=torch.long), name if self.sharded else ""
        )
        self.learning = optimization.Learning(model, self.training, self.transfer, self.rate, self.steps)
        vocabulary = loading.vocabulary_size(model)
        wide = min(prepared.foundation.max_tokens, 1 << 20) if self.dtype == "bfloat16" else 0
        tokenizer, outputs = prepared.foundation.tokenizer, prepared.task.outputs
        self.network = Network(model, tokenizer, vocabulary, self.device, wide, outputs)
        self.learns = sum(parameter.numel() for parameter in self.learning.parameters.values())
        length = int(prepared.encoded.lengths.max())
        need = memory.Need(
            where, model.config, self.parameters, self.learns, self.learning.layers, length,
            self.training.gradient_checkpointing, self.transfer.lora, world, self.sharded,
        )  # fmt: skip
        self.max_tokens = self.training.tokens_per_batch or need.tokens_at_once(free)
        if self.sharded:  # ranks that share a model run it equally often
            self.max_tokens = self._least(self.max_tokens)
        self.eval_tokens = self.max_tokens * 2  # no gradients to keep
        self.estimate = need.estimate(min(self.max_tokens, length * self.batch))

    def _least(self, number: int) -> int:
        """The smallest of all ranks' numbers."""
        least = torch.tensor(number, device=self.device)
        torch.distributed.all_reduce(least, torch.distributed.ReduceOp.MIN)
        return int(least)

    def head(self, resumed: tuple[str, ...] = ()) -> Head:
        """What is going to be done, in lines."""
        prepared = self.prepared
        size = f"{self.parameters / 1e6:,.0f} M" if self.parameters >= 1e6 else f"{self.parameters / 1e3:,.0f} k"
        parts = [str(prepared.foundation.location.name), f"{size} parameters"]
        parts.append(f"{'new' if self.new_head else 'its own'} head, {prepared.goal.what}")
        if self.learns < self.parameters:
            parts.append(f"{self.learns / self.parameters:.2%} of them learn")
        data = f"{prepared.data.name} · {prepared.goal.data_line(prepared)}"
        where = f"held out (no validation split; 10%, seed {self.training.seed})"
        evaluated = where if prepared.held_out else f"to measure on ({prepared.evaluation.name})"
        counts = f"{len(prepared.encoded):,} train · {len(prepared.encoded_evaluation):,} {evaluated}"
        name = "cpu" if self.device.type == "cpu" else f"{self.device} {torch.cuda.get_device_name(self.device)}"
        free = environment.total_bytes(self.device) / 1e9
        taken = self.estimate.total
        if self.device.type == "cpu":  # libraries and data are in the same memory
            taken += max(psutil.Process().memory_info().rss - self.estimate.weights, 0)
        device = f"{name}, {self.dtype}{', sharded' * self.sharded} · about {taken / 1e9:.1f} of {free:.0f} GB"
        if self.accelerator.num_processes > 1:
            device = f"{self.accelerator.num_processes} x {device}"
        epochs = (
            f"{self.epochs:g} epoch{'s' * (self.epochs != 1)}"
            if not self.training.max_steps
            else f"{self.steps:,} step{'s' * (self.steps != 1)}"
        )
        run = f"{self.folder} · batch {self.batch} · lr {re.sub(r'[.]?0*e', 'e', f'{self.rate:.3e}')} · {epochs}"
        return Head(" · ".join(parts), (data, counts), prepared.lengths, device, run, resumed)

    def identity(self) -> dict[str, Any]:
        """What the result depends on besides versions."""
        prepared = self.prepared
        names = [name for name in prepared.columns.values() if name]
        training = asdict(self.training)
        for free in (
            "tokens_per_batch", "gradient_checkpointing", "seeds", "batch_size", "per_device_train_batch_size",
            "gradient_accumulation_steps", "num_train_epochs", "max_steps",
        ):  # fmt: skip
            training.pop(free)
        return {
            "model": str(prepared.foundation.location),
            "train": prepared.train.digest(names),
            "evaluation": prepared.evaluation.digest(names),
            "labels": list(prepared.goal.names),
            "settings": asdict(prepared.settings),
            **{name.replace("_", "-"): value for name, value in {**training, **asdict(self.transfer)}.items()},
            "learning-rate": self.rate,
            "batch-size": self.batch,
            "steps": self.steps,
            "metric": self.metric,
            "eval-steps": self.run.eval_steps,
            "early-stopping-patience": self.run.early_stopping_patience,
            "dtype": self.dtype,
        }

    def circumstances(self) -> dict[str, str]:
        """What the result's bits depend on, but not what is learnt."""
        cuda = self.device.type == "cuda"
        return {
            **environment.versions(),
            "device": torch.cuda.get_device_name(self.device) if cuda else self.device.type,
            "processes": f"{self.accelerator.num_processes}{' sharing one model' * self.sharded}",
            "tokens-per-batch": str(self.training.tokens_per_batch or "auto"),
            "gradient-checkpointing": str(self.training.gradient_checkpointing).lower(),
        }

    # the run

    def go(self) -> Iterator[Training | Result]:
        """Train, and put the result into the folder: Head, Step, Evaluated, Saved ..., and Result at the end."""
        if not self.accelerator.is_main_process:
            self.accelerator.wait_for_everyone()
            if not checkpoints.locked(self.folder):
                raise UsageError(
                    f"rank {self.accelerator.process_index} does not see {self.folder}, which rank 0 writes",
                    "-o DIR names a folder that all machines share",
                )
            checkpoint, _ = checkpoints.newest(self.folder)
            yield from self._go(checkpoint, ())
            return
        with checkpoints.lock(self.folder):
            opened = folders.open_run(self.folder, self.run, self.identity(), self.circumstances())
            self.accelerator.wait_for_everyone()
            yield from self._go(opened.checkpoint, opened.said)

    def _go(self, checkpoint: checkpoints.Checkpoint | None, said: tuple[str, ...]) -> Iterator[Training | Result]:
        state, identity = State(self.max_tokens, self.eval_tokens), self.identity()
        if checkpoint is not None:
            state = self._restore(checkpoint)
            epoch = f"{state.step / self.plan.steps_per_epoch:.2f}"
            where = f"{self.folder} · step {state.step:,} of {self.steps:,}, epoch {epoch}, hashes ok"
            said = (where, *said)
        yield self.head(said)
        if self.accelerator.is_main_process:
            checkpoints.truncate_history(self.folder / HISTORY, state.step)
        if self.run.report_to:
            plain = {name: v if isinstance(v, int | float | bool) else str(v) for name, v in identity.items()}
            self.accelerator.init_trackers(self.folder.name, config=plain)
        try:
            yield from train(self._job(state), state)
        finally:
            if self.run.report_to:
                self.accelerator.end_training()
        yield finish(self, state)

    def _restore(self, checkpoint: checkpoints.Checkpoint) -> State:
        kept = {name: checkpoint.state[name] for name in State.__dataclass_fields__}
        model, optimizer = (checkpoints.tensors(checkpoint, stem) for stem in ("model", "optimizer"))
        self.learning.restore(model, optimizer)
        state, then = State(**kept), checkpoint.state["versions"]
        memory = ("device", "processes", "tokens-per-batch", "gradient-checkpointing")
        if any(then.get(name) != self.circumstances()[name] for name in memory):
            state.max_tokens, state.eval_tokens = self.max_tokens, self.eval_tokens
        if state.best_step not in (0, state.step):
            best, said = checkpoints.newest(self.folder, state.best_step)
            if best is None:
                why = said[0] if said else f"checkpoint-{state.best_step} is not there"
                self.tell(Note(f"{why}: it was the best so far; the best from here on is taken"))
                state.best_step, state.best_value = state.step * (state.step >= self.steps), None
                state.without_best = 0
        return state

    def _job(self, state: State) -> Job:
        prepared = self.prepared
        tensor = None if self.class_weights is None else torch.tensor(self.class_weights, device=self.device)
        loss = Loss(tensor, self.training.label_smoothing_factor)
        judge = prepared.goal.judge(prepared, self.metric)
        evaluator = Evaluator(self.network, prepared.encoded_evaluation, self.accelerator, state.eval_tokens, self.tell)

        def evaluate(stop: Stop) -> tuple[float, dict[str, Measured]] | None:
            alone = self.accelerator.num_processes == 1  # else the ranks would wait for the one that stopped
            if not alone:  # they deal out batches, which must be the same ones for all
                evaluator.max_tokens = self._least(state.eval_tokens)
            outputs = evaluator.outputs(lambda: bool(stop.number) and alone)
            state.eval_tokens = evaluator.max_tokens
            if outputs is None:
                return None
            judged = judge.judge(outputs, loss)
            self.best[state.step] = judged
            for step in [step for step in self.best if step not in (state.step, state.best_step)]:
                del self.best[step]
            return judged.loss, judged.scores

        self.judge, self.evaluate = judge, evaluate
        return Job(
            self.network, self.learning, loss, self.plan, prepared.encoded, self.accelerator, self.steps,
            self.training.seed, self.folder, evaluate, self.metric, self.higher, self.training.max_grad_norm, self.run,
            self.tell, {"versions": self.circumstances()},
        )  # fmt: skip
