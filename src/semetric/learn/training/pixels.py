"""The images of a training, squashed to the trunks' input once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semetric.image import read_image
from semetric.models.crops import squash

__all__ = ["HELD_BYTES", "Squares"]

HELD_BYTES = 2 << 30


class Squares:
    """Images by index, as squares of pixels: decoded at first use, the latest ones held in memory.

    Args:
        paths: of the images.
        side: in pixels.
        held_bytes: how much memory may hold them.
    """

    def __init__(self, paths: Sequence[str], side: int, *, held_bytes: int = HELD_BYTES) -> None:
        self.paths = tuple(paths)
        self.side = side
        self._most = max(1, held_bytes // (3 * side * side))
        self._held: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.paths)

    def __call__(self, places: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """(n, side, side, 3) pixels.

        Raises:
            ImageError: a file that is no image.
        """
        return np.stack([self._one(int(place)) for place in places])

    def _one(self, place: int) -> NDArray[np.uint8]:
        square = self._held.get(place)
        if square is None:
            square = squash([read_image(self.paths[place]).to_uint8()], self.side)[0]
            self._held[place] = square
            while len(self._held) > self._most:
                self._held.popitem(last=False)
        self._held.move_to_end(place)
        return square
