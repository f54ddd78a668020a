"""BAPPS: distorted patches, judged by choice and by same-or-different (Zhang et al. 2018, arXiv 1801.03924)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from semetric.errors import UsageError
from semetric.learn.datasets._files import Damaged, Files, Noted, choose_split, find, sorted_names
from semetric.learn.datasets.base import Dataset
from semetric.learn.triplets import Choice, JudgedPair, Triplet

__all__ = ["load_bapps", "load_bapps_jnd", "read_share"]

_MOST_BYTES = 4096  # a judgement is one number and a header of 128 bytes


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
    top = _top(root, "2afc", "BAPPS 2AFC")
    files, noted = Files(top), Noted()
    items: list[Choice] = []
    for part, name, stems in _entries(top, split, subset, ("ref", "p0", "p1"), "judge", noted):
        for stem in stems:
            key = f"{part}/{name}/{stem}"
            try:
                reference, a, b = (files.path(f"{part}/{name}/{f}/{stem}.png") for f in ("ref", "p0", "p1"))
                share = read_share(files.path(f"{part}/{name}/judge/{stem}.npy"))
            except Damaged as why:
                noted.add(key, why)
                continue
            triplet = Triplet(key=key, reference=reference, a=a, b=b, split=part, group=name)
            items.append(Choice(triplet=triplet, share_b=share))
    if not items:
        raise noted.nothing("triplets of BAPPS", top)
    return Dataset(
        name="bapps", root=str(top), kind="choices", items=tuple(items), split=split, problems=noted.problems()
    )


def load_bapps_jnd(root: Path, split: str | None = None, *, subset: str | None = None) -> Dataset:
    """Loads the just-noticeable differences: `jnd/<split>/<subset>/{p0,p1}/*.png` and `same/*.npy`.

    Args:
        root: the folder that holds `jnd`, or `jnd` itself.
        split: val; None for all.
        subset: traditional or cnn; None for all.

    Returns:
        Judged pairs; the opinion is the share of people who said "same"; groups are subsets.

    Raises:
        UsageError: no such folder, split or subset, or no whole pair.
    """
    top = _top(root, "jnd", "BAPPS JND")
    files, noted = Files(top), Noted()
    items: list[JudgedPair] = []
    for part, name, stems in _entries(top, split, subset, ("p0", "p1"), "same", noted):
        for stem in stems:
            key = f"{part}/{name}/{stem}"
            try:
                reference, image = (files.path(f"{part}/{name}/{f}/{stem}.png") for f in ("p0", "p1"))
                share = read_share(files.path(f"{part}/{name}/same/{stem}.npy"))
            except Damaged as why:
                noted.add(key, why)
                continue
            items.append(JudgedPair(key=key, reference=reference, image=image, opinion=share, split=part, group=name))
    if not items:
        raise noted.nothing("pairs of BAPPS JND", top)
    return Dataset(
        name="bapps_jnd", root=str(top), kind="same", items=tuple(items), split=split, problems=noted.problems()
    )


def read_share(path: str) -> float:
    """One number in [0, 1] from a .npy file; a pickle is never loaded.

    Raises:
        Damaged: the file holds something else.
    """
    try:
        with open(path, "rb") as stream:
            if len(stream.read(_MOST_BYTES + 1)) > _MOST_BYTES:
                raise Damaged(f"{path} is too large for one judgement")
            stream.seek(0)
            values = np.lib.format.read_array(stream, allow_pickle=False)
    except Damaged:
        raise
    except Exception as error:  # of damaged headers numpy raises errors of many classes
        raise Damaged(f"{path} is no array of numbers ({error})") from None
    if values.dtype.kind not in "fiub" or values.size != 1:
        raise Damaged(f"{path} holds {values.dtype} of shape {values.shape} and not one number")
    share = float(values.reshape(-1)[0])
    if math.isnan(share) or not 0 <= share <= 1:
        raise Damaged(f"{path} holds {share}, which is no share")
    return share


def _top(root: Path, name: str, what: str) -> Path:
    if root.name == name and root.is_dir():
        return root
    return find(root, what, name, f"dataset/{name}")


def _entries(
    top: Path, split: str | None, subset: str | None, images: tuple[str, ...], judgements: str, noted: Noted
) -> list[tuple[str, str, list[str]]]:
    """Split, subset and the stems that any of its folders holds."""
    found: list[tuple[str, str, list[str]]] = []
    subsets: set[str] = set()
    for part in choose_split(split, [n for n in sorted_names(top) if (top / n).is_dir()], str(top)):
        for name in sorted_names(top / part):
            place = top / part / name
            if not place.is_dir():
                continue
            subsets.add(name)
            if subset is not None and name != subset:
                continue
            stems: set[str] = set()
            for folder, suffix in [*((image, ".png") for image in images), (judgements, ".npy")]:
                if not (place / folder).is_dir():
                    noted.add(f"{part}/{name}", f"the folder {folder} is missing")
                stems |= {n.removesuffix(suffix) for n in sorted_names(place / folder) if n.endswith(suffix)}
            found.append((part, name, sorted(stems)))
    if subset is not None and subset not in subsets:
        raise UsageError(f"Expected a subset of {top}: {', '.join(sorted(subsets)) or 'none'}; found {subset!r}.")
    return found
