"""SeSS matching as the equations read: loops, and scipy's assignment. Slow; shares no code with the library."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment


def km(matrix):
    """The largest sum over one-to-one pairs of rows and columns."""
    rows, columns = linear_sum_assignment(matrix, maximize=True)
    return matrix[rows, columns].sum()


def score(graph1, graph2, predicates, image, *, alpha, beta, gamma, location, iterations, in_place):
    """The score, and every L."""
    n, m = len(graph1), len(graph2)
    if n == 0 and m == 0:
        return image, []
    if n == 0 or m == 0:
        return gamma * image, []
    f1 = graph1.features / np.linalg.norm(graph1.features, axis=1, keepdims=True)
    f2 = graph2.features / np.linalg.norm(graph2.features, axis=1, keepdims=True)
    similarity = f1 @ f2.T
    if location:
        for i in range(n):
            for j in range(m):
                dy, dx = graph1.centres[i] - graph2.centres[j]
                similarity[i, j] = (1 - location) * similarity[i, j] + location * (1 - (dy**2 + dx**2) / 2)
    v, w = graph1.importance / graph1.importance.sum(), graph2.importance / graph2.importance.sum()
    history = [similarity.copy()]
    current = similarity
    for iteration in range(iterations):
        new = current if in_place and iteration > 0 else current.copy()
        for i in range(n):
            for j in range(m):
                ks, ls = np.flatnonzero(graph1.relations[i] >= 0), np.flatnonzero(graph2.relations[j] >= 0)
                if len(ks) == 0 and len(ls) == 0:
                    s = 1.0
                elif len(ks) == 0 or len(ls) == 0:
                    s = 0.0
                else:
                    r = predicates[np.ix_(graph1.relations[i, ks], graph2.relations[j, ls])]
                    mixed = (1 - alpha) * current[np.ix_(ks, ls)] + alpha * r
                    s1 = km(mixed * (v[ks] / v[ks].sum())[:, None])
                    s2 = km(mixed * (w[ls] / w[ls].sum())[None])
                    s = (s1 * v[i] + s2 * w[j]) / (v[i] + w[j])
                new[i, j] = (1 - beta) * current[i, j] + beta * s
        current = new
        history.append(current.copy())
    graph = (km(current * v[:, None]) * n + km(current * w[None]) * m) / (n + m)
    return (1 - gamma) * graph + gamma * image, history
