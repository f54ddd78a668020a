"""Scores made by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from semetric.metrics.base import Score
from semetric.scoring import Scores


@pytest.fixture
def scored() -> Callable[..., Scores]:
    """Makes Scores of any Score objects."""

    def make(*scores: Score, errors: dict[str, Exception] | None = None) -> Scores:
        return Scores(
            reference="a.png", image="b.png", profile="lite", scores={s.metric: s for s in scores}, errors=errors or {}
        )

    return make
