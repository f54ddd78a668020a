from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.lab.channels import channel_named
from semetric.lab.deepjscc.config import DeepJsccConfig
from semetric.lab.deepjscc.network import DeepJscc

SNR_DB = torch.tensor([10.0])


def images(height: int, width: int, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 50), width=st.integers(1, 50))
def test_any_size_goes_through(height: int, width: int) -> None:
    network = DeepJscc(DeepJsccConfig(symbols=2, width=8, blocks=1)).eval()
    batch = images(height, width)
    with torch.no_grad():
        sent = network.encode(batch, SNR_DB)
        output = network(batch, SNR_DB, seeded())
    assert output.shape == batch.shape
    assert sent[:, : network.config.symbols].numel() == network.config.channel_uses(height, width)
    # The mean power is 1 per symbol of what is sent, padding included; the tolerance is float32's rounding.
    assert float(2 * sent.double().square().mean()) == pytest.approx(1.0, abs=1e-6)


def test_padding_reflects_or_repeats(tiny: DeepJscc) -> None:
    batch = images(13, 20)
    by_hand = torch.nn.functional.pad(batch, (0, 4, 0, 3), mode="reflect")
    with torch.no_grad():
        assert torch.equal(tiny.encode(batch, SNR_DB), tiny.encode(by_hand, SNR_DB))
        small = images(2, 9)  # too small to reflect
        by_hand = torch.nn.functional.pad(small, (0, 7, 0, 6), mode="replicate")
        assert torch.equal(tiny.encode(small, SNR_DB), tiny.encode(by_hand, SNR_DB))


def test_images_of_a_batch_do_not_touch_each_other(tiny: DeepJscc) -> None:
    batch = images(24, 24, 3)
    snrs_db = torch.tensor([0.0, 10.0, 20.0])
    with torch.no_grad():
        together = tiny.encode(batch, snrs_db)
        alone = torch.cat([tiny.encode(batch[i : i + 1], snrs_db[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)  # batched convolutions sum in another order


def test_the_encoder_sees_the_snr_within_the_range_of_the_training(tiny: DeepJscc) -> None:
    batch = images(16, 16)
    with torch.no_grad():
        low, high, beyond = (tiny.encode(batch, torch.tensor([snr])) for snr in (0.0, 20.0, 35.0))
    assert float((low - high).abs().max()) > 1e-4
    assert torch.equal(high, beyond)


def test_the_decoder_believes_noisier_symbols_less(tiny: DeepJscc) -> None:
    received = tiny.encode(images(32, 32), SNR_DB).detach()
    with torch.no_grad():
        contrasts = [float(tiny.decode(received, torch.tensor([s]), (32, 32)).std()) for s in (-40.0, -10.0, 5.0, 30.0)]
    assert contrasts == sorted(contrasts)
    assert contrasts[0] < 0.1 * contrasts[-1]


def test_the_pilot_tells_the_decoder_how_far_an_image_was_scaled(tiny: DeepJscc) -> None:
    """A flat image and its double in contrast send nearly the same symbols, and yet arrive apart."""
    wave = torch.sin(torch.arange(64) / 3.0).expand(1, 3, 64, 64)
    weak, strong = 0.5 + 0.15 * wave, 0.5 + 0.3 * wave
    for linear_only in (tiny.encoder.head.weight, tiny.decoder.head.weight, tiny.decoder.head.bias):
        linear_only.data.zero_()
    with torch.no_grad():
        low, high = (tiny(batch, torch.tensor([30.0]), seeded()).std() for batch in (weak, strong))
    assert float(high / low) == pytest.approx(2.0, rel=0.2)  # the components' own means blur the pilot


@pytest.mark.parametrize("constellation", ["none", "16qam"])
def test_every_weight_gets_a_gradient(tiny: DeepJscc, constellation: str) -> None:
    config = replace(tiny.config, constellation=constellation)  # type: ignore[arg-type]
    network = DeepJscc(config)
    network.load_state_dict(tiny.state_dict())
    batch = images(32, 32, 4)
    network(batch, torch.tensor([0.0, 5.0, 10.0, 20.0]), seeded()).sub(batch).square().mean().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


def test_noise_follows_from_the_generator_alone(tiny: DeepJscc) -> None:
    batch = images(16, 24)
    with torch.no_grad():
        first, again, other = (tiny(batch, SNR_DB, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_fading_is_the_configs_unless_asked_for(tiny: DeepJscc) -> None:
    batch = images(16, 16)
    faded = DeepJscc(replace(tiny.config, fading="rayleigh")).eval()
    faded.load_state_dict(tiny.state_dict())
    with torch.no_grad():
        _, still_db = tiny.transmit(batch, SNR_DB, seeded())
        asked, seen_db = tiny.transmit(batch, SNR_DB, seeded(), channel=channel_named("rayleigh"))
        assert float(still_db) == 10.0
        assert abs(float(seen_db) - 10.0) > 0.1
        assert torch.equal(faded(batch, SNR_DB, seeded()), asked)
