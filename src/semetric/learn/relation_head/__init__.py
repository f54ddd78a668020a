"""Training of the Relate-Anything head on annotated relations.

    a data set of panoptic records → examples.prepare → Examples: mask tokens, and relations between masks
    → training.train → a checkpoint in the published layout → evaluation.compare: recall against the spatial rules

Method: the Relate-Anything head as SeSS uses it (arXiv 2406.03865, Section III-A), trained on Panoptic Scene Graphs
(Yang et al. 2022, arXiv 2207.11247), see docs/learn/relations.md. Nothing is imported here.
"""
