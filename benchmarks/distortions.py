"""What the benchmarks do to photos: four damages of rising severity, five changes that keep the meaning.

Every function takes and returns (H, W, 3) uint8 RGB of one size, changes nothing in place, and gives the
same pixels for the same arguments. Noise takes its generator from the caller.

The five changes are those of SeSS's Fig. 13 and 17 (arXiv 2406.03865): shift left, rotate counter-clockwise,
mirror, crop all sides and scale back, blend with pure blue. The paper gives neither the amounts behind
Fig. 13 nor what fills the pixels that a shift or a rotation uncovers. Here that is black by default, as
Pillow's and OpenCV's transformations leave it, which is also the harshest choice: it adds a shape that
the photo does not have. `fill` offers others.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from semetric.errors import UsageError

__all__ = [
    "BLUR_SIGMAS",
    "EXTREME",
    "JPEG_QUALITIES",
    "NOISE_SIGMAS",
    "REMOVAL_COUNTS",
    "TRANSFORMATIONS",
    "Fill",
    "blue_filter",
    "blur",
    "generator",
    "jpeg",
    "mirror",
    "noise",
    "removal_order",
    "remove",
    "rotate",
    "scale",
    "severities",
    "translate",
]

Pixels = NDArray[np.uint8]
Masks = NDArray[np.bool_]
Fill = Literal["black", "edge", "reflect", "wrap"]

# From hardly visible to hardly recognisable on photos of 512 px.
JPEG_QUALITIES = (60, 30, 15, 8, 3)
BLUR_SIGMAS = (1.0, 2.0, 4.0, 8.0)  # px
NOISE_SIGMAS = (10.0, 25.0, 50.0, 100.0)  # of 255
REMOVAL_COUNTS = (1, 2, 3, 4)  # objects

# The last level of each of these leaves a photo that people would call destroyed.
EXTREME: Mapping[str, float] = MappingProxyType({"jpeg": 3, "blur": 8.0, "noise": 100.0})


def generator(name: str, seed: int = 0) -> np.random.Generator:
    """The generator of a photo: its noise depends on its name and the seed, not on the order of calls."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def jpeg(image: Pixels, quality: int) -> Pixels:
    """Encodes and decodes with libjpeg, 4:2:0 chroma, standard tables.

    Args:
        image: the photo.
        quality: 1..95 on libjpeg's scale.
    """
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    return np.array(Image.open(stream).convert("RGB"))


def blur(image: Pixels, sigma: float) -> Pixels:
    """Gaussian blur, mirrored at the borders, cut off at 4 sigma.

    Args:
        image: the photo.
        sigma: in pixels.
    """
    return _rounded(ndimage.gaussian_filter(image.astype(np.float32), (sigma, sigma, 0), mode="reflect"))


def noise(image: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Adds independent Gaussian noise to every channel and clips.

    Args:
        image: the photo.
        sigma: standard deviation in units of 255.
        rng: see `generator`; a fresh one gives every level the same field, scaled.
    """
    return _rounded(image + rng.normal(0.0, sigma, image.shape))


def removal_order(
    masks: Masks, importance: Sequence[float] | None = None, *, smallest: float = 0.005, largest: float = 0.4
) -> list[int]:
    """Which masks to remove, the most important first.

    Leaves out specks, what fills the frame (background), and masks more than half of which an earlier
    one removes already (a wheel of the car), so that every further removal takes something away.

    Args:
        masks: (N, H, W).
        importance: one a mask; None takes the area.
        smallest: share of the image below which a mask is a speck.
        largest: share above which it is background.

    Returns:
        Indices into masks.
    """
    areas = masks.reshape(len(masks), -1).mean(1)
    weight = areas if importance is None else np.asarray(importance, np.float64)
    taken = np.zeros(masks.shape[1:], bool)
    order = []
    for i in np.argsort(-weight, kind="stable"):
        if smallest <= areas[i] <= largest and (masks[i] & taken).sum() <= 0.5 * masks[i].sum():
            order.append(int(i))
            taken |= masks[i]
    return order


def remove(image: Pixels, masks: Masks, *, margin: int = 4, radius: int = 5) -> Pixels:
    """Removes objects and continues their surroundings into the hole (Navier–Stokes, Bertalmio et al. 2001, by OpenCV).

    Args:
        image: the photo.
        masks: (N, H, W), the objects to remove together; take the first k of `removal_order`.
        margin: px by which the hole is wider than the masks, for shadows and soft edges.
        radius: of the neighbourhood that is continued, in px.

    Raises:
        UsageError: masks of another size.
    """
    import cv2

    if masks.shape[1:] != image.shape[:2]:
        raise UsageError(f"Expected masks of {image.shape[:2]}, the photo's size; found {masks.shape[1:]}.")
    if not masks.any():
        return image.copy()
    hole = ndimage.binary_dilation(masks.any(0), ndimage.generate_binary_structure(2, 2), iterations=margin)
    return np.asarray(cv2.inpaint(image, hole.astype(np.uint8), radius, cv2.INPAINT_NS), np.uint8)


def translate(image: Pixels, share: float = 0.06, *, fill: Fill = "black") -> Pixels:
    """Shifts the photo to the left by share · width, rounded to whole pixels.

    Args:
        image: the photo.
        share: of the width, 0..1.
        fill: what the uncovered strip on the right holds.
    """
    shift = round(share * image.shape[1])
    return _pad(image, 0, shift, fill)[:, 2 * shift :]


def rotate(image: Pixels, degrees: float = 8.0, *, fill: Fill = "black") -> Pixels:
    """Turns the photo counter-clockwise about its centre (bicubic), keeping its size.

    Args:
        image: the photo.
        degrees: counter-clockwise as it is seen.
        fill: what the uncovered corners hold.
    """
    h, w = image.shape[:2]
    margin = math.ceil((math.hypot(h, w) - min(h, w)) / 2) + 2  # the corners reach no further than this
    turned = Image.fromarray(_pad(image, margin, margin, fill)).rotate(degrees, Image.Resampling.BICUBIC)
    return np.asarray(turned)[margin : margin + h, margin : margin + w].copy()


def mirror(image: Pixels) -> Pixels:
    """Swaps left and right."""
    return np.ascontiguousarray(image[:, ::-1])


def scale(image: Pixels, share: float = 0.06) -> Pixels:
    """Crops n px from every side and enlarges the rest to the old size (Lanczos).

    Args:
        image: the photo.
        share: n over the longer side, 0..0.5; where the shorter side is less than 2n + 1 px this fails.

    Raises:
        UsageError: nothing would be left.
    """
    h, w = image.shape[:2]
    n = round(share * max(h, w))
    if 2 * n >= min(h, w):
        raise UsageError(f"Expected a crop that leaves some of {w} × {h}; found {n} px from every side.")
    middle = Image.fromarray(image).crop((n, n, w - n, h - n))
    return np.array(middle.resize((w, h), Image.Resampling.LANCZOS))


def blue_filter(image: Pixels, share: float = 0.25) -> Pixels:
    """Blends with pure blue.

    Args:
        image: the photo.
        share: of the blue, 0..1.
    """
    return _rounded((1 - share) * image.astype(np.float64) + share * np.array([0.0, 0.0, 255.0]))


TRANSFORMATIONS: Mapping[str, Callable[[Pixels], Pixels]] = MappingProxyType(
    {"translation": translate, "rotation": rotate, "reflection": mirror, "scaling": scale, "colour filter": blue_filter}
)


def severities(
    name: str, image: Pixels, masks: Masks | None = None, importance: Sequence[float] | None = None, *, seed: int = 0
) -> dict[str, list[tuple[float, Pixels]]]:
    """Every damage at every level, mildest first.

    Args:
        name: the photo's, for its noise.
        image: the photo.
        masks: (N, H, W), the objects of the photo; None leaves removal out.
        importance: one a mask, for `removal_order`.
        seed: of the noise.

    Returns:
        Damage → (level, damaged photo) each; "removal" has as many levels as there are objects, up to five.
    """
    found = {
        "jpeg": [(float(q), jpeg(image, q)) for q in JPEG_QUALITIES],
        "blur": [(s, blur(image, s)) for s in BLUR_SIGMAS],
        "noise": [(s, noise(image, s, generator(name, seed))) for s in NOISE_SIGMAS],
    }
    if masks is not None:
        order = removal_order(masks, importance)
        found["removal"] = [(float(k), remove(image, masks[order[:k]])) for k in REMOVAL_COUNTS if k <= len(order)]
    return found


def _rounded(values: NDArray[np.floating]) -> Pixels:
    rounded: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def _pad(image: Pixels, rows: int, columns: int, fill: Fill) -> Pixels:
    widths = ((rows, rows), (columns, columns), (0, 0))
    return np.asarray(np.pad(image, widths, mode="constant" if fill == "black" else fill), np.uint8)
