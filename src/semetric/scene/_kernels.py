"""Compiled kernels of the graph matching: exact assignment, and the propagation of similarities.

Everything here takes and fills plain contiguous arrays, allocates its own scratch and holds no state, so that
any number of threads may run it at once; the GIL is released throughout. The machine code is kept on disk
(beside this file where that folder can be written, else in the user's cache folder; `NUMBA_CACHE_DIR` moves it;
where neither can be written the kernels are compiled anew in every process, which takes seconds).

The assignment problem is solved exactly. Neighbourhoods are small and change little from one iteration to the
next, which three short cuts use: closed forms where the smaller side has one or two nodes and for 3 × 3 and 4 × 4;
for the rest the previous iteration's assignment, kept if prices can be found that prove it still optimal;
and only where that fails shortest augmenting paths from scratch (Jonker and Volgenant 1987, Computing 38).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types

__all__ = ["assign", "graph_match"]

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_F1 = types.Array(types.float64, 1, "C", readonly=True)
_F2 = types.Array(types.float64, 2, "C", readonly=True)
_I2 = types.Array(types.int64, 2, "C", readonly=True)
_OUT_F2 = types.Array(types.float64, 2, "C")
_OUT_F3 = types.Array(types.float64, 3, "C")
_OUT_I1 = types.Array(types.int64, 1, "C")


def _entry(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compiles for one signature; from disk where a cache folder can be had, else anew."""

    def compile_(function: Callable[..., Any]) -> Any:
        if os.environ.get("NUMBA_DISABLE_JIT", "0") not in {"", "0"}:
            return function
        try:
            return njit(signature, cache=True, **_OPTIONS)(function)
        except (RuntimeError, OSError):  # no folder to keep the machine code in, or a full disk
            return njit(signature, cache=False, **_OPTIONS)(function)

    return compile_


@njit(**_OPTIONS)
def _two_rows(w: Any, l: int) -> float:  # noqa: E741
    """The largest w[0, a] + w[1, b] with a ≠ b, for 2 rows of l ≥ 2 columns."""
    first0 = w[0]
    second0 = -np.inf
    at0 = 0
    first1 = w[l]
    second1 = -np.inf
    at1 = 0
    for c in range(1, l):
        x = w[c]
        if x > first0:
            second0 = first0
            first0 = x
            at0 = c
        elif x > second0:
            second0 = x
        x = w[l + c]
        if x > first1:
            second1 = first1
            first1 = x
            at1 = c
        elif x > second1:
            second1 = x
    if at0 != at1:
        return first0 + first1
    return max(first0 + second1, second0 + first1)


@njit(**_OPTIONS)
def _three(w: Any) -> float:
    """The best of the 6 assignments of a 3 × 3 matrix."""
    a = w[0] + max(w[4] + w[8], w[5] + w[7])
    b = w[1] + max(w[3] + w[8], w[5] + w[6])
    c = w[2] + max(w[3] + w[7], w[4] + w[6])
    return max(a, max(b, c))


@njit(**_OPTIONS)
def _four(w: Any) -> float:
    """The best of the 24 assignments of a 4 × 4 matrix: rows 0 and 1 take two columns, rows 2 and 3 the others."""
    ab = max(w[0] + w[5], w[1] + w[4]) + max(w[10] + w[15], w[11] + w[14])
    ac = max(w[0] + w[6], w[2] + w[4]) + max(w[9] + w[15], w[11] + w[13])
    ad = max(w[0] + w[7], w[3] + w[4]) + max(w[9] + w[14], w[10] + w[13])
    bc = max(w[1] + w[6], w[2] + w[5]) + max(w[8] + w[15], w[11] + w[12])
    bd = max(w[1] + w[7], w[3] + w[5]) + max(w[8] + w[14], w[10] + w[12])
    cd = max(w[2] + w[7], w[3] + w[6]) + max(w[8] + w[13], w[9] + w[12])
    return max(max(ab, ac), max(max(ad, bc), max(bd, cd)))


@njit(**_OPTIONS)
def _still_optimal(w: Any, k: int, l: int, column: Any, at: int, price: Any, free: Any) -> bool:  # noqa: E741
    """Whether prices exist that prove the assignment row r → column[at + r] optimal (linear-programming duality).

    Prices start at zero and rise (Bellman and Ford) until no row gains by leaving its column. A free column must
    stay at zero. Without a proof after k sweeps there is an improving cycle.
    """
    for c in range(l):
        price[c] = 0.0
        free[c] = True
    for r in range(k):
        free[column[at + r]] = False
    for _ in range(k + 1):
        settled = True
        for r in range(k):
            own = column[at + r]
            gain = w[r * l + own] - price[own] + 1e-13  # rounding must not pass for an improvement
            for c in range(l):
                needed = w[r * l + c] - gain
                if needed > price[c]:
                    if free[c]:
                        return False
                    price[c] = needed + 1e-13
                    settled = False
        if settled:
            return True
    return False


@njit(**_OPTIONS)
def _solve(
    w: Any,
    k: int,
    l: int,  # noqa: E741
    column: Any,
    at: int,
    row: Any,
    u: Any,
    v: Any,
    slack: Any,
    way: Any,
    seen: Any,
) -> None:
    """Fills column[at : at + k] with the assignment of k ≤ l rows that has the largest sum of w (k · l, row by row).

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
            seen[c] = False
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


@njit(**_OPTIONS)
def _assign(w: Any, column: Any) -> None:
    """column[r] = the column of row r, or −1, in the assignment of min(n, m) pairs with the largest sum."""
    n, m = w.shape
    flipped = n > m
    k, l = (m, n) if flipped else (n, m)  # noqa: E741
    flat = np.empty(k * l)
    for r in range(k):
        for c in range(l):
            flat[r * l + c] = w[c, r] if flipped else w[r, c]
    chosen = np.empty(k, np.int64)
    _solve(
        flat,
        k,
        l,
        chosen,
        0,
        np.empty(l, np.int64),
        np.empty(k),
        np.empty(l),
        np.empty(l),
        np.empty(l, np.int64),
        np.empty(l, np.bool_),
    )
    column[:] = -1
    for r in range(k):
        if flipped:
            column[chosen[r]] = r
        else:
            column[r] = chosen[r]


@njit(**_OPTIONS)
def _neighbours(relations: Any, importance: Any) -> Any:
    """Outgoing edges in rows: (start, object, predicate, share), share = importance normalised over each row."""
    n = relations.shape[0]
    start = np.zeros(n + 1, np.int64)
    for i in range(n):
        degree = 0
        for k in range(n):
            if relations[i, k] >= 0:
                degree += 1
        start[i + 1] = start[i] + degree
    total = start[n]
    object_ = np.empty(total, np.int64)
    predicate = np.empty(total, np.int64)
    share = np.empty(total)
    for i in range(n):
        e = start[i]
        mass = 0.0
        for k in range(n):
            if relations[i, k] >= 0:
                object_[e] = k
                predicate[e] = relations[i, k]
                mass += importance[k]
                e += 1
        for f in range(start[i], e):
            share[f] = importance[object_[f]] / mass if mass > 0.0 else 1.0 / (e - start[i])
    return start, object_, predicate, share


@_entry(
    types.UniTuple(types.float64, 2)(
        _F2, _I2, _I2, _F1, _F1, _F2, types.float64, types.float64, types.int64, types.boolean,
        _OUT_F2, _OUT_F3, _OUT_I1, _OUT_I1,
    )
)  # fmt: skip
def graph_match(
    initial: Any,
    relations1: Any,
    relations2: Any,
    importance1: Any,
    importance2: Any,
    predicate_similarity: Any,
    alpha: float,
    beta: float,
    iterations: int,
    in_place: bool,
    final: Any,
    history: Any,
    rows: Any,
    columns: Any,
) -> Any:
    """Propagates similarities between two graphs and solves the final assignments (SeSS, Eq. 19–23).

    Args:
        initial: (n, m) L before the first iteration; n, m ≥ 1.
        relations1: (n, n) predicate of each edge subject → object, −1 where there is none.
        relations2: (m, m) likewise.
        importance1: (n,) ≥ 0, sum 1.
        importance2: (m,) likewise.
        predicate_similarity: (P, P).
        alpha: weight of the relations against the objects.
        beta: weight of the neighbourhood in each update.
        iterations: how many.
        in_place: from the second iteration on, updates see those before them in the same iteration.
        final: (n, m), filled with L after the last iteration.
        history: (iterations + 1, n, m), filled with every L; or of length 0, left alone.
        rows: (n,), filled with the column of each row in the row-weighted assignment, −1 for none.
        columns: (n,), likewise in the column-weighted assignment.

    Returns:
        s1 and s2: the sums of the two assignments.
    """
    n, m = initial.shape
    start1, object1, predicate1, share1 = _neighbours(relations1, importance1)
    start2, object2, predicate2, share2 = _neighbours(relations2, importance2)

    # What no iteration changes: for each pair of edges, where its L lies and the relations' part of M. Pairs of
    # nodes come in order, each a small matrix, row by row, turned so that it has no more rows than columns.
    edges = len(object1) * len(object2)
    where = np.empty(edges, np.int32)
    relation_part = np.empty(edges)
    largest = 1
    kept = 0
    t = 0
    for i in range(n):
        a0, a1 = start1[i], start1[i + 1]
        d1 = a1 - a0
        if d1 == 0:
            continue
        for j in range(m):
            b0, b1 = start2[j], start2[j + 1]
            d2 = b1 - b0
            if d2 == 0:
                continue
            if d1 <= d2:
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
            largest = max(largest, max(d1, d2))
            smaller = min(d1, d2)
            if smaller >= 3:
                kept += 2 * smaller

    chosen = np.empty(kept, np.int32)
    w1 = np.empty(largest * largest)
    w2 = np.empty(largest * largest)
    row = np.empty(largest, np.int64)
    u = np.empty(largest)
    v = np.empty(largest)
    slack = np.empty(largest)
    way = np.empty(largest, np.int64)
    seen = np.empty(largest, np.bool_)

    old = initial.copy().reshape(-1)
    new = old.copy()
    keep = len(history) > 0
    if keep:
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
                            x = objects_part * old[where[t]] + relation_part[t]
                            t += 1
                            s1 = max(s1, x)
                            s2 = max(s2, x * share_l[l0 + b])
                    else:
                        q = 0
                        for a in range(k):
                            share = share_k[k0 + a]
                            for b in range(l):
                                x = objects_part * old[where[t]] + relation_part[t]
                                t += 1
                                w1[q] = x * share
                                w2[q] = x * share_l[l0 + b]
                                q += 1
                        if k == 2:
                            s1 = _two_rows(w1, l)
                            s2 = _two_rows(w2, l)
                        elif k == 3 and l == 3:
                            s1 = _three(w1)
                            s2 = _three(w2)
                        elif k == 4 and l == 4:
                            s1 = _four(w1)
                            s2 = _four(w2)
                        else:
                            if iteration == 0 or not _still_optimal(w1, k, l, chosen, at, v, seen):
                                _solve(w1, k, l, chosen, at, row, u, v, slack, way, seen)
                            for a in range(k):
                                s1 += w1[a * l + chosen[at + a]]
                            at += k
                            if iteration == 0 or not _still_optimal(w2, k, l, chosen, at, v, seen):
                                _solve(w2, k, l, chosen, at, row, u, v, slack, way, seen)
                            for a in range(k):
                                s2 += w2[a * l + chosen[at + a]]
                            at += k
                    if d1 > d2:
                        s1, s2 = s2, s1
                    both = importance1[i] + importance2[j]
                    if both > 0.0:
                        s = (s1 * importance1[i] + s2 * importance2[j]) / both
                    else:
                        s = 0.5 * (s1 + s2)
                new[i * m + j] = stay * old[i * m + j] + beta * s
        if in_place:
            if iteration == 0:
                old = new
        else:
            old, new = new, old
        if keep:
            history[iteration + 1] = old.reshape(n, m)

    final[:] = old.reshape(n, m)
    weighted = np.empty((n, m))
    for i in range(n):
        for j in range(m):
            weighted[i, j] = final[i, j] * importance1[i]
    _assign(weighted, rows)
    s1 = 0.0
    for i in range(n):
        if rows[i] >= 0:
            s1 += weighted[i, rows[i]]
    for i in range(n):
        for j in range(m):
            weighted[i, j] = final[i, j] * importance2[j]
    _assign(weighted, columns)
    s2 = 0.0
    for i in range(n):
        if columns[i] >= 0:
            s2 += weighted[i, columns[i]]
    return s1, s2


@_entry(types.void(_F2, _OUT_I1))
def assign(weights: Any, column: Any) -> None:
    """Fills column (n,) with the column of each row, −1 for none, in the best assignment of weights (n, m)."""
    _assign(weights, column)
