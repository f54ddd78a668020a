"""The tables of a report, by the names that experiments declare."""

from __future__ import annotations

from collections.abc import Callable

from semetric.formatting import minus
from semetric.report.lab.differences import differences, system_pairs
from semetric.report.lab.measures import correlations, crossings, curves, over_levels, sensitivity
from semetric.report.lab.problems import failure_counts
from semetric.report.lab.results import LabRun
from semetric.report.lab.words import axis_words, metric_head, slugs, strengths_words, system_words
from semetric.results.tables import Cell, Mean, Table

__all__ = ["tables"]

_INTERVAL = (
    "Mean over images with its 95% bootstrap interval; n, infinities left out and all digits are in the CSV file."
)


def tables(run: LabRun) -> list[Table]:
    """The tables that the experiment declares, then those that every run has."""
    names = [*run.report.tables]
    if run.rows.failed.any() and "failed" not in names:
        names.append("failed")
    shown = [table for name in names for table in _TABLES[name](run)]
    for system, slug in enumerate(slugs(info.name for info in run.systems)):
        shown.append(_means(run, system, slug))
    shown.append(_long(run))
    return shown


def _heads(run: LabRun) -> tuple[str, ...]:
    return tuple(metric_head(run, m) for m in range(len(run.metrics)))


def _means(run: LabRun, system: int, slug: str) -> Table:
    own = [curve[system] for curve in curves(run)]
    levels = run.levels(system)
    rated = any(point.rate_bpp is not None for curve in own for point in curve.points)
    unit = run.unit(system)
    rows: list[tuple[Cell, ...]] = []
    for level in levels:
        here = [next((p for p in curve.points if p.level == level), None) for curve in own]
        some = next(p for p in here if p is not None)
        cells: list[Cell] = [minus(f"{level:.6g}")]
        if rated:
            cells.append(next((p.rate_bpp for p in here if p is not None and p.rate_bpp is not None), None))
        cells.append(some.units)
        cells += [Mean(n=0) if p is None else p.estimate for p in here]
        rows.append(tuple(cells))
    target = run.axis.name == "rate_bpp" and not run.systems[system].at_qualities
    name = "level" if run.axis.name == "rate_bpp" and not target else run.axis.label
    level_header = f"{name}{' asked for' if target else ''}{f' ({unit})' if unit else ''}"
    return Table(
        name=f"means-{slug}",
        title=f"{run.systems[system].label}: every metric",
        header=(level_header, *(["rate (bpp)"] if rated else []), "images", *_heads(run)),
        rows=tuple(rows),
        note=_INTERVAL,
    )


def _long(run: LabRun) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for m, of_metric in enumerate(curves(run)):
        for curve in of_metric:
            for p in curve.points:
                system, e = run.systems[curve.system], p.estimate
                cells = (p.level, p.rate_bpp, e.mean, e.low, e.high, e.n, e.infinite, e.missing, p.units, p.failed)
                rows.append((run.metrics[m].name, system.name, *cells))
    names = ("level", "rate_bpp", "mean", "low_95", "high_95", "n", "infinite", "missing", "images", "failed_decodes")
    return Table(
        name="means",
        title="Every mean",
        header=("metric", "system", *names),
        rows=tuple(rows),
        latex=False,
    )


def _transformations(run: LabRun) -> Table:
    from semetric.lab.transformations import TRANSFORMATIONS

    rows: list[tuple[Cell, ...]] = []
    for s, system in enumerate(run.systems):
        name = str(system.record.get("transformation") or system.name)
        mild = TRANSFORMATIONS[name].figure_13 if name in TRANSFORMATIONS else None
        levels = [float(level) for level in run.levels(s)]
        strengths = [mild] if mild is not None and mild in levels else levels
        means = (over_levels(run, s, m, strengths) for m in range(len(run.metrics)))
        rows.append((system.label, strengths_words(run, s, strengths), *means))
        published = [run.report.published.get(name, {}).get(metric.name) for metric in run.metrics]
        if any(value is not None for value in published):
            rows.append((run.report.source, "not stated", *published))
    return Table(
        name="transformations",
        title="Transformations that change little of the meaning",
        header=("transformation", "strength", *_heads(run)),
        rows=tuple(rows),
        note="Mean over images with its 95% bootstrap interval, at the strength that stands for the paper's, or "
        "averaged over the strengths named. The lines of the SeSS paper (arXiv 2406.03865, Fig. 13; photos of COCO "
        "2017, strengths not stated, other weights) are context, not a target; its LPIPS score is turned back into a "
        "distance.",
    )


def _correlations(run: LabRun) -> Table:
    header = ["metric"]
    for system in run.systems:
        header += [f"{system.label}: |r|", f"{system.label}: |r| pooled"]
    rows: list[tuple[Cell, ...]] = []
    for m in range(len(run.metrics)):
        cells: list[Cell] = [metric_head(run, m)]
        for correlation in correlations(run, m):
            cells += [correlation.per_image, correlation.pooled]
        rows.append(tuple(cells))
    return Table(
        name="correlations",
        title="How closely each metric follows deformation and noise",
        header=tuple(header),
        rows=tuple(rows),
        note="|r|: absolute Pearson correlation between score and strength over one image's levels, averaged over "
        "images, with its 95% bootstrap interval. Pooled: over all images and levels at once. A structure metric is to "
        "follow deformation (|r| near 1) and not noise (SAMScore, arXiv 2305.15367).",
    )


def _sensitivities(run: LabRun) -> list[Table]:
    groups: dict[str, list[int]] = {}
    for s, system in enumerate(run.systems):
        groups.setdefault(system.dimension, []).append(s)
    named = [name for name in groups if name]
    note = (
        "Score at the weakest minus score at the strongest level, turned so that worse is positive, in standard "
        "deviations of the metric over all its scores in this run: mean over images with its 95% bootstrap interval. "
        "Compare down a column: which edit a metric notices most."
    )
    metrics = range(len(run.metrics))
    heads = _heads(run)
    shown = []
    if named:
        rows: list[tuple[Cell, ...]] = [
            (
                name,
                ", ".join(run.systems[s].label for s in groups[name]),
                *(sensitivity(run, tuple(groups[name]), m) for m in metrics),
            )
            for name in named
        ]
        title = "What each metric notices, by dimension"
        shown.append(
            Table(name="sensitivity", title=title, header=("dimension", "edits", *heads), rows=tuple(rows), note=note)
        )
    if len(named) < len(run.systems):
        own: list[tuple[Cell, ...]] = [
            (system_words(run, s), *(sensitivity(run, (s,), m) for m in metrics)) for s in range(len(run.systems))
        ]
        title = "What each metric notices, by edit"
        shown.append(Table(name="sensitivity-edits", title=title, header=("edit", *heads), rows=tuple(own), note=note))
    return shown


def _overall(run: LabRun) -> Table:
    """A row a system: means over the levels that all have, or over its own."""
    sets = [{float(level) for level in run.levels(s)} for s in range(len(run.systems))]
    common = sorted(set.intersection(*sets)) if run.axis.name != "rate_bpp" or not _at_qualities(run) else []
    rows: list[tuple[Cell, ...]] = []
    for s, system in enumerate(run.systems):
        levels = common or sorted(sets[s])
        means = (over_levels(run, s, m, levels) for m in range(len(run.metrics)))
        rows.append((system.label, strengths_words(run, s, levels), *means))
    note = "Mean over images of each image's mean over these levels, with its 95% bootstrap interval."
    if not common and len(run.systems) > 1:
        note += " The systems have other levels, so that these means do not rank them: see the paired differences."
    return Table(
        name="overall",
        title="Means over all levels",
        header=("system", axis_words(run) if common else "levels", *_heads(run)),
        rows=tuple(rows),
        note=note,
    )


def _at_qualities(run: LabRun) -> bool:
    return any(system.at_qualities for system in run.systems)


def _differences(run: LabRun) -> Table:
    """Every two systems, metric by metric."""
    rows: list[tuple[Cell, ...]] = []
    for gap in differences(run, system_pairs(run)):
        pair = gap.difference
        low, high = pair.interval_95 or (None, None)
        rows.append(
            (
                metric_head(run, gap.metric),
                run.systems[gap.a].label,
                run.systems[gap.b].label,
                Mean(n=pair.n, mean=pair.mean, low=low, high=high, infinite=pair.left_out),
                f"{pair.a_better} of {pair.n}",
                "–" if pair.p is None else f"{pair.p:.3g}",
            )
        )
    where = (
        "read off straight lines between an image's own points at the rates that both reach"
        if run.axis.name == "rate_bpp"
        else "over the levels that both have"
    )
    return Table(
        name="differences",
        title="Paired differences between systems",
        header=("metric", "A", "B", "A − B", "images where A is better", "p (sign test)"),
        rows=tuple(rows),
        note=f"Mean over images of A − B with its 95% bootstrap interval, {where}. An interval that holds 0 does not "
        "tell the two apart. semetric compare --by-level has each level.",
    )


def _crossings(run: LabRun) -> Table:
    """Where two curves change places, with a clear difference on both sides."""
    unit = f" ({run.axis.unit})" if run.axis.unit else ""
    clear: dict[tuple[int, int, int], list[float]] = {}  # (metric, better, worse) → levels
    for gap in differences(run, system_pairs(run), by_level=True):
        if gap.level is not None and gap.clear and gap.better is not None:
            worse = gap.b if gap.better == gap.a else gap.a
            clear.setdefault((gap.metric, gap.better, worse), []).append(gap.level)
    rows: list[tuple[Cell, ...]] = []
    unclear = 0
    for m in range(len(run.metrics)):
        for crossing in crossings(run, m):
            below = clear.get((m, crossing.below, crossing.above), [])
            above = clear.get((m, crossing.above, crossing.below), [])
            if any(level < crossing.x for level in below) and any(level > crossing.x for level in above):
                names = (run.systems[crossing.below].label, run.systems[crossing.above].label)
                rows.append((metric_head(run, m), *names, crossing.x))
            else:
                unclear += 1
    left_out = f" {unclear} more lie within the intervals and are left out." if unclear else ""
    return Table(
        name="crossings",
        title="Where two systems change places",
        header=("metric", "better below", "better above", f"{run.axis.label}{unit}"),
        rows=tuple(rows),
        note=(
            "By straight lines between the means, where the paired differences of the two are clear on both sides."
            if rows
            else "No two systems change places with a clear difference on both sides."
        )
        + left_out,
    )


def _failures(run: LabRun) -> Table:
    counts = [{level: count for level, *count in failure_counts(run, s)} for s in range(len(run.systems))]
    rows: list[tuple[Cell, ...]] = []
    for level in sorted({level for own in counts for level in own}):
        cells = [f"{own[level][1]} of {own[level][0]}" if level in own else "–" for own in counts]
        rows.append((minus(f"{level:.6g}"), *cells))
    return Table(
        name="failed",
        title="Failed decodes",
        header=(axis_words(run), *(system.label for system in run.systems)),
        rows=tuple(rows),
        note="A stream that the decoder rejects gives the system's fallback image, which is scored like any other.",
    )


def _between_systems(table: Callable[[LabRun], Table]) -> Callable[[LabRun], list[Table]]:
    """A table that needs two systems."""
    return lambda run: [table(run)] if len(run.systems) > 1 else []


_TABLES: dict[str, Callable[[LabRun], list[Table]]] = {
    "overall": lambda run: [_overall(run)],
    "differences": _between_systems(_differences),
    "crossings": _between_systems(_crossings),
    "failed": lambda run: [_failures(run)],
    "transformations": lambda run: [_transformations(run)],
    "correlations": lambda run: [_correlations(run)],
    "sensitivity": _sensitivities,
}
"""Names of `Report.tables`."""
