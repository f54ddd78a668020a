"""CLIP (Radford et al. 2021) and OpenCLIP: images and phrases in one space.

Any CLIPModel in the hub's folder layout, through transformers. OpenCLIP's ViT-H-14 is published in that
layout too. An embedding is the projected class token, or the projected end-of-text token, as
`get_image_features` and `get_text_features` return it: of any length, to be compared by cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError, WeightsCorruptError
from semetric.image import Picture
from semetric.models.hub import HubNetwork, build, fitting, quiet
from semetric.models.preparation import CLIP, Preparation
from semetric.models.torch_state import clean_state

if TYPE_CHECKING:
    from torch import Tensor, nn

    from semetric.models.runtime import Arrays

__all__ = ["CLIPS", "Clip"]

CLIPS = ("clip_vit_b_32", "clip_vit_b_16", "open_clip_vit_h_14")

_BATCH = 16  # pictures that pass the network at once
_SPARE = ("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids")  # of older files


class Clip(HubNetwork):
    """One CLIP."""

    names, what, kinds = CLIPS, "a CLIP", ("clip",)

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self.model.config.get("projection_dim", 512))

    @cached_property
    def preparation(self) -> Preparation:
        """How images are prepared.

        Raises:
            WeightsCorruptError: for another size than the network's.
        """
        vision = self.model.config.get("vision_config") or {}
        return fitting(self.model.preparation(CLIP), int(vision.get("image_size", 224)), self.model)

    @property
    def network(self) -> nn.Module:
        """transformers' CLIPModel, loaded the first time."""
        return self.runtime.network(
            f"clip {self.identity}", lambda: build(self.model, "CLIPModel", "CLIPConfig", spare=_SPARE)
        )

    def embed_tensor(self, images: Tensor) -> Tensor:
        """Embeds tensors, with gradients.

        Args:
            images: (B, 3, H, W) floats in [0, 1].

        Returns:
            (B, d).
        """
        return self._features(self.preparation.tensor(images))

    def embed_crops(self, crops: Sequence[NDArray[np.uint8]], *, batch: int) -> NDArray[np.float32]:
        """Embeds images of any sizes.

        Args:
            crops: N arrays (H, W, 3) uint8, RGB.
            batch: how many pass the network at once.

        Returns:
            (N, d) float32.

        Raises:
            ImageError: an array of another dtype or shape.
        """
        import torch

        parts = []
        with clean_state(inference=True):
            for start in range(0, len(crops), batch):
                x = np.stack([self.preparation(crop) for crop in crops[start : start + batch]])
                parts.append(self._features(torch.from_numpy(x).to(self.runtime.device)).cpu().numpy())
        return cast("NDArray[np.float32]", np.concatenate(parts))

    def embedding(self, picture: Picture) -> NDArray[np.float32]:
        """(d,) embedding of a picture, from memory or the cache where it was computed before."""
        return self.embeddings([picture])[0]

    def embeddings(self, pictures: Sequence[Picture]) -> list[NDArray[np.float32]]:
        """The same for several pictures; those not computed before pass the network in batches."""
        recipe = {"kind": "clip_embedding", "clip": self.identity}
        return [arrays["embedding"] for arrays in self.runtime.products(pictures, recipe, self._embed, batch=_BATCH)]

    def _embed(self, pictures: Sequence[Picture]) -> list[Arrays]:
        arrays: list[Arrays] = []
        for part in self.runtime.passes(pictures, _BATCH):
            rows = self.embed_crops([picture.to_uint8() for picture in part], batch=len(part))
            arrays += [{"embedding": row} for row in rows]
        return arrays

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeds phrases, one at a time, so that no padding has a part in them.

        Args:
            texts: phrases, each of at most the tokens that the network was trained on (77).

        Returns:
            (N, d) float32.

        Raises:
            UsageError: a phrase that is too long.
            WeightsCorruptError: a folder without a tokenizer, or with that of another model.
        """
        import torch

        network: Any = self.network
        limit, end = network.config.text_config.max_position_embeddings, network.config.text_config.eos_token_id
        words = network.config.text_config.vocab_size
        rows = []
        for text in texts:
            ids = self._tokenizer(text)["input_ids"]
            if len(ids) > limit:
                raise UsageError(
                    f"Expected a text of at most {limit} tokens; found {len(ids)}: {text[:60]!r}… Shorten it."
                )
            if max(ids) >= words or (end != 2 and end not in ids):  # 2: older files, whose highest token ends a text
                raise WeightsCorruptError(
                    f"Expected a tokenizer of {words} words whose texts end in token {end} in {self.model.place}; "
                    "found that of another model. Fetch or copy the folder anew."
                )
            with clean_state(inference=True):
                features = network.get_text_features(input_ids=torch.tensor([ids], device=self.runtime.device))
            rows.append(features.pooler_output[0].float().cpu().numpy())
        return np.stack(rows) if rows else np.empty((0, self.dim), np.float32)

    @cached_property
    def _tokenizer(self) -> Any:
        place = self.model.place
        if not ((place / "tokenizer.json").is_file() or (place / "vocab.json").is_file()):
            raise WeightsCorruptError(
                f"Expected a tokenizer (tokenizer.json, or vocab.json and merges.txt) in {place}; found none. "
                "Copy it there."
            )
        try:
            from transformers import CLIPTokenizer

            with quiet():
                return CLIPTokenizer.from_pretrained(str(place), local_files_only=True)
        except Exception as error:  # whatever a damaged file leads the library to
            raise WeightsCorruptError(
                f"Expected the tokenizer of a CLIP in {place}; it cannot be read ({str(error)[:200]}). Fetch it anew."
            ) from error

    def _features(self, x: Tensor) -> Tensor:
        """(B, 3, h, w) prepared → (B, d) float32."""
        model: Any = self.network
        return cast("Tensor", model.get_image_features(pixel_values=x).pooler_output.float())
