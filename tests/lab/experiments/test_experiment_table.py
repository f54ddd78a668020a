from __future__ import annotations

import math

import numpy as np
import pytest

from semetric.errors import UsageError
from semetric.lab.experiments.table import LongTable, Outcome, Unit
from semetric.lab.systems import Received

TABLE = LongTable(
    units=tuple(Unit(image=name, system="s", level=level) for name in "ab" for level in (1.0, 2.0)),
    metrics=("psnr", "ssim"),
)


def outcome(index: int) -> Outcome:
    received = Received(pixels=np.zeros((4, 4, 3), np.uint8), size_bytes=10, failed=index == 3, details={"q": index})
    return Outcome.of(index, received, {"psnr": math.inf, "ssim": None}, {"ssim": "too small"})


def test_a_unit_is_a_line_a_metric() -> None:
    merged = TABLE.merge([TABLE.table([outcome(3), outcome(0)]), TABLE.table([outcome(2), outcome(1)])])
    rows = merged.to_pylist()
    assert [(r["image"], r["level"], r["metric"]) for r in rows[:3]] == [
        ("a", 1.0, "psnr"),
        ("a", 1.0, "ssim"),
        ("a", 2.0, "psnr"),
    ]
    assert [r["value"] for r in rows[:2]] == [math.inf, None]
    assert [r["error"] for r in rows[:2]] == [None, "too small"]
    assert (rows[0]["rate_bpp"], rows[0]["size_bytes"], rows[0]["uses_per_pixel"]) == (5.0, 10, None)
    assert [r["failed"] for r in rows] == [False] * 6 + [True] * 2
    assert rows[-1]["details"] == '{"q": 3}'
    assert "index" not in merged.column_names


def test_a_unit_that_two_parts_hold_is_taken_once() -> None:
    parts = [TABLE.table([outcome(i)]) for i in (0, 1, 1, 2, 3, 0)]
    assert TABLE.merge(parts).num_rows == 8


def test_a_missing_unit_is_an_error() -> None:
    with pytest.raises(UsageError, match="Expected 4 finished units; found 3"):
        TABLE.merge([TABLE.table([outcome(i) for i in (0, 1, 3)])])


def test_nothing_arrived() -> None:
    row = TABLE.table([Outcome.lost(0, ("psnr", "ssim"), "broken")]).to_pylist()[0]
    assert (row["value"], row["error"], row["failed"], row["rate_bpp"]) == (None, "broken", False, None)
