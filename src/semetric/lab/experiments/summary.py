"""Summary statistics of a finished experiment: summary.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.results.database import Row
from semetric.results.statistics import INTERVAL, describe

__all__ = ["columns_of", "summarise"]

_TEXTS = ("image", "system", "note")
_NUMBERS = ("level", "rate_bpp", "size_bytes", "uses_per_pixel")


def columns_of(rows: Iterable[Row], record: Mapping[str, Any]) -> dict[str, Any]:
    """One entry a unit and metric: texts as objects, numbers as float64 with NaN for none, `failed` as bool.

    Args:
        rows: finished units.
        record: of their run.
    """
    metrics = list(record["metrics"])
    names = record["fields"]
    units: dict[str, list[Any]] = {name: [] for name in (*_TEXTS, *_NUMBERS, "failed")}
    values: list[Any] = []
    errors: list[str | None] = []
    for row in rows:
        for name, column in units.items():
            value = row.fields[names.index(name)]
            column.append(np.nan if value is None else value)
        values.append(row.scores)
        errors += [row.errors.get(metric) for metric in metrics]
    kinds: dict[str, Any] = dict.fromkeys(_TEXTS, object) | dict.fromkeys(_NUMBERS, np.float64) | {"failed": bool}
    return {
        **{name: np.repeat(np.array(column, kinds[name]), len(metrics)) for name, column in units.items()},
        "metric": np.tile(np.array(metrics, object), len(values)),
        "value": np.concatenate(values) if values else np.empty(0),
        "error": np.array(errors, object),
    }


def summarise(columns: Mapping[str, Any], record: Mapping[str, Any], *, asked: bool) -> dict[str, Any]:
    """The summary of a run, as plain JSON values.

    Args:
        columns: `columns_of` its rows.
        record: the run's.
        asked: whether the metrics were named.
    """
    metrics = record["metrics"]
    points = []
    for system in record["systems"]:
        ours = columns["system"] == system["name"]
        for level in system["levels"]:
            points.append(_point(columns, ours & (columns["level"] == level), system["name"], level, metrics))
    return {
        "version": record["version"],
        "experiment": record["experiment"],
        "axis": record["axis"],
        "profile": record["profile"]["name"],
        "images": len(set(columns["image"])),
        "units": len(columns["value"]) // len(metrics),
        "fallbacks": sum(point["failed"] for point in points),
        "metrics": {
            name: {"higher_is_better": one["higher_is_better"], "range": one["range"], "weights": one["weights"]}
            for name, one in metrics.items()
        },
        "left_out": record["left_out"],
        "points": points,
        "failed": _failures(columns, asked=asked, metrics=len(metrics)),
        "interval": INTERVAL,
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
