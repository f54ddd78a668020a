"""Gains of channels against their closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, special, stats

from semetric.errors import UsageError
from semetric.lab.channels import CHANNELS, ChannelModel, Link, bit_error_rate, channel_named
from semetric.lab.channels.base import Symbols

STREAM = np.random.default_rng(0).bytes(45_000)


def gains_of(channel: ChannelModel, rows: int, symbols: int, seed: int = 0) -> Symbols:
    shape = (rows, channel.normals(symbols))
    rng = np.random.default_rng(seed)
    normals = ((rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / math.sqrt(2)).astype(np.complex64)
    return channel.gains(normals, symbols)


@pytest.mark.parametrize(
    "name", [*CHANNELS, "rician:k_factor=0", "rician:k_factor=10,lasts=block", "jakes:doppler=0.1"]
)
def test_gains_have_a_mean_power_of_one(name: str) -> None:
    gains = gains_of(channel_named(name), 20_000, 5)
    assert gains.dtype == np.complex64
    assert gains.shape[0] == 20_000
    assert gains.shape[1] in (1, 5)
    # |h|² has at most the variance 1 of an exponential: 5 deviations of 20,000 independent rows.
    assert float((np.abs(gains[:, 0]) ** 2).mean()) == pytest.approx(1.0, abs=5 / math.sqrt(20_000))


def test_rician_without_a_line_of_sight_is_rayleigh() -> None:
    rayleigh, rician = (gains_of(channel_named(name), 3, 100) for name in ("rayleigh", "rician:k_factor=0"))
    assert np.array_equal(rayleigh, rician)
    links = [Link(code_rate=1, fading=name) for name in ("rayleigh", "rician:k_factor=0")]
    streams = [link.transmit(STREAM[:900], 5.0, np.random.default_rng(1)).stream for link in links]
    assert streams[0] == streams[1]


@pytest.mark.parametrize("k", [0.5, 4.0, 20.0])
def test_rician_amplitudes_are_rices(k: float) -> None:
    """Kolmogorov and Smirnov's test of 10,000 amplitudes, at the level 0.1% of a fixed seed."""
    amplitudes = np.abs(gains_of(channel_named(f"rician:k_factor={k}"), 1, 10_000))[0]
    rice = stats.rice(math.sqrt(2 * k), scale=1 / math.sqrt(2 * (k + 1)))
    assert stats.kstest(amplitudes, rice.cdf).pvalue > 0.001


def rician_ber(k: float, es_n0_db: float) -> float:
    """BPSK over Rician fading: (1 / π) ∫ M(−γ / sin² θ) dθ over 0..π/2 (Simon and Alouini, eq. 8.102 and table 2.2)."""
    snr = 10 ** (es_n0_db / 10)

    def moment(s: float) -> float:  # of γ's distribution
        return (1 + k) / (1 + k + s * snr) * math.exp(-k * s * snr / (1 + k + s * snr))

    return integrate.quad(lambda t: moment(1 / math.sin(t) ** 2), 0, math.pi / 2)[0] / math.pi


@pytest.mark.parametrize("k", [1.0, 4.0])
def test_a_link_over_rician_fading_agrees_with_theory(k: float) -> None:
    link = Link(modulation="bpsk", code_rate=1, fading=f"rician:k_factor={k}")
    arrived = link.transmit(STREAM, 6.0, np.random.default_rng(5))
    # A gain a bit: the count is binomial; 99.9% interval at a fixed seed.
    low, high = stats.binom.interval(0.999, 8 * len(STREAM), rician_ber(k, 6.0))
    assert low <= arrived.bit_errors <= high
    assert high - low < 0.2 * arrived.bit_errors  # the interval is narrow enough to mean something


def test_the_closed_form_has_its_two_limits() -> None:
    assert rician_ber(0.0, 6.0) == pytest.approx(float(bit_error_rate("bpsk", 6.0, fading=True)), rel=1e-9)
    assert rician_ber(1e6, 6.0) == pytest.approx(float(bit_error_rate("bpsk", 6.0)), rel=1e-4)  # 1 / K from the limit


def autocorrelation(gains: Symbols, lag: int) -> float:
    return float((gains[:, lag:] * gains[:, : gains.shape[1] - lag].conj()).mean().real)


@pytest.mark.parametrize("doppler", [0.001, 0.02])
def test_jakes_gains_are_correlated_as_bessels_function(doppler: float) -> None:
    rows, symbols = 4000, 600
    gains = gains_of(channel_named(f"jakes:doppler={doppler}"), rows, symbols)
    for lag in (0, 1, 10, 50, 200, 500):
        # Rows are independent; a mean over a row's own products can only be surer. 5 deviations.
        expected = float(special.j0(2 * math.pi * doppler * lag))
        assert autocorrelation(gains, lag) == pytest.approx(expected, abs=5 / math.sqrt(rows))


def test_jakes_directions_are_dense_enough() -> None:
    """The expected autocorrelation, computed from the responses to single paths, over the promised lags."""
    doppler = 0.01
    channel = channel_named(f"jakes:doppler={doppler}")
    count = channel.normals(1501)
    paths = channel.gains(np.eye(count, dtype=np.complex64), 1501).astype(np.complex128)  # (paths, symbols)
    expected = special.j0(2 * np.pi * doppler * np.arange(1501))
    found: NDArray[np.float64] = (paths * paths[:, :1].conj()).sum(0).real
    assert np.abs(found - expected).max() < 1e-6  # float32 gains, averaged over 64 paths


def test_jakes_gains_go_on_from_block_to_block() -> None:
    """Slow fading: what one block meets, the next one meets too; and the batch changes nothing."""
    link = Link(code_rate=1, fading="jakes:doppler=0.00001", block_bits=360)
    counts = []
    for seed in range(60):
        arrived = link.transmit(STREAM[:90], 5.0, np.random.default_rng(seed))
        wrong = np.unpackbits(np.frombuffer(STREAM[:90], np.uint8) ^ np.frombuffer(arrived.stream, np.uint8))
        counts.append(wrong.reshape(2, -1).mean(1))
    assert np.corrcoef(np.array(counts).T)[0, 1] > 0.9


@pytest.mark.parametrize("name", list(CHANNELS))
def test_the_batch_changes_nothing(name: str) -> None:
    link = Link(fading=name, block_bits=720)
    streams = {link.transmit(STREAM[:2000], 2.0, np.random.default_rng(1), batch_blocks=b).stream for b in (1, 5, 64)}
    assert len(streams) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("snow", "Expected a fading of none, .*; found 'snow'"),
        ("rician:k=3", "options of the fading rician among lasts, k_factor; found 'k'"),
        ("rician:k_factor=-1", "k_factor of at least 0; found -1"),
        ("rician:k_factor=strong", "k_factor of at least 0; found 'strong'"),
        ("rayleigh:lasts=day", "lasts of symbol, block, stream; found 'day'"),
        ("jakes:doppler=0", "doppler above 0 and up to 0.5"),
        ("none:doppler=1", "among none; found 'doppler'"),
    ],
)
def test_what_does_not_exist_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        channel_named(text)
