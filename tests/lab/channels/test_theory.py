"""Closed forms against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, special

from semetric.errors import UsageError
from semetric.lab.channels.modulation import MODULATIONS
from semetric.lab.channels.theory import bit_error_rate, symbol_error_rate

DB = np.array([-5.0, 0.0, 5.0, 10.0, 15.0])


def q(x: float) -> float:
    return 0.5 * math.erfc(x / 2**0.5)


def test_published_values() -> None:
    # Proakis, Digital Communications: BPSK needs 9.6 dB of Eb / N0 for 1e-5; QPSK the same, 3 dB more of Es / N0.
    assert bit_error_rate("bpsk", 9.6) == pytest.approx(1e-5, rel=0.05)
    assert bit_error_rate("qpsk", 9.6 + 10 * math.log10(2)) == pytest.approx(bit_error_rate("bpsk", 9.6))
    # Likewise, of Rayleigh fading: 1 / (4 γ) at high SNR.
    assert bit_error_rate("bpsk", 40.0, fading=True) == pytest.approx(1 / 4e4, rel=1e-3)


def test_16qam_by_hand() -> None:
    """4 levels a dimension: bit 1 crosses 1 or 3 half-distances, bit 2 leaves or enters the middle."""
    for db in DB:
        d = math.sqrt(10 ** (db / 10) / 5)  # half a distance over the noise's deviation in a dimension
        first = (q(d) + q(3 * d)) / 2
        second = ((q(d) + q(3 * d)) + (q(d) - q(5 * d))) / 2
        assert bit_error_rate("16qam", db) == pytest.approx((first + second) / 2, rel=1e-9)


@pytest.mark.parametrize("modulation", MODULATIONS)
@pytest.mark.parametrize("rate", [bit_error_rate, symbol_error_rate])
def test_fading_is_the_mean_over_gains(modulation: str, rate: object) -> None:
    assert callable(rate)
    for db in DB:
        mean = 10 ** (db / 10)
        # γ = mean · x with density exp(−x), integrated over log x.
        integral, _ = integrate.quad(
            lambda t, m=mean: rate(modulation, 10 * math.log10(m * math.exp(t))) * math.exp(t - math.exp(t)),
            -25,
            5,
            epsabs=1e-11,
            limit=200,
        )
        assert float(rate(modulation, db, fading=True)) == pytest.approx(integral, rel=1e-6)


@pytest.mark.parametrize("modulation", MODULATIONS)
def test_bits_and_symbols_bound_each_other(modulation: str) -> None:
    bits = MODULATIONS[modulation]
    for fading in (False, True):
        ber, ser = (rate(modulation, DB, fading=fading) for rate in (bit_error_rate, symbol_error_rate))
        assert ber.shape == DB.shape
        assert (np.diff(ber) < 0).all()
        assert (ber <= ser + 1e-12).all()
        assert (ser <= bits * ber + 1e-12).all()
    # At high SNR a wrong symbol is a neighbour: one wrong bit.
    assert bit_error_rate(modulation, 25.0) * bits == pytest.approx(symbol_error_rate(modulation, 25.0), rel=1e-3)


def test_qam_symbols_are_two_amplitudes() -> None:
    levels = 8
    inner = (1 - 1 / levels) * special.erfc(math.sqrt(1.5 * 10 / 63))
    assert symbol_error_rate("64qam", 10.0) == pytest.approx(1 - (1 - inner) ** 2, rel=1e-12)


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match="modulation"):
        bit_error_rate("256qam", 3.0)
    with pytest.raises(UsageError, match="finite"):
        symbol_error_rate("qpsk", [1.0, math.nan])
