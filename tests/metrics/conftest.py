"""Photos and distorted copies whose scores are known: those of tests/data/classical.json."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from skimage import data

from semetric.models.lpips_trunks import LpipsNet, Trunk

_CLASSICAL = Path(__file__).parent.parent / "data" / "classical.json"
_WIDTH = 320  # px


@cache
def _images() -> dict[str, np.ndarray]:
    """File name → (H, W, 3) uint8; the noise of the three photos comes from one generator, in this order."""
    rng = np.random.default_rng(5)
    images = {}
    for name in ("astronaut", "coffee", "chelsea"):
        photo = Image.fromarray(getattr(data, name)())
        photo = photo.resize((_WIDTH, round(_WIDTH * photo.height / photo.width)), Image.Resampling.LANCZOS)
        pixels = np.asarray(photo)
        file = io.BytesIO()
        photo.save(file, "JPEG", quality=10)
        images[f"{name}.png"] = pixels
        images[f"{name}_jpeg10.png"] = np.asarray(Image.open(file))
        images[f"{name}_blur3.png"] = np.asarray(photo.filter(ImageFilter.GaussianBlur(3)))
        noisy = np.clip(pixels + rng.normal(0, 25, pixels.shape), 0, 255)
        images[f"{name}_noise25.png"] = noisy.astype(np.uint8)  # cut off, not rounded
    return images


@pytest.fixture(scope="session")
def golden_images() -> dict[str, np.ndarray]:
    """File name → (H, W, 3) uint8 of the photos and their copies."""
    return _images()


@pytest.fixture(scope="session")
def classical() -> dict[str, Any]:
    """The known scores."""
    loaded: dict[str, Any] = json.loads(_CLASSICAL.read_text())
    return loaded


@pytest.fixture(scope="session")
def random_lpips() -> Callable[[Trunk], LpipsNet]:
    """Trunk → LPIPS network with weights that depend on nothing but numpy's generator."""
    return cache(_random_lpips)


def _random_lpips(trunk: Trunk) -> LpipsNet:
    """He-normal kernels, small biases, non-negative heads; parameters in the order of their names."""
    rng = np.random.default_rng(0)
    net = LpipsNet(trunk)
    for name, parameter in sorted(net.named_parameters()):
        values = rng.standard_normal(tuple(parameter.shape))
        if name.startswith("heads"):
            values = np.abs(values) / parameter.shape[0]
        elif name.endswith("bias"):
            values = values * 0.1
        else:
            values = values * (2 / np.prod(parameter.shape[1:])) ** 0.5
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(values).float())
    return net.eval().requires_grad_(False)
