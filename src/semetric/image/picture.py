"""One decoded image, the form in which every other package receives it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["Picture"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """An RGB image in memory.

    Attributes:
        pixels: (H, W, 3), either uint8 or float32 in [0, 1]; contiguous and read-only.
        name: the path it came from, where bytes that are no UTF-8 are escaped, or "<array>", "<tensor>", "<PIL image>".
        notes: every conversion that reading it took, in words.

    Example:
        >>> Picture(pixels=np.zeros((4, 6, 3), np.uint8), name="<array>").size
        (4, 6)
    """

    pixels: NDArray[np.uint8] | NDArray[np.float32] = field(repr=False)
    name: str
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of the shape, the dtype and the pixels: the image's name in every cache."""
        h = hashlib.sha256(f"{self.pixels.shape} {self.pixels.dtype}\n".encode())
        h.update(self.pixels.data)
        return h.hexdigest()

    def to_uint8(self) -> NDArray[np.uint8]:
        """(H, W, 3) in 0..255, rounded to nearest where the picture holds floats."""
        if self.pixels.dtype == np.uint8:
            return self.pixels  # type: ignore[return-value]
        levels: NDArray[np.uint8] = np.rint(self.pixels * np.float32(255)).astype(np.uint8)
        return levels

    def to_float(self) -> NDArray[np.float32]:
        """(H, W, 3) float32 in [0, 1]."""
        if self.pixels.dtype == np.uint8:
            return self.pixels.astype(np.float32) / np.float32(255.0)
        return self.pixels  # type: ignore[return-value]

    def to_tensor(self, device: str = "cpu") -> torch.Tensor:
        """(1, 3, H, W) float32 in [0, 1] on the device."""
        import torch

        chw = np.array(self.to_float().transpose(2, 0, 1), order="C")  # a copy: torch warns of read-only memory
        return torch.from_numpy(chw)[None].to(device)
