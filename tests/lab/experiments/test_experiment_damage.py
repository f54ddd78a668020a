"""Folders of experiments that a killed process left, or whose pictures were removed."""

from __future__ import annotations

from pathlib import Path

from fake_systems import Fake, make_images

from semetric.lab.experiments import RunSettings, run_experiment
from semetric.results import Run


def run(root: Path) -> Run:
    settings = RunSettings(metrics=("psnr",), examples=1, device="cpu")
    return run_experiment(Fake(levels=(1.0, 2.0)), [root / "images"], root / "out", settings, cached=False)


def test_what_a_killed_process_had_begun_to_write_is_removed(tmp_path: Path) -> None:
    make_images(tmp_path / "images", 1)
    left = [tmp_path / "out" / name for name in (".run.json.1-2.tmp", "examples/0/noise/.1.png.1-2.tmp")]
    run(tmp_path)
    for file in left:
        file.write_text("{")
    (tmp_path / "out" / "scores.csv").unlink()
    run(tmp_path)
    assert not [file for file in left if file.exists()]
