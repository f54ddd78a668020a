"""The noisy channel between the two halves of the network: power, constellation, fading and noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from semetric.lab.channels.base import ChannelModel
from semetric.lab.deepjscc.config import Constellation

__all__ = ["add_noise", "constrain", "draw_gains", "nearest_16qam", "unit_power"]

STEP_16QAM = 2.0 / math.sqrt(10.0)  # between neighbouring points along an axis where all are equally likely


def unit_power(symbols: Tensor) -> Tensor:
    """Scales each image's symbols to a mean power of 1 per complex symbol (Bourtsoulatze et al., eq. 1 with P = 1).

    Args:
        symbols: (B, 2·S, h, w) real numbers: the S in-phase parts, then the S quadrature parts.
    """
    power = 2.0 * symbols.square().mean(dim=(1, 2, 3), keepdim=True)
    return symbols * power.clamp_min(torch.finfo(symbols.dtype).tiny).rsqrt()


def nearest_16qam(symbols: Tensor) -> Tensor:
    """The nearest of 16QAM's points; the gradient passes as if nothing had happened (straight-through).

    Args:
        symbols: any shape; each number is one axis of a symbol, so its nearest point is one of four levels.

    Returns:
        The same shape, in {±1, ±3} / √10.
    """
    level = (torch.floor(symbols.detach() / STEP_16QAM) + 0.5).clamp(-1.5, 1.5) * STEP_16QAM
    return symbols + (level - symbols).detach()


def constrain(symbols: Tensor, constellation: Constellation) -> Tensor:
    """What is sent: symbols with a mean power of 1 an image, on the constellation where there is one.

    The sixteen points are not equally likely, so that their mean power is not 1 by itself: the constellation is
    scaled, by one factor an image, until it is.
    """
    sent = unit_power(symbols)
    return unit_power(nearest_16qam(sent)) if constellation == "16qam" else sent


def add_noise(symbols: Tensor, snr_db: Tensor, noise: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
    """The channel: y = h·z + noise, divided by h, which the receiver knows.

    Args:
        symbols: (B, 2·S, h, w) with unit power.
        snr_db: (B,) mean Es/N0 per complex symbol.
        noise: (B, 2·S, h, w) standard normal.
        gain: (B,) magnitude of h, one an image (flat block fading). The phase of h drops out, since the noise is
            circular.

    Returns:
        What the decoder gets, and (B,) the SNR in dB that it has after the division.
    """
    seen_db = snr_db + 20.0 * torch.log10(gain.clamp_min(1e-3))
    deviation = torch.pow(10.0, -seen_db / 20.0) / math.sqrt(2.0)  # along each of the two axes
    return symbols + deviation[:, None, None, None] * noise, seen_db


def draw_gains(channel: ChannelModel, count: int, generator: torch.Generator | None = None) -> Tensor:
    """(count,) |h| of a channel, one an image.

    Args:
        channel: whose gains.
        count: of images.
        generator: on the CPU; None for torch's own.
    """
    normals = torch.randn(count, channel.normals(1), 2, generator=generator).numpy().view("complex64")[..., 0]
    return torch.from_numpy(channel.gains(normals * 0.5**0.5, 1)[:, 0]).abs()
