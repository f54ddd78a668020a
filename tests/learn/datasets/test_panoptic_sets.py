"""PSG and COCO: records, masks and relations."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semetric.errors import ImageError, UsageError
from semetric.learn.datasets import PanopticRecord, load_dataset, panoptic_ids, read_panoptic

THINGS, STUFF = ["person", "dog"], ["grass"]


def record(number: int) -> dict[str, Any]:
    stem = f"{number:012d}"
    return {
        "file_name": f"val2017/{stem}.jpg",
        "height": 4,
        "width": 6,
        "image_id": str(number),
        "pan_seg_file_name": f"panoptic_val2017/{stem}.png",
        "segments_info": [
            {"id": 70000 + i, "category_id": c, "iscrowd": 0, "isthing": int(c < 2), "area": 8}
            for i, c in enumerate((0, 1, 2))
        ],
        "annotations": [{"bbox": [0, 0, 2, 3.5], "category_id": c, "bbox_mode": 0} for c in (0, 1, 2)],
        "relations": [[0, 1, 1], [1, 2, 0]],
    }


def document(*records: dict[str, Any]) -> dict[str, Any]:
    return {
        "data": list(records),
        "thing_classes": THINGS,
        "stuff_classes": STUFF,
        "predicate_classes": ["over", "in front of"],
        "test_image_ids": ["2"],
    }


@pytest.fixture
def psg(tmp_path: Path, touch: Callable[..., None]) -> Callable[[Any], Path]:
    """Document → the folder of psg/psg.json and coco, with the files of images 1 to 3."""

    def make(content: Any) -> Path:
        for number in (1, 2, 3):
            touch(f"coco/val2017/{number:012d}.jpg", f"coco/panoptic_val2017/{number:012d}.png")
        (tmp_path / "psg").mkdir(exist_ok=True)
        (tmp_path / "psg" / "psg.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path

    return make


def test_psg(psg: Callable[[Any], Path]) -> None:
    root = psg(document(record(1), record(2), record(3) | {"relations": []}))
    data = load_dataset("psg", root)
    first, second = data.of(PanopticRecord)
    assert (first.key, first.split, second.split, first.size) == ("1", "train", "test", (4, 6))
    assert first.image == str(root / "coco/val2017/000000000001.jpg")
    assert first.panoptic == str(root / "coco/panoptic_val2017/000000000001.png")
    assert [(s.id, s.category, s.is_thing) for s in first.segments] == [
        (70000, 0, True),
        (70001, 1, True),
        (70002, 2, False),
    ]
    assert first.segments[0].box == (0.0, 0.0, 2.0, 3.5)
    assert [(r.subject, r.object, r.predicate) for r in first.relations] == [(0, 1, 1), (1, 2, 0)]
    assert data.classes["predicate_classes"] == ("over", "in front of")
    assert data.left_out == {"no relations": 1}
    assert not data.problems
    assert [one.key for one in load_dataset("psg", root / "psg", "test").of(PanopticRecord)] == ["2"]


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    found = copy.deepcopy(record(3))
    place: Any = found
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return found


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (["file_name"], "val2017/000000000009.jpg", "is missing"),
        (["file_name"], "../../../etc/passwd", "leads out"),
        (["file_name"], 7, "no text"),
        (["pan_seg_file_name"], None, "'pan_seg_file_name' is missing"),
        (["image_id"], "1", "occurs twice"),
        (["relations"], [[0, 3, 0]], "points past the 3 segments"),
        (["relations"], [[0, 1, 2]], "a predicate past the 2 known"),
        (["relations"], [[0, 1]], "is not [subject, object, predicate]"),
        (["relations"], [[0, -1, 0]], "no whole number from 0"),
        (["relations"], [[0, True, 0]], "no whole number from 0"),
        (["relations"], None, "'relations' is missing"),
        (["annotations", 2], None, "no lists of one length"),
        (["annotations", 1, "category_id"], 0, "differ in a category_id"),
        (["annotations", 1, "bbox"], [2, 0, 1, 1], "does not run from"),
        (["annotations", 1, "bbox"], "box!", "no four numbers"),
        (["segments_info", 1, "category_id"], 3, "not among the 3 classes"),
        (["segments_info", 1, "id"], 70000, "two segments have one id"),
        (["segments_info", 1, "isthing"], 0, "not as the lists of classes"),
        (["height"], "4", "no whole number"),
    ],
)
def test_damaged_records_of_psg_are_named(psg: Callable[[Any], Path], path: list[Any], value: Any, why: str) -> None:
    data = load_dataset("psg", psg(document(record(1), changed(path, value))))
    assert (len(data), data.problems.count) == (1, 1)
    assert data.problems.named[0].startswith("data[1] (image_id ")
    assert why in data.problems.named[0]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "Expected a JSON file"),
        ("[]", "the list 'data'"),
        (json.dumps(document(record(1)) | {"predicate_classes": None}), "'predicate_classes'"),
        (json.dumps(document(record(1)) | {"test_image_ids": 3}), "'test_image_ids'"),
        (json.dumps(document("text", 3)), r"data\[0\] \(image_id missing\)"),  # type: ignore[arg-type]
    ],
)
def test_other_files_are_no_psg(psg: Callable[[Any], Path], content: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        load_dataset("psg", psg(content))


def test_coco_in_another_place(psg: Callable[[Any], Path], tmp_path: Path) -> None:
    root = psg(document(record(1)))
    (root / "coco").rename(root / "photos")
    with pytest.raises(UsageError, match="found none that is whole"):
        load_dataset("psg", root)
    assert len(load_dataset("psg", root, coco=str(tmp_path / "photos"))) == 1
    with pytest.raises(UsageError, match="the folder of COCO"):
        load_dataset("psg", root, coco=str(tmp_path / "none"))


def test_coco_without_annotations(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch(*(f"coco/val2017/{n:012d}.jpg" for n in (1, 2)), *(f"coco/panoptic_val2017/{n:012d}.png" for n in (2, 3)))
    data = load_dataset("coco", tmp_path)
    assert [(one.key, one.split, one.segments) for one in data.of(PanopticRecord)] == [("2", "val", ())]
    assert data.problems.named == (
        "000000000001: panoptic_val2017/000000000001.png is missing",
        "000000000003: val2017/000000000003.jpg is missing",
    )
    with pytest.raises(UsageError, match=r"of COCO: val; found 'train'"):
        load_dataset("coco", tmp_path, "train")


def test_coco_with_annotations(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("train2017/000000000009.jpg", "panoptic_train2017/000000000009.png", "train2017/000000000010.jpg")
    segment = {"id": 3, "category_id": 200, "area": 5, "bbox": [1, 2, 3, 4], "iscrowd": 1}
    images = [{"id": n, "file_name": f"{n:012d}.jpg", "height": 4, "width": 6} for n in (9, 10)]
    content = {
        "images": images,
        "annotations": [
            {"image_id": 9, "file_name": "000000000009.png", "segments_info": [segment]},
            {"image_id": 11, "file_name": "000000000011.png", "segments_info": []},
        ],
        "categories": [{"id": 200, "name": "rug", "isthing": 0}],
    }
    (tmp_path / "annotations").mkdir()
    file = tmp_path / "annotations" / "panoptic_train2017.json"
    file.write_text(json.dumps(content))
    data = load_dataset("coco", tmp_path, "train")
    (one,) = data.of(PanopticRecord)
    assert (one.key, one.size, one.segments[0].box) == ("9", (4, 6), (1.0, 2.0, 4.0, 6.0))  # stored as x, y, w, h
    assert (one.segments[0].is_thing, one.segments[0].is_crowd) == (False, True)
    assert data.classes == {"categories": ("200 rug",)}
    assert data.problems.named == (
        "panoptic_train2017.json, image 11: no image has the id 11",
        "panoptic_train2017.json, image 10: it has no annotation",
    )
    file.write_text(json.dumps({"images": images}))
    with pytest.raises(UsageError, match="a list of objects 'annotations'"):
        load_dataset("coco", tmp_path)


def test_damaged_annotations_of_coco_are_named(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch(*(f"train2017/{n}.jpg" for n in range(6)), *(f"panoptic_train2017/{n}.png" for n in range(6)))
    segment = {"id": 3, "category_id": 200, "area": 5, "bbox": [1, 2, 3, 4]}
    changes: list[dict[str, Any]] = [
        {},
        {"bbox": [1, 2, 3]},
        {"bbox": ["x", 2, 3, 4]},
        {"bbox": [1, 2, float("nan"), 4]},
        {"bbox": 7},
    ]
    content = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "height": 4, "width": 6} for n in range(5)],
        "annotations": [
            {"image_id": n, "file_name": f"{n}.png", "segments_info": [segment | change]}
            for n, change in [*enumerate(changes), (0, {})]
        ],
        "categories": [{"id": 200, "name": "rug", "isthing": 0}],
    }
    (tmp_path / "panoptic_train2017.json").write_text(json.dumps(content))
    data = load_dataset("coco", tmp_path, "train")
    assert [one.key for one in data.of(PanopticRecord)] == ["0"]
    named = [text.partition(", image ")[2] for text in data.problems.named]
    assert [text[0] for text in named] == ["1", "2", "3", "4", "0"]
    assert named[-1].endswith("annotated twice")


def test_numbers_of_segments(tmp_path: Path) -> None:
    pixels = np.array([[[1, 0, 0], [0, 1, 0], [3, 2, 1]]], np.uint8)
    expected = [[1, 256, 3 + 2 * 256 + 65536]]
    assert panoptic_ids(pixels).tolist() == expected
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=b"never read", exif=b"Exif\0\0")
    assert read_panoptic(tmp_path / "a.png").tolist() == expected


def test_masks_that_are_none(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "a.jpg")
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:-60])
    for name, why in (
        ("grey.png", r"shape \(4, 4\)"),
        ("a.jpg", "Expected a PNG"),
        ("cut.png", "cut"),
        ("no.png", "does not exist"),
    ):
        with pytest.raises(ImageError, match=why):
            read_panoptic(tmp_path / name)
