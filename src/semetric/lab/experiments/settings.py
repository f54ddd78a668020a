"""What every experiment shares: metrics, networks, seed, and how images are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from semetric.errors import UsageError
from semetric.lab.experiments.values import fields_of, from_values, to_values

if TYPE_CHECKING:
    from semetric.metrics.base import Metric
    from semetric.models.runtime import Runtime

__all__ = ["DEFAULT_METRICS", "RunSettings"]

DEFAULT_METRICS = ("psnr", "ms_ssim", "lpips", "samscore", "sess")
_NO_OPTIONS = ("metrics", "profile", "device", "seed", "examples", "resize_longest", "background", "max_pixels")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a run scores, whatever the experiment.

    Attributes:
        metrics: names; None takes those of DEFAULT_METRICS that the profile can score.
        profile: lite, standard or paper.
        device: auto, cpu or cuda.
        seed: of everything random.
        examples: how many images keep their received pictures.
        resize_longest: px; images with a longer side are brought to it before they are sent; None sends all pixels.
        background: the colour behind transparent pixels.
        max_pixels: refuse images with more pixels; None for the default limit.
        variant: of SeSS, as the other names below an option of `semetric score`; None takes the profile's.
        padding: of SAMScore.
        sam: the segment-anything network.
        masks: how masks are found.
        objects: the encoder of objects.
        relations: between objects.
        relations_weights: the relation head's checkpoint.
        calibration: of the encoder of objects, for graded SeSS.
        predicates: what compares predicates.
        clip: CLIPScore's network.
        vit: ViTScore's network.
        dreamsim: the variant of DreamSim.
        dreamsim_weights: its folder or zip.

    Raises:
        UsageError: a number out of range.
    """

    metrics: tuple[str, ...] | None = None
    profile: str = "lite"
    device: str = "auto"
    seed: int = 0
    examples: int = 3
    resize_longest: int | None = None
    background: str = "white"
    max_pixels: int | None = None
    variant: str | None = None
    padding: str | None = None
    sam: str | None = None
    masks: str | None = None
    objects: str | None = None
    relations: str | None = None
    relations_weights: str | None = None
    calibration: str | None = None
    predicates: str | None = None
    clip: str | None = None
    vit: str | None = None
    dreamsim: str | None = None
    dreamsim_weights: str | None = None

    def __post_init__(self) -> None:
        for name, low in (("seed", 0), ("examples", 0), ("resize_longest", 16), ("max_pixels", 1)):
            value = getattr(self, name)
            if value is not None and value < low:
                raise UsageError(f"Expected {name} of at least {low}; found {value}.")
        if self.metrics is not None and not self.metrics:
            raise UsageError("Expected at least one metric; found none.")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunSettings:
        """Makes the settings of plain values.

        Raises:
            UsageError: a key that does not exist, or a value of another kind.
        """
        return from_values(cls, values)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return to_values(self)

    @property
    def options(self) -> dict[str, str]:
        """The options of metrics and of the profile that are set."""
        names = [name for name in fields_of(RunSettings) if name not in _NO_OPTIONS]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @property
    def reading(self) -> dict[str, Any]:
        """How images are read, as `read_picture` takes it."""
        return {
            "resize_longest": self.resize_longest,
            "background": self.background,
            "max_pixels": self.max_pixels,
        }

    def runtime(self, *, cached: bool = True) -> Runtime:
        """The runtime that metrics and systems share.

        Args:
            cached: whether products are kept on disk.
        """
        from semetric.runs.choice import profile_choices
        from semetric.scoring import runtime

        overrides = profile_choices(self.options)
        return runtime(self.profile, device=self.device, store="default" if cached else None, **overrides)

    def make_metrics(self, used: Runtime) -> tuple[dict[str, Metric], dict[str, str]]:
        """Name → metric; and of the default ones, name → why it is left out.

        Raises:
            SemetricError: a metric that was named cannot be scored.
            UsageError: none of the default ones can.
        """
        from semetric.runs.choice import make_metrics

        return make_metrics(self.metrics, used, self.options, default=DEFAULT_METRICS)
