"""The compiled part of graph matching: exact assignment, and the propagation of similarities. Numba source.

`semetric.scene._machine` compiles `graph_match` and keeps the machine code; import that, not this. To that end
everything here works on pointers (flat arrays, row by row) that the caller allocates, raises nothing, holds no state
and needs no runtime of numba's: plain code that any number of threads may run at once without the GIL.

The assignment problem is solved exactly. Neighbourhoods are small and change little from one iteration to the next:
up to four rows are solved by dynamic programming over the columns; more rows keep the previous iteration's assignment
if prices can be found that prove it still optimal; only where that fails, and at first, come shortest augmenting
paths from scratch (Jonker and Volgenant 1987, Computing 38).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import njit

__all__ = ["SMALL", "graph_match"]

SMALL = 4
"""Assignments of so many rows are solved from scratch each time; larger ones keep their last solution."""


def _inner(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles as part of whatever calls it."""
    return cast("Callable[..., Any]", njit(error_model="numpy")(function))


@_inner
def _max(a: float, b: float) -> float:
    """The larger, without the NaN cases of max, so that no branch remains."""
    return a if a > b else b


@_inner
def _two_rows(w: Any, l: int) -> float:  # noqa: E741
    """The largest sum over assignments of 2 rows to l ≥ 2 columns.

    f with a digit S is the best sum so far of the rows in the bit set S; each column may be given to one row more.
    """
    f1 = f2 = f3 = -np.inf
    for j in range(l):
        a, b = w[j], w[l + j]
        f3 = _max(_max(f3, f2 + a), f1 + b)
        f1 = _max(f1, a)
        f2 = _max(f2, b)
    return f3


@_inner
def _three_rows(w: Any, l: int) -> float:  # noqa: E741
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


@_inner
def _four_rows(w: Any, l: int) -> float:  # noqa: E741
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


@_inner
def _still_optimal(w: Any, k: int, l: int, column: Any, at: int, price: Any, free: Any) -> bool:  # noqa: E741
    """Whether prices exist that prove the assignment row r → column[at + r] optimal (linear-programming duality).

    Prices start at zero and rise (Bellman and Ford) until no row gains by leaving its column. A free column must
    stay at zero. Without a proof after k + 1 sweeps there is an improving cycle.
    """
    for c in range(l):
        price[c] = 0.0
        free[c] = 1
    for r in range(k):
        free[column[at + r]] = 0
    for _ in range(k + 1):
        settled = True
        for r in range(k):
            own = column[at + r]
            most = w[r * l + own] - price[own] + 1e-13  # rounding must not pass for an improvement
            for c in range(l):
                needed = w[r * l + c] - most
                if needed > price[c]:
                    if free[c] == 1:
                        return False
                    price[c] = needed + 1e-13
                    settled = False
        if settled:
            return True
    return False


@_inner
def _solve(
    w: Any,
    k: int,
    l: int,  # noqa: E741
    column: Any,
    at: int,
    u: Any,
    v: Any,
    slack: Any,
    row: Any,
    way: Any,
    seen: Any,
) -> None:
    """Fills column[at : at + k] with the assignment of k ≤ l rows that has the largest sum of w (k, l).

    Costs are −w; u and v are the dual variables. Rows first take their cheapest column where it is free;
    each row left over then finds a shortest augmenting path.
    """
    for c in range(l):
        v[c] = 0.0
        row[c] = -1
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
    for start in range(k):
        if column[at + start] >= 0:
            continue
        for c in range(l):
            slack[c] = np.inf
            seen[c] = 0
            way[c] = start  # numbers that cannot be compared would leave it unset
        r = start
        low = 0.0
        sink = -1
        while sink < 0:
            nearest = np.inf
            best = -1
            base = low - u[r]
            for c in range(l):
                if seen[c] == 0:
                    reach = base - w[r * l + c] - v[c]
                    if reach < slack[c]:
                        slack[c] = reach
                        way[c] = r
                    if slack[c] < nearest or (slack[c] == nearest and row[c] < 0) or best < 0:
                        nearest = slack[c]
                        best = c
            low = nearest
            seen[best] = 1
            if row[best] < 0:
                sink = best
            else:
                r = row[best]
        u[start] += low
        for c in range(l):
            if seen[c] == 1 and c != sink:
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


@_inner
def _assign(
    w: Any,
    n: int,
    m: int,
    column: Any,
    flat: Any,
    u: Any,
    v: Any,
    slack: Any,
    row: Any,
    way: Any,
    seen: Any,
    chosen: Any,
) -> float:
    """Fills column (n,) with each row's column, or −1, in the best assignment of w (n, m); returns its sum."""
    k, l = min(n, m), max(n, m)  # noqa: E741
    for r in range(n):
        column[r] = -1
        for c in range(m):
            flat[c * n + r if n > m else r * m + c] = w[r * m + c]
    _solve(flat, k, l, chosen, 0, u, v, slack, row, way, seen)
    total = 0.0
    for r in range(k):
        if n > m:
            column[chosen[r]] = r
        else:
            column[r] = chosen[r]
        total += flat[r * l + chosen[r]]
    return total


def graph_match(
    n: int,
    m: int,
    importance1: Any,
    start1: Any,
    object1: Any,
    predicate1: Any,
    share1: Any,
    importance2: Any,
    start2: Any,
    object2: Any,
    predicate2: Any,
    share2: Any,
    predicates: int,
    predicate_similarity: Any,
    alpha: float,
    beta: float,
    iterations: int,
    in_place: int,
    similarity: Any,
    other: Any,
    history: Any,
    keep: int,
    where: Any,
    relation_part: Any,
    chosen: Any,
    w1: Any,
    w2: Any,
    u: Any,
    v: Any,
    slack: Any,
    row: Any,
    way: Any,
    seen: Any,
    rows: Any,
    columns: Any,
    shown: Any,
    sums: Any,
) -> None:
    """Propagates similarities between two graphs and solves the final assignments (SeSS, Eq. 19–23).

    Args:
        n: nodes of graph 1, ≥ 1.
        m: nodes of graph 2, ≥ 1.
        importance1: (n,) ≥ 0, sum 1.
        start1: (n + 1,) where each node's outgoing edges start in the next three.
        object1: (edges 1,) object of each edge.
        predicate1: (edges 1,) predicate of each edge.
        share1: (edges 1,) importance of each object within its row, sum 1.
        importance2: (m,), and so on for graph 2.
        predicates: P.
        predicate_similarity: (P, P).
        alpha: weight of the relations against the objects.
        beta: weight of the neighbourhood in each update.
        iterations: how many.
        in_place: 1: from the second iteration on, updates see those before them in the same iteration.
        similarity: (n, m) L before the first iteration; filled with L after the last.
        other: (n, m) scratch.
        history: (iterations + 1, n, m), filled with every L if `keep`.
        keep: 1 or 0.
        where: (edges 1 · edges 2,) scratch.
        relation_part: (edges 1 · edges 2,) scratch.
        chosen: scratch: max(n, m), and at least 2 · min(degrees) summed over all pairs where that exceeds SMALL.
        w1: scratch: n · m, and at least the square of the largest degree.
        w2: scratch, as w1.
        u: (max(n, m),) scratch, and so v, slack, row, way, seen.
        rows: (n,), filled with the column of each row in the row-weighted assignment, −1 for none.
        columns: (n,), likewise in the column-weighted assignment.
        shown: (n,), likewise in the one-to-one choice among those pairs that contributes most.
        sums: (2,), filled with s1 and s2.
    """
    # What no iteration changes: for each pair of edges, where its L lies and the relations' part of M. Pairs of
    # nodes come in order, each a small matrix, row by row, turned so that it has no more rows than columns.
    t = 0
    for i in range(n):
        a0, a1 = start1[i], start1[i + 1]
        for j in range(m):
            b0, b1 = start2[j], start2[j + 1]
            if a1 - a0 <= b1 - b0:
                for a in range(a0, a1):
                    for b in range(b0, b1):
                        where[t] = object1[a] * m + object2[b]
                        relation_part[t] = alpha * predicate_similarity[predicate1[a] * predicates + predicate2[b]]
                        t += 1
            else:
                for b in range(b0, b1):
                    for a in range(a0, a1):
                        where[t] = object1[a] * m + object2[b]
                        relation_part[t] = alpha * predicate_similarity[predicate1[a] * predicates + predicate2[b]]
                        t += 1

    size = n * m
    for x in range(size):
        other[x] = similarity[x]
        if keep == 1:
            history[x] = similarity[x]
    old, new = similarity, other
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
                            s1 = _two_rows(w1, l)
                            s2 = _two_rows(w2, l)
                        elif k == 3:
                            s1 = _three_rows(w1, l)
                            s2 = _three_rows(w2, l)
                        elif k == 4:
                            s1 = _four_rows(w1, l)
                            s2 = _four_rows(w2, l)
                        else:
                            for side in range(2):
                                w = w1 if side == 0 else w2
                                if iteration == 0 or not _still_optimal(w, k, l, chosen, at, v, seen):
                                    _solve(w, k, l, chosen, at, u, v, slack, row, way, seen)
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
                new[i * m + j] = stay * old[i * m + j] + beta * s
        if in_place == 0:
            old, new = new, old
        elif iteration == 0:
            old = new
        if keep == 1:
            for x in range(size):
                history[(iteration + 1) * size + x] = old[x]

    for x in range(size):
        similarity[x] = old[x]
    for i in range(n):
        for j in range(m):
            other[i * m + j] = similarity[i * m + j] * importance1[i]
    sums[0] = _assign(other, n, m, rows, w1, u, v, slack, row, way, seen, chosen)
    for i in range(n):
        for j in range(m):
            other[i * m + j] = similarity[i * m + j] * importance2[j]
    sums[1] = _assign(other, n, m, columns, w1, u, v, slack, row, way, seen, chosen)

    # Of the pairs in either assignment as many as fit one to one, and of such choices the one that contributes most.
    bonus = 1.0
    for x in range(size):
        other[x] = 0.0
    for i in range(n):
        if rows[i] >= 0:
            other[i * m + rows[i]] += n * importance1[i] * similarity[i * m + rows[i]]
        if columns[i] >= 0:
            other[i * m + columns[i]] += m * importance2[columns[i]] * similarity[i * m + columns[i]]
    for x in range(size):
        bonus += 2.0 * abs(other[x])
    for i in range(n):
        if rows[i] >= 0:
            other[i * m + rows[i]] += bonus
        if columns[i] >= 0 and columns[i] != rows[i]:
            other[i * m + columns[i]] += bonus
    _assign(other, n, m, shown, w1, u, v, slack, row, way, seen, chosen)
    for i in range(n):
        if shown[i] != rows[i] and shown[i] != columns[i]:
            shown[i] = -1
