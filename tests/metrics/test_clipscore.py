from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from semetric.errors import ImageError, UsageError, WeightsMissingError
from semetric.metrics.clipscore import CLIPScore, clipscore, clipscore_text
from semetric.metrics.registry import METRICS
from semetric.models.runtime import Runtime
from semetric.profiles import profile


def runtime(place: Path) -> Runtime:
    return Runtime(profile("lite", clip=str(place)), device="cpu")


def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = ((40, 52, 3), (61, 33, 3), (30, 30, 3))
    return [np.kron(rng.integers(0, 256, (s[0] // 6 + 1, s[1] // 6 + 1, 3)), np.ones((6, 6, 1))).astype(np.uint8)[
        : s[0], : s[1]] for s in sizes]  # fmt: skip


def theirs(place: Path, pictures: list[np.ndarray], texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Cosines between all images, and between images and texts, as transformers' documentation computes them."""
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    from semetric.models.hub import quiet

    with quiet(), torch.inference_mode():
        model = CLIPModel.from_pretrained(place).eval()
        pixels = CLIPImageProcessorPil.from_pretrained(place)(pictures, return_tensors="pt")
        words = CLIPTokenizer.from_pretrained(place)(texts, padding=True, return_tensors="pt")
        out = model(**pixels, **words)
    i, t = out.image_embeds.double(), out.text_embeds.double()  # of length 1
    return (i @ i.T).numpy(), (i @ t.T).numpy()


def test_it_is_the_cosine_of_transformers_own_embeddings(tiny_clip: Path) -> None:
    expected, _ = theirs(tiny_clip, images(), ["cat"])
    metric = METRICS["clipscore"](runtime(tiny_clip))
    for a in range(3):
        for b in range(3):
            score = metric(images()[a], images()[b])
            assert score.value == pytest.approx(expected[a, b], abs=1e-6)  # float32 embeddings
    assert score.details == {"clip": "tiny_clip"}
    assert score.weights["clip"].startswith("tiny_clip@")
    assert score.higher_is_better
    assert np.ptp(expected) > 1e-3  # the network tells the images apart


def test_identity_symmetry_and_independence_of_the_batch(tiny_clip: Path) -> None:
    metric = CLIPScore(runtime(tiny_clip))
    a, b, c = images()
    assert metric(a, a).value == pytest.approx(1.0, abs=1e-12)  # one embedding against itself, in float64
    assert metric(a, a).value <= 1.0
    assert metric(a, b).value == metric(b, a).value
    alone = [CLIPScore(runtime(tiny_clip))(x, y).value for x, y in ((a, b), (b, c), (c, a))]
    assert [s.value for s in metric.batch([a, b, c], [b, c, a])] == alone
    assert [s.value for s in metric.batch([c, b, a], [a, c, b])] == alone[::-1]


def test_borders_of_an_image_are_not_seen(tiny_clip: Path) -> None:
    """CLIP's preparation keeps the central square: what docs/metrics/clipscore.md warns of."""
    metric = CLIPScore(runtime(tiny_clip))
    wide = np.kron(np.random.default_rng(0).integers(0, 256, (6, 20, 3)), np.ones((5, 5, 1))).astype(
        np.uint8
    )  # 30 × 100
    assert wide.shape == (30, 100, 3)
    changed = wide.copy()
    changed[:, :34] = 0
    assert metric(wide, changed).value == pytest.approx(1.0, abs=1e-12)
    changed[:, :40] = 0
    assert metric(wide, changed).value < 0.9999


def test_values_are_the_scores_and_have_gradients(tiny_clip: Path) -> None:
    metric = CLIPScore(runtime(tiny_clip))
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (2, 2, 30, 30, 3), dtype=np.uint8)  # of the network's size: no rounding
    x, y = (torch.from_numpy(p).permute(0, 3, 1, 2).float() / 255 for p in pixels)
    x.requires_grad_()
    y.requires_grad_()
    values = metric.values(x, y)
    expected = [s.value for s in metric.batch(list(pixels[0]), list(pixels[1]))]
    np.testing.assert_allclose(values.detach().numpy(), expected, atol=1e-6)  # float32
    values.sum().backward()
    for t in (x, y):
        assert t.grad is not None
        assert torch.isfinite(t.grad).all()
        assert (t.grad.abs().amax((1, 2, 3)) > 0).all()
    np.testing.assert_allclose(metric.values(x[1:], y[1:]).detach().numpy(), expected[1:], atol=1e-6)


def test_gradcheck_through_the_whole_network(tiny_clip: Path) -> None:
    metric = CLIPScore(runtime(tiny_clip))
    metric.clip.network.double()
    metric.clip._features = (  # type: ignore[method-assign]  # float64 all the way
        lambda x, network=None: metric.clip.network.get_image_features(pixel_values=x).pooler_output
    )
    generator = torch.manual_seed(0)
    x, y = (0.3 + 0.4 * torch.rand(1, 3, 36, 30, dtype=torch.float64, generator=generator) for _ in range(2))
    direction = torch.randn(1, 3, 36, 30, dtype=torch.float64, generator=generator)
    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: metric.values(x + t * direction, y), (t,), eps=1e-5)


def test_the_function_on_embeddings() -> None:
    generator = torch.manual_seed(0)
    x, y = (torch.randn(3, 5, dtype=torch.float64, generator=generator).requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(clipscore, (x, y))
    torch.testing.assert_close(clipscore(x, 2.5 * x), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(clipscore(x, -x), -torch.ones(3, dtype=torch.float64))
    with pytest.raises(ImageError, match=r"embeddings \(B, d\) twice"):
        clipscore(x, y[:2])


def test_text(tiny_clip: Path) -> None:
    texts = ["a cat", "on on on", "z"]
    _, expected = theirs(tiny_clip, images(), texts)
    used = runtime(tiny_clip)
    for i, image in enumerate(images()):
        for j, text in enumerate(texts):
            score = clipscore_text(image, text, used)
            assert score.value == pytest.approx(100 * max(expected[i, j], 0), abs=1e-4)  # 100 × 1e-6
            assert score.details["cosine"] == pytest.approx(expected[i, j], abs=1e-6)  # float32 embeddings
    assert (score.metric, score.higher_is_better, score.range) == ("clipscore_text", True, (0.0, 100.0))
    assert score.weights == CLIPScore(used).weights
    assert expected.min() < 0 < expected.max()  # both sides of the cut are met
    published = clipscore_text(images()[0], "cat", used, scale=2.5, prefix="a photo on ")
    assert published.details["text"] == "a photo on cat"
    assert published.value == pytest.approx(2.5 * max(published.details["cosine"], 0))
    assert published.range == (0.0, 2.5)


@pytest.mark.parametrize(("text", "scale"), [("", 100), (" \n", 100), ("cat", 0), ("cat", float("nan"))])
def test_text_needs_a_text_and_a_scale(text: str, scale: float, tiny_clip: Path) -> None:
    with pytest.raises(UsageError, match=r"clipscore_text expects a (text|scale)"):
        clipscore_text(images()[0], text, runtime(tiny_clip), scale=scale)


def test_lite_names_no_clip_and_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path))
    monkeypatch.delenv("SEMETRIC_WEIGHTS_DIR", raising=False)
    with pytest.raises(UsageError, match=r"semetric models fetch clip_vit_b_32.*--clip"):
        METRICS["clipscore"](Runtime("lite"))
    with pytest.raises(UsageError, match="clipscore_text expects a CLIP"):
        clipscore_text(images()[0], "cat", Runtime("lite"))
    with pytest.raises(WeightsMissingError, match="semetric models fetch clip_vit_b_32"):
        METRICS["clipscore"](Runtime("standard", device="cpu"))(images()[0], images()[1])
