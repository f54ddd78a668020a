"""The compiled part of graph matching: exact assignment, and the propagation of similarities.

The assignment problem is solved exactly. Neighbourhoods are small and change little from one iteration to the next:
up to four rows are solved by dynamic programming over the columns; more rows keep the previous iteration's assignment
if prices can be found that prove it still optimal; only where that fails, and at first, come shortest augmenting
paths from scratch (Jonker and Volgenant 1987, Computing 38).

The kernel trusts its numbers: an unordered NaN would lead its search out of its arrays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semetric.scene._compiler import compiled, inlined

__all__ = ["propagate"]

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]

_SMALL = 4
"""Assignments of so many rows are solved from scratch each time; larger ones keep their last solution."""


@inlined
def _max(a: float, b: float) -> float:
    """The larger, without the NaN cases of max, so that no branch remains."""
    return a if a > b else b


@inlined
def _two_rows(w: _Floats, l: int) -> float:  # noqa: E741
    """The largest sum over assignments of the 2 rows of w to its l ≥ 2 columns, row by row.

    f with a digit S is the best sum so far of the rows in the bit set S; each column may be given to one row more.
    """
    f1 = f2 = f3 = -np.inf
    for j in range(l):
        a, b = w[j], w[l + j]
        f3 = _max(_max(f3, f2 + a), f1 + b)
        f1 = _max(f1, a)
        f2 = _max(f2, b)
    return f3


@inlined
def _three_rows(w: _Floats, l: int) -> float:  # noqa: E741
    """As `_two_rows`, for 3 rows."""
    f1 = f2 = f3 = f4 = f5 = f6 = f7 = -np.inf
    for j in range(l):
        a, b, c = w[j], w[l + j], w[2 * l + j]
        f7 = _max(_max(_max(f7, f6 + a), f5 + b), f3 + c)
        f3 = _max(_max(f3, f2 + a), f1 + b)
        f5 = _max(_max(f5, f4 + a), f1 + c)
        f6 = _max(_max(f6, f4 + b), f2 + c)
        f1 = _max(f1, a)
        f2 = _max(f2, b)
        f4 = _max(f4, c)
    return f7


@inlined
def _four_rows(w: _Floats, l: int) -> float:  # noqa: E741
    """As `_two_rows`, for 4 rows."""
    f1 = f2 = f3 = f4 = f5 = f6 = f7 = f8 = f9 = fA = fB = fC = fD = fE = fF = -np.inf
    for j in range(l):
        a, b, c, d = w[j], w[l + j], w[2 * l + j], w[3 * l + j]
        fF = _max(_max(_max(_max(fF, fE + a), fD + b), fB + c), f7 + d)
        f7 = _max(_max(_max(f7, f6 + a), f5 + b), f3 + c)
        fB = _max(_max(_max(fB, fA + a), f9 + b), f3 + d)
        fD = _max(_max(_max(fD, fC + a), f9 + c), f5 + d)
        fE = _max(_max(_max(fE, fC + b), fA + c), f6 + d)
        f3 = _max(_max(f3, f2 + a), f1 + b)
        f5 = _max(_max(f5, f4 + a), f1 + c)
        f6 = _max(_max(f6, f4 + b), f2 + c)
        f9 = _max(_max(f9, f8 + a), f1 + d)
        fA = _max(_max(fA, f8 + b), f2 + d)
        fC = _max(_max(fC, f8 + c), f4 + d)
        f1 = _max(f1, a)
        f2 = _max(f2, b)
        f4 = _max(f4, c)
        f8 = _max(f8, d)
    return fF


@inlined
def _still_optimal(w: _Floats, k: int, l: int, column: _Ints, at: int) -> bool:  # noqa: E741
    """Whether prices exist that prove the assignment row r → column[at + r] optimal (linear-programming duality).

    Prices start at zero and rise (Bellman and Ford) until no row gains by leaving its column. A free column must
    stay at zero. Without a proof after k + 1 sweeps there is an improving cycle.
    """
    price = np.zeros(l)
    free = np.ones(l, np.bool_)
    for r in range(k):
        free[column[at + r]] = False
    for _ in range(k + 1):
        settled = True
        for r in range(k):
            own = column[at + r]
            most = w[r * l + own] - price[own] + 1e-13  # rounding must not pass for an improvement
            for c in range(l):
                needed = w[r * l + c] - most
                if needed > price[c]:
                    if free[c]:
                        return False
                    price[c] = needed + 1e-13
                    settled = False
        if settled:
            return True
    return False


@inlined
def _solve(w: _Floats, k: int, l: int, column: _Ints, at: int) -> None:  # noqa: E741
    """Fills column[at : at + k] with the assignment of the k ≤ l rows of w, row by row, that has the largest sum."""
    u, v, slack = np.empty(k), np.zeros(l), np.empty(l)  # costs are −w; u and v are the dual variables
    row, way, seen = np.full(l, -1, np.int64), np.empty(l, np.int64), np.empty(l, np.bool_)
    # Rows take their cheapest column where it is free.
    for r in range(k):
        best = 0
        for c in range(1, l):
            if w[r * l + c] > w[r * l + best]:
                best = c
        u[r] = -w[r * l + best]
        column[at + r] = -1
        if row[best] < 0:
            row[best] = r
            column[at + r] = best
    # Each row left over finds a shortest augmenting path.
    for start in range(k):
        if column[at + start] >= 0:
            continue
        for c in range(l):
            slack[c] = np.inf
            seen[c] = False
            way[c] = start  # numbers that cannot be compared would leave it unset
        r = start
        low = 0.0
        sink = -1
        while sink < 0:
            nearest = np.inf
            best = -1
            base = low - u[r]
            for c in range(l):
                if not seen[c]:
                    reach = base - w[r * l + c] - v[c]
                    if reach < slack[c]:
                        slack[c] = reach
                        way[c] = r
                    if slack[c] < nearest or (slack[c] == nearest and row[c] < 0) or best < 0:
                        nearest = slack[c]
                        best = c
            low = nearest
            seen[best] = True
            if row[best] < 0:
                sink = best
            else:
                r = row[best]
        u[start] += low
        for c in range(l):
            if seen[c] and c != sink:
                u[row[c]] += low - slack[c]
                v[c] -= low - slack[c]
        c = sink
        while True:
            r = way[c]
            row[c] = r
            previous = column[at + r]
            column[at + r] = c
            if r == start:
                break
            c = previous


@inlined
def _assign(w: _Floats) -> tuple[float, _Ints]:
    """The largest sum over one-to-one pairs of rows and columns of w (n, m); each row's column (n,), −1 for none."""
    n, m = w.shape
    k, l = min(n, m), max(n, m)  # noqa: E741
    flat = w.T.copy().reshape(-1) if n > m else w.reshape(-1)
    chosen, column = np.empty(k, np.int64), np.full(n, -1, np.int64)
    _solve(flat, k, l, chosen, 0)
    total = 0.0
    for r in range(k):
        if n > m:
            column[chosen[r]] = r
        else:
            column[r] = chosen[r]
        total += flat[r * l + chosen[r]]
    return total, column


_GRAPH = "f8[::1], i8[::1], i8[::1], i8[::1], f8[::1]"


@compiled(
    f"Tuple((f8, f8, f8[:, ::1], i8[::1], i8[::1]))({_GRAPH}, {_GRAPH}, f8[:, ::1], f8, f8, i8, b1, f8[:, ::1], "
    "f8[:, :, ::1])"
)
def propagate(
    importance1: _Floats,
    start1: _Ints,
    object1: _Ints,
    predicate1: _Ints,
    share1: _Floats,
    importance2: _Floats,
    start2: _Ints,
    object2: _Ints,
    predicate2: _Ints,
    share2: _Floats,
    predicate_similarity: _Floats,
    alpha: float,
    beta: float,
    iterations: int,
    in_place: bool,
    initial: _Floats,
    history: _Floats,
) -> tuple[float, float, _Floats, _Ints, _Ints]:
    """Propagates similarities between two graphs and solves the final assignments (SeSS, Eq. 19–23).

    Args:
        importance1: (n,) ≥ 0, sum 1; n ≥ 1.
        start1: (n + 1,) where each node's outgoing edges start in the next three.
        object1: (E,) object of each edge.
        predicate1: (E,) predicate of each edge.
        share1: (E,) importance of each object within its row, sum 1.
        importance2: (m,), and so on for graph 2.
        start2: (m + 1,).
        object2: (F,).
        predicate2: (F,).
        share2: (F,).
        predicate_similarity: (P, P).
        alpha: weight of the relations against the objects.
        beta: weight of the neighbourhood in each update.
        iterations: number of updates.
        in_place: from the second iteration on, updates see those before them in the same iteration.
        initial: (n, m) L before the first iteration.
        history: (iterations + 1, n, m), filled with every L; (0, n, m) where they are not wanted.

    Returns:
        s1, s2, L after the last iteration (n, m), and the column of each row, −1 for none, in the row-weighted and in
        the column-weighted assignment: (n,) each.
    """
    n, m = initial.shape
    # What no iteration changes: for each pair of edges, where its L lies and the relations' part of M (Eq. 20). Pairs
    # of nodes come in order, each a small matrix, row by row, turned so that it has no more rows than columns.
    pairs = len(object1) * len(object2)
    where = np.empty(pairs, np.uint32)  # unsigned: numba looks whether other indices are negative
    relation_part = np.empty(pairs)
    assigned = 0
    widest = 1
    t = 0
    for i in range(n):
        a0, a1 = start1[i], start1[i + 1]
        for j in range(m):
            b0, b1 = start2[j], start2[j + 1]
            smaller = min(a1 - a0, b1 - b0)
            widest = max(widest, smaller * max(a1 - a0, b1 - b0))
            if smaller > _SMALL:
                assigned += 2 * smaller
            if a1 - a0 <= b1 - b0:
                for a in range(a0, a1):
                    for b in range(b0, b1):
                        where[t] = object1[a] * m + object2[b]
                        relation_part[t] = alpha * predicate_similarity[predicate1[a], predicate2[b]]
                        t += 1
            else:
                for b in range(b0, b1):
                    for a in range(a0, a1):
                        where[t] = object1[a] * m + object2[b]
                        relation_part[t] = alpha * predicate_similarity[predicate1[a], predicate2[b]]
                        t += 1

    chosen = np.empty(assigned, np.int64)  # the columns of all larger neighbourhoods' assignments, one after the other
    w1, w2 = np.empty(widest), np.empty(widest)
    old, new = initial.flatten(), initial.flatten()
    if len(history):
        history[0] = initial
    objects_part = 1.0 - alpha
    stay = 1.0 - beta
    for iteration in range(iterations):
        t = 0
        at = 0
        for i in range(n):
            a0 = start1[i]
            d1 = start1[i + 1] - a0
            for j in range(m):
                b0 = start2[j]
                d2 = start2[j + 1] - b0
                # The neighbourhoods' similarity under either graph's importance (Eq. 21).
                if d1 == 0 or d2 == 0:
                    s = 1.0 if d1 == d2 else 0.0
                else:
                    s1 = 0.0
                    s2 = 0.0
                    if d1 <= d2:
                        k, l, share_k, share_l, k0, l0 = d1, d2, share1, share2, a0, b0  # noqa: E741
                    else:
                        k, l, share_k, share_l, k0, l0 = d2, d1, share2, share1, b0, a0  # noqa: E741
                    if k == 1:
                        s1 = -np.inf
                        s2 = -np.inf
                        for b in range(l):
                            x1 = objects_part * old[where[t]] + relation_part[t]
                            t += 1
                            s1 = _max(s1, x1)
                            s2 = _max(s2, x1 * share_l[l0 + b])
                    else:
                        q = 0
                        for a in range(k):
                            share = share_k[k0 + a]
                            for b in range(l):
                                x1 = objects_part * old[where[t]] + relation_part[t]
                                t += 1
                                w1[q] = x1 * share
                                w2[q] = x1 * share_l[l0 + b]
                                q += 1
                        if k == 2:
                            s1, s2 = _two_rows(w1, l), _two_rows(w2, l)
                        elif k == 3:
                            s1, s2 = _three_rows(w1, l), _three_rows(w2, l)
                        elif k == 4:
                            s1, s2 = _four_rows(w1, l), _four_rows(w2, l)
                        else:
                            for side in range(2):
                                w = w1 if side == 0 else w2
                                if iteration == 0 or not _still_optimal(w, k, l, chosen, at):
                                    _solve(w, k, l, chosen, at)
                                total = 0.0
                                for a in range(k):
                                    total += w[a * l + chosen[at + a]]
                                at += k
                                if side == 0:
                                    s1 = total
                                else:
                                    s2 = total
                    if d1 > d2:
                        s1, s2 = s2, s1
                    both = importance1[i] + importance2[j]
                    s = (s1 * importance1[i] + s2 * importance2[j]) / both if both > 0.0 else 0.5 * (s1 + s2)
                new[i * m + j] = stay * old[i * m + j] + beta * s  # Eq. 22
        if not in_place:
            old, new = new, old
        elif iteration == 0:
            old = new
        if len(history):
            history[iteration + 1] = old.reshape(n, m)

    # The assignments under either graph's importance (Eq. 23).
    final = old.reshape(n, m)
    weights = np.empty((n, m))
    for i in range(n):
        for j in range(m):
            weights[i, j] = final[i, j] * importance1[i]
    sum1, rows = _assign(weights)
    for i in range(n):
        for j in range(m):
            weights[i, j] = final[i, j] * importance2[j]
    sum2, columns = _assign(weights)
    return sum1, sum2, final, rows, columns
