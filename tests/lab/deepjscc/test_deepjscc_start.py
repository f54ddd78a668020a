from __future__ import annotations

import numpy as np
import pytest
import torch

from semetric.lab.deepjscc.config import Constellation, DeepJsccConfig
from semetric.lab.deepjscc.network import DeepJscc
from semetric.lab.deepjscc.start import PILOT_SHARE, begin_linear, second_moment

SYMBOLS = 8


def photos() -> list[np.ndarray]:
    """Smooth noise: as in photos, slow waves have most of the power."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(4):
        spectrum = np.fft.rfft2(rng.normal(size=(3, 128, 128)))
        f = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128))
        waves = np.fft.irfft2(spectrum / (0.01 + f) ** 1.3)
        waves *= 45 / waves.std()
        found.append(np.clip(np.rint(waves + 120), 0, 255).astype(np.uint8).transpose(1, 2, 0))
    return found


def started(constellation: Constellation = "none") -> tuple[DeepJscc, torch.Tensor]:
    network = DeepJscc(DeepJsccConfig(symbols=SYMBOLS, width=16, blocks=1, constellation=constellation)).eval()
    moment = second_moment(photos(), seed=0)
    begin_linear(network, moment, seed=0)
    return network, moment


def test_the_moment_is_that_of_blocks() -> None:
    one = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    values = one.transpose(2, 0, 1).reshape(-1) / 127.5 - 1
    np.testing.assert_allclose(second_moment([one], 0), np.outer(values, values), atol=1e-14)
    with_rest = np.zeros((13, 15, 3), np.uint8)  # what is beyond whole blocks does not count
    with_rest[:8, :8] = one
    np.testing.assert_array_equal(second_moment([with_rest], 0), second_moment([one], 0))


def test_without_noise_it_is_the_projection_on_principal_components() -> None:
    network, moment = started()
    image = photos()[0]
    blocks = image.reshape(16, 8, 16, 8, 3).transpose(0, 2, 4, 1, 3).reshape(256, 192) / 127.5 - 1
    basis = torch.linalg.eigh(moment)[1][:, -2 * SYMBOLS :].numpy()
    lost = blocks - blocks @ basis @ basis.T
    best_db = -10 * np.log10(np.square(lost / 2).mean())
    batch = torch.from_numpy(image).permute(2, 0, 1)[None] / 255.0
    with torch.no_grad():
        output = network.transmit(batch, torch.tensor([100.0]), torch.Generator().manual_seed(0))[0]
    found_db = -10 * np.log10(float((output - batch).square().mean()))
    # The pilot says to a few per cent how far the image was scaled, which costs some tenths of a dB and no more.
    assert best_db - 1.0 < found_db <= best_db + 0.01


def test_power_and_pilot_are_as_stated() -> None:
    network, _ = started()
    batch = torch.from_numpy(np.stack(photos())).permute(0, 3, 1, 2) / 255.0
    with torch.no_grad():
        raw = network.encoder(batch * 2 - 1, torch.full((4,), 10.0))
    # On these photos the code has been made so that a complex symbol has unit power before any constraint. It was
    # made from as many blocks as they have (500 a photo and more are all of them): rounding alone remains.
    assert 2 * float(raw.double().square().mean()) == pytest.approx(1.0, abs=0.02)
    pilot = float(network.decoder.pilot.detach().square().sum())
    assert pilot / SYMBOLS == pytest.approx(PILOT_SHARE, rel=1e-5)


@pytest.mark.parametrize("constellation", ["none", "16qam"])
def test_it_is_fit_for_noise_at_once(constellation: Constellation) -> None:
    network, _ = started(constellation)
    batch = torch.from_numpy(np.stack(photos())).permute(0, 3, 1, 2) / 255.0
    flat = float((batch - batch.mean(dim=(1, 2, 3), keepdim=True)).square().mean())
    errors = []
    with torch.no_grad():
        for snr_db in (-20.0, 0.0, 10.0, 20.0):
            output = network.transmit(batch, torch.full((4,), snr_db), torch.Generator().manual_seed(0))[0]
            errors.append(float((output - batch).square().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < 3 * flat  # where nothing arrives, hardly worse than a grey image
    assert errors[1] < 0.75 * flat  # at 0 dB every linear code loses much


def test_more_symbols_than_a_block_has_numbers() -> None:
    network = DeepJscc(DeepJsccConfig(symbols=100, width=8, blocks=1)).eval()
    begin_linear(network, second_moment(photos(), seed=0), seed=0)
    batch = torch.from_numpy(photos()[0]).permute(2, 0, 1)[None] / 255.0
    with torch.no_grad():
        output = network.transmit(batch, torch.tensor([60.0]), torch.Generator().manual_seed(0))[0]
    assert float((output - batch).square().mean()) < 1e-3  # what remains is the pilot's error of some per cent
