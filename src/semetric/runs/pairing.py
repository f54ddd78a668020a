"""Which image is scored against which reference: two folders, or a list in a CSV file."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NoReturn

from semetric.errors import ImageError, UsageError
from semetric.image.names import shown
from semetric.image.suffixes import SUFFIXES
from semetric.tables import path_in, read_table

__all__ = [
    "Pair",
    "Pairing",
    "image_files",
    "key",
    "match_names",
    "pair_folders",
    "read_pairs",
    "shown",
]

_COLUMNS = ("reference", "image")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two files to score.

    Attributes:
        reference: the reference as the rows name it: relative to its folder, or as the CSV file has it.
        image: likewise the image.
        reference_path: where the reference is.
        image_path: where the image is.
        extra: the CSV file's further cells, in the order of its columns.
    """

    reference: str
    image: str
    reference_path: str
    image_path: str
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """The pairs of one run, in the order of its rows, and every file that found no partner.

    Attributes:
        pairs: at least one.
        source: where they come from: {"references": folder, "images": folder} or {"pairs": file}.
        columns: names of the CSV file's further columns.
        unmatched_references: files of the reference folder without an image of their name.
        unmatched_images: files of the image folder without a reference of their name.
        ambiguous: name without suffix → (references, images) that share it, where one folder has several.
        not_images: files of either folder that were passed over for their suffix.
    """

    pairs: tuple[Pair, ...]
    source: Mapping[str, str]
    columns: tuple[str, ...] = ()
    unmatched_references: tuple[str, ...] = ()
    unmatched_images: tuple[str, ...] = ()
    ambiguous: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)
    not_images: tuple[str, ...] = ()

    def digest(self) -> str:
        """SHA-256, in hex, of the rows' names and further cells; where the folders lie has no part."""
        h = hashlib.sha256(json.dumps(self.columns).encode())
        for pair in self.pairs:
            h.update(json.dumps([pair.reference, pair.image, *pair.extra]).encode() + b"\n")
        return h.hexdigest()

    def stamps(self) -> tuple[str, ...]:
        """Size and time of change of both files of each pair, as they are now, so that an exchanged file is noticed."""
        known: dict[str, str] = {}
        for pair in self.pairs:
            for path in (pair.reference_path, pair.image_path):
                if path not in known:
                    known[path] = _stamp(path)
        return tuple(f"{known[pair.reference_path]} {known[pair.image_path]}" for pair in self.pairs)

    def contents(self) -> str:
        """SHA-256, in hex, of `stamps`."""
        return hashlib.sha256("\n".join(self.stamps()).encode()).hexdigest()


def pair_folders(references: str | os.PathLike[str], images: str | os.PathLike[str]) -> Pairing:
    """Pairs the image files of two folders, subfolders included, by relative path without suffix.

    Hidden files and folders are passed over. A name that two files of one folder share pairs nothing.

    Args:
        references: a folder.
        images: a folder.

    Raises:
        UsageError: one is no folder, or no image has a reference.
        ImageError: a folder that cannot be listed.
    """
    roots = Path(references), Path(images)
    for root in roots:
        try:
            if not stat.S_ISDIR(os.stat(root).st_mode):
                raise UsageError(f"Expected two folders; {root} is a file.")
        except (FileNotFoundError, NotADirectoryError):
            raise UsageError(f"Expected two folders; {root} is not there.") from None
        except OSError as error:
            raise ImageError(f"Expected a folder that can be listed; {root}: {error.strerror or error}.") from error
    (ours, not_ours), (theirs, not_theirs) = (image_files(root) for root in roots)
    matched, alone, alone_too, ambiguous = match_names(ours, theirs)
    if not matched:
        raise UsageError(
            f"Expected images in {roots[1]} with the names of references in {roots[0]} (relative path without "
            f"suffix); found {len(theirs)} and {len(ours)} image files and no common name."
        )
    pairs = tuple(
        Pair(
            reference=shown(one),
            image=shown(two),
            reference_path=str(roots[0] / one),
            image_path=str(roots[1] / two),
        )
        for one, two in matched
    )
    return Pairing(
        pairs=pairs,
        source={"references": shown(str(roots[0].absolute())), "images": shown(str(roots[1].absolute()))},
        unmatched_references=tuple(map(shown, alone)),
        unmatched_images=tuple(map(shown, alone_too)),
        ambiguous={
            shown(name): (tuple(map(shown, ours)), tuple(map(shown, theirs)))
            for name, (ours, theirs) in ambiguous.items()
        },
        not_images=tuple(
            shown(str(root / name)) for root, rest in zip(roots, (not_ours, not_theirs), strict=True) for name in rest
        ),
    )


def match_names(
    references: Iterable[str], images: Iterable[str]
) -> tuple[list[tuple[str, str]], list[str], list[str], dict[str, tuple[list[str], list[str]]]]:
    """Pairs relative paths by their keys: as they are spelt, then what is left by composed accents (Unicode's NFC).

    Args:
        references: relative paths, each once.
        images: likewise.

    Returns:
        The pairs in the order of their keys; references alone; images alone; and, for each key that
        several files of one side share, its references and its images. Every path is in exactly one of
        the four.
    """
    matched, alone, alone_too, ambiguous = _match_keys(references, images, key)
    # A folder copied from macOS, or a zip packed there, has accents decomposed where others have them composed.
    composed, alone, alone_too, unclear = _match_keys(
        alone, alone_too, lambda name: unicodedata.normalize("NFC", key(name))
    )
    return sorted(matched + composed, key=lambda pair: key(pair[0])), alone, alone_too, ambiguous | unclear


def _match_keys(
    references: Iterable[str], images: Iterable[str], of: Callable[[str], str]
) -> tuple[list[tuple[str, str]], list[str], list[str], dict[str, tuple[list[str], list[str]]]]:
    """As `match_names`, by one kind of key."""
    sides = _grouped(references, of), _grouped(images, of)
    matched: list[tuple[str, str]] = []
    alone: tuple[list[str], list[str]] = [], []
    ambiguous: dict[str, tuple[list[str], list[str]]] = {}
    for name in sorted({*sides[0], *sides[1]}):
        sharing = sides[0].get(name, []), sides[1].get(name, [])
        if max(map(len, sharing)) > 1:
            ambiguous[name] = sharing
        elif all(sharing):
            matched.append((sharing[0][0], sharing[1][0]))
        else:
            alone[0].extend(sharing[0])
            alone[1].extend(sharing[1])
    return matched, *alone, ambiguous


def key(name: str) -> str:
    """What pairs two files: the path without its suffix."""
    return str(PurePosixPath(name).with_suffix("")) if PurePosixPath(name).name else name


def read_pairs(path: str | os.PathLike[str]) -> Pairing:
    """Reads pairs from a table (see `read_table`) that has at least the columns reference and image.

    Paths are relative to the table's folder, and may be spelt as another system spells them (see `path_in`). Further
    columns are kept.

    Raises:
        UsageError: not such a file; the message names the line.
    """
    file = Path(path)
    table = read_table(file, _COLUMNS)
    places = [table.columns.index(name) for name in _COLUMNS]
    rest = [place for place in range(len(table.columns)) if place not in places]
    pairs = []
    for number, cells in table.rows:
        if not all(cells[place].strip() for place in places):
            raise UsageError(f"Expected a reference and an image in each line; line {number} of {file} lacks one.")
        reference, image = (path_in(file.parent, cells[place]) for place in places)
        pairs.append(
            Pair(
                reference=reference,
                image=image,
                reference_path=str(file.parent / reference),
                image_path=str(file.parent / image),
                extra=tuple(cells[place] for place in rest),
            )
        )
    if not pairs:
        raise UsageError(f"Expected at least one pair; {file} has a header and no lines.")
    return Pairing(
        pairs=tuple(pairs),
        source={"pairs": shown(str(file.absolute()))},
        columns=tuple(table.columns[place] for place in rest),
    )


def image_files(root: Path) -> tuple[list[str], list[str]]:
    """Relative paths, with slashes, of the image files and of the other files, subfolders included, nothing hidden.

    Raises:
        ImageError: a folder that cannot be listed.
    """

    def fail(error: OSError) -> NoReturn:
        raise ImageError(f"Expected a folder that can be listed; {error.filename}: {error.strerror or error}.")

    images: list[str] = []
    others: list[str] = []
    seen: set[tuple[int, int]] = set()
    for folder, inner, files in os.walk(root, followlinks=True, onerror=fail):
        try:
            status = os.stat(folder)
        except OSError as error:  # removed meanwhile
            fail(error)
        if (status.st_dev, status.st_ino) in seen:  # a link to a folder above
            inner.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                relative = Path(folder, name).relative_to(root).as_posix()
                (images if Path(name).suffix.lower() in SUFFIXES else others).append(relative)
    return images, others


def _grouped(names: Iterable[str], of: Callable[[str], str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name in sorted(names):
        grouped.setdefault(of(name), []).append(name)
    return grouped


def _stamp(path: str) -> str:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return "-"
    return f"{status.st_size}:{status.st_mtime_ns}"
