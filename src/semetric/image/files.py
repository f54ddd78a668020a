"""Files and PIL images → RGB pixels: guards, bit depths, palettes, orientation, frames."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from semetric.errors import ImageError, SemetricError
from semetric.image.arrays import Pixels, check_size, to_rgb, unit_range
from semetric.image.depth import has_low_bytes, join_bytes, raw_mode, swap_bytes
from semetric.image.suffixes import FORMATS

__all__ = ["file_pixels", "pil_pixels"]

_ORIENTATION = 0x0112  # EXIF tag 274
_OPENING = threading.Lock()


def file_pixels(
    path: str | os.PathLike[str], *, background: str | tuple[int, int, int], max_pixels: int | None
) -> tuple[Pixels, list[str]]:
    """Decodes the first frame of a file to (H, W, 3), with notes.

    Raises:
        ImageError: it is missing, a folder, unreadable, empty, no image, too large or damaged.
    """
    name = os.fsdecode(path)
    with _opened(name) as file:
        try:
            image = _open(file)
        except UnidentifiedImageError:
            raise ImageError(
                f"Expected an image file (PNG, JPEG, WebP, TIFF, BMP, GIF …); {name} is not in a format that "
                "can be read, or its header is damaged."
            ) from None
        except Exception as error:  # decoders raise nearly anything on damaged headers
            raise ImageError(_damaged(name, None, error)) from error
        check_size(image.height, image.width, name, max_pixels)
        try:
            return _pixels(image, name, background=background, low=_low_bytes(image, name))
        except SemetricError:
            raise
        except MemoryError:
            raise ImageError(
                f"{name} is {image.width} × {image.height} px, more than this machine's memory holds. Shrink it."
            ) from None
        except Exception as error:  # as above
            raise ImageError(_damaged(name, image.format, error)) from error


def pil_pixels(
    image: Image.Image, *, background: str | tuple[int, int, int], max_pixels: int | None
) -> tuple[Pixels, list[str]]:
    """Converts the current frame of a PIL image to (H, W, 3), with notes. The image stays as it is.

    Raises:
        ImageError: too large, or it was opened from a file that is damaged.
    """
    check_size(image.height, image.width, "<PIL image>", max_pixels)
    try:
        return _pixels(image, "<PIL image>", background=background)
    except SemetricError:
        raise
    except Exception as error:  # a lazily opened file, see file_pixels
        raise ImageError(_damaged("<PIL image>", image.format, error)) from error


def _pixels(
    image: Image.Image, name: str, *, background: str | tuple[int, int, int], low: Image.Image | None = None
) -> tuple[Pixels, list[str]]:
    notes: list[str] = []
    if low is None and image.mode in {"LA", "RGB", "RGBA", "RGBX"} and ";16" in raw_mode(image):
        notes.append("16 bits a channel reduced to 8 (Pillow)")
    if getattr(image, "is_animated", False) and image.tell() == 0:
        notes.append("first of several frames")
    stored = _orientation(image, notes)
    image.load()
    if low is None:
        values = _values(image, name, notes)
    else:
        notes.append("16-bit values divided by 65535")
        values = join_bytes(np.asarray(image), np.asarray(low))
    pixels = to_rgb(values, background=background, notes=notes)
    turn = _orientation(image, [])  # Pillow turns TIFF files itself while it loads them
    if stored != 1 or turn != 1:
        notes.append(f"turned upright (EXIF orientation {stored if stored != 1 else turn})")
    if turn != 1:
        pixels = _upright(pixels, turn)
    return pixels, notes


def _values(image: Image.Image, name: str, notes: list[str]) -> Pixels:
    """(H, W, 1..4) in the image's own depth."""
    mode = image.mode
    if mode in {"I", "F"} or mode.startswith("I;16"):
        return _deep(image, name, notes)
    if mode in {"L", "LA", "RGB", "RGBA"} and "transparency" not in image.info:
        array = np.asarray(image)
        return array[:, :, None] if array.ndim == 2 else array
    if mode in {"P", "PA"}:
        notes.append("palette looked up")
        clear = mode == "PA" or "transparency" in image.info or image.has_transparency_data
        return np.asarray(image.convert("RGBA" if clear else "RGB"))
    if "transparency" in image.info and mode in {"1", "L", "RGB"}:
        notes.append("one colour is transparent")
        return np.asarray(image.convert("RGBA"))
    if mode in {"1"}:
        return np.asarray(image.convert("L"))[:, :, None]
    if mode in {"La", "RGBa"}:  # premultiplied
        return np.asarray(image.convert("RGBA" if mode == "RGBa" else "LA"))
    if mode == "CMYK":
        notes.append("CMYK converted to RGB without a colour profile")
    elif mode != "RGBX":
        notes.append(f"{mode} converted to RGB")
    return np.asarray(image.convert("RGB"))


def _deep(image: Image.Image, name: str, notes: list[str]) -> NDArray[np.float32]:
    """(H, W, 1 or 2) float32 in [0, 1] of a grey image of more than 8 bits."""
    array = np.asarray(image)
    if image.mode == "F":
        notes.append("float values taken as they are")
        grey = unit_range(array[:, :, None], f"file {name}", notes)
    else:
        low, high = int(array.min()), int(array.max())
        if low < 0 or high > 65535:
            raise ImageError(
                f"Expected integers in 0..65535; {name} holds values from {low} to {high}. Export it with 8 or 16 bits."
            )
        notes.append("16-bit values divided by 65535")
        grey = (array.astype(np.float32) / np.float32(65535))[:, :, None]
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        notes.append("one colour is transparent")
        grey = np.concatenate([grey, (array != clear).astype(np.float32)[:, :, None]], axis=2)
    return grey


def _low_bytes(image: Image.Image, name: str) -> Image.Image | None:
    """The file once more, decoded to the low bytes, where the image is 16-bit RGB or RGBA."""
    if not has_low_bytes(image) or "transparency" in image.info:
        return None
    with open(name, "rb") as file:
        low = _open(file)
        swap_bytes(low)
        low.load()
    return low


def _orientation(image: Image.Image, notes: list[str]) -> int:
    """The EXIF orientation, 1 (upright) to 8."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged EXIF block does not spoil the pixels
        notes.append("unreadable EXIF block ignored")
        return 1
    return value if value in range(1, 9) else 1


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undoes an EXIF orientation of 2 to 8 (CIPA DC-008, tag 274)."""
    if orientation in {5, 6, 7, 8}:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    turned: Pixels = np.empty(pixels.shape, pixels.dtype)
    turned[:] = pixels
    return turned


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """Opens a regular, non-empty file, or says why not."""
    try:
        status = os.stat(name)
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"Expected an image file; {name} is a folder. Name a file in it.")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"Expected an image file; {name} is a pipe or a device. Save the image to a file first.")
        if status.st_size == 0:
            raise ImageError(f"Expected an image file; {name} is empty (0 bytes). Fetch or export it again.")
        file = open(name, "rb")  # noqa: SIM115 (closed below, outside this try)
    except FileNotFoundError:
        raise ImageError(f"Expected an image file; {name} does not exist. Check the path.") from None
    except PermissionError:
        raise ImageError(f"Expected a readable image file; permission to read {name} is denied.") from None
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"Expected an image file; {name!r} cannot be opened: {error}.") from error
    with file:
        yield file


def _open(file: BinaryIO) -> Image.Image:
    """Reads the header, of the formats that need no more than that to know the size.

    Pillow's own guard is off meanwhile: its limit is a global, ours an argument.
    """
    with _OPENING:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=_formats())
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@cache
def _formats() -> tuple[str, ...]:
    """FORMATS, but for those that this version of Pillow has no reader of."""
    lacking = {"AVIF"} if find_spec("PIL.AvifImagePlugin") is None else set()  # before Pillow 11.3
    return tuple(name for name in FORMATS if name not in lacking)


def _damaged(name: str, form: str | None, error: Exception) -> str:
    reason = str(error).rstrip(".") or type(error).__name__
    return f"{name} is damaged{f' ({form})' if form else ''}: {reason}. Fetch or export it again."
