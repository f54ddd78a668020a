from __future__ import annotations

from pathlib import Path

import pytest
from fake_archives import CopyingClient, npm_pair

from semetric.weights.records import CHECKPOINTS


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of its own; returns its folder of weights."""
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEMETRIC_WEIGHTS_DIR", raising=False)
    return tmp_path / "cache" / "weights"


@pytest.fixture
def client(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CopyingClient:
    """Declares the checkpoints "first" and "second", and returns the client that brings them."""
    archive, pair = npm_pair(tmp_path)
    for name, one in pair.items():
        monkeypatch.setitem(CHECKPOINTS, name, one)
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")
    return CopyingClient(archive, tmp_path / "downloads")
