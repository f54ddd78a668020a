"""PSG: scene graphs over panoptic masks of COCO photos (Yang et al. 2022, arXiv 2207.11247)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from semetric.errors import UsageError
from semetric.learn.datasets.base import Dataset, DatasetSpec
from semetric.learn.datasets.files import Damaged, Files, Problems, choose_split, field, find, read_json, whole
from semetric.learn.datasets.panoptic import PanopticRecord, Relation, Segment

__all__ = ["PSG", "load_psg"]

_LISTS = ("thing_classes", "stuff_classes", "predicate_classes")


def load_psg(root: Path, split: str | None = None, *, coco: str | None = None) -> Dataset:
    """Loads `psg.json`. Predicates count from 0, as on disk; records without relations are left out.

    Args:
        root: a folder with psg.json, or with psg/psg.json.
        split: train or test; None for both. test_image_ids names the images of test.
        coco: the folder of COCO's train2017, panoptic_train2017 …; by default root/coco, ../coco or the root itself.

    Returns:
        Panoptic records; `classes` holds thing_classes, stuff_classes and predicate_classes. A segment's category
        is an index into the first two, one after the other.

    Raises:
        UsageError: no such file, a file of another form, or no whole record.
    """
    file = find(root, "PSG", "psg.json", "psg/psg.json")
    splits = choose_split(split, ("train", "test"), "PSG")
    document = read_json(file)
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        raise UsageError(f"Expected an object with the list 'data' in {file}; found none.")
    classes = {name: _names(document.get(name), name, file) for name in _LISTS}
    known = classes["thing_classes"] + classes["stuff_classes"]
    test = document.get("test_image_ids")
    if not isinstance(test, list):
        raise UsageError(f"Expected the list 'test_image_ids' in {file}; found none.")
    test_ids = {str(image) for image in test}
    files, problems = Files(_coco(root, coco)), Problems()
    items: dict[str, PanopticRecord] = {}
    lonely = 0
    for place, entry in enumerate(document["data"]):
        key = str(entry.get("image_id")) if isinstance(entry, dict) else ""
        part = "test" if key in test_ids else "train"
        if isinstance(entry, dict) and part not in splits:
            continue
        if isinstance(entry, dict) and entry.get("relations") == []:
            lonely += 1
            continue
        with problems.of(f"data[{place}] (image_id {key or 'missing'})"):
            record = _record(entry, part, len(known), len(classes["thing_classes"]), classes, files)
            if record.key in items:
                raise Damaged("its image_id occurs twice")
            items[record.key] = record
    return Dataset(
        name="psg",
        root=str(file.parent),
        kind="panoptic",
        items=problems.checked(items.values(), "images of PSG with relations", files.root),
        split=split,
        problems=problems,
        left_out={"no relations": lonely} if lonely else {},
        classes=classes,
    )


def _coco(root: Path, given: str | None) -> Path:
    if given is not None:
        if not Path(given).is_dir():
            raise UsageError(f"Expected the folder of COCO; {given} is no folder.")
        return Path(given)
    for place in (root / "coco", root.parent / "coco"):
        if place.is_dir():
            return place
    return root


def _names(value: Any, name: str, file: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise UsageError(f"Expected the list {name!r} of names in {file}; found none.")
    return tuple(value)


def _record(
    entry: Any, part: str, categories: int, things: int, classes: dict[str, tuple[str, ...]], files: Files
) -> PanopticRecord:
    key = str(field(entry, "image_id"))
    segments = field(entry, "segments_info")
    boxes = field(entry, "annotations")
    if not isinstance(segments, list) or not isinstance(boxes, list) or len(segments) != len(boxes):
        raise Damaged("segments_info and annotations are no lists of one length")
    masks = tuple(_segment(*pair, categories, things) for pair in zip(segments, boxes, strict=True))
    if len({mask.id for mask in masks}) != len(masks):
        raise Damaged("two segments have one id")
    relations = field(entry, "relations")
    if not isinstance(relations, list):
        raise Damaged("relations is no list")
    return PanopticRecord(
        key=key,
        image=files.path(_text(entry, "file_name")),
        panoptic=files.path(_text(entry, "pan_seg_file_name")),
        size=(whole(field(entry, "height"), "height"), whole(field(entry, "width"), "width")),
        segments=masks,
        relations=tuple(_relation(triple, len(masks), len(classes["predicate_classes"])) for triple in relations),
        split=part,
    )


def _segment(entry: Any, annotation: Any, categories: int, things: int) -> Segment:
    category = whole(field(entry, "category_id"), "category_id")
    if category >= categories:
        raise Damaged(f"category_id {category} is not among the {categories} classes")
    if whole(field(annotation, "category_id"), "category_id") != category:
        raise Damaged("annotations and segments_info differ in a category_id")
    if bool(field(entry, "isthing")) != (category < things):
        raise Damaged(f"isthing of category_id {category} is not as the lists of classes have it")
    return Segment(
        id=whole(field(entry, "id"), "a segment's id"),
        category=category,
        is_thing=category < things,
        is_crowd=bool(entry.get("iscrowd", 0)),
        area_px=whole(field(entry, "area"), "area"),
        box=_box(field(annotation, "bbox")),
    )


def _box(value: Any) -> tuple[float, float, float, float]:
    if not isinstance(value, Sequence) or len(value) != 4 or not all(_is_number(number) for number in value):
        raise Damaged(f"bbox is {value!r} and no four numbers")
    x0, y0, x1, y1 = (float(number) for number in value)
    if not (x0 <= x1 and y0 <= y1):
        raise Damaged(f"bbox {value} does not run from its upper left to its lower right corner")
    return x0, y0, x1, y1


def _relation(value: Any, segments: int, predicates: int) -> Relation:
    if not isinstance(value, list) or len(value) != 3:
        raise Damaged(f"the relation {value!r} is not [subject, object, predicate]")
    subject, other, predicate = (whole(number, "a relation's number") for number in value)
    if subject >= segments or other >= segments:
        raise Damaged(f"the relation {value} points past the {segments} segments")
    if predicate >= predicates:
        raise Damaged(f"the relation {value} has a predicate past the {predicates} known")
    return Relation(subject=subject, object=other, predicate=predicate)


def _text(entry: Any, name: str) -> str:
    value = field(entry, name)
    if not isinstance(value, str):
        raise Damaged(f"{name} is {value!r} and no text")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


PSG = DatasetSpec(
    name="psg", load=load_psg, kind="panoptic", summary="photos with masks and relations", paper="Yang et al. 2022"
)
