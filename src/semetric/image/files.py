"""Files and PIL images → RGB pixels: which reader takes a file, guards, palettes, orientation, frames."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from semetric.errors import ImageError, SemetricError
from semetric.image import png, portable, tiff
from semetric.image.arrays import unit_range
from semetric.image.deep import deep_avif, deep_jpeg2000
from semetric.image.jpeg import decode_jpeg
from semetric.image.orientation import ORIENTATION, upright
from semetric.image.pillow import strict_pillow
from semetric.image.raster import DecodedImage, Pixels, Raster, check_size, to_rgb
from semetric.image.suffixes import FORMATS

__all__ = ["file_pixels", "pil_pixels", "png_pixels"]

_SLOW = 64  # times as long as others: decoders that Pillow has in Python
_COSTS = {"WEBP": 3, "AVIF": 2, "JPEG2000": 4}  # what Pillow's decoders hold at once, as multiples of 8-bit RGB


def file_pixels(
    path: str | os.PathLike[str], *, background: str | tuple[int, int, int], max_pixels: int | None
) -> tuple[Pixels, list[str]]:
    """Decodes the first frame of a file to (H, W, 3), with notes.

    Raises:
        ImageError: it is missing, a folder, unreadable, empty, no image, too large or damaged.
    """
    name = os.fsdecode(path)
    with _opened(name) as file:
        form = ""
        try:
            head = file.read(32)
            file.seek(0)
            form = _form(head)
            decoded = _READERS[form](file, name, max_pixels)
            return _finished(decoded, background)
        except SemetricError:
            raise
        except UnidentifiedImageError:
            raise ImageError(
                f"Expected an image file (PNG, JPEG, WebP, TIFF, BMP, GIF …); {name} is not in a format that "
                "can be read, or its header is damaged."
            ) from None
        except MemoryError:
            raise ImageError(f"{name} takes more than this machine's memory holds. Shrink it.") from None
        except Exception as error:  # decoders raise nearly anything on damaged files; none of it is let through
            raise ImageError(_damaged(name, form, error)) from error


def png_pixels(path: str | os.PathLike[str], *, max_pixels: int | None) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The pixels of a PNG file as they are stored, see `png.png_array`.

    Raises:
        ImageError: as `file_pixels`, or another format.
    """
    name = os.fsdecode(path)
    with _opened(name) as file:
        data = file.read()
    if not data.startswith(png.SIGNATURE):
        raise ImageError(f"Expected a PNG; {name} is another file, or its header is damaged.")
    try:
        return png.png_array(data, name, max_pixels)
    except RuntimeError as error:  # libpng's
        raise ImageError(_damaged(name, "PNG", error)) from error


def pil_pixels(
    image: Image.Image, *, background: str | tuple[int, int, int], max_pixels: int | None
) -> tuple[Pixels, list[str]]:
    """Converts the current frame of a PIL image to (H, W, 3), with notes. The image stays as it is.

    Raises:
        ImageError: too large, or it was opened from a file that is damaged.
    """
    check_size(image.height, image.width, "<PIL image>", max_pixels)
    try:
        with strict_pillow():
            return _finished(_from_pillow(image, "<PIL image>"), background)
    except SemetricError:
        raise
    except Exception as error:  # a lazily opened file, see file_pixels
        raise ImageError(_damaged("<PIL image>", image.format, error)) from error


def _finished(decoded: DecodedImage, background: str | tuple[int, int, int]) -> tuple[Pixels, list[str]]:
    notes = list(decoded.notes)
    pixels = to_rgb(decoded.raster, background=background, notes=notes)
    if decoded.orientation == 1:
        return pixels, notes
    notes.append(f"turned upright (EXIF orientation {decoded.orientation})")
    return upright(pixels, decoded.orientation), notes


def _form(head: bytes) -> str:
    """Which of the readers below takes a file that begins so."""
    if head.startswith(png.SIGNATURE):
        return "PNG"
    if head.startswith(tiff.SIGNATURES):
        return "TIFF"
    if portable.SIGNATURE.match(head):
        return "PPM"
    return {b"qoif": "QOI", b"RIFF": "WEBP"}.get(head[:4], "")


def _qoi(file: BinaryIO, name: str, max_pixels: int | None) -> DecodedImage:
    """QOI (qoiformat.org), which Pillow decodes in Python, and whose end mark no decoder asks for."""
    import imagecodecs

    data = file.read()
    _, width, height, channels, _ = struct.unpack_from(">4sIIBB", data)
    check_size(height, width, name, max_pixels)
    if not data.endswith(bytes(7) + b"\1") or channels not in {3, 4}:
        raise ValueError("it ends before its end mark")
    return DecodedImage(raster=Raster.of(imagecodecs.qoi_decode(data), 255))


def _webp(file: BinaryIO, name: str, max_pixels: int | None) -> DecodedImage:
    """The size first: Pillow's decoder allocates two canvases as soon as it is opened."""
    head = file.read(30)
    file.seek(0)
    width, height = 0, 0
    if head[8:16] == b"WEBPVP8X":
        width, height = (int.from_bytes(head[i : i + 3], "little") + 1 for i in (24, 27))
    elif head[8:16] == b"WEBPVP8L":
        bits = int.from_bytes(head[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif head[8:16] == b"WEBPVP8 ":
        width, height = (int.from_bytes(head[i : i + 2], "little") & 0x3FFF for i in (26, 28))
    if width and height:
        check_size(height, width, name, max_pixels, cost=_COSTS["WEBP"], kind="of WebP")
    return _others(file, name, max_pixels)


def _others(file: BinaryIO, name: str, max_pixels: int | None) -> DecodedImage:
    """The formats whose header Pillow reads, and whose pixels too, where it decodes all of them."""
    with strict_pillow():
        image = Image.open(file, formats=_formats())
        size = image.height, image.width
        slow = any(tile[0] in Image.DECODERS and tile[0] != "SGI16" for tile in getattr(image, "tile", []))
        cost = _SLOW if slow else _COSTS.get(str(image.format), 1)
        check_size(*size, name, max_pixels, cost=cost, kind=f"of {image.format} as it is compressed")
        deep = None
        if image.format in {"JPEG", "MPO"} and image.mode in {"L", "RGB", "CMYK"}:
            file.seek(0)
            return _from_pillow(image, name, decode_jpeg(file.read(), image.mode, size, name, max_pixels))
        if image.format in {"JPEG2000", "AVIF"}:
            file.seek(0)
            data = file.read()
            if image.format == "AVIF":
                deep = deep_avif(data, size, name, max_pixels)
            else:
                deep = deep_jpeg2000(data, image.mode, size, name, max_pixels)
        if deep is None:
            return _from_pillow(image, name)
        stored = _from_pillow(image, name, deep.raster)
        return DecodedImage(raster=deep.raster, notes=(*deep.notes, *stored.notes), orientation=stored.orientation)


_READERS: dict[str, Callable[[BinaryIO, str, int | None], DecodedImage]] = {
    "PNG": png.decode_png,
    "TIFF": tiff.decode_tiff,
    "PPM": portable.decode_portable,
    "QOI": _qoi,
    "WEBP": _webp,
    "": _others,
}


def _from_pillow(image: Image.Image, name: str, raster: Raster | None = None) -> DecodedImage:
    """The current frame, its pixels given where another decoder has them."""
    notes: list[str] = []
    if raster is None and image.mode in {"L", "LA", "RGB", "RGBA", "RGBX"} and ";16" in _raw_mode(image):
        notes.append("16 bits a channel reduced to 8 (Pillow)")
    if getattr(image, "is_animated", False) and image.tell() == 0:
        notes.append("first of several frames")
    turned = _orientation(image, notes) if image.format == "TIFF" else 1  # Pillow turns those itself as it loads them
    if raster is None:
        raw = _raw_mode(image)
        image.load()
        raster = _raster(image, raw, name, notes)
    elif image.mode == "CMYK":
        raster = _converted(raster, image.mode, notes)
    orientation = _orientation(image, notes)
    if turned != 1 == orientation:
        notes.append(f"turned upright (EXIF orientation {turned})")
    return DecodedImage(raster=raster, notes=tuple(notes), orientation=orientation)


def _raster(image: Image.Image, raw: str, name: str, notes: list[str]) -> Raster:
    """The pixels in the image's own depth; `raw` is how its file holds them."""
    mode = image.mode
    if mode in {"I", "F"} or mode.startswith("I;16"):
        return _deep(image, name, notes)
    key = image.info.get("transparency")
    if mode in {"L", "LA", "RGB", "RGBA"} and key is None:
        return _rows(image, mode)
    if mode in {"P", "PA"}:
        notes.append("palette looked up")
        clear = mode == "PA" or key is not None or image.has_transparency_data
        return _rows(image, "RGBA" if clear else "RGB")
    if key is not None and mode in {"1", "L", "RGB"}:
        notes.append("one colour is transparent")
        if image.format == "PNG" and raw in {"L;2", "L;4"} and isinstance(key, int):
            image = image.copy()  # Pillow widens the pixels to 8 bits and not the key
            image.info["transparency"] = key * (85 if raw == "L;2" else 17)
        elif isinstance(key, tuple) and max(key) > 255:
            image = image.copy()
            image.info["transparency"] = tuple(value >> 8 for value in key)
        return _rows(image, "RGBA")
    if mode == "1":
        return _rows(image, "L")
    if mode in {"La", "RGBa"}:  # premultiplied
        return _rows(image, "RGBA" if mode == "RGBa" else "LA")
    if mode == "CMYK":
        notes.append("CMYK converted to RGB without a colour profile")
    elif mode != "RGBX":
        notes.append(f"{mode} converted to RGB")
    return _rows(image, "RGB")


def _rows(image: Image.Image, mode: str) -> Raster:
    """A loaded image, converted a band at a time."""

    def rows(start: int, stop: int) -> NDArray[Any]:
        band = image.crop((0, start, image.width, stop))
        if band.mode != mode:
            band.info = image.info  # a colour key
            band = band.convert(mode)
        array = np.asarray(band)
        return array[:, :, None] if array.ndim == 2 else array

    return Raster(shape=(image.height, image.width, len(Image.new(mode, (1, 1)).getbands())), rows=rows, white=255)


def _converted(raster: Raster, mode: str, notes: list[str]) -> Raster:
    """A raster of one of Pillow's modes as RGB, likewise."""
    notes.append("CMYK converted to RGB without a colour profile")

    def rows(start: int, stop: int) -> NDArray[Any]:
        band = np.ascontiguousarray(raster.rows(start, stop))
        return np.asarray(Image.frombytes(mode, band.shape[1::-1], band.tobytes()).convert("RGB"))

    return Raster(shape=(*raster.shape[:2], 3), rows=rows, white=255)


def _deep(image: Image.Image, name: str, notes: list[str]) -> Raster:
    """A grey image of more than 8 bits."""
    array = np.asarray(image)
    white: int | None = None
    if image.mode == "F":
        notes.append("float values taken as they are")
        grey: NDArray[Any] = unit_range(array[:, :, None], f"file {name}", notes)
    else:
        low, high = int(array.min()), int(array.max())
        if low < 0 or high > 65535:
            raise ImageError(
                f"Expected integers in 0..65535; {name} holds values from {low} to {high}. Export it with 8 or 16 bits."
            )
        notes.append("16-bit values divided by 65535")
        grey, white = array.astype(np.uint16)[:, :, None], 65535
    key = image.info.get("transparency")
    if isinstance(key, int):
        notes.append("one colour is transparent")
        cover = np.where(array == key, 0, 1 if white is None else white).astype(grey.dtype)
        grey = np.concatenate([grey, cover[:, :, None]], axis=2)
    return Raster.of(grey, white)


def _raw_mode(image: Image.Image) -> str:
    """How the file holds its pixels, e.g. "RGB;16B"; empty where that is unknown or already decoded."""
    tiles: list[Any] = getattr(image, "tile", None) or []
    if not tiles:
        return ""
    if tiles[0][0] == "SGI16":
        return "L;16B"
    args = tiles[0][3]
    first = args if isinstance(args, str) else args[0] if isinstance(args, tuple) and args else ""
    return first if isinstance(first, str) else ""


def _orientation(image: Image.Image, notes: list[str]) -> int:
    """The EXIF orientation, 1 (upright) to 8, of an image whose pixels are decoded, or of a TIFF."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # a damaged EXIF block does not spoil the pixels, and nothing else is read here
        notes.append("unreadable EXIF block ignored")
        return 1
    return value if value in range(1, 9) else 1


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


@cache
def _formats() -> tuple[str, ...]:
    """FORMATS, but for those that this version of Pillow has no reader of."""
    lacking = {"AVIF"} if find_spec("PIL.AvifImagePlugin") is None else set()  # before Pillow 11.3
    return tuple(name for name in FORMATS if name not in lacking)


def _damaged(name: str, form: str | None, error: Exception) -> str:
    reason = str(error).rstrip(".") or type(error).__name__
    return f"{name} is damaged{f' ({form})' if form else ''}: {reason}. Fetch or export it again."
