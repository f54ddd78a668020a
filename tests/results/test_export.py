from __future__ import annotations

import csv
import itertools
import math
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.results import export
from semetric.results.export import file_digest, read_table, write_csv, write_parquet

SCHEMA = pa.schema([("name", pa.string()), ("value", pa.float64())])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ROWS = st.lists(st.tuples(TEXT, st.none() | st.floats(allow_nan=False)), max_size=12)


def table(rows: list[tuple[str, float | None]]) -> pa.Table:
    return pa.table({"name": [name for name, _ in rows], "value": [value for _, value in rows]}, schema=SCHEMA)


@settings(deadline=None, max_examples=30)  # the disk takes the time it takes
@given(ROWS, st.lists(st.integers(0, 12), max_size=4), st.integers(1, 5))
def test_files_hold_the_rows_however_they_come(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float | None]], cuts: list[int], group: int
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    pieces = [table(rows[start:stop]) for start, stop in itertools.pairwise(bounds)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "GROUP_ROWS", group)
        for name, tables in (("a", [table(rows)]), ("b", pieces)):
            write_parquet(folder / f"{name}.parquet", SCHEMA, tables)
            write_csv(folder / f"{name}.csv", SCHEMA, tables)
    for kind in ("parquet", "csv"):
        assert (folder / f"a.{kind}").read_bytes() == (folder / f"b.{kind}").read_bytes()
    assert read_table(folder / "b.parquet").equals(table(rows))
    with (folder / "b.csv").open(encoding="utf-8", newline="") as stream:
        header, *lines = csv.reader(stream)
    assert header == ["name", "value"]
    assert [(line[0], float(line[1]) if line[1] else None) for line in lines] == rows
    assert len(list(folder.iterdir())) == 4


def test_infinity_has_a_name_in_csv(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", SCHEMA, [table([("x", math.inf), ('"', -math.inf), ("a,b", None), ("ü", 1 / 7)])])
    expected = 'name,value\nx,inf\n"""",-inf\n"a,b",\nü,0.14285714285714285\n'
    assert (tmp_path / "a.csv").read_bytes() == expected.encode()


def test_a_digest_is_of_the_content(tmp_path: Path) -> None:
    assert file_digest(tmp_path / "a") is None
    (tmp_path / "a").write_bytes(b"abc")
    assert (
        file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )  # FIPS 180-2


def test_rows_are_read_without_arrows_data_sets(tmp_path: Path) -> None:
    """A thread of theirs that let go of a file after Python's end aborted up to a third of short processes."""
    write_parquet(tmp_path / "a.parquet", SCHEMA, [table([("a", 1.0)])])
    code = (
        "import sys\nfrom pathlib import Path\nfrom semetric.results.export import read_table\n"
        "read_table(Path(sys.argv[1]))\nsys.exit(5 if 'pyarrow.dataset' not in sys.modules else 1)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.parquet")], check=False).returncode == 5
