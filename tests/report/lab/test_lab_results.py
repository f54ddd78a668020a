from __future__ import annotations

import math
from pathlib import Path

import fake_runs as fake
import numpy as np
import pytest

from semetric.errors import UsageError
from semetric.lab.experiments import EXPERIMENTS
from semetric.report.lab.results import read_lab_run


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_rows_come_sorted(tmp_path: Path, experiment: str) -> None:
    one = read_lab_run(fake.MAKERS[experiment](tmp_path / "run"))
    assert one.experiment == experiment
    assert one.finished
    keys = np.stack([one.rows.system, one.rows.level, one.rows.image, one.rows.metric], 1)
    assert (np.lexsort(keys.T[::-1]) == np.arange(len(keys))).all()
    assert len(np.unique(keys, axis=0)) == len(keys)


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


def test_a_run_that_is_not_at_its_end_gives_what_it_has(tmp_path: Path) -> None:
    whole = read_lab_run(fake.levels(tmp_path / "whole"))
    half = read_lab_run(fake.levels(tmp_path / "half", half=True))
    assert not half.finished
    assert len(half.rows) == len(whole.rows) // 2
    assert set(half.rows.value) <= set(whole.rows.value)


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing holds no run"):
        read_lab_run(tmp_path / "nothing")
    folder = fake.levels(tmp_path / "run")
    fake.change_record(folder, lambda record: (record.update(kind="pairs"), record.pop("experiment")))
    with pytest.raises(UsageError, match=r"run of an experiment in .*; it is of pairs"):
        read_lab_run(folder)


def test_a_run_with_nothing_finished_says_what_to_do(tmp_path: Path) -> None:
    folder = fake.levels(tmp_path / "run", images=())
    with pytest.raises(UsageError, match="goes on where it stopped"):
        read_lab_run(folder)
