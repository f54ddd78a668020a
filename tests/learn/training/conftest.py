"""Small trunks and small triplets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fake_dreamsim import random_state, tiny_config
from semetric.learn.training.trunks import TrunkSource
from semetric.learn.triplets import Choice, Triplet
from semetric.models.dreamsim.variants import VARIANTS, Trunk
from semetric.models.vit.network import ViT, vit_from_state

MakeSource = Callable[..., TrunkSource]


@pytest.fixture
def source() -> MakeSource:
    """A published trunk of two narrow blocks with random weights, of any variant's dialect."""

    def make(name: str = "clip_vitb32", seed: int = 0) -> TrunkSource:
        found: Trunk = VARIANTS[name].trunks[0]
        trunk = replace(found, config=tiny_config(found.config), files=(f"{name}_pretrain.pth",), layout="plain")

        def load() -> ViT:
            state = random_state(trunk.config, torch.Generator().manual_seed(seed))
            # larger than a trained network's, so that unlike images are far apart
            state = {key: value * (10 if value.ndim > 1 else 1) for key, value in state.items()}
            return vit_from_state(trunk.config, state, "a test")

        return TrunkSource(trunk=trunk, file=None, load=load)

    return make


@pytest.fixture
def choices(tmp_path: Path) -> tuple[Choice, ...]:
    """8 references with 3 triplets each: one candidate is brighter by a little, the other by much; 0.5 is a draw."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    found = []
    for i in range(8):
        coarse = rng.integers(40, 160, (4, 4, 3))
        base = np.kron(coarse, np.ones((12, 12, 1)))
        paths = []
        for level in range(4):
            path = folder / f"{i}_{level}.png"
            Image.fromarray((base + 25 * level).astype(np.uint8)).save(path)
            paths.append(str(path))
        for a, b in ((1, 2), (3, 1), (2, 3)):
            triplet = Triplet(key=f"{i}{a}{b}", reference=paths[0], a=paths[a], b=paths[b], group=f"{a}{b}")
            found.append(Choice(triplet=triplet, share_b=float(b < a)))
    return tuple(found)
