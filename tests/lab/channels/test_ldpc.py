"""The code against Sionna's decoder."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from semetric.lab.channels._sionna import sionna
from semetric.lab.channels.ldpc import LdpcCode, ldpc_code

RATES = [Fraction(1, 3), Fraction(1, 2), Fraction(2, 3), Fraction(3, 4), Fraction(5, 6)]


def noisy(code: LdpcCode, blocks: int, es_n0_db: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Random bits, and what BPSK over Gaussian noise says of their code."""
    rng = np.random.default_rng(code.n)
    bits = rng.integers(0, 2, (blocks, code.k), np.uint8)
    noise_var = 10 ** (-es_n0_db / 10)
    received = 1 - 2.0 * code.encode(bits) + rng.standard_normal((blocks, code.n)) * (noise_var / 2) ** 0.5
    return bits, (4 * received / noise_var).astype(np.float32)


@pytest.mark.parametrize("rate", RATES, ids=str)
@pytest.mark.parametrize("k", [360, 4320, 8280])
def test_every_length_and_rate_survives_a_good_channel(k: int, rate: Fraction) -> None:
    code = LdpcCode(k, int(k / rate), 6)
    bits, llrs = noisy(code, 2, 8.0)
    assert (llrs[:, 0] != 0).all()
    decoded, holds = code.decode(llrs, 20)
    assert holds.all()
    assert np.array_equal(decoded, bits)


@pytest.mark.parametrize(
    ("k", "n", "blocks", "es_n0_db"),
    [  # both base graphs, many and few filler bits, in the middle of the waterfall
        (360, 720, 150, -1.5),
        (720, 1080, 60, 0.3),
        (3600, 4800, 12, 1.1),
        (4320, 8640, 6, -2.1),
    ],
)
def test_it_decodes_what_sionna_decodes(k: int, n: int, blocks: int, es_n0_db: float) -> None:
    """Sum-product, flooding, 20 iterations; Sionna goes on where our codeword is done."""
    import torch

    code = ldpc_code(k, n, 4)
    bits, llrs = noisy(code, blocks, es_n0_db)
    fec = sionna("fec.ldpc")
    encoder = fec.LDPC5GEncoder(k, n, num_bits_per_symbol=4, device="cpu")
    reference = fec.LDPC5GDecoder(encoder, cn_update="boxplus", num_iter=20, device="cpu")
    assert np.array_equal(encoder(torch.from_numpy(bits).float()).numpy().astype(np.uint8), code.encode(bits))
    expected = reference(torch.from_numpy(-llrs)).numpy().astype(np.uint8)
    found, holds = code.decode(llrs, 20)
    good = (expected == bits).all(1)
    assert 0.05 < good.mean() < 0.999  # the noise is neither too strong nor too weak to tell decoders apart
    # Blocks that need all 20 iterations may fall either way with the last bit of a float.
    assert ((found == bits).all(1) != good).mean() <= 0.02
    same = (found == expected).all(1)
    assert same[good].mean() >= 0.98
    assert (found[holds] == bits[holds]).all()  # what satisfies the checks is the codeword, short of a rare accident
    assert abs((found != bits).mean() - (expected != bits).mean()) <= 0.1 * (expected != bits).mean()


def test_more_iterations_decode_more() -> None:
    code = ldpc_code(720, 1440, 2)
    bits, llrs = noisy(code, 100, -1.5)
    wrong = [(code.decode(llrs, count)[0] != bits).any(1).sum() for count in (6, 10, 30)]
    assert wrong[0] > wrong[1] > wrong[2]


def test_llrs_beyond_all_bounds_do_no_harm() -> None:
    code = ldpc_code(360, 720, 2)
    bits, llrs = noisy(code, 3, 12.0)  # no bit is wrong before decoding
    decoded, holds = code.decode(llrs * np.float32(1e30), 20)
    assert holds.all()
    assert np.array_equal(decoded, bits)
