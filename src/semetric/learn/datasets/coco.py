"""COCO's photos with their panoptic masks (Kirillov et al. 2019, "Panoptic segmentation", arXiv 1801.00868)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semetric.errors import UsageError
from semetric.learn.datasets.base import Dataset, DatasetSpec
from semetric.learn.datasets.files import (
    Damaged,
    Files,
    Problems,
    choose_split,
    field,
    find,
    read_json,
    sorted_names,
    whole,
)
from semetric.learn.datasets.panoptic import PanopticRecord, Segment

__all__ = ["COCO", "load_coco"]

_SPLITS = {"train": "train2017", "val": "val2017"}


def load_coco(root: Path, split: str | None = None) -> Dataset:
    """Loads `train2017`, `val2017`, `panoptic_train2017` and `panoptic_val2017`.

    Where `panoptic_<split>.json` or `annotations/panoptic_<split>.json` is there, records have segments; else they
    are what the two folders hold, and the masks alone say which segments there are.

    Args:
        root: the folder of these folders, or the one above it, where it is called coco.
        split: train or val; None for all that is there.

    Returns:
        Panoptic records without relations; `classes["categories"]` names categories, as "id name", where known.

    Raises:
        UsageError: no such folder, or no whole record.
    """
    place = find(root, "COCO", *_SPLITS.values(), *(f"coco/{name}" for name in _SPLITS.values())).parent
    files, problems = Files(place), Problems()
    items: list[PanopticRecord] = []
    classes: dict[str, tuple[str, ...]] = {}
    here = [name for name, folder in _SPLITS.items() if (place / folder).is_dir()]
    for part in choose_split(split, here, "COCO"):
        folder = _SPLITS[part]
        notes = [place / base / f"panoptic_{folder}.json" for base in ("annotations", ".")]
        file = next((path for path in notes if path.is_file()), None)
        if file is not None:
            items += _annotated(read_json(file), part, file.name, files, problems, classes)
        else:
            items += _listed(place, part, files, problems)
    return Dataset(
        name="coco",
        root=str(place),
        kind="panoptic",
        items=problems.checked(items, "photos of COCO with panoptic masks", place),
        split=split,
        problems=problems,
        classes=classes,
    )


def _listed(place: Path, part: str, files: Files, problems: Problems) -> list[PanopticRecord]:
    folder = _SPLITS[part]
    photos = {Path(name).stem: name for name in sorted_names(place / folder) if name.endswith(".jpg")}
    masks = {Path(name).stem: name for name in sorted_names(place / f"panoptic_{folder}") if name.endswith(".png")}
    items = []
    for stem in sorted({*photos, *masks}):
        with problems.of(stem):
            image = files.path(f"{folder}/{photos.get(stem, f'{stem}.jpg')}")
            panoptic = files.path(f"panoptic_{folder}/{masks.get(stem, f'{stem}.png')}")
            items.append(PanopticRecord(key=stem.lstrip("0") or "0", image=image, panoptic=panoptic, split=part))
    return items


def _annotated(
    document: Any, part: str, name: str, files: Files, problems: Problems, classes: dict[str, tuple[str, ...]]
) -> list[PanopticRecord]:
    folder = _SPLITS[part]
    if not isinstance(document, dict):
        raise UsageError(f"Expected an object with images and annotations in {name}; found another value.")
    images, annotations, categories = (_objects(document, key, name) for key in ("images", "annotations", "categories"))
    things: dict[int, bool] = {}
    try:
        for category in categories:
            things[whole(field(category, "id"), "a category's id")] = bool(field(category, "isthing"))
        classes["categories"] = tuple(f"{category['id']} {category.get('name', '')}" for category in categories)
    except Damaged as why:
        raise UsageError(f"Expected categories with id and isthing in {name}; {why}.") from why
    by_id = {image.get("id"): image for image in images if isinstance(image.get("id"), int | str)}
    items = []
    seen: set[str] = set()
    for annotation in annotations:
        key = str(annotation.get("image_id"))
        try:
            if key in seen:
                raise Damaged("it is annotated twice")
            photo = by_id.get(annotation.get("image_id")) if isinstance(annotation.get("image_id"), int | str) else None
            if photo is None:
                raise Damaged(f"no image has the id {key}")
            items.append(
                PanopticRecord(
                    key=key,
                    image=files.path(f"{folder}/{field(photo, 'file_name')}"),
                    panoptic=files.path(f"panoptic_{folder}/{field(annotation, 'file_name')}"),
                    size=(whole(field(photo, "height"), "height"), whole(field(photo, "width"), "width")),
                    segments=tuple(_segment(entry, things) for entry in field(annotation, "segments_info")),
                    split=part,
                )
            )
            seen.add(key)
        except (Damaged, TypeError, ValueError) as why:
            problems.add(f"{name}, image {key}", why)
    for lone in sorted(
        map(str, {*by_id} - {annotation.get("image_id") for annotation in annotations if _plain(annotation)})
    ):
        problems.add(f"{name}, image {lone}", "it has no annotation")
    return items


def _plain(annotation: Mapping[str, Any]) -> bool:
    return isinstance(annotation.get("image_id"), int | str)


def _segment(entry: Any, things: Mapping[int, bool]) -> Segment:
    category = whole(field(entry, "category_id"), "category_id")
    if category not in things:
        raise Damaged(f"category {category} is not in the list")
    box = entry.get("bbox")
    corners: tuple[float, float, float, float] | None = None
    if box is not None:
        x, y, width, height = (float(value) for value in box)
        if not all(map(math.isfinite, (x, y, width, height))):
            raise Damaged(f"the bbox {box} is not finite")
        corners = (x, y, x + width, y + height)
    return Segment(
        id=whole(field(entry, "id"), "a segment's id"),
        category=category,
        is_thing=things[category],
        is_crowd=bool(entry.get("iscrowd", 0)),
        area_px=whole(field(entry, "area"), "area"),
        box=corners,
    )


def _objects(document: Mapping[str, Any], key: str, name: str) -> list[dict[str, Any]]:
    entries = document.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError(f"Expected a list of objects {key!r} in {name}; found none.")
    return entries


COCO = DatasetSpec(
    name="coco", load=load_coco, kind="panoptic", summary="photos with panoptic masks", paper="Kirillov et al. 2019"
)
