"""A digital link: bytes through channel code, modulation and a noisy channel to bytes.

Conventions:

- A channel use is one complex symbol; a BPSK symbol is real and still one use.
- Symbols have mean energy Es = 1. The noise is circular complex Gaussian with E|n|² = N0, so N0 / 2 in each dimension.
  BPSK therefore meets N0 / 2, and its error rate is Q(√(2 Es / N0)).
- Eb is the energy of a bit of the stream: Eb / N0 = Es / N0 − 10 log10(code rate · bits per symbol) in dB. Padding, at
  most 359 bits a stream, is left out of that.
- Retransmissions (hybrid ARQ) count as channel uses; the feedback that asks for them is free and free of errors.
- Under fading Es / N0 is the mean: the gain h has E|h|² = 1, and the receiver knows it (`base.ChannelModel`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.lab.channels.base import ChannelModel, Symbols
from semetric.lab.channels.ldpc import ldpc_code
from semetric.lab.channels.modulation import bits_per_symbol, demodulate, modulate
from semetric.lab.channels.registry import channel_named

__all__ = ["CODE_RATES", "UNIT_BITS", "Link", "SnrKind", "Transmission"]

SnrKind: TypeAlias = Literal["es_n0", "eb_n0"]

CODE_RATES: Mapping[str, Fraction] = MappingProxyType(
    {rate: Fraction(rate) for rate in ("1/3", "1/2", "2/3", "3/4", "5/6", "1")}
)
"""Information bits per coded bit; 1 is no code at all."""

UNIT_BITS = 360
"""Blocks are multiples of this: whole bytes, and whole 64QAM symbols at every code rate."""

_LARGEST_BLOCK = 23 * UNIT_BITS  # 5G's base graph 1 takes up to 8448 bits


@dataclass(frozen=True, kw_only=True, eq=False)
class Transmission:
    """What arrived.

    Attributes:
        stream: as many bytes as were sent.
        bit_errors: bits of the stream that are wrong.
        block_errors: blocks with any wrong information bit.
        blocks: code blocks that were sent.
        retransmissions: blocks that were sent again, each time counted.
        channel_uses: complex symbols that were sent, retransmissions included.
        coded_bits: bits that those symbols carry.
        intact_bytes: bytes at the start whose blocks satisfy their parity checks: as far as the receiver may trust the
            stream. Without a code there is nothing to check, and all count.
    """

    stream: bytes = field(repr=False)
    bit_errors: int
    block_errors: int
    blocks: int
    retransmissions: int
    channel_uses: int
    coded_bits: int
    intact_bytes: int


@dataclass(frozen=True, kw_only=True)
class Link:
    """How bytes are protected, modulated and disturbed.

    A stream is padded with zero bits to a multiple of `UNIT_BITS` and cut into the fewest blocks of at most
    `block_bits`, of lengths that differ by at most one unit. The padding is sent and counted. The receiver knows the
    stream's length, the block boundaries, the noise variance and the gains; none of that is charged.

    Attributes:
        modulation: a name of `MODULATIONS`.
        code_rate: of the 5G LDPC code: "1/3", "1/2", "2/3", "3/4", "5/6", or "1" for uncoded bits, which the nearest
            symbol decides. A float as 0.5 or 2 / 3 becomes its name.
        fading: a name of `CHANNELS`, perhaps with options: "rician:k_factor=4".
        snr_kind: what `snr_db` means: Es / N0 or Eb / N0.
        iterations: of belief propagation, at most; a block ends where its parity checks hold.
        block_bits: the longest block in information bits, a multiple of 360 up to 8280.
        retransmissions: how often a block whose parity checks fail is sent again, at most. The receiver adds the
            log-likelihood ratios of all its copies (Chase, IEEE Trans. Commun. 1985). A copy meets gains of its own,
            but for a channel whose gain lasts a stream.

    Examples:
        >>> link = Link(modulation="16qam", code_rate="1/2", fading="rician:k_factor=4")
        >>> link.bits_per_use, link.channel_uses(1000)  # with 100 bits of padding
        (Fraction(2, 1), 4140)
    """

    modulation: str = "qpsk"
    code_rate: str | float = "1/2"
    fading: str = "none"
    snr_kind: SnrKind = "es_n0"
    iterations: int = 20
    block_bits: int = _LARGEST_BLOCK
    retransmissions: int = 0

    def __post_init__(self) -> None:
        """Refuses what does not exist.

        Raises:
            UsageError: a field that is none of its choices.
        """
        bits_per_symbol(self.modulation)
        object.__setattr__(self, "code_rate", _rate_name(self.code_rate))
        channel_named(self.fading)
        if self.snr_kind not in get_args(SnrKind):
            raise UsageError(f"Expected snr_kind of {', '.join(get_args(SnrKind))}; found {self.snr_kind!r}.")
        if not isinstance(self.iterations, int) or self.iterations < 1:
            raise UsageError(f"Expected at least 1 iteration of belief propagation; found {self.iterations!r}.")
        if self.block_bits not in range(UNIT_BITS, _LARGEST_BLOCK + 1, UNIT_BITS):
            raise UsageError(
                f"Expected blocks of a multiple of {UNIT_BITS} bits up to {_LARGEST_BLOCK}; found {self.block_bits!r}."
            )

        if not isinstance(self.retransmissions, int) or self.retransmissions < 0:
            raise UsageError(f"Expected at least 0 retransmissions; found {self.retransmissions!r}.")
        if self.retransmissions and self.rate == 1:
            raise UsageError("Expected a code rate below 1 beside retransmissions: parity checks ask for them.")

    @cached_property
    def channel(self) -> ChannelModel:
        """What `fading` names."""
        return channel_named(self.fading)

    @property
    def rate(self) -> Fraction:
        """Information bits per coded bit."""
        return CODE_RATES[str(self.code_rate)]

    @property
    def bits_per_use(self) -> Fraction:
        """Information bits per channel use: code rate · bits per symbol."""
        return self.rate * bits_per_symbol(self.modulation)

    def es_n0_db(self, snr_db: float) -> float:
        """Es / N0 in dB of an SNR in this link's kind.

        Raises:
            UsageError: not a finite number within ± 100 dB.
        """
        if not (math.isfinite(snr_db) and abs(snr_db) <= 100):
            raise UsageError(f"Expected an SNR within ± 100 dB; found {snr_db!r}.")
        return snr_db if self.snr_kind == "es_n0" else snr_db + 10 * math.log10(self.bits_per_use)

    def channel_uses(self, size_bytes: int) -> int:
        """Complex symbols that a stream of so many bytes takes, padding included and retransmissions not.

        Raises:
            UsageError: less than no byte.
        """
        if size_bytes < 0:
            raise UsageError(f"Expected a stream of at least 0 bytes; found {size_bytes}.")
        return -(-8 * size_bytes // UNIT_BITS) * self._uses_per_unit

    def capacity_bytes(self, channel_uses: int) -> int:
        """The longest stream that takes at most so many channel uses."""
        return max(channel_uses, 0) // self._uses_per_unit * UNIT_BITS // 8

    def to_dict(self) -> dict[str, Any]:
        """All of it, as plain JSON values."""
        return asdict(self)

    def transmit(
        self, stream: bytes, snr_db: float, rng: np.random.Generator, *, batch_blocks: int = 16
    ) -> Transmission:
        """Sends a stream.

        Args:
            stream: any bytes; none take no channel use.
            snr_db: in this link's kind.
            rng: of gains and noise; equal generators give equal transmissions on one machine.
            batch_blocks: blocks that are worked on at once; about 1 MB each. It changes nothing in what arrives.

        Raises:
            UsageError: an SNR that is no number, no block at a time.
        """
        if batch_blocks < 1:
            raise UsageError(f"Expected at least 1 block at a time; found {batch_blocks}.")
        noise_var = 10 ** (-self.es_n0_db(snr_db) / 10)
        units = -(-8 * len(stream) // UNIT_BITS)
        sent = np.zeros(units * UNIT_BITS, np.uint8)
        sent[: 8 * len(stream)] = np.unpackbits(np.frombuffer(stream, np.uint8))
        arrived = np.empty_like(sent)
        trusted: list[NDArray[np.bool_]] = []  # by block
        lengths: list[NDArray[np.int64]] = []
        block_errors = start = copies = uses = 0
        common = None
        if self.channel.spans_stream:
            uses = units * self._uses_per_unit
            common = self.channel.gains(_normal(rng, (1, self.channel.normals(uses))), uses)  # (1, uses) or (1, 1)
        for count, k in self._batches(units, batch_blocks):
            part = slice(start, start + count * k)
            gains = common
            if common is not None and common.shape[1] > 1:
                first, last = (bit // UNIT_BITS * self._uses_per_unit for bit in (part.start, part.stop))
                gains = common[0, first:last].reshape(count, -1)
            bits, holds, again = self._send(sent[part].reshape(count, k), noise_var, gains, rng)
            copies += again
            uses += (count + again) * (k // UNIT_BITS) * self._uses_per_unit
            arrived[part] = bits.reshape(-1)
            block_errors += int((bits != sent[part].reshape(count, k)).any(1).sum())
            trusted.append(holds)
            lengths.append(np.full(count, k))
            start = part.stop
        holds = np.concatenate([*trusted, [False]])  # the end of the last block counts as the first that fails
        starts = np.cumsum(np.concatenate([[0], *lengths]))
        length = 8 * len(stream)
        return Transmission(
            stream=np.packbits(arrived[:length]).tobytes(),
            bit_errors=int((arrived != sent)[:length].sum()),
            block_errors=block_errors,
            blocks=len(holds) - 1,
            retransmissions=copies,
            channel_uses=uses,
            coded_bits=uses * bits_per_symbol(self.modulation),
            intact_bytes=min(int(starts[np.argmin(holds)]) // 8, len(stream)),
        )

    @property
    def _uses_per_unit(self) -> int:
        uses = UNIT_BITS / self.bits_per_use
        return int(uses)  # whole for every rate and modulation there is

    def _batches(self, units: int, batch_blocks: int) -> Iterator[tuple[int, int]]:
        """(blocks, information bits of each): first those with one unit more."""
        blocks = -(-units * UNIT_BITS // self.block_bits)
        if not blocks:
            return
        short, longer = divmod(units, blocks)
        for count, size in ((longer, short + 1), (blocks - longer, short)):
            for done in range(0, count, batch_blocks):
                yield min(batch_blocks, count - done), size * UNIT_BITS

    def _send(
        self, bits: NDArray[np.uint8], noise_var: float, gains: Symbols | None, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_], int]:
        """(B, k) bits through the channel; (B, k) bits, (B,) whether the parity checks hold, and retransmissions."""
        code = None
        if self.rate < 1:
            code = ldpc_code(bits.shape[1], int(bits.shape[1] / self.rate), bits_per_symbol(self.modulation))
        symbols = modulate(bits if code is None else code.encode(bits), self.modulation)
        received, variance = self._disturb(symbols, noise_var, gains, rng)
        llrs = demodulate(received, variance, self.modulation, nearest=code is None)
        if code is None:
            return (llrs < 0).astype(np.uint8), np.ones(len(bits), bool), 0
        decoded, holds = code.decode(llrs, self.iterations)
        copies = 0
        generators = rng.spawn(len(bits)) if self.retransmissions else []  # one a block, whatever the batch
        lasting = gains if self.channel.lasts == "stream" else None
        for _ in range(self.retransmissions):
            failed = np.flatnonzero(~holds)
            if not failed.size:
                break
            for block in failed:
                received, variance = self._disturb(symbols[block : block + 1], noise_var, lasting, generators[block])
                llrs[block] += demodulate(received, variance, self.modulation)[0]
            decoded[failed], holds[failed] = code.decode(llrs[failed], self.iterations)
            copies += len(failed)
        return decoded, holds, copies

    def _disturb(
        self, symbols: Symbols, noise_var: float, gains: Symbols | None, rng: np.random.Generator
    ) -> tuple[Symbols, NDArray[np.float32]]:
        """y / h of y = h x + n, and the variance of n / h, (B, S) or (B, 1); `gains` are h, or None to draw them."""
        blocks, s = symbols.shape
        count = self.channel.normals(s) if gains is None else 0
        draws = _normal(rng, (blocks, count + s))  # a row a block: then blocks can be sent in batches of any size
        h = self.channel.gains(draws[:, :count], s) if gains is None else gains
        noise = draws[:, count:] * np.float32(noise_var**0.5)
        # A gain of exactly 0 says nothing of the symbol; as 1e-15 it does nearly that, and divides.
        power = np.maximum(np.abs(h) ** 2, np.float32(1e-30))
        return symbols + noise * h.conj() / power, np.float32(noise_var) / power


def _normal(rng: np.random.Generator, shape: tuple[int, int]) -> Symbols:
    """Circular complex Gaussian with E|n|² = 1."""
    draws: Symbols = rng.standard_normal((*shape, 2), np.float32).view(np.complex64)[..., 0]
    return draws * np.float32(2**-0.5)


def _rate_name(rate: str | float) -> str:
    for name, value in CODE_RATES.items():
        if rate == name or (isinstance(rate, (int, float)) and math.isclose(rate, value, abs_tol=1e-6)):
            return name
    raise UsageError(f"Expected a code rate of {', '.join(CODE_RATES)}; found {rate!r}.")
