from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from semetric.lab.channels import channel_named
from semetric.lab.deepjscc.channel import STEP_16QAM, add_noise, constrain, draw_gains, nearest_16qam, unit_power
from semetric.lab.deepjscc.config import Constellation


def drawn(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def power(symbols: torch.Tensor) -> torch.Tensor:
    """Mean |z|² per complex symbol of each image, in float64."""
    in_phase, quadrature = symbols.double().chunk(2, dim=1)
    return (in_phase.square() + quadrature.square()).mean(dim=(1, 2, 3))


@given(
    st.integers(0, 99), st.integers(1, 5), st.integers(1, 9), st.floats(1e-3, 1e3), st.sampled_from(["none", "16qam"])
)
def test_power_is_one(seed: int, symbols: int, side: int, scale: float, constellation: Constellation) -> None:
    sent = constrain(drawn(3, 2 * symbols, side, side, seed=seed, scale=scale), constellation)
    # float32 rounds each number to 6e-8 of itself; the mean of squares has about twice that.
    assert power(sent) == pytest.approx([1.0] * 3, abs=1e-6)


def test_power_is_shared_within_an_image_alone() -> None:
    """One image keeps the ratios of its symbols, whatever is beside it in the batch."""
    loud, quiet = drawn(1, 4, 3, 3, scale=100.0), drawn(1, 4, 3, 3, seed=1)
    both = unit_power(torch.cat([loud, quiet]))
    torch.testing.assert_close(both[1:], unit_power(quiet))
    torch.testing.assert_close(both[0] / both[0, 0, 0, 0], loud[0] / loud[0, 0, 0, 0])


def test_silence_stays_finite() -> None:
    assert torch.equal(unit_power(torch.zeros(1, 2, 2, 2)), torch.zeros(1, 2, 2, 2))


def test_the_sixteen_points() -> None:
    levels = torch.tensor([-3.0, -1.0, 1.0, 3.0]) / math.sqrt(10.0)
    points = torch.cartesian_prod(levels, levels)
    assert float(points.square().sum(dim=1).mean()) == pytest.approx(1.0, abs=1e-6)  # where all are equally likely
    torch.testing.assert_close(nearest_16qam(points), points)
    values = drawn(2000, scale=1.5)
    nearest = levels[(values[:, None] - levels).abs().argmin(dim=1)]
    torch.testing.assert_close(nearest_16qam(values), nearest)


def test_sent_symbols_lie_on_one_scaled_constellation_an_image() -> None:
    sent = constrain(drawn(2, 8, 16, 16), "16qam")
    for image in sent:
        step = 2 * float(image.abs().min())
        in_steps = image / step
        # Points are at ±1/2 and ±3/2 steps; 1e-5 covers the rounding of one scaling.
        torch.testing.assert_close(in_steps, torch.floor(in_steps) + 0.5, atol=1e-5, rtol=0)
        assert {float(v) for v in (torch.floor(in_steps) + 0.5).unique()} == {-1.5, -0.5, 0.5, 1.5}
        # Of Gaussian symbols of unit power, 62.9 % of the numbers are nearest to an inner level and 37.1 % to an outer
        # one, whose squares are 0.1 and 0.9: a power of 0.794 before scaling. 2,048 numbers give 3 %.
        assert step == pytest.approx(STEP_16QAM / math.sqrt(0.794), rel=0.03)


@pytest.mark.parametrize("constellation", ["none", "16qam"])
def test_gradient_reaches_what_is_constrained(constellation: Constellation) -> None:
    symbols = drawn(1, 4, 4, 4).requires_grad_()
    weights = drawn(1, 4, 4, 4, seed=3)
    (constrain(symbols, constellation) * weights).sum().backward()
    assert symbols.grad is not None
    assert float(symbols.grad.abs().min()) > 0
    plain = drawn(1, 4, 4, 4).requires_grad_()
    (unit_power(plain) * weights).sum().backward()
    assert plain.grad is not None
    # Straight through: the direction hardly differs from that without the constellation.
    assert float(torch.cosine_similarity(symbols.grad.flatten(), plain.grad.flatten(), dim=0)) > 0.9


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 7.0, 20.0])
def test_noise_has_the_stated_power(snr_db: float) -> None:
    symbols = unit_power(drawn(1, 64, 32, 32))
    received, seen_db = add_noise(symbols, torch.tensor([snr_db]), drawn(1, 64, 32, 32, seed=1), torch.ones(1))
    assert float(seen_db) == snr_db
    measured_db = -10 * math.log10(float(power(received - symbols)))
    assert measured_db == pytest.approx(
        snr_db, abs=0.12
    )  # 5 deviations of 65,536 squared normals: 5·√(2/65536) = 2.8 %


def test_a_gain_shifts_the_snr_of_its_image_alone() -> None:
    symbols, noise = drawn(2, 4, 3, 3), drawn(2, 4, 3, 3, seed=1)
    plain, _ = add_noise(symbols, torch.tensor([10.0, 10.0]), noise, torch.ones(2))
    faded, seen_db = add_noise(symbols, torch.tensor([10.0, 10.0]), noise, torch.tensor([0.5, 1.0]))
    assert seen_db.tolist() == pytest.approx([10 + 20 * math.log10(0.5), 10.0], abs=1e-5)
    torch.testing.assert_close(faded[0] - symbols[0], 2 * (plain[0] - symbols[0]), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(faded[1], plain[1])


def test_rayleigh_gains_have_unit_mean_power_and_their_median() -> None:
    gains = draw_gains(channel_named("rayleigh"), 40_000, torch.Generator().manual_seed(0))
    assert float(gains.square().mean()) == pytest.approx(1.0, abs=0.025)  # 5 deviations of an exponential: 5/√40000
    assert float(gains.median()) == pytest.approx(math.sqrt(math.log(2)), abs=0.02)  # of Rayleigh's distribution


def test_without_fading_no_number_is_drawn_for_gains() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert draw_gains(channel_named("none"), 3, generator).tolist() == [1.0, 1.0, 1.0]
    assert torch.equal(generator.get_state(), before)


def test_the_gains_of_an_image_are_those_of_the_channel() -> None:
    """Rician: E|h| follows from its K factor; the closed form is Rice's mean."""
    from scipy import special

    k = 4.0
    gains = draw_gains(channel_named("rician:k_factor=4"), 40_000, torch.Generator().manual_seed(0))
    # Rice: E|h| = √(π / (4 (K + 1))) L½(−K), the Laguerre polynomial L½(x) = 1F1(−½; 1; x).
    expected = math.sqrt(math.pi / (4 * (k + 1))) * special.hyp1f1(-0.5, 1.0, -k)
    deviation = math.sqrt(1.0 - expected**2)  # E|h|² = 1
    assert float(gains.mean()) == pytest.approx(expected, abs=4 * deviation / math.sqrt(40_000))
