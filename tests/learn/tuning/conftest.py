"""Random scenes judged by SeSS itself, shared by the tests since making them takes a second."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.simulated_judgements import random_graphs, simulated

from semetric.learn.tuning.judged import Judged
from semetric.scene.batch import PairBatch

REFERENCES = 20
CANDIDATES = 8


@pytest.fixture(scope="session")
def batch() -> PairBatch:
    graphs, pairs, likeness, alike = random_graphs(REFERENCES, CANDIDATES, np.random.default_rng(0), objects=(4, 9))
    return PairBatch(graphs, pairs, likeness, alike)


@pytest.fixture(scope="session")
def group() -> np.ndarray:
    return np.repeat(np.arange(REFERENCES), CANDIDATES // 2)


@pytest.fixture(scope="session")
def judged(batch: PairBatch, group: np.ndarray) -> Judged:
    return simulated(batch, group, np.random.default_rng(1), noise=0.02)
