"""Training of the Relate-Anything head on annotated relations.

    a data set of panoptic records → ExampleMaker → Examples: mask tokens, and relations between masks
    → train → a checkpoint in the published layout → compare: recall against the spatial rules

Method: the Relate-Anything head as SeSS uses it (arXiv 2406.03865, Section III-A), trained on Panoptic Scene Graphs
(Yang et al. 2022, arXiv 2207.11247). docs/learn/relations.md tells the whole.
"""

from __future__ import annotations

from semetric.learn.relation_head.config import HeadSize, RelationTraining
from semetric.learn.relation_head.evaluation import compare
from semetric.learn.relation_head.examples import Example, ExampleMaker, Prepared, prepare
from semetric.learn.relation_head.training import TrainedHead, train

__all__ = [
    "Example",
    "ExampleMaker",
    "HeadSize",
    "Prepared",
    "RelationTraining",
    "TrainedHead",
    "compare",
    "prepare",
    "train",
]
