"""Symbols and log-likelihood ratios."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.lab.channels._sionna import sionna
from semetric.lab.channels.modulation import MODULATIONS, bits_per_symbol, demodulate, modulate


def points(modulation: str) -> tuple[NDArray[np.uint8], NDArray[np.complex64]]:
    """All labels, and the point of each."""
    labels = np.array(list(itertools.product((0, 1), repeat=MODULATIONS[modulation])), np.uint8)
    return labels, modulate(labels, modulation)[:, 0]


@pytest.mark.parametrize("modulation", MODULATIONS)
def test_energy_is_one_and_labels_are_gray(modulation: str) -> None:
    labels, symbols = points(modulation)
    assert np.mean(np.abs(symbols) ** 2) == pytest.approx(1, abs=1e-6)  # float32
    assert len(set(np.round(symbols, 4))) == len(labels)
    distances = np.abs(symbols[:, None] - symbols[None])
    np.fill_diagonal(distances, np.inf)
    for i, j in np.argwhere(distances < distances.min() * 1.01):
        assert (labels[i] != labels[j]).sum() == 1


def test_bpsk_is_real_and_qpsk_is_the_standards() -> None:
    assert points("bpsk")[1].tolist() == [1, -1]
    # 3GPP TS 38.211, 5.1.3: ((1 − 2 b0) + i (1 − 2 b1)) / √2.
    labels, symbols = points("qpsk")
    expected = ((1 - 2.0 * labels[:, 0]) + 1j * (1 - 2.0 * labels[:, 1])) / 2**0.5
    np.testing.assert_allclose(symbols, expected, atol=1e-6)


@pytest.mark.parametrize("modulation", MODULATIONS)
@pytest.mark.parametrize("nearest", [False, True])
def test_ratios_are_those_of_the_definition(modulation: str, nearest: bool) -> None:
    rng = np.random.default_rng(1)
    labels, symbols = points(modulation)
    received = (rng.standard_normal((3, 50)) + 1j * rng.standard_normal((3, 50))).astype(np.complex64)
    noise_var = rng.uniform(0.2, 2, (3, 50)).astype(np.float32)
    found = demodulate(received, noise_var, modulation, nearest=nearest).reshape(3, 50, -1)
    exponents = -(np.abs(received[..., None].astype(complex) - symbols) ** 2) / noise_var[..., None]
    gather = np.max if nearest else np.logaddexp.reduce
    for bit in range(labels.shape[1]):
        zero, one = (gather(exponents[..., labels[:, bit] == value], axis=-1) for value in (0, 1))
        np.testing.assert_allclose(found[..., bit], zero - one, rtol=1e-4, atol=1e-4)  # float32 against float64


def test_ratios_are_those_of_sionna_in_the_plane() -> None:
    import torch

    rng = np.random.default_rng(2)
    received = (rng.standard_normal((2, 64)) + 1j * rng.standard_normal((2, 64))).astype(np.complex64)
    reference = sionna("mapping").Demapper("app", "qam", 6, device="cpu")
    expected = -reference(torch.from_numpy(received), torch.tensor(0.3)).numpy()
    found = demodulate(received, np.full((2, 1), 0.3, np.float32), "64qam")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)  # float32, other order of sums


def test_an_unknown_modulation_is_named() -> None:
    with pytest.raises(UsageError, match="bpsk, qpsk, 16qam, 64qam; found '8psk'"):
        bits_per_symbol("8psk")
