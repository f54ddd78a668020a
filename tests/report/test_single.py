from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_graphs import discs, photo
from matplotlib.colors import to_hex
from PIL import Image

from semetric.errors import UsageError
from semetric.report import save_graph
from semetric.report.single import MOST_OBJECTS, graph_figure


@pytest.mark.parametrize("n", [0, 1, 7, 60])
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_any_number_of_objects(tmp_path: Path, n: int, suffix: str) -> None:
    out = tmp_path / f"out.{suffix}"
    save_graph(discs(n, (120, 160)), photo((240, 320), grey=True), out)
    if suffix == "png":
        with Image.open(out) as drawn:
            assert np.asarray(drawn.convert("RGB")).std() > 10  # a blank page has 0
    else:
        assert out.read_text().count('id="number ') == min(n, MOST_OBJECTS)


def test_an_image_is_not_replaced_by_its_graph(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.new("RGB", (5, 5)).save(file)
    before = file.read_bytes()
    with pytest.raises(UsageError, match="to a file of its own"):
        save_graph(discs(1, (20, 20)), photo((20, 20), name=str(file)), file)
    assert file.read_bytes() == before


def test_the_most_important_are_drawn_under_their_numbers() -> None:
    graph = discs(60, (300, 400))
    figure = graph_figure(graph, photo((300, 400)))
    labels = [t for t in figure.axes[0].texts if str(t.get_gid()).startswith("number")]
    most = np.argsort(-graph.importance, kind="stable")[:MOST_OBJECTS]
    assert {int(t.get_text()) for t in labels} == {i + 1 for i in most.tolist()}
    words = [t.get_text() for axes in figure.axes for t in axes.texts]
    assert f"astronaut.png: the 18 most important of 60 objects; {60 - MOST_OBJECTS} are not drawn" in words
    assert f"{graph.importance[most[0]]:.3f}" in words


def test_the_legend_has_the_colours_of_the_photo() -> None:
    figure = graph_figure(discs(5, (300, 400)), photo((300, 400)))
    panel, _, legend = figure.axes
    on_photo = {
        t.get_text(): to_hex(t.get_bbox_patch().get_facecolor())
        for t in panel.texts
        if str(t.get_gid()).startswith("number")
    }
    listed = {
        t.get_text(): to_hex(t.get_bbox_patch().get_facecolor()) for t in legend.texts if t.get_bbox_patch() is not None
    }
    assert listed == on_photo
    assert len(on_photo) == 5


def test_relations_are_listed_by_probability() -> None:
    graph = discs(9, (300, 400))
    legend = graph_figure(graph, photo((300, 400))).axes[-1]
    head = next(t.get_position()[1] for t in legend.texts if t.get_text() == "Strongest relations")
    listed = [t for t in legend.texts if t.get_position()[1] > head and t.get_text().startswith("0.")]
    values = [t.get_text() for t in sorted(listed, key=lambda t: float(t.get_position()[1]))]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) > 3


def test_an_empty_graph_says_so() -> None:
    words = [t.get_text() for axes in graph_figure(discs(0, (50, 60)), photo((50, 60))).axes for t in axes.texts]
    assert words == ["astronaut.png: no objects found"]
