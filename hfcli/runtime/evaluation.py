"""Running a model over encoded records, again and again, for what its outputs are worth to a judge."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hfcli.errors import DeviceError
from hfcli.events import Note, Progress, Tell
from hfcli.runtime import environment, sharding, watchdog
from hfcli.runtime.features import Encoded
from hfcli.runtime.forward import Network
from hfcli.runtime.plan import cut


@dataclass
class Evaluator:
    """Runs a network over the same records.

    Attributes:
        network: The model.
        encoded: Features.
        accelerator: Ranks and autocast.
        max_tokens: Of a batch, with its padding.
        tell: Gets Progress, and a note when memory did not suffice.
    """

    network: Network
    encoded: Encoded
    accelerator: Any
    max_tokens: int
    tell: Tell

    def outputs(self, should_stop: Callable[[], bool] = lambda: False) -> np.ndarray | None:
        """What the model says of every feature, float32 `(features, labels)`; of spans, of every token of them one
        after the other, `(tokens, 2)`. None when told to stop."""
        encoded, network = self.encoded, self.network
        network.model.eval()
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        longest_first = np.argsort(-encoded.lengths, kind="stable").tolist()
        batches = cut(longest_first, encoded.lengths, self.max_tokens)
        waiting = batches[rank::world]
        shared = sharding.is_sharded(network.model)
        idle = sharding.idle([batches[other::world] for other in range(world)], rank) if shared else []
        found: np.ndarray | None = None
        done = 0
        with torch.no_grad(), self.accelerator.autocast():
            while waiting:
                if should_stop():
                    return None
                features = waiting[0]
                try:
                    outputs = network.logits(encoded.take(features)).float().cpu().numpy()
                except RuntimeError as error:
                    if not environment.out_of_memory(error):
                        raise
                    if shared:
                        raise sharding.does_not_fit(len(features), int(encoded.lengths[features[0]])) from error
                    waiting = self._smaller(waiting)
                    continue
                waiting = waiting[1:]
                watchdog.beat()
                if found is None:
                    found = self._nothing(outputs.shape[-1])
                self._keep(found, features, outputs)
                done += len(features)
                self.tell(Progress("measuring", min(done * world, len(encoded.lengths)), len(encoded.lengths)))
            for features in idle:
                network.logits(encoded.take(features))
        sharding.take_apart(network.model)
        network.model.train()
        return self._gathered(found)

    @property
    def _of_tokens(self) -> bool:
        return len(self.network.outputs) > 1

    def _nothing(self, columns: int) -> np.ndarray:
        rows = int(self.encoded.offsets[-1]) if self._of_tokens else len(self.encoded.lengths)
        return np.zeros((rows, columns), dtype=np.float32)

    def _keep(self, found: np.ndarray, features: np.ndarray, outputs: np.ndarray) -> None:
        if not self._of_tokens:
            found[features] = outputs
            return
        for feature, row in zip(features, outputs, strict=True):
            start, end = self.encoded.offsets[feature : feature + 2]
            found[start:end] = row[: end - start]

    def _gathered(self, found: np.ndarray | None) -> np.ndarray:
        if self.accelerator.num_processes == 1:
            assert found is not None
            return found
        columns = len(self.network.outputs) if self._of_tokens else self.network.model.config.num_labels
        everything = torch.from_numpy(self._nothing(columns) if found is None else found).to(self.network.device)
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
