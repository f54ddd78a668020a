"""What a run shows, in a sentence a metric: the first thing on its page."""

from __future__ import annotations

from semetric.formatting import number
from semetric.report.lab.differences import SystemDifference, differences, system_pairs
from semetric.report.lab.measures import correlations, curves, over_levels, sensitivity
from semetric.report.lab.results import LabRun
from semetric.report.lab.style import metric_label, metric_unit
from semetric.report.lab.words import level_words
from semetric.results.tables import Mean

__all__ = ["findings"]

_FOLLOWS, _IGNORES = 0.9, 0.5  # |r| from which a metric is said to follow a strength, and below which to ignore it


def findings(run: LabRun) -> list[tuple[str, str]]:
    """(metric's label, sentence) of every metric with values, in the order of the run."""
    sentence = _SENTENCES[run.report.findings]
    sentences = [(metric_label(info.name), sentence(run, m)) for m, info in enumerate(run.metrics)]
    return [(label, sentence) for label, sentence in sentences if sentence]


def _compared(run: LabRun, metric: int) -> str:
    """Which system is best, by how much, and whether that is clear; of a single one, where it begins and ends."""
    if len(run.systems) < 2:
        return _course(run, metric, 0)
    comparisons = [one for one in differences(run, system_pairs(run)) if one.metric == metric]
    ranked = _ranking(run, comparisons)
    if len(ranked) < 2:
        return ""
    best, second = ranked[:2]
    between = next(one for one in comparisons if {one.a, one.b} == {best, second})
    first, next_ = run.systems[best].label, run.systems[second].label
    gap = _gap(metric, run, between, best)
    if not between.clear:
        single = between.difference.interval_95 is None
        why = "one image gives no interval" if single else "the interval holds 0"
        sentence = f"{first} is ahead of {next_} by {gap}, which is not clear: {why}"
    else:
        sentence = f"{first} is better than {next_} by {gap}"
    last = ranked[-1]
    if len(ranked) > 2:
        worst = next((one for one in comparisons if {one.a, one.b} == {best, last}), None)
        if worst is not None and worst.clear and worst.better == best:
            sentence += f", and than {run.systems[last].label}, the last, by {_gap(metric, run, worst, best)}"
    return sentence + "."


def _ranking(run: LabRun, comparisons: list[SystemDifference]) -> list[int]:
    """Systems that were compared, by the share of their comparisons that they win; best first."""
    wins: dict[int, list[bool]] = {}
    for gap in comparisons:
        for system in (gap.a, gap.b):
            wins.setdefault(system, []).append(gap.better == system)
    compared = sorted(wins, key=lambda system: (-sum(wins[system]) / len(wins[system]), system))
    if len(compared) > 1 and not any({gap.a, gap.b} == set(compared[:2]) for gap in comparisons):
        return []  # the two best have no level in common
    return compared


def _gap(metric: int, run: LabRun, gap: SystemDifference, better: int) -> str:
    """How far the better one is ahead, with its interval, as a positive number where it is better."""
    mean, bounds = gap.difference.mean or 0.0, gap.difference.interval_95
    sign = 1.0 if run.metrics[metric].higher_is_better else -1.0
    sign *= 1.0 if gap.a == better else -1.0
    unit = metric_unit(run.metrics[metric].name)
    words = f"{number(sign * mean)}{f' {unit}' if unit else ''}"
    if bounds is None:
        return words
    low, high = sorted(sign * bound for bound in bounds)
    return f"{words} ({number(low)} to {number(high)})"


def _course(run: LabRun, metric: int, system: int) -> str:
    """Where a single curve begins and ends."""
    drawn = curves(run)[metric][system].drawn
    if not drawn:
        return ""
    name = run.systems[system].label
    ends = [(number(point.estimate.mean), level_words(run, system, point.level)) for point in (drawn[0], drawn[-1])]
    if len(drawn) == 1:
        return f"{ends[0][0]} for {name} at {ends[0][1]}."
    first, last = (point.estimate.mean or 0.0 for point in (drawn[0], drawn[-1]))
    verb = "rises" if last > first else "falls"
    return f"{verb} from {ends[0][0]} at {ends[0][1]} to {ends[1][0]} at {ends[1][1]} ({name})."


def _extremes(run: LabRun, metric: int) -> str:
    """Under which transformation a metric keeps most, and under which least."""
    means: list[tuple[float, int]] = []
    for s in range(len(run.systems)):
        mean = over_levels(run, s, metric, [float(level) for level in run.levels(s)]).mean
        if mean is not None:
            means.append((mean, s))
    if not means:
        return ""
    if len(means) == 1:
        return _course(run, metric, means[0][1])
    means.sort(reverse=run.metrics[metric].higher_is_better)
    (most, best), (least, worst) = means[0], means[-1]
    return (
        f"changes least under {run.systems[best].label} ({number(most)} over all strengths) and most under "
        f"{run.systems[worst].label} ({number(least)})."
    )


def _followed(run: LabRun, metric: int) -> str:
    """Which strengths a metric follows."""
    parts = []
    for correlation in correlations(run, metric):
        r = correlation.per_image.mean if correlation.per_image.mean is not None else correlation.pooled
        if r is None:
            continue
        verb = "follows" if r >= _FOLLOWS else "hardly follows" if r < _IGNORES else "partly follows"
        parts.append(f"{verb} {run.systems[correlation.system].label} (|r| {_interval(correlation.per_image, r)})")
    return "; ".join(parts) + "." if parts else ""


def _noticed(run: LabRun, metric: int) -> str:
    """Which edits a metric notices most and least."""
    falls: list[tuple[float, int]] = []
    for s in range(len(run.systems)):
        mean = sensitivity(run, (s,), metric).mean
        if mean is not None:
            falls.append((mean, s))
    if not falls:
        return ""
    falls.sort(reverse=True)
    (most, first), (least, last) = falls[0], falls[-1]
    sentence = f"notices {run.systems[first].label} most (a fall of {number(most)} of its standard deviations)"
    if len(falls) > 1:
        sentence += f", {run.systems[last].label} least ({number(least)})"
    return sentence + "."


def _interval(estimate: Mean, mean: float) -> str:
    if estimate.low is None or estimate.high is None:
        return number(mean)
    return f"{number(mean)}, {number(estimate.low)} to {number(estimate.high)}"


_SENTENCES = {"compared": _compared, "extremes": _extremes, "followed": _followed, "noticed": _noticed}
