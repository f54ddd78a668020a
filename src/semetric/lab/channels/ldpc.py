"""One 5G LDPC code: Sionna's encoder and rate matching, belief propagation of our own."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from semetric.lab.channels._sionna import sionna
from semetric.models.torch_state import clean_state, loading

__all__ = ["LdpcCode", "ldpc_code"]


class LdpcCode:
    """The code of 3GPP TS 38.212 (5.3.2, 5.4.2) for blocks of k bits sent as n, redundancy version 0, no CRC.

    Attributes:
        k: information bits of a block.
        n: coded bits of a block.
    """

    @loading()
    def __init__(self, k: int, n: int, bits_per_symbol: int) -> None:
        """Builds the parity-check matrix, which takes about a tenth of a second; see `ldpc_code`.

        Args:
            k: 12..8448.
            n: at least k / 0.925, at most 3k; a multiple of the bits per symbol.
            bits_per_symbol: for the interleaver of 5.4.2.2.
        """
        self.k, self.n = k, n
        self._encoder = sionna("fec.ldpc").LDPC5GEncoder(
            k, n, num_bits_per_symbol=bits_per_symbol, device="cpu", check_input=False
        )
        z = self._z = int(self._encoder.z)
        self._systematic = int(self._encoder.k_ldpc)  # k and the filler bits
        self._order = self._encoder.out_int_inv.numpy()
        # Rows of the base graph beyond the bits that are sent check nothing: their parity bits are unknown.
        graph_columns = -(-(2 * z + n + self._systematic - k) // z)
        rows = max(4, graph_columns - self._systematic // z)
        self._columns = self._systematic // z + rows
        matrix = self._encoder.pcm
        edges = [np.sort(matrix.indices[matrix.indptr[r * z] : matrix.indptr[r * z + 1]]) for r in range(rows)]
        places = np.concatenate(edges).astype(np.int64)
        self._graph = (np.cumsum([0, *map(len, edges)], dtype=np.int64), places // z, places % z)

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Information bits as codewords.

        Args:
            bits: (B, k) of 0 and 1.

        Returns:
            (B, n), interleaved for the modulation.
        """
        import torch

        with clean_state(inference=True):
            coded: NDArray[np.uint8] = self._encoder(torch.from_numpy(bits.astype(np.float32))).numpy().astype(np.uint8)
        return coded

    def decode(self, llrs: NDArray[np.float32], iterations: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Information bits from what the channel says of the coded ones: flooding sum-product, float32.

        A codeword ends after the iteration that satisfies all its parity checks, at the latest after `iterations`.

        Args:
            llrs: (B, n) log P(0) / P(1), as demodulated.
            iterations: at least 1.

        Returns:
            (B, k) bits, and (B,) whether all parity checks hold.
        """
        from semetric.lab.channels._propagation import LLR_MAX, propagate

        sent = np.clip(llrs[:, self._order], -LLR_MAX, LLR_MAX)
        beliefs = np.zeros((len(llrs), self._columns * self._z), np.float32)
        # Not sent: the first 2z bits, and the filler, which is known to be 0.
        head = self.k - 2 * self._z
        beliefs[:, 2 * self._z : self.k] = sent[:, :head]
        beliefs[:, self.k : self._systematic] = LLR_MAX
        beliefs[:, self._systematic : self._systematic + self.n - head] = sent[:, head:]
        hard = np.empty(beliefs.shape, np.uint8)
        needed = np.empty(len(llrs), np.int64)
        shape = (len(llrs), self._columns, self._z)
        propagate(beliefs.reshape(shape), *self._graph, iterations, hard.reshape(shape), needed)
        return hard[:, : self.k], needed <= iterations


@lru_cache(maxsize=64)
def ldpc_code(k: int, n: int, bits_per_symbol: int) -> LdpcCode:
    """As `LdpcCode`, kept for the next blocks of that length."""
    return LdpcCode(k, n, bits_per_symbol)
