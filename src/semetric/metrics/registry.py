"""The metrics by name. Looking here imports none of them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from semetric.errors import SemetricError, UsageError, did_you_mean

if TYPE_CHECKING:
    from semetric.metrics.base import Metric
    from semetric.models.runtime import Runtime
    from semetric.profiles import Profile
    from semetric.score_settings import MetricSettings

__all__ = ["METRICS", "MetricSpec", "check_options", "create", "default_metrics", "names_of", "spec", "takes"]


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """What is known of a metric before it is imported; a test holds it against the class.

    Attributes:
        name: as users write it.
        target: "module:Class".
        higher_is_better: the direction.
        range: (lowest, highest); None where there is no bound.
        summary: what it measures, in a few words.
        paper: where it is defined.
        options: names of the arguments that `create` passes on.
        default: whether it is scored when no metric is named.
        choices: fields of the profile, one of which must be set for that; none means always.
        by_profile: whether the profile names the networks behind it.
    """

    name: str
    target: str
    higher_is_better: bool
    range: tuple[float | None, float | None]
    summary: str
    paper: str
    options: tuple[str, ...] = ()
    default: bool = True
    choices: tuple[str, ...] = ()
    by_profile: bool = False


_SPECS = (
    MetricSpec(
        name="mse",
        target="semetric.metrics.mse:MSE",
        higher_is_better=False,
        range=(0.0, 65025.0),
        summary="pixel error",
        paper="–",
    ),
    MetricSpec(
        name="psnr",
        target="semetric.metrics.psnr:PSNR",
        higher_is_better=True,
        range=(0.0, None),
        summary="pixel error, in dB",
        paper="–",
    ),
    MetricSpec(
        name="ssim",
        target="semetric.metrics.ssim:SSIM",
        higher_is_better=True,
        range=(-1.0, 1.0),
        summary="local structure",
        paper="Wang et al. 2004",
    ),
    MetricSpec(
        name="ms_ssim",
        target="semetric.metrics.ms_ssim:MSSSIM",
        higher_is_better=True,
        range=(0.0, 1.0),
        summary="local structure at five scales",
        paper="Wang et al. 2003",
    ),
    MetricSpec(
        name="lpips",
        target="semetric.metrics.lpips:LPIPS",
        higher_is_better=False,
        range=(0.0, None),
        summary="perceptual patches (AlexNet)",
        paper="arXiv 1801.03924",
    ),
    MetricSpec(
        name="lpips_vgg",
        target="semetric.metrics.lpips:LPIPSVgg",
        higher_is_better=False,
        range=(0.0, None),
        summary="perceptual patches (VGG16)",
        paper="arXiv 1801.03924",
    ),
    MetricSpec(
        name="lpips_squeeze",
        target="semetric.metrics.lpips:LPIPSSqueeze",
        higher_is_better=False,
        range=(0.0, None),
        summary="perceptual patches (SqueezeNet)",
        paper="arXiv 1801.03924",
        default=False,
    ),
    MetricSpec(
        name="vitscore",
        target="semetric.metrics.vitscore:ViTScore",
        higher_is_better=True,
        range=(-1.0, 1.0),
        summary="best-matching patch tokens",
        paper="arXiv 2309.04891",
        by_profile=True,
    ),
    MetricSpec(
        name="clipscore",
        target="semetric.metrics.clipscore:CLIPScore",
        higher_is_better=True,
        range=(-1.0, 1.0),
        summary="what CLIP sees in the whole image",
        paper="arXiv 2406.03865",
        choices=("clip",),
        by_profile=True,
    ),
    MetricSpec(
        name="dreamsim",
        target="semetric.metrics.dreamsim:DreamSim",
        higher_is_better=False,
        range=(0.0, 2.0),
        summary="layout, pose and content, as people judge",
        paper="arXiv 2306.09344",
        choices=("dreamsim", "dreamsim_weights"),
        by_profile=True,
    ),
    MetricSpec(
        name="dreamsim_untuned",
        target="semetric.metrics.dreamsim:DreamSimUntuned",
        higher_is_better=False,
        range=(0.0, 2.0),
        summary="DreamSim's trunks before tuning",
        paper="arXiv 2306.09344",
        default=False,
        by_profile=True,
    ),
    MetricSpec(
        name="samscore",
        target="semetric.metrics.samscore:SAMScore",
        higher_is_better=True,
        range=(-1.0, 1.0),
        summary="structure, cell by cell",
        paper="arXiv 2305.15367",
        options=("padding",),
        by_profile=True,
    ),
    MetricSpec(
        name="sess",
        target="semetric.metrics.sess:Sess",
        higher_is_better=True,
        range=(0.0, 1.0),
        summary="objects and relations",
        paper="arXiv 2406.03865",
        options=("variant", "matching", "settings"),
        by_profile=True,
    ),
)

METRICS: dict[str, MetricSpec] = {spec.name: spec for spec in _SPECS}


def default_metrics(profile: Profile) -> list[str]:
    """What a profile scores when no metric is named: all but those for which it has made no choice of weights."""
    return [
        spec.name
        for spec in _SPECS
        if spec.default and (not spec.choices or any(getattr(profile, choice) is not None for choice in spec.choices))
    ]


def names_of(metrics: str | Sequence[str] | None) -> list[str] | None:
    """Metrics as users give them, as a list without repetitions; None stays None.

    Args:
        metrics: names; a single str may hold several, with commas between them.

    Raises:
        UsageError: a name that does not exist.
    """
    if metrics is None:
        return None
    given = [name.strip() for name in metrics.split(",")] if isinstance(metrics, str) else metrics
    return [spec(name).name for name in dict.fromkeys(given)]


def check_options(runtime: Runtime, settings: MetricSettings) -> None:
    """Checks options by making the metrics that they are for, whether these are scored or not.

    Args:
        runtime: with the profile's choices.
        settings: options of metrics, and networks in place of the profile's.

    Raises:
        UsageError: a value that does not exist.
    """
    by_default = default_metrics(runtime.profile)
    for entry in _SPECS:
        options = settings.options_of(entry.options)
        if options or (settings.choices and entry.by_profile and entry.name in by_default):
            try:
                _ = create(entry.name, runtime, settings).weights
            except UsageError:
                raise
            except SemetricError:  # such as weights that are missing: no fault of the option
                continue


def spec(name: str) -> MetricSpec:
    """The metric of that name.

    Raises:
        UsageError: there is none; the message lists the names.
    """
    if name not in METRICS:
        raise UsageError(f"Expected a metric among {', '.join(METRICS)}; found {name!r}.{did_you_mean(name, METRICS)}")
    return METRICS[name]


def takes(option: str) -> bool:
    """Whether any metric has an option of that name."""
    return any(option in entry.options for entry in _SPECS)


def create(name: str, runtime: Runtime, settings: MetricSettings) -> Metric:
    """Makes a metric on a runtime, with those of its options that are set. Loads no weights yet.

    Raises:
        UsageError: no such metric, or an option with a value that does not exist.
    """
    entry = spec(name)
    module, _, attribute = entry.target.partition(":")
    metric: Metric = getattr(importlib.import_module(module), attribute)(runtime, **settings.options_of(entry.options))
    return metric
