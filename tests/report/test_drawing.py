from __future__ import annotations

import numpy as np
import pytest
from fake_graphs import discs, photo

from semetric.report.drawing import Panel, along_arrow, file_name, fit_text, new_figure, object_mask, printable


def test_one_mask_is_the_graphs() -> None:
    graph = discs(6, (40, 60))
    for i in range(6):
        assert (object_mask(graph, i) == graph.masks[i]).all()


def test_text_that_the_font_lacks_is_replaced() -> None:
    assert printable("naïve – ∞ 日\t") == "naïve – ∞ □□"


def test_long_names_lose_their_middle() -> None:
    name = "a" * 60 + "tail.png"
    assert fit_text("short.png", 5, 10) == "short.png"
    cut = fit_text(name, 3, 10)
    assert cut.startswith("aaa")
    assert cut.endswith("tail.png")
    assert "…" in cut
    assert len(cut) < 40


def test_names_of_arrays_stay() -> None:
    assert (file_name("a/b.png"), file_name("<array>")) == ("b.png", "<array>")


def test_places_begin_at_the_middle_of_the_arrow() -> None:
    start, end = np.array([0.0, 0.0]), np.array([100.0, 0.0])
    places = along_arrow(start, end, 10)
    assert places[0] == pytest.approx((50, 6))  # half of the control point's 12% of 100
    assert all(np.isfinite(places).ravel())
    assert np.isfinite(along_arrow(start, start, 10)).all()


def test_the_arrow_passes_where_its_words_are_put() -> None:
    """matplotlib bends arrows in display units, y upwards; `along_arrow` follows in image units, y downwards."""
    panel = Panel(new_figure(4, 3), photo((300, 400)), (300, 400), 0, 0, 4, 3)
    start, end = np.array([50.0, 60.0]), np.array([350.0, 200.0])
    panel.relate({0: start, 1: end}, np.array([[0, 1, 3]]))
    (arrow,) = [p for p in panel.axes.patches if p.get_gid() == "relation 0 1"]
    curve = arrow.get_connectionstyle()(
        panel.axes.transData.transform(start), panel.axes.transData.transform(end), shrinkA=0, shrinkB=0
    )
    first, control, last = panel.axes.transData.inverted().transform(curve.vertices)
    middle = 0.25 * first + 0.5 * control + 0.25 * last
    assert along_arrow(start, end, 10)[0] == pytest.approx(tuple(middle), abs=0.01)  # float32 display transforms
