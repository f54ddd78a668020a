"""What a report cannot be made of is named."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import fake_runs as fake
import pytest

from semetric.errors import StoreError
from semetric.report.lab import write_report


def test_damaged_rows_and_records_are_named_with_what_to_do(tmp_path: Path) -> None:
    folder = fake.levels(tmp_path / "run", images=("a.png",), metrics=("psnr",))
    for change, what in (
        ("UPDATE units SET scores = zeroblob(8) WHERE unit = 2", "unit 2 does not match its checksum"),
        ("UPDATE documents SET crc = 0 WHERE name = 'record'", "its record does not match its checksum"),
    ):
        connection = sqlite3.connect(folder / "run.sqlite")
        connection.execute(change)
        connection.commit()
        connection.close()
        with pytest.raises(StoreError, match=f"{what}. Start the command that made the run again"):
            write_report(folder)


def test_a_file_where_the_report_would_be(tmp_path: Path) -> None:
    folder = fake.levels(tmp_path / "run", images=("a.png",), metrics=("psnr",))
    (folder / "report").write_text("")
    with pytest.raises(StoreError, match=r"report is a file\. Name another --out"):
        write_report(folder)
