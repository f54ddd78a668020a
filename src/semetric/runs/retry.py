"""Scoring again what failed: a finished run becomes an interrupted one that lacks its failed rows."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from semetric.errors import StoreError, UsageError
from semetric.runs.files import named_errors
from semetric.runs.pairing import stamps_digest
from semetric.runs.record import differences, read_record, write_record
from semetric.runs.rows import Layout, read_table, write_parquet
from semetric.runs.summary import failed_rows

__all__ = ["reopen", "with_scored_files"]

_RESULTS = ("summary.json", "scores.csv", "scores.parquet")


def with_scored_files(record: Mapping[str, Any], stamps: Sequence[bytes], failed: Sequence[int]) -> dict[str, Any]:
    """The record of a run at its end: with a digest of the files of those rows that did not fail.

    Args:
        record: of the run.
        stamps: `Pairing.row_stamps` at its beginning.
        failed: indices of its failed rows.
    """
    return {**record, "pairs": {**record["pairs"], "scored": stamps_digest(stamps, set(failed))}}


def reopen(folder: Path, layout: Layout, record: Mapping[str, Any], stamps: Sequence[bytes], *, asked: bool) -> None:
    """Takes the failed rows out of a finished run, so that it goes on with them; leaves any other run as it is.

    The rows that did not fail go into a part before the results are removed: whatever ends the
    process, there is the old run or one to go on with.

    Args:
        folder: of the run, held by this process.
        layout: its columns.
        record: what run.json would say now; the files of failed rows may have changed, nothing else.
        stamps: `Pairing.row_stamps` now.
        asked: whether the metrics were named, on which depends what has failed.

    Raises:
        UsageError: a file of a row that did not fail has changed.
        StoreError: the folder cannot be written.
    """
    old = read_record(folder)
    if old is None or not all((folder / name).is_file() for name in _RESULTS):
        return
    new = json.loads(json.dumps(record))
    unchanged = copy.deepcopy(new)
    unchanged["pairs"]["files"] = old["pairs"]["files"]
    if differences(old, unchanged):
        return  # another run; who enters it says in what
    import pyarrow as pa

    try:
        table = read_table(folder / "scores.parquet")
        table.select(layout.schema().names[1:])
    except (OSError, pa.ArrowException, KeyError) as error:
        raise StoreError(
            f"Expected the rows of a finished run in {folder / 'scores.parquet'}; {error}. Remove it, and start the "
            "command without --retry-failed."
        ) from error
    failed = failed_rows(table, len(layout.metrics), asked=asked)
    if not failed:
        return
    if old["pairs"].get("scored") != stamps_digest(stamps, set(failed)):
        raise UsageError(
            f"Expected that only files of failed pairs have changed since {folder} was scored; files of pairs that "
            "have scores did, too. Choose another --out."
        )
    import numpy as np

    kept = np.setdiff1d(np.arange(table.num_rows), failed)
    part = table.add_column(0, "index", pa.array(np.arange(table.num_rows))).take(pa.array(kept))
    with named_errors(folder):
        (folder / "parts").mkdir(exist_ok=True)
        for left in (folder / "parts").glob("part-*.parquet"):
            left.unlink()
    write_parquet(folder / "parts" / "part-000001.parquet", part.cast(layout.schema()))
    write_record(folder, new)
    with named_errors(folder):
        for name in _RESULTS:
            (folder / name).unlink()
