from __future__ import annotations

import json
import math
from pathlib import Path

import fake_runs as fake
import numpy as np
import pyarrow.parquet as pq
import pytest

from semetric.errors import UsageError
from semetric.report.lab.results import EXPERIMENTS, read_lab_run


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_rows_come_sorted_whatever_their_order_on_disk(tmp_path: Path, experiment: str) -> None:
    folder = fake.MAKERS[experiment](tmp_path / "run")
    one = read_lab_run(folder)
    table = pq.read_table(folder / "rows.parquet")
    shuffled = np.random.default_rng(0).permutation(table.num_rows)
    pq.write_table(table.take(shuffled), folder / "rows.parquet")
    two = read_lab_run(folder)
    assert one.experiment == experiment
    assert one.finished
    assert len(one.rows) == table.num_rows
    for name in ("image", "system", "metric", "level", "value", "rate_bpp"):
        np.testing.assert_array_equal(getattr(one.rows, name), getattr(two.rows, name))
    keys = np.stack([one.rows.system, one.rows.level, one.rows.image, one.rows.metric], 1)
    assert (np.lexsort(keys.T[::-1]) == np.arange(len(keys))).all()


def test_nulls_errors_and_infinities_are_kept_apart(tmp_path: Path) -> None:
    def edit(row: dict[str, object]) -> None:
        if row["image"] == "a.png":
            row["value"] = math.inf
        elif row["image"] == "b.png":
            row["value"], row["error"] = None, "too small"

    rows = read_lab_run(fake.levels(tmp_path / "run", edit=edit)).rows
    assert np.isinf(rows.value[rows.image == 0]).all()
    assert np.isnan(rows.value[rows.image == 1]).all()
    assert np.isnan(rows.rate_bpp).all()
    assert {rows.error[i] for i in np.flatnonzero(rows.image == 1)} == {"too small"}
    assert {rows.error[i] for i in np.flatnonzero(rows.image != 1)} == {""}


def test_strengths_have_their_systems_units_and_rates_that_of_the_axis(tmp_path: Path) -> None:
    run = read_lab_run(fake.transform(tmp_path / "a"))
    assert run.unit(1) == "degrees, counter-clockwise"
    systems = [{"name": "jpeg", "label": "JPEG", "unit": "quality 1–100", "levels": (0.5, 1.0)}]
    run = read_lab_run(fake.write_run(tmp_path / "b", "compression", systems, lambda s, m, level: 0.3))
    assert run.unit(0) == "bits per pixel"


def test_a_run_that_is_not_at_its_end_gives_its_parts(tmp_path: Path) -> None:
    whole = read_lab_run(fake.levels(tmp_path / "whole"))
    folder = fake.levels(tmp_path / "parts", parts=True)
    both = read_lab_run(folder)
    assert not both.finished
    np.testing.assert_array_equal(both.rows.value, whole.rows.value)
    (folder / "parts" / "part-000002.parquet").unlink()
    assert len(read_lab_run(folder).rows) == len(whole.rows) // 2


def test_of_a_unit_that_two_parts_hold_the_later_counts(tmp_path: Path) -> None:
    folder = fake.levels(tmp_path / "run", parts=True)
    first = pq.read_table(folder / "parts" / "part-000001.parquet")
    again = first.slice(0, 3)
    values = again["value"].to_numpy() + 100
    again = again.set_column(again.column_names.index("value"), "value", [values])
    pq.write_table(again, folder / "parts" / "part-000003.parquet")
    run = read_lab_run(folder)
    assert len(run.rows) == len(read_lab_run(fake.levels(tmp_path / "other")).rows)
    assert sorted(run.rows.value)[-3:] == sorted(values)


def record_with(folder: Path, **changes: object) -> None:
    file = folder / "lab.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        read_lab_run(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"no lab\.json"):
        read_lab_run(tmp_path)
    folder = fake.levels(tmp_path / "run")
    record_with(folder, experiment="astrology")
    with pytest.raises(UsageError, match="'astrology', none of compression"):
        read_lab_run(folder)
    for text in ("{", "[]", "{}", '{"experiment": "levels"}'):
        (folder / "lab.json").write_text(text)
        with pytest.raises(UsageError, match="describe a run of the lab"):
            read_lab_run(folder)


def test_a_run_with_nothing_finished_says_what_to_do(tmp_path: Path) -> None:
    folder = fake.levels(tmp_path / "run")
    (folder / "rows.parquet").unlink()
    with pytest.raises(UsageError, match="goes on where it stopped"):
        read_lab_run(folder)
    (folder / "rows.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(UsageError, match="cannot be read"):
        read_lab_run(folder)


def test_rows_that_do_not_fit_the_record_are_refused(tmp_path: Path) -> None:
    folder = fake.levels(tmp_path / "run")
    table = pq.read_table(folder / "rows.parquet")
    record_with(folder, images=[{"name": "a.png"}])
    with pytest.raises(UsageError, match=r"'b\.png' does not"):
        read_lab_run(folder)
    pq.write_table(table.drop_columns(["metric"]), folder / "rows.parquet")
    with pytest.raises(UsageError, match="columns metric are missing"):
        read_lab_run(folder)
    folder = fake.levels(tmp_path / "other", edit=lambda row: row.update(level=None))
    with pytest.raises(UsageError, match="finite level"):
        read_lab_run(folder)
