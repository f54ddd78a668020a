"""The report of a run of the lab: a page, figures for a paper, tables. Importing this imports matplotlib."""

from __future__ import annotations

from semetric.report.lab.write import write_report

__all__ = ["write_report"]
