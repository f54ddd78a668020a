"""The metrics by name: the classes in the modules of this package, and those of other packages' entry points.

They are imported when one of them is first named: importing this module imports none.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from semetric import metrics as package
from semetric.errors import SemetricError, UsageError
from semetric.plugins import Registry

if TYPE_CHECKING:
    from semetric.metrics.base import Metric
    from semetric.models.runtime import Runtime
    from semetric.profiles import Profile
    from semetric.score_settings import MetricSettings

__all__ = ["METRICS", "check_options", "create", "default_metrics", "names_of", "subclasses"]

T = TypeVar("T")


def _own() -> dict[str, type[Metric]]:
    """Metric → its class, from pixels to scene graphs."""
    from semetric.metrics.base import Metric

    modules = [
        importlib.import_module(f"{package.__name__}.{module.name}")
        for module in pkgutil.iter_modules(package.__path__)
        if not module.name.startswith("_")
    ]
    classes = [
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Metric) and "name" in vars(kind)
    ]
    return {kind.name: kind for kind in sorted(classes, key=lambda kind: kind.place)}


METRICS: Registry[type[Metric]] = Registry("metric", "semetric.metrics", _own)


def default_metrics(profile: Profile) -> list[str]:
    """What a profile scores when no metric is named: all but those for which it has made no choice of weights."""
    return [
        name
        for name, kind in METRICS.items()
        if kind.default and (not kind.networks or any(getattr(profile, choice) is not None for choice in kind.networks))
    ]


def names_of(metrics: str | Sequence[str] | None) -> list[str] | None:
    """Metrics as users give them, as a list without repetitions; None stays None.

    Args:
        metrics: names; a single str may hold several, with commas between them.

    Raises:
        UsageError: a name that does not exist.

    Examples:
        >>> names_of("psnr, sess")
        ['psnr', 'sess']
    """
    if metrics is None:
        return None
    names = [name.strip() for name in metrics.split(",")] if isinstance(metrics, str) else metrics
    return [METRICS[name].name for name in dict.fromkeys(names)]


def check_options(runtime: Runtime, settings: MetricSettings) -> None:
    """Checks options by making the metrics that they are for, whether these are scored or not.

    Args:
        runtime: with the profile's choices.
        settings: options of metrics, and networks in place of the profile's.

    Raises:
        UsageError: a value that does not exist.
    """
    by_default = default_metrics(runtime.profile)
    for name, kind in METRICS.items():
        if settings.options_of(kind.options) or (settings.choices and kind.networks and name in by_default):
            try:
                _ = create(name, runtime, settings).weights
            except UsageError:
                raise
            except SemetricError:  # such as weights that are missing: no fault of the option
                continue


def create(name: str, runtime: Runtime, settings: MetricSettings) -> Metric:
    """Makes a metric on a runtime, with those of its options that are set. Loads no weights yet.

    Raises:
        UsageError: no such metric, or an option with a value that does not exist.
    """
    kind = METRICS[name]
    return kind(runtime, **settings.options_of(kind.options))


def subclasses(base: type[T], module: str, *, differentiable: bool = False) -> Iterator[type[T]]:
    """A subclass of a base for each metric: the class of the metric names it, the metric's name is its `name`.

    Args:
        base: what computes with a metric.
        module: where the subclasses are found by their names.
        differentiable: whether only metrics with gradients have one.
    """
    for kind in METRICS.values():
        if kind.differentiable or not differentiable:
            doc = f"{base.__name__} of `{kind.name}`: {kind.summary}."
            yield type(kind.__name__, (base,), {"name": kind.name, "__doc__": doc, "__module__": module})
