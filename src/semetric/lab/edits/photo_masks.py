"""The masks of a photo, from the networks of a profile."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from semetric.image import read_image
from semetric.lab.edits.objects import Masks
from semetric.lab.systems import Pixels
from semetric.models.runtime import Runtime
from semetric.scene.build import GraphBuilder, working_picture
from semetric.scene.rle import decode
from semetric.scoring import runtime

__all__ = ["PhotoMasks"]


class PhotoMasks:
    """Finds masks as SeSS does, and shares its cache: a photo that was scored before is not segmented again.

    Args:
        runtime: whose profile names SAM and mask generation; None is lite, made at the first photo.
    """

    def __init__(self, runtime: Runtime | None = None) -> None:
        self._runtime = runtime

    @cached_property
    def _builder(self) -> GraphBuilder:
        return GraphBuilder(runtime("lite") if self._runtime is None else self._runtime)

    def __call__(self, pixels: Pixels) -> Masks:
        """All masks of one photo.

        Args:
            pixels: (H, W, 3) uint8 RGB.

        Returns:
            (N, H, W), found at no more than 800 px of width and brought to the photo's size (nearest).

        Raises:
            WeightsMissingError: the networks are not on this machine.
        """
        picture = read_image(pixels)
        work = working_picture(picture)
        encoded = self._builder.masks(work)
        masks = decode((encoded["runs"], encoded["ends"]), work.size)
        if work.size == picture.size:
            return masks
        rows, columns = (
            (np.arange(n) * small // n).astype(int) for n, small in zip(picture.size, work.size, strict=True)
        )
        return masks[:, rows[:, None], columns]

    def to_dict(self) -> dict[str, Any]:
        """The networks and settings that shape the masks."""
        settings = self._builder.settings
        return {
            "weights": dict(self._builder.segmenter.weights),
            "max_width": settings["max_width"],
            "masks": settings["masks"],
        }
