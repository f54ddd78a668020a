"""Where an image lies in SAM's square input; apart from the network, so that a cached score is found without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["CELL", "SIDE", "Frame"]

SIDE = 1024  # px of SAM's input
CELL = 16  # px of it a cell of the embedding


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where an image lies within SAM's 1024 × 1024 input: at the top left, `content` large.

    Attributes:
        size: (H, W) of the image in its own pixels.
        content: (h, w) of the resized image in prepared pixels, the longest side 1024.

    Example:
        >>> Frame.of((300, 600)).content
        (512, 1024)
        >>> Frame.of((300, 600)).cells
        (32, 64)
    """

    size: tuple[int, int]
    content: tuple[int, int]

    @classmethod
    def of(cls, size: tuple[int, int]) -> Frame:
        """The frame of an image of that (H, W); halves round up, as segment-anything does, and a sliver keeps 1."""
        h, w = (max(1, int(side * SIDE / max(size) + 0.5)) for side in size)
        return cls(size=size, content=(h, w))

    @property
    def cells(self) -> tuple[int, int]:
        """(rows, columns) of embedding cells that hold any image content."""
        return math.ceil(self.content[0] / CELL), math.ceil(self.content[1] / CELL)
