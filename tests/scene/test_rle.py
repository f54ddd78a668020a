import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from semetric.scene.rle import decode, encode, to_coco

MASKS = arrays(bool, st.tuples(st.integers(0, 4), st.integers(1, 9), st.integers(1, 9)))


@given(masks=MASKS)
@settings(deadline=None)
def test_there_and_back(masks: np.ndarray) -> None:
    counts, ends = encode(masks)
    assert counts.dtype == ends.dtype == np.uint32
    assert len(ends) == len(masks)
    assert np.array_equal(decode((counts, ends), masks.shape[1:]), masks)


@given(masks=MASKS)
@settings(deadline=None)
def test_the_text_is_cocos(masks: np.ndarray) -> None:
    size = masks.shape[1:]
    found = to_coco(encode(masks), size)
    assert len(found) == len(masks)
    for mask, one in zip(masks, found, strict=True):
        expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert one["size"] == list(size) == expected["size"]
        assert one["counts"] == expected["counts"].decode("ascii")


def test_runs_go_down_the_columns_and_begin_outside() -> None:
    mask = np.array([[[True, False], [False, True]]])
    counts, ends = encode(mask)
    assert counts.tolist() == [0, 1, 2, 1]
    assert ends.tolist() == [4]
    both = np.concatenate([np.zeros((1, 2, 2), bool), mask])
    counts, ends = encode(both)
    assert counts.tolist() == [4, 0, 1, 2, 1]
    assert ends.tolist() == [1, 5]


def test_no_masks() -> None:
    runs = encode(np.zeros((0, 3, 4), bool))
    assert decode(runs, (3, 4)).shape == (0, 3, 4)
    assert to_coco(runs, (3, 4)) == []


def test_a_large_mask_takes_few_bytes() -> None:
    y, x = np.mgrid[:600, :800]
    masks = ((y - 300) ** 2 + (x - 400) ** 2 < 200**2)[None]
    counts, _ = encode(masks)
    assert counts.nbytes < masks.nbytes / 100
    assert np.array_equal(decode(encode(masks), (600, 800)), masks)
