"""What a run is, in words: its axis, its levels, its metrics, and the first sentences of its page."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

import numpy as np

from semetric.formatting import count as count_of
from semetric.formatting import minus
from semetric.report.lab.problems import units
from semetric.report.lab.results import LabRun
from semetric.report.lab.style import metric_label, metric_unit

__all__ = [
    "axis_words",
    "lead",
    "level_words",
    "metric_head",
    "short_unit",
    "slugs",
    "strength_unit",
    "strengths_words",
    "system_words",
]

_SHORT = {
    "bits per pixel": "bpp",
    "degrees": "°",
    "0 or 1": "",
    "1 − factor": "",
    "sigma": "σ",
}


def axis_words(run: LabRun) -> str:
    """The axis with its unit, as under a figure."""
    return f"{run.axis.label} ({run.axis.unit})" if run.axis.unit else run.axis.label


def short_unit(unit: str) -> str:
    """The unit as it stands behind a number: its first part, shares as what they are of."""
    first, _, rest = (part.strip() for part in unit.partition(","))
    if first == "standard deviation" and rest:
        first = rest
    if first in _SHORT:
        return _SHORT[first]
    return "of " + first.removeprefix("share of ") if first.startswith("share of ") else first


def level_words(run: LabRun, system: int, level: float) -> str:
    """A level with its unit; a quality beside rates as that."""
    if run.axis.name == "rate_bpp" and run.systems[system].at_qualities:
        return minus(f"level {level:.6g}")
    return _with_unit(f"{level:.6g}", short_unit(run.unit(system)))


def strengths_words(run: LabRun, system: int, levels: Iterable[float]) -> str:
    """Levels in a row, with their unit once."""
    return _with_unit(", ".join(f"{level:.6g}" for level in levels), short_unit(run.unit(system)))


def strength_unit(run: LabRun, system: int) -> tuple[float, str]:
    """(factor, words): what strengths are multiplied by, and their unit under an axis; shares in percent."""
    unit = run.unit(system)
    if unit.startswith("share of "):
        return 100.0, "% of " + unit.removeprefix("share of ")
    return 1.0, unit or run.axis.label


def metric_head(run: LabRun, metric: int) -> str:
    """The metric's name, unit and direction, over a column."""
    info = run.metrics[metric]
    unit = metric_unit(info.name)
    return f"{metric_label(info.name)}{f' ({unit})' if unit else ''} {info.arrow}"


def system_words(run: LabRun, system: int) -> str:
    """The system's label, with what an edit changes."""
    info = run.systems[system]
    return f"{info.label} ({info.dimension})" if info.dimension else info.label


def slugs(names: Iterable[str]) -> list[str]:
    """A file's name for each name: letters, digits, - and _ alone, each one once."""
    taken: set[str] = set()
    result = []
    for name in names:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        base = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-")[:48] or "x"
        slug, turn = base, 2
        while slug in taken:
            slug, turn = f"{base}-{turn}", turn + 1
        taken.add(slug)
        result.append(slug)
    return result


def lead(run: LabRun) -> list[str]:
    """What the run is, in a few sentences."""
    sent = units(run)
    levels = sorted({len(run.levels(s)) for s in range(len(run.systems))})
    count = str(levels[0]) if len(levels) == 1 else f"{levels[0]} to {levels[-1]}" if levels else "0"
    words = [
        f"{count_of(len(run.images), 'image')}, {count_of(len(run.systems), 'system')}, {count} "
        f"{'level' if count == '1' else 'levels'} each, {count_of(len(run.metrics), 'metric')}."
    ]
    uses = _uses(run)
    if uses:
        words.append(f"Channel uses per pixel: {uses}.")
    if len(run.images) == 1:
        words.append("One image gives no interval, so no bands are drawn.")
    failed = sum(failed for _, failed in sent)
    if failed:
        words.append(f"{count_of(failed, 'decode')} of {len(sent)} failed; their fallback images are scored and count.")
    elif "failed" in run.report.tables:
        words.append("No decode failed.")
    infinite = Counter(run.metrics[m].name for m in run.rows.metric[np.isinf(run.rows.value)])
    for name in sorted(infinite):
        words.append(
            f"{count_of(infinite[name], 'infinite value')} of {metric_label(name)} (identical images) left out."
        )
    missing = int(np.isnan(run.rows.value).sum())
    if missing:
        words.append(f"{count_of(missing, 'value')} missing: see what went wrong.")
    return words


def _uses(run: LabRun) -> str:
    """Channel uses per pixel by system, or one number where they are equal; empty without a channel."""
    rows, uses = run.rows, {}
    for s, system in enumerate(run.systems):
        own = rows.uses_per_pixel[rows.system == s]
        own = own[np.isfinite(own)]
        if own.size:
            uses[system.label] = f"{own.mean():.3g}"
    if len(uses) == len(run.systems) and len(set(uses.values())) == 1:
        return next(iter(uses.values()))
    return ", ".join(f"{label} {value}" for label, value in uses.items())


def _with_unit(numbers: str, unit: str) -> str:
    return minus(f"{numbers}{'' if unit in ('', '°') else ' '}{unit}")
