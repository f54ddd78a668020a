"""Codecs at target rates: what survives of an image at so many bits per pixel (arXiv 2406.03865, IV-B, Fig. 7-9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from semetric.errors import UsageError
from semetric.lab.experiments.base import Axis, Context, Sweep, check_levels
from semetric.lab.experiments.own_systems import MAX_RATE_BPP, OpenExperiment, codec_sweeps
from semetric.settings import setting

__all__ = ["RATES_BPP", "Compression"]

RATES_BPP = (0.1, 0.18, 0.33, 0.6, 1.1, 2.0)  # six, evenly spaced on a logarithmic axis


@dataclass(frozen=True, kw_only=True)
class Compression(OpenExperiment):
    """Rate–distortion curves: codecs at target rates.

    Attributes:
        codec_options: a codec's name → its options. With an option "codec" the name is one of your own:
            {"mine": {"codec": "external", …}}. With level = "quality" its levels are qualities.

    Examples:
        >>> Compression(codecs=("jpeg",), rates_bpp=(0.3, 1.0)).to_dict()["rates_bpp"]
        [0.3, 1.0]
    """

    kind: ClassVar[str] = "compression"
    axis: ClassVar[Axis] = Axis(name="rate_bpp", label="rate", unit="bits per pixel")
    title: ClassVar[str] = "Metrics against rate"
    example: ClassVar[str] = "semetric lab compression photos --codecs jpeg,avif --metric psnr,sess --out runs/codecs"

    codecs: tuple[str, ...] = setting(("jpeg", "jpeg2000", "webp", "avif"), "Codecs.")
    rates_bpp: tuple[float, ...] = setting(RATES_BPP, "Target rates, bits per pixel.")
    tolerance: float = setting(
        0.03, "Relative tolerance of a target rate; beyond it the nearest quality is taken, and noted."
    )
    codec_options: Mapping[str, Any] = field(default_factory=dict)

    def sweeps(self, context: Context) -> tuple[Sweep, ...]:
        """A codec a system, at every rate; then the systems of one's own."""
        check_levels("rates_bpp", self.rates_bpp, low=0.0, high=MAX_RATE_BPP)
        if not self.codecs and not self.systems:
            raise UsageError("Expected at least one codec or system; found none.")
        codecs = codec_sweeps(
            self.codecs, self.codec_options, context, self.axis, self.rates_bpp, tolerance=self.tolerance
        )
        return (*codecs, *self.own_sweeps(context, self.rates_bpp, self.tolerance))
