"""Which images an experiment sends, and how each is read: 8-bit RGB, smaller where that is asked for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from semetric.errors import ImageError, UsageError
from semetric.image import MAX_PIXELS, Picture, read_image, resize
from semetric.runs.pairing import Pairing, image_files, shown

__all__ = [
    "ImageFile",
    "Known",
    "find_images",
    "level_name",
    "look_at",
    "pair_images",
    "read_picture",
    "read_sent",
]

_RESERVED = '/\\:*?"<>|'  # what names of files may not hold, here or elsewhere
_LONGEST = 60  # characters, at most four bytes each, of a folder's name


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """One image to send.

    Attributes:
        name: as rows name it: its path below the deepest folder that holds all images.
        path: where it is.
        root: the folder that was named and searched; None where the file itself was.
        sent: where the image is that goes through the systems, and whose results are scored against this one: a
            translation of it; None where it is this one itself.
    """

    name: str
    path: str
    root: str | None = None
    sent: str | None = None


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of an image before anything is sent.

    Attributes:
        name: as rows name it.
        digest: of the pixels that results are scored against; None where the file cannot be read.
        sent_digest: of the pixels that are sent, where these are others.
        height, width: of these, in pixels; likewise.
        notes: every conversion that reading it took.
        error: why it cannot be read; None where it can.
        example: the folder of its received pictures below "examples"; None without.
    """

    name: str
    digest: str | None = None
    sent_digest: str | None = None
    height: int | None = None
    width: int | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    example: str | None = None


def find_images(inputs: Sequence[str | os.PathLike[str] | ImageFile]) -> list[ImageFile]:
    """The image files among files and folders, subfolders included, each once, in the order of the inputs.

    Within a folder the order is the alphabet's. Hidden files and files that are no images by their suffix are
    passed over; a file that is named is taken whatever its suffix. Image files with their names, such as those of
    `pair_images`, are taken as they are.

    Raises:
        UsageError: an input is not there, a folder holds no image, or paths stand beside image files.
    """
    known = [entry for entry in inputs if isinstance(entry, ImageFile)]
    paths_given = [Path(entry) for entry in inputs if not isinstance(entry, ImageFile)]
    if known and paths_given:
        raise UsageError(f"Expected either paths or pairs of images; found {paths_given[0]} beside pairs.")
    if known:
        return known
    files: dict[str, tuple[Path, str | None]] = {}
    for entry in paths_given:
        if entry.is_dir():
            names = sorted(image_files(entry)[0])
            if not names:
                raise UsageError(f"Expected a folder with images; {entry} has none, nor have its subfolders.")
            for name in names:
                files.setdefault(os.path.realpath(entry / name), (entry / name, str(entry)))
        elif entry.exists():
            files.setdefault(os.path.realpath(entry), (entry, None))
        else:
            raise UsageError(f"Expected image files or folders of them; {entry} is not there.")
    if not files:
        raise UsageError("Expected at least one image or folder of images; none is named.")
    paths = [Path(os.path.abspath(path)) for path, _ in files.values()]
    root = os.path.commonpath([path.parent for path in paths])
    return [
        ImageFile(name=shown(path.relative_to(root).as_posix()), path=str(path_text), root=searched)
        for path, (path_text, searched) in zip(paths, files.values(), strict=True)
    ]


def pair_images(pairing: Pairing) -> list[ImageFile]:
    """Pairs as images to send: the image of each goes through the systems and is scored against its reference.

    An image is called as its reference, or where several pairs share one as the image itself, or as both.
    """
    for names in (
        [pair.reference for pair in pairing.pairs],
        [pair.image for pair in pairing.pairs],
        [f"{pair.reference} – {pair.image}" for pair in pairing.pairs],
    ):
        if len(set(names)) == len(names):
            break
    else:
        names = [f"{number} {name}" for number, name in enumerate(names, 1)]
    return [
        ImageFile(name=name, path=pair.reference_path, sent=pair.image_path)
        for name, pair in zip(names, pairing.pairs, strict=True)
    ]


def read_picture(
    path: str, *, resize_longest: int | None = None, background: str = "white", max_pixels: int | None = None
) -> Picture:
    """Reads an image as it is sent and scored: (H, W, 3) uint8.

    Args:
        path: the file.
        resize_longest: a longer side above this is brought to it (Lanczos, antialias), noted; None sends all pixels.
        background: what transparent pixels are composited on.
        max_pixels: refuse larger files; None takes `read_image`'s own limit.

    Raises:
        ImageError: the file cannot be read.
    """
    picture = read_image(path, background=background, max_pixels=max_pixels or MAX_PIXELS)
    notes = list(picture.notes)
    h, w = picture.size
    pixels = picture.to_uint8()
    if pixels is not picture.pixels:
        notes.append("rounded to 8 bits a channel, as it is sent")
    if resize_longest is not None and max(h, w) > resize_longest:
        scale = resize_longest / max(h, w)
        size = max(1, round(h * scale)), max(1, round(w * scale))
        pixels = resize(pixels, size, resample="lanczos").astype("uint8", copy=False)
        notes.append(f"resized from {w} × {h} to {size[1]} × {size[0]} (Lanczos, antialias)")
    elif pixels is picture.pixels:
        return picture
    pixels.setflags(write=False)
    return Picture(pixels=pixels, name=picture.name, notes=tuple(notes))


def read_sent(path: str, reference: Picture, **reading: Any) -> Picture:
    """The image that goes through the systems in the place of its reference, in the reference's size (bicubic).

    Args:
        path: the file.
        reference: what results are scored against.
        reading: as `read_picture` takes it.

    Raises:
        ImageError: the file cannot be read.
    """
    picture = read_picture(path, **reading)
    if picture.size == reference.size:
        return picture
    (h, w), (height, width) = picture.size, reference.size
    pixels = resize(picture.to_uint8(), reference.size).astype("uint8", copy=False)
    pixels.setflags(write=False)
    note = f"resized from {w} × {h} to {width} × {height}, its reference's size (bicubic, antialias)"
    return Picture(pixels=pixels, name=picture.name, notes=(*picture.notes, note))


def look_at(images: Sequence[ImageFile], *, examples: int, **reading: Any) -> list[Known]:
    """Reads every image once, so that a broken one is known, and an exchanged one is noticed, before anything is sent.

    Args:
        images: those to send.
        examples: how many, from the first that can be read, keep their received pictures.
        reading: as `read_picture` takes it.
    """
    folders = _folders([image.name for image in images])
    known = []
    left = examples
    for image, own in zip(images, folders, strict=True):
        try:
            picture = read_picture(image.path, **reading)
            sent = None if image.sent is None else read_sent(image.sent, picture, **reading)
        except ImageError as error:
            known.append(Known(name=image.name, error=shown(str(error))))
            continue
        folder = own if left > 0 else None
        left -= 1
        known.append(
            Known(
                name=image.name,
                digest=picture.digest,
                sent_digest=None if sent is None else sent.digest,
                height=picture.size[0],
                width=picture.size[1],
                notes=picture.notes if sent is None else tuple(dict.fromkeys((*picture.notes, *sent.notes))),
                example=folder,
            )
        )
    return known


def _folders(names: Sequence[str]) -> list[str]:
    """A folder's name for each image, on any system: its stem, or its path where another has that; each once."""
    stems = [PurePosixPath(name).stem for name in names]
    often = Counter(stems)
    taken: set[str] = set()
    folders = []
    for name, stem in zip(names, stems, strict=True):
        text = stem if often[stem] == 1 else name
        plain = "".join(c if c.isprintable() and c not in _RESERVED else "_" for c in text)[-_LONGEST:].strip(" .")
        folder, count = plain or "_", 1
        while folder.casefold() in taken:
            count += 1
            folder = f"{plain}_{count}"
        taken.add(folder.casefold())
        folders.append(folder)
    return folders


def level_name(level: float) -> str:
    """A level as the name of a file.

    Examples:
        >>> level_name(0.25), level_name(12.0), level_name(1e-5)
        ('0.25', '12', '1e-05')
    """
    short = f"{level:g}"
    return short if float(short) == level else repr(level)
