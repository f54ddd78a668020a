"""Piecewise affine deformation: a mesh of control points moved at random, affine inside each triangle.

SAMScore (arXiv 2305.15367) measures with it whether a metric follows structure: |Pearson r| between the score
and the strength of the deformation. Here the mesh is regular, each cell cut along one diagonal, and every
control point moves by independent Gaussians, as imgaug's PiecewiseAffine does it.

Three choices differ. Points on the border slide along it and corners stay, so that the photo fills its frame
and no foreign shape enters. The mesh never folds: points whose triangle would shrink below a tenth of its area, at
any strength up to the greatest, are drawn again. And whether they are depends on the field alone, so that equal
generators give the same field at every strength, scaled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.lab.systems import Pixels
from semetric.lab.transformations.base import check_strength, rounded, transformation

__all__ = ["MAX_IN_CELLS", "control_field", "deform", "source_positions"]

Field = NDArray[np.float64]

MAX_IN_CELLS = 0.3  # the greatest standard deviation, in cells of the mesh: beyond it most fields fold
MIN_AREA = 0.1  # of a triangle, relative to the regular one
ROUNDS = 1000  # of drawing points again; three are usual


@transformation(
    "deformation",
    "piecewise affine deformation",
    unit="standard deviation, share of the side",
    range=(0.0, 0.1),
    strengths=(0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1),
)
def deform(image: Pixels, strength: float, rng: np.random.Generator, *, rows: int = 4, columns: int = 4) -> Pixels:
    """Deforms the photo (cubic spline sampling).

    Args:
        image: (H, W, 3).
        strength: standard deviation of each control point's displacement, along each axis as a share of the
            distance between the first and the last pixel; 0..0.3 / (points a side − 1), 0.1 by default.
        rng: draws the field; see `control_field`.
        rows: control points from top to bottom, 2 or more.
        columns: from left to right.

    Raises:
        UsageError: a strength or a mesh outside of that.
    """
    if type(rows) is not int or type(columns) is not int or min(rows, columns) < 2:
        raise UsageError(f"Expected at least 2 control points a side, a whole number; found {rows} × {columns}.")
    check_strength("a displacement as a share of the side", strength, 0, _greatest(rows, columns))
    field = strength * control_field(rows, columns, rng)
    if not field.any():
        return image.copy()
    from scipy import ndimage

    where = source_positions(field, image.shape[:2])
    values = image.astype(np.float64)
    channels = [ndimage.map_coordinates(values[..., c], where, order=3, mode="nearest") for c in range(3)]
    return rounded(np.stack(channels, -1))


def control_field(rows: int, columns: int, rng: np.random.Generator) -> Field:
    """Displacements of the control points at strength 1.

    Drawing again favours small displacements: on the 4 × 4 mesh the standard deviation comes out as 0.92 at
    inner points and 0.95 on the border.

    Args:
        rows: control points from top to bottom.
        columns: from left to right.
        rng: draws them.

    Returns:
        (rows, columns, 2), down and right, as shares of the sides; 0 across a border.
    """
    limit = _greatest(rows, columns)
    field = _draw(rows, columns, rng)
    for _ in range(ROUNDS):
        bad = _too_small(field, limit)
        if not bad.any():
            return field
        field = np.where(bad[..., None], _draw(rows, columns, rng), field)
    raise UsageError(f"Expected a mesh that unfolds; found none for {rows} × {columns} points. Take fewer.")


def source_positions(field: Field, size: tuple[int, int]) -> Field:
    """Where each pixel of the result comes from.

    Args:
        field: (rows, columns, 2) displacements, down and right, as shares of the sides.
        size: (H, W).

    Returns:
        (2, H, W): rows and columns in pixels of the photo.
    """
    cells = np.array(field.shape[:2]) - 1
    at = [np.linspace(0.0, k, n) if n > 1 else np.zeros(1) for k, n in zip(cells, size, strict=True)]
    cell = [np.minimum(a.astype(int), k - 1) for a, k in zip(at, cells, strict=True)]
    y, x = (a - c for a, c in zip(at, cell, strict=True))  # inside the cell, 0..1
    y, x = y[:, None, None], x[None, :, None]
    here, below, right, across = (
        field[(cell[0] + dy)[:, None], (cell[1] + dx)[None]] for dy, dx in ((0, 0), (1, 0), (0, 1), (1, 1))
    )
    # The diagonal runs from `here` to `across`; x ≥ y is the triangle above it.
    upper = here + x * (right - here) + y * (across - right)
    lower = here + y * (below - here) + x * (across - below)
    moved = np.where(x >= y, upper, lower)  # (H, W, 2)
    steps = np.array(size) - 1.0
    regular = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float64) for n in size), indexing="ij"))
    where: Field = regular + moved.transpose(2, 0, 1) * steps[:, None, None]
    return where


def _greatest(rows: int, columns: int) -> float:
    return round(MAX_IN_CELLS / (max(rows, columns) - 1), 9)  # 0.1, not 0.09999999999999999


def _draw(rows: int, columns: int, rng: np.random.Generator) -> Field:
    field = rng.normal(size=(rows, columns, 2))
    field[[0, -1], :, 0] = 0.0
    field[:, [0, -1], 1] = 0.0
    return field


def _too_small(field: Field, limit: float) -> NDArray[np.bool_]:
    """(rows, columns): the points of triangles that fall below the least area at a strength up to the limit."""
    rows, columns = field.shape[:2]
    cells = np.array([rows - 1, columns - 1])
    down, right = np.diff(field, axis=0) * cells[0], np.diff(field, axis=1) * cells[1]  # in cells
    bad = np.zeros((rows, columns), bool)
    # Each triangle has a vertical and a horizontal side: above the diagonal right and top, below it left and bottom.
    for vertical, horizontal, corners in (
        (down[:, 1:], right[:-1], ((0, 0), (0, 1), (1, 1))),
        (down[:, :-1], right[1:], ((0, 0), (1, 0), (1, 1))),
    ):
        # Relative area 1 + s·a + s²·b at strength s; least at an end or at the vertex of the parabola.
        a = vertical[..., 0] + horizontal[..., 1]
        b = vertical[..., 0] * horizontal[..., 1] - vertical[..., 1] * horizontal[..., 0]
        vertex = np.divide(-a, 2 * b, out=np.zeros_like(a), where=b > 0)
        s = np.where((vertex > 0) & (vertex < limit), vertex, limit)
        small = 1 + s * a + s * s * b < MIN_AREA
        for dy, dx in corners:
            bad[dy : dy + rows - 1, dx : dx + columns - 1] |= small
    return bad
