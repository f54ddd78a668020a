"""Which triplets each step takes: by the seed and the step alone, so that a training can go on anywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batches"]


class Batches:
    """The order of a training's triplets.

    Args:
        rows: (n, 3) places of reference, a and b.
        batch: triplets a step; the last step of an epoch may have fewer.
        gather: whether a batch's triplets come from few references.
        seed: of the order.
    """

    def __init__(self, rows: NDArray[np.int64], batch: int, *, gather: bool, seed: int) -> None:
        self._references = rows[:, 0]
        self._batch, self._gather, self._seed = batch, gather, seed
        self._epoch = -1
        self._order = np.empty(0, np.int64)

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        return -(-len(self._references) // self._batch)

    def __call__(self, step: int) -> NDArray[np.int64]:
        """The triplets of a step, counted from 0."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            self._order, self._epoch = self._shuffled(epoch), epoch
        return self._order[place * self._batch : (place + 1) * self._batch]

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self._seed, 1, epoch])
        order = rng.permutation(len(self._references))
        if not self._gather:
            return order
        names, inverse = np.unique(self._references, return_inverse=True)
        rank = rng.permutation(len(names))[inverse]
        return order[np.argsort(rank[order], kind="stable")]  # references in a random order, each one's shuffled
