"""What went wrong in a run: images that cannot be read, values that are missing, streams that no decoder took."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from semetric.formatting import minus
from semetric.report.lab.results import LabRun

__all__ = ["MOST_LISTED", "Problems", "failure_counts", "problems", "units"]

MOST_LISTED = 40
"""Entries of each list; the rows have them all."""

_NAMED = 8  # images that an entry names


@dataclass(frozen=True, kw_only=True)
class Problems:
    """What went wrong, each list bounded by MOST_LISTED.

    Attributes:
        errors: (what has no value, reason), the widest first: metrics that the run went without, images that cannot
            be read, units without any score, single values.
        more_errors: how many are not listed.
        failed: ("system at level", which images): streams that the decoder rejected.
        more_failed: how many are not listed.
        notes: (what a system says of a unit, in how many units), the most frequent first; notes that differ in their
            numbers alone are one, with the first one's numbers.
    """

    errors: tuple[tuple[str, str], ...]
    more_errors: int
    failed: tuple[tuple[str, str], ...]
    more_failed: int
    notes: tuple[tuple[str, int], ...]


def problems(run: LabRun) -> Problems:
    """Errors, failed decodes and notes; within a list in the order of the rows."""
    rows = run.rows
    sent = units(run)
    errors = _errors(run, sent)
    failed = _failed(run, sent)
    noted: dict[tuple[int, str], list[str]] = {}
    for row, _ in sent:
        if rows.note[row]:
            key = int(rows.system[row]), re.sub(r"\d+(\.\d+)?", "0", rows.note[row])
            noted.setdefault(key, []).append(rows.note[row])
    notes = [(f"{run.systems[system].label}: {words[0]}", len(words)) for (system, _), words in noted.items()]
    return Problems(
        errors=tuple(errors[:MOST_LISTED]),
        more_errors=max(0, len(errors) - MOST_LISTED),
        failed=tuple(failed[:MOST_LISTED]),
        more_failed=max(0, len(failed) - MOST_LISTED),
        notes=tuple(sorted(notes, key=lambda item: (-item[1], item[0]))[:MOST_LISTED]),
    )


def units(run: LabRun) -> list[tuple[int, bool]]:
    """(first row, failed) of every image × system × level, in the order of the rows."""
    rows = run.rows
    if not len(rows):
        return []
    starts = _starts(run)
    failed = np.logical_or.reduceat(rows.failed, starts)
    return [(int(row), bool(one)) for row, one in zip(starts, failed, strict=True)]


def failure_counts(run: LabRun, system: int) -> list[tuple[float, int, int]]:
    """(level, images sent, of those failed) of a system, the level rising."""
    counts: dict[float, list[int]] = {}
    for row, failed in units(run):
        if run.rows.system[row] == system:
            count = counts.setdefault(float(run.rows.level[row]), [0, 0])
            count[0] += 1
            count[1] += failed
    return [(level, sent, failed) for level, (sent, failed) in sorted(counts.items())]


def _starts(run: LabRun) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Where units begin: rows are sorted by system, level, image."""
    rows = run.rows
    new = (np.diff(rows.system) != 0) | (np.diff(rows.level) != 0) | (np.diff(rows.image) != 0)
    return np.concatenate([[0], 1 + np.flatnonzero(new)]).astype(np.int64)


def _errors(run: LabRun, sent: list[tuple[int, bool]]) -> list[tuple[str, str]]:
    rows = run.rows
    wide = [(f"metric {name}, in the whole run", str(why)) for name, why in (run.record.get("left_out") or {}).items()]
    unreadable = {i: str(one["error"]) for i, one in enumerate(run.record["images"]) if one.get("error")}
    wide += [(f"{run.images[i]}, everywhere", why) for i, why in unreadable.items()]
    whole, single = [], []
    ends = [row for row, _ in sent[1:]] + [len(rows)]
    for (start, _), end in zip(sent, ends, strict=True):
        missing = [i for i in range(start, end) if np.isnan(rows.value[i])]
        if not missing or rows.image[start] in unreadable:
            continue
        reasons = {rows.error[i] or "no value" for i in missing}
        if len(missing) == end - start > 1 and len(reasons) == 1:
            whole.append((_unit_words(run, start), reasons.pop()))
        else:
            single += [
                (f"{run.metrics[rows.metric[i]].name} on {_unit_words(run, i)}", rows.error[i] or "no value")
                for i in missing
            ]
    return wide + whole + single


def _failed(run: LabRun, sent: list[tuple[int, bool]]) -> list[tuple[str, str]]:
    rows = run.rows
    points: dict[tuple[int, float], list[tuple[str, bool]]] = {}
    for row, failed in sent:
        at = int(rows.system[row]), float(rows.level[row])
        points.setdefault(at, []).append((run.images[rows.image[row]], failed))
    entries = []
    for (system, level), images in points.items():
        names = [name for name, failed in images if failed]
        if not names:
            continue
        which = f"all {len(names)} images" if len(names) == len(images) > 1 else ", ".join(names[:_NAMED])
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED and len(names) < len(images) else ""
        words = minus(f"{level:.6g}")
        entries.append((f"{run.systems[system].label} at {words}", which + more))
    return entries


def _unit_words(run: LabRun, row: int) -> str:
    rows = run.rows
    level = minus(f"{rows.level[row]:.6g}")
    return f"{run.images[rows.image[row]]}, {run.systems[rows.system[row]].label} at {level}"
