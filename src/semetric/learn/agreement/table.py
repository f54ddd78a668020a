"""Tables of an evaluation: metrics against measures, for print, and every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from semetric.formatting import number
from semetric.results.files import write_whole
from semetric.results.tables import Cell, Mean, Table, to_csv, to_latex

__all__ = ["NAMES", "RULE", "agreement_table", "long_table", "mean_of", "write_tables"]

NAMES = {
    "2afc": "2AFC",
    "srcc": "SRCC",
    "krcc": "KRCC",
    "plcc": "PLCC",
    "jnd_map": "JND AP",
    "odd_one_out": "odd one out",
}
"""Measure → what tables call it."""

RULE = (
    "Bold: the best of a column, where the 95% bootstrap interval of its difference from every other metric excludes 0."
)


def agreement_table(summary: Mapping[str, Any]) -> Table:
    """A row a metric, a column a measure: the table for a paper."""
    measures: Sequence[str] = summary["measures"]
    groups, data = summary["groups"], summary["dataset"]
    known = [row for row in summary["published"] if row["metric"] in summary["metrics"]]
    header = ["metric", "better", "n", *(NAMES[name] for name in measures)]
    header += [f"mean of {len(groups)} groups"] if groups else []
    header += ["published"] if known else []
    rows = []
    for metric, entry in summary["metrics"].items():
        row: list[Cell] = [metric, "↑" if entry["higher_is_better"] else "↓", entry["n"]]
        for name in measures:
            best = summary["best"][name]
            stands_out = best is not None and best["clear"] and best["metric"] == metric
            row.append(mean_of(entry["measures"][name], best=stands_out))
        if groups:
            row.append(mean_of(entry["mean_of_groups"][measures[0]]))
        if known:
            row.append(", ".join(number(other["value"]) for other in known if other["metric"] == metric) or None)
        rows.append(tuple(row))
    size = f"{data['items']} of {data['published_size']}" if data["published_size"] else str(data["items"])
    label = f"{data['name']}-{data['split']}" if data["split"] else data["name"]
    return Table(
        name="agreement-" + "".join(c if c.isascii() and c.isalnum() else "-" for c in label),
        title=f"Agreement with people on {data['name']}{' ' + data['split'] if data['split'] else ''}, {size} items",
        header=tuple(header),
        rows=tuple(rows),
        note=_note(summary),
    )


def mean_of(entry: Mapping[str, Any], *, best: bool = False) -> Mean:
    """An entry of the summary as a cell.

    Args:
        entry: with value, interval_95 and perhaps n.
        best: whether it is clearly the best of its column.
    """
    low, high = entry["interval_95"] or (None, None)
    return Mean(n=entry.get("n", 0), mean=entry["value"], low=low, high=high, best=best)


def long_table(summary: Mapping[str, Any]) -> Table:
    """A row a metric, measure and group; the group is empty for all items, and "mean of groups" for that."""
    rows: list[tuple[Cell, ...]] = []
    data = summary["dataset"]
    for metric, entry in summary["metrics"].items():
        for group, measures in _scopes(entry):
            for measure, entry in measures.items():
                low, high = entry["interval_95"] or (None, None)
                known = _published(summary, metric, measure, group) if group in ("", "mean of groups") else None
                numbers = (entry["value"], low, high, entry["n"], known)
                rows.append((data["name"], data["split"] or "", group, metric, measure, *numbers))
    header = ("dataset", "split", "group", "metric", "measure", "value", "low", "high", "n", "published")
    return Table(name="agreement", title="Every number", header=header, rows=tuple(rows))


def _note(summary: Mapping[str, Any]) -> str:
    """What a reader must know of the table, in plain sentences."""
    parts = [f"In brackets: 95% intervals, bootstrap with {summary['interval']['resamples']} resamples.", RULE]
    if "plcc" in summary["measures"]:
        parts.append(f"PLCC after a logistic curve of {summary['plcc_parameters']} parameters.")
    if summary["ceiling"] is not None and summary["ceiling"] < 1:
        parts.append(f"No metric can exceed a 2AFC of {number(summary['ceiling'])}.")
    sources = dict.fromkeys(row["source"] for row in summary["published"] if row["metric"] in summary["metrics"])
    if sources:
        parts.append(f"Published: {NAMES[summary['published'][0]['measure']]} of the {'; '.join(sources)}.")
    return " ".join(parts)


def write_tables(summary: Mapping[str, Any], folder: Path) -> tuple[Path, Path]:
    """Writes agreement.csv and agreement.tex, each whole or not at all.

    Raises:
        StoreError: they cannot be written.
    """
    paths = folder / "agreement.csv", folder / "agreement.tex"
    for path, text in zip(paths, (to_csv(long_table(summary)), to_latex(agreement_table(summary))), strict=True):
        content = text.encode("utf-8", "backslashreplace")
        write_whole(path, lambda stream, content=content: stream.write(content))  # type: ignore[misc]
    return paths


def _scopes(entry: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    scopes = [("", entry["measures"])]
    if "mean_of_groups" in entry:
        scopes += [("mean of groups", entry["mean_of_groups"]), *entry["groups"].items()]
    return scopes


def _published(summary: Mapping[str, Any], metric: str, measure: str, group: str) -> float | None:
    for row in summary["published"]:
        if (row["metric"], row["measure"]) == (metric, measure) and row["mean_of_groups"] == (group != ""):
            value: float = row["value"]
            return value
    return None
