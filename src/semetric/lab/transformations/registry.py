"""The transformations by name, each with its strengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from semetric.errors import UsageError
from semetric.lab.systems import Pixels
from semetric.lab.transformations import colour, damage, geometry
from semetric.lab.transformations._values import checked
from semetric.lab.transformations.deformation import deform

__all__ = ["TRANSFORMATIONS", "Transformation"]


@dataclass(frozen=True, kw_only=True)
class Transformation:
    """A change of the whole picture, with a strength; 0 leaves it as it is.

    Attributes:
        name: as users write it.
        label: as a figure shows it.
        unit: of the strength, in words.
        range: (least, greatest) strength.
        strengths: a curve's, mildest first; 0 is left out, where every metric is perfect.
        function: (image, strength, rng, **options) → pixels.
        options: names of its further arguments.
        random: whether it draws from the generator.
        figure_13: the strength that stands for SeSS's Fig. 13, whose own is not published; None where the figure does
            not have it.
    """

    name: str
    label: str
    unit: str
    range: tuple[float, float]
    strengths: tuple[float, ...]
    function: Callable[..., Pixels]
    options: tuple[str, ...] = ()
    random: bool = False
    figure_13: float | None = None

    def __call__(self, image: Pixels, strength: float, rng: np.random.Generator, **options: Any) -> Pixels:
        """Transforms one image.

        Args:
            image: (H, W, 3) uint8 RGB.
            strength: in the unit, inside the range.
            rng: the only source of chance; for equal generators the strengths nest.
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
        if not {"rows", "columns"} & set(options):  # another mesh has another range, which its function checks
            checked(f"the strength of {self.name} ({self.unit})", strength, *self.range)
        return self.function(image, strength, rng, **options)


def _fixed(function: Callable[..., Pixels]) -> Callable[..., Pixels]:
    """One that takes a generator and leaves it alone."""

    def call(image: Pixels, strength: float, rng: np.random.Generator, **options: Any) -> Pixels:
        return function(image, strength, **options)

    return call


def _reflect(image: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    if strength not in (0.0, 1.0):
        raise UsageError(f"Expected the strength of reflection to be 0 or 1; found {strength:g}.")
    return geometry.mirror(image) if strength else image.copy()


_ALL = (
    Transformation(
        name="translation",
        label="translation",
        unit="share of the width, to the left",
        range=(0.0, 1.0),
        strengths=(0.02, 0.04, 0.06, 0.1, 0.15, 0.2, 0.3),
        function=_fixed(geometry.translate),
        options=("fill",),
        figure_13=0.06,
    ),
    Transformation(
        name="rotation",
        label="rotation",
        unit="degrees, counter-clockwise",
        range=(-180.0, 180.0),
        strengths=(2.0, 4.0, 8.0, 15.0, 30.0, 45.0, 90.0),
        function=_fixed(geometry.rotate),
        options=("fill",),
        figure_13=8.0,
    ),
    Transformation(
        name="reflection",
        label="reflection",
        unit="0 or 1",
        range=(0.0, 1.0),
        strengths=(1.0,),
        function=_reflect,
        figure_13=1.0,
    ),
    Transformation(
        name="scaling",
        label="scaling",
        unit="share of the longer side, cropped from every side",
        range=(0.0, 0.5),
        strengths=(0.02, 0.04, 0.06, 0.1, 0.15, 0.2, 0.25),
        function=_fixed(geometry.scale),
        figure_13=0.06,
    ),
    Transformation(
        name="colour_filter",
        label="colour filter",
        unit="share of blue",
        range=(0.0, 1.0),
        strengths=(0.1, 0.25, 0.4, 0.55, 0.7, 0.85),
        function=_fixed(colour.blue_filter),
        figure_13=0.25,
    ),
    Transformation(
        name="deformation",
        label="piecewise affine deformation",
        unit="standard deviation, share of the side",
        range=(0.0, 0.1),
        strengths=(0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1),
        function=deform,
        options=("rows", "columns"),
        random=True,
    ),
    Transformation(
        name="noise",
        label="Gaussian noise",
        unit="standard deviation, of 255",
        range=(0.0, 255.0),
        strengths=(5.0, 10.0, 25.0, 50.0, 75.0, 100.0),
        function=damage.noise,
        random=True,
    ),
    Transformation(
        name="salt_and_pepper",
        label="salt-and-pepper noise",
        unit="share of the pixels",
        range=(0.0, 1.0),
        strengths=(0.01, 0.02, 0.05, 0.1, 0.2, 0.4),
        function=damage.salt_and_pepper,
        random=True,
    ),
    Transformation(
        name="blur",
        label="Gaussian blur",
        unit="sigma, px",
        range=(0.0, damage.MAX_BLUR),
        strengths=(0.5, 1.0, 2.0, 4.0, 8.0, 16.0),
        function=_fixed(damage.blur),
    ),
    Transformation(
        name="occlusion",
        label="occlusion",
        unit="share of the area",
        range=(0.0, 1.0),
        strengths=(0.02, 0.05, 0.1, 0.2, 0.4, 0.6),
        function=damage.occlusion,
        random=True,
    ),
    Transformation(
        name="contrast",
        label="contrast",
        unit="1 − factor",
        range=(-1.0, 1.0),
        strengths=(0.1, 0.25, 0.4, 0.55, 0.7, 0.85),
        function=_fixed(colour.contrast),
    ),
    Transformation(
        name="hue",
        label="hue",
        unit="degrees about the grey axis",
        range=(-180.0, 180.0),
        strengths=(10.0, 20.0, 45.0, 90.0, 135.0, 180.0),
        function=_fixed(colour.hue),
    ),
)

TRANSFORMATIONS: Mapping[str, Transformation] = MappingProxyType({each.name: each for each in _ALL})
"""Name → transformation; the five of SeSS's Fig. 13 first."""
