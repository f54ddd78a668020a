"""The profiles standard and paper from folders of the user's own, on the command line: tiny stand-ins, no network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semetric.cli import main


@pytest.fixture
def pair(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(0)
    files = []
    for name, size in (("a.png", (40, 60)), ("b.png", (50, 45))):
        blocks = np.kron(rng.integers(0, 256, (size[0] // 5, size[1] // 5, 3)), np.ones((5, 5, 1)))
        Image.fromarray(blocks.astype(np.uint8)).save(tmp_path / name)
        files.append(str(tmp_path / name))
    return files


@pytest.fixture
def own(tmp_path: Path, tiny_clip: Path, tiny_vit: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights with what the two profiles name."""
    place = tmp_path / "weights"
    for folder, name in ((tiny_clip, "clip_vit_b_32"), (tiny_clip, "open_clip_vit_h_14"), (tiny_vit, "vit_b_16")):
        shutil.copytree(folder, place / name)
    monkeypatch.setenv("SEMETRIC_WEIGHTS_DIR", str(place))
    return place


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEMETRIC_WEIGHTS_DIR", raising=False)


def scored(argv: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["score", *argv, "--device", "cpu", "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    scores: dict[str, Any] = json.loads(said.out)["scores"]
    return scores


@pytest.mark.parametrize(("profile", "clip"), [("standard", "clip_vit_b_32"), ("paper", "open_clip_vit_h_14")])
@pytest.mark.usefixtures("own")
def test_a_profile_from_a_folder_of_weights(
    profile: str, clip: str, pair: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [*pair, "--profile", profile, "--metric", "clipscore", "--metric", "vitscore"]
    scores = scored(argv, capsys)
    assert scores["clipscore"]["weights"]["clip"].startswith(f"{clip}@")
    assert scores["vitscore"]["weights"]["vit"].startswith("vit_b_16@")
    assert -1 <= scores["clipscore"]["value"] < 0.9999
    assert -1 <= scores["vitscore"]["value"] < 0.9999
    assert scored(argv, capsys) == scores  # from the cache
    assert scored([*argv, "--no-cache"], capsys) == scores
    assert main(["score", *argv]) == 0
    assert "clipscore" in capsys.readouterr().out


def test_paths_replace_names(
    pair: list[str], tiny_clip: Path, tiny_dinov2: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [*pair, "--clip", str(tiny_clip), "--vit", str(tiny_dinov2), "--metric", "clipscore", "--metric", "vitscore"]
    scores = scored(argv, capsys)
    assert scores["clipscore"]["weights"]["clip"].startswith("tiny_clip@")
    assert scores["vitscore"]["details"]["backbone"] == "tiny_dinov2"


def test_what_is_missing_names_the_command(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", *pair, "--profile", "standard", "--metric", "clipscore"]) == 4
    assert "semetric models fetch clip_vit_b_32" in capsys.readouterr().err
    assert main(["score", *pair, "--metric", "clipscore"]) == 2
    assert "semetric models fetch clip_vit_b_32" in capsys.readouterr().err
    assert main(["score", *pair, "--clip", "nowhere", "--metric", "clipscore"]) == 2
