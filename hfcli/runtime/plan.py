"""Which records form which optimizer step, and how a step is cut into pieces that fit a device.

A pure function of lengths, seed and batch size: every rank computes it for itself, and a resumed run is the plan plus a
step number. Which records are in step k depends on neither devices nor memory; the token budget only decides into how
many micro-batches a step is cut, whose gradients add up to the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True, eq=False)
class Plan:
    """The steps of a training run.

    Attributes:
        starts: Features of record r are `starts[r]` to `starts[r + 1]`, shape `(records + 1,)`.
        lengths: Tokens of every feature, shape `(features,)`.
        batch: Records in a step, at most.
        seed: Of the order of records, which is another one in every epoch.
    """

    starts: np.ndarray
    lengths: np.ndarray
    batch: int
    seed: int

    @property
    def records(self) -> int:
        return len(self.starts) - 1

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.records / self.batch)

    def step(self, number: int) -> np.ndarray:
        """Records of the step of that number, counted from 0 over all epochs.

        The steps of an epoch are of one size, give or take a record. A rest for the last one would count for more: of
        100 records 32 at a time, the 4 that are left would move the weights as far as the 32 before them.
        """
        epoch, within = divmod(number, self.steps_per_epoch)
        first, last = (step * self.records // self.steps_per_epoch for step in (within, within + 1))
        return _order(self.records, self.seed, epoch)[first:last]

    def features(self, records: np.ndarray) -> np.ndarray:
        """Features of these records."""
        return np.concatenate([np.arange(self.starts[r], self.starts[r + 1]) for r in records])

    def micro_batches(self, number: int, max_tokens: int, world: int = 1) -> list[list[np.ndarray]]:
        """The step's features, for every rank a list of micro-batches of at most `max_tokens` with their padding.

        Ranks are filled by tokens, the longest first, so that none waits long for another; one may be empty.
        """
        features = self.features(self.step(number))
        longest_first = features[np.argsort(-self.lengths[features], kind="stable")]
        ranks: list[list[int]] = [[] for _ in range(world)]
        load = np.zeros(world, dtype=np.int64)
        for feature in longest_first:
            rank = int(load.argmin())
            ranks[rank].append(int(feature))
            load[rank] += self.lengths[feature]
        return [cut(members, self.lengths, max_tokens) for members in ranks]


def cut(features: Sequence[int], lengths: np.ndarray, max_tokens: int) -> list[np.ndarray]:
    """Features, the longest first, as batches of at most `max_tokens` counted with their padding; one at least."""
    batches: list[np.ndarray] = []
    batch: list[int] = []
    for feature in features:
        if batch and (len(batch) + 1) * int(lengths[batch[0]]) > max_tokens:
            batches.append(np.array(batch))
            batch = []
        batch.append(feature)
    return [*batches, np.array(batch)] if batch else batches


@lru_cache(maxsize=2)
def _order(records: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(records)
