"""The loss of the relation head: a multi-label categorical cross-entropy for each predicate."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["predicate_losses", "relation_loss"]


def predicate_losses(logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """ln(1 + Σ e^{−s}) over the pairs where a predicate holds, plus ln(1 + Σ e^{s}) over those where it does not.

    As Relate-Anything trains it: per predicate over all pairs of an image, so that the few pairs where it holds are
    not drowned by the many where it does not. At the optimum the sign of a logit decides (Su et al. 2022, "ZLPR",
    arXiv 2208.02955), which is what the sigmoid at 0.5 says in a scene graph.

    Args:
        logits: (P, N, N) predicate, subject, object.
        targets: (P, N, N) bool: whether the predicate holds.
        valid: (N, N) bool: pairs that count; a mask and itself never should.

    Returns:
        (P,), at least 0.
    """
    scores, holds = logits[:, valid], targets[:, valid]  # (P, K)
    zero = scores.new_zeros(len(scores), 1)
    positive = torch.cat([zero, (-scores).masked_fill(~holds, -torch.inf)], dim=1).logsumexp(dim=1)
    negative = torch.cat([zero, scores.masked_fill(holds, -torch.inf)], dim=1).logsumexp(dim=1)
    return positive + negative


def relation_loss(logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """The mean over predicates of each one's loss times its share of the largest, which counts as a constant.

    The weight loss / max(loss) turns the training to the predicates that are wrong in this image; without it some
    forty that an image does not have rule the mean.

    Args:
        logits: as in `predicate_losses`.
        targets: as in `predicate_losses`.
        valid: as in `predicate_losses`.

    Returns:
        A scalar, at least 0.
    """
    losses = predicate_losses(logits, targets, valid)
    weight = losses.detach() / losses.detach().amax().clamp_min(1e-12)
    return (losses * weight).mean()
