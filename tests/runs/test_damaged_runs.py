"""Folders of runs whose files were damaged or made by others."""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semetric.errors import SemetricError, StoreError, UsageError
from semetric.runs import compare, score_folders

DEEP = '{"format": 1, "settings": ' + "[" * 900 + "]" * 900 + "}"
DEEPER = "[" * 100_000 + "]" * 100_000


@pytest.fixture
def run(folders: Path) -> Path:
    """A finished run."""
    return again(folders).path


def again(folders: Path):  # type: ignore[no-untyped-def]
    return score_folders(folders / "references", folders / "images", folders / "run", ["psnr"], store=None)


@pytest.mark.parametrize("text", ['{"format": 1}', "[]", "{}", "null", '{"format": 1, "metrics": []}', DEEP, DEEPER])
def test_a_record_that_is_none_is_named(run: Path, folders: Path, text: str) -> None:
    (run / "run.json").write_text(text)
    for work in (lambda: again(folders), lambda: compare(run, run)):
        with pytest.raises(UsageError, match=r"a run's record in .*run\.json; it is none"):
            work()


@pytest.mark.parametrize("part", ["profile", "metrics", "pairs", "settings", "source", "version"])
@pytest.mark.parametrize("value", [None, [], {"psnr": 3}])
def test_each_part_of_a_record_is_looked_at(run: Path, folders: Path, part: str, value: object) -> None:
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, part: value}))
    for work in (lambda: compare(run, run), lambda: again(folders)):
        with contextlib.suppress(SemetricError):  # nothing else
            work()


@pytest.mark.parametrize(
    "text", ["[]", "{}", "null", "{", '{"pairs": 7, "failed": [], "metrics": {"psnr": {}}}', DEEPER, DEEP]
)
def test_a_damaged_summary_is_made_again(run: Path, folders: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    whole = (run / "summary.json").read_bytes()
    (run / "summary.json").write_text(text)
    with caplog.at_level(logging.WARNING, "semetric"):
        assert again(folders).failed == 0
    assert "summary.json is damaged" in caplog.text
    assert (run / "summary.json").read_bytes() == whole


def test_rows_that_are_not_the_record_s_are_named(run: Path) -> None:
    table = pq.read_table(run / "scores.parquet")
    for wrong in (table.drop_columns(["psnr"]), table.slice(0, 0), table.drop_columns(["image"])):
        pq.write_table(wrong, run / "scores.parquet")
        with pytest.raises(StoreError, match=r"Expected to read .*scores\.parquet"):
            compare(run, run)
    text = table.set_column(2, "psnr", pa.array(["x"] * table.num_rows))
    pq.write_table(text, run / "scores.parquet")
    with pytest.raises(StoreError, match="no column psnr"):
        compare(run, run)


def test_damaged_rows_are_not_taken_for_finished_ones(run: Path, folders: Path) -> None:
    (run / "scores.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match="Expected the rows of a finished run"):
        score_folders(folders / "references", folders / "images", run, ["psnr"], store=None, retry_failed=True)
