"""One table, three forms: CSV with every digit, LaTeX for a paper, HTML for the page. Every text is escaped."""

from __future__ import annotations

import math
from dataclasses import dataclass

from semetric.markup import Markup, tag
from semetric.report.lab.measures import Estimate
from semetric.report.lab.style import number

__all__ = ["Cell", "Table", "escape_latex", "to_csv", "to_html", "to_latex"]

Cell = str | int | float | Estimate | None
"""Text, a number, a mean with its interval, or nothing."""

_FEW = 3  # columns that a phone shows without scrolling

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",
    "[": "{[}",  # after the end of a row it would be an option
    "]": "{]}",
    "*": "{*}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "−": r"$-$",
    "–": "--",
    "…": r"\ldots{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "°": r"$^\circ$",
    "∞": r"$\infty$",
    "σ": r"$\sigma$",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        name: of its files, without a suffix.
        title: its caption.
        header: column names.
        rows: cells, as many a row as there are columns.
        note: what a reader must know of it.
        latex: whether it is for print: the long ones are not.
    """

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    latex: bool = True


def to_csv(table: Table) -> str:
    """Comma-separated, UTF-8; a missing number is an empty cell.

    A column of means becomes five: mean, low, high, n, infinite.
    """
    means = _mean_columns(table)
    header: list[str] = []
    for i, name in enumerate(table.header):
        header += [name, *(f"{name} {part}" for part in ("low", "high", "n", "infinite"))] if i in means else [name]
    lines = [header]
    for row in table.rows:
        line: list[str] = []
        for i, cell in enumerate(row):
            if isinstance(cell, Estimate):
                line += [_exact(cell.mean), _exact(cell.low), _exact(cell.high), str(cell.n), str(cell.infinite)]
            else:
                line += [_exact(cell), *([""] * 4 if i in means else [])]
        lines.append(line)
    return "".join(",".join(map(_quoted, line)) + "\n" for line in lines)


def to_latex(table: Table) -> str:
    """A floating table with booktabs' rules; the interval stands under its mean. Needs the package booktabs."""
    means = _mean_columns(table)
    right = means | {i for row in table.rows for i, cell in enumerate(row) if isinstance(cell, int | float)}
    columns = "".join("r" if i in right else "l" for i in range(len(table.header)))
    body = [" & ".join(map(_latex_cell, row)) + r" \\" for row in table.rows]
    caption = escape_latex(" ".join(filter(None, (table.title + ".", table.note))))
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\label{{tab:{table.name}}}",
            r"\footnotesize",
            r"\setlength{\tabcolsep}{3pt}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(map(escape_latex, table.header)) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def to_html(table: Table) -> Markup:
    """The table in a box of its own that scrolls where it is wider than the screen; of one without rows the note."""
    note = Markup(tag("p", table.note, class_="quiet") if table.note else "")
    if not table.rows:
        return note
    means = _mean_columns(table)
    right = means | {i for row in table.rows for i, cell in enumerate(row) if isinstance(cell, int | float)}
    head = tag(
        "tr", *(tag("th", name, scope="col", class_="n" if i in right else None) for i, name in enumerate(table.header))
    )
    body = [tag("tr", *(_html_cell(cell, i in right, i == 0) for i, cell in enumerate(row))) for row in table.rows]
    inside = tag("table", tag("thead", head), tag("tbody", *body))
    hint = tag("p", "Scroll sideways to see all columns.", class_="hint") if len(table.header) > _FEW else Markup()
    scroll = tag("div", inside, class_="scroll", tabindex="0", role="region", aria_label=table.title)
    return Markup(hint + scroll + note)


def escape_latex(text: str) -> str:
    """The text as LaTeX prints it: no command, no mathematics, on one line."""
    return "".join(_LATEX.get(c, c) for c in " ".join(text.split()) if c.isprintable())


def _mean_columns(table: Table) -> set[int]:
    return {i for row in table.rows for i, cell in enumerate(row) if isinstance(cell, Estimate)}


def _latex_cell(cell: Cell) -> str:
    if not isinstance(cell, Estimate):
        return escape_latex(_words(cell))
    if cell.mean is None:
        return "--"
    mean = escape_latex(number(cell.mean))
    if cell.low is None or cell.high is None:
        return mean
    bounds = escape_latex(f"{number(cell.low)}, {number(cell.high)}")
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{mean}\\[-2pt]{{\tiny [{bounds}]}}\end{{tabular}}"


def _html_cell(cell: Cell, right: bool, first: bool) -> Markup:
    kind = "n" if right else None
    if not isinstance(cell, Estimate):
        words = _words(cell)
        inside = tag("bdi", words) if isinstance(cell, str) else words
        return tag("th", inside, scope="row", class_=kind) if first else tag("td", inside, class_=kind)
    said: Markup | None = None
    if cell.low is not None and cell.high is not None:
        said = tag("small", f"{number(cell.low)} … {number(cell.high)}")
    left_out = f"{cell.infinite} infinite left out" if cell.infinite else None
    return tag("td", number(cell.mean), said, tag("small", left_out) if left_out else None, class_=kind)


def _words(cell: str | int | float | None) -> str:
    if cell is None:
        return "–"
    return number(cell) if isinstance(cell, float) else str(cell)


def _exact(cell: str | int | float | None) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.10g}" if math.isfinite(cell) else "inf" if cell > 0 else "-inf"
    return str(cell)


def _quoted(text: str) -> str:
    if text[:1] in ("=", "+", "@", "\t", "\r"):  # a spreadsheet would take it for a formula
        text = "'" + text
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text
