"""One step of training with random weights, taken to see what it costs.

In a process of its own: what this one has in memory already would count, and memory that runs out may end it.
"""

import multiprocessing
import re
import resource
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch

from hfcli import tasks
from hfcli.errors import DeviceError, HfcliError
from hfcli.options import ModelOptions
from hfcli.options.training import TrainingOptions
from hfcli.options.transfer import TransferOptions
from hfcli.runtime import environment, hub, loading, optimization, trainable
from hfcli.runtime.environment import Placement
from hfcli.runtime.forward import Loss, Network, targets
from hfcli.runtime.tail import ODD
from hfcli.tasks.base import Feature, Task


@dataclass(frozen=True)
class Trial:
    """What is tried.

    Attributes:
        location: Of the model's config.
        task: Name of what is learnt.
        model: How a config is loaded.
        training: How it learns.
        transfer: What of it learns.
        device: Where, as torch spells it.
        dtype: What is computed in.
        rows: Records at once.
        pieces: How many times so many a step has.
        length: Of each, in tokens.
    """

    location: hub.Location
    task: str
    model: ModelOptions
    training: TrainingOptions
    transfer: TransferOptions
    device: str
    dtype: str
    rows: int
    pieces: int
    length: int


class Measured(NamedTuple):
    """What a step took.

    Attributes:
        bytes: Most that was taken at any time.
        seconds: Of a step with all its pieces.
    """

    bytes: int
    seconds: float


@dataclass(frozen=True)
class _Ids:
    """What padding asks of a tokenizer; no row is padded here."""

    pad_token_id: int
    eos_token_id: int | None = None
    padding_side: str = "right"


def bare(task: Task, config: Any, options: ModelOptions, location: hub.Location, device: str) -> Any:
    """The model of a config with the head of a task, and random weights; on `meta` with none.

    Raises:
        ModelError: The config cannot be built.
    """
    auto = loading.auto_class(task, location, config)
    with loading.explained(location, "model"), torch.device(device):
        return auto.from_config(config, dtype=torch.float32, trust_remote_code=options.trust_remote_code)


def load_config(location: hub.Location, options: ModelOptions) -> Any:
    """The config, with a pad token: by it a decoder that classifies finds the last token of a row."""
    config = loading.load_config(location, options)
    for one in (config, config.get_text_config()):
        if getattr(one, "pad_token_id", None) is None:
            one.pad_token_id = 0
    return config


def measure(trial: Trial, tell: Callable[[int, int], None]) -> Measured:
    """Take the step.

    Args:
        trial: What is tried.
        tell: Gets how many passes are done, and of how many.

    Raises:
        HfcliError: It cannot be taken.
        MemoryError: Memory does not hold it.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_take, args=(there, trial), daemon=True)
    process.start()
    there.close()
    try:
        while True:
            found = here.recv()
            if isinstance(found, Exception):
                raise found
            if isinstance(found, Measured):
                return found
            tell(*found)
    except EOFError:
        process.join()
        if process.exitcode == -signal.SIGKILL:  # by the kernel, which had no memory left
            raise MemoryError from None
        raise HfcliError(f"the process that took it ended with {process.exitcode}") from None
    finally:
        process.terminate()
        process.join()
        here.close()


def _take(connection: Connection, trial: Trial) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a traceback of this process would tell nobody anything
    environment.silence()
    try:
        connection.send(_measured(trial, connection.send))
    except DeviceError:  # the weights alone are too much
        connection.send(MemoryError())
    except HfcliError as error:
        connection.send(error)
    except (MemoryError, *ODD) as error:  # what a config holds decides
        full = isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and environment.out_of_memory(error))
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        connection.send(MemoryError() if full else HfcliError(reason))


def _measured(trial: Trial, tell: Callable[[tuple[int, int]], None]) -> Measured:
    placement = Placement(torch.device(trial.device), getattr(torch, trial.dtype), "")
    task, config = tasks.get(trial.task), load_config(trial.location, trial.model)
    bare(task, config, trial.model, trial.location, "meta")  # so that its code is imported
    before = _taken(placement.device)
    network, learning = _ready(trial, task, config, placement)
    features = _features(trial, task, config, network.vocabulary)
    passes = min(trial.pieces, 2)  # gradients of the first are there in the second
    _pass(network, features, placement)
    _learn(learning, trial.training)  # now AdamW's averages are there, too
    tell((1, 1 + passes))
    began = _now(placement.device)
    for number in range(passes):
        _pass(network, features, placement)
        tell((2 + number, 1 + passes))
    ended = _now(placement.device)
    _learn(learning, trial.training)
    seconds = (ended - began) / passes * trial.pieces + _now(placement.device) - ended
    return Measured(_most(placement.device) - before, seconds)


def _ready(trial: Trial, task: Task, config: Any, placement: Placement) -> tuple[Network, optimization.Learning]:
    torch.manual_seed(trial.training.seed)
    model = bare(task, config, trial.model, trial.location, trial.device)
    spans = len(task.outputs) > 1
    model = trainable.equip(model, trial.location.name, trial.training, trial.transfer, spans)
    vocabulary = loading.vocabulary_size(model)
    ids = torch.from_numpy(_features(trial, task, config, vocabulary)[0].inputs["input_ids"][None].astype(np.int64))
    model = trainable.settle(model, placement, ids)
    learning = optimization.Learning(model, trial.training, trial.transfer, 1e-6, 1)
    tokenizer = _Ids(config.get_text_config().pad_token_id)
    return Network(model, tokenizer, vocabulary, placement.device, outputs=task.outputs), learning


def _features(trial: Trial, task: Task, config: Any, vocabulary: int) -> list[Feature]:
    """Rows of ids that mean nothing in particular, each with the token that ends a text at its end."""
    text = config.get_text_config()
    ends = [getattr(text, name, None) for name in ("pad_token_id", "bos_token_id", "eos_token_id")]
    plain = np.setdiff1d(np.arange(min(vocabulary, 1 << 20), dtype=np.int32), [end for end in ends if end is not None])
    rows = np.random.default_rng(trial.training.seed).choice(plain, (trial.rows, trial.length))
    if config.is_encoder_decoder and isinstance(text.eos_token_id, int):
        rows[:, -1] = text.eos_token_id
    names = ("start_positions", "end_positions") if len(task.outputs) > 1 else ("labels",)
    kind = np.float32 if config.num_labels == 1 and len(names) == 1 else np.int64
    return [Feature({"input_ids": row}, dict.fromkeys(names, np.zeros((), dtype=kind))) for row in rows]


def _pass(network: Network, features: Sequence[Feature], placement: Placement) -> None:
    half = placement.dtype == torch.bfloat16
    with torch.autocast(placement.device.type, torch.bfloat16, enabled=half):
        logits = network.logits(features)
    labels = targets(features, placement.device)
    loss = Loss()(logits, labels, torch.ones(len(features), device=placement.device)) / len(features)
    loss.backward()


def _learn(learning: optimization.Learning, training: TrainingOptions) -> None:
    learned = [parameter for parameter in learning.parameters.values() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in learned])
    torch.nn.utils.clip_grads_with_norm_(learned, training.max_grad_norm, norm)
    learning.optimizer.step()
    learning.optimizer.zero_grad(set_to_none=True)


def _now(device: torch.device) -> float:
    """The time when everything that was begun is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.monotonic()


def _taken(device: torch.device) -> int:
    """Bytes in use."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    return int(torch.mps.driver_allocated_memory()) if device.type == "mps" else int(psutil.Process().memory_info().rss)


def _most(device: torch.device) -> int:
    """Bytes that were in use when they were most."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.driver_allocated_memory())  # nothing was given back
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts the parent's, too, as it was when this process began
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        return int(found[1]) * 1024 if found else 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
