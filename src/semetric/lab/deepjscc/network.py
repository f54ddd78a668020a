"""DeepJSCC (Bourtsoulatze, Kurka & Gündüz, IEEE TCCN 2019): an image straight to channel symbols, and back.

The encoder's output is the sequence of channel symbols and the decoder's input is what the noise left of them;
both are trained together through the channel. Power, channel and bandwidth are the paper's. The layers differ, so
that half an hour on one core is enough:

- Beside the paper's path of convolutions runs a linear one: 8 × 8 blocks to symbols and back. Training starts it as
  the best linear code (`start.begin_linear`), which the convolutions then correct; they start at zero.
- The paper has five convolutions with PReLU on each side. Here residual blocks of two stand between the strided
  ones. The image enters them by space-to-depth and leaves by depth-to-space.
- Every block's output is scaled, channel by channel, by a small network that sees the SNR and the mean of each
  channel: the attention feature module of ADJSCC (Xu, Ai, Chen, Yang & Sun, IEEE TCSVT 2022, III-B). One set of
  weights then serves a range of SNRs.
- The power constraint scales each image by a factor that the receiver does not know. The encoder adds a constant
  to some components, and the decoder finds the factor from their mean: a pilot without channel uses of its own.
- The decoder shrinks each component as Wiener's filter does, by a learnt signal power and the SNR.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semetric.lab.channels.base import ChannelModel
from semetric.lab.channels.gaussian import Gaussian
from semetric.lab.channels.registry import channel_named
from semetric.lab.deepjscc.channel import add_noise, constrain, draw_gains
from semetric.lab.deepjscc.config import STRIDE, DeepJsccConfig

__all__ = ["DeepJscc"]

NO_FADING = Gaussian()
SHUFFLE = 4  # of the first and the last layer
PRIOR = 10.0  # the weight of a factor of 1 against what the pilot says
NOISE_16QAM = 0.12  # power of what rounding Gaussian symbols to the sixteen points adds, measured


class DeepJscc(nn.Module):
    """Both halves of the network.

    Args:
        config: its shape.
    """

    def __init__(self, config: DeepJsccConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _Encoder(config)
        self.decoder = _Decoder(config)

    def encode(self, images: Tensor, snr_db: Tensor) -> Tensor:
        """Images to channel symbols.

        Args:
            images: (B, 3, H, W) in [0, 1], of any size; padded at the right and the bottom to whole strides.
            snr_db: (B,) as the sender believes it to be.

        Returns:
            (B, 2·S, ⌈H/8⌉, ⌈W/8⌉): S in-phase parts, then S quadrature parts, of unit mean power an image.
        """
        symbols = cast("Tensor", self.encoder(_padded(images) * 2.0 - 1.0, self._within_training(snr_db)))
        return constrain(symbols.float(), self.config.constellation)  # power in float32 under autocast too

    def decode(self, received: Tensor, snr_db: Tensor, size: tuple[int, int]) -> Tensor:
        """What was received to images.

        Args:
            received: (B, 2·S, h, w).
            snr_db: (B,) as the receiver measures it.
            size: (H, W) of the images.

        Returns:
            (B, 3, H, W), about [0, 1] and not clamped.
        """
        images = cast("Tensor", self.decoder(received, snr_db, self._within_training(snr_db))).float() * 0.5 + 0.5
        return images[:, :, : size[0], : size[1]]

    def forward(self, images: Tensor, snr_db: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Through the encoder, the channel of the config and the decoder.

        Args:
            images: (B, 3, H, W) in [0, 1].
            snr_db: (B,) mean Es/N0 per complex symbol.
            generator: as for `transmit`.
        """
        return self.transmit(images, snr_db, generator, channel=channel_named(self.config.fading))[0]

    def transmit(
        self,
        images: Tensor,
        snr_db: Tensor,
        generator: torch.Generator | None = None,
        *,
        channel: ChannelModel = NO_FADING,
    ) -> tuple[Tensor, Tensor]:
        """Through the encoder, a channel and the decoder.

        Args:
            images: (B, 3, H, W) in [0, 1].
            snr_db: (B,) mean Es/N0 per complex symbol: all that the sender knows of the channel.
            generator: of noise and fading, on the CPU, so that every device sees the same; None for torch's own.
            channel: gives one gain an image, which the receiver knows.

        Returns:
            (B, 3, H, W), not clamped, and (B,) the SNR in dB at the receiver.
        """
        sent = self.encode(images, snr_db)
        noise = torch.randn(sent.shape, generator=generator).to(sent)
        gain = draw_gains(channel, sent.shape[0], generator).to(sent)
        received, seen_db = add_noise(sent, snr_db, noise, gain)
        return self.decode(received, seen_db, (images.shape[2], images.shape[3])), seen_db

    def _within_training(self, snr_db: Tensor) -> Tensor:
        """The SNR as the layers see it: within the range of the training."""
        return snr_db.clamp(self.config.snr_min_db, self.config.snr_max_db)


class _Encoder(nn.Module):
    def __init__(self, config: DeepJsccConfig) -> None:
        super().__init__()
        half, parts = config.width // 2, 2 * config.symbols
        self.linear = nn.Conv2d(3, parts, STRIDE, stride=STRIDE, bias=False)
        self.allocate = _Gains(parts)
        self.stem = nn.Conv2d(3 * SHUFFLE**2, half, 3, padding=1)
        self.fine = _Block(half)
        self.down = nn.Conv2d(half, config.width, 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(_Block(config.width) for _ in range(config.blocks))
        self.head = nn.Conv2d(config.width, parts, 3, padding=1, bias=False)
        self.offset = nn.Parameter(torch.zeros(parts))  # the pilot
        self.mix = nn.Conv2d(parts, parts, 1, bias=False)

    def forward(self, images: Tensor, snr_db: Tensor) -> Tensor:
        straight = self.linear(images) * self.allocate(snr_db)  # (B, 2·S, H/8, W/8)
        x = self.stem(F.pixel_unshuffle(images, SHUFFLE))  # (B, width/2, H/4, W/4)
        x = self.down(self.fine(x, snr_db))  # (B, width, H/8, W/8)
        for block in self.blocks:
            x = block(x, snr_db)
        return cast("Tensor", self.mix(straight + self.head(x) + self.offset[:, None, None]))


class _Decoder(nn.Module):
    def __init__(self, config: DeepJsccConfig) -> None:
        super().__init__()
        half, parts = config.width // 2, 2 * config.symbols
        self.own_noise = NOISE_16QAM if config.constellation == "16qam" else 0.0
        self.unmix = nn.Conv2d(parts, parts, 1, bias=False)
        self.pilot = nn.Parameter(torch.ones(parts))
        self.log_power = nn.Parameter(torch.zeros(parts))
        self.linear = nn.ConvTranspose2d(parts, 3, STRIDE, stride=STRIDE)
        self.stem = nn.Conv2d(parts, config.width, 3, padding=1)
        self.blocks = nn.ModuleList(_Block(config.width) for _ in range(config.blocks))
        self.up = nn.Conv2d(config.width, 4 * half, 3, padding=1)
        self.fine = _Block(half)
        self.head = nn.Conv2d(half, 3 * SHUFFLE**2, 3, padding=1)

    def forward(self, received: Tensor, snr_db: Tensor, clamped_db: Tensor) -> Tensor:
        noise = torch.pow(10.0, -snr_db / 10.0) + self.own_noise  # (B,) per complex symbol of unit power
        y = self.unmix(received).float()
        y = y / self._factor(y, noise)[:, None, None, None]
        y = y * torch.sigmoid(self.log_power - noise.log()[:, None])[:, :, None, None]
        x = self.stem(y)  # (B, width, H/8, W/8)
        for block in self.blocks:
            x = block(x, clamped_db)
        x = self.fine(F.pixel_shuffle(self.up(x), 2), clamped_db)  # (B, width/2, H/4, W/4)
        return cast("Tensor", self.linear(y) + F.pixel_shuffle(self.head(x), SHUFFLE))

    def _factor(self, y: Tensor, noise: Tensor) -> Tensor:
        """(B,) by how much the power constraint scaled each image: least squares, drawn to 1 where that is unsure."""
        energy = self.pilot.square().sum()
        measured = (y.mean(dim=(2, 3)) * self.pilot).sum(dim=1) / energy
        sureness = energy * (y.shape[2] * y.shape[3]) / (noise + 0.1)  # 0.1: the means of the components themselves
        return ((sureness * measured + PRIOR) / (sureness + PRIOR)).clamp(0.1, 10.0)


class _Gains(nn.Module):
    """One factor a channel, from the SNR."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(1, 16)
        self.expand = nn.Linear(16, width)

    def forward(self, snr_db: Tensor) -> Tensor:
        y = self.expand(torch.tanh(self.squeeze(snr_db[:, None] / 10.0 - 1.0)))
        return 2.0 * torch.sigmoid(y)[:, :, None, None]


class _Block(nn.Module):
    """Two convolutions beside a skip, scaled by what the SNR and the channels' means say."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.act = nn.PReLU(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.squeeze = nn.Linear(width + 1, width // 4)
        self.expand = nn.Linear(width // 4, width)

    def forward(self, x: Tensor, snr_db: Tensor) -> Tensor:
        y = self.conv2(self.act(self.conv1(x)))
        context = torch.cat([y.mean(dim=(2, 3)), snr_db[:, None] / 10.0 - 1.0], dim=1)  # (B, width + 1)
        scale = 2.0 * torch.sigmoid(self.expand(torch.relu(self.squeeze(context))))
        return cast("Tensor", x + y * scale[:, :, None, None])


def _padded(images: Tensor) -> Tensor:
    """To whole strides; by reflection, or by repeating the edge where the image is too small to reflect."""
    h, w = images.shape[2:]
    down, right = -h % STRIDE, -w % STRIDE
    if not down and not right:
        return images
    mode = "reflect" if down < h and right < w else "replicate"
    return F.pad(images, (0, right, 0, down), mode=mode)
