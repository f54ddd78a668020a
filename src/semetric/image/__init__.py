"""Images in: one reader for files, PIL images, numpy arrays and torch tensors.

Whatever comes in, a `Picture` comes out: RGB, upright, opaque, uint8 or float32 in [0, 1], with a
note for every conversion that it took. What cannot be read without guessing raises ImageError.
"""

from __future__ import annotations

from semetric.image.picture import Picture
from semetric.image.read import MAX_PIXELS, ImageLike, read_image, read_png
from semetric.image.resample import resize, resize_to

__all__ = ["MAX_PIXELS", "ImageLike", "Picture", "read_image", "read_png", "resize", "resize_to"]
