"""TIFF files (TIFF 6.0, BigTIFF) through tifffile, which keeps every depth, sample layout and colour model apart."""

from __future__ import annotations

import logging
import os
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from semetric.errors import ImageError
from semetric.image.arrays import unit_range
from semetric.image.orientation import ORIENTATION
from semetric.image.raster import DecodedImage, Raster, check_size

if TYPE_CHECKING:
    from tifffile import TiffFile

__all__ = ["SIGNATURES", "decode_tiff"]

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8  # PhotometricInterpretation
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3, _LAB: 3}
_JPEG = (6, 7, 34892, 33007)  # compressions whose decoder gives RGB for YCbCr
_ASSOCIATED, _UNASSOCIATED = 1, 2  # ExtraSamples


def decode_tiff(file: BinaryIO, name: str, max_pixels: int | None) -> DecodedImage:
    """Decodes the first page.

    Raises:
        ImageError: too large, or of a kind that cannot be read without guessing.
        Exception: whatever tifffile raises on a damaged file.
    """
    from tifffile import TiffFile

    with _complaints(name), TiffFile(file) as tiff:
        page: Any = tiff.pages.first
        notes = ["first of several frames"] if _next_page(file, tiff, page) else []
        _check(page, os.fstat(file.fileno()).st_size, name, max_pixels)
        array = page.asarray(maxworkers=1)
        raster = _raster(page, array, name, notes)
        orientation = page.tags.valueof(ORIENTATION, 1)
    return DecodedImage(raster=raster, notes=tuple(notes), orientation=orientation if orientation in range(1, 9) else 1)


@contextmanager
def _complaints(name: str) -> Iterator[None]:
    """Raises ImageError for damage that tifffile only logs, such as unreadable tags, and silences its log."""
    messages: list[str] = []
    thread = threading.get_ident()

    def collect(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        if record.levelno >= logging.ERROR or re.search("incorrect (Strip|Tile)", record.getMessage()):
            messages.append(record.getMessage())
        return False

    logger = logging.getLogger("tifffile")
    logger.addFilter(collect)
    try:
        yield
    finally:
        logger.removeFilter(collect)
    if messages:
        raise ImageError(f"{name} is damaged (TIFF): {messages[0]}. Fetch or export it again.")


def _next_page(file: BinaryIO, tiff: TiffFile, page: Any) -> bool:
    """Whether the first directory points to a second one."""
    layout = tiff.tiff
    file.seek(page.offset)
    (count,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
    file.seek(page.offset + layout.tagnosize + count * layout.tagsize)
    return any(file.read(layout.offsetsize))


def _check(page: Any, size_bytes: int, name: str, max_pixels: int | None) -> None:
    """Raises ImageError before a pixel is decoded: size, kind, and where the data lie."""
    height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    colours = _COLOURS.get(page.photometric, 0)
    sample_bytes = page.bitspersample / 8
    # uint8 RGB, with or without alpha, costs 1; float32 from 16-bit RGB 3
    cost = 1.0 if sample_bytes <= 1 and samples <= 4 else max(3.0, samples * sample_bytes / 2)
    check_size(height, width, name, max_pixels, cost=cost, kind=f"of {samples} × {page.bitspersample} bits")
    if not colours or samples < colours:
        raise _unsupported(name, f"the colour model {getattr(page.photometric, 'name', page.photometric)}")
    if page.photometric == _YCBCR and page.compression not in _JPEG and tuple(page.subsampling or (1, 1)) != (1, 1):
        raise _unsupported(name, "YCbCr of reduced resolution that is not compressed as JPEG")
    if page.photometric in {_LAB, _YCBCR} and page.bitspersample != 8:
        raise _unsupported(name, f"{page.photometric.name} of {page.bitspersample} bits")
    if page.imagedepth != 1 or page.dtype is None or page.dtype.kind not in "buif":
        raise _unsupported(name, f"samples of type {page.dtype}")
    if page.is_tiled and page.tilelength * page.tilewidth > 4 * max(height * width, 1 << 20):
        raise ImageError(
            f"{name} is damaged (TIFF): its tiles are far larger than the image. Fetch or export it again."
        )
    ends = [o + n if o and n else size_bytes + 1 for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if not ends or max(ends) > size_bytes:
        raise ImageError(f"{name} is damaged (TIFF): parts of its pixels are missing. Fetch or export it again.")


def _raster(page: Any, array: NDArray[Any], name: str, notes: list[str]) -> Raster:
    shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
    planes = page.planarconfig == 2 and shape[2] > 1
    array = array.reshape((shape[2], *shape[:2]) if planes else shape)
    if planes:
        array = np.moveaxis(array, 0, 2)
    model = page.photometric
    colours = _COLOURS[model]
    extras = tuple(int(kind) for kind in page.extrasamples)
    if not extras and shape[2] == colours + 1:
        extras = (_UNASSOCIATED,)  # what programs mean that leave the tag out
    alpha = next((colours + i for i, kind in enumerate(extras) if kind in (_ASSOCIATED, _UNASSOCIATED)), None)
    if shape[2] > colours + (alpha is not None):
        notes.append("channels beyond colour and alpha dropped")
    premultiplied = alpha is not None and extras[alpha - colours] == _ASSOCIATED
    if model == _PALETTE:
        return _looked_up(page, array[:, :, 0], notes)
    white: int | None
    if array.dtype.kind == "f":
        notes.append("float values taken as they are")
        array, white = unit_range(array, f"file {name}", notes), None
    else:
        array, white = _integers(page, array, name, notes)
    paint, cover = array[:, :, :colours], array[:, :, alpha : alpha + 1] if alpha is not None else None
    if model == _WHITE_IS_ZERO:
        notes.append("white-is-zero grey inverted")
        paint = (1 if white is None else array.dtype.type(white)) - paint
    elif model in {_CMYK, _LAB} or (model == _YCBCR and page.compression not in _JPEG):
        paint = _to_rgb(paint, model, white, notes)
    if cover is not None:
        paint = np.concatenate([paint, cover], axis=2)
    elif paint.shape[2] == 3 or paint.shape[2] == 1:
        paint = np.ascontiguousarray(paint) if not paint.flags.c_contiguous else paint
    return Raster.of(paint, white, premultiplied=premultiplied)


def _integers(page: Any, array: NDArray[Any], name: str, notes: list[str]) -> tuple[NDArray[Any], int]:
    """Values from 0 and the one that is white; values below 8 bits, where they divide 255, as 8 bits."""
    bits = page.bitspersample
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    if array.dtype.kind == "i" or bits > 16:
        low, high = int(array.min()), int(array.max())
        if low < 0 or high > 65535 or bits == 8:
            raise ImageError(
                f"Expected integers in 0..65535; {name} holds values from {low} to {high}. Export it with 8 or 16 bits."
            )
        notes.append(f"{bits}-bit integers taken for 16-bit ones")
        array, bits = array.astype(np.uint16), 16
    white = (1 << bits) - 1
    if 255 % white == 0:
        return array.astype(np.uint8, copy=False) * np.uint8(255 // white) if white < 255 else array, 255
    notes.append(f"{bits}-bit values divided by {white}")
    return array, white


def _looked_up(page: Any, indices: NDArray[Any], notes: list[str]) -> Raster:
    """Palettes hold 16 bits; programs write 8-bit colours as c · 257, c · 256 or plainly c."""
    notes.append("palette looked up")
    table: NDArray[np.uint16] = np.asarray(page.colormap, np.uint16).reshape(3, -1).T
    high, low = table >> 8, table & 255
    if not high.any():
        return Raster.of(low.astype(np.uint8)[indices], 255)
    if not low.any() or np.array_equal(high, low):
        return Raster.of(high.astype(np.uint8)[indices], 255)
    notes.append("16-bit values divided by 65535")
    return Raster.of(table[indices], 65535)


def _to_rgb(paint: NDArray[Any], model: int, white: int | None, notes: list[str]) -> NDArray[Any]:
    """CMYK, Lab and YCbCr by Pillow's plain conversion; CMYK of more than 8 bits by its equation, (1 − c)(1 − k)."""
    mode = {_CMYK: "CMYK", _LAB: "LAB", _YCBCR: "YCbCr"}[model]
    notes.append(f"{mode} converted to RGB" + (" without a colour profile" if mode == "CMYK" else ""))
    if paint.dtype == np.uint8:
        from PIL import Image

        image = Image.frombytes(mode, paint.shape[1::-1], np.ascontiguousarray(paint).tobytes())
        return np.asarray(image.convert("RGB"))
    top = np.float64(1 if white is None else white)
    rgb = (top - paint[:, :, :3]) * (top - paint[:, :, 3:]) / top
    return rgb.astype(np.float32) if white is None else np.rint(rgb).astype(paint.dtype)


def _unsupported(name: str, kind: str) -> ImageError:
    return ImageError(f"Expected a TIFF of grey, RGB, palette or CMYK; {name} holds {kind}. Convert it to PNG.")
