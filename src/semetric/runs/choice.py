"""Which metrics a run has, and whether their weights are here, before the first image is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from semetric.errors import SemetricError, UsageError
from semetric.metrics import registry
from semetric.models.runtime import Runtime
from semetric.scoring import runtime
from semetric.weights import with_one_command

if TYPE_CHECKING:
    from semetric.metrics.base import Metric

__all__ = ["check_weights", "describe_metrics", "fetch_weights", "make_metrics", "own_options", "profile_choices"]

_OF_RUNS = ("resize", "store", "background", "max_pixels")  # options of `score_pairs` that shape no network


def profile_choices(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options that belong to no metric, and so to the profile."""
    known = {option for spec in registry.METRICS.values() for option in spec.options}
    return {name: value for name, value in options.items() if name not in known}


def own_options(metric: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options that the metric takes."""
    return {name: options[name] for name in registry.spec(metric).options if name in options}


def describe_metrics(metrics: Mapping[str, Metric], options: Mapping[str, Any]) -> dict[str, Any]:
    """What the record of a run says of its metrics.

    Args:
        metrics: name → metric.
        options: of metrics and of the profile.
    """
    return {
        name: {
            "higher_is_better": metric.higher_is_better,
            "range": list(metric.range),
            "weights": dict(metric.weights),
            "options": own_options(name, options),
        }
        for name, metric in metrics.items()
    }


def fetch_weights(metrics: str | Sequence[str] | None = None, profile: str = "lite", **options: Any) -> None:
    """Inside `downloads()`, fetches the checkpoints that a run would miss; elsewhere checks that they are here.

    Args:
        metrics: a name or several; None for the default ones.
        profile: lite, standard or paper.
        options: as `score_pairs` takes them.

    Raises:
        SemetricError: a metric that was named cannot be scored.
    """
    chosen = {name: value for name, value in options.items() if name not in _OF_RUNS}
    make_metrics(metrics, runtime(profile, store=None, **profile_choices(chosen)), chosen)


def make_metrics(
    names: str | Sequence[str] | None,
    used: Runtime,
    options: Mapping[str, Any],
    *,
    default: Sequence[str] | None = None,
) -> tuple[dict[str, Metric], dict[str, str]]:
    """Makes the metrics, and looks whether their checkpoints are here; inside `downloads()` they are fetched.

    Args:
        names: a metric or several; None takes the default ones, without those that cannot be scored.
        used: the runtime.
        options: of metrics and of the profile.
        default: the default ones; None takes the profile's.

    Returns:
        Name → metric; and of the default ones, name → why it is left out.

    Raises:
        SemetricError: a metric that was named cannot be scored.
        UsageError: none of the default ones can, or an option has a value that does not exist.
    """
    made: dict[str, Metric] = {}
    errors: dict[str, SemetricError] = {}
    asked = registry.names_of(names)
    chosen = asked if asked is not None else default or registry.default_metrics(used.profile)
    registry.check_options(used, options, overridden=bool(profile_choices(options)))
    for name in chosen:
        try:
            metric = registry.create(name, used, **own_options(name, options))
            check_weights(metric.weights)
        except SemetricError as error:
            if asked is not None or isinstance(error, UsageError):
                raise
            errors[name] = error
        else:
            made[name] = metric
    left_out = {name: str(error) for name, error in with_one_command(errors).items()}
    if not made:
        reasons = " ".join(dict.fromkeys(left_out.values())) or "None is named."
        raise UsageError(f"Expected at least one metric that can be scored. {reasons}")
    return made, left_out


def check_weights(weights: Mapping[str, str]) -> None:
    """Looks whether checkpoints are here, which else the first image would find; in `downloads()` they are fetched.

    Args:
        weights: role → "name.tag@digest", as metrics have them; files of one's own are passed over, and so is the text
            encoder whose table of predicates ships with the package.

    Raises:
        WeightsError: one is missing or corrupt.
    """
    from semetric.scene.predicates import SHIPPED
    from semetric.weights import CHECKPOINTS, identity, locate_all

    known = {identity(name): name for name in CHECKPOINTS if name != SHIPPED}
    locate_all([known[used] for used in weights.values() if used in known])
