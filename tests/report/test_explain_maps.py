from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from fake_graphs import discs, photo
from PIL import Image

from semetric.metrics.base import Score
from semetric.models.runtime import Runtime
from semetric.report.account import account_of
from semetric.report.explain.maps import kept_overlay, lpips_overlay, overlays, samscore_overlay
from semetric.scene.graded import GradedSettings, importance_in_cells, match_graded
from semetric.scoring import Scores

Make = Callable[..., Scores]


def read_png(encoded: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image)


@pytest.mark.parametrize(("size", "cells"), [((512, 512), (64, 64)), ((371, 512), (47, 64)), ((100, 30), (64, 20))])
def test_cells_lie_where_sam_saw_them(size: tuple[int, int], cells: tuple[int, int]) -> None:
    """A cell is 16 px of an image whose longer side is 1024 px; the last may stick out by less than one."""
    found = samscore_overlay(np.full(cells, 0.5, np.float32), size)
    assert found.levels[0].shape == cells
    for extent, count, side in zip(found.extent, cells[::-1], size[::-1], strict=True):
        scale = 1024 / max(size)
        assert extent * side * scale == pytest.approx(count * 16, rel=0.01)  # SAM's input is whole pixels
        assert 1.0 <= extent < 1 + 1 / (count - 1)


def test_levels_give_the_values_back() -> None:
    cells = np.random.default_rng(0).uniform(-0.2, 1, (5, 7))
    for found in (samscore_overlay(cells, (700, 1024)), lpips_overlay("lpips", np.abs(cells))):
        values = found.low + (found.high - found.low) * found.levels[0] / 255
        truth = cells if found.metric == "samscore" else np.abs(cells)
        # half of one of 255 steps
        np.testing.assert_allclose(values, truth, rtol=0, atol=0.5 * (found.high - found.low) / 255 + 1e-9)
        assert found.mean == pytest.approx(truth.mean())
        assert (
            np.frombuffer(base64.b64decode(found.packed()[0]), np.uint8).reshape(5, 7).tolist()
            == found.levels[0].tolist()
        )


@pytest.mark.parametrize("value", [1.0, 0.0, -1.0, 1.0000001])
def test_an_even_map_has_a_scale(value: float) -> None:
    same = samscore_overlay(np.full((64, 64), value, np.float32), (512, 512))
    assert same.low < same.high == 1.0
    none = lpips_overlay("lpips", np.zeros((4, 4)))
    assert (none.low, none.high) == (0.0, 0.05)


def test_bright_is_different_in_both_maps() -> None:
    def brightness(encoded: bytes) -> np.ndarray:
        return read_png(encoded).astype(float).sum(axis=2)[0]

    cells = np.array([[0.0, 1.0]])
    unlike, same = brightness(samscore_overlay(cells, (16, 32)).png())
    assert unlike > same
    same, unlike = brightness(lpips_overlay("lpips", cells).png())
    assert unlike > same
    for overlay in (samscore_overlay(cells, (16, 32)), lpips_overlay("lpips", cells)):
        scale = brightness(overlay.gradient())
        assert (scale[-1] > scale[0]) == overlay.bright_is_high


def test_only_metrics_that_were_scored_have_maps(scored: Make) -> None:
    assert overlays(scored(), photo((40, 40)), photo((40, 40)), Runtime("lite")) == []
    samscore = Score(
        metric="samscore",
        value=0.5,
        higher_is_better=True,
        range=(-1.0, 1.0),
        artefacts={"map": np.full((64, 64), 0.5)},
    )
    (only,) = overlays(scored(samscore), photo((40, 40)), photo((40, 40)), Runtime("lite"))
    assert only.metric == "samscore"


@pytest.mark.weights
@pytest.mark.parametrize("name", ["lpips", "lpips_vgg"])
def test_the_lpips_map_has_the_scores_mean(scored: Make, name: str) -> None:
    import semetric

    one, two = photo((150, 300)), photo((150, 300), grey=True)
    shared = semetric.runtime(store=None)
    scores = semetric.score(one, two, [name], shared=shared)
    (found,) = overlays(scores, one, two, shared)
    assert found.levels[0].shape == (128, 128)
    # growing each layer to the image's size weighs its borders otherwise
    assert found.mean == pytest.approx(scores[name], rel=0.05)
    (same,) = overlays(scores, one, one, shared)
    assert same.levels[0].max() == 0


def test_the_map_of_graded_sess_adds_up_to_its_score() -> None:
    size = (60, 80)
    one, two = (
        replace(discs(4, size, seed=seed), settings={"importance": "graded"}, iou=np.float32([0.99, 0.9, 0.85, 0.99]))
        for seed in (0, 1)
    )
    one, two = (
        replace(
            graph,
            held=held,
            importance=held.sum(axis=1),
            cell_features=np.ones((held.shape[1], graph.features.shape[1])),
        )
        for graph in (one, two)
        for held in [importance_in_cells(np.ones(size), graph.masks, graph.membership)]
    )
    settings = GradedSettings(midpoint=0.5, scale=0.1, image_midpoint=0.5, image_scale=0.1)
    matching = match_graded(one.graded, two.graded, np.eye(56), 0.6, settings)
    sess = Score(
        metric="sess",
        value=matching.score,
        higher_is_better=True,
        range=(0.0, 1.0),
        artefacts={"graphs": (one, two), "matching": matching},
    )
    account = account_of(sess)
    assert account is not None
    found = kept_overlay(account)
    assert [levels.shape for levels in found.levels] == [size, size]
    # every pixel weighs the same here; what the two maps keep on average, and γ of the whole images, is the score
    score = (1 - settings.gamma) * found.mean + settings.gamma * matching.image_similarity
    assert score == pytest.approx(matching.score, abs=1e-9)  # to rounding
