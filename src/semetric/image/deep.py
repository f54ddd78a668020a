"""JPEG 2000 and AVIF of more than 8 bits, of which Pillow keeps the upper 8: through OpenJPEG and libavif directly."""

from __future__ import annotations

import struct

from semetric.errors import ImageError
from semetric.image.raster import DecodedImage, Raster, check_size

__all__ = ["deep_avif", "deep_jpeg2000"]

_CODESTREAM = b"\xff\x4f\xff\x51"  # SOC and SIZ, ISO/IEC 15444-1, annex A


def deep_jpeg2000(
    data: bytes, mode: str, size: tuple[int, int], name: str, max_pixels: int | None
) -> DecodedImage | None:
    """A JPEG 2000 file of 9 to 16 bits; None of one with at most 8.

    Args:
        data: the file.
        mode: Pillow's, from the header.
        size: (H, W) from the header.
        name: of the file.
        max_pixels: the most pixels; None for no limit.

    Raises:
        ImageError: too large, or of a kind that cannot be read without guessing.
        RuntimeError: damaged.
    """
    start = data.find(_CODESTREAM)
    if start < 0:
        return None
    (count,) = struct.unpack_from(">H", data, start + 40)
    components = [tuple(data[start + 42 + 3 * i : start + 45 + 3 * i]) for i in range(count)]
    bits = max((depth & 127) + 1 for depth, _, _ in components)
    if bits <= 8:
        return None
    depths = {(depth & 127) + 1 for depth, _, _ in components}
    signed = any(depth & 128 for depth, _, _ in components)
    subsampled = any((dx, dy) != (1, 1) for _, dx, dy in components)
    if (
        len(depths) > 1
        or signed
        or subsampled
        or bits > 16
        or count > 4
        or mode not in {"L", "LA", "RGB", "RGBA", "I;16"}
    ):
        raise ImageError(
            f"Expected a JPEG 2000 of grey or RGB with one depth of at most 16 bits; {name} holds "
            f"{count} components of {sorted(depths)} bits as {mode}{', signed' if signed else ''}"
            f"{', subsampled' if subsampled else ''}. Convert it to PNG."
        )
    check_size(*size, name, max_pixels, cost=4, kind="of JPEG 2000")
    import imagecodecs

    # The codestream alone: with the boxes around it the library would apply colour profiles.
    array = imagecodecs.jpeg2k_decode(data[start:])
    return _decoded(Raster.of(array, (1 << bits) - 1), bits)


def deep_avif(data: bytes, size: tuple[int, int], name: str, max_pixels: int | None) -> DecodedImage | None:
    """An AVIF file of 10 or 12 bits; None of one with 8.

    Raises:
        ImageError: too large.
        RuntimeError: damaged.
    """
    bits = 8
    place = data.find(b"av1C")  # AV1 in ISOBMFF, 2.3.3: marker and version, profile and level, tier and depth
    while place >= 0:
        flags = data[place + 6] if place + 6 < len(data) else 0
        bits = max(bits, 8 if not flags & 0x40 else 12 if flags & 0x20 else 10)
        place = data.find(b"av1C", place + 4)
    if bits == 8:
        return None
    check_size(*size, name, max_pixels, cost=4, kind="of AVIF")
    import imagecodecs

    array = imagecodecs.avif_decode(data, 0)
    return None if array.dtype.itemsize == 1 else _decoded(Raster.of(array, (1 << bits) - 1), bits)


def _decoded(raster: Raster, bits: int) -> DecodedImage:
    return DecodedImage(raster=raster, notes=(f"{bits}-bit values divided by {(1 << bits) - 1}",))
