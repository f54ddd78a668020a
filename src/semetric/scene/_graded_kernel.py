"""The compiled part of graded matching: how far relations find their like.

Compiled, since many like objects (a wall's bricks) have millions of pairs of partners, which arrays of numpy cannot
hold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semetric.scene._compiler import compiled

__all__ = ["relations_kept"]

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


_SIDE = "f8[:, ::1], i8[::1], i8[::1], f8[::1], f8[:, ::1]"


@compiled(f"f8[::1]({_SIDE}, i4[:, ::1], f8[::1], f8[:, ::1])")
def relations_kept(
    likely: _Floats,
    subject: _Ints,
    object_: _Ints,
    probability: _Floats,
    code: _Floats,
    between: NDArray[np.int32],
    other_probability: _Floats,
    other_code: _Floats,
) -> _Floats:
    """ρ_e · K_e of each relation of one side, (E,) in [0, 1] (the module `semetric.scene.graded`).

    For each relation, pairs of partners are tried from the likeliest down, until none that follows can beat the best.

    Args:
        likely: (n, m) P, how far each pair of objects keeps relations; below 0 as 0.
        subject: (E,) below n.
        object_: (E,) below n.
        probability: (E,) ρ_e.
        code: (E, D) unit vectors whose inner products are the predicates' similarities.
        between: (m, m) the other graph's relation from subject (row) to object (column), −1 where there is none.
        other_probability: (F,) ρ_f.
        other_code: (F, D).
    """
    n, m = likely.shape
    count = np.zeros(n, np.int64)
    partner = np.empty((n, m), np.int64)
    chance = np.empty((n, m), np.float64)
    for i in range(n):  # each object's partners, the likeliest first
        for j in range(m):
            value = likely[i, j]
            if value > 0.0:
                place = count[i]
                while place > 0 and chance[i, place - 1] < value:
                    chance[i, place] = chance[i, place - 1]
                    partner[i, place] = partner[i, place - 1]
                    place -= 1
                chance[i, place] = value
                partner[i, place] = j
                count[i] += 1
    # Pairs of partners from the likeliest down, until none that follows can beat the best.
    dimensions = code.shape[1]
    values = np.empty(len(subject))
    for e in range(len(subject)):
        i, k, own = subject[e], object_[e], probability[e]
        best = 0.0
        for a in range(count[i]):
            if count[k] == 0 or chance[i, a] * chance[k, 0] * own <= best:
                break
            j = partner[i, a]
            for b in range(count[k]):
                both = chance[i, a] * chance[k, b]
                if both * own <= best:
                    break
                f = between[j, partner[k, b]]
                if f < 0:
                    continue
                value = both * min(own, other_probability[f])
                if value <= best:
                    continue
                similarity = 0.0
                for d in range(dimensions):
                    similarity += code[e, d] * other_code[f, d]
                best = max(best, value * min(max(similarity, 0.0), 1.0))
        values[e] = best
    return values
