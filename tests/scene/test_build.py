"""The pipeline's seams, with masks drawn by hand and a colour for an embedding: no weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from semetric.cache import Store
from semetric.errors import UsageError, WeightsMissingError
from semetric.image import read_image
from semetric.models.runtime import Runtime
from semetric.profiles import profile
from semetric.scene import rle
from semetric.scene.build import GraphBuilder, working_picture
from semetric.scene.importance import spectral_residual


class ColourEncoder:
    """Embeds a crop as its mean colour, and counts how often it is asked."""

    name = "colour"
    dim = 3
    weights = ("colour.1@000000000000",)

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.asked = 0

    def encode(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        self.asked += 1
        return np.stack([c.reshape(-1, 3).mean(0) for c in crops]).astype(np.float32)


def scene() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A red disc's box on a blue table under a grey wall."""
    pixels = np.full((60, 80, 3), 120, np.uint8)
    pixels[40:] = (20, 40, 200)
    pixels[25:40, 30:45] = (220, 30, 30)
    masks = np.zeros((3, 60, 80), bool)
    masks[0, :40] = True
    masks[0, 25:40, 30:45] = False
    masks[1, 40:] = True
    masks[2, 25:40, 30:45] = True
    return pixels, masks


def builder_of(masks: NDArray[np.bool_], *, store: Store | None = None, variant: Any = "paper") -> GraphBuilder:
    builder = GraphBuilder(Runtime("lite", device="cpu", store=store), variant=variant)
    coded, ends = rle.encode(masks)
    found = {
        "runs": coded,
        "ends": ends,
        "tokens": np.zeros((len(masks), 256), np.float32),
        "iou": np.linspace(0.99, 0.9, len(masks), dtype=np.float32),
        "stability": np.full(len(masks), 0.98, np.float32),
    }
    builder.masks = lambda picture: found  # type: ignore[method-assign]
    builder.encoder = ColourEncoder()  # type: ignore[assignment]
    return builder


def test_a_graph_holds_what_the_masks_show() -> None:
    pixels, masks = scene()
    graph = builder_of(masks)(read_image(pixels))
    assert len(graph) == 3
    assert np.array_equal(graph.masks, masks)
    assert graph.boxes.tolist() == [[0, 0, 80, 40], [0, 40, 80, 60], [30, 25, 45, 40]]
    np.testing.assert_allclose(graph.centres[2], [32.5 / 60, 37.5 / 80])
    np.testing.assert_allclose(graph.areas, masks.mean((1, 2)))
    crop = pixels[17:47, 22:52]  # 15 px, a quarter and 4 px around each side, cut to whole pixels
    np.testing.assert_allclose(graph.features[2], crop.reshape(-1, 3).mean(0), rtol=1e-6)  # float32
    np.testing.assert_allclose(graph.image_feature, pixels.reshape(-1, 3).mean(0), rtol=1e-6)
    assert graph.importance.sum() == pytest.approx(1)
    names = {(r["subject"], r["object"]): r["predicate"] for r in graph.to_dict()["relations"]}
    assert names[2, 1] == "on"


def test_a_graded_graph_shares_the_pixels_and_keeps_every_relation() -> None:
    pixels, masks = scene()
    builder = builder_of(np.concatenate([masks, masks[2:]]), variant="graded")
    graph = builder(read_image(pixels))
    paper = builder_of(masks)(read_image(pixels))
    weight = spectral_residual(pixels) + spectral_residual(pixels).mean()
    fading = (1 - 0.13 / 0.15) * (1 - 0.10 / 0.15)  # what the disc's two masks leave open
    missing = fading * weight[masks[2]].sum() / weight.sum()
    assert graph.importance.sum() == pytest.approx(1 - missing, abs=1e-6)  # the predicted IoUs are float32
    assert graph.importance[2] + graph.importance[3] < paper.importance[2]  # the disc is there twice and counts once
    assert graph.membership.tolist() == pytest.approx([1, 1, 0.13 / 0.15, 0.10 / 0.15])  # IoUs .99, .96, .93, .90
    assert len(graph.triplets) > len(paper.triplets)
    assert (graph.probabilities > 0).all()


@pytest.mark.parametrize("variant", ["paper", "demo"])
def test_no_mask_and_one_mask_make_graphs(variant: str) -> None:
    pixels, masks = scene()
    for count in (0, 1):
        graph = builder_of(masks[:count], variant=variant)(read_image(pixels))
        assert len(graph) == count
        assert graph.triplets.shape == (0, 3)
        assert graph.image_feature.shape == (3,)
        assert graph.importance.tolist() == [1.0] * count


def test_a_second_builder_finds_the_graph_on_disk(tmp_path: Any) -> None:
    pixels, masks = scene()
    first = builder_of(masks, store=Store(tmp_path))
    made = first(read_image(pixels))
    second = builder_of(masks, store=Store(tmp_path))
    found = second(read_image(pixels))
    assert second.encoder.asked == 0  # type: ignore[attr-defined]
    for name, array in made.to_arrays().items():
        assert np.array_equal(found.to_arrays()[name], array), name
    assert found.weights == made.weights


def test_variants_do_not_share_graphs(tmp_path: Any) -> None:
    pixels, masks = scene()
    store = Store(tmp_path)
    paper = builder_of(masks, store=store)(read_image(pixels))
    demo = builder_of(masks, store=store, variant="demo")(read_image(pixels))
    assert not np.allclose(paper.importance, demo.importance)


def test_wide_images_work_at_800_px() -> None:
    wide = read_image(np.zeros((300, 1600, 3), np.uint8))
    assert working_picture(wide).size == (150, 800)
    tall = read_image(np.zeros((1600, 300, 3), np.uint8))
    assert working_picture(tall) is tall


def test_crops_are_square_but_for_the_border() -> None:
    pixels, _ = scene()
    slivers = np.zeros((2, 60, 80), bool)
    slivers[0, 20:41, 40] = True  # a stick in the middle
    slivers[1, :, 0] = True  # the left edge
    seen: list[tuple[int, ...]] = []
    builder = builder_of(slivers)
    encode = builder.encoder.encode
    builder.encoder.encode = lambda crops: (seen.extend(c.shape for c in crops), encode(crops))[1]  # type: ignore
    builder(read_image(pixels))
    assert abs(seen[0][0] - seen[0][1]) <= 1
    assert 21 < seen[0][0] < 45
    assert seen[1][0] == 60
    assert seen[2] == (60, 80, 3)  # the whole image comes last


@pytest.mark.parametrize(
    ("choice", "value", "words"),
    [("masks", "random", "grid or adaptive"), ("relations", "psychic", "spatial or ram")],
)
def test_choices_that_do_not_exist_are_refused(choice: str, value: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        GraphBuilder(Runtime(profile("lite", **{choice: value})))


def test_the_relation_head_must_be_named() -> None:
    with pytest.raises(WeightsMissingError, match=r"ram_epoch12\.pth comes by hand .*--relations-weights FILE"):
        GraphBuilder(Runtime(profile("lite", relations="ram")))
