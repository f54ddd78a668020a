"""Bits to complex symbols and back to log-likelihood ratios: BPSK, QPSK, 16QAM, 64QAM with Gray labels, unit energy."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.lab.channels._sionna import sionna
from semetric.models.torch_state import clean_state, loading

__all__ = ["MODULATIONS", "bits_per_symbol", "demodulate", "modulate"]

MODULATIONS: Mapping[str, int] = MappingProxyType({"bpsk": 1, "qpsk": 2, "16qam": 4, "64qam": 6})
"""Name → bits per complex symbol."""


def bits_per_symbol(modulation: str) -> int:
    """How many bits one complex symbol carries.

    Raises:
        UsageError: another name.

    Examples:
        >>> bits_per_symbol("16qam")
        4
    """
    if modulation not in MODULATIONS:
        raise UsageError(f"Expected a modulation of {', '.join(MODULATIONS)}; found {modulation!r}.")
    return MODULATIONS[modulation]


def modulate(bits: NDArray[np.uint8], modulation: str) -> NDArray[np.complex64]:
    """The symbols of 3GPP TS 38.211, 5.1, with mean energy 1; BPSK is real (bit 0 → +1).

    Args:
        bits: (B, n) of 0 and 1, n a multiple of the bits per symbol.
        modulation: a name of `MODULATIONS`.

    Returns:
        (B, n / bits per symbol).
    """
    import torch

    mapper, _ = _modem(bits_per_symbol(modulation))
    with clean_state(inference=True):
        symbols: NDArray[np.complex64] = mapper(torch.from_numpy(bits.astype(np.float32))).numpy()
    return symbols


def demodulate(
    received: NDArray[np.complex64],
    noise_var: NDArray[np.float32],
    modulation: str,
    *,
    nearest: bool = False,
) -> NDArray[np.float32]:
    """What the symbols say of each bit, for equally likely bits and circular Gaussian noise.

    Square QAM with Gray labels is two amplitude modulations at right angles, whose noise is independent: each
    dimension is demapped for itself. That gives what demapping in the plane gives, and 64QAM compares with 8 points
    in place of 64.

    Args:
        received: (B, S), after division by the channel's gain.
        noise_var: (B, S) or (B, 1), E|n|² of the noise in `received`.
        modulation: a name of `MODULATIONS`.
        nearest: take the maximum over the points where the exact ratio takes their sum (max-log), so that the sign is
            that of the nearest point: a hard decision as the textbooks have it.

    Returns:
        (B, n) log P(bit = 0) / P(bit = 1), natural.
    """
    import torch

    bits = bits_per_symbol(modulation)
    _, demappers = _modem(bits)
    variance = torch.from_numpy(np.broadcast_to(noise_var, received.shape).copy())
    with clean_state(inference=True):
        if bits == 1:
            axis = torch.complex(torch.from_numpy(received.real.copy()), torch.zeros(received.shape))
            logits = demappers[nearest](axis, variance)
        else:
            # Sionna's amplitudes have energy 1 where those of a dimension have 1/2: both scale by √2, the noise by 2.
            parts = np.stack([received.real, received.imag], axis=-1) * np.float32(np.sqrt(2))  # (B, S, 2)
            axis = torch.complex(torch.from_numpy(parts), torch.zeros(parts.shape))
            logits = demappers[nearest](axis, (2 * variance)[..., None])  # (B, S, 2 · bits / 2)
            # The labels of a symbol take turns: real, imaginary, real, … .
            logits = logits.reshape(*received.shape, 2, bits // 2).transpose(-1, -2)
    llrs: NDArray[np.float32] = -logits.reshape(len(received), -1).numpy()
    return llrs


@lru_cache(maxsize=8)
@loading()
def _modem(bits: int) -> tuple[Any, tuple[Any, Any]]:
    """Sionna's mapper, and its demappers of one dimension: exact, and by the nearest point."""
    mapping = sionna("mapping")
    kind = "pam" if bits == 1 else "qam"
    per_axis = max(bits // 2, 1)
    exact, nearest = (mapping.Demapper(method, "pam", per_axis, device="cpu") for method in ("app", "maxlog"))
    return mapping.Mapper(kind, bits, device="cpu"), (exact, nearest)
