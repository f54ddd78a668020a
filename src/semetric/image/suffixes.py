"""Which files are taken for images: suffixes in folders, formats wherever a file is read."""

from __future__ import annotations

__all__ = ["FORMATS", "SUFFIXES"]

_JPEG = (".jfif", ".jpe", ".jpeg", ".jpg")
_JPEG_2000 = (".j2k", ".jp2", ".jpf", ".jpx")
_PORTABLE = (".pbm", ".pgm", ".pnm", ".ppm")
_SEVERAL = (".apng", ".avif", ".gif", ".mpo", ".tif", ".tiff", ".webp")  # files that may hold more than one image
_OTHERS = (".bmp", ".dib", ".pcx", ".png", ".qoi", ".ras", ".sgi", ".tga")

SUFFIXES = frozenset((*_JPEG, *_JPEG_2000, *_PORTABLE, *_SEVERAL, *_OTHERS))
"""Suffixes, in lower case, of the still-image formats that are read, none of which needs another program."""

FORMATS = (
    *("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM"),
    *("JPEG2000", "AVIF", "QOI", "SGI", "SUN", "PCX", "DIB", "TGA"),
)
"""Pillow's names of the formats that are read, those behind SUFFIXES (MPO is read as JPEG), in the order in which
Pillow tries them: those without a signature of their own last. The header of each gives the size of the image before a
pixel is decoded, and none needs another program. ICO and ICNS decode the images inside them to learn their size, EPS
runs Ghostscript, WMF the system's renderer; the rest of Pillow's readers are of formats that hold no photographs."""
