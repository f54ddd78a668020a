"""Tiny networks and made-up photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from semetric.lab.deepjscc.config import DeepJsccConfig
from semetric.lab.deepjscc.network import DeepJscc
from semetric.lab.deepjscc.start import begin_linear, second_moment

TINY = DeepJsccConfig(symbols=4, width=16, blocks=1)


def scenery(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Smooth colours, a few edges and a little texture: (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 32.0
    image = np.empty((height, width, 3))
    for c in range(3):
        a, b, phase = rng.uniform(-1.5, 1.5, 3)
        image[..., c] = 120 + 80 * np.sin(a * y + b * x + 3 * phase)
    for _ in range(4):
        top, left = int(rng.integers(height)), int(rng.integers(width))
        image[top : top + height // 3, left : left + width // 3] = rng.uniform(0, 255, 3)
    image += rng.normal(0, 4, (height, width, 1))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


@pytest.fixture
def tiny() -> DeepJscc:
    """A network, always the same: the linear code of made-up photos, and convolutions of random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = DeepJscc(TINY).eval()
        begin_linear(network, second_moment([scenery(96, 96, seed) for seed in range(6)], seed=0), seed=0)
        for parameter in (network.encoder.head.weight, network.decoder.head.weight):
            torch.nn.init.normal_(parameter, std=0.01)
        torch.nn.init.normal_(network.encoder.allocate.expand.weight, std=0.1)
        return network


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images of 48 × 64 px and larger."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(6):
        Image.fromarray(scenery(48 + 8 * i, 64, i)).save(folder / f"{i}.png")
    return folder
