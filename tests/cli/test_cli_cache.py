from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from semetric.cache import default_store, key
from semetric.cli import main


@pytest.fixture(autouse=True)
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path))
    for n in range(3):
        default_store().put(key(n=n), {"a": np.zeros(10)})


def test_info_counts_entries(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "info", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    size = sum(file.stat().st_size for file in tmp_path.rglob("*.arrays"))
    assert document == {
        "folder": str(tmp_path / "products"),
        "entries": 3,
        "size_bytes": size,
        "max_bytes": 4 << 30,
    }
    assert main(["cache", "info"]) == 0
    assert f"{tmp_path / 'products'}: 3 entries" in capsys.readouterr().out


def test_clear_removes_results_and_keeps_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "weights").mkdir()
    weights = tmp_path / "weights" / "mobile_sam.pt"
    weights.write_bytes(b"x")
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out.startswith("Removed 3 files")
    assert default_store().info().entries == 0
    assert weights.exists()
    assert main(["cache", "clear", "--weights", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == 1
    assert not weights.exists()


def test_a_wrong_bound_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SEMETRIC_CACHE_MAX_BYTES", "lots")
    assert main(["cache", "info"]) == 2
    assert "SEMETRIC_CACHE_MAX_BYTES" in capsys.readouterr().err
