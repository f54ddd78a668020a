"""A whole system of somebody's own, as users hand one to the lab: "fake_codec:quantise"."""

from __future__ import annotations

from typing import Any

import numpy as np


def quantise(pixels: Any, quality: float, rng: np.random.Generator) -> tuple[Any, bytes]:
    """Keeps so many bits a pixel, whatever the picture."""
    h, w = pixels.shape[:2]
    step = 256 / 2 ** min(quality, 8)
    return (np.floor(pixels / step) * step).astype(np.uint8), bytes(round(quality * h * w / 8))


def scaled(pixels: Any, snr_db: float, rng: np.random.Generator) -> tuple[Any, int]:
    """A joint source-channel code: noise that falls with the SNR, a channel use for every four pixels."""
    h, w = pixels.shape[:2]
    noisy = pixels + rng.normal(0, 100 * 10 ** (-snr_db / 20), pixels.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), h * w // 4


def plain(pixels: Any, level: float, rng: np.random.Generator) -> Any:
    """Darker by the level; says nothing of what it took."""
    return np.maximum(pixels.astype(int) - int(level), 0).astype(np.uint8)
