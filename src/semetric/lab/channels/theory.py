"""Closed-form error rates of uncoded Gray-labelled modulations, for maximum-likelihood decisions symbol by symbol.

Over additive white Gaussian noise: Proakis, Digital Communications; the bit error rate of QAM exactly, with all terms,
after Cho and Yoon, On the General BER Expression of One- and Two-Dimensional Amplitude Modulations (2002). Over
Rayleigh fading with a known gain: Proakis; the symbol error rate of QAM after Simon and Alouini, Digital Communication
over Fading Channels. A bit or symbol meets one gain whether that changes by symbol or by block, so all kinds of fading
share a curve.

γ is Es / N0 per complex symbol, BPSK's too; means over the fading are over γ's exponential distribution.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from semetric.errors import UsageError
from semetric.lab.channels.modulation import bits_per_symbol

__all__ = ["bit_error_rate", "symbol_error_rate"]

Floats = NDArray[np.float64]


def bit_error_rate(modulation: str, es_n0_db: ArrayLike, *, fading: bool = False) -> Floats:
    """Wrong bits per bit.

    Args:
        modulation: bpsk, qpsk, 16qam or 64qam.
        es_n0_db: Es / N0 in dB, of any shape; under fading the mean.
        fading: over a flat Rayleigh channel whose gain is known.

    Raises:
        UsageError: another modulation; an SNR that is not finite.

    Examples:
        >>> print(f"{bit_error_rate('bpsk', 9.6):.1e}")
        9.7e-06
    """
    bits, snr = bits_per_symbol(modulation), _ratio(es_n0_db)
    if bits == 1:
        return _tail(snr, fading)
    # Each dimension is an amplitude modulation of √M points with bits / 2 labels (Cho and Yoon).
    levels = 2 ** (bits // 2)
    total = np.zeros_like(snr)
    for k in range(1, bits // 2 + 1):
        for i in range(levels - levels // 2**k):
            step = i * 2 ** (k - 1) // levels
            weight = 2 ** (k - 1) - math.floor(i * 2 ** (k - 1) / levels + 0.5)
            scale = (2 * i + 1) ** 2 * 1.5 / (levels**2 - 1)  # erfc(√(scale γ)) is twice Q(√(2 scale γ))
            total += (-1) ** step * weight * 2 * _tail(scale * snr, fading) / levels
    return total / (bits // 2)


def symbol_error_rate(modulation: str, es_n0_db: ArrayLike, *, fading: bool = False) -> Floats:
    """Wrong symbols per symbol; arguments and errors as `bit_error_rate`."""
    bits, snr = bits_per_symbol(modulation), _ratio(es_n0_db)
    if bits == 1:
        return _tail(snr, fading)
    levels = 2 ** (bits // 2)
    q, inner = 1 - 1 / levels, 1.5 * snr / (levels**2 - 1)
    if not fading:
        return np.asarray(1 - (1 - 2 * q * _tail(inner, False)) ** 2)
    b = np.sqrt(inner / (1 + inner))
    # E[4 q Q − 4 q² Q²]; E[Q²] = 1/4 − (b / π) atan(1 / b).
    mean: Floats = 2 * q * (1 - b) - q**2 * (1 - 4 / np.pi * b * np.arctan2(1, b))
    return mean


def _ratio(es_n0_db: ArrayLike) -> Floats:
    db = np.asarray(es_n0_db, np.float64)
    if not np.isfinite(db).all():
        raise UsageError(f"Expected a finite Es / N0 in dB; found {es_n0_db!r}.")
    return np.asarray(10 ** (db / 10))


def _tail(x: Floats, fading: bool) -> Floats:
    """Q(√(2x)), or its mean over an exponential x with that mean."""
    from scipy import special

    tail: Any = (1 - np.sqrt(x / (1 + x))) / 2 if fading else special.erfc(np.sqrt(x)) / 2
    return np.asarray(tail, np.float64)
