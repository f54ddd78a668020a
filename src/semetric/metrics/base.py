"""What every metric is and what it returns."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from semetric.errors import SizeMismatchError, UsageError
from semetric.image import ImageLike, Picture, read_image
from semetric.models.torch_state import clean_if_imported, clean_state

if TYPE_CHECKING:
    from torch import Tensor

    from semetric.models.runtime import Runtime

__all__ = ["Metric", "Scale", "Score"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """One metric's verdict on one pair.

    Attributes:
        metric: its name.
        value: the score; may be infinite (PSNR of identical images).
        higher_is_better: the direction.
        range: (lowest, highest) possible value; None where there is no bound.
        weights: role → "name.tag@digest" of every network that had a part.
        details: what else the metric can show, e.g. {"variant": "paper"}; plain JSON values.
        artefacts: arrays and objects behind the score (a map, a matching); never serialised.
    """

    metric: str
    value: float
    higher_is_better: bool
    range: tuple[float | None, float | None]
    weights: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    artefacts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The scale of a metric's bar in pictures, from the value of an empty bar to that of a full one.

    Attributes:
        empty: the value unlike the reference.
        full: the value of an image that is the same as the reference.
        logarithmic: whether the bar is linear in the logarithm of the value.
        labels: of both ends; None writes the two values.
        note: what a reader must know of it; empty where it is simply the metric's range.
    """

    empty: float
    full: float
    logarithmic: bool = False
    labels: tuple[str, str] | None = None
    note: str = ""

    def fraction(self, value: float) -> float | None:
        """How full the bar of a value is, in [0, 1]; None for no number.

        Examples:
            >>> Scale(empty=1, full=0).fraction(0.25)
            0.75
        """
        if math.isnan(value):
            return None
        if self.logarithmic:
            share = math.inf if value <= 0 else math.log(self.empty / value) / math.log(self.empty / self.full)
        else:
            share = (value - self.empty) / (self.full - self.empty)
        return min(max(share, 0.0), 1.0)


class Metric:
    """Scores image pairs. Made by semetric.create; holds its networks, no other state.

    Subclasses declare the class attributes and implement `_score`, or `_score_batch` where a batch gains. The registry,
    the torchmetrics class, the loss, tables and figures follow from the class.
    """

    name: ClassVar[str]
    label: ClassVar[str]  # in figures and tables: "MS-SSIM"
    summary: ClassVar[str] = ""  # what it compares, in a few words
    paper: ClassVar[str] = "–"  # where it is defined
    higher_is_better: ClassVar[bool]
    range: ClassVar[tuple[float | None, float | None]]  # None where there is no bound
    unit: ClassVar[str] = ""  # of its values: "dB"
    scale: ClassVar[Scale | None] = None  # of its bar; None draws the range
    place: ClassVar[int] = 100  # in lists, from pixels to scene graphs
    default: ClassVar[bool] = True  # whether it is scored when no metric is named
    networks: ClassVar[tuple[str, ...]] = ()  # choices of the profile behind it; without any of them it is no default
    options: ClassVar[tuple[str, ...]] = ()  # keyword-only arguments of `__init__`
    equal_sizes: ClassVar[bool] = True  # pixels are compared in place, so both images must have one size
    min_side: ClassVar[int] = 1  # the shortest side that can be scored, in pixels
    for_small: ClassVar[str] = "psnr"  # the metric that errors name for images below that
    differentiable: ClassVar[bool] = False  # whether `values` has gradients
    float64: ClassVar[bool] = False  # whether `values` computes in float64 where it is given it: networks do not
    no_gradient: ClassVar[str] = "its arithmetic is not tensors'"  # why not, where not

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        parameters = inspect.signature(cls.__init__).parameters.values()
        cls.options = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        if "name" in cls.__dict__ and "label" not in cls.__dict__:
            cls.label = cls.name

    @property
    def weights(self) -> Mapping[str, str]:
        """Role → "name.tag@digest" of every network behind this metric."""
        return {}

    def __call__(self, reference: ImageLike, image: ImageLike) -> Score:
        """Scores one pair.

        Args:
            reference: path, PIL image, numpy (H, W, 3) uint8 or torch (3, H, W) float in [0, 1].
            image: likewise; compared with the reference.

        Raises:
            ImageError: an input that cannot be read, or the two cannot be compared.
        """
        return self.batch([reference], [image])[0]

    def batch(self, references: Sequence[ImageLike], images: Sequence[ImageLike]) -> list[Score]:
        """Scores pairs in order; the same numbers as one call a pair.

        Raises:
            UsageError: the two sequences differ in length.
        """
        if len(references) != len(images):
            raise UsageError(f"Expected as many images as references; found {len(references)} and {len(images)}.")
        pairs = [(read_image(r), read_image(i)) for r, i in zip(references, images, strict=True)]
        for reference, image in pairs:
            self.check(reference, image)
        with clean_if_imported():
            return self._score_batch(pairs)

    def values(self, references: Tensor, images: Tensor) -> Tensor:
        """The scores of tensor batches, with gradients to both: a loss, or a step of an optimisation.

        Networks that expect one input size get it by the tensor twin of the resize that files pass, so
        that a value differs from that of `metric(reference, image)` by the rounding of 8-bit pixels.

        Computed on the metric's device, in float32 or, by metrics without a network, in float64 where it is given;
        an autocast or a default of the caller's has no part in it. Only the grad mode has: under `torch.no_grad()`
        there are no gradients.

        Args:
            references: (B, 3, H, W) in [0, 1], of float16, bfloat16, float32 or float64.
            images: likewise, of the same shape.

        Returns:
            (B,) on the device of the tensors, in their dtype but at least float32; mind the direction,
            `higher_is_better`.

        Raises:
            UsageError: the metric has no gradient; the message names one that does.
            ImageError: other shapes, not floats, not finite or outside [0, 1].
        """
        if not self.differentiable:
            raise UsageError(
                f"{self.name} has no gradient: {self.no_gradient}. As a loss use dreamsim, lpips or samscore, "
                f"and report {self.name}."
            )
        import torch

        from semetric.metrics._tensors import check_batch

        check_batch(references, images, metric=self.name, min_side=self.min_side, channels=3)
        dtype = torch.promote_types(torch.promote_types(references.dtype, images.dtype), torch.float32)
        with clean_state():
            values = self._values(*(self._computable(x) for x in (references, images)))
        return values.to(references.device, dtype)

    def _computable(self, images: Tensor) -> Tensor:
        """The images on the metric's device, in the dtype that it computes in."""
        import torch

        if images.is_inference() and not torch.is_inference_mode_enabled():
            images = images.clone()  # what inference mode made cannot be kept for a gradient
        precise = self.float64 and images.dtype == torch.float64
        return images.to(self.runtime.device, torch.float64 if precise else torch.float32)

    def _values(self, references: Tensor, images: Tensor) -> Tensor:
        raise NotImplementedError

    def check(self, reference: Picture, image: Picture) -> None:
        """Raises ImageError where this metric cannot compare the two."""
        if self.equal_sizes and reference.size != image.size:
            raise SizeMismatchError(
                f"{self.name} compares pixels in place and expects equal sizes; {reference.name} is "
                f"{_wxh(reference)} and {image.name} is {_wxh(image)}. Resize one (--resize reference)."
            )
        for picture in (reference, image):
            if min(picture.size) < self.min_side:
                raise SizeMismatchError(
                    f"{self.name} expects sides of at least {self.min_side} px; {picture.name} is {_wxh(picture)}. "
                    f"Choose {self.for_small}, which takes smaller images, or score larger ones."
                )

    def _score(self, reference: Picture, image: Picture) -> Score:
        return self._score_batch([(reference, image)])[0]

    def _score_batch(self, pairs: Sequence[tuple[Picture, Picture]]) -> list[Score]:
        return [self._score(reference, image) for reference, image in pairs]

    def _make(self, value: float, details: Mapping[str, Any] | None = None, **artefacts: Any) -> Score:
        return Score(
            metric=self.name,
            value=float(value),
            higher_is_better=self.higher_is_better,
            range=self.range,
            weights=self.weights,
            details=details or {},
            artefacts=artefacts,
        )


def _wxh(picture: Picture) -> str:
    h, w = picture.size
    return f"{w} × {h}"
