"""The one way in: anything that holds an image → Picture."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias, Union, cast

import numpy as np

from semetric.errors import ImageError
from semetric.image.arrays import array_pixels, check_limit, tensor_pixels
from semetric.image.names import shown
from semetric.image.picture import Picture
from semetric.image.raster import MAX_PIXELS, check_background

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["MAX_PIXELS", "ImageLike", "read_image", "read_png"]

ImageLike: TypeAlias = Union[str, "os.PathLike[str]", "Image.Image", "NDArray[Any]", "torch.Tensor", Picture]
"""A path, a PIL image, a numpy array, a torch tensor or a Picture."""


def read_image(
    source: ImageLike,
    *,
    background: str | tuple[int, int, int] = "white",
    max_pixels: int | None = MAX_PIXELS,
) -> Picture:
    """Reads an image from wherever it is, without importing torch.

    Every conversion is listed in `Picture.notes`:

    - grey is repeated over three channels; palettes are looked up;
    - alpha (a channel, a palette's or a colour key's) is composited on the background;
    - an EXIF orientation is applied, so that the picture is upright;
    - of an animation or a multi-page file the first frame is taken;
    - more than 8 bits a channel become float32 in [0, 1] without loss, but for SGI files and images
      that Pillow has decoded already, which have 8 bits there;
    - CMYK, Lab, YCbCr and HSV go through Pillow's plain conversion. No ICC profile is applied:
      pixels are taken as sRGB, as the networks' training images were;
    - floats that are all multiples of 1/255 are held as uint8, so that one image has one digest
      whichever way it comes.

    Args:
        source: one of
            a path to a file of one of `semetric.image.suffixes.FORMATS`;
            a PIL image (its current frame);
            numpy (H, W), (H, W, 1..4), uint8 or bool, uint16 in 0..65535, or float in [0, 1], where 2
            channels are grey and alpha and 4 are RGB and alpha;
            torch (C, H, W) or (1, C, H, W), float in [0, 1] or uint8, C of 1 to 4 likewise;
            a Picture, which is returned as it is.
        background: what shows through transparent pixels: a CSS colour or (r, g, b) in 0..255.
        max_pixels: refuse larger images, files before they are decoded; None for no limit. Files whose pixels
            take more memory or time than 8-bit RGB have a fraction of the limit, see docs/images.md.

    Raises:
        ImageError: missing, unreadable, damaged, not an image, too large, or values out of range.
        UsageError: the background is not a colour, or the limit not a number.

    Example:
        >>> read_image(np.full((2, 2), 128, np.uint8)).notes
        ('grey repeated over three channels',)
    """
    if isinstance(source, Picture):
        return source
    check_background(background)  # here, so that whether a wrong one is said does not depend on the image
    check_limit(max_pixels)
    if isinstance(source, np.ndarray):
        pixels, notes = array_pixels(source, background=background, max_pixels=max_pixels)
        return _picture(pixels, "<array>", notes)
    if _of(source, "torch", "Tensor"):
        pixels, notes = tensor_pixels(cast("torch.Tensor", source), background=background, max_pixels=max_pixels)
        return _picture(pixels, "<tensor>", notes)

    from semetric.image import files  # Pillow takes 40 ms to import, which arrays do not need

    if isinstance(source, (str, os.PathLike)):
        pixels, notes = files.file_pixels(source, background=background, max_pixels=max_pixels)
        return _picture(pixels, shown(os.fsdecode(source)), notes)
    if _of(source, "PIL", "Image"):
        pixels, notes = files.pil_pixels(cast("Image.Image", source), background=background, max_pixels=max_pixels)
        return _picture(pixels, "<PIL image>", notes)
    raise ImageError(
        f"Expected a path, a PIL image, a numpy array, a torch tensor or a Picture; found {type(source).__name__}."
    )


def read_png(
    path: str | os.PathLike[str], *, max_pixels: int | None = MAX_PIXELS
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Reads a PNG whose colours are numbers: neither turned nor composited.

    Args:
        path: of the file.
        max_pixels: refuse larger images.

    Returns:
        (H, W) where it is grey, else (H, W, 2..4), in its own depth; a palette is looked up.

    Raises:
        ImageError: no such file, no PNG, damaged, or too large.
    """
    from semetric.image import files

    return files.png_pixels(path, max_pixels=max_pixels)


def _picture(pixels: NDArray[np.uint8] | NDArray[np.float32], name: str, notes: list[str]) -> Picture:
    pixels.setflags(write=False)
    return Picture(pixels=pixels, name=name, notes=tuple(notes))


def _of(source: object, package: str, name: str) -> bool:
    """Whether that package's class is among the object's classes; imports nothing."""
    return any(base.__name__ == name and base.__module__.partition(".")[0] == package for base in type(source).__mro__)
