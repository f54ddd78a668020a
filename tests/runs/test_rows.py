from __future__ import annotations

import csv
import itertools
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.runs.pairing import Pair, Pairing
from semetric.runs.rows import Layout, Row, read_table, write_csv, write_parquet

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.none() | st.floats(allow_nan=False)


def layout(texts: list[str]) -> Layout:
    pairs = tuple(
        Pair(reference=f"r{i}{t}", image=f"{t}{i}", reference_path="r", image_path="i", extra=(t,))
        for i, t in enumerate(texts)
    )
    return Layout(pairing=Pairing(pairs=pairs, source={}, columns=("more",)), metrics=("psnr", "ssim"))


def row(index: int, value: float | None) -> Row:
    errors = {} if value is not None else {"psnr": f"no {index}"}
    return Row(index=index, values={"psnr": value, "ssim": index / 7}, errors=errors)


@settings(deadline=None)  # the first table is slow
@given(st.data())
def test_parts_in_any_order_and_number_merge_to_all_rows(data: st.DataObject) -> None:
    texts = data.draw(st.lists(TEXT, min_size=1, max_size=12))
    values = [data.draw(VALUES) for _ in texts]
    columns = layout(texts)
    whole = columns.merge([columns.table([row(i, v) for i, v in enumerate(values)])])
    order = data.draw(st.permutations(range(len(texts))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(texts)), max_size=4)))
    bounds = [0, *cuts, len(texts)]
    parts = [[row(i, values[i]) for i in order[a:b]] for a, b in itertools.pairwise(bounds)]
    merged = columns.merge([columns.table(part) for part in parts])
    assert merged.equals(whole)
    assert merged["psnr"].to_pylist() == values
    assert merged["reference"].to_pylist() == [pair.reference for pair in columns.pairing.pairs]
    twice = columns.merge([columns.table(part) for part in [*parts, parts[0]]])
    assert twice.equals(whole)


def test_a_missing_row_is_an_error() -> None:
    columns = layout(["", ""])
    with pytest.raises(UsageError, match="Expected 2 finished rows; found 1"):
        columns.merge([columns.table([row(1, 0.0)])])


@settings(deadline=None)  # the first table is slow
@given(st.lists(st.tuples(TEXT, VALUES), min_size=1, max_size=8))
def test_both_files_hold_what_was_put_in(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float]]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    columns = layout([text for text, _ in rows])
    table = columns.merge([columns.table([row(i, v) for i, (_, v) in enumerate(rows)])])
    write_parquet(folder / "a.parquet", table)
    assert read_table(folder / "a.parquet").equals(table)
    write_csv(folder / "a.csv", table)
    with (folder / "a.csv").open(encoding="utf-8", newline="") as stream:
        header, *lines = csv.reader(stream)
    assert header == ["reference", "image", "psnr", "ssim", "error", "more"]
    assert [line[5] for line in lines] == [text for text, _ in rows]
    assert [float(line[2]) if line[2] else None for line in lines] == [value for _, value in rows]
    assert sorted(path.name for path in folder.iterdir()) == ["a.csv", "a.parquet"]


def test_infinity_has_a_name_in_csv(tmp_path: Path) -> None:
    columns = layout(["", ""])
    write_csv(tmp_path / "a.csv", columns.merge([columns.table([row(0, math.inf), row(1, None)])]))
    assert (tmp_path / "a.csv").read_bytes() == (
        b'reference,image,psnr,ssim,error,more\nr0,0,inf,0.0,,\nr1,1,,0.14285714285714285,"{""psnr"": ""no 1""}",\n'
    )


@pytest.mark.parametrize("name", ["error", "psnr", "index"])
def test_a_further_column_must_not_take_our_names(name: str) -> None:
    pair = Pair(reference="r", image="i", reference_path="r", image_path="i", extra=("",))
    with pytest.raises(UsageError, match=f"{name} is a column of the results"):
        Layout(pairing=Pairing(pairs=(pair,), source={}, columns=(name,)), metrics=("psnr",))


def test_rows_are_read_without_arrows_data_sets(tmp_path: Path) -> None:
    """A thread of theirs that let go of a file after Python's end aborted up to a third of short processes."""
    columns = layout(["a", "b"])
    write_parquet(tmp_path / "a.parquet", columns.merge([columns.table([row(i, 1.0) for i in range(2)])]))
    code = (
        "import sys\nfrom pathlib import Path\nfrom semetric.runs.rows import read_table\n"
        "read_table(Path(sys.argv[1]))\nsys.exit(5 if 'pyarrow.dataset' not in sys.modules else 1)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.parquet")], check=False).returncode == 5
