from __future__ import annotations

import json

import pytest

from semetric.cli import main
from semetric.metrics.registry import METRICS


def test_every_metric_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in METRICS)
    assert main(["metrics", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document) == list(METRICS)
    assert document["psnr"]["higher_is_better"] is True
    assert document["psnr"]["range"] == [0.0, None]
