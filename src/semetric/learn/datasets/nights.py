"""NIGHTS: synthetic triplets that people agreed on (Fu et al. 2023, "DreamSim", arXiv 2306.09344)."""

from __future__ import annotations

from pathlib import Path

from semetric.learn.datasets._files import Damaged, Files, Noted, choose_split, find, number, read_rows
from semetric.learn.datasets.base import Dataset
from semetric.learn.triplets import Choice, Triplet

__all__ = ["MIN_VOTES", "load_nights"]

MIN_VOTES = 6  # triplets with fewer votes are not part of the published evaluation

_COLUMNS = ("id", "left_vote", "right_vote", "votes", "ref_path", "left_path", "right_path", "split")
_SPLITS = ("train", "val", "test")
_SIZES = {None: 17_444, "train": 13_900, "val": 1_720, "test": 1_824}
_TRUE = ("true", "1", "1.0")
_FALSE = ("false", "0", "0.0")


def load_nights(root: Path, split: str | None = None, *, min_votes: int = MIN_VOTES) -> Dataset:
    """Loads data.csv. Paths are taken as it gives them: the right candidate is not always `_1`.

    Args:
        root: the folder of data.csv, or the one above it.
        split: train, val or test; None for all.
        min_votes: rows with fewer are left out.

    Returns:
        Choices; `share_b` is right_vote, 0 or 1 as published; groups are imagenet and other.

    Raises:
        UsageError: no such folder, or no whole row.
    """
    file = find(root, "NIGHTS", "data.csv", "nights/data.csv")
    wanted = choose_split(split, _SPLITS, "NIGHTS")
    files, noted = Files(file.parent), Noted()
    items: list[Choice] = []
    seen: set[str] = set()
    few = 0
    for line, row in read_rows(file, _COLUMNS, noted):
        name = f"data.csv, line {line} (id {row['id']})"
        try:
            if row["split"] not in _SPLITS:
                raise Damaged(f"its split is {row['split']!r}")
            if row["split"] not in wanted:
                continue
            votes = int(number(row["votes"], "votes", 0, 1e6))
            if votes < min_votes:
                few += 1
                continue
            if row["id"] in seen:
                raise Damaged("its id occurs twice")
            seen.add(row["id"])
            items.append(_choice(row, votes, files))
        except Damaged as why:
            noted.add(name, why)
    if not items:
        raise noted.nothing("triplets of NIGHTS", file.parent)
    return Dataset(
        name="nights",
        root=str(file.parent),
        kind="choices",
        items=tuple(items),
        split=split,
        problems=noted.problems(),
        left_out={f"fewer than {min_votes} votes": few} if few else {},
        published_size=_SIZES[split] if min_votes == MIN_VOTES else None,
        majority=True,
    )


def _choice(row: dict[str, str], votes: int, files: Files) -> Choice:
    left, right = (number(row[name], name, 0, 1) for name in ("left_vote", "right_vote"))
    if abs(left + right - 1) > 1e-6:  # shares are written with finite digits
        raise Damaged(f"left_vote {row['left_vote']} and right_vote {row['right_vote']} do not add up to 1")
    inside = row.get("is_imagenet", "").lower()
    triplet = Triplet(
        key=row["id"],
        reference=files.path(row["ref_path"]),
        a=files.path(row["left_path"]),
        b=files.path(row["right_path"]),
        split=row["split"],
        group="imagenet" if inside in _TRUE else "other" if inside in _FALSE else "",
    )
    return Choice(triplet=triplet, share_b=right, votes=votes)
