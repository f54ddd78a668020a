"""Two runs on the same references: which system is better, by how much, and how sure that is."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.results import Row, open_run
from semetric.results.record import flatten
from semetric.results.statistics import bootstrap_mean, sign_test
from semetric.runs.pairing import key

__all__ = ["Comparison", "Difference", "compare", "difference", "row_keys"]

Key = tuple[str, ...]
_COMPARABLE = ("resize", "resize_longest", "background", "max_pixels")  # settings that a device does not have


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What one metric says of A against B, over the pairs that both runs scored.

    Attributes:
        n: pairs with a score in both runs.
        mean_a: mean of A's finite scores among those of the mean difference.
        mean_b: likewise of B.
        mean: mean of A − B where both are finite; None without any.
        interval_95: its percentile bootstrap interval; None for fewer than two.
        left_out: pairs of the n that have no finite difference: a score is infinite.
        a_better: pairs where A is better by the metric's direction; an infinite PSNR is better than a finite one.
        b_better: pairs where B is.
        ties: pairs where both are equal.
        p: of the exact two-sided sign test, without the ties; None where all are ties.
        higher_is_better: the direction.
    """

    n: int
    mean_a: float | None
    mean_b: float | None
    mean: float | None
    interval_95: tuple[float, float] | None
    left_out: int
    a_better: int
    b_better: int
    ties: int
    p: float | None
    higher_is_better: bool

    @property
    def share_a_better(self) -> float | None:
        """Of all n pairs, ties included; None without pairs."""
        return self.a_better / self.n if self.n else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "n": self.n,
            "mean_a": self.mean_a,
            "mean_b": self.mean_b,
            "mean_difference": self.mean,
            "mean_difference_interval_95": None if self.interval_95 is None else list(self.interval_95),
            "infinite": self.left_out,
            "a_better": self.a_better,
            "b_better": self.b_better,
            "ties": self.ties,
            "share_a_better": self.share_a_better,
            "sign_test_p": self.p,
            "higher_is_better": self.higher_is_better,
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs, pair by pair.

    Attributes:
        a: folder of the first run.
        b: folder of the second.
        pairs: rows that the two have in common.
        differences: metric → difference.
        only_a: rows, as "reference – image", that B has not.
        only_b: likewise.
        failed_a: of the common rows, those that lack a score of a common metric in A, each with these metrics.
        failed_b: likewise in B.
        repeated: rows of either run that have the key of another row of it, and were left out.
        metrics_only_a: metrics that B has not.
        metrics_only_b: likewise.
        notes: in what the runs differ, where that was allowed or shapes no score.
    """

    a: Path
    b: Path
    pairs: int
    differences: Mapping[str, Difference]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    failed_a: tuple[str, ...]
    failed_b: tuple[str, ...]
    repeated: tuple[str, ...]
    metrics_only_a: tuple[str, ...]
    metrics_only_b: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "a": str(self.a),
            "b": str(self.b),
            "pairs": self.pairs,
            "metrics": {name: one.to_dict() for name, one in self.differences.items()},
            "unmatched": {"a": list(self.only_a), "b": list(self.only_b)},
            "failed": {"a": list(self.failed_a), "b": list(self.failed_b)},
            "repeated": list(self.repeated),
            "metrics_of_one_run": {"a": list(self.metrics_only_a), "b": list(self.metrics_only_b)},
            "notes": list(self.notes),
        }


def compare(run_a: str | os.PathLike[str], run_b: str | os.PathLike[str], *, force: bool = False) -> Comparison:
    """Compares two finished runs unit by unit: two runs of pairs, two experiments, two evaluations.

    Pairs belong together if their references have one name and their images have one name, each as a
    relative path without suffix: within the folders that were scored, or, in a run from a CSV file,
    within the deepest folder that holds all its references, or images. Units of experiments belong together if
    image, system and level are the same.

    Args:
        run_a: the folder of a run.
        run_b: the folder of another.
        force: compare scores of different weights, profiles or settings, too.

    Raises:
        UsageError: no finished run; no common unit or metric; or weights, profile, options or settings
            differ and `force` is not set: the message names them.
        StoreError: a run that cannot be read.
    """
    paths = Path(run_a), Path(run_b)
    one, two = (_open(path) for path in paths)
    if one.kind != two.kind:
        raise UsageError(f"Expected two runs of one kind; {paths[0]} is of {one.kind} and {paths[1]} of {two.kind}.")
    common = [name for name in one.metrics if name in two.metrics]
    if not common:
        raise UsageError(
            f"Expected a metric that both runs have; {paths[0]} has {', '.join(one.metrics)} and {paths[1]} has "
            f"{', '.join(two.metrics)}."
        )
    notes = _unlike(one.record, two.record, common)
    if notes and not force:
        raise UsageError(
            f"Expected two runs made alike; {paths[0]} and {paths[1]} differ in {'; '.join(notes)}. "
            "Score one of them again, or compare with --force."
        )
    if one.record["version"] != two.record["version"]:
        notes.append(f"version: {one.record['version']} and {two.record['version']}")
    places_a, again_a = _places(one.keys)
    places_b, again_b = _places(two.keys)
    both = [name for name in places_a if name in places_b]
    if not both:
        raise UsageError(
            f"Expected rows of one name in both runs; {paths[0]} begins with {_name(one.keys[0])}, "
            f"{paths[1]} with {_name(two.keys[0])}."
        )
    at_a, at_b = [places_a[name] for name in both], [places_b[name] for name in both]
    scores = {name: (one.scores(name)[at_a], two.scores(name)[at_b]) for name in common}
    return Comparison(
        a=paths[0],
        b=paths[1],
        pairs=len(both),
        differences={
            name: difference(a, b, higher_is_better=one.record["metrics"][name]["higher_is_better"])
            for name, (a, b) in scores.items()
        },
        only_a=tuple(_name(k) for k in places_a if k not in places_b and k not in again_b),
        only_b=tuple(_name(k) for k in places_b if k not in places_a and k not in again_a),
        failed_a=_failed({name: a for name, (a, _) in scores.items()}, both),
        failed_b=_failed({name: b for name, (_, b) in scores.items()}, both),
        repeated=tuple(_name(k) for k in dict.fromkeys([*again_a, *again_b])),
        metrics_only_a=tuple(name for name in one.metrics if name not in common),
        metrics_only_b=tuple(name for name in two.metrics if name not in common),
        notes=tuple(notes),
    )


def difference(a: NDArray[np.float64], b: NDArray[np.float64], *, higher_is_better: bool) -> Difference:
    """Paired differences of one metric.

    Args:
        a: (n,) scores, NaN where there is none, possibly infinite.
        b: likewise, of the same pairs.
        higher_is_better: the metric's direction.
    """
    scored = ~(np.isnan(a) | np.isnan(b))
    a, b = a[scored], b[scored]
    finite = np.isfinite(a) & np.isfinite(b)
    x = a[finite] - b[finite]
    higher, lower = int((a > b).sum()), int((a < b).sum())
    wins, losses = (higher, lower) if higher_is_better else (lower, higher)
    return Difference(
        n=int(a.size),
        mean_a=float(a[finite].mean()) if x.size else None,
        mean_b=float(b[finite].mean()) if x.size else None,
        mean=float(x.mean()) if x.size else None,
        interval_95=bootstrap_mean(x),
        left_out=int(a.size - x.size),
        a_better=wins,
        b_better=losses,
        ties=int(a.size) - wins - losses,
        p=sign_test(wins, losses),
        higher_is_better=higher_is_better,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Side:
    """One of the runs: its units by name, and an array of scores."""

    record: Mapping[str, Any]
    keys: Sequence[Key]
    values: NDArray[np.float64]  # (units, metrics)

    @property
    def kind(self) -> str:
        return str(self.record["kind"])

    @property
    def metrics(self) -> list[str]:
        return list(self.record["metrics"])

    def scores(self, metric: str) -> NDArray[np.float64]:
        return self.values[:, self.metrics.index(metric)]


def _open(path: Path) -> _Side:
    run = open_run(path)
    if not run.finished:
        raise UsageError(f"Expected the folder of a finished run; {path} holds a run that is not. Start it again.")
    rows = list(run.units())
    keys = row_keys(rows, run.record)
    return _Side(record=run.record, keys=keys, values=np.stack([row.scores for row in rows]))


def _failed(scores: Mapping[str, NDArray[np.float64]], keys: Sequence[Key]) -> tuple[str, ...]:
    """The units that lack a score, each as "reference – image (metrics)"."""
    lacking = {name: np.isnan(values) for name, values in scores.items()}
    rows: list[int] = np.flatnonzero(np.any(list(lacking.values()), axis=0)).tolist()
    return tuple(f"{_name(keys[i])} ({', '.join(name for name in scores if lacking[name][i])})" for i in rows)


def row_keys(rows: Sequence[Row], record: Mapping[str, Any]) -> list[Key]:
    """What each unit is, in names that another run can share: see `compare`."""
    if record["kind"] != "pairs":
        places = [record["fields"].index(name) for name in ("image", "system", "level")]
        return [tuple(str(row.fields[place]) for place in places) for row in rows]
    references, images = ([row.fields[place] for row in rows] for place in (0, 1))
    if "pairs" in record["source"]:
        references, images = _within(references), _within(images)
    return [(key(one), key(two)) for one, two in zip(references, images, strict=True)]


def _within(names: Sequence[str]) -> list[str]:
    """Paths relative to the deepest folder that holds all of them."""
    plain = [posixpath.normpath(name) for name in names]
    folders = {posixpath.dirname(name) for name in plain}
    if any(name.startswith("/") for name in plain) and not all(name.startswith("/") for name in plain):
        return plain
    root = posixpath.commonpath(folders)
    return [name[len(root) :].lstrip("/") for name in plain]


def _unlike(one: Mapping[str, Any], two: Mapping[str, Any], common: Sequence[str]) -> list[str]:
    """In what two runs differ that shapes the scores they have in common."""
    found = []
    if one["profile"]["name"] != two["profile"]["name"]:
        found.append(f"profile: {one['profile']['name']} and {two['profile']['name']}")
    sides = [
        flatten(
            {
                **{name: {k: r["metrics"][name][k] for k in ("weights", "options")} for name in common},
                **{name: r.get("settings", r.get("config", {})).get(name) for name in _COMPARABLE},
            }
        )
        for r in (one, two)
    ]
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        before, after = (side.get(name) for side in sides)
        if before != after:
            found.append(f"{name}: {before or 'none'} and {after or 'none'}")
    return found


def _places(keys: Sequence[Key]) -> tuple[dict[Key, int], list[Key]]:
    """Key → row, for the keys that one row has; and the keys that several have."""
    places: dict[Key, int] = {}
    again: dict[Key, None] = {}
    for place, name in enumerate(keys):
        if name in places:
            again[name] = None
        places[name] = place
    return {name: place for name, place in places.items() if name not in again}, list(again)


def _name(names: Key) -> str:
    return " – ".join(names)
