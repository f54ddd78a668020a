from __future__ import annotations

from pathlib import Path

import fake_runs as fake
import numpy as np
import pytest

from semetric.report.lab.measures import (
    correlations,
    crossings,
    curve,
    curves,
    over_levels,
    sensitivity,
)
from semetric.report.lab.results import LabRun, read_lab_run
from semetric.results import statistics


def exact(
    folder: Path, values: dict[str, dict[float, list[float | None]]], metric: str = "ssim", kind: str = "channel"
) -> LabRun:
    """A run of one metric: system → level → the images' values."""
    images = [f"{i}.png" for i in range(max(len(v) for own in values.values() for v in own.values()))]

    def edit(row: dict[str, object]) -> None:
        row["value"] = values[str(row["system"])][float(row["level"])][images.index(str(row["image"]))]  # type: ignore[arg-type]

    systems = [
        {"name": name, "label": name, "levels": tuple(own), "dimension": "colour"} for name, own in values.items()
    ]
    made = fake.write_run(folder, kind, systems, lambda s, m, level: 0.5, metrics=[metric], images=images, edit=edit)
    return read_lab_run(made)


def test_rates_are_drawn_as_achieved_and_levels_as_asked(tmp_path: Path) -> None:
    run = read_lab_run(fake.compression(tmp_path / "a"))
    one = curve(run, 0, 0)
    rows = run.rows
    for point in one.points:
        here = (rows.system == 0) & (rows.metric == 0) & (rows.level == point.level)
        assert point.x == point.rate_bpp == rows.rate_bpp[here].mean()
        assert point.x != point.level
        assert point.units == here.sum() == 4
    assert [p.x for p in one.points] == sorted(p.x for p in one.points)
    channel = read_lab_run(fake.channel(tmp_path / "b"))
    assert [p.x for p in curve(channel, 0, 0).points] == list(channel.levels(0))
    assert [p.failed for p in curve(channel, 0, 0).points] == [4, 4, 4, 1, 0, 0, 0, 0]
    assert curves(channel)[1][0] == curve(channel, 0, 1)


def test_systems_without_streams_are_drawn_at_their_level(tmp_path: Path) -> None:
    run = read_lab_run(fake.compression(tmp_path / "a", edit=lambda row: row.update(rate_bpp=None)))
    assert [p.x for p in curve(run, 0, 0).points] == list(fake.RATES)


@pytest.mark.parametrize(("metric", "below"), [("ssim", 0), ("lpips", 1)])
def test_a_crossing_is_where_the_lines_meet(tmp_path: Path, metric: str, below: int) -> None:
    run = exact(tmp_path / "a", {"a": {0: [0.4], 10: [0.4]}, "b": {0: [0.2], 10: [1.0]}}, metric)
    (one,) = crossings(run, 0)
    assert one.x == pytest.approx(2.5)
    assert (one.below, one.above) == (below, 1 - below)


def test_curves_that_touch_or_do_not_overlap_do_not_cross(tmp_path: Path) -> None:
    touching = {"a": {0: [0.5], 5: [0.5], 10: [0.5]}, "b": {0: [0.2], 5: [0.5], 10: [0.2]}}
    assert crossings(exact(tmp_path / "a", touching), 0) == []
    apart = {"a": {0: [0.5], 1: [0.1]}, "b": {2: [0.1], 3: [0.5]}}
    assert crossings(exact(tmp_path / "b", apart), 0) == []
    through = {"a": {0: [0.1], 5: [0.5], 10: [0.9]}, "b": {0: [0.9], 5: [0.5], 10: [0.1]}}
    (one,) = crossings(exact(tmp_path / "c", through), 0)
    assert one.x == 5


def test_correlations_per_image_and_pooled(tmp_path: Path) -> None:
    # each image falls in a line, from its own height: |r| of 1 for each, less for all at once
    values = {"a": {1: [0.9, 0.5], 2: [0.8, 0.4], 3: [0.7, 0.3]}, "b": {1: [0.5, 0.5], 2: [0.5, 0.5], 3: [0.5, 0.5]}}
    run = exact(tmp_path / "a", values, kind="deformation")
    one, other = correlations(run, 0)
    assert one.per_image.mean == pytest.approx(1)
    assert (one.per_image.n, one.rows) == (2, 6)
    level, value = run.rows.level[run.rows.system == 0], run.rows.value[run.rows.system == 0]
    assert one.pooled == pytest.approx(abs(np.corrcoef(level, value)[0, 1]))
    assert one.pooled is not None
    assert one.pooled < 0.5
    assert (other.per_image.mean, other.pooled) == (None, None)  # a constant follows nothing


def test_over_levels_averages_each_image_first(tmp_path: Path) -> None:
    run = exact(tmp_path / "a", {"a": {1: [0.2, 0.4], 2: [0.4, None], 3: [1.0, 1.0]}, "b": {1: [1, 1], 2: [1, 1]}})
    found = over_levels(run, 0, 0, [1, 2])  # those that both have
    assert found.mean == pytest.approx((0.3 + 0.4) / 2)
    assert (found.n, found.missing) == (2, 1)
    assert found.low == pytest.approx(0.3)
    assert over_levels(run, 0, 0, [1, 2, 3]).mean == pytest.approx((1.6 / 3 + 0.7) / 2)
    assert over_levels(run, 0, 0, [2]).mean == pytest.approx(0.4)


def test_sensitivity_is_the_fall_in_spreads(tmp_path: Path) -> None:
    values = {"a": {0.25: [0.9, 0.8], 1: [0.5, 0.6]}, "b": {0.25: [0.9, 0.9], 1: [0.9, 0.9]}}
    spread = np.std([0.9, 0.8, 0.5, 0.6, 0.9, 0.9, 0.9, 0.9], ddof=1)
    run = exact(tmp_path / "a", values, kind="edits")
    assert sensitivity(run, (0,), 0).mean == pytest.approx(0.3 / spread)
    assert sensitivity(run, (1,), 0).mean == 0
    assert sensitivity(run, (0, 1), 0).mean == pytest.approx(0.15 / spread)
    assert sensitivity(run, (0, 1), 0).n == 4
    turned = exact(tmp_path / "b", values, metric="lpips", kind="edits")
    assert sensitivity(turned, (0,), 0).mean == pytest.approx(-0.3 / spread)


def test_sensitivity_of_one_level_or_of_a_constant_is_unknown(tmp_path: Path) -> None:
    for name, values in (("a", {"a": {1.0: [0.2, 0.3]}}), ("b", {"a": {1.0: [0.2], 2.0: [0.2]}})):
        assert sensitivity(exact(tmp_path / name, values, kind="edits"), (0,), 0).mean is None


def test_statistics_are_those_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read, not computed again."""
    made = fake.edits(tmp_path / "a")

    def fail(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(statistics, "bootstrap_mean", fail)
    run = read_lab_run(made)
    assert curves(run)[0][0].points[0].estimate.low is not None
    assert over_levels(run, 0, 0, list(run.levels(0))).low is not None
    assert sensitivity(run, (0,), 0).low is not None
