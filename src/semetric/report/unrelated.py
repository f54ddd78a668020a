"""What two unrelated photos score, where that was measured: a mark on a metric's bar."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semetric.metrics.base import Score

__all__ = ["LEGEND", "UnrelatedBaseline", "measured", "unrelated_baseline"]

LEGEND = "unrelated photos, on average"
"""What the mark is, in words."""


@dataclass(frozen=True, kw_only=True)
class UnrelatedBaseline:
    """What a metric gives to unrelated photos.

    Attributes:
        mean: over all pairs.
        best: what the likest of these pairs got.
    """

    mean: float
    best: float


@lru_cache(maxsize=1)
def measured() -> dict[str, Any]:
    """The table: its source in words, and of each metric the mean, the best, and under which weights it holds."""
    text = (resources.files("semetric.report") / "unrelated.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def unrelated_baseline(score: Score) -> UnrelatedBaseline | None:
    """The measurement that fits a score; None where its metric, weights or variant were not measured."""
    for row in measured()["rows"]:
        if row["metric"] != score.metric:
            continue
        weights = {role: identity.split("@")[0] for role, identity in score.weights.items()}
        if weights == row["weights"] and all(score.details.get(k) == v for k, v in row["details"].items()):
            return UnrelatedBaseline(mean=row["mean"], best=row["best"])
    return None
