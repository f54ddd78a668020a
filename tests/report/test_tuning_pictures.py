"""The pictures of a tuning: what they draw is read back from the figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.simulated_judgements import random_graphs, simulated
from PIL import Image

from semetric.errors import UsageError
from semetric.learn.tuning import Space, TuneOptions, Tuning, tune
from semetric.report.tuning import draw_tuning, influence_figure, parallel_figure
from semetric.scene.batch import PairBatch


@pytest.fixture(scope="module")
def found() -> Tuning:
    graphs, pairs, likeness, alike = random_graphs(8, 4, np.random.default_rng(0), objects=(3, 5))
    batch = PairBatch(graphs, pairs, likeness, alike)
    judged = simulated(batch, np.repeat(np.arange(8), 2), np.random.default_rng(1), noise=0.02)
    space = Space().narrowed(vary=["alpha", "gamma", "saliency_root"])
    return tune(judged, batch, space, TuneOptions(trials=80, folds=0))


def test_a_line_a_trial_and_the_found_values_on_their_axes(found: Tuning) -> None:
    axes = parallel_figure(found).axes[0]
    across = [line for line in axes.lines if len(line.get_xdata()) == 4]  # three parameters and the error
    assert len(across) == 80 + 2
    marked = [np.asarray(line.get_ydata()) for line in across if line.get_marker() == "o"]
    expected = [found.space.units(found.settings), found.space.units(type(found.settings).PAPER)]
    for values in expected:
        assert any(np.allclose(drawn[:-1], values) for drawn in marked)
    assert [label.get_text().replace("\n", " ") for label in axes.get_xticklabels()][:3] == [
        p.label for p in found.space.parameters
    ]
    heights = [float(line.get_ydata()[-1]) for line in across]
    assert min(heights) >= 0
    assert max(heights) <= 1 + 1e-12


def test_a_bar_a_parameter_the_largest_on_top(found: Tuning) -> None:
    assert found.influence
    axes = influence_figure(found).axes[0]
    widths = [bar.get_width() for bar in axes.containers[0]]
    assert widths == sorted(one.share for one in found.influence)
    best = max(found.influence, key=lambda one: one.share).name
    titles = {p.name: p.label for p in found.space.parameters}
    assert axes.get_yticklabels()[-1].get_text() == titles[best]


def test_files_and_few_trials(found: Tuning, tmp_path: Path) -> None:
    paths = draw_tuning(found, tmp_path)
    assert sorted(paths) == ["influence", "parallel"]
    for path in paths.values():
        with Image.open(path) as picture:
            assert len(picture.convert("L").getcolors(256) or ()) > 16  # drawn on
    (tmp_path / "few").mkdir()
    assert sorted(draw_tuning(replace(found, influence=()), tmp_path / "few")) == ["parallel"]
    with pytest.raises(UsageError, match="docx"):
        draw_tuning(found, tmp_path, suffix=".docx")
