"""A head against the spatial rules, on the same masks of the same images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from semetric.learn.agreement.resampling import RESAMPLES
from semetric.learn.relation_head.examples import Example
from semetric.learn.relation_head.recall import hits, summarise
from semetric.models.torch_state import clean_state
from semetric.scene.spatial import SPATIAL_PREDICATES, spatial_probabilities

if TYPE_CHECKING:
    from semetric.models.relate_anything import RelateAnything

__all__ = ["compare", "head_probabilities"]


def head_probabilities(head: RelateAnything, example: Example) -> NDArray[np.float32]:
    """(56, N, N) from the tokens of an image's masks.

    Args:
        head: in eval mode.
        example: the image.
    """
    import torch

    device = head.cls_sub.weight.device
    with clean_state(inference=True):
        probabilities: NDArray[np.float32] = head(torch.from_numpy(np.array(example.tokens)).to(device)).cpu().numpy()
    return probabilities


def compare(
    head: RelateAnything, held_out: Sequence[Example], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """Recall of the head and of the spatial rules.

    Args:
        head: in eval mode.
        held_out: images with their masks, which the head was not trained on.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        "free" and "constrained" (one predicate a pair), each as `recall.summarise` has it with the methods "head" and
        "spatial"; "masks" (segments, and how many have a mask); "spatial_predicates", the nine that the rules know.
    """
    learnt = [head_probabilities(head, example) for example in held_out]
    rules = [spatial_probabilities(example.masks) for example in held_out]
    document: dict[str, Any] = {
        name: summarise(
            {
                "head": hits(held_out, learnt, constrained=constrained),
                "spatial": hits(held_out, rules, constrained=constrained),
            },
            resamples=resamples,
            seed=seed,
        )
        for name, constrained in (("free", False), ("constrained", True))
    }
    document["masks"] = {
        "segments": sum(example.segments for example in held_out),
        "matched": sum(len(example.matched) for example in held_out),
    }
    document["spatial_predicates"] = list(SPATIAL_PREDICATES)
    return document
