import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.errors import UsageError
from semetric.lab.transformations import deform
from semetric.lab.transformations.deformation import MIN_AREA, control_field, source_positions

rng = np.random.default_rng


def ramps(h: int, w: int) -> np.ndarray:
    """A photo whose red is its row and whose green is its column, so that it tells where pixels come from."""
    image = np.zeros((h, w, 3), np.uint8)
    image[..., 0], image[..., 1] = np.mgrid[:h, :w]
    return image


def areas(field: np.ndarray) -> np.ndarray:
    """Of all triangles, relative to the regular ones, from their corners."""
    rows, columns = field.shape[:2]
    corner = np.stack(np.mgrid[:rows, :columns], -1) + field * [rows - 1, columns - 1]
    here, below, right, across = corner[:-1, :-1], corner[1:, :-1], corner[:-1, 1:], corner[1:, 1:]

    def area(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        u, v = b - a, c - a
        return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]

    return np.stack([area(here, across, right), area(here, below, across)])


@pytest.mark.parametrize("mesh", [(2, 2), (4, 4), (3, 7), (12, 12)])
def test_no_mesh_folds_at_any_strength(mesh: tuple[int, int]) -> None:
    for seed in range(60):
        field = control_field(*mesh, rng(seed))
        for strength in np.linspace(0, 0.3 / (max(mesh) - 1), 7):
            assert areas(strength * field).min() >= MIN_AREA - 1e-9


def test_the_unregulated_mesh_would_fold() -> None:
    """Without drawing again, the test above would fail."""
    folded = 0
    for seed in range(60):
        field = rng(seed).normal(size=(4, 4, 2))
        field[[0, -1], :, 0] = field[:, [0, -1], 1] = 0
        folded += areas(0.1 * field).min() < MIN_AREA
    assert folded > 5


def test_displacements_have_the_deviation_that_is_documented() -> None:
    inner = np.stack([control_field(4, 4, rng(seed))[1:-1, 1:-1] for seed in range(2000)])
    assert inner.std() == pytest.approx(0.92, abs=0.02)  # 16,000 values: standard error 0.005
    assert abs(inner.mean()) < 0.03


@given(seed=st.integers(0, 999), strength=st.floats(0, 0.1), h=st.integers(1, 40), w=st.integers(1, 40))
@settings(deadline=None, max_examples=40)
def test_the_frame_maps_onto_itself(seed: int, strength: float, h: int, w: int) -> None:
    y, x = source_positions(strength * control_field(4, 4, rng(seed)), (h, w))
    e = 1e-9  # sums of a few products below 40
    assert y.min() >= -e
    assert y.max() <= h - 1 + e
    assert x.min() >= -e
    assert x.max() <= w - 1 + e
    assert np.allclose(y[0], 0)
    assert np.allclose(y[-1], h - 1)
    assert np.allclose(x[:, 0], 0)
    assert np.allclose(x[:, -1], w - 1)


def test_control_points_go_where_the_field_says_and_triangles_are_affine() -> None:
    field = 0.08 * control_field(4, 4, rng(1))
    y, x = source_positions(field, (31, 46))  # control points every 10 and 15 px
    assert np.allclose(y[::10, ::15], np.arange(4)[:, None] * 10 + field[..., 0] * 30)
    assert np.allclose(x[::10, ::15], np.arange(4)[None] * 15 + field[..., 1] * 45)
    for along in (y, x):
        assert np.allclose(np.diff(along[0, :15], n=2), 0, atol=1e-9)  # straight along a side
    inside = y[1:8, 12:15]  # within the first cell's upper triangle
    assert np.allclose(np.diff(inside, n=2, axis=0), 0, atol=1e-9)
    assert np.allclose(np.diff(inside, n=2, axis=1), 0, atol=1e-9)


def test_pixels_come_from_where_the_positions_say() -> None:
    image = ramps(101, 121)
    found = deform(image, 0.05, rng(4)).astype(float)
    y, x = source_positions(0.05 * control_field(4, 4, rng(4)), (101, 121))
    # A spline follows a ramp; near the border its mirrored end bends it by a fraction of a level.
    assert np.abs(found[5:-5, 5:-5, 0] - y[5:-5, 5:-5]).max() <= 0.75
    assert np.abs(found[5:-5, 5:-5, 1] - x[5:-5, 5:-5]).max() <= 0.75


def test_equal_generators_give_one_field_scaled() -> None:
    (y1, x1), (y4, x4) = (source_positions(s * control_field(4, 4, rng(2)), (50, 60)) for s in (0.02, 0.08))
    y, x = np.mgrid[:50, :60]
    assert np.allclose(4 * (y1 - y), y4 - y)
    assert np.allclose(4 * (x1 - x), x4 - x)
    image = rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    assert (deform(image, 0.05, rng(2)) == deform(image, 0.05, rng(2))).all()
    assert (deform(image, 0.05, rng(2)) != deform(image, 0.05, rng(3))).any()


def test_a_flat_photo_stays_flat() -> None:
    flat = np.full((40, 30, 3), 77, np.uint8)
    assert (deform(flat, 0.1, rng(0)) == 77).all()


def test_bad_meshes_and_strengths() -> None:
    image = ramps(20, 20)
    with pytest.raises(UsageError, match="at least 2 control points"):
        deform(image, 0.01, rng(0), rows=1)
    with pytest.raises(UsageError, match=r"between 0 and 0\.03; found 0\.05"):
        deform(image, 0.05, rng(0), rows=11, columns=3)
    assert deform(image, 0.2, rng(0), rows=2, columns=2).shape == image.shape
