"""The examples run as their first lines say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_optimise_climbs_its_metric_and_saves_frames(tmp_path: Path) -> None:
    ramp = np.linspace(40, 210, 48).astype(np.uint8)
    Image.fromarray(np.stack([ramp[:, None] + 0 * ramp[None]] * 3, axis=2).astype(np.uint8)).save(tmp_path / "a.png")
    command = [sys.executable, EXAMPLES / "optimise.py", tmp_path / "a.png", "--metric", "ssim"]
    command += ["--side", "32", "--steps", "25", "--out", tmp_path / "frames"]
    said = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True, timeout=120)
    assert said.stderr == ""
    values = [float(v) for v in re.findall(r"ssim (-?[\d.]+)", said.stdout)]
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.05
    assert [p.name for p in sorted((tmp_path / "frames").iterdir())] == [
        "00000.png",
        "00010.png",
        "00020.png",
        "00025.png",
    ]
