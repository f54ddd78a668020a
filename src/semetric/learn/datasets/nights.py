"""NIGHTS: synthetic triplets that people agreed on (Fu et al. 2023, "DreamSim", arXiv 2306.09344)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from semetric.errors import UsageError
from semetric.learn.datasets.base import Dataset, DatasetSpec
from semetric.learn.datasets.files import Damaged, Files, Problems, choose_split, find, number, read_rows
from semetric.learn.triplets import Choice, Triplet

if TYPE_CHECKING:
    from semetric.learn.judgements.pooled import Pooled
    from semetric.learn.judgements.records import Study

__all__ = ["MIN_VOTES", "NIGHTS", "load_nights", "nights_table"]

MIN_VOTES = 6  # triplets with fewer votes are not part of the published evaluation

_COLUMNS = ("id", "left_vote", "right_vote", "votes", "ref_path", "left_path", "right_path", "split")
_EXTRA = ("is_imagenet", "prompt")
_SPLITS = ("train", "val", "test")
_SIZES = {None: 17_444, "train": 13_900, "val": 1_720, "test": 1_824}
_GROUPS = {"true": "imagenet", "1": "imagenet", "1.0": "imagenet", "false": "other", "0": "other", "0.0": "other"}


def load_nights(
    root: Path, split: str | None = None, *, min_votes: int = MIN_VOTES, images: str | None = None
) -> Dataset:
    """Loads data.csv. Paths are taken as it gives them: the right candidate is not always `_1`.

    Args:
        root: the folder of data.csv, or the one above it; or a table of that form.
        split: train, val or test; None for all.
        min_votes: rows with fewer are left out.
        images: the folder that paths start from; by default the table's own.

    Returns:
        Choices; `share_b` is right_vote, 0 or 1 as published; groups are imagenet and other.

    Raises:
        UsageError: no such folder, or no whole row.
    """
    table = root if root.is_file() else find(root, "NIGHTS", "data.csv", "nights/data.csv")
    splits = choose_split(split, _SPLITS, "NIGHTS")
    files, problems = Files(table.parent if images is None else Path(images)), Problems()
    items: dict[str, Choice] = {}
    few = 0
    for line, row in read_rows(table, _COLUMNS, problems):
        with problems.of(f"{table.name}, line {line} (id {row['id']})"):
            if row["split"] not in _SPLITS:
                raise Damaged(f"its split is {row['split']!r}")
            if row["split"] not in splits:
                continue
            votes = int(number(row["votes"], "votes", 0, 1e6))
            if votes < min_votes:
                few += 1
                continue
            if row["id"] in items:
                raise Damaged("its id occurs twice")
            items[row["id"]] = _choice(row, votes, files)
    return Dataset(
        name="nights",
        root=str(files.root),
        kind="choices",
        items=problems.checked(items.values(), "triplets of NIGHTS", files.root),
        split=split,
        problems=problems,
        left_out={f"fewer than {min_votes} votes": few} if few else {},
        published_size=_SIZES[split] if min_votes == MIN_VOTES else None,
        majority=True,
    )


def _choice(row: dict[str, str], votes: int, files: Files) -> Choice:
    left, right = (number(row[name], name, 0, 1) for name in ("left_vote", "right_vote"))
    if abs(left + right - 1) > 1e-6:  # shares are written with finite digits
        raise Damaged(f"left_vote {row['left_vote']} and right_vote {row['right_vote']} do not add up to 1")
    triplet = Triplet(
        key=row["id"],
        reference=files.path(row["ref_path"]),
        a=files.path(row["left_path"]),
        b=files.path(row["right_path"]),
        split=row["split"],
        group=_GROUPS.get(row.get("is_imagenet", "").lower(), ""),
        extra={name: row[name] for name in _EXTRA if name in row},
    )
    return Choice(triplet=triplet, share_b=right, votes=votes)


def nights_table(study: Study, pooled: Sequence[Pooled]) -> tuple[str, int, int]:
    """The text of data.csv for the judged items of a study, its number of rows, and of items on which people differ.

    Raises:
        UsageError: a study of another kind.
    """
    if study.kind != "choice":
        raise UsageError(f"Expected a 'choice' study, as NIGHTS is one; {study.name!r} is a {study.kind!r} study.")
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow((*_COLUMNS, *_EXTRA))
    written = 0
    for entry in pooled:
        item = entry.item
        if entry.share in (0.0, 1.0):
            right = int(entry.share)
            extra = [item.extra.get(name, "") for name in _EXTRA]
            table.writerow(
                (item.key, 1 - right, right, entry.votes, item.reference, item.a, item.b, item.split, *extra)
            )
            written += 1
    return text.getvalue(), written, len(pooled) - written


NIGHTS = DatasetSpec(
    name="nights",
    load=load_nights,
    kind="choices",
    summary="synthetic triplets, chosen unanimously",
    paper="Fu et al. 2023",
)
