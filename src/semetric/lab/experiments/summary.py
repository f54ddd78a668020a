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

__all__ = ["columns_of", "summarise"]


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
