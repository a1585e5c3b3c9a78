"""A training run: what is to be done, where it stands, how fast it goes, and the signals that end it."""

import math
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from hfcli.errors import Terminated
from hfcli.events import Measured, Tell
from hfcli.options.training import RunOptions
from hfcli.runtime.features import Encoded
from hfcli.runtime.forward import Loss, Network
from hfcli.runtime.optimization import Learning
from hfcli.runtime.plan import Plan
from hfcli.runtime.sharding import is_sharded


@dataclass
class State:
    """Where a run stands; with the checkpoint's tensors all that resuming needs.

    Attributes:
        step: Steps done.
        seconds: Training time so far.
        max_tokens: Tokens of a micro-batch with their padding; lowered when memory runs out.
        eval_tokens: The same of a batch that is measured.
        evaluated_step: Step of the last evaluation.
        best_step: Step of the best one, 0 before the first.
        best_value: Its score, None before.
        best_loss: Its loss, which decides between equal scores.
        without_best: Evaluations since then.
        loss_sum: Sum of the losses of the steps since the last evaluation.
        loss_steps: How many they are.
        line_sum: Sum of the losses since the last line of the history.
        line_steps: How many they are.
    """

    max_tokens: int
    eval_tokens: int
    step: int = 0
    seconds: float = 0.0
    evaluated_step: int = 0
    best_step: int = 0
    best_value: float | None = None
    best_loss: float | None = None
    without_best: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    line_sum: float = 0.0
    line_steps: int = 0


@dataclass
class Job:
    """What is to be done.

    Attributes:
        network: The model.
        learning: Its parameters, optimizer and schedule.
        loss: What is made small.
        plan: Which records form which step.
        encoded: The training features.
        accelerator: Devices, ranks, autocast and trackers.
        steps: Of the whole run.
        seed: Of dropout.
        folder: Where checkpoints and the history go.
        evaluate: Measures the model: mean loss, and scores by metric; None when it was told to stop in between.
        metric: The score that picks the best step.
        higher_is_better: Whether more of it is better.
        max_grad_norm: Where gradients are clipped, 0 for never.
        options: When to measure and save.
        tell: Gets what cannot wait for the end of a step.
        about: What is stored with every checkpoint besides: what the run depends on.
    """

    network: Network
    learning: Learning
    loss: Loss
    plan: Plan
    encoded: Encoded
    accelerator: Any
    steps: int
    seed: int
    folder: Path
    evaluate: "Callable[[Stop], tuple[float, dict[str, Measured]] | None]"
    metric: str
    higher_is_better: bool
    max_grad_norm: float
    options: RunOptions
    tell: Tell
    about: Mapping[str, Any]
    rates: "Rates" = field(default_factory=lambda: Rates())

    @property
    def sharded(self) -> bool:
        """Whether no rank has the whole model."""
        return is_sharded(self.network.model)

    @property
    def every(self) -> int:
        """Steps from one evaluation to the next."""
        return self.options.eval_steps or self.plan.steps_per_epoch


class Stop:
    """Collects SIGINT and SIGTERM: the first one asks for an end after the step, the second ends at once."""

    number = 0

    def __enter__(self) -> Self:
        heard = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]  # nohup, `&`
        self._before = {number: signal.signal(number, self._arrived) for number in heard}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            self.end(number)
        self.number = number

    def end(self, number: int) -> None:
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


class Rates:
    """How fast the run is, for estimates."""

    def __init__(self) -> None:
        self.saved_step = self.saved_evaluation = 0
        self.records_per_second = self.step_seconds = self.evaluation_seconds = 0.0
        self.steps = 0

    def start(self, state: "State") -> None:
        self.began = self.saved_at = time.monotonic()
        self.before, self.saved_step, self.saved_evaluation = state.seconds, state.step, state.evaluated_step

    def seconds(self, state: "State") -> float:
        """Training time, that of earlier sessions included."""
        return self.before + time.monotonic() - self.began

    def stepped(self, records: int, seconds: float) -> None:
        self.steps += 1
        share = max(0.05, 1 / self.steps)  # a mean at first, then what was lately
        self.step_seconds += share * (seconds - self.step_seconds)
        self.records_per_second += share * (records / max(seconds, 1e-9) - self.records_per_second)

    def evaluated(self, seconds: float) -> None:
        self.evaluation_seconds = seconds

    def saved(self, state: "State") -> None:
        self.saved_step, self.saved_evaluation, self.saved_at = state.step, state.evaluated_step, time.monotonic()

    def left(self, job: "Job", state: "State") -> float | None:
        if self.steps < 5:
            return None
        steps = job.steps - state.step
        return steps * self.step_seconds + math.ceil(steps / job.every) * self.evaluation_seconds
