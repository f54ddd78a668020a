"""A transformation as a system: what is sent is transformed, at a strength."""

from __future__ import annotations

from typing import Any

import numpy as np

from semetric.errors import UsageError
from semetric.lab.systems import Pixels, Received, System
from semetric.lab.transformations.registry import TRANSFORMATIONS

__all__ = ["TransformationSystem"]


class TransformationSystem(System):
    """Transforms images; the level is the strength.

    Args:
        transformation: a name of `TRANSFORMATIONS`.
        name: of its curve; the transformation's by default.
        label: as a legend shows it; the transformation's by default.
        **options: of the transformation: `fill` of translation and rotation, `rows` and `columns` of deformation.

    Raises:
        UsageError: a name or an option that does not exist, or an option's value that does not fit.

    Examples:
        >>> system = TransformationSystem("reflection")
        >>> system.send(np.arange(6, dtype=np.uint8).reshape(1, 2, 3), 1.0, np.random.default_rng(0)).pixels.tolist()
        [[[3, 4, 5], [0, 1, 2]]]
    """

    def __init__(
        self, transformation: str, *, name: str | None = None, label: str | None = None, **options: Any
    ) -> None:
        if transformation not in TRANSFORMATIONS:
            names = ", ".join(TRANSFORMATIONS)
            raise UsageError(f"Expected a transformation among {names}; found {transformation!r}.")
        self.transformation = TRANSFORMATIONS[transformation]
        if options:  # what does not fit is refused before the first photo
            self.transformation(np.zeros((8, 8, 3), np.uint8), 0.0, np.random.default_rng(0), **options)
        self.name = name or self.transformation.name
        self.label = label or self.transformation.label
        self.options = options

    def send(self, image: Pixels, level: float, rng: np.random.Generator) -> Received:
        """Transforms one image.

        Args:
            image: (H, W, 3) uint8 RGB.
            level: the strength, in the transformation's unit.
            rng: the only source of chance.

        Raises:
            UsageError: a strength that it does not have.
            ImageError: a strength that this image is too small for.
        """
        return Received(pixels=self.transformation(image, level, rng, **self.options))

    def to_dict(self) -> dict[str, Any]:
        """Name, label, transformation, unit and options."""
        return {
            **super().to_dict(),
            "transformation": self.transformation.name,
            "unit": self.transformation.unit,
            "options": dict(self.options),
        }
