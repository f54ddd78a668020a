import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import distortions as d
from semetric.errors import UsageError


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


def test_noise_has_the_deviation_asked_for_and_depends_on_name_and_seed() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = d.noise(grey, 20.0, d.generator("a"))
    # 120,000 samples: the deviation's standard error is 0.04; rounding adds 1/12 to the variance.
    assert noisy.std() == pytest.approx((20**2 + 1 / 12) ** 0.5, abs=0.2)
    assert (noisy == d.noise(grey, 20.0, d.generator("a"))).all()
    assert (noisy != d.noise(grey, 20.0, d.generator("b"))).any()
    assert (noisy != d.noise(grey, 20.0, d.generator("a", 1))).any()


@given(share=st.floats(0, 0.5), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_translation_shifts_left_and_fills_the_right(share: float, seed: int) -> None:
    image = np.random.default_rng(seed).integers(1, 256, (6, 40, 3), dtype=np.uint8)
    n = round(share * 40)
    kept, strip = np.split(d.translate(image, share), [40 - n], axis=1)
    assert (kept == image[:, n:]).all()
    assert (strip == 0).all()
    assert (d.translate(image, share, fill="wrap") == np.roll(image, -n, axis=1)).all()
    assert (d.translate(image, share, fill="edge")[:, 40 - n :] == image[:, -1:]).all()


def test_rotation_is_counter_clockwise_about_the_centre() -> None:
    image = np.zeros((101, 141, 3), np.uint8)
    image[48:53, 120:125] = 255  # right of the centre
    turned = d.rotate(image, 8.0)
    assert turned.shape == image.shape
    y, x = (np.mean(n) for n in np.nonzero(turned[..., 0] > 128))
    # 52 px from the centre at 8 degrees: up by 52 sin 8° = 7.2, in by 52 (1 − cos 8°) = 0.5.
    assert y == pytest.approx(50 - 7.2, abs=0.7)
    assert x == pytest.approx(122 - 0.5, abs=0.7)


def test_a_flat_photo_stays_flat_where_the_edge_fills(photo: np.ndarray) -> None:
    flat = np.full((50, 80, 3), 77, np.uint8)
    for fill in ("edge", "reflect", "wrap"):
        assert (d.rotate(flat, 8.0, fill=fill) == 77).all()
    assert (d.scale(flat) == 77).all()
    assert (d.rotate(photo, 8.0)[0, 0] == 0).all()


def test_mirroring_twice_gives_the_photo_back(photo: np.ndarray) -> None:
    assert (d.mirror(d.mirror(photo)) == photo).all()
    assert (d.mirror(photo)[:, 0] == photo[:, -1]).all()


def test_scaling_magnifies_the_middle() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[40:60, 40:60] = 255
    side = np.sqrt((d.scale(image, 0.1)[..., 0] > 128).sum())
    assert side == pytest.approx(20 / 0.8, abs=1)  # to whole pixels
    with pytest.raises(UsageError, match="leaves some of"):
        d.scale(image, 0.5)


def test_blue_filter() -> None:
    image = np.array([[[200, 100, 0]]], np.uint8)
    assert d.blue_filter(image).tolist() == [[[150, 75, 64]]]
    assert d.blue_filter(image, 1.0).tolist() == [[[0, 0, 255]]]


def test_every_transformation_keeps_size_and_input(photo: np.ndarray) -> None:
    before = photo.copy()
    assert list(d.TRANSFORMATIONS) == ["translation", "rotation", "reflection", "scaling", "colour filter"]
    for transform in d.TRANSFORMATIONS.values():
        found = transform(photo)
        assert found.shape == photo.shape
        assert found.dtype == np.uint8
        assert error(found, photo) > 100  # PSNR below 28 dB: each is plainly seen
        assert (transform(photo) == found).all()
    assert (photo == before).all()


def test_removal_takes_the_object_away_and_leaves_the_rest() -> None:
    image = np.full((80, 120, 3), (30, 160, 60), np.uint8)
    image[20:50, 40:70] = (250, 20, 20)
    masks = np.zeros((1, 80, 120), bool)
    masks[0, 20:50, 40:70] = True
    assert (d.remove(image, masks) == (30, 160, 60)).all()
    assert (d.remove(image, masks[:0]) == image).all()
    with pytest.raises(UsageError, match="the photo's size"):
        d.remove(image, masks[:, :40])


def test_removal_order_skips_background_specks_and_parts() -> None:
    masks = np.zeros((5, 100, 100), bool)
    masks[0] = True  # background
    masks[1, 10:40, 10:40] = True
    masks[2, 15:25, 15:25] = True  # a part of 1
    masks[3, 60:80, 60:90] = True
    masks[4, :3, :3] = True  # a speck
    assert d.removal_order(masks) == [1, 3]
    # Where the part matters more it goes first, and the whole still takes something away.
    assert d.removal_order(masks, [9, 1, 5, 3, 9]) == [2, 3, 1]
