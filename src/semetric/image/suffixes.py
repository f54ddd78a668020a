"""Which files of a folder are taken for images."""

from __future__ import annotations

__all__ = ["SUFFIXES"]

_JPEG = (".jfif", ".jpe", ".jpeg", ".jpg")
_JPEG_2000 = (".j2k", ".jp2", ".jpf", ".jpx")
_PORTABLE = (".pbm", ".pgm", ".pnm", ".ppm")
_SEVERAL = (".apng", ".avif", ".gif", ".mpo", ".tif", ".tiff", ".webp")  # files that may hold more than one image
_OTHERS = (".bmp", ".dib", ".pcx", ".png", ".qoi", ".ras", ".sgi", ".tga")

SUFFIXES = frozenset((*_JPEG, *_JPEG_2000, *_PORTABLE, *_SEVERAL, *_OTHERS))
"""Suffixes, in lower case, of the still-image formats that Pillow decodes without other programs."""
