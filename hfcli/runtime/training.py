"""The training loop: plan in, steps, scores and checkpoints out, the same on one device and on many.

    for event in train(job, state):        # Step, Evaluated, Saved
        ...

A step is: cut the planned records into micro-batches, add up their gradients, let all ranks agree on what happened, sum
them over ranks, clip, AdamW. Out of memory redoes the step in smaller pieces. But ranks that share one model
(`sharding`) meet in every layer, where gradients are added up, and nothing can be redone. Randomness (dropout) is
seeded for every micro-batch by (seed, step, rank, piece), so a resumed run needs no generator states to be exact.
"""

import hashlib
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import psutil
import torch

from hfcli.errors import DeviceError, ModelError
from hfcli.events import Evaluated, Note, Saved, Step, Stopping, Training
from hfcli.runtime import checkpoints, environment, sharding, watchdog
from hfcli.runtime.forward import targets
from hfcli.runtime.run import Job, State, Stop

HISTORY = "history.jsonl"
_HISTORY_LINES = 500  # about so many losses are kept of a run, however long


def train(job: Job, state: State) -> Iterator[Training]:
    """Train until the last step, or until nothing has become better for long enough.

    Raises:
        ModelError: The loss is not a number any more; what was learnt before is saved.
        DeviceError: One record alone does not fit into memory; what was learnt before is saved.
        KeyboardInterrupt, Terminated: A signal asked for it; the step is finished and saved.
    """
    weights = torch.from_numpy(job.encoded.weights)
    job.rates.start(state)
    with Stop() as stop:
        while True:
            if _evaluation_due(job, state) and not _most(job, stop.number):
                with watchdog.step():
                    evaluated = _evaluate(job, state, stop)
                if evaluated:
                    yield evaluated
            ended = state.step >= job.steps or _has_stopped_improving(job, state)
            asked = _most(job, stop.number)
            if asked or _save_due(job, state, ended):
                yield _save(job, state, bool(asked))
            if asked:
                stop.end(asked)
            if ended:
                return
            with watchdog.step():
                step = _step(job, state, stop, weights)
            yield step


def _step(job: Job, state: State, stop: Stop, weights: torch.Tensor) -> Step:
    began = time.monotonic()
    rate = job.learning.prepare_step(state.step)
    loss = _gradients(job, state, stop, weights)
    while loss is None:
        loss = _gradients(job, state, stop, weights)
    parameters = [parameter for parameter in job.learning.parameters.values() if parameter.grad is not None]
    total = torch.nn.utils.get_total_norm([parameter.grad for parameter in parameters])
    norm = float(sharding.whole(total))
    if job.max_grad_norm and norm > job.max_grad_norm:
        torch.nn.utils.clip_grads_with_norm_(parameters, job.max_grad_norm, total)
    if not math.isfinite(loss) or not math.isfinite(norm):
        job.learning.optimizer.zero_grad(set_to_none=True)
        _save(job, state, asked=False)
        what = "loss" if not math.isfinite(loss) else "gradient"
        raise ModelError(
            f"the {what} of step {state.step + 1:,} is not a number; what was learnt before it is saved",
            f"a lower learning rate: --learning-rate {job.learning.rate / 4:.0e}, or --dtype float32",
        )
    _optimize(job)
    records = len(job.plan.step(state.step))
    state.step += 1
    state.loss_sum, state.loss_steps = state.loss_sum + loss, state.loss_steps + 1
    state.line_sum, state.line_steps = state.line_sum + loss, state.line_steps + 1
    job.rates.stepped(records, time.monotonic() - began)
    if state.step % max(1, job.steps // _HISTORY_LINES) == 0 or state.step == job.steps:
        _write_line(job, state, {"loss": state.line_sum / state.line_steps, "learning_rate": rate})
        state.line_sum, state.line_steps = 0.0, 0
    left = job.rates.left(job, state)
    return Step(
        state.step, job.steps, loss, rate, job.rates.records_per_second, left, _memory_bytes(job.network.device),
        job.rates.saved_step, time.monotonic() - job.rates.saved_at,
    )  # fmt: skip


def _optimize(job: Job) -> None:
    try:
        job.learning.optimizer.step()
    except RuntimeError as error:  # it makes its averages at the first step
        if not environment.out_of_memory(error):
            raise
        raise DeviceError(
            "AdamW's averages, two numbers for every weight that learns, do not fit into memory",
            "--lora, --freeze-layers N or a smaller model take less",
        ) from error
    job.learning.optimizer.zero_grad(set_to_none=True)


def _gradients(job: Job, state: State, stop: Stop, weights: torch.Tensor) -> float | None:
    """Add up the gradients of one step; None when memory did not suffice and the pieces are smaller now.

    Returns:
        The step's mean loss per record.
    """
    accelerator, device = job.accelerator, job.network.device
    rank, world = accelerator.process_index, accelerator.num_processes
    dealt = job.plan.micro_batches(state.step, state.max_tokens, world)
    idle = sharding.idle(dealt, rank) if job.sharded else []
    records = len(job.plan.step(state.step))
    loss_sum = torch.zeros((), device=device)
    failed: tuple[int, int] | None = None
    for number, features in enumerate([*dealt[rank], *idle]):
        counts = float(number < len(dealt[rank]))
        torch.manual_seed(_seed(job.seed, state.step, rank, number))
        taken = job.encoded.take(features)
        try:
            with accelerator.autocast():
                logits = job.network.logits(taken)
            loss = job.loss(logits, targets(taken, device), weights[features].to(device) * counts) / records
            accelerator.backward(loss)
        except RuntimeError as error:
            if not environment.out_of_memory(error):
                raise
            failed = len(features), int(job.encoded.lengths[features[0]])
            if job.sharded:
                raise sharding.does_not_fit(*failed) from error
            break
        loss_sum += loss.detach()
        watchdog.beat()
        if stop.number:
            job.tell(Stopping(job.rates.saved_step))
    return _agree(job, state, loss_sum, failed)


def _agree(job: Job, state: State, loss_sum: torch.Tensor, failed: tuple[int, int] | None) -> float | None:
    """All ranks together: did anybody run out of memory? If not, the sum of gradients and losses."""
    if failed:
        job.learning.optimizer.zero_grad(set_to_none=True)
        environment.empty_cache()
        rows, length = failed
        state.max_tokens = max(rows // 2, 1) * length
        if rows > 1:
            now = f"{math.ceil(rows / (rows // 2))} x {rows // 2}"
            job.tell(Note(f"out of memory at {rows} x {length} tokens; now {now}, same batch, step redone"))
    if length := _most(job, failed[1] if failed and failed[0] == 1 else 0):
        _save(job, state, asked=False)
        raise DeviceError(
            f"one record of {length} tokens does not fit into memory",
            "--gradient-checkpointing, --lora, a smaller --max-length or a smaller model take less",
        )
    if job.sharded:
        torch.distributed.all_reduce(loss_sum)
    if job.sharded or job.accelerator.num_processes == 1:
        return None if failed else float(loss_sum)
    state.max_tokens = -_most(job, -state.max_tokens)
    if _most(job, int(bool(failed))):
        job.learning.optimizer.zero_grad(set_to_none=True)
        return None
    parameters = [parameter for parameter in job.learning.parameters.values() if parameter.requires_grad]
    used = torch.tensor([float(p.grad is not None) for p in parameters] + [0.0], device=loss_sum.device)
    used[-1] = loss_sum
    torch.distributed.all_reduce(used)
    under_way = []
    for parameter, ranks in zip(parameters, used[:-1].tolist(), strict=True):
        if ranks and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        # What the model does not use has no gradient: with zeros instead, AdamW would let it decay.
        if ranks:  # each in its place: of 23 M parameters, copies into one tensor and back took as long as the sum
            under_way.append(torch.distributed.all_reduce(parameter.grad, async_op=True))
    for work in under_way:
        work.wait()
    return float(used[-1])


def _most(job: Job, number: int) -> int:
    """The largest of all ranks' numbers."""
    if job.accelerator.num_processes == 1:
        return number
    value = torch.tensor(number, device=job.network.device)
    torch.distributed.all_reduce(value, torch.distributed.ReduceOp.MAX)
    return int(value)


def _seed(*parts: int) -> int:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "big") >> 1


def _evaluation_due(job: Job, state: State) -> bool:
    due = state.step % job.every == 0 or state.step >= job.steps
    return due and state.step > state.evaluated_step


def _evaluate(job: Job, state: State, stop: Stop) -> Evaluated | None:
    began = time.monotonic()
    measured = job.evaluate(stop)
    if measured is None:
        return None
    loss, scores = measured
    score = scores[job.metric]
    before = math.nan if state.best_value is None else state.best_value
    better = score.value > before if job.higher_is_better else score.value < before
    better = better or math.isnan(before)  # so is a correlation with a constant
    # Few records have few different scores, and the loss tells more; but nobody waits for it to end falling.
    best = better or (score.value == before and state.best_loss is not None and loss < state.best_loss)
    if best:
        state.best_step, state.best_value, state.best_loss = state.step, score.value, loss
    state.without_best = 0 if better else state.without_best + 1
    state.evaluated_step = state.step
    train_loss = state.loss_sum / max(state.loss_steps, 1)
    state.loss_sum, state.loss_steps = 0.0, 0
    job.rates.evaluated(time.monotonic() - began)
    epoch = state.step / job.plan.steps_per_epoch
    values = {name: one.value for name, one in scores.items()}
    interval = {f"{job.metric}_low": score.low, f"{job.metric}_high": score.high}
    _write_line(job, state, {"train_loss": train_loss, "eval_loss": loss, **values, **interval, "best": best})
    return Evaluated(epoch, state.step, train_loss, loss, job.metric, score, best, job.rates.seconds(state))


def _has_stopped_improving(job: Job, state: State) -> bool:
    patience = job.options.early_stopping_patience
    return patience is not None and state.without_best >= patience


def _save_due(job: Job, state: State, ended: bool) -> bool:
    if state.step == job.rates.saved_step:
        return state.evaluated_step > job.rates.saved_evaluation  # else a resumed run would measure it a second time
    options, epoch = job.options, job.plan.steps_per_epoch
    late = options.save_minutes is not None and time.monotonic() - job.rates.saved_at > options.save_minutes * 60
    best = state.best_step == state.step == state.evaluated_step
    at_step = options.save_steps is not None and state.step % options.save_steps == 0
    due = ended or best or at_step or late or state.step % (epoch * options.save_epochs) == 0
    return bool(_most(job, int(due)))  # clocks differ between ranks


def _save(job: Job, state: State, asked: bool) -> Saved:
    """Save a checkpoint, unless all of it is saved already."""
    began = time.monotonic()
    state.seconds = job.rates.seconds(state)
    if (state.step, state.evaluated_step) != (job.rates.saved_step, job.rates.saved_evaluation):
        first = job.accelerator.is_main_process
        tensors = job.learning.tensors(keep=first) if first or job.sharded else {}
        if first:
            about = {**asdict(state), **job.about}
            checkpoints.save(job.folder, state.step, tensors, about)
            checkpoints.prune(job.folder, job.options.save_total_limit, {state.best_step})
        job.accelerator.wait_for_everyone()
    job.rates.saved(state)
    return Saved(state.step, job.steps, time.monotonic() - began, asked)


def _write_line(job: Job, state: State, values: dict[str, Any]) -> None:
    """A line of the history, and the same numbers to the trackers."""
    epoch = round(state.step / job.plan.steps_per_epoch, 4)
    if job.accelerator.is_main_process:
        numbers = {name: None if value != value else value for name, value in values.items()}  # JSON has no NaN
        entry = {"step": state.step, "epoch": epoch, **numbers, "seconds": round(job.rates.seconds(state), 2)}
        checkpoints.append_history(job.folder / HISTORY, entry)
    if job.options.report_to:
        job.accelerator.log({name: float(value) for name, value in values.items()}, step=state.step)


def _memory_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return int(psutil.Process().memory_info().rss)
