"""What a transformation is: a function of an image and a strength, declared beside it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.lab.systems import Pixels

__all__ = ["Transformation", "check_strength", "rounded", "transformation"]


@dataclass(frozen=True, kw_only=True)
class Transformation:
    """A change of the whole picture, with a strength; 0 leaves it as it is. The input is never changed in place.

    Attributes:
        name: as users write it.
        label: as a figure shows it.
        unit: of the strength, in words.
        range: (least, greatest) strength.
        strengths: a curve's, mildest first; 0 is left out, where every metric is perfect.
        function: (image, strength, **options) → pixels; with a parameter `rng` where it draws numbers.
        figure_13: the strength that stands for SeSS's Fig. 13, whose own is not published; None where the figure does
            not have it.

    Examples:
        >>> from semetric.lab.transformations import rotate
        >>> rotate(np.zeros((4, 4, 3), np.uint8), 90.0).shape
        (4, 4, 3)
    """

    name: str
    label: str
    unit: str
    range: tuple[float, float]
    strengths: tuple[float, ...]
    function: Callable[..., Pixels]
    figure_13: float | None = None

    @property
    def random(self) -> bool:
        """Whether it draws from the generator."""
        return "rng" in inspect.signature(self.function).parameters

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the further arguments of its function."""
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)

    def __call__(
        self, image: Pixels, strength: float | None = None, rng: np.random.Generator | None = None, **options: Any
    ) -> Pixels:
        """Transforms one image.

        Args:
            image: (H, W, 3) uint8 RGB.
            strength: in the unit, inside the range; None takes that of Fig. 13, or the mildest.
            rng: the only source of chance; for equal generators the strengths nest. Needed where it is `random`.
            **options: of the function.

        Raises:
            UsageError: a strength or an option that it does not have, or pixels of another form.
            ImageError: a strength that this image is too small for.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise UsageError(f"Expected (H, W, 3) uint8 pixels; found {image.shape} {image.dtype}.")
        unknown = sorted(set(options) - set(self.options))
        if unknown:
            allowed = ", ".join(self.options) or "none"
            raise UsageError(f"Expected options of {self.name} among {allowed}; found {', '.join(unknown)}.")
        if strength is None:
            strength = self.strengths[0] if self.figure_13 is None else self.figure_13
        if not {"rows", "columns"} & set(options):  # another mesh has another range, which its function checks
            check_strength(f"the strength of {self.name} ({self.unit})", strength, *self.range)
        return self.function(image, strength, **({"rng": rng} if self.random else {}), **options)


def transformation(
    name: str,
    label: str,
    *,
    unit: str,
    range: tuple[float, float],
    strengths: tuple[float, ...],
    figure_13: float | None = None,
) -> Callable[[Callable[..., Pixels]], Transformation]:
    """Declares a function as a transformation; arguments as the attributes of `Transformation`."""
    return lambda function: Transformation(
        name=name,
        label=label,
        unit=unit,
        range=range,
        strengths=strengths,
        function=function,
        figure_13=figure_13,
    )


def rounded(values: NDArray[np.floating]) -> Pixels:
    """To the nearest of 0..255."""
    pixels: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return pixels


def check_strength(what: str, value: float, low: float, high: float) -> None:
    """Raises UsageError where the value is NaN or outside low..high."""
    if math.isnan(value) or not low <= value <= high:
        raise UsageError(f"Expected {what} between {low:g} and {high:g}; found {value:g}.")
