"""What a finished experiment comes to: summary.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from semetric.runs.statistics import LARGE, RESAMPLES, SEED, describe

if TYPE_CHECKING:
    import pyarrow as pa

    from semetric.lab.experiments.base import Experiment

__all__ = ["columns_of", "is_summary", "summarise"]


def columns_of(table: pa.Table) -> dict[str, Any]:
    """The columns as arrays: texts as objects, numbers as float64 with NaN for none, `failed` as bool."""
    found: dict[str, Any] = {}
    for name in ("image", "system", "metric", "error"):
        found[name] = np.array(table[name].to_pylist(), dtype=object)
    for name in ("level", "value", "rate_bpp", "size_bytes", "uses_per_pixel"):
        found[name] = np.array([np.nan if v is None else v for v in table[name].to_pylist()], np.float64)
    found["failed"] = np.array(table["failed"].to_pylist(), dtype=bool)
    return found


def summarise(table: pa.Table, record: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    """The summary of a run, as plain JSON values.

    Args:
        table: all rows.
        record: lab.json.
        experiment: the experiment, for what it says beyond means.
    """
    columns = columns_of(table)
    metrics = record["metrics"]
    points = []
    for system in record["systems"]:
        ours = columns["system"] == system["name"]
        for level in system["levels"]:
            points.append(_point(columns, ours & (columns["level"] == level), system["name"], level, metrics))
    failed = _failures(columns, asked=record["asked"], metrics=len(metrics))
    return {
        "version": record["version"],
        "experiment": record["experiment"],
        "axis": record["axis"],
        "profile": record["profile"]["name"],
        "images": len(record["images"]),
        "units": table.num_rows // len(metrics),
        "fallbacks": sum(point["failed"] for point in points),
        "metrics": {
            name: {"higher_is_better": one["higher_is_better"], "range": one["range"], "weights": one["weights"]}
            for name, one in metrics.items()
        },
        "left_out": record["left_out"],
        "points": points,
        **experiment.analyse(columns, metrics),
        "failed": failed,
        "interval": {
            "of": "mean",
            "level": 0.95,
            "method": f"percentile bootstrap; mean ± 1.96 standard errors above {LARGE} scores",
            "resamples": RESAMPLES,
            "seed": SEED,
        },
    }


def is_summary(document: Any, record: Mapping[str, Any]) -> bool:
    """Whether a document has the parts of a summary that are read.

    Args:
        document: JSON values.
        record: lab.json of the same run.
    """
    if not isinstance(document, dict) or not all(type(document.get(name)) is int for name in ("units", "fallbacks")):
        return False
    axis, metrics, failed = document.get("axis"), document.get("metrics"), document.get("failed")
    points = document.get("points")
    due = [(system["name"], level) for system in record["systems"] for level in system["levels"]]
    return (
        axis == record["axis"]
        and isinstance(metrics, dict)
        and list(metrics) == list(record["metrics"])
        and all(isinstance(one, dict) and isinstance(one.get("higher_is_better"), bool) for one in metrics.values())
        and isinstance(points, list)
        and all(isinstance(one, dict) and _is_point(one, list(metrics)) for one in points)
        and [(one.get("system"), one.get("level")) for one in points] == due
        and isinstance(failed, list)
        and all(isinstance(one, dict) and _is_failure(one) for one in failed)
    )


def _is_point(one: Mapping[str, Any], metrics: list[str]) -> bool:
    scores = one.get("metrics")
    return (
        type(one.get("failed")) is int
        and "rate_bpp" in one
        and _is_number(one["rate_bpp"])
        and isinstance(scores, dict)
        and list(scores) == metrics
        and all(
            isinstance(score, dict)
            and "mean" in score
            and _is_number(score["mean"])
            and type(score.get("infinite")) is int
            for score in scores.values()
        )
    )


def _is_failure(one: Mapping[str, Any]) -> bool:
    errors = one.get("errors")
    return (
        all(isinstance(one.get(name), str) for name in ("image", "system"))
        and type(one.get("level")) in (int, float)
        and isinstance(errors, dict)
        and all(isinstance(why, str) for why in errors.values())
    )


def _is_number(value: Any) -> bool:
    return value is None or type(value) in (int, float)


def _point(
    columns: Mapping[str, Any], here: NDArray[np.bool_], system: str, level: float, metrics: Mapping[str, Any]
) -> dict[str, Any]:
    """One system at one level, over all images."""
    one = here & (columns["metric"] == next(iter(metrics)))  # a line an image
    found: dict[str, Any] = {
        "system": system,
        "level": level,
        "images": int(one.sum()),
        "failed": int(columns["failed"][one].sum()),
        **{name: _mean(columns[name][one]) for name in ("rate_bpp", "size_bytes", "uses_per_pixel")},
        "metrics": {},
    }
    for name in metrics:
        rows = here & (columns["metric"] == name)
        values = columns["value"][rows]
        finite = np.isfinite(values)
        found["metrics"][name] = {
            **describe(values[finite]).to_dict(),
            "infinite": int(np.isinf(values).sum()),
            "failed": int(columns["failed"][rows].sum()),
            "errors": int(np.isnan(values).sum()),
        }
    return found


def _failures(columns: Mapping[str, Any], *, asked: bool, metrics: int) -> list[dict[str, Any]]:
    """Units without a score: of any metric where metrics were named, of all of them where they were not."""
    errors: dict[tuple[str, str, float], dict[str, str]] = {}
    for i in np.flatnonzero(columns["error"] != None):  # noqa: E711 (element by element)
        key = columns["image"][i], columns["system"][i], float(columns["level"][i])
        errors.setdefault(key, {})[columns["metric"][i]] = columns["error"][i]
    return [
        {"image": image, "system": system, "level": level, "errors": found}
        for (image, system, level), found in errors.items()
        if asked or len(found) == metrics
    ]


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
