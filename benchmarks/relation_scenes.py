"""Scenes whose relations are known by construction, in the layout of PSG: cut-outs placed on photos.

The cut-outs are the photographs and drawings of Debian's tuxpaint-stamps-default (160 MB, public domain and free
licences that the package lists), with boards, frames and bars cut from photos. A scene has four or five places side
by side; in each stands a small group whose relation depends on what its parts are, how they touch and which covers
which:

| group | relations |
|---|---|
| something on a board | "standing on" for an animal, "parked on" for a vehicle, "on" for food and things |
| something on a vehicle | "riding" for an animal, "on" for food and things |
| a bird or food on a large animal | "on back of" for the bird, "on" for the food |
| one thing partly behind another | the front one is "in front of" |
| something within an open frame | "in", and the frame is "enclosing" |
| a flower or a drawing on a solid panel | "attached to" |
| something below a bar | "hanging from" |
| something above another, apart | "flying over" for birds, insects and aircraft, "over" for all else |
| an animal with food at its side | "eating" |

and what stands on the ground in neighbouring places is "beside" each other. Pairs of these look alike to the rules of
`semetric.scene.spatial` by design: they cannot tell an animal from an apple, nor a frame from a panel.

Training and held-out scenes share no cut-out and no photo.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semetric.scene.predicates import PREDICATES

__all__ = ["CATEGORIES", "Cutouts", "write_scenes"]

HEIGHT, WIDTH = 384, 800  # pixels; scene graphs see no more columns
HELD_OUT = 0.25  # share of cut-outs and of photos that only held-out scenes use
MIN_VISIBLE = 0.35  # of an object's own pixels, and
MIN_PIXELS = 250  # so many of them: a scene with an object that shows less is thrown away

CATEGORIES = ("mammal", "bird", "insect", "food", "thing", "vehicle", "flower", "aircraft", "board", "frame", "bar")
_PANEL = "board"

# Where in tuxpaint's stamps a category lies; names with these parts stay out: groups, parts and thin outlines.
_FOLDERS = {
    "mammal": ("animals/mammals", "animals/marsupials"),
    "bird": ("animals/birds",),
    "insect": ("animals/insects",),
    "food": ("food",),
    "thing": ("household", "hobbies", "sports", "clothes/hats", "seasonal/easter"),
    "vehicle": ("vehicles",),
    "flower": ("plants/flowers",),
    "aircraft": ("vehicles/flight",),
}
_WITHOUT = (
    "aquatic", "tamarin", "cartoon_", "rugby", "cherries", "almond", "carrot", "7spoke", "wheel", "ship", "mirror",
    "key", "glass", "bassoon", "spade", "pepper_grinder", "scissors", "saw", "measuring",
)  # fmt: skip
_FLYING = ("bee", "hornet", "hoverfly", "fly", "butterfly", "xanthia", "seagull", "silver", "747", "plane", "balloon")
_LARGE = (
    "bison", "bull", "cow", "yak", "zebu", "camel", "dromedary", "elephant", "donkey", "horse", "zebra", "hippo",
    "rhino", "bear", "tiger", "lion-2", "wapiti", "caribou", "ram", "sheep", "pig", "wildboar", "gnu", "gorilla",
)  # fmt: skip

Rgba = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class _Placed:
    category: str
    image: Rgba  # (h, w, 4)
    x: int
    y: int  # upper left corner
    ground: bool  # stands on the ground, so that neighbours are beside it


@dataclass(frozen=True, kw_only=True)
class _Group:
    objects: list[_Placed]  # painted in this order
    relations: list[tuple[int, int, str]]


class Cutouts:
    """The cut-outs of one part, training or held out.

    Args:
        stamps: the folder of tuxpaint's stamps.
        photos: photos from which backgrounds, boards, frames and bars are cut.
        held_out: which part.
    """

    def __init__(self, stamps: Path, photos: Sequence[Path], held_out: bool) -> None:
        self.photos = [path for path in photos if _is_held_out(path.name) == held_out]
        self.files: dict[str, list[Path]] = {}
        for category, folders in _FOLDERS.items():
            found = sorted({file for folder in folders for file in (stamps / folder).rglob("*.png")})
            kept = [f for f in found if not any(part in str(f.relative_to(stamps)) for part in _WITHOUT)]
            if category == "vehicle":
                kept = [f for f in kept if "flight" not in f.parts]
            self.files[category] = [f for f in kept if _is_held_out(f.name) == held_out]
        self._read: dict[Path, Rgba] = {}

    def draw(self, category: str, rng: np.random.Generator, *, only: Sequence[str] = ()) -> Rgba:
        """A cut-out of a category, at random, cropped to what shows, mirrored half the time."""
        files = [f for f in self.files[category] if not only or any(f.name.startswith(part) for part in only)]
        file = files[int(rng.integers(len(files)))]
        if file not in self._read:
            pixels = np.asarray(Image.open(file).convert("RGBA"), np.uint8)
            rows, columns = (np.flatnonzero((pixels[..., 3] > 127).any(axis=axis)) for axis in (1, 0))
            self._read[file] = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        found = self._read[file]
        return found[:, ::-1] if rng.random() < 0.5 else found

    def texture(self, rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.uint8]:
        """(h, w, 3) from a random place of a random photo."""
        image = Image.open(self.photos[int(rng.integers(len(self.photos)))]).convert("RGB")
        scale = max(size[0] / image.height, size[1] / image.width) * rng.uniform(1.0, 1.6)
        image = image.resize((round(image.width * scale) + 1, round(image.height * scale) + 1), Image.Resampling.BOX)
        x, y = (int(rng.integers(0, n - m + 1)) for n, m in ((image.width, size[1]), (image.height, size[0])))
        return np.asarray(image, np.uint8)[y : y + size[0], x : x + size[1]]

    def board(self, rng: np.random.Generator, height: int, width: int, hollow: int = 0) -> Rgba:
        """A rectangle of one colour with a photo's grain; a frame of that thickness where hollow."""
        colour = rng.uniform(40, 230, 3)
        grain = self.texture(rng, (height, width)).mean(axis=2, keepdims=True)
        pixels = np.clip(colour + 0.35 * (grain - grain.mean()), 0, 255).astype(np.uint8)
        alpha = np.full((height, width, 1), 255, np.uint8)
        if hollow:
            alpha[hollow:-hollow, hollow:-hollow] = 0
        return np.concatenate([pixels, alpha], axis=2)


def _is_held_out(name: str) -> bool:
    return zlib.crc32(name.encode()) % 1000 < 1000 * HELD_OUT


def _fit(image: Rgba, height: float, width: float) -> Rgba:
    """As large as fits."""
    scale = min(height / image.shape[0], width / image.shape[1])
    size = (max(8, round(image.shape[1] * scale)), max(8, round(image.shape[0] * scale)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS), np.uint8)


def _lowest(image: Rgba, column: float) -> int:
    """The first row of what shows around a column, in [0, 1]: where something put there comes to rest."""
    w = image.shape[1]
    part = image[:, int(max(0, column - 0.12) * w) : int(min(1, column + 0.12) * w) + 1, 3] > 127
    rows = np.flatnonzero(part.any(axis=1))
    return int(rows[0]) if len(rows) else 0


class _Composer:
    """Draws groups in a place: `width` pixels around `centre`, standing at row `floor`."""

    def __init__(self, cutouts: Cutouts, rng: np.random.Generator, centre: float, width: float, floor: int) -> None:
        self.cutouts, self.rng, self.centre, self.width, self.floor = cutouts, rng, centre, width, floor

    def place(self, category: str, image: Rgba, bottom: float, *, ground: bool = True, shift: float = 0.0) -> _Placed:
        """Centred in the place, `shift` pixels aside, its last row at `bottom`."""
        x = round(self.centre + shift - image.shape[1] / 2)
        return _Placed(category=category, image=image, x=x, y=round(bottom - image.shape[0]), ground=ground)

    def _one_of(self, *categories: str) -> str:
        return categories[int(self.rng.integers(len(categories)))]

    def support(self) -> _Group:
        """On a board, a vehicle or a large animal: what is up there and what it is on decide the predicate."""
        base = self._one_of("board", "vehicle", "mammal")
        if base == "board":
            low = self.cutouts.board(self.rng, round(self.rng.uniform(18, 60)), round(self.width * 0.9))
            top = self._one_of("mammal", "bird", "vehicle", "food", "thing")
            word = {"mammal": "standing on", "bird": "standing on", "vehicle": "parked on"}.get(top, "on")
        elif base == "vehicle":
            low = _fit(self.cutouts.draw("vehicle", self.rng), 140, self.width * 0.95)
            top = self._one_of("mammal", "bird", "food", "thing")
            word = "riding" if top in ("mammal", "bird") else "on"
        else:
            low = _fit(self.cutouts.draw("mammal", self.rng, only=_LARGE), 150, self.width * 0.95)
            top = self._one_of("bird", "food")
            word = "on back of" if top == "bird" else "on"
        size = self.rng.uniform(0.4, 0.65) * self.width
        high = _fit(self.cutouts.draw(top, self.rng), size, size)
        below = self.place(base, low, self.floor)
        column = self.rng.uniform(0.4, 0.6)
        rest = below.y + _lowest(low, column) + 0.06 * high.shape[0]
        above = self.place(top, high, rest, ground=False, shift=(column - 0.5) * low.shape[1])
        return _Group(objects=[below, above], relations=[(1, 0, word)])

    def occlusion(self) -> _Group:
        """Two of similar size; the later painted covers part of the other."""
        kinds = [self._one_of("mammal", "vehicle", "thing", "bird") for _ in range(2)]
        size = 0.7 * self.width
        images = [_fit(self.cutouts.draw(kind, self.rng), size * self.rng.uniform(0.85, 1.15), size) for kind in kinds]
        side = self.rng.choice((-1.0, 1.0)) * self.rng.uniform(0.14, 0.2) * self.width
        drop = self.rng.uniform(-6, 6)  # which is lower in the image tells little
        back = self.place(kinds[0], images[0], self.floor, shift=-side)
        front = self.place(kinds[1], images[1], self.floor + drop, shift=side)
        return _Group(objects=[back, front], relations=[(1, 0, "in front of")])

    def framed(self) -> _Group:
        """Within an open frame ("in") or on a solid panel ("attached to")."""
        side = round(self.rng.uniform(0.75, 0.95) * self.width)
        inside = self.rng.random() < 0.5
        hollow = round(self.rng.uniform(0.09, 0.13) * side) if inside else 0
        panel = self.cutouts.board(self.rng, round(side * self.rng.uniform(0.8, 1.1)), side, hollow)
        kind = self._one_of("flower", "food", "thing") if inside else self._one_of("flower", "insect", "food")
        size = side * self.rng.uniform(0.45, 0.6)
        small = _fit(self.cutouts.draw(kind, self.rng), size, size)
        outer = self.place("frame" if inside else _PANEL, panel, self.floor)
        middle = outer.y + panel.shape[0] / 2 + small.shape[0] / 2
        inner = self.place(kind, small, middle, ground=False)
        words = [(1, 0, "in"), (0, 1, "enclosing")] if inside else [(1, 0, "attached to")]
        return _Group(objects=[outer, inner], relations=words)

    def hanging(self) -> _Group:
        """Its top at the lower side of a bar."""
        bar = self.cutouts.board(self.rng, round(self.rng.uniform(12, 22)), round(self.width * 0.95))
        kind = self._one_of("food", "thing", "mammal", "flower")
        size = self.rng.uniform(0.45, 0.7) * self.width
        image = _fit(self.cutouts.draw(kind, self.rng), size, size)
        bottom = self.rng.uniform(60, 110)
        held = self.place(kind, image, bottom + image.shape[0] - 0.05 * image.shape[0], ground=False)
        objects = [held, self.place("bar", bar, bottom, ground=False)]
        return _Group(objects=objects, relations=[(0, 1, "hanging from")])

    def above(self) -> _Group:
        """Something in the air over something on the ground."""
        low_kind = self._one_of("mammal", "vehicle", "thing")
        low = self.place(low_kind, _fit(self.cutouts.draw(low_kind, self.rng), 120, self.width * 0.8), self.floor)
        flies = self.rng.random() < 0.5
        kind = self._one_of("bird", "insect", "aircraft") if flies else self._one_of("food", "thing", "flower")
        size = self.rng.uniform(0.4, 0.6) * self.width
        image = _fit(self.cutouts.draw(kind, self.rng, only=_FLYING if flies and kind != "bird" else ()), size, size)
        high = self.place(kind, image, low.y - self.rng.uniform(20, 50), ground=False)
        return _Group(objects=[low, high], relations=[(1, 0, "flying over" if flies else "over")])

    def eating(self) -> _Group:
        """An animal, and food at its side on the ground; or two animals, which are beside each other."""
        animal = _fit(self.cutouts.draw("mammal", self.rng), 130, 0.62 * self.width)
        food = self.rng.random() < 0.65
        kind = "food" if food else "bird"
        size = self.rng.uniform(0.26, 0.38) * self.width
        image = _fit(self.cutouts.draw(kind, self.rng), size, size)
        side = self.rng.choice((-1.0, 1.0))
        first = self.place("mammal", animal, self.floor, shift=-side * 0.17 * self.width)
        reach = side * (animal.shape[1] / 2 + image.shape[1] / 2 - 2 - 0.17 * self.width)
        second = self.place(kind, image, self.floor, shift=reach, ground=not food)
        if food:
            return _Group(objects=[first, second], relations=[(0, 1, "eating")])
        return _Group(objects=[first, second], relations=[(0, 1, "beside"), (1, 0, "beside")])


_GROUPS: tuple[tuple[Callable[[_Composer], _Group], float], ...] = (
    (_Composer.support, 0.3),
    (_Composer.occlusion, 0.16),
    (_Composer.framed, 0.16),
    (_Composer.hanging, 0.1),
    (_Composer.above, 0.16),
    (_Composer.eating, 0.12),
)


def _compose(cutouts: Cutouts, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int32], _Group] | None:
    """A scene: pixels, each pixel's object (from 1; 0 is background), and its objects; None where one hardly shows."""
    places = int(rng.integers(4, 6))
    width = WIDTH / places
    objects: list[_Placed] = []
    relations: list[tuple[int, int, str]] = []
    standing: list[list[int]] = []
    for i in range(places):
        floor = round(HEIGHT - rng.uniform(12, 70))
        composer = _Composer(cutouts, rng, (i + 0.5) * width, min(200.0, 0.92 * width), floor)
        make = _GROUPS[int(rng.choice(len(_GROUPS), p=[share for _, share in _GROUPS]))][0]
        group = make(composer)
        start = len(objects)
        objects += group.objects
        relations += [(s + start, o + start, word) for s, o, word in group.relations]
        standing.append([start + j for j, one in enumerate(group.objects) if one.ground])
    for left, right in itertools.pairwise(standing):
        for s in left:
            for o in right:
                relations += [(s, o, "beside"), (o, s, "beside")]
    canvas = cutouts.texture(rng, (HEIGHT, WIDTH)).astype(np.float32)
    ids = np.zeros((HEIGHT, WIDTH), np.int32)
    own = []
    for number, one in enumerate(objects, start=1):
        y0, x0 = max(0, one.y), max(0, one.x)
        part = one.image[y0 - one.y : HEIGHT - one.y, x0 - one.x : WIDTH - one.x].astype(np.float32)
        if not part.size:
            return None
        spot = slice(y0, y0 + part.shape[0]), slice(x0, x0 + part.shape[1])
        alpha = part[..., 3:] / 255
        canvas[spot] = alpha * part[..., :3] + (1 - alpha) * canvas[spot]
        ids[spot][part[..., 3] > 127] = number
        own.append(int((one.image[..., 3] > 127).sum()))
    shown = np.bincount(ids.reshape(-1), minlength=len(objects) + 1)[1:]
    if (shown < MIN_PIXELS).any() or (shown < MIN_VISIBLE * np.array(own)).any():
        return None
    return np.round(canvas).astype(np.uint8), ids, _Group(objects=objects, relations=relations)


def write_scenes(root: Path, stamps: Path, photos: Sequence[Path], *, train: int, test: int, seed: int = 0) -> None:
    """Writes a data set in PSG's layout: psg.json, and images and panoptic PNGs below coco/.

    Args:
        root: its folder; what is there already is written again, the same.
        stamps: the folder of tuxpaint's stamps.
        photos: photos.
        train: scenes to train on.
        test: held-out scenes.
        seed: of everything.
    """
    data, held = [], []
    for part, count in (("train", train), ("test", test)):
        cutouts = Cutouts(stamps, photos, part == "test")
        for i in range(count):
            rng = np.random.default_rng([seed, part == "test", i])
            scene = None
            while scene is None:
                scene = _compose(cutouts, rng)
            key = f"{'9' if part == 'test' else '1'}{i:05d}"
            data.append(_written(root, key, *scene))
            if part == "test":
                held.append(key)
    document = {
        "thing_classes": list(CATEGORIES),
        "stuff_classes": ["background"],
        "predicate_classes": list(PREDICATES),
        "test_image_ids": held,
        "data": data,
    }
    (root / "psg.json").write_text(json.dumps(document), encoding="utf-8")


def _written(
    root: Path, key: str, pixels: NDArray[np.uint8], ids: NDArray[np.int32], scene: _Group
) -> dict[str, object]:
    names = f"train2017/{key}.png", f"panoptic_train2017/{key}.png"
    for name, image in zip(names, (pixels, _coloured(ids)), strict=True):
        (root / "coco" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / "coco" / name, compress_level=1)
    segments, boxes = [], []
    for number, one in enumerate(scene.objects, start=1):
        rows, columns = (np.flatnonzero((ids == number).any(axis=axis)) for axis in (1, 0))
        category = CATEGORIES.index(one.category)
        area = int((ids == number).sum())
        segments.append({"id": number, "category_id": category, "isthing": 1, "iscrowd": 0, "area": area})
        box = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
        boxes.append({"bbox": box, "bbox_mode": 0, "category_id": category})
    return {
        "file_name": names[0],
        "pan_seg_file_name": names[1],
        "height": HEIGHT,
        "width": WIDTH,
        "image_id": key,
        "segments_info": segments,
        "annotations": boxes,
        "relations": [[s, o, PREDICATES.index(word)] for s, o, word in scene.relations],
    }


def _coloured(ids: NDArray[np.int32]) -> NDArray[np.uint8]:
    """R + 256·G + 256²·B."""
    return np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=2).astype(np.uint8)
