"""Netpbm files: PBM, PGM and PPM, binary and text, of any maxval (netpbm.sourceforge.net/doc)."""

from __future__ import annotations

import re
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from semetric.errors import ImageError
from semetric.image.raster import DecodedImage, Raster, check_size

__all__ = ["SIGNATURE", "decode_portable"]

SIGNATURE = re.compile(rb"P[1-6][\s#]")

_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])"
_NUMBER = rb"(?:" + _SPACE + rb"+(\d{1,9})" + rb")"
_HEADER = {True: re.compile(rb"P[14]" + 2 * _NUMBER), False: re.compile(rb"P[2356]" + 3 * _NUMBER)}
_LONGEST_HEADER = 1 << 16


def decode_portable(file: BinaryIO, name: str, max_pixels: int | None) -> DecodedImage:
    """Decodes the first image of the file.

    Raises:
        ImageError: its header is wrong, it breaks off, holds values beyond maxval, or is too large.
    """
    data = file.read()
    form = data[1] - ord("0")
    header = _HEADER[form in {1, 4}].match(data[:_LONGEST_HEADER])
    if header is None:
        raise _damaged(name, "its header is not that of a Netpbm file")
    width, height, *rest = (int(number) for number in header.groups())
    white = rest[0] if rest else 1
    if not 1 <= white <= 65535:
        raise _damaged(name, f"its largest value is {white}")
    channels = 3 if form in {3, 6} else 1
    text = form <= 3
    cost, kind = (24, "as text") if text else (3, "of more than 8 bits") if white > 255 else (1, "")
    check_size(height, width, name, max_pixels, cost=cost, kind=kind)
    values = (_text if text else _binary)(data, header.end(), (height, width, channels), white, name)
    if int(values.max()) > white:
        raise _damaged(name, f"it holds values above its largest, {white}")
    if form in {1, 4}:
        values = np.uint8(1) - values  # 1 is black
    if 255 % white == 0:
        raster = Raster.of(values.astype(np.uint8, copy=False) * np.uint8(255 // white), 255)
        return DecodedImage(raster=raster)
    return DecodedImage(raster=Raster.of(values, white), notes=(f"values divided by {white}, the file's largest",))


def _binary(data: bytes, start: int, shape: tuple[int, int, int], white: int, name: str) -> NDArray[Any]:
    height, width, channels = shape
    start += 1  # one space ends the header
    kind = np.dtype(">u2" if white > 255 else "u1")
    row_bytes = (width + 7) // 8 if data[1:2] == b"4" else width * channels * kind.itemsize
    if len(data) - start < height * row_bytes:
        raise _damaged(name, f"it holds {max(0, len(data) - start):,} of {height * row_bytes:,} bytes")
    if data[1:2] == b"4":
        rows = np.frombuffer(data, np.uint8, height * row_bytes, start).reshape(height, row_bytes)
        return np.unpackbits(rows, axis=1, count=width)[:, :, None]
    values: NDArray[Any] = np.frombuffer(data, kind, height * width * channels, start)
    return values.reshape(shape)


def _text(data: bytes, start: int, shape: tuple[int, int, int], white: int, name: str) -> NDArray[Any]:
    count = shape[0] * shape[1] * shape[2]
    body = re.sub(rb"#[^\r\n]*", b"", data[start:])
    if re.fullmatch(rb"[\d\s]*", body) is None:
        raise _damaged(name, "it holds what is no number")
    if data[1:2] == b"1":
        body = b" ".join(re.findall(rb"\d", body))  # spaces between them may be left out
    values = np.fromstring(body.decode(), np.int64, sep=" ")[:count]
    if len(values) < count:
        raise _damaged(name, f"it holds {len(values):,} of {count:,} values")
    if int(values.max()) > white:
        raise _damaged(name, f"it holds values above its largest, {white}")
    return values.astype(np.uint8 if white < 256 else np.uint16).reshape(shape)


def _damaged(name: str, reason: str) -> ImageError:
    return ImageError(f"{name} is damaged (PPM): {reason}. Fetch or export it again.")
