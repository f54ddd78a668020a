"""Moving the picture as a whole: translation, rotation, reflection, scaling.

These are four of the five changes of SeSS's Fig. 13 and 17 (arXiv 2406.03865): shift left, rotate
counter-clockwise, mirror, crop all sides and scale back. The paper gives neither the amounts behind Fig. 13
nor what fills the pixels that a shift or a rotation uncovers. Here that is black by default, as Pillow's and
OpenCV's transformations leave it, which is also the harshest choice: it adds a shape that the photo does not
have. `fill` offers others.

Every function takes and returns (H, W, 3) uint8 RGB of one size and changes nothing in place.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from PIL import Image

from semetric.errors import ImageError, UsageError
from semetric.lab.systems import Pixels
from semetric.lab.transformations._values import checked

__all__ = ["Fill", "mirror", "rotate", "scale", "translate"]

Fill = Literal["black", "edge", "reflect", "wrap"]


def translate(image: Pixels, share: float = 0.06, *, fill: Fill = "black") -> Pixels:
    """Shifts the photo to the left by share · width, rounded to whole pixels.

    Args:
        image: the photo.
        share: of the width, 0..1.
        fill: what the uncovered strip on the right holds.

    Raises:
        UsageError: a share outside of that, or another fill.
    """
    shift = round(checked("a shift as a share of the width", share, 0, 1) * image.shape[1])
    return _pad(image, 0, shift, fill)[:, 2 * shift :].copy()


def rotate(image: Pixels, degrees: float = 8.0, *, fill: Fill = "black") -> Pixels:
    """Turns the photo counter-clockwise about its centre (bicubic), keeping its size.

    Quarter turns of squares, and half turns of anything, only reorder pixels.

    Args:
        image: the photo.
        degrees: counter-clockwise as it is seen, −180..180.
        fill: what the uncovered corners hold.

    Raises:
        UsageError: an angle outside of that, or another fill.
    """
    checked("an angle in degrees", degrees, -180, 180)
    h, w = image.shape[:2]
    margin = math.ceil((math.hypot(h, w) - min(h, w)) / 2) + 2  # the corners reach no further than this
    turned = Image.fromarray(_pad(image, margin, margin, fill)).rotate(degrees, Image.Resampling.BICUBIC)
    return np.asarray(turned)[margin : margin + h, margin : margin + w].copy()


def mirror(image: Pixels) -> Pixels:
    """Swaps left and right."""
    return image[:, ::-1].copy()


def scale(image: Pixels, share: float = 0.06) -> Pixels:
    """Crops n px from every side and enlarges the rest to the old size (Lanczos).

    Args:
        image: the photo.
        share: n over the longer side, 0..0.5; n is rounded to whole pixels.

    Raises:
        UsageError: a share outside of that.
        ImageError: nothing of this photo would be left: its shorter side is less than 2n + 1 px.
    """
    checked("a crop as a share of the longer side", share, 0, 0.5)
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
