import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.errors import ImageError, UsageError
from semetric.lab.systems import generator
from semetric.lab.transformations import TRANSFORMATIONS, Transformation, TransformationSystem

EVERY = pytest.mark.parametrize("each", TRANSFORMATIONS.values(), ids=TRANSFORMATIONS)
SIZES = ((1, 1), (1, 13), (13, 1), (40, 21), (24, 37))
rng = np.random.default_rng


def pixels(h: int, w: int, seed: int = 0) -> np.ndarray:
    return rng(seed).integers(0, 256, (h, w, 3), dtype=np.uint8)


def photo() -> np.ndarray:
    from skimage import data

    return data.coffee()[::4, ::4].copy()


@EVERY
@given(seed=st.integers(0, 999), h=st.integers(1, 24), w=st.integers(1, 24))
@settings(deadline=None, max_examples=12)
def test_strength_0_leaves_the_photo_as_it_is(each: Transformation, seed: int, h: int, w: int) -> None:
    image = pixels(h, w, seed)
    found = each(image, 0.0, rng(seed))
    assert (found == image).all()
    assert not np.shares_memory(found, image)


@EVERY
@pytest.mark.parametrize("size", SIZES)
def test_sizes_types_and_input_stay(each: Transformation, size: tuple[int, int]) -> None:
    image = pixels(*size)
    before = image.copy()
    for strength in each.strengths:
        try:
            found = each(image, strength, rng(0))
        except ImageError:
            assert each.name == "scaling"
            assert 2 * round(strength * max(size)) >= min(size)
            continue
        assert found.shape == image.shape
        assert found.dtype == np.uint8
        assert not np.shares_memory(found, image)
    assert (image == before).all()


@EVERY
def test_a_strength_outside_of_the_range_is_an_error(each: Transformation) -> None:
    image = pixels(12, 12)
    low, high = each.range
    for wrong in (math.nan, math.inf, -math.inf, low - 0.01, high + 0.01):
        with pytest.raises(UsageError, match=f"{each.name}.* between"):
            each(image, wrong, rng(0))
    for strength in (low, high):
        if each.name == "scaling" and strength == high:
            continue  # leaves nothing of any photo
        each(image, strength, rng(0))


@EVERY
def test_it_changes_photos_more_and_more(each: Transformation) -> None:
    image = photo()
    errors = [((each(image, s, rng(7)).astype(float) - image) ** 2).mean() for s in each.strengths]
    assert errors[0] > 0
    if each.name != "rotation":  # what is turned further may come to lie on its like
        assert errors == sorted(errors)


@EVERY
def test_chance_comes_from_the_generator_alone(each: Transformation) -> None:
    image, strength = photo(), each.strengths[-1]
    first = each(image, strength, rng(1))
    assert (first == each(image, strength, rng(1))).all()
    assert (first != each(image, strength, rng(2))).any() == each.random


@EVERY
def test_the_record_is_whole(each: Transformation) -> None:
    assert list(each.strengths) == sorted(set(each.strengths))
    assert each.range[0] <= each.strengths[0]
    assert each.strengths[-1] <= each.range[1]
    assert 0 not in each.strengths
    page = (Path(__file__).parents[3] / "docs" / "lab" / "transformations.md").read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith(f"| `{each.name}` |")]
    assert each.unit in line
    for strength in each.strengths:
        assert f"{strength:g}" in line
    for option in each.options:
        assert f"`{option}`" in page


def test_the_five_of_figure_13_come_first() -> None:
    five = ["translation", "rotation", "reflection", "scaling", "colour_filter"]
    assert list(TRANSFORMATIONS)[:5] == five
    assert [name for name, each in TRANSFORMATIONS.items() if each.figure_13 is not None] == five
    for name in five:
        each = TRANSFORMATIONS[name]
        assert each.figure_13 in each.strengths


def test_reflection_is_all_or_nothing() -> None:
    image = pixels(4, 5)
    assert (TRANSFORMATIONS["reflection"](image, 1, rng(0)) == image[:, ::-1]).all()
    with pytest.raises(UsageError, match=r"0 or 1; found 0\.5"):
        TRANSFORMATIONS["reflection"](image, 0.5, rng(0))


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 4), np.uint8)],
)
def test_other_pixels_are_an_error(image: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"Expected \(H, W, 3\) uint8"):
        TRANSFORMATIONS["hue"](image, 10, rng(0))


@EVERY
def test_as_a_system(each: Transformation) -> None:
    system = TransformationSystem(each.name)
    image = photo()
    level = each.strengths[0]
    received = system.send(image, level, generator("digest", system.name, level))
    assert (received.pixels == each(image, level, generator("digest", system.name, level))).all()
    assert received.size_bytes is None
    assert received.rate_bpp is None
    assert not received.failed
    described = json.loads(json.dumps(system.to_dict()))
    assert described == {
        "name": each.name,
        "label": each.label,
        "transformation": each.name,
        "unit": each.unit,
        "options": {},
    }


def test_a_system_with_options() -> None:
    system = TransformationSystem("translation", name="wrapped", label="round the corner", fill="wrap")
    image = pixels(4, 10)
    assert (system.send(image, 0.3, rng(0)).pixels == np.roll(image, -3, axis=1)).all()
    assert system.to_dict()["options"] == {"fill": "wrap"}
    assert (system.name, system.label) == ("wrapped", "round the corner")
    with pytest.raises(UsageError, match="among rows, columns; found fill"):
        TransformationSystem("deformation", fill="edge")
    for name, wrong in (
        ("rotation", {"fill": 5}),
        ("translation", {"fill": "empty"}),
        ("translation", {"fill": "mean"}),
    ):
        with pytest.raises(UsageError, match="Expected a fill of black, edge, reflect, wrap; found"):
            TransformationSystem(name, **wrong)
    for rows in (2.5, "x", True, 1):
        with pytest.raises(UsageError, match="Expected at least 2 control points a side, a whole number; found"):
            TransformationSystem("deformation", rows=rows)
    with pytest.raises(UsageError, match="among none; found rows"):
        TRANSFORMATIONS["hue"](image, 3.0, rng(0), rows=3)
    with pytest.raises(UsageError, match=r"Expected a transformation among translation, .*; found 'shift'"):
        TransformationSystem("shift")
