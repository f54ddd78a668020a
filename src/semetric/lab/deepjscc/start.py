"""Where training starts: the linear path as the best linear code for the photos, the others silent."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from semetric.lab.deepjscc.config import STRIDE
from semetric.lab.deepjscc.network import DeepJscc
from semetric.lab.deepjscc.patches import Pixels

__all__ = ["begin_linear", "second_moment"]

PILOT_SHARE = 0.03  # of the power
BLOCKS = 500  # of a photo


def second_moment(photos: Sequence[Pixels], seed: int) -> torch.Tensor:
    """E[x xᵀ] over blocks of 8 × 8 pixels, in [-1, 1].

    Args:
        photos: (H, W, 3) uint8 each, of at least 8 × 8 pixels.
        seed: of the choice of blocks.

    Returns:
        (192, 192) float64; a block's numbers in the order channel, row, column.
    """
    total, count = np.zeros((3 * STRIDE**2, 3 * STRIDE**2)), 0
    for i, pixels in enumerate(photos):
        h, w = (n // STRIDE for n in pixels.shape[:2])
        cut = pixels[: h * STRIDE, : w * STRIDE].reshape(h, STRIDE, w, STRIDE, 3)
        blocks = cut.transpose(0, 2, 4, 1, 3).reshape(h * w, -1)
        chosen = np.random.default_rng([seed, 3, i]).permutation(h * w)[:BLOCKS]
        values = blocks[chosen] / 127.5 - 1.0
        total += values.T @ values
        count += len(chosen)
    return torch.from_numpy(total / count)


def begin_linear(network: DeepJscc, moment: torch.Tensor, seed: int) -> None:
    """Sets the linear path to the best linear code, and the convolutions beside it to nothing; in place.

    The block's largest principal components are sent, each with a power that goes as the square root of its own
    (Lee & Petersen, IEEE Trans. Commun. 1976; SoftCast, Jakubczak & Katabi 2011), mixed by a random rotation so
    that all symbols are alike. The pilot takes 3 % of the power, on the weaker half of the components.

    Args:
        network: fresh.
        moment: (192, 192) as `second_moment` makes it.
        seed: of the rotation.
    """
    parts = 2 * network.config.symbols
    components = min(parts, len(moment))
    values, vectors = torch.linalg.eigh(moment)
    values = values.flip(0)[:components].clamp_min(1e-6 * float(values[-1]))
    basis = vectors.flip(1).T[:components]  # (components, 192)
    power = values.sqrt()
    power = power * (1.0 - PILOT_SHARE) * parts / 2.0 / power.sum()  # of each component; 1/2 a real number
    gain = (power / values).sqrt()
    rotation = torch.linalg.qr(
        torch.randn(parts, parts, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    ).Q
    pilot = torch.zeros(parts)
    pilot[parts // 2 :] = math.sqrt(PILOT_SHARE * parts / 2.0 / (parts - parts // 2))
    encoder, decoder = network.encoder, network.decoder
    with torch.no_grad():
        for layer in (encoder.linear, decoder.linear, encoder.head, decoder.head, encoder.allocate.expand):
            for parameter in layer.parameters():
                parameter.zero_()
        encoder.linear.weight[:components] = (basis * gain[:, None]).reshape(components, 3, STRIDE, STRIDE).float()
        decoder.linear.weight[:components] = (basis / gain[:, None]).reshape(components, 3, STRIDE, STRIDE).float()
        encoder.offset.copy_(pilot)
        decoder.pilot.copy_(pilot)
        decoder.log_power[:components] = (2.0 * power).log().float()
        encoder.mix.weight.copy_(rotation[:, :, None, None])
        decoder.unmix.weight.copy_(rotation.T[:, :, None, None])
