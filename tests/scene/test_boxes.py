import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from semetric.scene.boxes import bounds


@given(masks=arrays(bool, st.tuples(st.integers(0, 4), st.integers(1, 7), st.integers(1, 7))))
def test_bounds_are_the_tightest(masks: np.ndarray) -> None:
    for mask, (x0, y0, x1, y1) in zip(masks, bounds(masks).tolist(), strict=True):
        if not mask.any():
            assert (x0, y0, x1, y1) == (0, 0, 0, 0)
            continue
        inside = mask[y0:y1, x0:x1]
        assert inside.sum() == mask.sum()
        for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
            assert edge.any()
