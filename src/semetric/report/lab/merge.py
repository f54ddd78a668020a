"""Several runs of one experiment as one: their systems side by side, on the images that they share or not."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from semetric.errors import UsageError
from semetric.lab.experiments.summary import summarise
from semetric.report.lab.results import LabRun, MetricInfo, Rows, SystemInfo, columns, read_lab_run, sorted_rows

__all__ = ["merge_runs", "read_lab_runs"]


def read_lab_runs(paths: Sequence[Path]) -> LabRun:
    """The runs in those folders as one.

    Raises:
        UsageError: none, a folder without a run, or runs that do not belong together: see `merge_runs`.
    """
    if not paths:
        raise UsageError("Expected at least one run of the lab; found none.")
    return merge_runs([read_lab_run(path) for path in paths])


def merge_runs(runs: Sequence[LabRun]) -> LabRun:
    """Joins runs of one experiment.

    A system that two runs describe alike is one system, with the levels and images of both, unless their scores of
    one image at one level differ. Otherwise it is two, called after their runs.

    Args:
        runs: at least one; the first gives the place and the name.

    Raises:
        UsageError: other experiments or axes, a metric with other weights, or an image of other pixels.
    """
    first = runs[0]
    if len(runs) == 1:
        return first
    for run in runs[1:]:
        for what, one, two in (
            ("experiment", first.experiment, run.experiment),
            ("axis", (first.axis.name, first.axis.label), (run.axis.name, run.axis.label)),
        ):
            if one != two:
                raise UsageError(
                    f"Expected runs of one {what}; {first.path} has {_words(one)} and {run.path} has {_words(two)}."
                )
    metrics = _metrics(runs)
    images, records = _images(runs)
    labels = _run_labels(runs)
    systems: list[SystemInfo] = []
    pieces: list[list[tuple[LabRun, int]]] = []  # of each system: the runs that have it, and its index there
    for run, label in zip(runs, labels, strict=True):
        for s, system in enumerate(run.systems):
            at = next((k for k, known in enumerate(systems) if _alike(known, pieces[k], run, s)), None)
            if at is not None:
                pieces[at].append((run, s))
                systems[at] = dataclasses.replace(
                    systems[at],
                    record={**systems[at].record, "levels": _levels(pieces[at])},
                    pictures=(*systems[at].pictures, *system.pictures),
                )
                continue
            taken = {one.name for one in systems}
            if system.name in taken:
                system = dataclasses.replace(system, name=f"{system.name} ({label})", label=f"{system.label} ({label})")
            systems.append(system)
            pieces.append([(run, s)])
    rows = _rows(runs, pieces, images, [one.name for one in metrics])
    merged = LabRun(
        path=first.path,
        record=_record(runs, labels, systems, metrics, records),
        experiment=first.experiment,
        title=first.title,
        report=first.report,
        axis=first.axis,
        systems=tuple(systems),
        metrics=metrics,
        images=tuple(images),
        rows=rows,
        summary={},
        finished=all(run.finished for run in runs),
    )
    return dataclasses.replace(merged, summary=summarise(columns(merged), merged.record, asked=False))


def _metrics(runs: Sequence[LabRun]) -> tuple[MetricInfo, ...]:
    known: dict[str, tuple[MetricInfo, Mapping[str, Any], LabRun]] = {}
    for run in runs:
        for metric in run.metrics:
            record = run.record["metrics"][metric.name]
            shaping = {key: record.get(key) for key in ("higher_is_better", "weights", "options")}
            _, other, where = known.setdefault(metric.name, (metric, shaping, run))
            if other != shaping:
                raise UsageError(
                    f"Expected runs whose {metric.name} is one metric; {where.path} and {run.path} differ in its "
                    "weights or options. Run one of them again with those of the other."
                )
    return tuple(metric for metric, _, _ in known.values())


def _images(runs: Sequence[LabRun]) -> tuple[list[str], list[dict[str, Any]]]:
    """Names and records, each image once."""
    known: dict[str, tuple[dict[str, Any], LabRun]] = {}
    for run in runs:
        for name, image in zip(run.images, run.record["images"], strict=True):
            other, where = known.setdefault(name, (dict(image), run))
            if any(other.get(key) != image.get(key) for key in ("digest", "sent_digest")):
                raise UsageError(
                    f"Expected images of one name to be one image; {name} has other pixels in {where.path} and in "
                    f"{run.path}. Run one of them again on the images of the other."
                )
    return list(known), [record for record, _ in known.values()]


def _alike(known: SystemInfo, pieces: Sequence[tuple[LabRun, int]], run: LabRun, system: int) -> bool:
    """Whether a system of a run is one that is known: described alike, and without another score."""
    one, two = ({k: v for k, v in info.record.items() if k != "levels"} for info in (known, run.systems[system]))
    return one == two and all(not _differ(other, at, run, system) for other, at in pieces)


def _differ(run_a: LabRun, a: int, run_b: LabRun, b: int) -> bool:
    """Whether two runs have another score of one image at one level."""
    scores: list[dict[tuple[str, str, float], float]] = []
    for run, system in ((run_a, a), (run_b, b)):
        rows, own = run.rows, {}
        for i in np.flatnonzero(rows.system == system):
            key = run.images[rows.image[i]], run.metrics[rows.metric[i]].name, float(rows.level[i])
            own[key] = float(rows.value[i])
        scores.append(own)
    # another number of threads may shift the last digits of a network's score in float32
    return any(
        key in scores[1] and not np.isclose(value, scores[1][key], rtol=1e-5, atol=1e-7, equal_nan=True)
        for key, value in scores[0].items()
    )


def _levels(pieces: Sequence[tuple[LabRun, int]]) -> list[float]:
    return sorted({float(level) for run, system in pieces for level in run.levels(system)})


def _rows(
    runs: Sequence[LabRun],
    pieces: Sequence[Sequence[tuple[LabRun, int]]],
    images: Sequence[str],
    metrics: Sequence[str],
) -> Rows:
    places = {name: i for i, name in enumerate(images)}
    metric_places = {name: i for i, name in enumerate(metrics)}
    parts: dict[str, list[Any]] = {field.name: [] for field in dataclasses.fields(Rows)}
    notes: dict[str, list[str]] = {"note": [], "error": []}
    for run in runs:
        rows = run.rows
        systems = {s: k for k, own in enumerate(pieces) for other, s in own if other is run}
        maps = {
            "image": np.array([places[name] for name in run.images], np.int64),
            "system": np.array([systems[s] for s in range(len(run.systems))], np.int64),
            "metric": np.array([metric_places[one.name] for one in run.metrics], np.int64),
        }
        for name, values in parts.items():
            if name in notes:
                notes[name] += getattr(rows, name)
            elif name in maps:
                values.append(maps[name][getattr(rows, name)])
            else:
                values.append(getattr(rows, name))
    arrays = {name: np.concatenate(values) for name, values in parts.items() if name not in notes}
    return sorted_rows(Rows(**arrays, note=tuple(notes["note"]), error=tuple(notes["error"])))


def _record(
    runs: Sequence[LabRun],
    labels: Sequence[str],
    systems: Sequence[SystemInfo],
    metrics: Sequence[MetricInfo],
    images: list[dict[str, Any]],
) -> dict[str, Any]:
    records = [run.record for run in runs]
    left_out: dict[str, Any] = {}
    for record in records:
        left_out |= {name: why for name, why in (record.get("left_out") or {}).items() if name not in left_out}
    scored = {one.name for one in metrics}
    return {
        **records[0],
        "version": ", ".join(dict.fromkeys(str(record.get("version", "not recorded")) for record in records)),
        "seed": ", ".join(dict.fromkeys(str(record.get("seed", "not recorded")) for record in records)),
        "config": {label: record.get("config", {}) for label, record in zip(labels, records, strict=True)},
        "systems": [{**system.record, "name": system.name, "label": system.label} for system in systems],
        "metrics": {
            one.name: next(record["metrics"][one.name] for record in records if one.name in record["metrics"])
            for one in metrics
        },
        "images": images,
        "left_out": {name: why for name, why in left_out.items() if name not in scored},
        "runs": list(labels),
    }


def _run_labels(runs: Sequence[LabRun]) -> list[str]:
    """What a reader calls each run: its folder's name, or its path where two share that."""
    names = [run.path.resolve().name for run in runs]
    often = Counter(names)
    return [str(run.path) if often[name] > 1 else name for run, name in zip(runs, names, strict=True)]


def _words(value: Any) -> str:
    return value[1] if isinstance(value, tuple) else str(value)
