"""Moving the picture as a whole: translation, rotation, reflection, scaling.

These are four of the five changes of SeSS's Fig. 13 and 17 (arXiv 2406.03865): shift left, rotate
counter-clockwise, mirror, crop all sides and scale back. The paper gives neither the amounts behind Fig. 13
nor what fills the pixels that a shift or a rotation uncovers. Here that is black by default, as Pillow's and
OpenCV's transformations leave it, which is also the harshest choice: it adds a shape that the photo does not
have. `fill` offers others.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from PIL import Image

from semetric.errors import ImageError, UsageError
from semetric.lab.systems import Pixels
from semetric.lab.transformations.base import transformation

__all__ = ["Fill", "mirror", "rotate", "scale", "translate"]

Fill = Literal["black", "edge", "reflect", "wrap"]


@transformation(
    "translation",
    "translation",
    unit="share of the width, to the left",
    range=(0.0, 1.0),
    strengths=(0.02, 0.04, 0.06, 0.1, 0.15, 0.2, 0.3),
    figure_13=0.06,
)
def translate(image: Pixels, share: float, *, fill: Fill = "black") -> Pixels:
    """Shifts the photo to the left by share · width, in whole pixels; `fill` is the uncovered strip on the right."""
    shift = round(share * image.shape[1])
    return _pad(image, 0, shift, fill)[:, 2 * shift :].copy()


@transformation(
    "rotation",
    "rotation",
    unit="degrees, counter-clockwise",
    range=(-180.0, 180.0),
    strengths=(2.0, 4.0, 8.0, 15.0, 30.0, 45.0, 90.0),
    figure_13=8.0,
)
def rotate(image: Pixels, degrees: float, *, fill: Fill = "black") -> Pixels:
    """Turns the photo counter-clockwise about its centre (bicubic), keeping its size; `fill` is the uncovered corners.

    Quarter turns of squares, and half turns of anything, only reorder pixels.
    """
    h, w = image.shape[:2]
    margin = math.ceil((math.hypot(h, w) - min(h, w)) / 2) + 2  # the corners reach no further than this
    turned = Image.fromarray(_pad(image, margin, margin, fill)).rotate(degrees, Image.Resampling.BICUBIC)
    return np.asarray(turned)[margin : margin + h, margin : margin + w].copy()


@transformation("reflection", "reflection", unit="0 or 1", range=(0.0, 1.0), strengths=(1.0,), figure_13=1.0)
def mirror(image: Pixels, strength: float) -> Pixels:
    """Swaps left and right at strength 1."""
    if strength not in (0.0, 1.0):
        raise UsageError(f"Expected the strength of reflection to be 0 or 1; found {strength:g}.")
    return image[:, ::-1].copy() if strength else image.copy()


@transformation(
    "scaling",
    "scaling",
    unit="share of the longer side, cropped from every side",
    range=(0.0, 0.5),
    strengths=(0.02, 0.04, 0.06, 0.1, 0.15, 0.2, 0.25),
    figure_13=0.06,
)
def scale(image: Pixels, share: float) -> Pixels:
    """Crops n = share · longer side px from every side and enlarges the rest to the old size (Lanczos).

    Raises:
        ImageError: nothing of this photo would be left: its shorter side is less than 2n + 1 px.
    """
    h, w = image.shape[:2]
    n = round(share * max(h, w))
    if n and 2 * n >= min(h, w):
        raise ImageError(f"Expected a crop that leaves some of {w} × {h}; found {n} px from every side. Lower it.")
    middle = Image.fromarray(image).crop((n, n, w - n, h - n))
    return np.array(middle.resize((w, h), Image.Resampling.LANCZOS))


def _pad(image: Pixels, rows: int, columns: int, fill: Fill) -> Pixels:
    if fill not in get_args(Fill):
        raise UsageError(f"Expected a fill of {', '.join(get_args(Fill))}; found {fill!r}.")
    widths = ((rows, rows), (columns, columns), (0, 0))
    return np.asarray(np.pad(image, widths, mode="constant" if fill == "black" else fill), np.uint8)
