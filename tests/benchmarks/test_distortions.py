import numpy as np
import pytest

from benchmarks import distortions as d
from semetric.lab.transformations import TRANSFORMATIONS


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    from skimage import data

    return data.coffee()[::2, ::2].copy()  # 200 × 300


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a.astype(float) - b) ** 2).mean())


def test_damage_rises_level_by_level_and_repeats(photo: np.ndarray) -> None:
    before = photo.copy()
    masks = np.zeros((2, *photo.shape[:2]), bool)
    masks[0, 20:60, 30:90] = True
    masks[1, 100:130, 150:250] = True
    first, second = (d.severities("coffee", photo, masks) for _ in range(2))
    assert {k: len(v) for k, v in first.items()} == {"jpeg": 5, "blur": 4, "noise": 4, "removal": 2}
    for name, levels in first.items():
        errors = [error(photo, image) for _, image in levels]
        assert errors == sorted(errors)
        assert errors[0] > 0
        assert len(set(errors)) == len(errors)
        for (level, image), (again, same) in zip(levels, second[name], strict=True):
            assert level == again
            assert image.dtype == np.uint8
            assert image.shape == photo.shape
            assert (image == same).all()
    assert (photo == before).all()


def test_noise_depends_on_name_and_seed(photo: np.ndarray) -> None:
    noisy = d.noise(photo, 20.0, d.generator("a"))
    assert (noisy == d.noise(photo, 20.0, d.generator("a"))).all()
    assert (noisy != d.noise(photo, 20.0, d.generator("b"))).any()
    assert (noisy != d.noise(photo, 20.0, d.generator("a", 1))).any()


def test_the_five_are_the_labs_at_the_amounts_of_figure_13(photo: np.ndarray) -> None:
    before = photo.copy()
    lab = {each.label: each for each in TRANSFORMATIONS.values() if each.figure_13 is not None}
    assert list(d.TRANSFORMATIONS) == list(lab)
    for label, transform in d.TRANSFORMATIONS.items():
        found = transform(photo)
        assert (found == lab[label](photo, lab[label].figure_13, d.generator("a"))).all()
        assert found.shape == photo.shape
        assert found.dtype == np.uint8
        assert error(found, photo) > 100  # PSNR below 28 dB: each is plainly seen
    assert (photo == before).all()


def test_slight_changes_are_hardly_seen(photo: np.ndarray) -> None:
    before = photo.copy()
    found = {label: change(photo) for label, change in d.SLIGHT.items()}
    for pixels in found.values():
        assert pixels.shape == photo.shape
        assert pixels.dtype == np.uint8
        assert 0 < error(pixels, photo) < 650  # PSNR above 20 dB
    assert (photo == before).all()
    assert found["gamma", 0.8].mean() > photo.mean() > found["gamma", 1.25].mean()
    assert found["contrast", 0.15].std() > photo.std() > found["contrast", -0.15].std()
    assert found["sharpening", ""].std() > photo.std() > found["downscaling", 2.0].std()


def test_gamma_is_a_power_of_the_share_of_255() -> None:
    values = np.full((1, 1, 3), (0, 51, 255), np.uint8)
    assert d.gamma(values, 2.0).tolist() == [[[0, 10, 255]]]  # 255 · 0.2² = 10.2


def test_every_harmless_change_is_made_by_the_benchmark(photo: np.ndarray) -> None:
    levels = {(kind, level) for kind, steps in d.severities("coffee", photo).items() for level, _ in steps}
    assert set(d.HARMLESS) <= levels | set(d.SLIGHT) | {(kind, "") for kind in d.TRANSFORMATIONS}
    assert len(set(d.HARMLESS)) == len(d.HARMLESS) == 15
