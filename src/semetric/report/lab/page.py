"""The page of a run: what was found, figures, examples, tables, problems; in one file that asks for nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from semetric.formatting import minus
from semetric.report.lab.examples import Example
from semetric.report.lab.figures import Drawn
from semetric.report.lab.findings import findings
from semetric.report.lab.problems import problems
from semetric.report.lab.results import LabRun
from semetric.report.lab.style import metric_label
from semetric.report.lab.words import axis_words, lead
from semetric.results.tables import Table
from semetric.templating import data_address, page, source, source_digest

__all__ = ["render"]

_SVG_MOST = 250_000  # bytes of a figure above which the page holds the PNG, of which there are few colours
_CELL_MOST = 160  # characters of a system's option that the page shows
_FOUND_TABLES = ("overall", "transformations", "correlations", "sensitivity")  # beside the findings
_OPEN_TABLES = ("failed",)


def render(run: LabRun, figures: Sequence[Drawn], tables: Sequence[Table], shown: Sequence[Example]) -> str:
    """The page as text; the same run gives the same text."""
    style, profile = source("lab/page.css"), run.record.get("profile", "not recorded")
    return page(
        "lab/page.html",
        policy=(
            f"default-src 'none'; img-src data:; style-src {source_digest(style)}; base-uri 'none'; form-action 'none'"
        ),
        style=style,
        run=run,
        title="Metrics against rate" if run.axis.name == "rate_bpp" else run.title,
        name=run.path.resolve().name,
        profile=str(profile.get("name", "?")) if isinstance(profile, dict) else str(profile),
        axis=axis_words(run),
        lead=lead(run),
        findings=findings(run),
        found_tables=[table for table in tables if table.name in _FOUND_TABLES],
        other_tables=[table for table in tables if table.latex and table.name not in _FOUND_TABLES],
        open_tables=_OPEN_TABLES,
        figures=[(drawn, _address(drawn)) for drawn in figures if drawn.paged],
        unpaged=[drawn.name for drawn in figures if not drawn.paged],
        examples=shown,
        problems=problems(run),
        labels=[metric_label(metric.name) for metric in run.metrics],
        systems=_systems(run),
        config=json.dumps(run.record.get("config", {}), indent=2, ensure_ascii=False, sort_keys=True),
    )


def _address(drawn: Drawn) -> str:
    if len(drawn.files["svg"]) <= _SVG_MOST:
        return data_address(drawn.files["svg"], "svg+xml")
    return data_address(drawn.files["png"], "png")


def _systems(run: LabRun) -> Table:
    """Each system with its options; a column for each option that differs, one for what only some have."""
    flat = [_options(system.record) for system in run.systems]
    shared = [key for key in dict.fromkeys(key for one in flat for key in one) if all(key in one for one in flat)]
    rows = []
    for system, own in zip(run.systems, flat, strict=True):
        rest = "; ".join(f"{key} {value}" for key, value in own.items() if key not in shared)
        rows.append((system.label, *(own[key] for key in shared), rest or "–"))
    return Table(
        name="systems",
        title="Systems",
        header=("system", *shared, "options"),
        rows=tuple(rows),
        note="run.json has all of it.",
    )


def _options(record: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """A system's record as flat words."""
    options: dict[str, str] = {}
    for key, value in record.items():
        if not before and key in ("name", "label", "contents"):
            continue
        name = f"{before}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            options |= _options(value, f"{name} ")
        elif value not in (None, "", [], {}):
            words = ", ".join(map(_value, value)) if isinstance(value, list) else _value(value)
            options[name] = words if len(words) <= _CELL_MOST else f"{words[:_CELL_MOST]} …"
    return options


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return minus(f"{value:.6g}")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
