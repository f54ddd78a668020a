"""Makes src/semetric/data/deepjscc_*.safetensors: gathers the photos, trains, measures on held-out photos.

The photos are those of Debian's gcompris-qt-data that `benchmarks.photos` does not list, and, where their folders
are given, those of mate-backgrounds and plasma-workspace-wallpapers. The photos of `benchmarks.photos` and those of
scikit-image are never among them, nor is any that looks like one of them: the package has some scenes twice.

    apt-get download mate-backgrounds plasma-workspace-wallpapers; for p in *.deb; do dpkg -x $p more; done
    python -m benchmarks.deepjscc_weights photos --out photos --more more
    OMP_NUM_THREADS=1 python -m benchmarks.deepjscc_weights train --photos photos --out plain
    OMP_NUM_THREADS=1 python -m benchmarks.deepjscc_weights train --photos photos --out 16qam --constellation 16qam
    python -m benchmarks.deepjscc_weights measure --weights plain/weights.safetensors
    python -m benchmarks.deepjscc_weights curve --run plain --run 16qam --out docs/images/lab/deepjscc_training.png
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.photos import PHOTOS, carve, photo_folder, photos
from semetric.lab.deepjscc.config import Constellation, DeepJsccConfig
from semetric.lab.deepjscc.training import DeepJsccTrainer, train
from semetric.lab.deepjscc.training_config import DeepJsccTraining
from semetric.training import TrainingProgress

__all__ = ["candidates", "gather", "jpeg_psnr_db", "looks_like", "psnr_db", "recipe"]

SOURCES = (
    "categorization",
    "erase",
    "explore_farm_animals",
    "explore_monuments",
    "explore_world_animals",
    "explore_world_music",
)
# Of plasma-workspace-wallpapers, those that are photographs and not drawings.
WALLPAPERS = (
    "BytheWater",
    "ColdRipple",
    "ColorfulCups",
    "DarkestHour",
    "EveningGlow",
    "FallenLeaf",
    "Grey",
    "Kite",
    "OneStandsOut",
    "Path",
    "summer_1am",
)
STORED_SIDE = 1024  # pixels, longest side of the gathered photos
THUMB = 24
ALIKE = 0.9  # correlation of two thumbnails above which they are one scene

STEPS = 6_000


def recipe(constellation: Constellation) -> DeepJsccTraining:
    """How the shipped weights of a constellation were trained; everything else is the default."""
    network = DeepJsccConfig(constellation=constellation)
    return DeepJsccTraining(network=network, steps=STEPS)


def candidates(root: Path, more: Path | None) -> Iterator[tuple[str, Image.Image]]:
    """Every photo that may train, by name, before those alike to held-out ones are taken out."""
    held = {photo.sha256 for photo in PHOTOS if photo.sha256}
    for source in SOURCES:
        for i, stream in enumerate(carve(next(root.rglob(f"{source}.rcc")))):
            if hashlib.sha256(stream).hexdigest()[:12] not in held:
                yield f"{source}_{i:03d}", Image.open(io.BytesIO(stream)).convert("RGB")
    if more is None:
        return
    for path in sorted(more.rglob("backgrounds/mate/nature/*.jpg")):
        yield f"mate_{path.stem}", Image.open(path).convert("RGB")
    for name in WALLPAPERS:
        path = next(more.rglob(f"wallpapers/{name}/contents/images/2560x1600.jpg"))
        yield f"plasma_{name}", Image.open(path).convert("RGB")


def looks_like(image: NDArray[np.uint8], others: NDArray[np.float64]) -> float:
    """The highest correlation of a photo's thumbnail, or of its mirror image, with other thumbnails.

    Args:
        image: (H, W, 3).
        others: (N, D) as `_thumb` makes them.
    """
    both = (_thumb(image), _thumb(image[:, ::-1]))
    return max(float((others @ thumb).max()) for thumb in both)


def _thumb(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    small = Image.fromarray(np.ascontiguousarray(image)).convert("L").resize((THUMB, THUMB), Image.Resampling.BOX)
    values = np.asarray(small, np.float64).ravel()
    values = values - values.mean()
    return np.asarray(values / max(1e-9, float(np.linalg.norm(values))))


def gather(out: Path, *, folder: Path | None = None, more: Path | None = None) -> int:
    """Writes the training photos as PNG files; returns how many."""
    held = np.stack([_thumb(pixels) for _, pixels in photos(len(PHOTOS), folder=folder)])
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for name, image in candidates(photo_folder(folder), more):
        likeness = looks_like(np.asarray(image), held)
        if likeness > ALIKE:
            print(f"{name} is left out: it looks like a held-out photo (correlation {likeness:.2f})")
            continue
        image.thumbnail((STORED_SIDE, STORED_SIDE), Image.Resampling.LANCZOS)
        image.save(out / f"{name}.png")
        count += 1
    return count


def _train(arguments: argparse.Namespace) -> None:
    config = recipe(arguments.constellation)
    began = time.time()

    def tell(now: TrainingProgress) -> None:
        if now.step % 250 == 0 or now.step == 20:
            psnr = "" if now.score is None else f", held-out PSNR {now.score:.2f} dB"
            print(f"{now.step}/{now.steps} after {time.time() - began:.0f} s: loss {now.loss:.3f}{psnr}", flush=True)

    done = train(arguments.photos, arguments.out, config, progress=tell)
    print(json.dumps({"photos": done.photos, "digest": done.digest, "step": done.step, "psnr_db": done.psnr_db}))


def _measure(arguments: argparse.Namespace) -> None:
    from semetric.lab.deepjscc.system import DeepJsccSystem
    from semetric.lab.systems import generator

    system = DeepJsccSystem(weights=arguments.weights)
    found = photos(arguments.count)
    began = time.process_time()
    system.send(found[0][1], 10.0, np.random.default_rng(0))
    print(f"{time.process_time() - began:.2f} s of processor time for {found[0][1].shape}")
    print("SNR (dB)  PSNR (dB)  lowest  highest  uses per pixel  JPEG at capacity (bits per pixel)")
    for snr_db in range(-5, 26, 5):
        rows, uses, jpeg, rates = [], [], [], []
        for name, pixels in found:
            got = system.send(pixels, float(snr_db), generator(name, system.name, float(snr_db)))
            rows.append(psnr_db(pixels, got.pixels))
            uses.append(got.uses_per_pixel or 0.0)
            rates.append(uses[-1] * math.log2(1.0 + 10.0 ** (snr_db / 10)))
            jpeg.append(jpeg_psnr_db(pixels, rates[-1]))
        print(
            f"{snr_db:8d}  {np.mean(rows):9.2f}  {min(rows):6.2f}  {max(rows):7.2f}  {np.mean(uses):14.4f}  "
            f"{np.mean(jpeg):.2f} ({np.mean(rates):.2f})",
            flush=True,
        )
    half = [jpeg_psnr_db(pixels, 0.5) for _, pixels in found]
    print(f"JPEG at 0.5 bits per pixel, without a channel: {np.mean(half):.2f} dB")


def psnr_db(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Over all channels of two (H, W, 3) images."""
    mse = float(np.square(a.astype(np.float64) - b).mean())
    return 10.0 * math.log10(255.0**2 / max(mse, 1e-9))


def jpeg_psnr_db(pixels: NDArray[np.uint8], rate_bpp: float) -> float:
    """PSNR of the highest JPEG quality whose file is within the rate; of quality 1 where none is."""
    low, high = 1, 95
    while low < high:
        middle = (low + high + 1) // 2
        if 8 * len(_jpeg(pixels, middle)) <= rate_bpp * pixels.shape[0] * pixels.shape[1]:
            low = middle
        else:
            high = middle - 1
    return psnr_db(pixels, np.asarray(Image.open(io.BytesIO(_jpeg(pixels, low))).convert("RGB")))


def _jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def _curve(arguments: argparse.Namespace) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(arguments.run), figsize=(4.5 * len(arguments.run), 3.2), squeeze=False)
    for axis, run in zip(axes[0], arguments.run, strict=True):
        with (run / DeepJsccTrainer.LOG).open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        steps = [float(row["step"]) for row in rows]
        for name in (column for column in rows[0] if column.startswith("psnr_db_at_")):
            snr = name.removeprefix("psnr_db_at_").removesuffix("db")
            axis.plot(steps, [float(row[name]) for row in rows], label=f"SNR {snr} dB")
        axis.set(xlabel="training step", ylabel="held-out PSNR (dB)", title=run.name)
        axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(arguments.out, dpi=120)


def main() -> None:
    """The steps of the recipe."""
    parser = argparse.ArgumentParser(description="Makes the DeepJSCC weights that the package carries.")
    steps = parser.add_subparsers(required=True)
    step = steps.add_parser("photos", help="gather the training photos")
    step.add_argument("--out", type=Path, required=True)
    step.add_argument("--more", type=Path, help="where the other two packages are unpacked")
    step.set_defaults(run_step=lambda given: print(gather(given.out, more=given.more), "photos"))
    step = steps.add_parser("train", help="train, or go on")
    step.add_argument("--photos", type=Path, required=True)
    step.add_argument("--out", type=Path, required=True)
    step.add_argument("--constellation", choices=get_args(Constellation), default="none")
    step.set_defaults(run_step=_train)
    step = steps.add_parser("measure", help="PSNR on the held-out photos")
    step.add_argument("--weights", type=Path, required=True)
    step.add_argument("--count", type=int, default=24)
    step.set_defaults(run_step=_measure)
    step = steps.add_parser("curve", help="draw the learning curves")
    step.add_argument("--run", type=Path, action="append", required=True)
    step.add_argument("--out", type=Path, required=True)
    step.set_defaults(run_step=_curve)
    arguments = parser.parse_args()
    arguments.run_step(arguments)


if __name__ == "__main__":
    main()
