from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from semetric.errors import UsageError
from semetric.scene.importance import ImportanceSettings, mask_saliency, object_importance, spectral_residual

cv2 = pytest.importorskip("cv2")


def opencv(pixels: np.ndarray) -> np.ndarray:
    ok, saliency = cv2.saliency.StaticSaliencySpectralResidual_create().computeSaliency(pixels[..., ::-1].copy())
    assert ok
    return saliency


def noise(h: int, w: int) -> np.ndarray:
    return np.random.default_rng(h * w).integers(0, 256, (h, w, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    "pixels",
    [
        data.astronaut(),
        data.chelsea(),
        data.coffee()[:, :333],
        noise(37, 901),
        noise(20, 30),
        noise(64, 64),
        noise(1, 1),
        noise(2, 700),
        np.full((50, 60, 3), 128, np.uint8),
        np.zeros((50, 60, 3), np.uint8),
    ],
    ids=lambda p: "x".join(map(str, p.shape[:2])),
)
def test_equals_opencv(pixels):
    found = spectral_residual(pixels)
    assert found.shape == pixels.shape[:2]
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    # OpenCV's atan2 is a polynomial good to 2e-4 radians, which moves the map by up to 6e-5 on these
    np.testing.assert_allclose(found, opencv(pixels), atol=1e-4, rtol=0)


def test_bad_pixels():
    for bad in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(UsageError, match="uint8"):
            spectral_residual(bad)


def two_masks() -> tuple[np.ndarray, np.ndarray]:
    saliency = np.zeros((4, 6))
    saliency[0, 0], saliency[3, 5], saliency[3, 4] = 1.0, 0.5, 0.25
    masks = np.zeros((3, 4, 6), bool)
    masks[0, :2] = True
    masks[1, 2:] = True
    masks[2] = True
    return saliency, masks


def test_mask_saliency():
    saliency, masks = two_masks()
    np.testing.assert_allclose(mask_saliency(saliency, masks), [1, 0.75, 1.75], atol=1e-15)
    assert mask_saliency(saliency, masks[:0]).shape == (0,)
    with pytest.raises(UsageError, match="masks"):
        mask_saliency(saliency, masks[:, :3])


NONE = np.zeros((0, 2), np.int64), np.zeros(0)


def test_paper_importance():
    saliency = np.array([1, 0.75, 1.75])
    expected = saliency ** (1 / 2.25)
    paper = ImportanceSettings.PAPER
    np.testing.assert_allclose(object_importance(saliency, *NONE, paper), expected / expected.sum(), atol=1e-12)
    assert object_importance(saliency[:1], *NONE, paper).tolist() == [1.0]
    assert object_importance(saliency[:0], *NONE, paper).shape == (0,)
    np.testing.assert_allclose(object_importance(0 * saliency, *NONE, paper), 1 / 3)


def test_demo_importance():
    saliency = np.array([1, 0.75, 1.75])
    relations = np.array([[0, 1], [2, 1]]), np.array([0.9, 0.3])
    demo = ImportanceSettings.DEMO
    a = saliency ** (1 / 2.5)
    a /= a.sum()
    b = np.array(
        [
            0.9 * a[0] / (a[0] + a[1]),
            0.9 * a[1] / (a[0] + a[1]) + 0.3 * a[1] / (a[1] + a[2]),
            0.3 * a[2] / (a[1] + a[2]),
        ]
    ) ** (1 / 3)
    expected = 0.8 * a + 0.2 * b / b.sum()
    np.testing.assert_allclose(object_importance(saliency, *relations, demo), expected / expected.sum(), atol=1e-12)
    np.testing.assert_allclose(object_importance(saliency, *NONE, demo), a, atol=1e-12)
    assert object_importance(saliency[:1], *NONE, demo).tolist() == [1.0]
    assert object_importance(saliency[:0], *NONE, demo).shape == (0,)
    assert np.isfinite(object_importance(0 * saliency, *relations, demo)).all()
