"""PNG files (W3C PNG, third edition): every chunk's checksum, then libpng.

libpng is given the chunks alone that make the pixels. So text and colour profiles of any size neither spoil an image
nor cost memory, and alpha, that of a palette and of a colour key included, comes out in full depth.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from semetric.errors import ImageError
from semetric.image.orientation import of_exif
from semetric.image.raster import DecodedImage, Raster, check_size

__all__ = ["SIGNATURE", "decode_png", "png_array"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # of each colour type
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_BLOCK = 1 << 20


def decode_png(file: BinaryIO, name: str, max_pixels: int | None) -> DecodedImage:
    """Decodes a PNG file, of an animated one its still image.

    Raises:
        ImageError: a checksum is wrong, it breaks off, or it is too large.
    """
    chunks = list(_chunks(file.read(), name))
    array = _array(chunks, name, max_pixels)
    notes: list[str] = []
    kinds = dict(reversed(chunks))  # of several of a kind, the first
    palette = kinds[b"IHDR"][9] == 3
    if palette:
        notes.append("palette looked up")
    if b"acTL" in kinds and len(kinds[b"acTL"]) >= 4 and struct.unpack_from(">I", kinds[b"acTL"])[0] > 1:
        notes.append("first of several frames")
    if array.dtype != np.uint8:
        notes.append("16-bit values divided by 65535")
    if b"tRNS" in kinds and not palette:
        notes.append("one colour is transparent")
    exif = bytes(kinds[b"eXIf"]) if b"eXIf" in kinds else _profile(chunks)
    orientation = of_exif(exif, notes) if exif else 1
    raster = Raster.of(array, 255 if array.dtype == np.uint8 else 65535)
    return DecodedImage(raster=raster, notes=tuple(notes), orientation=orientation)


def png_array(data: bytes, name: str, max_pixels: int | None) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The pixels of a PNG file: (H, W) grey or (H, W, 2..4) with a colour or alpha, palette and colour key applied.

    Raises:
        ImageError: as `decode_png`.
    """
    return _array(list(_chunks(data, name)), name, max_pixels)


def _array(
    chunks: list[tuple[bytes, memoryview]], name: str, max_pixels: int | None
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    import imagecodecs

    kind, header = chunks[0]
    if kind != b"IHDR" or len(header) != 13:
        raise _damaged(name, "it does not begin with its header")
    width, height, depth, colour, compression, filters, interlace = struct.unpack(">IIBBBBB", header)
    if depth not in _DEPTHS.get(colour, ()) or (compression, filters) != (0, 0) or interlace > 1:
        raise _damaged(name, "its header holds values that the format does not know")
    cost = 3 if depth == 16 else 1
    check_size(height, width, name, max_pixels, cost=cost, kind="of more than 8 bits")
    _check_stream([content for kind, content in chunks if kind == b"IDAT"], header, name)
    parts: list[bytes | memoryview] = [SIGNATURE]
    for kind, content in chunks:
        if kind in {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}:
            checksum = zlib.crc32(content, zlib.crc32(kind))
            parts += [struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)]
    array: NDArray[np.uint8] | NDArray[np.uint16] = imagecodecs.png_decode(b"".join(parts))
    return array


def _chunks(data: bytes, name: str) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and content of each chunk, up to the end of the image.

    Raises:
        ImageError: a checksum is wrong, or the file ends before the image does.
    """
    view = memoryview(data)
    place = len(SIGNATURE)
    kind = b""
    while kind != b"IEND":
        if place + 12 > len(data):
            raise _damaged(name, "it ends before its last chunk")
        (size,) = struct.unpack_from(">I", data, place)
        kind = data[place + 4 : place + 8]
        content = view[place + 8 : place + 8 + size]
        place += 12 + size
        if place > len(data):
            raise _damaged(name, f"it ends inside its chunk {kind.decode('latin-1')!r}")
        if zlib.crc32(content, zlib.crc32(kind)) != struct.unpack_from(">I", data, place - 4)[0]:
            raise _damaged(name, f"the checksum of its chunk {kind.decode('latin-1')!r} is wrong")
        yield kind, content


def _check_stream(parts: list[memoryview], header: memoryview, name: str) -> None:
    """Raises ImageError where the compressed rows are not exactly what the header calls for, checksum included."""
    expected = _raw_bytes(header)
    stream, size = zlib.decompressobj(), 0
    try:
        for part in parts:
            left: bytes | memoryview = part
            rows = b" "
            while (len(left) or len(rows) == _BLOCK) and size <= expected:
                rows = stream.decompress(left, _BLOCK)
                size += len(rows)
                left = stream.unconsumed_tail
    except zlib.error as error:
        raise _damaged(name, str(error)) from None
    if size != expected or not stream.eof:
        raise _damaged(name, f"its compressed rows hold {size:,} bytes or more instead of {expected:,}, or break off")


def _raw_bytes(header: memoryview) -> int:
    """The bytes of all rows with their filter types."""
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", header)
    bits = depth * _CHANNELS[colour]
    total = 0
    for x, y, dx, dy in _ADAM7 if interlace else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // dx), -(-(height - y) // dy)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def _profile(chunks: list[tuple[bytes, memoryview]]) -> bytes:
    """The EXIF block that older programs wrote as hexadecimal text; empty where there is none."""
    for kind, content in chunks:
        key, _, text = bytes(content[:_BLOCK]).partition(b"\0")
        if kind in {b"tEXt", b"zTXt"} and key == b"Raw profile type exif":
            try:
                plain = zlib.decompressobj().decompress(text[1:], _BLOCK) if kind == b"zTXt" else text
                return bytes.fromhex("".join(plain.decode("latin-1").split("\n")[3:]))
            except (zlib.error, ValueError):
                return b"?"  # no EXIF block, which is then said
    return b""


def _damaged(name: str, reason: str) -> ImageError:
    return ImageError(f"{name} is damaged (PNG): {reason}. Fetch or export it again.")
