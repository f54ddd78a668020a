"""Agreement of metrics with a data set of human judgements, with intervals and differences."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.cache import cache_root
from semetric.errors import UsageError
from semetric.learn.agreement.items import MEASURES, Needed, ceiling, measure, needed
from semetric.learn.agreement.logistic import Form
from semetric.learn.agreement.published import published
from semetric.learn.agreement.resampling import (
    RESAMPLES,
    SEED,
    Estimate,
    Floats,
    Measured,
    draws_of,
    estimate,
    interval_of,
)
from semetric.learn.datasets.base import Dataset
from semetric.results import Run
from semetric.results.files import write_json
from semetric.results.record import digest
from semetric.runs import score_pairs

__all__ = ["AGREEMENT", "Evaluation", "evaluate"]

AGREEMENT = "agreement.json"
_SHAPELESS = (
    "batch",
    "workers",
    "store",
    "retry_failed",
    "execution",
    "started",
    "progress",
)  # options that shape no score
_FORMAT = 2  # raise it when numbers change their meaning, or notes their words


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A finished evaluation.

    Attributes:
        run: the run that holds every pair's scores.
        summary: what agreement.json holds, plain JSON values: see docs/learn/agreement.md.
        cached: whether nothing was computed.
    """

    run: Run
    summary: Mapping[str, Any]
    cached: bool


def evaluate(
    dataset: Dataset,
    metrics: Sequence[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    profile: str = "lite",
    *,
    form: Form = 4,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    **options: Any,
) -> Evaluation:
    """Scores the pairs of a data set and compares the scores with its judgements.

    Called again with the same arguments it computes nothing; interrupted, it goes on where it ended.

    Args:
        dataset: what `load_dataset` returned.
        metrics: names; None takes every metric that the profile can score by default.
        out: the run's folder; None takes one in the cache, named after all that shapes the scores.
        profile: lite, standard or paper.
        form: parameters of the logistic curve before PLCC, 4 or 5.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        options: those of `score_pairs`.

    Raises:
        UsageError: a data set without judgements, or as `score_pairs`.
    """
    if resamples < 2:
        raise UsageError(f"Expected at least 2 resamples; found {resamples}.")
    wanted = needed(dataset)
    folder = Path(out) if out is not None else _place(dataset, wanted, metrics, profile, options)
    run = score_pairs(wanted.pairing, folder, metrics, profile, **options)
    scores = np.stack([row.scores for row in run.units()])  # (pairs, metrics)
    key = _key(dataset, wanted, run, scores, form, resamples, seed)
    before = run.document("agreement")
    cached = before is not None and before["key"] == key
    summary = before if cached else {"key": key, **_summary(dataset, wanted, run, scores, form, resamples, seed)}
    if not cached:
        run.keep("agreement", summary)
    write_json(run.path / AGREEMENT, summary)
    return Evaluation(run=run, summary=summary, cached=cached)


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """A metric's scores of the items that it scored.

    Attributes:
        higher_is_better: the direction.
        items: (m,) their indices.
        scores: (m, k) of their pairs.
    """

    higher_is_better: bool
    items: NDArray[np.intp]
    scores: Floats


def _summary(
    dataset: Dataset, wanted: Needed, run: Run, scores: Floats, form: Form, resamples: int, seed: int
) -> dict[str, Any]:
    measures = MEASURES[dataset.kind]
    groups = sorted(set(wanted.groups))
    groups = groups if len(groups) > 1 else []
    of_group = {name: np.flatnonzero(np.asarray(wanted.groups) == name) for name in groups}
    scored: dict[str, _Scored] = {}
    for place, (name, facts) in enumerate(run.summary["metrics"].items()):
        values = scores[:, place][wanted.places]
        whole = np.flatnonzero(~np.isnan(values).any(axis=1))
        scored[name] = _Scored(higher_is_better=facts["higher_is_better"], items=whole, scores=values[whole])

    def measured(name: str, metric: str, chosen: NDArray[np.intp]) -> Measured:
        """Of some items, all of which the metric scored."""
        metric_scores = scored[metric]
        return measure(
            name,
            metric_scores.scores[np.searchsorted(metric_scores.items, chosen)],
            wanted.targets[chosen],
            kind=dataset.kind,
            higher_is_better=metric_scores.higher_is_better,
            majority=dataset.majority,
            form=form,
        )

    cache: dict[tuple[str, str, bytes], tuple[Estimate, Floats]] = {}

    def drawn(name: str, metric: str, chosen: NDArray[np.intp]) -> tuple[Estimate, Floats]:
        """The estimate and the resamples behind it, computed once: most metrics scored the same items."""
        place = (name, metric, hashlib.sha256(chosen.tobytes()).digest())
        if place not in cache:
            measurement = measured(name, metric, chosen)
            known = measurement.value is not None and measurement.n > 1
            draws = draws_of(measurement, resamples=resamples, seed=seed) if known else np.full(resamples, np.nan)
            cache[place] = (
                Estimate(
                    value=measurement.value,
                    interval_95=interval_of(draws),
                    n=measurement.n,
                    left_out=measurement.left_out,
                    note=measurement.note,
                ),
                draws,
            )
        return cache[place]

    entries: dict[str, Any] = {}
    for metric, metric_scores in scored.items():
        entry: dict[str, Any] = {
            "higher_is_better": metric_scores.higher_is_better,
            "n": len(metric_scores.items),
            "missing": len(dataset) - len(metric_scores.items),
            "measures": {name: drawn(name, metric, metric_scores.items)[0].to_dict() for name in measures},
        }
        if groups:
            parts = {
                group: measured(measures[0], metric, np.intersect1d(places, metric_scores.items))
                for group, places in of_group.items()
            }
            entry |= _by_group(measures[0], parts, resamples, seed)
        entries[metric] = entry
    differences = [
        _difference(name, a, b, *(drawn(name, metric, common) for metric in (a, b)))
        for a, b in itertools.combinations(scored, 2)
        for common in [np.intersect1d(scored[a].items, scored[b].items)]
        for name in measures
    ]
    return {
        "version": version("semetric"),
        "dataset": {
            "name": dataset.name,
            "root": dataset.root,
            "split": dataset.split,
            "kind": dataset.kind,
            "items": len(dataset),
            "published_size": dataset.published_size,
            "problems": {"count": dataset.problems.count, "named": list(dataset.problems.named)},
            "left_out": dict(dataset.left_out),
        },
        "pairs": len(wanted.pairing.pairs),
        "failed_pairs": len(run.summary["failed"]),
        "measures": list(measures),
        "groups": groups,
        "ceiling": ceiling(dataset, wanted.targets),
        "metrics": entries,
        "differences": differences,
        "best": {name: _best(name, entries, differences) for name in measures},
        "published": [dataclasses.asdict(figure) for figure in published(dataset.name, dataset.split)],
        "interval": {"level": 0.95, "method": "percentile bootstrap over items", "resamples": resamples, "seed": seed},
        "plcc_parameters": form,
    }


def _by_group(name: str, parts: Mapping[str, Measured], resamples: int, seed: int) -> dict[str, Any]:
    """The measure in each group, and its mean over the groups, each of which is resampled by itself."""
    seeds = {group: (seed, zlib.crc32(group.encode("utf-8", "surrogateescape"))) for group in parts}
    defined = [group for group, part in parts.items() if part.value is not None]
    mean: dict[str, Any] = {"value": None, "interval_95": None, "n": len(defined)}
    if len(defined) == len(parts):
        draws = [draws_of(parts[group], resamples=resamples, seed=seeds[group]) for group in defined]
        bounds = interval_of(np.mean(draws, axis=0))
        mean["value"] = float(np.mean([parts[group].value for group in defined]))
        mean["interval_95"] = None if bounds is None else list(bounds)
    return {
        "groups": {
            group: {name: estimate(part, resamples=resamples, seed=seeds[group]).to_dict()}
            for group, part in parts.items()
        },
        "mean_of_groups": {name: mean},
    }


def _difference(
    name: str, a: str, b: str, of_a: tuple[Estimate, Floats], of_b: tuple[Estimate, Floats]
) -> dict[str, Any]:
    """Of two metrics, on the items that both scored: both see the same resamples."""
    known = of_a[0].value is not None and of_b[0].value is not None
    bounds = interval_of(of_a[1] - of_b[1]) if known else None
    return {
        "measure": name,
        "a": a,
        "b": b,
        "n": of_a[0].n,
        "difference": of_a[0].value - of_b[0].value if known else None,  # type: ignore[operator]
        "interval_95": None if bounds is None else list(bounds),
    }


def _best(name: str, metrics: Mapping[str, Any], differences: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The metric with the highest value, and whether its difference from every other one excludes 0."""
    values = {metric: entry["measures"][name]["value"] for metric, entry in metrics.items()}
    known = {metric: value for metric, value in values.items() if value is not None}
    if not known:
        return None
    best = max(known, key=lambda metric: known[metric])
    others = [pair for pair in differences if pair["measure"] == name and best in (pair["a"], pair["b"])]
    clear = bool(others)
    for pair in others:
        low, high = pair["interval_95"] or (0.0, 0.0)
        clear = clear and (low > 0 if pair["a"] == best else high < 0)
    return {"metric": best, "clear": clear}


def _place(
    dataset: Dataset, wanted: Needed, metrics: Sequence[str] | None, profile: str, options: Mapping[str, Any]
) -> Path:
    """A folder of the cache that only this run has: other files, metrics or options have another."""
    shaping = {name: repr(value) for name, value in sorted(options.items()) if name not in _SHAPELESS}
    text = json.dumps(
        [version("semetric"), wanted.digest(), wanted.pairing.contents(), dataset.root, metrics, profile, shaping]
    )
    name = "".join(c if c.isalnum() else "-" for c in dataset.name)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return cache_root() / "evaluations" / f"{name}-{dataset.split or 'all'}-{digest}"


def _key(dataset: Dataset, wanted: Needed, run: Run, scores: Floats, form: Form, resamples: int, seed: int) -> str:
    """Of all that shapes the numbers, and of what is said of the data set beside them."""
    beside = [dataset.name, dataset.split, dataset.kind, dataset.majority, dataset.root, dataset.published_size]
    problems = [dataset.problems.count, dataset.problems.named, dict(dataset.left_out)]
    rest = [hashlib.sha256(scores.tobytes()).hexdigest(), wanted.digest(), form, resamples, seed, beside, problems]
    return digest([_FORMAT, version("semetric"), dict(run.record), *rest])
