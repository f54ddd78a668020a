"""Streams over links: error rates against theory, the code's waterfall, accounting, bad input."""

from __future__ import annotations

import math
from dataclasses import asdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from semetric.errors import UsageError
from semetric.lab.channels.link import CODE_RATES, UNIT_BITS, Link
from semetric.lab.channels.modulation import MODULATIONS
from semetric.lab.channels.theory import bit_error_rate

STREAM = np.random.default_rng(0).bytes(45_000)


def wrong_bits(sent: bytes, arrived: bytes) -> NDArray[np.uint8]:
    """One where a bit differs."""
    return np.unpackbits(np.frombuffer(sent, np.uint8) ^ np.frombuffer(arrived, np.uint8))


@pytest.mark.parametrize("modulation", ["bpsk", "qpsk"])
@pytest.mark.parametrize("es_n0_db", [0.0, 4.0, 7.0])
def test_bits_over_gaussian_noise_fail_as_often_as_theory_says(modulation: str, es_n0_db: float) -> None:
    """Every bit meets noise of its own, so the count is binomial; 99.9% interval at a fixed seed."""
    arrived = Link(modulation=modulation, code_rate=1).transmit(STREAM, es_n0_db, np.random.default_rng(3))
    rate = float(bit_error_rate(modulation, es_n0_db))
    low, high = stats.binom.interval(0.999, 8 * len(STREAM), rate)
    assert low <= arrived.bit_errors <= high
    assert high - low < 0.5 * arrived.bit_errors  # the interval is narrow enough to mean something
    assert arrived.bit_errors == wrong_bits(STREAM, arrived.stream).sum()


@pytest.mark.parametrize("modulation", ["16qam", "64qam"])
@pytest.mark.parametrize(("fading", "es_n0_db"), [("none", 12.0), ("rayleigh", 5.0), ("rayleigh", 15.0)])
def test_dependent_bits_do_so_too(modulation: str, fading: str, es_n0_db: float) -> None:
    """Bits of one symbol share noise and gain: symbols are the independent draws. 99.9% interval of their mean."""
    link = Link(modulation=modulation, code_rate=1, fading=fading)
    arrived = link.transmit(STREAM, es_n0_db, np.random.default_rng(4))
    check_mean(wrong_bits(STREAM, arrived.stream), MODULATIONS[modulation], link, es_n0_db)


@pytest.mark.parametrize("modulation", ["bpsk", "qpsk"])
def test_rayleigh_fading_agrees_with_theory(modulation: str) -> None:
    link = Link(modulation=modulation, code_rate=1, fading="rayleigh")
    arrived = link.transmit(STREAM, 8.0, np.random.default_rng(5))
    check_mean(wrong_bits(STREAM, arrived.stream), MODULATIONS[modulation], link, 8.0)


def test_block_fading_agrees_with_theory() -> None:
    """One gain a block: blocks are the independent draws."""
    link = Link(code_rate=1, fading="rayleigh_block", block_bits=UNIT_BITS)
    arrived = link.transmit(STREAM, 8.0, np.random.default_rng(6))
    assert arrived.blocks == 1000
    check_mean(wrong_bits(STREAM, arrived.stream), UNIT_BITS, link, 8.0)


def check_mean(wrong: NDArray[np.uint8], together: int, link: Link, es_n0_db: float) -> None:
    draws = wrong.reshape(-1, together).mean(1)
    expected = float(bit_error_rate(link.modulation, es_n0_db, fading=link.fading != "none"))
    deviation = draws.std() / math.sqrt(len(draws))
    assert abs(draws.mean() - expected) <= stats.norm.ppf(0.9995) * deviation
    assert deviation < 0.1 * expected


def test_stream_fading_is_one_gain_for_all_blocks() -> None:
    counts: dict[str, list[NDArray[np.float64]]] = {"rayleigh_block": [], "rayleigh_stream": []}
    for fading, found in counts.items():
        link = Link(code_rate=1, fading=fading, block_bits=UNIT_BITS)
        for seed in range(60):
            arrived = link.transmit(STREAM[:90], 5.0, np.random.default_rng(seed))
            found.append(wrong_bits(STREAM[:90], arrived.stream).reshape(2, -1).mean(1))
    correlation = {name: np.corrcoef(np.array(found).T)[0, 1] for name, found in counts.items()}
    assert correlation["rayleigh_stream"] > 0.9
    assert abs(correlation["rayleigh_block"]) < 0.45  # 3.5 standard deviations of 60 independent pairs


def test_ldpc_has_its_waterfall() -> None:
    """Rate 1/2 QPSK: all blocks are lost at −0.5 dB, none at 2 dB, and 1 dB between costs more than a factor of ten."""
    link = Link(block_bits=1440)
    lost = {snr_db: link.transmit(STREAM, snr_db, np.random.default_rng(7)) for snr_db in (-0.5, 0.75, 1.75)}
    shares = {snr_db: t.block_errors / t.blocks for snr_db, t in lost.items()}
    assert shares[-0.5] == 1
    assert lost[-0.5].bit_errors > 0.05 * 8 * len(STREAM)
    assert shares[0.75] > 0.2
    assert shares[1.75] < shares[0.75] / 10
    # Shannon: no code of this rate works below Es / N0 = 1 (two bits a use at rate 1/2), which is 0 dB.
    assert link.transmit(STREAM, 3.0, np.random.default_rng(7)).stream == STREAM


@pytest.mark.parametrize(
    ("modulation", "code_rate", "snr_db"),
    [("bpsk", "1/2", 0.0), ("qpsk", "1/3", 1.5), ("16qam", "2/3", 10.5), ("64qam", "3/4", 17.0), ("qpsk", "5/6", 7.5)],
)
def test_a_good_channel_is_error_free_a_bad_one_is_not(modulation: str, code_rate: str, snr_db: float) -> None:
    link = Link(modulation=modulation, code_rate=code_rate)
    assert link.transmit(STREAM[:9000], snr_db, np.random.default_rng(8)).block_errors == 0
    bad = link.transmit(STREAM[:9000], snr_db - 6, np.random.default_rng(8))
    assert bad.block_errors == bad.blocks
    assert bad.intact_bytes == 0


@given(
    stream=st.binary(max_size=200), modulation=st.sampled_from(list(MODULATIONS)), code_rate=st.sampled_from([0.5, 1])
)
@settings(max_examples=40, deadline=None)
def test_any_stream_arrives_byte_for_byte(stream: bytes, modulation: str, code_rate: float) -> None:
    link = Link(modulation=modulation, code_rate=code_rate)
    arrived = link.transmit(stream, 40.0, np.random.default_rng(0))
    assert arrived.stream == stream
    assert (arrived.bit_errors, arrived.block_errors, arrived.intact_bytes) == (0, 0, len(stream))


def test_no_bytes_take_no_channel_use() -> None:
    arrived = Link().transmit(b"", 0.0, np.random.default_rng(0))
    assert (arrived.stream, arrived.blocks, arrived.channel_uses, arrived.coded_bits) == (b"", 0, 0, 0)


@pytest.mark.parametrize("fading", ["none", "rayleigh", "rayleigh_block", "rayleigh_stream"])
def test_the_seed_decides_and_the_batch_does_not(fading: str) -> None:
    link = Link(fading=fading, block_bits=720)
    snr_db = 0.5 if fading == "none" else 3.0
    found = [asdict(link.transmit(STREAM[:5000], snr_db, np.random.default_rng(1), batch_blocks=b)) for b in (1, 5, 64)]
    assert found[0]["bit_errors"] > 0 or fading == "rayleigh_stream"
    assert found[0] == found[1] == found[2]
    other = link.transmit(STREAM[:5000], snr_db, np.random.default_rng(2))
    assert asdict(other) != found[0] or fading == "rayleigh_stream"


def test_global_seeds_have_no_part_in_it() -> None:
    import torch

    link = Link(fading="rayleigh")
    torch.manual_seed(1)
    first = link.transmit(STREAM[:900], 2.0, np.random.default_rng(1))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = link.transmit(STREAM[:900], 2.0, np.random.default_rng(1))
    assert asdict(first) == asdict(second)
    assert torch.equal(state, torch.get_rng_state())


@given(
    size=st.integers(0, 100_000),
    modulation=st.sampled_from(list(MODULATIONS)),
    code_rate=st.sampled_from(list(CODE_RATES)),
)
def test_channel_uses_are_the_units_of_the_stream(size: int, modulation: str, code_rate: str) -> None:
    link = Link(modulation=modulation, code_rate=code_rate)
    uses = Fraction(math.ceil(Fraction(8 * size, UNIT_BITS)) * UNIT_BITS) / link.bits_per_use
    assert uses.denominator == 1
    assert link.channel_uses(size) == uses
    assert link.bits_per_use == Fraction(code_rate) * MODULATIONS[modulation]
    # What fits is the longest that does.
    capacity = link.capacity_bytes(link.channel_uses(size))
    assert size <= capacity < size + UNIT_BITS // 8
    assert link.channel_uses(capacity) <= link.channel_uses(size) < link.channel_uses(capacity + 1)
    assert size == 0 or link.capacity_bytes(link.channel_uses(size) - 1) < size


@pytest.mark.parametrize("code_rate", ["1/2", "1"])
@pytest.mark.parametrize("size", [1, 45, 46, 1035, 1036, 4097])
def test_a_transmission_counts_what_the_link_foretells(size: int, code_rate: str) -> None:
    link = Link(modulation="16qam", code_rate=code_rate)
    arrived = link.transmit(STREAM[:size], 30.0, np.random.default_rng(0))
    assert arrived.channel_uses == link.channel_uses(size)
    assert arrived.coded_bits == 4 * arrived.channel_uses
    assert arrived.blocks == math.ceil(math.ceil(size / 45) * 45 / 1035)


def test_intact_bytes_end_where_the_first_bad_block_begins() -> None:
    link = Link(block_bits=720)
    for seed in range(20):
        arrived = link.transmit(STREAM[:9000], 1.4, np.random.default_rng(seed))
        assert arrived.intact_bytes % 90 == 0
        assert arrived.stream[: arrived.intact_bytes] == STREAM[: arrived.intact_bytes]
        if 0 < arrived.intact_bytes < 9000:
            return
    pytest.fail("no stream of twenty was lost in its middle")


def test_eb_n0_is_es_n0_less_the_bits_of_a_use() -> None:
    link = Link(modulation="16qam", code_rate="3/4", snr_kind="eb_n0")
    assert link.es_n0_db(5.0) == pytest.approx(5 + 10 * math.log10(3))
    es = Link(modulation="16qam", code_rate="3/4")
    assert es.es_n0_db(5.0) == 5.0
    # Uncoded BPSK and QPSK have one error rate over Eb / N0.
    counts = [
        Link(modulation=m, code_rate=1, snr_kind="eb_n0").transmit(STREAM, 3.0, np.random.default_rng(9)).bit_errors
        for m in ("bpsk", "qpsk")
    ]
    rate = float(bit_error_rate("bpsk", 3.0))
    low, high = stats.binom.interval(0.999, 8 * len(STREAM), rate)
    assert all(low <= count <= high for count in counts)


def test_names_of_code_rates() -> None:
    assert Link(code_rate=0.5) == Link(code_rate="1/2")
    assert Link(code_rate=2 / 3).to_dict()["code_rate"] == "2/3"
    assert Link(code_rate=1).rate == 1
    assert Link(**Link(modulation="64qam", code_rate=5 / 6).to_dict()) == Link(modulation="64qam", code_rate="5/6")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modulation": "8psk"}, "bpsk, qpsk, 16qam, 64qam; found '8psk'"),
        ({"code_rate": 0.4}, "code rate of 1/3, 1/2, 2/3, 3/4, 5/6, 1; found 0.4"),
        ({"code_rate": "half"}, "found 'half'"),
        ({"code_rate": math.nan}, "found nan"),
        ({"fading": "rice"}, "fading of none, rayleigh"),
        ({"snr_kind": "snr"}, "snr_kind of es_n0, eb_n0"),
        ({"iterations": 0}, "at least 1 iteration"),
        ({"retransmissions": -1}, "at least 0 retransmissions"),
        ({"retransmissions": 1, "code_rate": 1}, "code rate below 1 beside retransmissions"),
        ({"iterations": 2.5}, "at least 1 iteration"),
        ({"block_bits": 8448}, "multiple of 360 bits up to 8280"),
        ({"block_bits": 0}, "multiple of 360"),
    ],
)
def test_what_does_not_exist_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Link(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("snr_db", [math.nan, math.inf, -math.inf, 101.0])
def test_an_snr_is_a_number_of_decibels(snr_db: float) -> None:
    with pytest.raises(UsageError, match="within ± 100 dB"):
        Link().transmit(b"x", snr_db, np.random.default_rng(0))


def test_other_bad_arguments() -> None:
    with pytest.raises(UsageError, match="at least 1 block"):
        Link().transmit(b"x", 0.0, np.random.default_rng(0), batch_blocks=0)
    with pytest.raises(UsageError, match="at least 0 bytes"):
        Link().channel_uses(-1)
    assert Link().capacity_bytes(-5) == 0


@pytest.mark.parametrize("snr_db", [-100.0, 100.0])
@pytest.mark.parametrize("fading", ["none", "rayleigh"])
def test_extreme_snrs_stay_finite(snr_db: float, fading: str) -> None:
    for modulation in MODULATIONS:
        arrived = Link(modulation=modulation, fading=fading).transmit(STREAM[:90], snr_db, np.random.default_rng(0))
        assert (arrived.stream == STREAM[:90]) == (snr_db > 0)


def test_copies_are_combined_and_counted() -> None:
    """Over Gaussian noise two copies of QPSK symbols are one at twice the SNR, and four at four times."""
    plain = Link(block_bits=1440)
    harq = Link(block_bits=1440, retransmissions=3)
    lost = plain.transmit(STREAM[:9000], -1.5, np.random.default_rng(7))
    assert lost.block_errors == lost.blocks == 50  # the waterfall lies between 0.5 and 2 dB
    arrived = harq.transmit(STREAM[:9000], -1.5, np.random.default_rng(7))
    assert arrived.stream == STREAM[:9000]
    assert arrived.block_errors == 0
    assert arrived.intact_bytes == 9000
    # Two copies have 1.5 dB, where few blocks are lost: every block is sent again once, few a second time.
    assert 50 <= arrived.retransmissions < 60
    assert arrived.channel_uses == plain.channel_uses(9000) + arrived.retransmissions * plain.channel_uses(180)
    assert arrived.coded_bits == 2 * arrived.channel_uses
    good = harq.transmit(STREAM[:9000], 8.0, np.random.default_rng(7))
    assert (good.retransmissions, good.channel_uses) == (0, plain.channel_uses(9000))


@pytest.mark.parametrize(
    ("fading", "snr_db"), [("none", 0.5), ("rayleigh_block", 0.5), ("rayleigh_stream", -8.0), ("jakes", 0.5)]
)
def test_copies_do_not_depend_on_the_batch(fading: str, snr_db: float) -> None:
    link = Link(block_bits=720, retransmissions=2, fading=fading)
    every = [asdict(link.transmit(STREAM[:900], snr_db, np.random.default_rng(1), batch_blocks=b)) for b in (1, 3, 64)]
    assert every[0]["retransmissions"] > 0
    assert every[0] == every[1] == every[2]


def test_copies_meet_gains_of_their_own() -> None:
    """Blocks that fade away are saved by another gain, but not where one gain lasts the stream."""
    lost = {}
    for fading in ("rayleigh_block", "rayleigh_stream"):
        link = Link(block_bits=360, retransmissions=1, fading=fading)
        trials = [link.transmit(STREAM[:45], 4.0, np.random.default_rng(seed)) for seed in range(60)]
        lost[fading] = sum(trial.block_errors for trial in trials)
    assert lost["rayleigh_block"] < lost["rayleigh_stream"]
