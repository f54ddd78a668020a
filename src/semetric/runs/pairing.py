"""Which image is scored against which reference: two folders, or a list in a CSV file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NoReturn

from semetric.errors import ImageError, UsageError
from semetric.image.names import shown
from semetric.image.suffixes import SUFFIXES

__all__ = [
    "Pair",
    "Pairing",
    "image_files",
    "key",
    "match_names",
    "pair_folders",
    "read_pairs",
    "shown",
    "stamps_digest",
]

_COLUMNS = ("reference", "image")
_LARGEST = 256 * 2**20  # bytes of a list of pairs: some two million of them


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

    def stamps(self) -> str:
        """SHA-256, in hex, of the size and the time of change of every file, so that an exchanged file is noticed."""
        return stamps_digest(self.row_stamps())

    def row_stamps(self) -> tuple[bytes, ...]:
        """Size and time of change of both files of each pair, as they are now."""
        known: dict[str, bytes] = {}
        rows = []
        for pair in self.pairs:
            for path in (pair.reference_path, pair.image_path):
                if path not in known:
                    known[path] = _stamp(path)
            rows.append(known[pair.reference_path] + known[pair.image_path])
        return tuple(rows)


def stamps_digest(rows: Sequence[bytes], but: Collection[int] = ()) -> str:
    """SHA-256, in hex, of `Pairing.row_stamps`.

    Args:
        rows: of a pairing.
        but: indices of pairs that are left out.
    """
    h = hashlib.sha256()
    for index, row in enumerate(rows):
        if index not in but:
            h.update(row)
    return h.hexdigest()


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
    """Pairs relative paths by their keys.

    Args:
        references: relative paths, each once.
        images: likewise.

    Returns:
        The pairs in the order of their keys; references alone; images alone; and, for each key that
        several files of one side share, its references and its images. Every path is in exactly one of
        the four.
    """
    ours, theirs = _by_key(references), _by_key(images)
    matched: list[tuple[str, str]] = []
    alone: list[str] = []
    alone_too: list[str] = []
    ambiguous: dict[str, tuple[list[str], list[str]]] = {}
    for name in sorted({*ours, *theirs}):
        one, two = ours.get(name, []), theirs.get(name, [])
        if len(one) > 1 or len(two) > 1:
            ambiguous[name] = one, two
        elif one and two:
            matched.append((one[0], two[0]))
        else:
            alone += one
            alone_too += two
    return matched, alone, alone_too, ambiguous


def key(name: str) -> str:
    """What pairs two files: the path without its suffix."""
    return str(PurePosixPath(name).with_suffix("")) if PurePosixPath(name).name else name


def read_pairs(path: str | os.PathLike[str]) -> Pairing:
    """Reads pairs from a CSV file with a header that names at least the columns reference and image.

    Paths are relative to the CSV file's folder. Further columns are kept. The list is read whole, up to 256 MiB.

    Raises:
        UsageError: not such a file; the message names the line.
    """
    file = Path(path)
    try:
        header, lines = _lines(io.StringIO(_text(file), newline=""), file)
    except OSError as error:
        raise UsageError(f"Expected a CSV file of pairs; {file}: {error.strerror or error}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"Expected a CSV file of pairs in UTF-8; {file}: {error}.") from error
    places = [header.index(name) for name in _COLUMNS]
    rest = [place for place in range(len(header)) if place not in places]
    pairs = []
    for number, cells in lines:
        names = [cells[place] for place in places]
        if not all(names):
            raise UsageError(f"Expected a reference and an image in each line; line {number} of {file} lacks one.")
        one, two = (str(file.parent / name) for name in names)
        extra = tuple(cells[place] for place in rest)
        pairs.append(Pair(reference=names[0], image=names[1], reference_path=one, image_path=two, extra=extra))
    if not pairs:
        raise UsageError(f"Expected at least one pair; {file} has a header and no lines.")
    return Pairing(
        pairs=tuple(pairs),
        source={"pairs": shown(str(file.absolute()))},
        columns=tuple(header[place] for place in rest),
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


def _text(file: Path) -> str:
    """What a list of pairs holds: of a regular file, and no more than _LARGEST."""
    status = os.stat(file)
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device. Save the list to a file first"
        raise UsageError(f"Expected a CSV file of pairs; {file} is {kind}.")
    if status.st_size > _LARGEST:
        raise UsageError(
            f"Expected a CSV file of pairs of at most {_LARGEST // 2**20} MiB; {file} has {status.st_size // 2**20}. "
            "Divide it, and score each part into a folder of its own."
        )
    with file.open("rb") as stream:
        return stream.read(_LARGEST).decode("utf-8-sig")


def _lines(stream: Iterable[str], file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and every line that is not empty with its number."""
    reader = csv.reader(stream)
    header = [name.strip() for name in next(reader, [])]
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        found = ", ".join(header) or "nothing"
        raise UsageError(f"Expected a first line with the columns reference and image; {file} begins with {found}.")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UsageError(f"Expected each column once; {file} has {', '.join(map(repr, twice))} several times.")
    lines = []
    for cells in reader:
        if not cells:
            continue
        if len(cells) != len(header):
            raise UsageError(
                f"Expected {len(header)} cells in each line; line {reader.line_num} of {file} has {len(cells)}."
            )
        lines.append((reader.line_num, cells))
    return header, lines


def _by_key(names: Iterable[str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name in sorted(names):
        grouped.setdefault(key(name), []).append(name)
    return grouped


def _stamp(path: str) -> bytes:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return b"-\n"
    return f"{status.st_size} {status.st_mtime_ns}\n".encode()
