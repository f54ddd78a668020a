"""How far metrics and people agree: choices, ratings, same or different, each with its interval."""

from __future__ import annotations

from semetric.learn.agreement.choices import odd_one_out, two_alternative, two_alternative_ceiling
from semetric.learn.agreement.correlations import krcc, plcc, srcc
from semetric.learn.agreement.evaluation import Evaluation, evaluate
from semetric.learn.agreement.krippendorff import krippendorff_alpha
from semetric.learn.agreement.resampling import Estimate, Measured, estimate
from semetric.learn.agreement.same import average_precision

__all__ = [
    "Estimate",
    "Evaluation",
    "Measured",
    "average_precision",
    "estimate",
    "evaluate",
    "krcc",
    "krippendorff_alpha",
    "odd_one_out",
    "plcc",
    "srcc",
    "two_alternative",
    "two_alternative_ceiling",
]
