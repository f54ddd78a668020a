"""Importance of objects under other exponents than the paper's, from a graph that is already made.

A graph of the paper's variant holds (saliency under each mask)^(1/2.25), scaled to sum 1 (SeSS, arXiv 2406.03865,
Eq. 24–25, Table II). Its power 2.25 is therefore the saliency itself but for one factor an image, and that factor
falls out of every importance, which only ever compares objects of one image. So another exponent, and the published
code's share for relations, need neither the image nor a network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError

if TYPE_CHECKING:
    from typing import Self

__all__ = ["STORED_ROOT", "ImportanceSettings", "Objects", "weigh"]

STORED_ROOT = 2.25
"""The root k in the importance that graphs of the paper's variant hold."""

_Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ImportanceSettings:
    """How saliency and relations become importance.

    Attributes:
        saliency_root: k, > 0: an object counts as (saliency under its mask)^(1/k).
        relation_root: > 0: likewise the root of what relations give an object.
        relation_share: weight of what relations give against saliency, in [0, 1]; 0 in the paper, 0.2 in the
            published code.
    """

    saliency_root: float = 2.25
    relation_root: float = 3.0
    relation_share: float = 0.0

    PAPER: ClassVar[Self]
    DEMO: ClassVar[Self]

    def __post_init__(self) -> None:
        for name in ("saliency_root", "relation_root"):
            value = getattr(self, name)
            if not 0.1 <= value <= 100.0:
                raise UsageError(f"Expected {name} between 0.1 and 100; found {value!r}.")
        if not 0.0 <= self.relation_share <= 1.0:
            raise UsageError(f"Expected relation_share between 0 and 1; found {self.relation_share!r}.")


ImportanceSettings.PAPER = ImportanceSettings()
ImportanceSettings.DEMO = ImportanceSettings(saliency_root=2.5, relation_share=0.2)


class Objects:
    """The objects of any number of graphs in one row, so that their importance is computed at once.

    Args:
        importance: of each graph, (N,) as the paper's variant stores it.
        ends: of each graph, (E, 2) subject and object of each relation.
        probabilities: of each graph, (E,).
    """

    def __init__(self, importance: list[_Floats], ends: list[NDArray[np.int64]], probabilities: list[_Floats]) -> None:
        sizes = np.array([len(one) for one in importance], np.int64)
        self.start = np.concatenate([[0], np.cumsum(sizes)])  # (graphs + 1,)
        self.graph = np.repeat(np.arange(len(sizes)), sizes)  # (objects,)
        self.stored = _joined(importance)  # (objects,)
        shifted = [np.asarray(e, np.int64).reshape(-1, 2) + s for e, s in zip(ends, self.start[:-1], strict=True)]
        self.ends = np.concatenate(shifted) if shifted else np.zeros((0, 2), np.int64)  # (relations, 2)
        self.probabilities = _joined(probabilities)
        related = np.array([len(e) > 0 for e in shifted], np.bool_) & (sizes > 1)
        self.related = related[self.graph] if len(sizes) else np.zeros(0, np.bool_)  # (objects,)

    def importance(self, settings: ImportanceSettings) -> _Floats:
        """(objects,) importance, sum 1 within each graph.

        b of an object sums, over its relations, probability · a / (a + the other's a); see `demo_importance`.
        """
        a = self._shares(self.stored ** (STORED_ROOT / settings.saliency_root))
        if settings.relation_share == 0.0 or not len(self.ends):
            return a
        subject, object_ = self.ends.T
        both = a[subject] + a[object_]
        share = np.divide(a[subject], both, out=np.full(len(both), 0.5), where=both > 0)
        given = np.bincount(subject, self.probabilities * share, len(a))
        given += np.bincount(object_, self.probabilities * (1.0 - share), len(a))
        b = self._shares(given ** (1.0 / settings.relation_root))
        mixed = (1.0 - settings.relation_share) * a + settings.relation_share * b
        return np.where(self.related, self._shares(mixed), a)

    def _shares(self, values: NDArray[np.floating[Any]]) -> _Floats:
        """Scales to sum 1 within each graph; all equal where all are 0."""
        graphs = len(self.start) - 1
        total = np.bincount(self.graph, values, graphs)[self.graph]
        even = 1.0 / np.maximum(np.diff(self.start), 1)[self.graph]
        return np.asarray(np.divide(values, total, out=even, where=total > 0), np.float64)


def weigh(
    stored: NDArray[np.floating[Any]], ends: NDArray[np.int64], probabilities: _Floats, settings: ImportanceSettings
) -> _Floats:
    """Importance of one graph's objects under other settings.

    Args:
        stored: (N,) as a graph of the paper's variant holds it.
        ends: (E, 2) subject and object of each relation.
        probabilities: (E,).
        settings: exponents and share.

    Returns:
        (N,), sum 1.
    """
    return Objects([np.asarray(stored, np.float64)], [ends], [np.asarray(probabilities, np.float64)]).importance(
        settings
    )


def _joined(parts: list[_Floats]) -> _Floats:
    return np.concatenate([np.asarray(p, np.float64) for p in parts]) if parts else np.zeros(0)
