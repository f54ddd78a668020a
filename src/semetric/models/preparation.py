"""What a hub model's preprocessor_config.json asks for: resize, crop, scale and shift, on pixels and on tensors.

On pixels this is, number by number, what transformers' image processors for CLIP, BiT (DINOv2) and ViT do
with Pillow. On tensors it is the differentiable twin: the same filters on numbers that are not rounded to
8 bits between the steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import ImageError, UsageError, WeightsCorruptError
from semetric.image.resample import Filter, resize

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CLIP", "DINOV2", "VIT", "Preparation"]

_FILTERS: Mapping[int, Filter] = {1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers
_MAX_PIXELS = 1 << 26  # of an image that is resized by its shortest side, before the crop


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How images become a network's input.

    Attributes:
        shortest: the shortest side after resizing, in pixels, the aspect ratio kept; None squashes instead.
        size: (H, W) to squash to, where `shortest` is None.
        resample: the filter.
        crop: (H, W) of the central part that is kept; None keeps all.
        mean: of R, G, B in [0, 1]; subtracted.
        std: of R, G, B in [0, 1]; divided by.

    Example:
        >>> CLIP.resized((300, 600))
        (224, 448)
        >>> CLIP(np.zeros((300, 600, 3), np.uint8)).shape
        (3, 224, 224)
    """

    shortest: int | None = None
    size: tuple[int, int] = (224, 224)
    resample: Filter = "bicubic"
    crop: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    @classmethod
    def from_config(cls, document: Mapping[str, Any], default: Preparation, source: str) -> Preparation:
        """Reads a preprocessor_config.json, old or new.

        Args:
            document: its contents; what it leaves out is as in the default.
            default: of the model's family. A processor of another family that the document names replaces it.
            source: the file's path, for errors.

        Raises:
            WeightsCorruptError: values of other types, or steps that are not known here.
        """
        kind = str(document.get("image_processor_type") or document.get("feature_extractor_type") or "")
        family = next((known for prefix, known in _FAMILIES.items() if kind.startswith(prefix)), default)
        factor = document.get("rescale_factor")
        unknown = {
            "do_resize": document.get("do_resize") is False,
            "do_rescale": document.get("do_rescale") is False,
            "rescale_factor": factor is not None and (not _number(factor) or abs(factor * 255 - 1) > 1e-6),
            "do_pad": bool(document.get("do_pad")),
        }
        if any(unknown.values()):
            names = ", ".join(name for name, is_unknown in unknown.items() if is_unknown)
            raise WeightsCorruptError(
                f"Expected a preparation that resizes and divides by 255 in {source}; found another ({names})."
            )
        try:
            return replace(family, **_steps(document, family))
        except (TypeError, ValueError, KeyError) as error:
            raise WeightsCorruptError(
                f"Expected size, crop, filter, mean and deviation in {source}; they cannot be read ({error})."
            ) from error

    @property
    def output(self) -> tuple[int, int] | None:
        """(H, W) of the network's input; None where it depends on the image."""
        return self.crop or (None if self.shortest is not None else self.size)

    def resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) that an image of (H, W) is resized to, before the crop.

        Raises:
            ImageError: an image so thin that its resized form would fill the memory.
        """
        if self.shortest is None:
            return self.size
        height, width = size
        longest = int(self.shortest * max(size) / min(size))
        if longest * self.shortest > _MAX_PIXELS:
            raise ImageError(
                f"Expected sides of less extreme proportions; {width} × {height} px would be resized to "
                f"{self.shortest} × {longest}. Crop the image first."
            )
        return (longest, self.shortest) if width <= height else (self.shortest, longest)

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Prepares one image.

        Args:
            pixels: (H, W, 3) uint8, RGB.

        Returns:
            (3, h, w) float32, scaled and shifted.

        Raises:
            ImageError: another shape or dtype, no pixels, or a side too thin.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise ImageError(f"Expected pixels (H, W, 3) of uint8 in RGB; found {pixels.dtype} {pixels.shape}.")
        x = resize(pixels, self.resized((pixels.shape[0], pixels.shape[1])), resample=self.resample)
        if self.crop is not None:
            (y0, y1), (x0, x1) = (_span(side, want) for side, want in zip(x.shape[:2], self.crop, strict=True))
            top, left = max(0, -y0), max(0, -x0)
            if top or left or y1 > x.shape[0] or x1 > x.shape[1]:
                wide = ((top, max(0, y1 - x.shape[0])), (left, max(0, x1 - x.shape[1])), (0, 0))
                x = np.pad(x, wide)  # type: ignore[assignment]
            x = x[y0 + top : y1 + top, x0 + left : x1 + left]
        scaled = (x.astype(np.float64) / 255).astype(np.float32)
        shifted = (scaled - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(shifted.transpose(2, 0, 1))

    def tensor(self, images: Tensor) -> Tensor:
        """Prepares a batch of one size, with gradients.

        Args:
            images: (B, 3, H, W) floats in [0, 1].

        Returns:
            (B, 3, h, w); differs from the form of 8-bit pixels by their rounding.

        Raises:
            UsageError: Lanczos, which tensors do not have.
        """
        import torch
        from torch.nn import functional as F

        if self.resample == "lanczos":
            raise UsageError("Expected a bilinear or bicubic preparation for gradients; this model's is Lanczos.")
        x, size = images, self.resized((images.shape[2], images.shape[3]))
        for target in ((x.shape[2], size[1]), size):  # across, then down, cut to [0, 1] after each: as Pillow does
            if tuple(x.shape[2:]) != target:
                x = F.interpolate(x, size=target, mode=self.resample, antialias=True, align_corners=False).clamp(0, 1)
        if self.crop is not None:
            (y0, y1), (x0, x1) = (_span(side, want) for side, want in zip(x.shape[2:], self.crop, strict=True))
            x = F.pad(x, (-x0, x1 - x.shape[3], -y0, y1 - x.shape[2]))  # negative padding crops
        mean, std = (torch.tensor(v, dtype=x.dtype, device=x.device)[:, None, None] for v in (self.mean, self.std))
        return (x - mean) / std


_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

CLIP = Preparation(shortest=224, crop=(224, 224), mean=_CLIP_MEAN, std=_CLIP_STD)
"""CLIP's own: shortest side 224, bicubic, the central square; the borders of other shapes are not seen."""

DINOV2 = Preparation(shortest=256, crop=(224, 224), mean=IMAGENET_MEAN, std=IMAGENET_STD)
"""That of facebook/dinov2-base."""

VIT = Preparation(size=(224, 224), resample="bilinear")
"""That of google/vit-base-patch16-224: squashed."""

_FAMILIES = {"CLIP": CLIP, "Bit": CLIP, "ViT": VIT}  # by the beginning of a processor's name


def _steps(document: Mapping[str, Any], family: Preparation) -> dict[str, Any]:
    """The fields of a Preparation that a document sets."""
    steps: dict[str, Any] = {}
    size = document.get("size")
    if isinstance(size, Mapping) and set(size) == {"shortest_edge"}:
        steps["shortest"] = _side(size["shortest_edge"])
    elif isinstance(size, Mapping):
        steps |= {"shortest": None, "size": (_side(size["height"]), _side(size["width"]))}
    elif size is not None and family.shortest is not None:
        steps["shortest"] = _side(size)
    elif size is not None:
        steps["size"] = (_side(size), _side(size))
    crop = document.get("crop_size")
    if document.get("do_center_crop") is False:
        steps["crop"] = None
    elif document.get("do_center_crop") or family.crop is not None:
        if isinstance(crop, Mapping):
            steps["crop"] = (_side(crop["height"]), _side(crop["width"]))
        elif crop is not None:
            steps["crop"] = (_side(crop), _side(crop))
        else:
            steps["crop"] = family.crop or (224, 224)
    if document.get("resample") is not None:
        steps["resample"] = _FILTERS[document["resample"]]
    if document.get("do_normalize") is False:
        steps |= {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    else:
        for step in ("mean", "std"):
            if document.get(f"image_{step}") is not None:
                steps[step] = _channels(document[f"image_{step}"], positive=step == "std")
    return steps


def _span(side: int, want: int) -> tuple[int, int]:
    """Where the central `want` of `side` pixels begin and end; outside of the image where it is smaller."""
    start = (side - want) // 2 if side >= want else -((want - side + 1) // 2)
    return start, start + want


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _side(value: Any) -> int:
    if not _number(value) or value != int(value) or not 1 <= value <= 4096:
        raise ValueError(f"a side of {value!r} px")
    return int(value)


def _channels(values: Any, *, positive: bool) -> tuple[float, ...]:
    three = [values] * 3 if _number(values) else values
    if not isinstance(three, list) or len(three) != 3 or not all(_number(v) and (v > 0 or not positive) for v in three):
        raise ValueError(f"{values!r} for three channels")
    return tuple(float(v) for v in three)
