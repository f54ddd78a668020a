import builtins
from typing import Any

import numpy as np
import pytest

from semetric.errors import MissingExtraError, UsageError
from semetric.lab.edits.compositing import blend, feathered, paste, remove, resized, turned


def test_removal_takes_the_object_away_and_leaves_the_rest() -> None:
    image = np.full((80, 120, 3), (30, 160, 60), np.uint8)
    image[20:50, 40:70] = (250, 20, 20)
    masks = np.zeros((1, 80, 120), bool)
    masks[0, 20:50, 40:70] = True
    assert (remove(image, masks) == (30, 160, 60)).all()
    assert (remove(image, masks[:0]) == image).all()
    with pytest.raises(UsageError, match="the photo's size"):
        remove(image, masks[:, :40])


def test_without_opencv_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "cv2":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'semetric\[lab\]'"):
        remove(np.zeros((8, 8, 3), np.uint8), np.ones((1, 8, 8), bool))


def test_the_edge_fades_inside_the_mask() -> None:
    mask = np.zeros((9, 9), bool)
    mask[1:8, 1:8] = True
    found = feathered(mask, 2)
    assert (found[~mask] == 0).all()
    assert found[4, :5].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    assert (feathered(mask, 0) == mask).all()
    assert feathered(np.ones((3, 3), bool), 2)[1, 1] == pytest.approx(2 / 3)  # the frame is an edge too


def test_blending() -> None:
    image, other = np.full((1, 3, 3), 10, np.uint8), np.full((1, 3, 3), 110.0)
    assert blend(image, other, np.array([[0, 0.25, 1]]))[0, :, 0].tolist() == [10, 35, 110]


@pytest.mark.parametrize(("top", "left"), [(2, 3), (-2, -1), (6, 8), (-9, 0), (0, 40)])
def test_pasting_cuts_off_at_the_frame(top: int, left: int) -> None:
    canvas, patch = np.zeros((8, 10, 3), np.uint8), np.full((4, 5, 3), 200, np.uint8)
    wide = np.zeros((48, 70, 3), np.uint8)
    wide[20 + top : 24 + top, 20 + left : 25 + left] = 200
    paste(canvas, patch, np.ones((4, 5), bool), top, left, feather=0)
    assert (canvas == wide[20:28, 20:30]).all()


def test_resizing_keeps_the_share_of_the_mask() -> None:
    y, x = np.mgrid[:60, :80]
    mask = (y - 30) ** 2 / 25**2 + (x - 40) ** 2 / 35**2 < 1
    pixels, shape = resized(np.full((60, 80, 3), 9, np.uint8), mask, (30, 40))
    assert pixels.shape == (30, 40, 3)
    assert (pixels == 9).all()
    assert shape.mean() == pytest.approx(mask.mean(), abs=0.02)


def test_turning_brings_in_nothing_from_outside() -> None:
    mask = np.ones((20, 30), bool)
    for degrees in (10.0, 45.0, -90.0, 137.0):
        pixels, shape = turned(np.full((20, 30, 3), 200, np.uint8), mask, degrees)
        assert shape.sum() == pytest.approx(600, abs=30)  # its outline is 100 px long and jagged
        assert (pixels[shape] == 200).all()
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    pixels, shape = turned(image, mask, 90.0)
    rows, columns = np.flatnonzero(shape.any(1)), np.flatnonzero(shape.any(0))
    assert (pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] == np.rot90(image)).all()
