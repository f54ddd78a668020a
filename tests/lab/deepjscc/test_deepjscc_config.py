from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.lab.deepjscc.config import STRIDE, DeepJsccConfig
from semetric.lab.deepjscc.training_config import DeepJsccTraining

SIDES = st.integers(1, 4000)


def test_the_default_bandwidth_is_that_of_half_a_bit_through_rate_one_half_and_16qam() -> None:
    config = DeepJsccConfig()
    assert config.bandwidth_ratio == pytest.approx(1 / 12, rel=1e-15)
    source_bpp, code_rate, bits_per_symbol = 0.5, 0.5, 4
    assert config.uses_per_pixel(512, 384) == source_bpp / code_rate / bits_per_symbol == 0.25


@given(SIDES, SIDES, st.integers(1, 64))
def test_uses_count_the_padding(height: int, width: int, symbols: int) -> None:
    config = DeepJsccConfig(symbols=symbols)
    uses = config.channel_uses(height, width)
    rows, columns = config.latent_size(height, width)
    assert uses == symbols * rows * columns
    assert height <= rows * STRIDE < height + STRIDE  # the least whole number of strides
    assert width <= columns * STRIDE < width + STRIDE
    whole = 3 * config.bandwidth_ratio
    # Rounding: the quotient of two integers against a product of two quotients.
    assert config.uses_per_pixel(height, width) >= whole * (1 - 1e-12)
    if height % STRIDE == width % STRIDE == 0:
        assert config.uses_per_pixel(height, width) == pytest.approx(whole, rel=1e-12)


def test_a_config_survives_being_written() -> None:
    config = DeepJsccConfig(symbols=3, constellation="16qam", fading="rayleigh", snr_min_db=-3.0)
    assert DeepJsccConfig.from_dict(config.to_dict()) == config


def test_a_training_is_plain_json() -> None:
    training = DeepJsccTraining(network=DeepJsccConfig(symbols=3), longest_sides=(128,), seed=3)
    described = training.to_dict()
    assert json.loads(json.dumps(described)) == described
    assert described["network"] == training.network.to_dict()
    assert (
        DeepJsccTraining(
            **{
                **described,
                "network": training.network,
                "longest_sides": (128,),
                "validation_snrs_db": training.validation_snrs_db,
            }
        )
        == training
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"symbols": 0}, "symbols to be at least 1; found 0"),
        ({"symbols": 1.5}, "found 1.5"),
        ({"width": 20}, "multiple of 8 .* found 20"),
        ({"constellation": "qpsk"}, "constellation among none, 16qam; found 'qpsk'"),
        ({"fading": "rice"}, "fading of none, .*; found 'rice'"),
        ({"snr_min_db": 5.0, "snr_max_db": 4.0}, "found 5.0 and 4.0"),
        ({"snr_max_db": float("nan")}, "nan"),
    ],
)
def test_impossible_networks_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        DeepJsccConfig(**values)


def test_unknown_and_missing_fields_are_refused() -> None:
    with pytest.raises(UsageError, match="missing or unknown: depth"):
        DeepJsccConfig.from_dict({**DeepJsccConfig().to_dict(), "depth": 3})
    with pytest.raises(UsageError, match="missing or unknown: blocks, constellation"):
        DeepJsccConfig.from_dict({"width": 96})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"steps": 0}, "steps to be at least 1; found 0"),
        ({"patience": -1}, "patience to be at least 0"),
        ({"patch": 60}, "multiple of 8 px; found 60"),
        ({"longest_sides": (64,)}, "at least 96 px"),
        ({"learning_rate": 0.0}, "learning_rate to be above 0 and below 1"),
        ({"validation_share": 1.0}, "validation_share to be above 0 and below 1"),
        ({"validation_snrs_db": ()}, "one SNR or more"),
    ],
)
def test_impossible_trainings_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        DeepJsccTraining(**values)
