from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A folder with `references` and `images`: seven pairs of 24 × 20 px with noise, in two subfolders."""
    rng = np.random.default_rng(0)
    for i in range(7):
        pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        noisy = np.clip(pixels + rng.normal(0, 20, pixels.shape), 0, 255).astype(np.uint8)
        for folder, array in (("references", pixels), ("images", noisy)):
            file = tmp_path / folder / "ab"[i % 2] / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(file)
    return tmp_path
