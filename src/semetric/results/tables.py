"""One table in several forms: CSV with every digit, LaTeX for a paper, Markdown; on a page by templates/table.html.

Every text is escaped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from semetric.formatting import number
from semetric.results.export import csv_line

__all__ = ["Cell", "Mean", "Table", "escape_latex", "to_csv", "to_latex", "to_markdown"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # text that begins so a spreadsheet would run
_MARKDOWN = str.maketrans({c: "\\" + c for c in "\\`*_[]<>|#~$&"})

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
class Mean:
    """A mean, or another statistic, with its 95% bootstrap interval.

    Attributes:
        n: finite values behind it.
        mean: None where there is none.
        low, high: bounds; None of fewer than two values.
        infinite: values left out, such as the PSNR of identical images.
        missing: values that an error took.
        best: whether it stands out as the best of its column.

    Example:
        >>> str(Mean(n=2, mean=0.5, low=0.25, high=0.75))
        '0.500 [0.250, 0.750]'
    """

    n: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    infinite: int = 0
    missing: int = 0
    best: bool = False

    def __str__(self) -> str:
        bounds = "" if self.low is None else f" [{number(self.low)}, {number(self.high)}]"
        return number(self.mean) + bounds


Cell = str | int | float | Mean | None
"""Text, a number, a mean with its interval, or nothing."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        name: of its files, without a suffix.
        title: its caption.
        header: names of the columns.
        rows: cells, as many a row as there are columns.
        note: what a reader must know to read it.
        latex: whether it is for print: the long ones are not.
    """

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    latex: bool = True

    @property
    def means(self) -> tuple[bool, ...]:
        """Of each column whether it holds means."""
        return tuple(any(isinstance(row[i], Mean) for row in self.rows) for i in range(len(self.header)))

    @property
    def right(self) -> tuple[bool, ...]:
        """Of each column whether it stands at the right: means and numbers do."""
        return tuple(any(isinstance(row[i], Mean | int | float) for row in self.rows) for i in range(len(self.header)))


def to_csv(table: Table) -> str:
    """Comma-separated, UTF-8; a missing number is an empty cell.

    A column of means becomes five: mean, low, high, n, infinite.

    Example:
        >>> to_csv(Table(name="t", title="T", header=("a", "b"), rows=(("x", 0.5),)))
        'a,b\\nx,0.5\\n'
    """
    header: list[str] = []
    for name, means in zip(table.header, table.means, strict=True):
        header += [name, *(f"{name} {part}" for part in ("low", "high", "n", "infinite"))] if means else [name]
    lines = [header]
    for row in table.rows:
        line: list[str] = []
        for cell, means in zip(row, table.means, strict=True):
            if isinstance(cell, Mean):
                line += [_exact(each) for each in (cell.mean, cell.low, cell.high, cell.n, cell.infinite)]
            else:
                line += [_exact(cell), *([""] * 4 if means else [])]
        lines.append(line)
    return b"".join(map(csv_line, lines)).decode()


def to_latex(table: Table) -> str:
    """A floating table with booktabs' rules; the interval stands under its mean. Needs the package booktabs."""
    columns = "".join("r" if right else "l" for right in table.right)
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
            *(" & ".join(map(_latex_cell, row)) + r" \\" for row in table.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def to_markdown(table: Table) -> str:
    """A table as GitHub reads it, below its title; its note stands under it.

    Example:
        >>> print(to_markdown(Table(name="t", title="T", header=("a", "b"), rows=(("x|y", 0.5),))))
        **T**
        <BLANKLINE>
        | a | b |
        | --- | ---: |
        | x\\|y | 0.500 |
        <BLANKLINE>
    """
    lines = [table.header, tuple("---:" if right else "---" for right in table.right), *table.rows]
    texts = [[_markdown(str(cell) if isinstance(cell, Mean) else number(cell)) for cell in line] for line in lines]
    texts[1] = list(map(str, lines[1]))
    body = "".join(f"| {' | '.join(line)} |\n" for line in texts)
    note = f"\n{_markdown(table.note)}\n" if table.note else ""
    return f"**{_markdown(table.title)}**\n\n{body}{note}"


def escape_latex(text: str) -> str:
    """The text as LaTeX prints it: no command, no mathematics, on one line.

    Example:
        >>> escape_latex("50% of a_b")
        '50\\\\% of a\\\\_b'
    """
    return "".join(_LATEX.get(c, c) for c in " ".join(text.split()) if c.isprintable())


def _latex_cell(cell: Cell) -> str:
    if not isinstance(cell, Mean):
        return escape_latex(number(cell))
    mean = escape_latex(number(cell.mean))
    mean = rf"\textbf{{{mean}}}" if cell.best else mean
    if cell.low is None or cell.high is None:
        return mean
    bounds = escape_latex(f"{number(cell.low)}, {number(cell.high)}")
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{mean}\\[-2pt]{{\tiny [{bounds}]}}\end{{tabular}}"


def _markdown(text: str) -> str:
    return " ".join(text.split()).translate(_MARKDOWN)


def _exact(cell: str | int | float | None) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.10g}" if math.isfinite(cell) else "inf" if cell > 0 else "-inf"
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else str(cell)
