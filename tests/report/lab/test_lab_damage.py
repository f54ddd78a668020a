"""Records and rows that were damaged: named, or read past, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import fake_runs as fake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from damaged_json import damaged
from semetric.errors import SemetricError, StoreError, UsageError
from semetric.report.lab import write_report
from semetric.report.lab.contents import tables
from semetric.report.lab.examples import examples
from semetric.report.lab.page import render
from semetric.report.lab.results import read_lab_run


@pytest.mark.parametrize("experiment", ["levels", "edits"])
def test_no_damage_to_a_record_escapes(experiment: str, tmp_path: Path) -> None:
    """The figures are left out, which take long and read no more of the record than the tables."""
    folder = fake.MAKERS[experiment](tmp_path / "run", images=("a.png",), metrics=("psnr",), examples=1)
    file = folder / "lab.json"
    read = 0
    for where, changed in damaged(json.loads(file.read_text()), entries=1):
        file.write_text(json.dumps(changed))
        try:
            run = read_lab_run(folder)
            assert "<html" in render(run, [], tables(run), examples(run))
            read += 1
        except SemetricError:
            continue
        except Exception as error:
            raise AssertionError(where) from error
    assert read > 10  # most of a record is for people alone


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 100 + "]" * 100, '{"experiment": "levels"}', "\ud800"])
def test_records_that_are_none(text: str, tmp_path: Path) -> None:
    folder = fake.levels(tmp_path / "run")
    (folder / "lab.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UsageError, match="describe a run of the lab"):
        read_lab_run(folder)


def test_columns_of_other_kinds(tmp_path: Path) -> None:
    folder = fake.levels(tmp_path / "run")
    file = folder / "rows.parquet"
    table = pq.read_table(file)
    for name, values in (("value", ["x"]), ("level", [[1.0]]), ("failed", ["perhaps"]), ("image", [b"\xff"])):
        column = pa.array(values * table.num_rows)
        pq.write_table(table.set_column(table.column_names.index(name), name, column), file)
        with pytest.raises(UsageError, match=r"rows\.parquet; its columns are of other kinds"):
            read_lab_run(folder)
    pq.write_table(table.slice(0, 0), file)
    with pytest.raises(UsageError, match=r"there are none\. Start the experiment's command again"):
        read_lab_run(folder)


def test_parts_of_other_columns_do_not_mix(tmp_path: Path) -> None:
    folder = fake.levels(tmp_path / "run", parts=True)
    file = folder / "parts" / "part-000002.parquet"
    table = pq.read_table(file)
    pq.write_table(table.set_column(table.column_names.index("note"), "note", pa.array([[1]] * table.num_rows)), file)
    with pytest.raises(UsageError, match=r"part-000002\.parquet; its columns are of other kinds"):
        read_lab_run(folder)


def test_a_file_where_the_report_would_be(tmp_path: Path) -> None:
    folder = fake.levels(tmp_path / "run", images=("a.png",), metrics=("psnr",))
    (folder / "report").write_text("")
    with pytest.raises(StoreError, match=r"report is a file\. Name another --out"):
        write_report(folder)
