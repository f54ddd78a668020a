"""What every experiment shares: metrics, networks, seed, and how images are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from semetric.errors import UsageError
from semetric.score_settings import MetricSettings, Reading
from semetric.settings import setting

if TYPE_CHECKING:
    from semetric.metrics.base import Metric
    from semetric.models.runtime import Runtime

__all__ = ["DEFAULT_METRICS", "RunSettings"]

DEFAULT_METRICS = ("psnr", "ms_ssim", "lpips", "samscore", "sess")


@dataclass(frozen=True, kw_only=True)
class RunSettings(Reading, MetricSettings):
    """How a run scores, whatever the experiment."""

    metrics: tuple[str, ...] | None = setting(
        None, "Names of metrics. Default: those of psnr, ms_ssim, lpips, samscore, sess that the profile can score."
    )
    seed: int = setting(0, "Seed of all random numbers.", low=0)
    examples: int = setting(3, "Images whose received pictures are kept, from the first.", low=0)
    resize_longest: int | None = setting(
        None, "Shrink images whose longer side is above this many px before sending them.", low=16
    )

    sess: Mapping[str, Any] = setting(
        dict, "SeSS's hyper-parameters, as the table [sess] of `semetric score --config` has them.", flag=False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.metrics == ():
            raise UsageError("Expected at least one metric; found none.")
        if self.sess:
            self.options_of(("settings",))  # which looks at names and ranges

    def options_of(self, names: Iterable[str]) -> dict[str, Any]:
        """Those of the named options of a metric that are set."""
        names = tuple(names)
        options = super().options_of(names)
        if self.sess and "settings" in names:
            from semetric.metrics.sess_settings import sess_settings

            options["settings"] = sess_settings(self.sess, source="the options")
        return options

    @property
    def reading(self) -> dict[str, Any]:
        """How images are read, as `read_picture` takes it."""
        return {"resize_longest": self.resize_longest, **super().reading}

    def runtime(self, *, cached: bool = True) -> Runtime:
        """The runtime that metrics and systems share.

        Args:
            cached: whether products are kept on disk.
        """
        from semetric.scoring import runtime_of

        return runtime_of(self, store="default" if cached else None)

    def make_metrics(self, runtime: Runtime) -> tuple[dict[str, Metric], dict[str, str]]:
        """Name → metric; and of the default ones, name → why it is left out.

        Raises:
            SemetricError: a metric that was named cannot be scored.
            UsageError: none of the default ones can.
        """
        from semetric.runs.choice import make_metrics

        return make_metrics(self.metrics, runtime, self, default=DEFAULT_METRICS)
