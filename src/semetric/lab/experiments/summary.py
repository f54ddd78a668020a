"""Summary statistics of a finished experiment: summary.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.results.database import Row
from semetric.results.statistics import INTERVAL, describe, pearson

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
    """The summary of a run, as plain JSON values: all statistics that the report shows of its systems.

    Args:
        columns: `columns_of` its rows.
        record: the run's.
        asked: whether the metrics were named.
    """
    metrics = record["metrics"]
    points = []
    for system in record["systems"]:
        rows = columns["system"] == system["name"]
        for level in system["levels"]:
            points.append(_point(columns, rows & (columns["level"] == level), system["name"], level, metrics))
    scores = _scores(columns, record)
    shown = {*record["report"]["tables"], *record["report"]["figures"], record["report"]["findings"]}
    return {
        "version": record["version"],
        "experiment": record["experiment"],
        "axis": record["axis"],
        "profile": record["profile"]["name"],
        "images": len(set(columns["image"])),
        "units": len(columns["value"]) // len(metrics),
        "fallbacks": sum(point["failed"] for point in points),
        "metrics": {
            name: {
                "higher_is_better": metric["higher_is_better"],
                "range": metric["range"],
                "weights": metric["weights"],
            }
            for name, metric in metrics.items()
        },
        "left_out": record["left_out"],
        "points": points,
        "means": _means(scores, record),
        **({"correlations": _correlations(scores)} if shown & {"correlations", "followed"} else {}),
        **({"sensitivities": _sensitivities(scores, record)} if shown & {"sensitivity", "noticed"} else {}),
        "failed": _failures(columns, asked=asked, metrics=len(metrics)),
        "interval": INTERVAL,
    }


def _point(
    columns: Mapping[str, Any], here: NDArray[np.bool_], system: str, level: float, metrics: Mapping[str, Any]
) -> dict[str, Any]:
    """One system at one level, over all images."""
    images = here & (columns["metric"] == next(iter(metrics)))  # a line an image
    point: dict[str, Any] = {
        "system": system,
        "level": level,
        "images": int(images.sum()),
        "failed": int(columns["failed"][images].sum()),
        **{name: _mean(columns[name][images]) for name in ("rate_bpp", "size_bytes", "uses_per_pixel")},
        "metrics": {},
    }
    for name in metrics:
        rows = here & (columns["metric"] == name)
        point["metrics"][name] = {**describe(columns["value"][rows]), "failed": int(columns["failed"][rows].sum())}
    return point


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scores:
    """One system by one metric.

    Attributes:
        levels: (k,) rising.
        values: (images, k) NaN where there is none.
        errors: (images, k) where an error took the score.
    """

    levels: NDArray[np.float64]
    values: NDArray[np.float64]
    errors: NDArray[np.bool_]


def _scores(columns: Mapping[str, Any], record: Mapping[str, Any]) -> dict[tuple[str, str], _Scores]:
    """(system, metric) → scores; images in the order in which they come."""
    places = {name: place for place, name in enumerate(dict.fromkeys(columns["image"]))}
    images = np.array([places[name] for name in columns["image"]], np.intp)
    tables = {}
    for system in record["systems"]:
        of_system = columns["system"] == system["name"]
        levels = np.unique(columns["level"][of_system])
        for metric in record["metrics"]:
            rows = of_system & (columns["metric"] == metric)
            place = images[rows], np.searchsorted(levels, columns["level"][rows])
            values, errors = np.full((len(places), len(levels)), np.nan), np.zeros((len(places), len(levels)), bool)
            values[place], errors[place] = columns["value"][rows], np.isnan(columns["value"][rows])
            tables[system["name"], metric] = _Scores(levels=levels, values=values, errors=errors)
    return tables


def _means(scores: Mapping[tuple[str, str], _Scores], record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each system over all its levels, and over those that all systems have: means of each image's mean."""
    systems = [system["name"] for system in record["systems"]]
    own = {name: scores[name, next(iter(record["metrics"]))].levels for name in systems}
    common = [float(level) for level in own[systems[0]] if all(level in own[name] for name in systems)]
    entries = []
    for name in systems:
        for levels in (own[name].tolist(), common):
            if not levels or (levels is common and levels == own[name].tolist()):
                continue
            metrics = {metric: _over(scores[name, metric], levels) for metric in record["metrics"]}
            entries.append({"system": name, "levels": levels, "metrics": metrics})
    return entries


def _over(own: _Scores, levels: Sequence[float]) -> dict[str, Any]:
    """The mean over images of each image's mean over these levels; the interval is over images, not over rows."""
    here = np.isin(own.levels, levels)
    values = own.values[:, here]
    finite = np.isfinite(values)
    counts = finite.sum(axis=1)
    sums = np.where(finite, values, 0.0).sum(axis=1)
    means = sums[counts > 0] / counts[counts > 0]
    return describe(means) | {"infinite": int(np.isinf(values).sum()), "errors": int(own.errors[:, here].sum())}


def _correlations(scores: Mapping[tuple[str, str], _Scores]) -> list[dict[str, Any]]:
    """Pearson's r between each metric and each system's strength (SAMScore, section IV-B).

    Over all finite scores together: r and their number n; and per_image: of |r| over each image's levels. There is no r
    of fewer than three finite scores, or of equal ones.
    """
    entries = []
    for (system, metric), own in scores.items():
        single = [pearson(own.levels, values) for values in own.values]
        entries.append(
            {
                "system": system,
                "metric": metric,
                "n": int(np.isfinite(own.values).sum()),
                "r": pearson(np.tile(own.levels, len(own.values)), own.values.reshape(-1)),
                "per_image": describe(np.abs(np.array([r for r in single if r is not None], np.float64))),
            }
        )
    return entries


def _sensitivities(scores: Mapping[tuple[str, str], _Scores], record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How far each metric falls from the weakest to the strongest level, in standard deviations; 0 notices nothing.

    For every image and system: (score at the weakest − score at the strongest level), turned so that worse is positive,
    over the standard deviation of all finite scores of this metric in the run. Of each system, and of the systems of
    each dimension together.
    """
    groups: dict[tuple[str, ...], str] = {(system["name"],): "" for system in record["systems"]}
    for dimension in dict.fromkeys(filter(None, (system.get("dimension") for system in record["systems"]))):
        names = tuple(system["name"] for system in record["systems"] if system.get("dimension") == dimension)
        groups[names] = dimension
    entries: list[dict[str, Any]] = [
        {"systems": list(names), "dimension": dimension, "metrics": {}} for names, dimension in groups.items()
    ]
    for metric, about in record["metrics"].items():
        every = np.concatenate([own.values.reshape(-1) for (_, name), own in scores.items() if name == metric])
        every = every[np.isfinite(every)]
        spread = float(every.std(ddof=1)) if every.size > 1 else 0.0
        sign = 1.0 if about["higher_is_better"] else -1.0
        for entry in entries:
            falls = [
                sign * (values[0] - values[-1]) / spread
                for name in entry["systems"]
                for values in (row[np.isfinite(row)] for row in scores[name, metric].values)
                if len(values) > 1 and spread
            ]
            entry["metrics"][metric] = describe(np.array(falls, np.float64))
    return entries


def _failures(columns: Mapping[str, Any], *, asked: bool, metrics: int) -> list[dict[str, Any]]:
    """Units without a score: of any metric where metrics were named, of all of them where they were not."""
    errors: dict[tuple[str, str, float], dict[str, str]] = {}
    for i in np.flatnonzero(columns["error"] != None):  # noqa: E711 (element by element)
        key = columns["image"][i], columns["system"][i], float(columns["level"][i])
        errors.setdefault(key, {})[columns["metric"][i]] = columns["error"][i]
    return [
        {"image": image, "system": system, "level": level, "errors": reasons}
        for (image, system, level), reasons in errors.items()
        if asked or len(reasons) == metrics
    ]


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
