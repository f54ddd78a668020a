"""Taking objects out of a photo and putting them into one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semetric.errors import MissingExtraError, UsageError
from semetric.lab.edits.objects import Masks
from semetric.lab.systems import Pixels

__all__ = ["blend", "feathered", "paste", "remove", "resized", "turned"]

FEATHER = 2  # px over which an object's edge fades, inside its mask


def remove(image: Pixels, masks: Masks, *, margin: int = 4, radius: int = 5) -> Pixels:
    """Removes objects and continues their surroundings into the hole (Navier–Stokes, Bertalmio et al. 2001, by OpenCV).

    Args:
        image: the photo.
        masks: (N, H, W), the objects to remove together; take the first k of `removal_order`.
        margin: px by which the hole is wider than the masks, for shadows and soft edges.
        radius: of the neighbourhood that is continued, in px.

    Raises:
        UsageError: masks of another size.
        MissingExtraError: without OpenCV.
    """
    if masks.shape[1:] != image.shape[:2]:
        raise UsageError(f"Expected masks of {image.shape[:2]}, the photo's size; found {masks.shape[1:]}.")
    if not masks.any():
        return image.copy()
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError(
            "Holes are inpainted by OpenCV, which is not installed. Run: pip install 'semetric[lab]'"
        ) from error
    from scipy import ndimage

    hole = ndimage.binary_dilation(masks.any(0), ndimage.generate_binary_structure(2, 2), iterations=margin)
    return np.asarray(cv2.inpaint(image, hole.astype(np.uint8), radius, cv2.INPAINT_NS), np.uint8)


def feathered(mask: Masks, feather: int = FEATHER) -> NDArray[np.float64]:
    """(H, W) opacity: 1 inside, falling to 0 outside over `feather` px that belong to the mask."""
    from scipy import ndimage

    inside = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    opacity: NDArray[np.float64] = np.clip(inside / (feather + 1), 0, 1)
    return opacity


def blend(image: Pixels, other: NDArray[np.number], opacity: NDArray[np.float64]) -> Pixels:
    """Image where the opacity is 0, other where it is 1: all (H, W, …); pixels of opacity 0 stay to the bit."""
    weight = opacity[..., None]
    mixed = np.clip(np.rint((1 - weight) * image + weight * other), 0, 255)
    return np.where(weight > 0, mixed, image).astype(np.uint8)


def paste(canvas: Pixels, pixels: Pixels, mask: Masks, top: int, left: int, *, feather: int = FEATHER) -> None:
    """Puts an object onto a canvas, in place; what lies outside of the frame is cut off.

    Args:
        canvas: (H, W, 3).
        pixels: (h, w, 3) of the object's box.
        mask: (h, w) of the object in it.
        top: row of the canvas at which the box begins; may be negative.
        left: column.
        feather: px over which its edge fades.
    """
    opacity = feathered(mask, feather)
    (h, w), (rows, columns) = mask.shape, canvas.shape[:2]
    y0, y1, x0, x1 = max(0, -top), min(h, rows - top), max(0, -left), min(w, columns - left)
    if y0 >= y1 or x0 >= x1:
        return
    there = slice(top + y0, top + y1), slice(left + x0, left + x1)
    canvas[there] = blend(canvas[there], pixels[y0:y1, x0:x1], opacity[y0:y1, x0:x1])


def resized(pixels: Pixels, mask: Masks, size: tuple[int, int]) -> tuple[Pixels, Masks]:
    """An object at another (h, w): Lanczos for the pixels, half coverage for the mask."""
    to = size[1], size[0]
    small = Image.fromarray(mask.astype(np.uint8) * 255).resize(to, Image.Resampling.BOX)
    return np.array(Image.fromarray(pixels).resize(to, Image.Resampling.LANCZOS)), np.asarray(small) >= 128


def turned(pixels: Pixels, mask: Masks, degrees: float) -> tuple[Pixels, Masks]:
    """An object turned counter-clockwise, in a box that holds it whole (bicubic; nearest for the mask)."""
    rim = 2  # px, of the bicubic window: nothing of the black around the box comes in
    picture = Image.fromarray(np.pad(pixels, ((rim, rim), (rim, rim), (0, 0)), mode="edge"))
    shape = Image.fromarray(np.pad(mask, rim).astype(np.uint8) * 255)
    turned_pixels = np.array(picture.rotate(degrees, Image.Resampling.BICUBIC, expand=True))
    return turned_pixels, np.asarray(shape.rotate(degrees, Image.Resampling.NEAREST, expand=True)) >= 128
