"""What a SeSS score is made of, object by object: the picture and the page of a pair show the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from semetric.report.palette import object_colour
from semetric.scene.matching import MatchingSettings, at_partners

if TYPE_CHECKING:
    from semetric.metrics.base import Score
    from semetric.scene.graph import SceneGraph
    from semetric.scene.matching import Matching

__all__ = ["LEAST_NUMBERED", "LEAST_SHARE", "MOST_ALONE", "MOST_NUMBERED", "Account", "SceneObject", "account_of"]

LEAST_SHARE = 0.1
"""What a match adds at least, as a share of what its two objects could add together."""

MOST_NUMBERED = 12  # matches with a colour and a number: as many as there are colours
LEAST_NUMBERED = 0.001  # that a match must add to SeSS for that
MOST_ALONE = 6  # objects without a counterpart that have a number, an image
LEAST_ALONE = 0.02  # importance of such


@dataclass(frozen=True, kw_only=True)
class SceneObject:
    """One object of a graph, and its part in the score.

    Attributes:
        index: its place in the graph, from 0.
        rank: from 0: matches by what they add, then the others by importance.
        match: index of its counterpart in the other graph; None where it has none.
        colour: "#RRGGBB", of the matches that add most, the same for both ends; None for others.
        numbered: whether its number always stands on the image.
        label: its class with the probability ("cup .71"); None where the encoder is not sure of it.
        member: how far it counts as an object, in [0, 1].
        importance: share of the image: all objects of a graph together 1, in graded graphs the share that objects hold.
        area: share of the image's pixels.
        adds: contribution of the pair with its match to SeSS; None without one.
        bound: the most that it can contribute to SeSS (see `Matching`).
        gain: what it contributes.
        partner: the object of the other image with which the matching by its own image's importance pairs it; None
            where the other image has fewer objects, or graded SeSS sees it best in place.
        partner_similarity: to that one, after the iterations.
        before: similarity to its match before the iterations.
        after: similarity to its match after them, which is the one that counts.
        nearest: the object of the other image that is most similar after the iterations, and the similarity.
    """

    index: int
    rank: int
    match: int | None
    colour: str | None
    numbered: bool
    label: str | None
    member: float
    importance: float
    area: float
    adds: float | None
    bound: float
    gain: float
    partner: int | None
    partner_similarity: float | None
    before: float | None
    after: float | None
    nearest: tuple[int, float] | None

    @property
    def number(self) -> int:
        """Its number on pictures, as in `semetric graph`: 1 is the largest object."""
        return self.index + 1

    @property
    def lost(self) -> float:
        """What it takes from a score of 1; more than its bound where the similarity is negative."""
        return self.bound - self.gain

    @property
    def seen_in_place(self) -> bool:
        """Whether it is counted with no object and still contributes most of what it could: it was seen in place."""
        return self.partner is None and self.bound > 0.0 and self.gain >= self.bound / 2.0

    @property
    def kind(self) -> str:
        """How it is drawn: its colour's class "c0" to "c11", "plain" for other matches, "alone" without one."""
        return f"c{self.rank}" if self.colour else "alone" if self.match is None else "plain"


@dataclass(frozen=True, kw_only=True, eq=False)
class Account:
    """How a SeSS score comes about. Side 0 is the reference, side 1 the image.

    The bounds of all objects and the whole images' weight sum to 1; the gains and the whole images' contribution sum
    to the score. So 1 − score is the sum of all losses and weight · (1 − similarity of the whole images).

    Attributes:
        graphs: of the reference and the image.
        matching: of the two.
        counterparts: (k, 2) the matches, no object twice, by falling contribution: see `account_of`.
        adds: (k,) the contribution of each to the score, from both sides.
    """

    graphs: tuple[SceneGraph, SceneGraph]
    matching: Matching
    counterparts: NDArray[np.int64]
    adds: NDArray[np.float64]

    @property
    def iterates(self) -> bool:
        """Whether similarities were updated by their neighbours', as in every variant but graded."""
        return isinstance(self.matching.settings, MatchingSettings)

    @cached_property
    def moved(self) -> float:
        """By how much the iterations, through which relations enter, changed what the objects give."""
        matching = self.matching
        sides = zip(matching.bounds, (matching.initial, matching.initial.T), matching.partners, strict=True)
        before = sum(float(bounds @ at_partners(initial, partners)) for bounds, initial, partners in sides)
        return float(matching.gains[0].sum() + matching.gains[1].sum()) - before

    def alone(self, side: int) -> list[int]:
        """The objects of a side without a counterpart, the most important first."""
        matched = set(self.counterparts[:, side].tolist())
        return [i for i in np.argsort(-self.graphs[side].importance, kind="stable").tolist() if i not in matched]

    def outside(self, side: int) -> float:
        """The share of an image's importance that no object holds."""
        return max(0.0, 1.0 - float(self.graphs[side].importance.sum())) if len(self.graphs[side]) else 0.0

    @cached_property
    def objects(self) -> tuple[list[SceneObject], list[SceneObject]]:
        """The objects of both images, in the order of their graphs."""
        return self._objects(0), self._objects(1)

    def _objects(self, side: int) -> list[SceneObject]:
        graph, matching = self.graphs[side], self.matching
        initial, final = (table if side == 0 else table.T for table in (matching.initial, matching.final))
        members = graph.membership
        matches = self.counterparts[:, side].tolist()
        match = dict(zip(matches, self.counterparts[:, 1 - side].tolist(), strict=True))
        adds = dict(zip(matches, self.adds.tolist(), strict=True))
        ranks = {i: rank for rank, i in enumerate([*matches, *self.alone(side)])}
        objects = []
        for i in range(len(graph)):
            j, rank, partner = match.get(i), ranks[i], int(matching.partners[side][i])
            coloured = rank < MOST_NUMBERED and adds.get(i, 0.0) >= LEAST_NUMBERED
            important = rank < len(matches) + MOST_ALONE and graph.importance[i] >= LEAST_ALONE
            best = int(final[i].argmax()) if final.shape[1] else None
            objects.append(
                SceneObject(
                    index=i,
                    rank=rank,
                    match=j,
                    colour=object_colour(rank) if coloured else None,
                    numbered=coloured or (j is None and bool(important)),
                    label=graph.label(i),
                    member=float(members[i]),
                    importance=float(graph.importance[i]),
                    area=float(graph.areas[i]),
                    adds=adds.get(i),
                    bound=float(matching.bounds[side][i]),
                    gain=float(matching.gains[side][i]),
                    partner=None if partner < 0 else partner,
                    partner_similarity=None if partner < 0 else float(final[i, partner]),
                    before=None if j is None else float(initial[i, j]),
                    after=None if j is None else float(final[i, j]),
                    nearest=None if best is None else (best, float(final[i, best])),
                )
            )
        return objects


def account_of(sess: Score | None) -> Account | None:
    """Takes a score apart; None without a SeSS score that carries its graphs and matching.

    The matches: SeSS matches twice, and the two matchings may give an object two partners, neither of which need be
    like it. Of all pairs in either, those count as candidates whose similarity after the iterations is at least the
    matching's `least_similarity` and which add at least LEAST_SHARE of what their two objects could add. Among these,
    the one-to-one choice that adds most to the score is taken. Every other object has no counterpart, though it still
    has a partner in the sum.
    """
    from scipy.optimize import linear_sum_assignment

    if sess is None or "matching" not in sess.artefacts or "graphs" not in sess.artefacts:
        return None
    matching: Matching = sess.artefacts["matching"]
    worth = np.zeros(matching.final.shape)  # (n, m)
    for (i, j), adds in zip(matching.pairs.tolist(), matching.contributions.tolist(), strict=True):
        most = float(matching.bounds[0][i] + matching.bounds[1][j])
        if matching.final[i, j] >= matching.least_similarity and adds > 0 and adds >= LEAST_SHARE * most:
            worth[i, j] = adds
    rows, columns = linear_sum_assignment(worth, maximize=True)
    chosen = np.flatnonzero(worth[rows, columns] > 0)
    chosen = chosen[np.argsort(-worth[rows, columns][chosen], kind="stable")]
    pairs = np.stack([rows[chosen], columns[chosen]], axis=1).astype(np.int64)
    return Account(
        graphs=sess.artefacts["graphs"],
        matching=matching,
        counterparts=pairs,
        adds=worth[pairs[:, 0], pairs[:, 1]],
    )
