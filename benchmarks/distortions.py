"""What the benchmarks do to photos: four damages of rising severity, and harmless changes that keep the meaning.

Where `semetric.lab` has a change it is taken from there; here are the levels and amounts that docs/meaning.md
reports on. Every function takes and returns (H, W, 3) uint8 RGB of one size, changes nothing in place, and gives
the same pixels for the same arguments. Noise takes its generator from the caller.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageFilter

from semetric.lab.edits import Masks, removal_order
from semetric.lab.edits.compositing import remove
from semetric.lab.systems import Pixels
from semetric.lab.transformations import blue_filter, blur, contrast, mirror, noise, rotate, scale, translate

__all__ = [
    "BLUR_SIGMAS",
    "EXTREME",
    "HARMLESS",
    "JPEG_QUALITIES",
    "NOISE_SIGMAS",
    "REMOVAL_COUNTS",
    "SLIGHT",
    "TRANSFORMATIONS",
    "Label",
    "blue_filter",
    "blur",
    "gamma",
    "generator",
    "halved",
    "jpeg",
    "mirror",
    "noise",
    "severities",
    "sharpened",
    "webp",
]

Label = tuple[str, float | str]
"""(kind, level) of a changed photo; "" where the kind has one level."""

# From hardly visible to hardly recognisable on photos of 512 px.
JPEG_QUALITIES = (60, 30, 15, 8, 3)
BLUR_SIGMAS = (1.0, 2.0, 4.0, 8.0)  # px
NOISE_SIGMAS = (10.0, 25.0, 50.0, 100.0)  # of 255
REMOVAL_COUNTS = (1, 2, 3, 4)  # objects

# The last level of each of these leaves a photo that people would call destroyed.
EXTREME: Mapping[str, float] = MappingProxyType({"jpeg": 3, "blur": 8.0, "noise": 100.0})

# Each at its own amount for SeSS's Fig. 13; tests/benchmarks/test_distortions.py holds them against the lab's.
TRANSFORMATIONS: Mapping[str, Callable[[Pixels], Pixels]] = MappingProxyType(
    {"translation": translate, "rotation": rotate, "reflection": mirror, "scaling": scale, "colour filter": blue_filter}
)


def generator(name: str, seed: int = 0) -> np.random.Generator:
    """The generator of a photo: its noise depends on its name and the seed, not on the order of calls."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def jpeg(image: Pixels, quality: int) -> Pixels:
    """Encodes and decodes with libjpeg, 4:2:0 chroma, standard tables.

    Args:
        image: the photo.
        quality: 1..95 on libjpeg's scale.
    """
    return _coded(image, "JPEG", quality=quality, subsampling="4:2:0")


def webp(image: Pixels, quality: int) -> Pixels:
    """Encodes and decodes with libwebp, lossy.

    Args:
        image: the photo.
        quality: 0..100 on libwebp's scale.
    """
    return _coded(image, "WEBP", quality=quality)


def _coded(image: Pixels, form: str, **options: int | str) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, form, **options)
    return np.array(Image.open(stream).convert("RGB"))


def sharpened(image: Pixels) -> Pixels:
    """Adds the difference from a Gaussian blur of radius 1 px (unsharp mask, 100%)."""
    return np.array(Image.fromarray(image).filter(ImageFilter.UnsharpMask(radius=1, percent=100, threshold=0)))


def gamma(image: Pixels, exponent: float) -> Pixels:
    """Raises every value, as a share of 255, to the exponent; less than 1 brightens."""
    table = np.rint(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    return np.asarray(table[image], np.uint8)


def halved(image: Pixels) -> Pixels:
    """Halves both sides and enlarges to the old size (Lanczos both ways)."""
    photo = Image.fromarray(image)
    small = photo.resize((max(1, photo.width // 2), max(1, photo.height // 2)), Image.Resampling.LANCZOS)
    return np.array(small.resize(photo.size, Image.Resampling.LANCZOS))


# Harmless changes that are neither the mildest level of a damage nor one of the TRANSFORMATIONS.
SLIGHT: Mapping[Label, Callable[[Pixels], Pixels]] = MappingProxyType(
    {
        ("webp", 60.0): partial(webp, quality=60),
        ("sharpening", ""): sharpened,
        ("gamma", 0.8): partial(gamma, exponent=0.8),
        ("gamma", 1.25): partial(gamma, exponent=1.25),
        ("downscaling", 2.0): halved,
        ("contrast", 0.15): partial(contrast, strength=-0.15),  # the lab's strength is 1 − factor
        ("contrast", -0.15): partial(contrast, strength=0.15),
    }
)

HARMLESS: tuple[Label, ...] = (
    ("jpeg", 60.0),
    ("blur", 1.0),
    ("noise", 10.0),
    *SLIGHT,
    *((kind, "") for kind in TRANSFORMATIONS),
)
"""Changes that keep what a photo shows."""


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
        Damage → (level, damaged photo) each; "removal" has as many levels as there are objects, up to four.
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
