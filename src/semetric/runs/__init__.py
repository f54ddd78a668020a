"""Runs: many pairs scored into a folder, summarised, and compared with another run."""

from __future__ import annotations

from semetric.runs.choice import fetch_weights
from semetric.runs.compare import Comparison, compare
from semetric.runs.pairing import Pair, Pairing, pair_folders, read_pairs
from semetric.runs.scoring import score_folders, score_pairs

__all__ = [
    "Comparison",
    "Pair",
    "Pairing",
    "compare",
    "fetch_weights",
    "pair_folders",
    "read_pairs",
    "score_folders",
    "score_pairs",
]
