"""Files that Pillow does not write, byte by byte."""

from __future__ import annotations

import struct
import zlib

import numpy as np

__all__ = ["chunk", "png", "rows_of"]


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def rows_of(values: np.ndarray, depth: int) -> bytes:
    """(H, W, C) integers as unfiltered rows of that many bits a sample."""
    bits = np.unpackbits(values.astype(">u2")[..., None].view(np.uint8), axis=-1)[..., 16 - depth :]
    return b"".join(b"\0" + np.packbits(row.reshape(-1)).tobytes() for row in bits)


def png(values: np.ndarray, *, depth: int, colour: int, extra: bytes = b"") -> bytes:
    """A PNG file of (H, W, C) integers."""
    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows_of(values, depth)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + data + chunk(b"IEND", b"")
