"""What a SeSS score is made of: which objects correspond, and what each object keeps and loses of its share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from semetric.scene.matching import at_partners

if TYPE_CHECKING:
    from semetric.scene.matching import Matching

__all__ = ["LEAST_SHARE", "Account", "account_of"]

LEAST_SHARE = 0.1
"""What a match adds at least, as a share of what its two objects could add together."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Account:
    """How a score comes about, object by object. Side 0 is the reference (n objects), side 1 the image (m).

    SeSS is (1 − γ)·(s1·n + s2·m)/(n + m) + γ·image, s1 being a sum over the reference's objects and s2 one over the
    image's. So the reference's object i has a stake of (1 − γ)·n·v[i]/(n + m), which it would keep whole if it were
    paired with its own likeness; it keeps stake·L[i, j], j being its partner in the matching weighted by the
    reference's importance, and nothing without one. Likewise the image's objects with w and the other matching. All
    stakes and γ sum to 1, all that is kept and γ·image to the score; hence 1 − score is the sum of all losses and
    γ·(1 − image).

    Attributes:
        score: before it is clipped to [0, 1].
        graph_score: the part that the graphs give.
        image_similarity: cosine of the whole images.
        gamma: weight of the whole images; 1 where no image has an object.
        counterparts: (k, 2) the matches, no object twice, by falling contribution: see `account_of`.
        adds: (k,) what each adds to the score, from both sides.
        stakes: (n,) and (m,) what each object can give to the score.
        kept: (n,) and (m,) what it gives.
        partners: (n,) and (m,) the object of the other image with which it is counted; −1 for none.
        similarity: (n, m) after the iterations.
        moved: by how much the iterations, through which relations enter, changed what the objects give.
    """

    score: float
    graph_score: float
    image_similarity: float
    gamma: float
    counterparts: NDArray[np.int64]
    adds: NDArray[np.float64]
    stakes: tuple[NDArray[np.float64], NDArray[np.float64]]
    kept: tuple[NDArray[np.float64], NDArray[np.float64]]
    partners: tuple[NDArray[np.int64], NDArray[np.int64]]
    similarity: NDArray[np.float64]
    moved: float

    @property
    def lost(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n,) and (m,) what each object takes from the score; more than its stake where the similarity is negative."""
        return self.stakes[0] - self.kept[0], self.stakes[1] - self.kept[1]

    @property
    def image_lost(self) -> float:
        """What the whole images' unlikeness takes from the score."""
        return self.gamma * (1.0 - self.image_similarity)

    def match(self, side: int) -> list[int | None]:
        """The counterpart of each object of a side; None where it has none."""
        found: list[int | None] = [None] * len(self.stakes[side])
        for pair in self.counterparts.tolist():
            found[pair[side]] = pair[1 - side]
        return found

    def alone(self, side: int, importance: NDArray[np.float64]) -> list[int]:
        """The objects of a side without a counterpart, the most important first."""
        match = self.match(side)
        return [i for i in np.argsort(-importance, kind="stable").tolist() if match[i] is None]


def account_of(matching: Matching) -> Account:
    """Takes a matching apart.

    The matches: SeSS matches twice, and the two matchings may give an object two partners, neither of which need be
    like it. Of all pairs in either, those count as candidates whose similarity after the iterations is at least the
    matching's `least_similarity` and which add at least LEAST_SHARE of what their two objects could add. Among these,
    the one-to-one choice that adds most to the score is taken. Every other object has no counterpart, though it still
    has a partner in the sum.
    """
    before = sum(
        float(stakes @ at_partners(initial, partners))
        for stakes, initial, partners in zip(
            matching.bounds, (matching.initial, matching.initial.T), matching.partners, strict=True
        )
    )
    counterparts, adds = _counterparts(matching)
    return Account(
        score=matching.score,
        graph_score=matching.graph_score,
        image_similarity=matching.image_similarity,
        gamma=matching.image_weight,
        counterparts=counterparts,
        adds=adds,
        stakes=matching.bounds,
        kept=matching.gains,
        partners=matching.partners,
        similarity=matching.final,
        moved=float(matching.gains[0].sum() + matching.gains[1].sum() - before),
    )


def _counterparts(matching: Matching) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    from scipy.optimize import linear_sum_assignment

    worth = np.zeros(matching.final.shape)  # (n, m)
    for (i, j), adds in zip(matching.pairs.tolist(), matching.contributions.tolist(), strict=True):
        most = float(matching.bounds[0][i] + matching.bounds[1][j])
        if matching.final[i, j] >= matching.least_similarity and adds > 0 and adds >= LEAST_SHARE * most:
            worth[i, j] = adds
    rows, columns = linear_sum_assignment(worth, maximize=True)
    chosen = np.flatnonzero(worth[rows, columns] > 0)
    chosen = chosen[np.argsort(-worth[rows, columns][chosen], kind="stable")]
    pairs = np.stack([rows[chosen], columns[chosen]], axis=1).astype(np.int64)
    return pairs, worth[pairs[:, 0], pairs[:, 1]]
