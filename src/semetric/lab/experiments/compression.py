"""Codecs at target rates: what survives of an image at so many bits per pixel (arXiv 2406.03865, IV-B, Fig. 7-9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from semetric.errors import UsageError
from semetric.lab.experiments.base import Arm, Axis, Context, Experiment, check_levels

__all__ = ["MAX_RATE_BPP", "RATES_BPP", "Compression"]

RATES_BPP = (0.1, 0.18, 0.33, 0.6, 1.1, 2.0)  # six, evenly spaced on a logarithmic axis
MAX_RATE_BPP = 24.0  # of the uncoded image


@dataclass(frozen=True, kw_only=True)
class Compression(Experiment):
    """Codecs × target rates.

    Attributes:
        codecs: names of codecs.
        rates_bpp: target rates, in bits per pixel.
        tolerance: of a target: how far off a rate still meets it; else the nearest quality step is taken, and said.
        codec_options: a codec's name → its options. With an option "codec" the name is one of your own:
            {"ours": {"codec": "external", …}}.
    """

    kind: ClassVar[str] = "compression"
    axis: ClassVar[Axis] = Axis(name="rate_bpp", label="rate", unit="bits per pixel")
    title: ClassVar[str] = "codecs at target rates"

    codecs: tuple[str, ...] = ("jpeg", "jpeg2000", "webp", "avif")
    rates_bpp: tuple[float, ...] = RATES_BPP
    tolerance: float = 0.03
    codec_options: Mapping[str, Any] = field(default_factory=dict)

    def arms(self, context: Context) -> tuple[Arm, ...]:
        """A codec a system, at every rate."""
        del context
        from semetric.lab.experiments.codecs import check_options, system_of

        check_levels("rates_bpp", self.rates_bpp, low=0.0, high=MAX_RATE_BPP)
        if not self.codecs:
            raise UsageError("Expected at least one codec; found none.")
        check_options(self.codecs, self.codec_options)
        return tuple(
            Arm(system=system_of(name, self.codec_options, tolerance=self.tolerance), levels=self.rates_bpp)
            for name in self.codecs
        )
