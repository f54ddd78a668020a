"""The compiled part of decoding: sum-product belief propagation on a quasi-cyclic code, one codeword at a time. Numba.

A 5G code is a small base graph; each of its edges stands for a z × z identity matrix whose columns are rotated by a
shift (3GPP TS 38.212, 5.3.2). So the z checks of a row meet the z bits of a column in order, and every loop below runs
over contiguous floats in plain arithmetic, which LLVM turns into vector instructions. For the same reason exp and log
are polynomials here and no calls.

Schedule and messages are those of Sionna's flooding "boxplus", which the tests hold it against: all checks answer to
the beliefs of the iteration before, with messages within ± `LLR_MAX`. Here a codeword is done when its checks hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import njit

__all__ = ["LLR_MAX", "propagate"]

LLR_MAX = 20.0
"""Messages stay within ± this; Sionna's default."""

_MAX = np.float32(LLR_MAX)
_TINY = np.float32(1e-12)  # stands for a tanh of 0, since products are divided by it
_BELOW_ONE = np.float32(1 - 2.0**-23)  # the largest product whose atanh is taken; a message of 16.6
_ZERO, _HALF, _ONE, _TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
_LOG2_E, _LOG_2, _SQRT_2 = np.float32(1.4426950408889634), np.float32(0.6931471805599453), np.float32(2**0.5)
# Taylor's coefficients of exp, and of log((1 + s) / (1 − s)) = 2 (s + s³/3 + s⁵/5 + …).
_E3, _E4, _E5, _E6 = (np.float32(1 / d) for d in (6, 24, 120, 720))
_L3, _L5, _L7 = (np.float32(2 / d) for d in (3, 5, 7))
_BIAS, _MANTISSA_BITS, _MANTISSA = np.int32(127), np.int32(23), np.int32(0x7FFFFF)  # of a float32
_ONE_BITS = np.int32(127 << 23)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled at the first call; the machine code is kept in numba's cache."""
    return cast("Callable[..., Any]", njit(cache=True, error_model="numpy", nogil=True)(function))


@_compiled
def _subtract(out: Any, beliefs: Any, messages: Any) -> None:
    """out = beliefs − messages, within ± LLR_MAX."""
    for i in range(len(out)):
        out[i] = min(max(beliefs[i] - messages[i], -_MAX), _MAX)


@_compiled
def _add(beliefs: Any, messages: Any) -> None:
    """beliefs += messages."""
    for i in range(len(messages)):
        beliefs[i] += messages[i]


@_compiled
def _half_tanh(x: Any, scratch: Any, bits: Any) -> None:
    """x → tanh(x / 2) in place, for |x| ≤ LLR_MAX; never 0.

    tanh(x / 2) = (1 − e) / (1 + e) with e = exp(−|x|) = 2^−k exp(r), |r| ≤ ln(2) / 2. `bits` is `scratch` as int32.
    """
    for i in range(len(x)):
        bits[i] = (_BIAS - np.int32(abs(x[i]) * _LOG2_E + _HALF)) << _MANTISSA_BITS
    for i in range(len(x)):
        a = abs(x[i]) * _LOG2_E
        r = (np.float32(np.int32(a + _HALF)) - a) * _LOG_2
        e = scratch[i] * (_ONE + r * (_ONE + r * (_HALF + r * (_E3 + r * (_E4 + r * (_E5 + r * _E6))))))
        t = max((_ONE - e) / (_ONE + e), _TINY)
        x[i] = t if x[i] >= _ZERO else -t


@_compiled
def _twice_atanh(x: Any, product: Any, exponents: Any, scratch: Any, bits: Any) -> None:
    """x → 2 atanh(product / x) in place: what a check says to a bit, without what the bit said.

    2 atanh(p) = ±log((1 + |p|) / (1 − |p|)), the logarithm from exponent and mantissa. Three loops, since a loop that
    touches `scratch` under both of its names would not be vectorised.
    """
    for i in range(len(x)):
        p = product[i] / x[i]
        a = min(abs(p), _BELOW_ONE)
        scratch[i] = (_ONE + a) / (_ONE - a)
        x[i] = p
    for i in range(len(x)):
        exponents[i] = np.float32((bits[i] >> _MANTISSA_BITS) - _BIAS) + _HALF
        bits[i] = (bits[i] & _MANTISSA) | _ONE_BITS
    for i in range(len(x)):
        m = scratch[i]  # in [1, 2)
        s = (m - _SQRT_2) / (m + _SQRT_2)  # in ± 0.172
        q = s * s
        y = exponents[i] * _LOG_2 + s * (_TWO + q * (_L3 + q * (_L5 + q * _L7)))
        x[i] = y if x[i] >= _ZERO else -y


@_compiled
def _check_row(
    begin: int, end: int, columns: Any, shifts: Any, old: Any, new: Any, messages: Any, workspace: Any, bits: Any
) -> None:
    """All z checks of a row of the base graph: reads beliefs in `old`, adds what they say to `new`, and keeps it."""
    product, exponents, scratch = workspace[0], workspace[1], workspace[2]
    z = len(product)
    product[:] = _ONE
    for edge in range(begin, end):
        x, belief, shift = messages[edge], old[columns[edge]], shifts[edge]
        _subtract(x[: z - shift], belief[shift:], x[: z - shift])
        _subtract(x[z - shift :], belief[:shift], x[z - shift :])
        _half_tanh(x, scratch, bits)
        for i in range(z):
            product[i] *= x[i]
    for edge in range(begin, end):
        x, belief, shift = messages[edge], new[columns[edge]], shifts[edge]
        _twice_atanh(x, product, exponents, scratch, bits)
        _add(belief[shift:], x[: z - shift])
        _add(belief[:shift], x[z - shift :])


@_compiled
def _checks_hold(starts: Any, columns: Any, shifts: Any, hard: Any, parity: Any) -> bool:
    """Whether hard decisions satisfy every check; stops at the first row that fails."""
    z = len(parity)
    for row in range(len(starts) - 1):
        parity[:] = 0
        for edge in range(starts[row], starts[row + 1]):
            bit, shift = hard[columns[edge]], shifts[edge]
            head, tail = parity[: z - shift], parity[z - shift :]
            upper, lower = bit[shift:], bit[:shift]
            for i in range(len(head)):
                head[i] ^= upper[i]
            for i in range(len(tail)):
                tail[i] ^= lower[i]
        wrong = np.uint8(0)
        for i in range(z):
            wrong |= parity[i]
        if wrong:
            return False
    return True


@_compiled
def propagate(llrs: Any, starts: Any, columns: Any, shifts: Any, iterations: int, hard: Any, needed: Any) -> None:
    """Decodes a batch of codewords.

    Args:
        llrs: (B, columns of the base graph, z) float32, log P(0) / P(1) of every bit.
        starts: (rows + 1,) int64, where the edges of each row of the base graph begin.
        columns: (edges,) int64, the column of each edge.
        shifts: (edges,) int64, its rotation in 0..z − 1.
        iterations: the most of them.
        hard: (B, columns, z) uint8, filled with the decided bits.
        used: (B,) int64, filled with the iterations it took; iterations + 1 where checks were left unsatisfied.
    """
    z = llrs.shape[2]
    messages = np.empty((len(columns), z), np.float32)
    old = np.empty((llrs.shape[1], z), np.float32)
    new = np.empty((llrs.shape[1], z), np.float32)
    workspace, parity = np.empty((3, z), np.float32), np.empty(z, np.uint8)
    bits = workspace[2].view(np.int32)
    for b in range(len(llrs)):
        messages[:] = _ZERO
        new[:] = llrs[b]
        needed[b] = iterations + 1
        for iteration in range(iterations):
            old[:] = new
            new[:] = llrs[b]
            for row in range(len(starts) - 1):
                _check_row(starts[row], starts[row + 1], columns, shifts, old, new, messages, workspace, bits)
            for column in range(llrs.shape[1]):
                for i in range(z):
                    hard[b, column, i] = new[column, i] <= _ZERO
            if _checks_hold(starts, columns, shifts, hard[b], parity):
                needed[b] = iteration + 1
                break
