"""A small data set in PSG's layout, drawn, and a stand-in for SAM that finds its shapes by their colour.

Each image has a grey board with a thing on it and a ball at its side. Red things are "standing on" the board, blue
ones "riding" it: geometry is the same, colour alone tells. The ball is "beside" the board.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from semetric.models.sam.mask_decoder import Decoded
from semetric.models.sam.model import MEAN, STD
from semetric.scene.predicates import PREDICATES

SIZE = (48, 64)
RED, BLUE, GREY, GREEN = (220, 30, 30), (30, 40, 220), (110, 110, 110), (30, 200, 60)
STANDING, RIDING, BESIDE = (PREDICATES.index(name) for name in ("standing on", "riding", "beside"))
_BACKDROP = (250, 240, 200)


def drawn(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int32], bool]:
    """Pixels, each pixel's segment (1 board, 2 thing, 3 ball; 0 none), and whether the thing is red."""
    pixels = np.full((*SIZE, 3), _BACKDROP, np.uint8)
    ids = np.zeros(SIZE, np.int32)
    red = bool(rng.random() < 0.5)
    y, x = int(rng.integers(28, 38)), int(rng.integers(2, 14))
    ids[y : y + 8, x : x + 24] = 1
    ids[y - 12 : y, x + 6 : x + 6 + int(rng.integers(6, 14))] = 2
    ids[y - 2 : y + 8, x + 30 : x + 40] = 3
    for number, colour in ((1, GREY), (2, RED if red else BLUE), (3, GREEN)):
        pixels[ids == number] = colour
    return pixels, ids, red


def write_psg(root: Path, *, train: int = 8, test: int = 4, seed: int = 0) -> Path:
    """Writes the data set; returns its folder."""
    rng = np.random.default_rng(seed)
    data: list[dict[str, Any]] = []
    for i in range(train + test):
        pixels, ids, red = drawn(rng)
        names = f"train2017/{i:03d}.png", f"panoptic_train2017/{i:03d}.png"
        colours = np.stack([ids % 256, ids // 256, 0 * ids], axis=2).astype(np.uint8)
        for name, image in zip(names, (pixels, colours), strict=True):
            (root / "coco" / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(root / "coco" / name)
        segments = [
            {"id": n, "category_id": n - 1, "isthing": 1, "iscrowd": 0, "area": int((ids == n).sum())}
            for n in (1, 2, 3)
        ]
        relations = [[1, 0, STANDING if red else RIDING], [2, 0, BESIDE], [0, 2, BESIDE], [0, 2, BESIDE]]
        data.append(
            {
                "file_name": names[0],
                "pan_seg_file_name": names[1],
                "height": SIZE[0],
                "width": SIZE[1],
                "image_id": f"{i:03d}",
                "segments_info": segments,
                "annotations": [{"bbox": [0, 0, 1, 1], "bbox_mode": 0, "category_id": n} for n in range(3)],
                "relations": relations,
            }
        )
    document = {
        "thing_classes": ["board", "thing", "ball"],
        "stuff_classes": ["wall"],
        "predicate_classes": list(PREDICATES),
        "test_image_ids": [f"{i:03d}" for i in range(train, train + test)],
        "data": data,
    }
    (root / "psg.json").write_text(json.dumps(document))
    return root


class FakeSam:
    """Answers a point with all pixels of its colour; of three masks the second is that, the others are worse.

    With `blind`, a point gives nothing and only point and box together do.
    """

    def __init__(self, blind: bool = False) -> None:
        self.blind = blind
        self.encoded = 0
        self.boxes = 0

    def encode(self, prepared: Tensor) -> Tensor:
        """(1, 3, 1024, 1024) → (1, 3, 1024, 1024) in 0..255."""
        self.encoded += 1
        return prepared * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]

    def decode(self, embedding: Tensor, points: Tensor, labels: Tensor, *, boxes: Tensor | None = None) -> Decoded:
        """As Sam.decode."""
        self.boxes += boxes is not None
        logits, tokens = [], []
        for x, y in points[:, 0].tolist():
            colour = embedding[:, int(y), int(x)]
            apart = (embedding - colour[:, None, None]).abs().amax(dim=0)
            same = torch.where(apart < 20, 10.0, -10.0)[2::4, 2::4]
            worse = torch.full_like(same, -10.0)
            logits.append(torch.stack([worse, worse if self.blind and boxes is None else same, -same]))
            token = torch.zeros(256)
            token[:3] = colour / 128 - 1
            rows, columns = torch.nonzero(same > 0).float().T
            token[3:6] = torch.stack([rows.mean(), columns.mean(), rows.numel() ** 0.5 * torch.ones(())]) / 128 - 1
            tokens.append(torch.stack([0 * token, token, 0 * token]))
        n = len(points)
        return Decoded(torch.stack(logits), torch.full((n, 3), 0.9), torch.stack(tokens), torch.arange(n))
