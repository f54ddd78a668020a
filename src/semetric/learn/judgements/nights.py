"""NIGHTS's table (Fu et al. 2023, arXiv 2306.09344): triplets and the choice on which all voters agreed."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from pathlib import Path

from semetric.errors import UsageError
from semetric.learn.judgements.pooled import pool
from semetric.learn.judgements.records import Item, Published, Study
from semetric.learn.judgements.store import JudgementStore
from semetric.results.files import write_whole
from semetric.tables import read_table

__all__ = ["export_nights", "import_nights", "nights_table"]

_COLUMNS = ("id", "left_vote", "right_vote", "votes", "ref_path", "left_path", "right_path", "split")
_EXTRA = ("is_imagenet", "prompt")
_SOURCE = "nights"


def import_nights(
    store: JudgementStore,
    study: Study,
    path: str | os.PathLike[str],
    *,
    progress: Callable[[int], None] | None = None,
) -> tuple[int, int]:
    """Reads data.csv: left becomes a, right becomes b; the votes become published answers.

    Args:
        store: which takes it.
        study: of kind "choice", whose image root is the folder that the table's paths start from.
        path: of the table.
        progress: as for `add_items`.

    Returns:
        How many items are new, and how many were there.

    Raises:
        UsageError: columns that are missing, a row that is no row of NIGHTS, or as `add_items`.
        ImageError: images that are missing, or a table that cannot be read.
    """
    items: list[Item] = []
    answers: list[Published] = []
    for line, row in read_table(path, _COLUMNS).named():
        items.append(
            Item(
                key=row["id"],
                reference=row["ref_path"],
                a=row["left_path"],
                b=row["right_path"],
                split=row["split"],
                extra={name: row[name] for name in _EXTRA if row.get(name) is not None},
            )
        )
        try:
            left, right, votes = float(row["left_vote"]), float(row["right_vote"]), int(float(row["votes"]))
        except (ValueError, OverflowError):
            left, right, votes = 0.0, 0.0, 0
        if {left, right} != {0.0, 1.0} or votes < 1:
            raise UsageError(
                f"Expected line {line} of {path} to vote 1 for left or right and 0 for the other, with votes above 0; "
                f"found {row['left_vote']!r}, {row['right_vote']!r}, {row['votes']!r}."
            )
        answers.append(Published(key=row["id"], share=right, votes=votes, source=_SOURCE))
    with store.transaction():
        counted = store.add_items(study, items, progress=progress)
        store.add_published(study, answers)
    return counted


def nights_table(store: JudgementStore, study: Study) -> tuple[str, int, int]:
    """The table's text, how many rows it has, and how many judged items it leaves out: those without one opinion.

    Raises:
        UsageError: a study of another kind, or as `pool`.
    """
    if study.kind != "choice":
        raise UsageError(f"Expected a 'choice' study, as NIGHTS is one; {study.name!r} is a {study.kind!r} study.")
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow((*_COLUMNS, *_EXTRA))
    written = left_out = 0
    for found in pool(store, study):
        if found.share not in (0.0, 1.0):
            left_out += 1
            continue
        item, right = found.item, int(found.share)
        extra = [item.extra.get(name, "") for name in _EXTRA]
        votes = "" if found.votes is None else found.votes
        table.writerow((item.key, 1 - right, right, votes, item.reference, item.a, item.b, item.split, *extra))
        written += 1
    return text.getvalue(), written, left_out


def export_nights(store: JudgementStore, study: Study, path: str | os.PathLike[str]) -> tuple[int, int]:
    """Writes data.csv, whole or not at all. Returns the two counts of `nights_table`.

    Raises:
        UsageError: as `nights_table`.
        StoreError: it cannot be written.
    """
    text, written, left_out = nights_table(store, study)
    write_whole(Path(path), lambda stream: stream.write(text.encode()))
    return written, left_out
