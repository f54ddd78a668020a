"""Which metrics a run has, and whether their weights are here, before the first image is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from semetric.errors import SemetricError, UsageError
from semetric.metrics import registry
from semetric.models.runtime import Runtime
from semetric.score_settings import MetricSettings
from semetric.scoring import runtime_of, settings_of
from semetric.weights import with_one_command

if TYPE_CHECKING:
    from semetric.metrics.base import Metric

__all__ = ["check_weights", "describe_metrics", "fetch_weights", "make_metrics"]


def describe_metrics(metrics: Mapping[str, Metric], settings: MetricSettings) -> dict[str, Any]:
    """What the record of a run says of its metrics.

    Args:
        metrics: name → metric.
        settings: with the options of the metrics.
    """
    return {
        name: {
            "higher_is_better": metric.higher_is_better,
            "range": list(metric.range),
            "weights": dict(metric.weights),
            "options": settings.options_of(metric.options),
        }
        for name, metric in metrics.items()
    }


def fetch_weights(metrics: str | Sequence[str] | None = None, profile: str = "lite", **options: Any) -> None:
    """Inside `downloads()`, fetches the checkpoints that a run would miss; elsewhere checks that they are here.

    Args:
        metrics: a name or several; None for the default ones.
        profile: lite, standard or paper.
        options: further fields of `ScoreSettings`.

    Raises:
        SemetricError: a metric that was named cannot be scored.
    """
    settings = settings_of(profile, options)
    make_metrics(metrics, runtime_of(settings, store=None), settings)


def make_metrics(
    names: str | Sequence[str] | None,
    runtime: Runtime,
    settings: MetricSettings,
    *,
    default: Sequence[str] | None = None,
) -> tuple[dict[str, Metric], dict[str, str]]:
    """Makes the metrics, and looks whether their checkpoints are here; inside `downloads()` they are fetched.

    Args:
        names: a metric or several; None takes the default ones, without those that cannot be scored.
        runtime: what the metrics share.
        settings: with the options of the metrics.
        default: the default ones; None takes the profile's.

    Returns:
        Name → metric; and of the default ones, name → why it is left out.

    Raises:
        SemetricError: a metric that was named cannot be scored.
        UsageError: none of the default ones can, or an option has a value that does not exist.
    """
    metrics: dict[str, Metric] = {}
    errors: dict[str, SemetricError] = {}
    requested = registry.names_of(names)
    registry.check_options(runtime, settings)
    for name in requested if requested is not None else default or registry.default_metrics(runtime.profile):
        try:
            metric = registry.create(name, runtime, settings)
            check_weights(metric.weights)
        except SemetricError as error:
            if requested is not None or isinstance(error, UsageError):
                raise
            errors[name] = error
        else:
            metrics[name] = metric
    left_out = {name: str(error) for name, error in with_one_command(errors).items()}
    if not metrics:
        reasons = " ".join(dict.fromkeys(left_out.values())) or "None is named."
        raise UsageError(f"Expected at least one metric that can be scored. {reasons}")
    return metrics, left_out


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
