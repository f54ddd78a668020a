"""CLIPScore: how alike CLIP finds two images; and, under its own name, an image and a text.

`clipscore` is the image–image score that SeSS (arXiv 2406.03865, Eq. 15) compares with: the cosine of the
two image embeddings. `clipscore_text` is what Hessel et al. (CLIPScore, arXiv 2104.08718) defined: an image
against a caption. The two are different quantities and share nothing but the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from semetric.cache import default_store
from semetric.errors import ImageError, UsageError
from semetric.image import ImageLike, Picture, read_image
from semetric.metrics.base import Metric, Score
from semetric.models.clip import Clip
from semetric.models.runtime import Runtime

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CLIPScore", "clipscore", "clipscore_text"]


def clipscore(x: Tensor, y: Tensor) -> Tensor:
    """Cosine of image embeddings, differentiable.

    Args:
        x: (B, d) CLIP embeddings of the references, of any length.
        y: (B, d) likewise of the images.

    Returns:
        (B,) in [−1, 1]; higher is more similar. Symmetric.

    Raises:
        ImageError: other shapes.
    """
    from torch.nn import functional as F

    if x.ndim != 2 or x.shape != y.shape:
        raise ImageError(
            f"clipscore expects embeddings (B, d) twice; found {tuple(x.shape)} and {tuple(y.shape)}. "
            "One image's is x[None]."
        )
    return F.cosine_similarity(x, y, dim=1)


class CLIPScore(Metric):
    """Cosine of two CLIP image embeddings.

    The profile's `clip` names the network. CLIP's preparation keeps the central square of an image: the
    borders of others are not seen. Unrelated photos do not score 0.

    Raises:
        UsageError: the profile names no CLIP.
    """

    name = "clipscore"
    label = "CLIPScore"
    summary = "what CLIP sees in the whole image"
    paper = "arXiv 2406.03865"
    place = 8
    networks = ("clip",)
    higher_is_better = True
    range = (-1.0, 1.0)
    equal_sizes = False
    differentiable = True

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.clip = clip_of(runtime, self.name)

    @property
    def weights(self) -> Mapping[str, str]:
        """The CLIP."""
        return {"clip": self.clip.identity}

    def _values(self, references: Tensor, images: Tensor) -> Tensor:
        return clipscore(self.clip.embed_tensor(references), self.clip.embed_tensor(images))

    def _score_batch(self, pairs: Sequence[tuple[Picture, Picture]]) -> list[Score]:
        rows = self.clip.embeddings([picture for pair in pairs for picture in pair])
        details = {"clip": self.clip.name}
        return [self._make(_cosine(a, b), details) for a, b in zip(rows[::2], rows[1::2], strict=True)]


def clipscore_text(
    image: ImageLike,
    text: str,
    runtime: Runtime | str = "standard",
    *,
    scale: float = 100.0,
    prefix: str = "",
) -> Score:
    """How well a text describes an image: scale · max(cosine, 0) of CLIP's two embeddings.

    Hessel et al., "CLIPScore", arXiv 2104.08718, define w · max(cos, 0) with w = 2.5 and captions that begin
    with "A photo depicts": `scale=2.5, prefix="A photo depicts "`. The defaults are those of widely used
    implementations: percent, and the text as it is.

    Args:
        image: path, PIL image, numpy (H, W, 3) uint8 or torch (3, H, W) float in [0, 1].
        text: at most 77 of CLIP's tokens.
        runtime: whose profile names the CLIP; or a profile's name.
        scale: > 0, the largest possible score.
        prefix: written before the text.

    Returns:
        A Score called "clipscore_text", higher is better, in [0, scale].

    Raises:
        ImageError: an image that cannot be read.
        UsageError: no CLIP in the profile, or a text that is empty or too long.
        WeightsError: the CLIP is missing, or its folder has no tokenizer.
    """
    if not text.strip():
        raise UsageError("clipscore_text expects a text; found an empty one. Describe the image.")
    if not 0 < scale < float("inf"):
        raise UsageError(f"clipscore_text expects a scale above 0; found {scale!r}.")
    networks = Runtime(runtime, store=default_store()) if isinstance(runtime, str) else runtime
    clip = clip_of(networks, "clipscore_text")
    cosine = _cosine(clip.embedding(read_image(image)), clip.embed_texts([prefix + text])[0])
    return Score(
        metric="clipscore_text",
        value=scale * max(cosine, 0.0),
        higher_is_better=True,
        range=(0.0, scale),
        weights={"clip": clip.identity},
        details={"clip": clip.name, "text": prefix + text, "cosine": cosine},
    )


def clip_of(runtime: Runtime, metric: str) -> Clip:
    """The CLIP of the runtime's profile.

    Raises:
        UsageError: there is none, or no such CLIP.
    """
    choice = runtime.profile.clip
    if choice is None:
        raise UsageError(
            f"{metric} expects a CLIP, and the profile {runtime.profile.name} names none. Fetch one with "
            "semetric models fetch clip_vit_b_32, then use --clip clip_vit_b_32 or --profile standard."
        )
    return Clip(runtime, choice)


def _cosine(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> float:
    """In float64, within [−1, 1]; 0 where an embedding has no length."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return min(1.0, max(-1.0, float(x @ y) / norm)) if norm else 0.0
