"""Image files of a study: paths that cannot leave its folder, digests, and the types that a browser shows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from semetric.errors import ImageError, UsageError
from semetric.learn.judgements.records import is_printable

__all__ = ["MEDIA", "Fingerprint", "check_path", "fingerprint", "locate", "media_of"]

MEDIA = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/bmp", "image/avif")
"""What browsers show. TIFF and HEIC are not among them."""

_BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What an image file is.

    Attributes:
        sha256: of its bytes, in hex.
        media: such as "image/png".
    """

    sha256: str
    media: str


def check_path(path: str) -> str:
    """A path below the image root, with forward slashes.

    Raises:
        UsageError: it is empty or absolute, or leaves the root.

    Examples:
        >>> check_path("photos/./1.png")
        'photos/1.png'
    """
    pure = PurePosixPath(path)
    drive = len(path) > 1 and path[1] == ":"
    if (
        not path
        or pure.is_absolute()
        or drive
        or ".." in pure.parts
        or "\\" in path
        or not all(map(is_printable, path))
    ):
        raise UsageError(f"Expected a path below the study's image root, with forward slashes; found {path!r}.")
    return str(pure)


def locate(root: Path, path: str) -> Path:
    """The file of a path; links inside the root may not lead out of it.

    Raises:
        UsageError: as `check_path`, or it leads out.
    """
    whole = (root / check_path(path)).resolve()
    if not whole.is_relative_to(root.resolve()):
        raise UsageError(f"Expected {path!r} below the image root {root}; it leads to {whole}.")
    return whole


def media_of(head: bytes) -> str | None:
    """The type that a file's first 16 bytes tell, None where browsers show no such file."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    if head[:2] == b"BM":
        return "image/bmp"
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"):
        return "image/avif"
    return None


def fingerprint(root: Path, path: str) -> Fingerprint:
    """Reads an image file once.

    Raises:
        UsageError: as `locate`.
        ImageError: it is missing or unreadable, or no browser shows its type.
    """
    file = locate(root, path)
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            head = stream.read(16)
            digest.update(head)
            while block := stream.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise ImageError(f"Expected the image {path} below {root}; {error.strerror or error}.") from error
    media = media_of(head)
    if media is None:
        raise ImageError(
            f"Expected an image that browsers show (PNG, JPEG, WebP, GIF, BMP, AVIF); {file} is another file. "
            "Convert it to PNG."
        )
    return Fingerprint(sha256=digest.hexdigest(), media=media)
