"""Tuning SeSS on what people said of triplets (SeSS, arXiv 2406.03865, III-C), on scene graphs already made."""

from __future__ import annotations

from semetric.learn.tuning.judged import Judged, judged_of, load_batch
from semetric.learn.tuning.objectives import OBJECTIVES
from semetric.learn.tuning.samplers import SAMPLERS, Trial
from semetric.learn.tuning.space import Space
from semetric.learn.tuning.tune import TuneOptions, Tuning, tune
from semetric.learn.tuning.write import write_tuning

__all__ = [
    "OBJECTIVES",
    "SAMPLERS",
    "Judged",
    "Space",
    "Trial",
    "TuneOptions",
    "Tuning",
    "judged_of",
    "load_batch",
    "tune",
    "write_tuning",
]
