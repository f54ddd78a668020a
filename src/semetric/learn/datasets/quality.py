"""KADID-10k and TID2013: photos, distortions of them, and mean opinions."""

from __future__ import annotations

import re
from pathlib import Path

from semetric.learn.datasets.base import Dataset, DatasetSpec
from semetric.learn.datasets.files import Damaged, Files, Problems, choose_split, find, number, read_rows
from semetric.learn.triplets import JudgedPair
from semetric.tables import read_text

__all__ = ["KADID", "KADID_DISTORTIONS", "TID", "TID_DISTORTIONS", "load_kadid", "load_tid"]

KADID_DISTORTIONS = (
    *("gaussian blur", "lens blur", "motion blur", "colour diffusion", "colour shift", "colour quantisation"),
    *("colour saturation 1", "colour saturation 2", "jpeg 2000", "jpeg", "white noise", "white noise in colour"),
    *("impulse noise", "multiplicative noise", "denoise", "brighten", "darken", "mean shift", "jitter"),
    *("non-eccentricity patch", "pixelate", "quantisation", "colour block", "high sharpen", "contrast change"),
)
"""Types 01 to 25 (Lin, Hosu, Saupe 2019, "KADID-10k", Table I)."""

TID_DISTORTIONS = (
    *("additive gaussian noise", "additive noise in colour", "spatially correlated noise", "masked noise"),
    *("high-frequency noise", "impulse noise", "quantisation noise", "gaussian blur", "denoising", "jpeg"),
    *("jpeg 2000", "jpeg transmission errors", "jpeg 2000 transmission errors", "non-eccentricity pattern noise"),
    *("local block-wise distortions", "mean shift", "contrast change", "colour saturation"),
    *("multiplicative gaussian noise", "comfort noise", "lossy compression of noisy images"),
    *("colour quantisation with dither", "chromatic aberrations", "sparse sampling and reconstruction"),
)
"""Types 01 to 24 (Ponomarenko et al. 2015, "Image database TID2013", Table 1)."""

_NAME = re.compile(r"(?P<reference>[a-z]+\d+)_(?P<type>\d+)_(?P<level>\d+)\.[a-z]+", re.IGNORECASE)


def load_kadid(root: Path, split: str | None = None) -> Dataset:
    """Loads `dmos.csv` and `images/`. Despite its name dmos is higher for the better image, from 1 to 5.

    Args:
        root: the folder of dmos.csv, or the one above it.
        split: the data set has none; None.

    Returns:
        Judged pairs; groups are types of distortion.

    Raises:
        UsageError: no such folder, or no whole row.
    """
    file = find(root, "KADID-10k", "dmos.csv", "kadid10k/dmos.csv")
    choose_split(split, (), "KADID-10k")
    files, problems = Files(file.parent), Problems()
    items: dict[str, JudgedPair] = {}
    for line, row in read_rows(file, ("dist_img", "ref_img", "dmos"), problems):
        with problems.of(f"dmos.csv, line {line}"):
            name = row["dist_img"]
            if name in items:
                raise Damaged(f"{name} is rated twice")
            items[name] = JudgedPair(
                key=name,
                reference=files.path(f"images/{row['ref_img']}"),
                image=files.path(f"images/{name}"),
                opinion=number(row["dmos"], "dmos", 1, 5),
                group=_type(name, KADID_DISTORTIONS),
            )
    return Dataset(
        name="kadid10k",
        root=str(file.parent),
        kind="pairs",
        items=problems.checked(items.values(), "rated images of KADID-10k", file.parent),
        problems=problems,
        published_size=81 * 125,
    )


def load_tid(root: Path, split: str | None = None) -> Dataset:
    """Loads `mos_with_names.txt`, `distorted_images/` and `reference_images/`; names match in any case.

    Args:
        root: the folder of mos_with_names.txt, or the one above it.
        split: the data set has none; None.

    Returns:
        Judged pairs, opinions from 0 to 9; groups are types of distortion.

    Raises:
        UsageError: no such folder, or no whole line.
    """
    file = find(root, "TID2013", "mos_with_names.txt", "tid2013/mos_with_names.txt")
    choose_split(split, (), "TID2013")
    files, problems = Files(file.parent), Problems()
    items: dict[str, JudgedPair] = {}
    for line, text in enumerate(read_text(file).splitlines(), 1):
        if not text.strip():
            continue
        with problems.of(f"mos_with_names.txt, line {line}"):
            score, _, name = (part.strip() for part in text.strip().partition(" "))
            match = _NAME.fullmatch(name)
            if match is None:
                raise Damaged(f"{text.strip()[:80]!r} is no score with the name of a distorted image")
            if name.lower() in items:
                raise Damaged(f"{name} is rated twice")
            items[name.lower()] = JudgedPair(
                key=name,
                reference=files.any_case("reference_images", f"{match['reference']}.bmp"),
                image=files.any_case("distorted_images", name),
                opinion=number(score, "the score", 0, 9),
                group=_type(name, TID_DISTORTIONS),
            )
    return Dataset(
        name="tid2013",
        root=str(file.parent),
        kind="pairs",
        items=problems.checked(items.values(), "rated images of TID2013", file.parent),
        problems=problems,
        published_size=25 * 24 * 5,
    )


def _type(name: str, known: tuple[str, ...]) -> str:
    """The type of distortion that a file name tells; empty where it tells none."""
    match = _NAME.fullmatch(name)
    if match is None or not 1 <= int(match["type"]) <= len(known):
        return ""
    return known[int(match["type"]) - 1]


KADID = DatasetSpec(
    name="kadid10k",
    load=load_kadid,
    kind="pairs",
    summary="81 photos, 25 distortions at 5 levels, rated",
    paper="Lin, Hosu, Saupe 2019",
)
TID = DatasetSpec(
    name="tid2013",
    load=load_tid,
    kind="pairs",
    summary="25 photos, 24 distortions at 5 levels, rated",
    paper="Ponomarenko et al. 2015",
)
