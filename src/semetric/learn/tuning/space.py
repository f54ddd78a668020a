"""What is tuned, and from where to where.

The paper holds the weights α, β and γ between 0 and 1 and searches the rest freely (SeSS, arXiv 2406.03865, III-C).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from semetric.errors import UsageError, did_you_mean
from semetric.metrics.sess_settings import SessSettings

__all__ = ["PARAMETERS", "Parameter", "Space"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One hyper-parameter.

    Attributes:
        name: as in SessSettings.
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
        found = self.low + min(max(float(unit), 0.0), 1.0) * (self.high - self.low)
        return round(found) if self.integer else found


_ALL = (
    Parameter(name="alpha", low=0.0, high=1.0, label="α relations"),
    Parameter(name="beta", low=0.0, high=1.0, label="β neighbourhood"),
    Parameter(name="gamma", low=0.0, high=1.0, label="γ whole image"),
    Parameter(name="location", low=0.0, high=1.0, label="location"),
    Parameter(name="iterations", low=0, high=12, label="iterations", integer=True),
    Parameter(name="saliency_root", low=0.5, high=6.0, label="saliency root k"),
    Parameter(name="relation_root", low=0.5, high=6.0, label="relation root"),
    Parameter(name="relation_share", low=0.0, high=0.6, label="relation share"),
)

PARAMETERS: Mapping[str, Parameter] = {one.name: one for one in _ALL}
"""Name → parameter, in the order of reports."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """The settings that a search goes through.

    Attributes:
        parameters: those that vary.
        base: the values of all others.
    """

    parameters: tuple[Parameter, ...] = _ALL
    base: SessSettings = field(default_factory=SessSettings)

    @classmethod
    def of(cls, vary: Sequence[str] | None = None, fixed: Mapping[str, float] | None = None) -> Space:
        """The space of some parameters.

        Args:
            vary: names; None takes all that are not fixed.
            fixed: name → value that stays; what neither varies nor is fixed stays at the paper's value.

        Raises:
            UsageError: a name that does not exist, one that is both, or none that varies.
        """
        fixed = dict(fixed or {})
        for name in (*(vary or ()), *fixed):
            if name not in PARAMETERS:
                raise UsageError(
                    f"Expected a parameter among {', '.join(PARAMETERS)}; found {name!r}."
                    f"{did_you_mean(name, PARAMETERS)}"
                )
        both = [name for name in vary or () if name in fixed]
        if both:
            raise UsageError(f"Expected each parameter either to vary or to be fixed; {', '.join(both)} is both.")
        chosen = tuple(p for p in _ALL if (p.name in vary if vary is not None else p.name not in fixed))
        if not chosen:
            raise UsageError("Expected at least one parameter that varies; found all fixed.")
        return cls(parameters=chosen, base=_with(SessSettings(), fixed))

    def settings(self, values: Mapping[str, float]) -> SessSettings:
        """The base with those values."""
        return _with(self.base, values)

    def at(self, units: Sequence[float] | np.ndarray) -> SessSettings:
        """The settings at a point of the unit cube; each coordinate a parameter."""
        return self.settings({p.name: p.value(float(u)) for p, u in zip(self.parameters, units, strict=True)})

    def units(self, settings: SessSettings) -> np.ndarray:
        """Where settings lie in the unit cube."""
        return np.array([p.unit(float(getattr(settings, p.name))) for p in self.parameters])

    def draw(self, rng: np.random.Generator) -> SessSettings:
        """Settings drawn evenly from the space; each whole number as often as any other."""
        values = {
            p.name: int(rng.integers(int(p.low), int(p.high) + 1)) if p.integer else float(rng.uniform(p.low, p.high))
            for p in self.parameters
        }
        return self.settings(values)


def _with(base: SessSettings, values: Mapping[str, float]) -> SessSettings:
    """Replaced values; whole numbers as such."""
    plain = {n: int(v) if PARAMETERS[n].integer and float(v).is_integer() else v for n, v in values.items()}
    return SessSettings.from_dict({**base.to_dict(), **plain}, source="the fixed values")
