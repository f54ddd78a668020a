"""Pairs of a source and its translation: the translation is sent, and scored against the source."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semetric.errors import UsageError
from semetric.lab.experiments import Deformation, RunSettings, Transform, pair_images, run_experiment
from semetric.runs.pairing import Pair, Pairing, pair_folders

SETTINGS = RunSettings(metrics=("mse",), device="cpu", examples=1)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two grey sources; translations ten levels brighter, the second of twice the size."""
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    for i, side in enumerate((24, 48)):
        for folder, grey, size in (("sources", 100 + i, 24), ("translated", 110 + i, side)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.new("RGB", (size, size), (grey,) * 3).save(tmp_path / folder / f"{i}.png")
    return tmp_path


def test_the_translation_is_disturbed_and_scored_against_its_source(place: Path) -> None:
    images = pair_images(pair_folders(place / "sources", place / "translated"))
    experiment = Deformation(deformations=(0.05,), noises=(20.0, 40.0, 60.0))
    done = run_experiment(experiment, images, place / "out", SETTINGS, cached=False)
    values = {(row["image"], row["system"], row["level"]): row["value"] for row in done.rows}
    assert {level for _, system, level in values if system == "noise"} == {0.0, 20.0, 40.0, 60.0}
    assert values["0.png", "noise", 0.0] == values["1.png", "deformation", 0.0] == 100.0  # the translation itself
    # deformed grey stays grey, 10 from the source; noise of 20 adds its variance, hardly clipped this far from the ends
    assert values["0.png", "deformation", 0.05] == pytest.approx(100.0, abs=1.0)  # splines round by a level at most
    assert values["0.png", "noise", 20.0] == pytest.approx(500.0, rel=0.1)  # 1728 draws: s.d. 3.4% of the variance
    record = json.loads((place / "out" / "run.json").read_text())
    assert record["images"][0]["sent_digest"] != record["images"][0]["digest"]
    assert "resized from 48 × 48 to 24 × 24, its reference's size" in " ".join(record["images"][1]["notes"])
    kept = [np.asarray(Image.open(place / "out" / "examples" / "0" / f"{name}.png")) for name in ("original", "sent")]
    assert [int(one[0, 0, 0]) for one in kept] == [100, 110]


def test_another_translation_is_another_run(place: Path) -> None:
    experiment = Transform(transformations=("blur",), strengths={"blur": [1.0]})
    images = pair_images(pair_folders(place / "sources", place / "translated"))
    run_experiment(experiment, images, place / "out", SETTINGS, cached=False)
    Image.new("RGB", (24, 24), (7, 7, 7)).save(place / "translated" / "0.png")
    with pytest.raises(UsageError, match="they have changed"):
        run_experiment(experiment, images, place / "out", SETTINGS, cached=False)


def test_a_broken_translation_costs_its_own_rows(place: Path) -> None:
    images = pair_images(pair_folders(place / "sources", place / "translated"))
    (place / "translated" / "0.png").write_bytes(b"broken")
    done = run_experiment(Deformation(noises=(5.0,), deformations=()), images, place / "out", SETTINGS, cached=False)
    assert {row["image"] for row in done.rows if row["error"]} == {"0.png"}


@pytest.mark.parametrize(
    ("pairs", "names"),
    [
        ([("a", "b"), ("c", "d")], ["a", "c"]),
        ([("a", "b"), ("a", "d")], ["b", "d"]),
        ([("a", "b"), ("a", "d"), ("c", "b")], ["a – b", "a – d", "c – b"]),
    ],
)
def test_pairs_have_names_of_their_own(pairs: list[tuple[str, str]], names: list[str]) -> None:
    made = tuple(Pair(reference=one, image=two, reference_path=one, image_path=two) for one, two in pairs)
    assert [image.name for image in pair_images(Pairing(pairs=made, source={}))] == names


def test_pairs_and_paths_do_not_mix(place: Path) -> None:
    images = pair_images(pair_folders(place / "sources", place / "translated"))
    with pytest.raises(UsageError, match="either paths or pairs of images"):
        run_experiment(Deformation(), [*images, place / "sources"], place / "out", SETTINGS, cached=False)
