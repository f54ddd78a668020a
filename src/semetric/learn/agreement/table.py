"""Tables of an evaluation: across metrics, as CSV with every digit and as LaTeX for a paper."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from semetric.results.files import write_whole

__all__ = ["NAMES", "RULE", "caption", "figure", "to_csv", "to_latex", "write_tables"]

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

_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?|-?inf")
_LATEX = {
    **{c: "\\" + c for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "…": r"\ldots{}",
    "|": r"\textbar{}",
    "−": "$-$",
}


def figure(value: float | None) -> str:
    """A number of a table: three decimals."""
    return "–" if value is None else f"{value:.3f}"


def to_csv(summary: Mapping[str, Any]) -> str:
    """A row a metric, measure and group: dataset, split, group, metric, measure, value, low, high, n, published.

    The group is empty for all items, and "mean of groups" for that. A missing number is an empty cell.
    """
    lines = [["dataset", "split", "group", "metric", "measure", "value", "low", "high", "n", "published"]]
    data = summary["dataset"]
    for metric, entry in summary["metrics"].items():
        for group, measures in _scopes(entry):
            for measure, entry in measures.items():
                low, high = entry["interval_95"] or (None, None)
                known = _published(summary, metric, measure, group) if group in ("", "mean of groups") else None
                numbers = [entry["value"], low, high, entry["n"], known]
                lines.append(
                    [data["name"], data["split"] or "", group, metric, measure, *(_exact(number) for number in numbers)]
                )
    return "".join(",".join(map(_quoted, line)) + "\n" for line in lines)


def to_latex(summary: Mapping[str, Any]) -> str:
    """A floating table with booktabs' rules: a row a metric, a column a measure, intervals in small print."""
    measures: Sequence[str] = summary["measures"]
    by_group = bool(summary["groups"])
    header = ["metric", "", "$n$", *(_escaped(NAMES[name]) for name in measures)]
    header += [f"mean of {len(summary['groups'])} groups"] if by_group else []
    known = [row for row in summary["published"] if row["metric"] in summary["metrics"]]
    header += ["published"] if known else []
    body = []
    for metric, entry in summary["metrics"].items():
        cells = [_escaped(metric), _escaped("↑" if entry["higher_is_better"] else "↓"), str(entry["n"])]
        for name in measures:
            best = summary["best"][name]
            bold = best is not None and best["clear"] and best["metric"] == metric
            cells.append(_latex_cell(entry["measures"][name], bold))
        if by_group:
            cells.append(_latex_cell(entry["mean_of_groups"][measures[0]], False))
        if known:
            values = [_escaped(figure(other["value"])) for other in known if other["metric"] == metric]
            cells.append(", ".join(values) or "--")
        body.append(" & ".join(cells) + r" \\")
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escaped(caption(summary))}}}",
            rf"\label{{tab:agreement-{_label(summary['dataset'])}}}",
            r"\footnotesize",
            rf"\begin{{tabular}}{{ll{'r' * (len(header) - 2)}}}",
            r"\toprule",
            " & ".join(header) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def caption(summary: Mapping[str, Any]) -> str:
    """What a reader must know of the table, in plain sentences."""
    data, interval = summary["dataset"], summary["interval"]
    size = f"{data['items']} of {data['published_size']}" if data["published_size"] else str(data["items"])
    parts = [
        f"Agreement with people on {data['name']}{' ' + data['split'] if data['split'] else ''}, {size} items.",
        f"In brackets: 95% intervals, bootstrap with {interval['resamples']} resamples.",
        RULE,
    ]
    if "plcc" in summary["measures"]:
        parts.append(f"PLCC after a logistic curve of {summary['plcc_parameters']} parameters.")
    if summary["ceiling"] is not None and summary["ceiling"] < 1:
        parts.append(f"No metric can exceed a 2AFC of {figure(summary['ceiling'])}.")
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
    for path, text in zip(paths, (to_csv(summary), to_latex(summary)), strict=True):
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


def _latex_cell(entry: Mapping[str, Any], bold: bool) -> str:
    if entry["value"] is None:
        return "--"
    value = _latex_number(entry["value"])
    value = rf"\textbf{{{value}}}" if bold else value
    if entry["interval_95"] is None:
        return value
    low, high = map(_latex_number, entry["interval_95"])
    return rf"{value} {{\tiny [{low}, {high}]}}"


def _latex_number(value: float) -> str:
    return figure(value).replace("-", "$-$")  # a hyphen is no minus


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in " ".join(text.split()) if c.isprintable())


def _label(data: Mapping[str, Any]) -> str:
    text = f"{data['name']}-{data['split']}" if data["split"] else data["name"]
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text)


def _exact(number: float | int | None) -> str:
    return "" if number is None else str(number) if isinstance(number, int) else f"{number:.10g}"


def _quoted(text: str) -> str:
    if text[:1] in ("=", "+", "@", "\t", "\r", "-") and not _NUMBER.fullmatch(text):  # spreadsheets run it
        text = "'" + text
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text
