"""Pictures and pages of what a score rests on. Importing this imports matplotlib, its object-oriented part alone."""

from __future__ import annotations

from semetric.report.defaults import defaults  # first: it imports matplotlib free of the user's settings
from semetric.report.explain import save_explanation
from semetric.report.output import check_output
from semetric.report.pair import save_plot
from semetric.report.single import save_graph

__all__ = ["check_output", "defaults", "save_explanation", "save_graph", "save_plot"]
