"""Pictures do not depend on the user's matplotlib."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image

import semetric
from semetric.report import save_plot
from semetric.report.defaults import defaults

STYLES: dict[str, Mapping[str, Any]] = {
    "lines": {"savefig.bbox": "tight", "axes.linewidth": 4, "lines.antialiased": False, "savefig.transparent": True},
    "text": {"text.usetex": True, "font.family": ["serif"], "axes.unicode_minus": False},
    "size": {"savefig.dpi": 40, "figure.dpi": 30, "figure.facecolor": "black", "path.sketch": (2, 100, 2)},
}


def drawn(folder: Path, suffix: str) -> bytes:
    a = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    scores = semetric.score(a, 255 - a, metrics=["psnr", "mse"], store=None)
    save_plot(scores, semetric.read_image(a), semetric.read_image(255 - a), folder / f"p{suffix}")
    return (folder / f"p{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".svg"])
@pytest.mark.parametrize("style", STYLES)
def test_the_programs_own_settings_have_no_part_and_stay(tmp_path: Path, suffix: str, style: str) -> None:
    plain = drawn(tmp_path, suffix)
    with matplotlib.rc_context(dict(STYLES[style])):
        before = dict(matplotlib.rcParams)
        assert drawn(tmp_path, suffix) == plain
        assert dict(matplotlib.rcParams) == before


def test_threads_draw_one_after_another() -> None:
    def draw(width: float) -> bool:
        with defaults({"axes.linewidth": width}):
            return all(matplotlib.rcParams["axes.linewidth"] == width for _ in range(1000))

    before = matplotlib.rcParams["axes.linewidth"]
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(draw, [1.0, 2.0, 3.0, 4.0] * 3))
    assert matplotlib.rcParams["axes.linewidth"] == before


COMMAND = [sys.executable, "-m", "semetric", "score", "a.png", "b.png", "--metric", "psnr", "--save-plot", "p.png"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images and their plot."""
    place = tmp_path_factory.mktemp("plots")
    a = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(a).save(place / "a.png")
    Image.fromarray(255 - a).save(place / "b.png")
    subprocess.run(COMMAND, cwd=place, check=True, capture_output=True)
    (place / "p.png").rename(place / "plain.png")
    return place


def test_a_command_draws_the_same_beside_a_notebooks_backend_and_a_settings_file(folder: Path) -> None:
    (folder / "matplotlibrc").write_text("savefig.bbox: tight\ntext.usetex: True\nimage.lut: 4\nbackend: nonsense\n")
    env = {**os.environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    subprocess.run(COMMAND, cwd=folder, check=True, capture_output=True, env=env)
    assert (folder / "p.png").read_bytes() == (folder / "plain.png").read_bytes()


def test_a_settings_file_that_is_no_text_is_named(folder: Path) -> None:
    (folder / "matplotlibrc").write_bytes(b"\xff\xfe\x00")
    done = subprocess.run(COMMAND, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 2
    assert "matplotlibrc" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_callers_backend_stays_his() -> None:
    lines = "import os, semetric.report, matplotlib; print(matplotlib.get_backend(), os.environ['MPLBACKEND'])"
    env = {**os.environ, "MPLBACKEND": "svg"}
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.split() == ["svg", "svg"]
