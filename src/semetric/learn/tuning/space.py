"""The tuned parameters and their ranges.

The paper holds the weights α, β and γ between 0 and 1 and searches the rest freely (SeSS, arXiv 2406.03865, III-C).
Of graded SeSS the two curves that turn cosines into likeness vary too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from semetric.errors import UsageError, did_you_mean
from semetric.metrics.sess_settings import SessSettings, Settings, sess_settings
from semetric.scene.graded import GradedSettings

__all__ = ["Parameter", "Space"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One hyper-parameter.

    Attributes:
        name: as in SessSettings or GradedSettings.
        low: the smallest value that is tried.
        high: the largest.
        label: how a plot names it.
        integer: whether only whole numbers count.
    """

    name: str
    low: float
    high: float
    label: str
    integer: bool = False

    def unit(self, value: float) -> float:
        """The value's place between low and high, in [0, 1]."""
        return (value - self.low) / (self.high - self.low)

    def value(self, unit: float) -> float | int:
        """The inverse of `unit`; whole numbers are rounded."""
        value = self.low + min(max(float(unit), 0.0), 1.0) * (self.high - self.low)
        return round(value) if self.integer else value


_PAPER = (
    Parameter(name="alpha", low=0.0, high=1.0, label="α relations"),
    Parameter(name="beta", low=0.0, high=1.0, label="β neighbourhood"),
    Parameter(name="gamma", low=0.0, high=1.0, label="γ whole image"),
    Parameter(name="location", low=0.0, high=1.0, label="location"),
    Parameter(name="iterations", low=0, high=12, label="iterations", integer=True),
    Parameter(name="saliency_root", low=0.5, high=6.0, label="saliency root k"),
    Parameter(name="relation_root", low=0.5, high=6.0, label="relation root"),
    Parameter(name="relation_share", low=0.0, high=0.6, label="relation share"),
)

_GRADED = (
    Parameter(name="midpoint", low=0.0, high=1.0, label="μ objects"),
    Parameter(name="scale", low=0.01, high=0.3, label="τ objects"),
    Parameter(name="image_midpoint", low=0.0, high=1.0, label="μ whole image"),
    Parameter(name="image_scale", low=0.01, high=0.3, label="τ whole image"),
    Parameter(name="beta", low=0.0, high=1.0, label="β relations"),
    Parameter(name="gamma", low=0.0, high=1.0, label="γ whole image"),
)


@dataclass(frozen=True, kw_only=True)
class Space:
    """The settings that a search goes through; by default those of the variant paper.

    Attributes:
        parameters: those that vary.
        base: the values of all others.
        baselines: name → settings that were not tuned; the first is that to which the tuned are compared.
    """

    parameters: tuple[Parameter, ...] = _PAPER
    base: Settings = SessSettings.PAPER
    baselines: Mapping[str, Settings] = field(
        default_factory=lambda: {"paper": SessSettings.PAPER, "demo": SessSettings.DEMO}
    )

    @classmethod
    def graded(cls, calibrated: GradedSettings) -> Space:
        """That of the variant graded, beside the settings of a calibration."""
        return cls(parameters=_GRADED, base=calibrated, baselines={"graded": calibrated})

    @property
    def baseline(self) -> tuple[str, Settings]:
        """Name and settings of the first baseline."""
        return next(iter(self.baselines.items()))

    def narrowed(self, vary: Sequence[str] | None = None, fixed: Mapping[str, float] | None = None) -> Space:
        """The part of the space in which some parameters stay.

        Args:
            vary: names; None takes all that are not fixed.
            fixed: name → value that stays; what neither varies nor is fixed keeps the base's value.

        Raises:
            UsageError: a name that does not exist, one that is both, or none that varies.
        """
        fixed = dict(fixed or {})
        names = {p.name: p for p in self.parameters}
        for name in (*(vary or ()), *fixed):
            if name not in names:
                raise UsageError(
                    f"Expected a parameter among {', '.join(names)}; found {name!r}.{did_you_mean(name, names)}"
                )
        both = [name for name in vary or () if name in fixed]
        if both:
            raise UsageError(f"Expected each parameter either to vary or to be fixed; {', '.join(both)} is both.")
        chosen = tuple(p for p in self.parameters if (p.name in vary if vary is not None else p.name not in fixed))
        if not chosen:
            raise UsageError("Expected at least one parameter that varies; found all fixed.")
        whole = {n: int(v) if names[n].integer and float(v).is_integer() else v for n, v in fixed.items()}
        return replace(self, parameters=chosen, base=_with(self.base, whole))

    def settings(self, values: Mapping[str, float]) -> Settings:
        """The base with those values."""
        return _with(self.base, values)

    def at(self, units: Sequence[float] | np.ndarray) -> Settings:
        """The settings at a point of the unit cube; each coordinate a parameter."""
        return self.settings({p.name: p.value(float(u)) for p, u in zip(self.parameters, units, strict=True)})

    def units(self, settings: Settings) -> np.ndarray:
        """Where settings lie in the unit cube."""
        return np.array([p.unit(float(getattr(settings, p.name))) for p in self.parameters])

    def draw(self, rng: np.random.Generator) -> Settings:
        """Settings drawn evenly from the space; each whole number as often as any other."""
        values = {
            p.name: int(rng.integers(int(p.low), int(p.high) + 1)) if p.integer else float(rng.uniform(p.low, p.high))
            for p in self.parameters
        }
        return self.settings(values)


def _with(base: Settings, values: Mapping[str, float]) -> Settings:
    return sess_settings({**base.to_dict(), **values}, source="the fixed values")
