"""A run's folder in; its page, figures and tables out."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from semetric.errors import StoreError
from semetric.report.lab.contents import tables
from semetric.report.lab.examples import examples
from semetric.report.lab.figures import drawn_figures
from semetric.report.lab.merge import read_lab_runs
from semetric.report.lab.page import render
from semetric.report.lab.strips import example_strips
from semetric.report.output import write_whole
from semetric.results.tables import to_csv, to_latex, to_markdown

__all__ = ["write_report"]


def write_report(
    runs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], out: str | os.PathLike[str] | None = None
) -> Path:
    """Writes the report of a run of the lab, or of several of one experiment as one.

    index.html is one page that needs nothing beside itself; figures/ has each figure as PDF (TrueType fonts)
    and PNG (300 dots an inch), 3.4 inches wide or 7 for overviews; tables/ has each table as CSV,
    Markdown and LaTeX with booktabs' rules. The same run gives the same bytes. Of a run that is not at its end the
    report holds what is finished, and says so. The page is written last.

    Args:
        runs: the folder that the experiment wrote; or several, whose systems stand side by side.
        out: where the report goes; None for "report" inside the run, of several "report-merged" inside the first. Made
            if need be.

    Returns:
        The page.

    Raises:
        UsageError: no run of the lab is there, nothing of it is finished, its files do not fit together, or several
            runs do not belong together.
        StoreError: the report cannot be written there.
    """
    paths = [Path(runs)] if isinstance(runs, str | os.PathLike) else [Path(run) for run in runs]
    lab_runs = read_lab_runs(paths)
    folder = Path(out) if out is not None else paths[0] / ("report" if len(paths) == 1 else "report-merged")
    for path in (folder, folder / "figures", folder / "tables"):
        if path.exists() and not path.is_dir():
            raise StoreError(f"Expected to write a report into {folder}; {path} is a file. Name another --out.")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"Expected to write a report into {folder}; {error.strerror or error}.") from error
    figures = []
    for drawn in itertools.chain(drawn_figures(lab_runs), example_strips(lab_runs)):
        for kind in ("pdf", "png"):
            write_whole(drawn.files[kind], folder / "figures" / f"{drawn.name}.{kind}", "a figure")
        if "svg" in drawn.files:
            figures.append(drawn)
    lab_tables = tables(lab_runs)
    for table in lab_tables:
        writers = {"csv": to_csv, "tex": to_latex, "md": to_markdown} if table.latex else {"csv": to_csv}
        for suffix, text_of in writers.items():
            write_whole(text_of(table).encode(), folder / "tables" / f"{table.name}.{suffix}", "a table")
    page = folder / "index.html"
    write_whole(render(lab_runs, figures, lab_tables, examples(lab_runs)).encode(), page, "a page")
    return page
