"""SeSS as a metric. Its parts are tested in tests/scene; here, how they come together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from semetric.errors import UsageError
from semetric.metrics.sess import SeSS, cosine
from semetric.models.runtime import Runtime
from semetric.scene.graph import SceneGraph
from semetric.scene.matching import MatchingSettings
from semetric.scene.rle import encode
from semetric.scoring import runtime


def graph(seed: int, n: int = 4) -> SceneGraph:
    rng = np.random.default_rng(seed)
    masks = np.zeros((n, 20, 20), bool)
    for i in range(n):
        masks[i, i : i + 5, 2 * i : 2 * i + 4] = True
    importance = rng.random(n)
    return SceneGraph(
        size=(20, 20),
        rle=encode(masks),
        boxes=np.zeros((n, 4), np.int64),
        centres=rng.random((n, 2)),
        areas=masks.mean((1, 2)),
        iou=np.ones(n, np.float32),
        stability=np.ones(n, np.float32),
        classes=np.full(n, -1),
        class_probabilities=np.zeros(n, np.float32),
        features=rng.random((n, 8)).astype(np.float32),
        image_feature=rng.random(8).astype(np.float32),
        cell_features=np.zeros((1, 8), np.float32),
        held=importance[:, None] / max(importance.sum(), 1),
        importance=importance / max(importance.sum(), 1),
        triplets=np.array([[0, 1, 4], [1, 2, 3]]) if n > 2 else np.zeros((0, 3), np.int64),
        probabilities=np.ones(2 if n > 2 else 0),
    )


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A SeSS whose graphs are made from the image's first pixel."""

    def make(variant: str = "paper", **options: Any) -> SeSS:
        metric = SeSS(Runtime("lite", device="cpu"), variant=variant, **options)  # type: ignore[arg-type]
        metric.builder = _Builder()  # type: ignore[assignment]
        return metric

    return make


class _Builder:  # what GraphBuilder shows of itself
    def __init__(self) -> None:
        self.weights = {"sam": "fake@0"}
        self.comparison_weights = {"predicates": "fake@1"}
        self.predicate_similarity = np.eye(56)

    def __call__(self, picture: Any) -> SceneGraph:
        seed = int(picture.to_uint8()[0, 0, 0])
        return graph(seed, n=0 if seed == 0 else 4)


def image(seed: int, size: tuple[int, int] = (6, 6)) -> np.ndarray:
    return np.full((*size, 3), seed, np.uint8)


@pytest.mark.parametrize("variant", ["graded", "paper", "demo"])
def test_identity_scores_one_and_strangers_less(scored: Any, variant: str) -> None:
    metric = scored(variant)
    same, other = metric(image(1), image(1)), metric(image(1), image(2))
    assert same.value == pytest.approx(1, abs=1e-12)
    assert same.value <= 1
    assert 0 <= other.value < same.value


def test_the_paper_variant_is_symmetric(scored: Any) -> None:
    metric = scored()
    assert metric(image(1), image(2)).value == pytest.approx(metric(image(2), image(1)).value, abs=1e-12)


def test_without_objects_the_score_is_the_whole_images_cosine(scored: Any) -> None:
    metric = scored()
    found = metric(image(0), image(0))
    assert found.value == pytest.approx(1)
    assert found.details["objects"] == [0, 0]


def test_sizes_may_differ_and_contributions_add_up(scored: Any) -> None:
    found = scored()(image(1), image(2, (9, 5)))
    matching = found.artefacts["matching"]
    assert matching.contributions.sum() + matching.image_contribution == pytest.approx(found.value, abs=1e-12)
    assert found.weights == {"sam": "fake@0", "predicates": "fake@1"}


def test_hyper_parameters_are_exchangeable(scored: Any) -> None:
    usual = scored()(image(1), image(2)).value
    whole = scored(matching=MatchingSettings(gamma=1.0))(image(1), image(2))
    assert whole.value == pytest.approx(whole.details["image_similarity"])
    assert whole.value != pytest.approx(usual)


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(UsageError, match="paper, demo"):
        SeSS(Runtime("lite"), variant="improved")  # type: ignore[arg-type]


def test_the_cosine_of_nothing_is_zero() -> None:
    assert cosine(np.zeros(3, np.float32), np.ones(3, np.float32)) == 0


@pytest.mark.weights
def test_on_a_photo_it_falls_with_damage_and_forgives_a_mirror(tmp_path: Any) -> None:
    from skimage import data

    from semetric.cache import Store

    photo = Image.fromarray(data.coffee()).resize((240, 160))
    poor = tmp_path / "poor.jpg"
    photo.save(poor, quality=20)
    used = runtime("lite", device="cpu", store=Store(tmp_path / "cache"))
    metric = SeSS(used)
    same = metric(photo, photo).value
    mirrored = metric(photo, ImageOps.mirror(photo)).value
    damaged = metric(photo, poor).value
    stranger = metric(photo, Image.fromarray(data.chelsea()).resize((240, 160))).value
    assert same == pytest.approx(1, abs=1e-9)
    assert same > mirrored > damaged > stranger
    assert used.store is not None
    again = SeSS(runtime("lite", device="cpu", store=Store(tmp_path / "cache")))
    assert again(photo, poor).value == damaged
    assert not again.runtime._networks  # nothing was loaded the second time


@pytest.mark.weights
@pytest.mark.slow
def test_sess_with_clip_for_objects_and_predicates(tiny_clip: Path) -> None:
    from skimage import data

    import semetric

    metric = semetric.create(
        "sess", variant="paper", objects=str(tiny_clip), predicates=str(tiny_clip), device="cpu", store=None
    )
    photo = data.coffee()[::2, ::2]
    score = metric(photo, np.ascontiguousarray(photo[:, ::-1]))
    assert score.weights["objects"] == score.weights["predicates"]
    assert score.weights["objects"].startswith("tiny_clip@")
    assert 0 < score.value <= 1
    assert metric(photo, photo).value == pytest.approx(1.0, abs=1e-6)  # float32 features
