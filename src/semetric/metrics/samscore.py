"""SAMScore: whether two images have the same structure, cell by cell (Li et al. 2023, arXiv 2305.15367).

Both images pass SAM's image encoder; the score is the cosine of their embeddings, over channels at
each of 64 × 64 cells, averaged over cells. A non-square image fills only part of SAM's square input.
The published package averages the empty cells too, which resemble each other and inflate the score:
`padding="include"` reproduces it; the default `"exclude"` averages the cells that hold image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.image import Picture
from semetric.metrics.base import Metric, Score
from semetric.models.frame import Frame
from semetric.models.runtime import Runtime
from semetric.models.segmenter import Segmenter

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SAMScore", "cell_similarity", "samscore"]

Padding = Literal["exclude", "include"]


def samscore(a: Tensor, b: Tensor, cells: tuple[int, int] | None = None) -> Tensor:
    """SAMScore of embeddings, differentiable.

    Args:
        a: (B, C, 64, 64) SAM embeddings of the references.
        b: likewise of the images.
        cells: (rows, columns) from the top left that hold image; None averages all.

    Returns:
        (B,) in [−1, 1]; higher is more similar.
    """
    import torch.nn.functional as F

    cosine = (F.normalize(a, dim=1) * F.normalize(b, dim=1)).sum(1)  # (B, 64, 64)
    if cells is not None:
        cosine = cosine[:, : cells[0], : cells[1]]
    return cosine.mean((1, 2))


def cell_similarity(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine over channels: (C, 64, 64) twice → (64, 64). The same arithmetic as `samscore`, without torch."""
    norms = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    cosine: NDArray[np.float32] = np.einsum("chw,chw->hw", a, b) / np.maximum(norms, 1e-12)
    return cosine


class SAMScore(Metric):
    """Structural similarity under SAM. Artefact `map`: (rows, columns) cell cosines over the content.

    Args:
        runtime: whose profile names the SAM.
        padding: "exclude" (default) or "include" (as published).
    """

    name = "samscore"
    label = "SAMScore"
    summary = "structure, cell by cell"
    paper = "arXiv 2305.15367"
    place = 11
    networks = ("sam",)
    higher_is_better = True
    range = (-1.0, 1.0)
    differentiable = True

    def __init__(self, runtime: Runtime, *, padding: Padding = "exclude") -> None:
        super().__init__(runtime)
        if padding not in ("exclude", "include"):
            raise UsageError(f"Expected padding to be exclude or include; found {padding!r}.")
        self.padding = padding
        self.segmenter = Segmenter(runtime)

    @property
    def weights(self) -> Mapping[str, str]:
        """SAM's image encoder."""
        return self.segmenter.encoder_weights

    def _values(self, references: Tensor, images: Tensor) -> Tensor:
        from semetric.models.sam import prepare_tensor

        sam = self.segmenter.sam
        a, b = (sam.encode(prepare_tensor(x)) for x in (references, images))
        size = references.shape[2], references.shape[3]
        return samscore(a, b, Frame.of(size).cells if self.padding == "exclude" else None)

    def _score_batch(self, pairs: Sequence[tuple[Picture, Picture]]) -> list[Score]:
        embeddings = self.segmenter.embeddings([picture for pair in pairs for picture in pair])
        sides = zip(pairs, embeddings[::2], embeddings[1::2], strict=True)
        return [self._compared(reference, a, b) for (reference, _), a, b in sides]

    def _compared(self, reference: Picture, a: NDArray[np.float32], b: NDArray[np.float32]) -> Score:
        cosine = cell_similarity(a, b)
        rows, columns = Frame.of(reference.size).cells
        content = cosine[:rows, :columns]
        value = content.mean() if self.padding == "exclude" else cosine.mean()
        return self._make(float(value), {"sam": self.segmenter.name, "padding": self.padding}, map=content)
