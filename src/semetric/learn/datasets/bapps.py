"""BAPPS: distorted patches, judged by choice and by same-or-different (Zhang et al. 2018, arXiv 1801.03924).

Choices are in `2afc/<split>/<subset>/{ref,p0,p1,judge}`, pairs in `jnd/<split>/<subset>/{p0,p1,same}`. A judgement file
holds the share of people who chose p1, or said "same". The paper's Table 2 has two votes a training triplet, five a
validation triplet, three a pair.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from semetric.errors import ImageError, UsageError
from semetric.learn.datasets.base import Dataset, DatasetSpec
from semetric.learn.datasets.files import Damaged, Files, Problems, Unreadable, choose_split, find, sorted_names
from semetric.learn.triplets import Choice, JudgedPair, Triplet
from semetric.results.files import named_errors

if TYPE_CHECKING:
    from semetric.learn.judgements.pooled import Pooled
    from semetric.learn.judgements.records import Study

__all__ = ["BAPPS", "BAPPS_JND", "export_bapps", "load_bapps", "load_bapps_jnd", "read_share"]

_CHOICES = ("2afc", ("ref", "p0", "p1", "judge"))  # the folder, and what it holds, the judgements last
_PAIRS = ("jnd", ("p0", "p1", "same"))
_VOTES = {"2afc/train": 2, "2afc/val": 5, "jnd/val": 3}
_MOST_BYTES = 4096  # a judgement is one number and a header of 128 bytes
_IMAGES = ("png", "jpg", "jpeg", "webp", "gif", "bmp", "avif")
_PLAIN = re.compile(r"[\w-]+")


def load_bapps(root: Path, split: str | None = None, *, subset: str | None = None) -> Dataset:
    """Loads the two-alternative choices: `2afc/<split>/<subset>/{ref,p0,p1}/*.png` and `judge/*.npy`.

    Args:
        root: the folder that holds `2afc`, or `2afc` itself.
        split: train or val; None for all.
        subset: one subset, e.g. traditional; None for all.

    Returns:
        Choices; a is p0, b is p1, `share_b` the share of people who preferred p1; groups are subsets.

    Raises:
        UsageError: no such folder, split or subset, or no whole triplet.
    """
    top, folders = _top(root, *_CHOICES)
    files, problems = Files(top), Problems()
    items: list[Choice] = []
    for part, name, stem, paths in _entries(top, split, subset, folders, problems):
        with problems.of(f"{part}/{name}/{stem}"):
            reference, a, b, judgement = map(files.path, paths)
            triplet = Triplet(key=f"{part}/{name}/{stem}", reference=reference, a=a, b=b, split=part, group=name)
            share = read_share(judgement)
            items.append(Choice(triplet=triplet, share_b=share, votes=_votes("2afc", part, share)))
    return Dataset(
        name="bapps",
        root=str(top),
        kind="choices",
        items=problems.checked(items, "triplets of BAPPS (2afc/<split>/<subset>/judge/*.npy)", top),
        split=split,
        problems=problems,
    )


def load_bapps_jnd(root: Path, split: str | None = None, *, subset: str | None = None) -> Dataset:
    """Loads the just-noticeable differences: `jnd/<split>/<subset>/{p0,p1}/*.png` and `same/*.npy`.

    Args:
        root: the folder that holds `jnd`, or `jnd` itself.
        split: val; None for all.
        subset: traditional or cnn; None for all.

    Returns:
        Judged pairs; the reference is p0, the opinion the share of people who said "same"; groups are subsets.

    Raises:
        UsageError: no such folder, split or subset, or no whole pair.
    """
    top, folders = _top(root, *_PAIRS)
    files, problems = Files(top), Problems()
    items: list[JudgedPair] = []
    for part, name, stem, paths in _entries(top, split, subset, folders, problems):
        key = f"{part}/{name}/{stem}"
        with problems.of(key):
            reference, image, judgement = map(files.path, paths)
            share = read_share(judgement)
            place = {"key": key, "reference": reference, "image": image, "split": part, "group": name}
            items.append(JudgedPair(opinion=share, votes=_votes("jnd", part, share), **place))
    return Dataset(
        name="bapps_jnd",
        root=str(top),
        kind="same",
        items=problems.checked(items, "pairs of BAPPS JND (jnd/<split>/<subset>/same/*.npy)", top),
        split=split,
        problems=problems,
    )


def read_share(path: str) -> float:
    """One number in [0, 1] from a .npy file; a pickle is never loaded.

    Raises:
        Damaged: the file holds something else.
    """
    try:
        with open(path, "rb") as stream:
            if len(stream.read(_MOST_BYTES + 1)) > _MOST_BYTES:
                raise Unreadable(f"{path} is too large for one judgement")
            stream.seek(0)
            values = np.lib.format.read_array(stream, allow_pickle=False)
    except Damaged:
        raise
    except Exception as error:  # of damaged headers numpy raises errors of many classes
        raise Unreadable(f"{path} is no array of numbers ({error})") from None
    if values.dtype.kind not in "fiub" or values.size != 1:
        raise Damaged(f"{path} holds {values.dtype} of shape {values.shape} and not one number")
    share = float(values.reshape(-1)[0])
    if math.isnan(share) or not 0 <= share <= 1:
        raise Damaged(f"{path} holds {share}, which is no share")
    return share


def export_bapps(study: Study, pooled: Sequence[Pooled], images: Path, out: Path) -> None:
    """Writes a new folder in this layout, images copied; it appears whole or not at all.

    An item without a split goes to val, one without a group to the subset named "study".

    Args:
        study: of choices or same/different judgements.
        pooled: its judged items.
        images: the study's image folder.
        out: the folder to write.

    Raises:
        UsageError: a study of scores, or a folder that exists.
        ImageError: an image that is missing.
        StoreError: it cannot be written.
    """
    if study.kind == "score":
        raise UsageError(
            f"Expected a study of kind choice or same, as BAPPS has them; {study.name!r} is a {study.kind!r} study."
        )
    top, folders = _CHOICES if study.kind == "choice" else _PAIRS
    if out.exists():
        raise UsageError(f"Expected a new folder; {out} exists. Name another.")
    with named_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        with named_errors(out):
            taken: set[Path] = set()
            for index, entry in enumerate(pooled):
                item = entry.item
                subset = building / top / _part(item.split, "val") / _part(item.group, "study")
                stem = item.key.rpartition("/")[2]
                if not _PLAIN.fullmatch(stem) or subset / stem in taken:
                    stem = f"item_{index:06d}"
                taken.add(subset / stem)
                for folder, path in zip(folders, filter(None, (item.reference, item.a, item.b)), strict=False):
                    _copy(images / path, subset / folder / f"{stem}{Path(path).suffix.lower()}")
                (subset / folders[-1]).mkdir(parents=True, exist_ok=True)
                np.save(subset / folders[-1] / f"{stem}.npy", np.array([entry.share], np.float32))
            building.chmod(0o755)
            os.replace(building, out)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _top(root: Path, name: str, folders: tuple[str, ...]) -> tuple[Path, tuple[str, ...]]:
    if root.name == name and root.is_dir():
        return root, folders
    return find(root, f"BAPPS {name.upper()}", name, f"dataset/{name}"), folders


def _entries(
    top: Path, split: str | None, subset: str | None, folders: tuple[str, ...], problems: Problems
) -> Iterator[tuple[str, str, str, list[str]]]:
    """Split, subset, stem and relative paths of every stem that any of the folders holds."""
    subsets: set[str] = set()
    for part in choose_split(split, [name for name in sorted_names(top) if (top / name).is_dir()], str(top)):
        for name in sorted_names(top / part):
            place = top / part / name
            if not place.is_dir():
                continue
            subsets.add(name)
            if subset is not None and name != subset:
                continue
            stems: dict[str, dict[str, str]] = {}
            for folder in folders:
                if not (place / folder).is_dir():
                    problems.add(f"{part}/{name}", f"the folder {folder} is missing")
                for file in sorted_names(place / folder):
                    stem, _, suffix = file.rpartition(".")
                    if suffix.lower() in (("npy",) if folder == folders[-1] else _IMAGES):
                        stems.setdefault(stem, {}).setdefault(folder, file)
            for stem, by_folder in sorted(stems.items()):
                defaults = [f"{stem}.png"] * (len(folders) - 1) + [f"{stem}.npy"]
                names = [by_folder.get(folder, file) for folder, file in zip(folders, defaults, strict=True)]
                yield part, name, stem, [f"{part}/{name}/{f}/{n}" for f, n in zip(folders, names, strict=True)]
    if subset is not None and subset not in subsets:
        raise UsageError(f"Expected a subset of {top}: {', '.join(sorted(subsets)) or 'none'}; found {subset!r}.")


def _votes(top: str, split: str, share: float) -> int | None:
    """Number of annotators according to the paper; None where the share cannot come from so many."""
    votes = _VOTES.get(f"{top}/{split}")
    if votes is None or abs(share * votes - round(share * votes)) > 1e-4:  # float32 thirds and fifths
        return None
    return votes


def _part(name: str, default: str) -> str:
    return re.sub(r"[^\w-]", "_", name) or default


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError as error:
        raise ImageError(f"Expected the image {source}; it is missing.") from error


BAPPS = DatasetSpec(
    name="bapps",
    load=load_bapps,
    kind="choices",
    summary="distorted patches, two alternatives",
    paper="Zhang et al. 2018",
)
BAPPS_JND = DatasetSpec(
    name="bapps_jnd",
    load=load_bapps_jnd,
    kind="same",
    summary="distorted patches, same or different",
    paper="Zhang et al. 2018",
)
