"""The search for a rate, on curves and on codecs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from semetric.errors import ImageError, UsageError
from semetric.lab.codecs import create_codec, encode_at_rate
from semetric.lab.codecs.base import Codec, Quality, Size
from semetric.lab.codecs.rate import nearest_step, rate_note


def search(rates: Sequence[float], target: float, tolerance: float, start: int) -> tuple[int, dict[int, float]]:
    return nearest_step(
        lambda step: rates[step], len(rates), target, tolerance=tolerance, start=start, usual_bpp=(0.05, 6)
    )


@st.composite
def curves(draw: st.DrawFn) -> list[float]:
    """Rates that never fall, with plateaus and leaps."""
    growth = draw(st.lists(st.sampled_from([1.0, 1.0, 1.01, 1.05, 1.1, 1.5, 3.0]), min_size=0, max_size=120))
    return [float(r) for r in draw(st.floats(0.01, 1)) * np.cumprod([1.0, *growth])]


@given(
    rates=curves(), target=st.floats(0.005, 20), tolerance=st.sampled_from([0, 0.03, 0.2]), start=st.integers(-3, 200)
)
@settings(max_examples=150, deadline=None)
def test_it_finds_the_target_or_the_nearest_step(
    rates: list[float], target: float, tolerance: float, start: int
) -> None:
    best, tried = search(rates, target, tolerance, start)
    met = abs(rates[best] - target) <= tolerance * target
    assert met or abs(rates[best] - target) == min(abs(r - target) for r in rates)
    # Each try at least shrinks the bracket, every second one by half once there is one; strides double before that.
    assert len(tried) <= 3 * math.log2(len(rates) + 1) + 4
    assert (rate_note(range(len(rates)), tried, best, target, tolerance) == "") == met


@given(
    target=st.floats(0.06, 5),
    seed=st.integers(0, 50),
    wobble=st.floats(0, 0.08),
    count=st.sampled_from([10, 100, 1000]),
)
@settings(max_examples=100, deadline=None)
def test_rates_that_dip_here_and_there(target: float, seed: int, wobble: float, count: int) -> None:
    rng = np.random.default_rng(seed)
    rates = [float(r) for r in np.geomspace(0.05, 6, count) * rng.uniform(1 - wobble, 1 + wobble, count)]
    best, tried = search(rates, target, 0.03, count // 2)
    # Two neighbours lie on both sides of the target when the search ends: the nearer is off by no more than half the
    # way between them, which is one step of the curve and the wobble of both.
    leap = (6 / 0.05) ** (1 / (count - 1)) * (1 + wobble) / (1 - wobble)
    assert abs(rates[best] / target - 1) <= max(0.03, leap - 1)
    assert len(tried) <= 2 * math.log2(count) + 4


def test_it_takes_few_encodes_on_a_smooth_curve() -> None:
    rates = list(np.geomspace(0.1, 4, 500) * np.linspace(1, 1.6, 500))
    counts = [len(search(rates, target, 0.03, 100)[1]) for target in np.geomspace(0.11, 6, 40)]
    assert max(counts) <= 5


def test_a_stream_without_bytes_does_not_end_the_search() -> None:
    best, _ = search([0.0, 0.0, 0.1, 0.2, 0.4], 0.2, 0.03, 0)
    assert best == 3


@pytest.mark.parametrize("target", [0, -1.0, math.nan, math.inf])
def test_rates_that_are_none(target: float, small_photo: NDArray[np.uint8]) -> None:
    with pytest.raises(UsageError, match="Expected a rate above 0 bits per pixel"):
        encode_at_rate(create_codec("jpeg"), small_photo, target)


def test_wrong_tolerance_and_pixels(small_photo: NDArray[np.uint8]) -> None:
    with pytest.raises(UsageError, match="Expected a tolerance"):
        encode_at_rate(create_codec("jpeg"), small_photo, 1, tolerance=1)
    with pytest.raises(ImageError):
        encode_at_rate(create_codec("jpeg"), small_photo[..., 0], 1)


@pytest.mark.parametrize("name", ["jpeg", "jpeg2000", "webp", "avif", "heic"])
@pytest.mark.parametrize("target", [0.5, 1.0, 2.5])
def test_codecs_meet_rates_or_say_so(name: str, target: float, small_photo: NDArray[np.uint8]) -> None:
    codec = create_codec(name)
    found = encode_at_rate(codec, small_photo, target)
    h, w = small_photo.shape[:2]
    assert found.rate_bpp == 8 * len(found.stream) / (h * w)
    assert found.met == (abs(found.rate_bpp / target - 1) <= 0.03) == (found.note == "")
    assert found.stream == codec.encode(small_photo, found.quality)
    assert found.encodes <= 7
    if name in ("jpeg", "jpeg2000", "webp"):  # their steps are finer than the tolerance
        assert found.met
    else:  # steps of a quantiser: 12% of the rate at most, the nearer side half of it
        assert abs(found.rate_bpp / target - 1) <= 0.07


@pytest.mark.parametrize("name", ["jpeg", "jpeg2000", "webp", "avif", "heic"])
def test_rates_out_of_reach_are_met_as_nearly_as_can_be(name: str, small_photo: NDArray[np.uint8]) -> None:
    codec = create_codec(name)
    low = encode_at_rate(codec, small_photo, 0.004)
    assert (low.met, low.quality) == (False, codec.steps[0])
    assert "0.004 bits per pixel is below the lowest rate on this image; the nearest, quality" in low.note
    high = encode_at_rate(codec, small_photo, 23)
    assert not high.met
    assert "above the highest rate on this image" in high.note
    assert len(high.stream) == len(codec.encode(small_photo, codec.steps[-1]))


class Coarse(Codec):
    """Two steps: 100 and 200 bytes."""

    name, label = "coarse", "Coarse"
    steps = (7, 3)

    def _encode(self, pixels: NDArray[np.uint8], quality: Quality) -> bytes:
        return bytes(100 if quality == 7 else 200)

    def _decode(self, stream: bytes, size: Size | None) -> NDArray[np.uint8]:
        raise NotImplementedError


def test_a_scale_that_falls_and_a_target_between_two_steps() -> None:
    found = encode_at_rate(Coarse(), np.zeros((10, 80, 3), np.uint8), 1.7)
    assert (found.quality, found.rate_bpp, found.met) == (3, 2.0, False)
    assert found.note == "1.7 bits per pixel is between two quality steps; the nearest, quality 3 gives 2 (+17.6%)"
