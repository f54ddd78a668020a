"""The errors of a run's rows, as they stand in its parts."""

from __future__ import annotations

import pyarrow as pa
import pytest

from semetric.errors import UsageError
from semetric.runs.pairing import Pairing
from semetric.runs.summary import failed_rows, summarise

RECORD = {
    "version": "0",
    "profile": {"name": "lite"},
    "source": {},
    "metrics": {"psnr": {"higher_is_better": True, "range": [0, None], "weights": {}}},
}
DAMAGED = ["[" * 100_000, "{", "[]", "5", '{"psnr": 5}', '{"psnr": ["x"]}']


def table(error: str) -> pa.Table:
    columns = {"reference": ["a.png"], "image": ["a.png"], "psnr": pa.array([None], pa.float64()), "error": [error]}
    return pa.table(columns)


@pytest.mark.parametrize("error", DAMAGED)
def test_damaged_errors_are_named(error: str) -> None:
    with pytest.raises(UsageError, match="Expected the errors of a row as a JSON object"):
        failed_rows(table(error), 1, asked=False)
    with pytest.raises(UsageError, match="choose another --out"):
        summarise(table(error), RECORD, Pairing(pairs=(), source={}), asked=True, left_out={})


def test_errors_of_another_metric_are_damage() -> None:
    with pytest.raises(UsageError, match="a text a metric; found"):
        summarise(table('{"ssim": "why"}'), RECORD, Pairing(pairs=(), source={}), asked=True, left_out={})
    found = summarise(table('{"psnr": "why"}'), RECORD, Pairing(pairs=(), source={}), asked=True, left_out={})
    assert found["metrics"]["psnr"]["because"] == "why"
