import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from semetric.errors import ImageError, UsageError
from semetric.lab.edits import DIMENSIONS, EDITS, Donor, Edit, choose, edit_named
from semetric.lab.edits.content import insert, replace
from semetric.lab.edits.layout import move, swap
from semetric.lab.transformations.colour import hue_rotation

ALL = [edit for edits in EDITS.values() for edit in edits]
EVERY = pytest.mark.parametrize("each", ALL, ids=lambda edit: edit.name)
STRENGTHS = (0.0, 0.1, 0.25, 0.4, 0.5, 0.75, 0.9, 1.0)
MARGIN = 4  # px around holes
rng = np.random.default_rng


def scene(h: int = 90, w: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A noisy photo of middling values, and four discs in it with two masks that are no objects."""
    draw = rng(seed)
    image = draw.integers(90, 150, (h, w, 3)).astype(np.uint8)
    y, x = np.mgrid[:h, :w]
    masks = np.zeros((6, h, w), bool)
    for mask, (cy, cx, r) in zip(
        masks, ((0.3, 0.2, 0.16), (0.7, 0.3, 0.12), (0.3, 0.75, 0.2), (0.75, 0.75, 0.08)), strict=False
    ):
        mask[:] = (y - cy * h) ** 2 + (x - cx * w) ** 2 < (r * min(h, w)) ** 2
        image[mask] = draw.integers(60, 190, 3) + draw.integers(-20, 21, (mask.sum(), 3))
    masks[4, h // 2 :] = True
    masks[5, 0, 0] = True
    return image, masks


def donor() -> Donor:
    image, masks = scene(70, 60, 5)
    return Donor(pixels=image, masks=masks)


def wider(mask: np.ndarray, px: int) -> np.ndarray:
    return ndimage.binary_dilation(mask, np.ones((3, 3), bool), iterations=px)


@EVERY
def test_strength_0_leaves_the_photo_as_it_is(each: Edit) -> None:
    image, masks = scene()
    found = each(image, masks, 0.0, rng(0), donor())
    assert (found == image).all()
    assert not np.shares_memory(found, image)


@EVERY
@pytest.mark.parametrize("size", [(90, 120), (121, 64), (33, 33)])
def test_sizes_types_and_input_stay(each: Edit, size: tuple[int, int]) -> None:
    image, masks = scene(*size)
    before, same = image.copy(), masks.copy()
    for strength in (0.3, 1.0):
        found = each(image, masks, strength, rng(0), donor())
        assert found.shape == image.shape
        assert found.dtype == np.uint8
        assert (found != image).any()
    assert (image == before).all()
    assert (masks == same).all()


@EVERY
def test_a_greater_strength_changes_more(each: Edit) -> None:
    for seed in range(4):
        image, masks = scene(seed=seed)
        found = [each(image, masks, s, rng(seed), donor()) for s in STRENGTHS]
        if each.grows == "objects":
            counts = [int((pixels != image).any(-1).sum()) for pixels in found]
            assert counts == sorted(counts)
            assert len(set(counts)) >= 3
        elif each.dimension in ("colour", "texture"):
            # The distance from the old values; levels are whole, which its mean over an object hardly feels.
            amounts = [float(np.abs(pixels.astype(int) - image).mean()) for pixels in found]
            assert all(a < b for a, b in itertools.pairwise(amounts))


@EVERY
def test_chance_comes_from_the_generator_alone(each: Edit) -> None:
    image, masks = scene()
    first = each(image, masks, 0.6, rng(1), donor())
    assert (first == each(image, masks, 0.6, rng(1), donor())).all()
    others = [each(image, masks, 0.6, rng(seed), donor()) for seed in range(2, 12)]
    varies = any((first != other).any() for other in others)
    assert varies == (each.name not in ("swap", "mirror", "remove"))


@EVERY
@given(seed=st.integers(0, 99), strength=st.floats(0, 1))
@settings(deadline=None, max_examples=8)
def test_nothing_changes_far_from_objects(each: Edit, seed: int, strength: float) -> None:
    image, masks = scene(60, 80, seed)
    chosen = choose(masks, each.objects)
    changed = (each(image, masks, strength, rng(seed), donor()) != image).any(-1)
    if each.dimension in ("colour", "texture"):
        reach = chosen.any(0)
    elif each.adds:
        # Four objects of 5% at most. Half coverage decides on their edge pixels: 10% of discs of 15 px.
        assert changed.sum() <= 1.1 * 4 * 0.05 * changed.size
        return
    elif each.name == "remove":
        reach = wider(chosen.any(0), MARGIN)
    elif each.name in ("turn", "mirror"):
        # Turned, a disc stays in the box of its hole, but for a pixel of rounding.
        reach = wider(chosen.any(0), MARGIN + 1)
    else:
        # Moved, swapped, replaced: the holes, and as many pixels again as objects have. Donors fit to 15%:
        # their sides are whole px, of 10 or more.
        assert changed.sum() <= wider(chosen.any(0), MARGIN).sum() + 1.15 * chosen.sum()
        return
    assert not (changed & ~reach).any()


def test_recolouring_half_way_round_keeps_light_and_shade() -> None:
    image = np.full((60, 60, 3), (150, 100, 60), np.uint8)
    image[:, 30:] = (120, 80, 48)  # in the shade
    mask = np.zeros((1, 60, 60), bool)
    mask[0, 14:46, 14:46] = True
    (recolour,) = EDITS["colour"]
    found = recolour(image, mask, 1.0, rng(0))
    mean = image[mask[0]].mean(0)
    away = mean.mean() - mean  # 180° about the grey axis is the other side of it
    tint = max(0.0, 80 - np.linalg.norm(away)) * away / np.linalg.norm(away)
    for x in (20, 40):  # where the edge does not fade
        assert found[30, x] == pytest.approx(hue_rotation(180) @ image[30, x] + tint, abs=0.51)
        assert found[30, x].astype(int).sum() == pytest.approx(image[30, x].astype(int).sum(), abs=2)  # rounding


def test_what_is_grey_gets_a_tint() -> None:
    image = np.full((60, 60, 3), 128, np.uint8)
    mask = np.zeros((1, 60, 60), bool)
    mask[0, 14:46, 14:46] = True
    (recolour,) = EDITS["colour"]
    found = recolour(image, mask, 1.0, rng(0))[30, 30].astype(float)
    assert np.linalg.norm(found - found.mean()) == pytest.approx(80, abs=1)  # rounding of three channels


@pytest.mark.parametrize("name", ["pattern", "patch"])
def test_a_new_texture_keeps_colour_and_shade(name: str) -> None:
    image = np.full((100, 100, 3), 200, np.uint8)
    image[:, :10] = rng(0).integers(0, 256, (100, 10, 1))
    light = np.linspace(0.6, 1.2, 60)
    image[20:80, 30:90] = (np.array([150, 90, 60]) * light[None, :, None]).astype(np.uint8)
    mask = np.zeros((1, 100, 100), bool)
    mask[0, 20:80, 30:90] = True
    found = edit_named(name)(image, mask, 1.0, rng(3))[mask[0]].astype(float).reshape(60, 60, 3)
    old = image[mask[0]].astype(float)
    # Red to green to blue stays where nothing is clipped; the pattern has no mean to speak of.
    mean = found[5:-5, 5:-5].mean((0, 1))
    assert mean / mean.sum() == pytest.approx(old.mean(0) / old.mean(0).sum(), abs=0.01)
    assert found[5:-5, 5:-5, 0].std(0).mean() > 8  # columns were even before
    assert found[5:-5, 40:55].mean() > 1.2 * found[5:-5, 5:20].mean()  # still lighter to the right


def test_a_moved_object_arrives_to_the_bit() -> None:
    image, masks = scene()
    mask = masks[3:4]  # a small one
    for seed in range(5):
        found = move(image, mask, 1.0, rng(seed))
        core = ndimage.binary_erosion(mask[0], np.ones((3, 3)), iterations=3)
        want = image[core]
        rows, columns = np.nonzero(core)
        places = [
            (dy, dx)
            for dy in range(-rows.min(), 90 - rows.max())
            for dx in range(-columns.min(), 120 - columns.max())
            if (found[rows + dy, columns + dx] == want).all()
        ]
        ((dy, dx),) = places
        assert math.hypot(dy, dx) > 20
        half = move(image, mask, 0.5, rng(seed))
        assert (half[rows + round(0.5 * dy), columns + round(0.5 * dx)] == want).all()  # strengths nest


def test_swapped_objects_stand_where_the_other_stood() -> None:
    image = np.full((100, 120, 3), 50, np.uint8)
    masks = np.zeros((2, 100, 120), bool)
    masks[0, 20:60, 10:40], masks[1, 50:70, 80:100] = True, True
    image[masks[0]], image[masks[1]] = (200, 0, 0), (0, 0, 200)
    found = swap(image, masks, 1.0, rng(0))
    red, blue = (found == (200, 0, 0)).all(-1), (found == (0, 0, 200)).all(-1)
    # Feet at rows 70 and 60, middles at columns 90 and 25; edges fade over 2 px.
    assert [int(i) for n in np.nonzero(red) for i in (n.min(), n.max() + 1)] == [32, 68, 77, 103]
    assert [int(i) for n in np.nonzero(blue) for i in (n.min(), n.max() + 1)] == [42, 58, 17, 33]


def test_a_replacement_has_the_area_and_the_foot_of_what_it_replaces() -> None:
    image = np.full((100, 120, 3), 50, np.uint8)
    masks = np.zeros((1, 100, 120), bool)
    masks[0, 30:70, 40:80] = True
    image[masks[0]] = (200, 0, 0)
    other = np.full((50, 50, 3), (0, 150, 0), np.uint8)
    theirs = np.zeros((1, 50, 50), bool)
    theirs[0, 10:40, 15:25] = True  # three times as high as wide
    found = replace(image, masks, 1.0, rng(0), donor=Donor(pixels=other, masks=theirs))
    green = (found != 50).any(-1)
    assert not (found == (200, 0, 0)).all(-1).any()
    assert green.sum() == pytest.approx(1600, rel=0.05)  # whole px, of sides of 23 and 69
    rows, columns = np.nonzero(green)
    assert rows.max() == 69
    assert (columns.min() + columns.max() + 1) / 2 == pytest.approx(60, abs=1)


def test_inserted_objects_cover_no_object_and_a_twentieth_of_the_image_each() -> None:
    image = np.full((100, 120, 3), 50, np.uint8)
    masks = np.zeros((3, 100, 120), bool)
    masks[0, 10:40, 10:60], masks[1, 60:90, 5:40], masks[2, 55:85, 80:110] = True, True, True
    gives = Donor(pixels=np.full((40, 40, 3), (0, 150, 0), np.uint8), masks=np.zeros((1, 40, 40), bool))
    gives.masks[0, 10:30, 5:35] = True
    for seed in range(5):
        found = [insert(image, masks, strength, rng(seed), donor=gives) for strength in (0.25, 0.5, 0.75, 1.0)]
        changed = [(pixels != 50).any(-1) for pixels in found]
        for count, (pixels, now) in enumerate(zip(found, changed, strict=True), start=1):
            assert not (now & masks.any(0)).any()
            # 20 × 30 px: a box of 20 × 30 in an image of 12,000 px is exactly 5%
            assert ndimage.label(now)[1] <= count
            assert now.sum() == 600 * count
            assert (pixels[now] != 50).any()
        for fewer, more in itertools.pairwise(changed):
            assert (fewer <= more).all()


def test_where_there_is_no_room_an_inserted_object_covers_the_least() -> None:
    image = np.full((100, 100, 3), 50, np.uint8)
    masks = np.ones((1, 100, 100), bool)
    masks[0, :, 70:] = False  # a strip 30 px wide, into which objects of 10 × 50 px do not fit whole
    gives = Donor(pixels=np.full((20, 60, 3), 200, np.uint8), masks=np.zeros((1, 20, 60), bool))
    gives.masks[0, 5:15, 5:55] = True
    found = insert(image, masks, 0.25, rng(0), donor=gives)
    assert (found != 50).any(-1).nonzero()[1].min() == 50


def test_a_long_object_is_inserted_inside_the_frame() -> None:
    image = np.full((60, 60, 3), 50, np.uint8)
    gives = Donor(pixels=np.full((300, 10, 3), 200, np.uint8), masks=np.ones((1, 300, 10), bool))
    rows = (insert(image, np.zeros((0, 60, 60), bool), 0.25, rng(0), donor=gives) != 50).any(-1).nonzero()[0]
    assert np.ptp(rows) + 1 == 54  # 90% of the side; 5% of the image would be 73 px long


def test_an_image_too_small_for_an_inserted_object_is_an_error() -> None:
    thin = np.zeros((1, 9, 9), bool)
    thin[0, range(9), range(9)] = True  # a ninth of its box, so that no pixel of a smaller box is half covered
    gives = Donor(pixels=np.zeros((9, 9, 3), np.uint8), masks=thin)
    with pytest.raises(ImageError, match=r"has a pixel; found 3 × 2\. Take a larger one"):
        insert(np.zeros((2, 3, 3), np.uint8), np.zeros((0, 2, 3), bool), 1.0, rng(0), donor=gives)


def test_an_insertion_spares_all_objects_and_needs_none() -> None:
    image, masks = scene()
    many = np.zeros((7, 90, 120), bool)
    for i, mask in enumerate(many):
        mask[5:55, 4 + 14 * i : 14 + 14 * i] = True  # more than the four that other edits take
    found = edit_named("insert")(image, many, 0.25, rng(0), donor())
    assert not ((found != image).any(-1) & many.any(0)).any()
    assert (edit_named("insert")(image, masks[:0], 0.25, rng(0), donor()) != image).any()


def test_turning_a_bar_by_a_quarter_lays_it_down() -> None:
    image = np.full((100, 100, 3), 50, np.uint8)
    masks = np.zeros((1, 100, 100), bool)
    masks[0, 30:70, 45:55] = True
    image[masks[0]] = 200
    tall, flat = (edit_named("turn")(image, masks, s, rng(0))[..., 0] > 125 for s in (0.0, 1.0))
    assert (flat == np.rot90(tall)).mean() > 0.99  # its edge fades


def test_photos_without_usable_objects_are_an_error() -> None:
    image, masks = scene()
    for each in [edit for edit in ALL if not edit.adds]:
        with pytest.raises(ImageError, match=rf"{each.least} or more objects to {each.name} .* found 0 among 2 masks"):
            each(image, masks[4:], 0.5, rng(0), donor())
        with pytest.raises(ImageError, match="found 0 among 0 masks"):
            each(image, masks[:0], 0.5, rng(0), donor())
    with pytest.raises(ImageError, match=r"2 or more objects to swap .* found 1"):
        edit_named("swap")(image, masks[:1], 0.5, rng(0))
    nothing = Donor(pixels=image, masks=masks[4:])
    with pytest.raises(ImageError, match="in the other photo"):
        edit_named("replace")(image, masks, 0.5, rng(0), nothing)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_tiny_photos_have_no_objects(size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    for each in [edit for edit in ALL if not edit.adds]:
        with pytest.raises(ImageError, match="Take another photo"):
            each(image, np.ones((3, *size), bool), 0.5, rng(0), donor())


def test_bad_input() -> None:
    image, masks = scene()
    remove = edit_named("remove")
    for wrong in (-0.1, 1.1, math.nan, math.inf):
        with pytest.raises(UsageError, match="strength of remove between 0 and 1"):
            remove(image, masks, wrong, rng(0))
    with pytest.raises(UsageError, match=r"Expected \(N, 90, 120\) bool masks; found \(6, 90, 119\)"):
        remove(image, masks[:, :, 1:], 0.5, rng(0))
    with pytest.raises(UsageError, match="bool masks"):
        remove(image, masks.astype(np.uint8), 0.5, rng(0))
    with pytest.raises(UsageError, match="uint8 pixels"):
        remove(image / 255, masks, 0.5, rng(0))
    with pytest.raises(UsageError, match="Expected another photo"):
        edit_named("replace")(image, masks, 0.5, rng(0))
    with pytest.raises(UsageError, match=r"Expected a dimension or an edit among colour, .*, insert; found 'paint'"):
        edit_named("paint")


def test_every_dimension_has_edits_and_every_edit_a_line_in_the_page() -> None:
    assert tuple(EDITS) == DIMENSIONS
    page = (Path(__file__).parents[3] / "docs" / "lab" / "edits.md").read_text(encoding="utf-8")
    names = [each.name for each in ALL]
    assert len(set(names) | set(DIMENSIONS)) == len(names) + len(DIMENSIONS)  # one name space
    for dimension, edits in EDITS.items():
        assert edit_named(dimension) is edits[0]
        for each in edits:
            assert each.dimension == dimension
            assert edit_named(each.name) is each
            (line,) = [line for line in page.splitlines() if line.startswith(f"| `{each.name}` |")]
            assert f"| {dimension} |" in line
            assert f"| {each.objects} |" in line
            assert f"| {each.grows}" in line
