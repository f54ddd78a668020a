"""Compiled kernels of the graph matching: exact assignment, and the propagation of similarities.

Everything here takes and fills plain contiguous arrays, allocates its own scratch and holds no state, so that
any number of threads may run it at once; the GIL is released throughout. The machine code is kept on disk
(beside this file where that folder can be written, else in the user's cache folder; `NUMBA_CACHE_DIR` moves it;
where neither can be written the kernels are compiled anew in every process, which takes seconds).

The assignment problem is solved exactly. Neighbourhoods are small and change little from one iteration to the next:
up to four rows are solved by dynamic programming over the columns; more rows keep the previous iteration's assignment
if prices can be found that prove it still optimal; only where that fails, and at first, come shortest augmenting
paths from scratch (Jonker and Volgenant 1987, Computing 38).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, cast

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


def _inner(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles as part of whatever calls it."""
    return cast("Callable[..., Any]", njit(**_OPTIONS)(function))


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
        a, b = w[0, j], w[1, j]
        f3 = _max(_max(f3, f2 + a), f1 + b)
        f1 = _max(f1, a)
        f2 = _max(f2, b)
    return f3


@_inner
def _three_rows(w: Any, l: int) -> float:  # noqa: E741
    """As `_two_rows`, for 3 rows."""
    f1 = f2 = f3 = f4 = f5 = f6 = f7 = -np.inf
    for j in range(l):
        a, b, c = w[0, j], w[1, j], w[2, j]
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
        a, b, c, d = w[0, j], w[1, j], w[2, j], w[3, j]
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
            gain = w[r, own] - price[own] + 1e-13  # rounding must not pass for an improvement
            for c in range(l):
                needed = w[r, c] - gain
                if needed > price[c]:
                    if free[c]:
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
    row: Any,
    u: Any,
    v: Any,
    slack: Any,
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
            if w[r, c] > w[r, best]:
                best = c
        u[r] = -w[r, best]
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
                    reach = base - w[r, c] - v[c]
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


@_inner
def _assign(w: Any, column: Any) -> None:
    """column[r] = the column of row r, or −1, in the assignment of min(n, m) pairs with the largest sum."""
    n, m = w.shape
    flipped = n > m
    k, l = (m, n) if flipped else (n, m)  # noqa: E741
    flat = np.empty((k, l))
    for r in range(k):
        for c in range(l):
            flat[r, c] = w[c, r] if flipped else w[r, c]
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


@_inner
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
    types.UniTuple(types.float64, 2)(  # type: ignore[no-untyped-call]
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
            if smaller >= 5:
                kept += 2 * smaller

    chosen = np.empty(kept, np.int32)
    w1 = np.empty((largest, largest))
    w2 = np.empty((largest, largest))
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
                            y = x * share_l[l0 + b]
                            s1 = s1 if s1 > x else x
                            s2 = s2 if s2 > y else y
                    else:
                        for a in range(k):
                            share = share_k[k0 + a]
                            for b in range(l):
                                x = objects_part * old[where[t]] + relation_part[t]
                                t += 1
                                w1[a, b] = x * share
                                w2[a, b] = x * share_l[l0 + b]
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
                            if iteration == 0 or not _still_optimal(w1, k, l, chosen, at, v, seen):
                                _solve(w1, k, l, chosen, at, row, u, v, slack, way, seen)
                            for a in range(k):
                                s1 += w1[a, chosen[at + a]]
                            at += k
                            if iteration == 0 or not _still_optimal(w2, k, l, chosen, at, v, seen):
                                _solve(w2, k, l, chosen, at, row, u, v, slack, way, seen)
                            for a in range(k):
                                s2 += w2[a, chosen[at + a]]
                            at += k
                    if d1 > d2:
                        s1, s2 = s2, s1
                    both = importance1[i] + importance2[j]
                    s = (s1 * importance1[i] + s2 * importance2[j]) / both if both > 0.0 else 0.5 * (s1 + s2)
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
