"""Measuring a model on encoded records: outputs, predictions, scores with intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hfcli import metrics
from hfcli.errors import DeviceError, UsageError, did_you_mean
from hfcli.events import Measured, Note, Progress, Tell
from hfcli.runtime import environment
from hfcli.runtime.features import Encoded
from hfcli.runtime.forward import Loss, Network
from hfcli.runtime.plan import cut
from hfcli.tasks import text_classification
from hfcli.tasks.base import Settings

LOSS = "loss"
# What each kind of problem is judged by; the first picks the best checkpoint.
METRICS = {
    "single_label_classification": ("accuracy", "f1_macro"),
    "multi_label_classification": ("f1_micro", "f1_macro", "subset_accuracy"),
    "regression": ("pearson", "spearman", "mse"),
}
READS = {
    "single_label_classification": "labels",
    "multi_label_classification": "label_sets",
    "regression": "values",
}


@dataclass
class Evaluator:
    """Measures a network on the same records again and again.

    Attributes:
        network: The model.
        encoded: Features with labels.
        settings: Kind of problem and threshold.
        accelerator: Ranks and autocast.
        max_tokens: Of a batch, with its padding.
        tell: Gets Progress, and a note when memory did not suffice.
        extra: A metric that was asked for besides those of the kind.
    """

    network: Network
    encoded: Encoded
    settings: Settings
    accelerator: Any
    max_tokens: int
    tell: Tell
    extra: str | None = None

    @property
    def kind(self) -> str:
        return self.settings.problem_type or "single_label_classification"

    @property
    def references(self) -> np.ndarray:
        """Of every record: int `(records,)`, bool `(records, labels)` or float `(records,)`."""
        values = self.encoded.labels["labels"][self.encoded.starts[:-1]]
        return values > 0.5 if self.kind == "multi_label_classification" else values

    def logits(self, should_stop: Callable[[], bool] = lambda: False) -> np.ndarray | None:
        """The outputs for every feature, float32 `(features, labels)`; None when told to stop."""
        encoded, network = self.encoded, self.network
        network.model.eval()
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        longest_first = np.argsort(-encoded.lengths, kind="stable").tolist()
        waiting = cut(longest_first, encoded.lengths, self.max_tokens)[rank::world]
        found: np.ndarray | None = None
        done = 0
        with torch.no_grad(), self.accelerator.autocast():
            while waiting:
                if should_stop():
                    return None
                features = waiting[0]
                try:
                    logits = network.logits(encoded.take(features)).float().cpu().numpy()
                except RuntimeError as error:
                    if not environment.out_of_memory(error):
                        raise
                    waiting = self._smaller(waiting)
                    continue
                waiting = waiting[1:]
                if found is None:
                    found = np.zeros((len(encoded.lengths), logits.shape[1]), dtype=np.float32)
                found[features] = logits
                done += len(features)
                self.tell(Progress("measuring", min(done * world, len(found)), len(found)))
        network.model.train()
        return self._gathered(found)

    def _gathered(self, found: np.ndarray | None) -> np.ndarray:
        if self.accelerator.num_processes == 1:
            assert found is not None
            return found
        config, device = self.network.model.config, self.network.device
        mine = np.zeros((len(self.encoded.lengths), config.num_labels), dtype=np.float32) if found is None else found
        everything = torch.from_numpy(mine).to(device)
        torch.distributed.all_reduce(everything)
        return everything.cpu().numpy()

    def _smaller(self, waiting: list[np.ndarray]) -> list[np.ndarray]:
        """What is left, in batches of half the size of the first, which did not fit."""
        environment.empty_cache()
        rows, length = len(waiting[0]), int(self.encoded.lengths[waiting[0][0]])
        if rows == 1:
            raise DeviceError(f"one record of {length} tokens does not fit into memory", "a smaller --max-length")
        self.max_tokens = rows // 2 * length
        now = f"{rows // 2} x {length} at most"
        self.tell(Note(f"out of memory while measuring, at {rows} x {length} tokens; now {now}"))
        return cut(np.concatenate(waiting).tolist(), self.encoded.lengths, self.max_tokens)

    def losses(self, logits: np.ndarray, loss: Loss) -> np.ndarray:
        """The loss of every record, the mean of its windows', float32 `(records,)`."""
        weights = None if loss.class_weights is None else loss.class_weights.cpu()
        each = Loss(weights, loss.smoothing).each(
            torch.from_numpy(logits), torch.from_numpy(self.encoded.labels["labels"])
        )
        return np.add.reduceat(each.numpy() * self.encoded.weights, self.encoded.starts[:-1])

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Of every record: probabilities `(records, labels)` or values `(records, 1)`; windows are averaged."""
        each = text_classification.probabilities(logits, self.kind)
        starts, counts = self.encoded.starts[:-1], np.diff(self.encoded.starts)
        return np.add.reduceat(each, starts, axis=0) / counts[:, None]

    def predictions(self, probabilities: np.ndarray) -> np.ndarray:
        """What the metrics read: class ids, sets or values, one a record."""
        if self.kind == "regression":
            return probabilities[:, 0]
        if self.kind == "multi_label_classification":
            return probabilities >= self.settings.threshold
        return probabilities.argmax(axis=1)

    def scores(self, probabilities: np.ndarray, losses: np.ndarray) -> dict[str, Measured]:
        """Every score with its interval, by metric."""
        predictions, references = self.predictions(probabilities), self.references
        names = dict.fromkeys([*METRICS[self.kind], *([self.extra] if self.extra else [])])
        found = {}
        for name in names:
            if name == LOSS:
                loss, spread = float(losses.mean()), 1.96 * float(losses.std()) / len(losses) ** 0.5  # of the mean
                found[name] = Measured(loss, loss - spread, loss + spread, len(losses))
                continue
            given = predictions if READS[self.kind] in metrics.get(name).reads else probabilities
            found[name] = Measured(*metrics.score(name, given, references))
        return found


def primary(asked: str | None, kind: str) -> tuple[str, bool]:
    """The metric that picks the best checkpoint, and whether more of it is better.

    Raises:
        UsageError: There is no such metric, or it is not about this kind of problem.
    """
    name = (asked or METRICS[kind][0]).removeprefix("eval_")
    if name == LOSS:
        return name, False
    fitting = _fitting(kind)
    if name not in fitting:
        raise UsageError(
            f"--metric-for-best-model {name} does not fit; there is {', '.join([LOSS, *fitting])}",
            did_you_mean(name, [LOSS, *fitting]),
        )
    return name, metrics.get(name).better == "higher"


def _fitting(kind: str) -> Sequence[str]:
    fitting = list(metrics.names(READS[kind]))
    return fitting + (list(metrics.names("probabilities")) if kind == "single_label_classification" else [])
