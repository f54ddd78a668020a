"""Pairs a second, by metric and batch size, and each metric's peak memory. Writes docs/throughput.md.

    python -m benchmarks.throughput [--pairs 8] [--metric NAME]… [--official FOLDER]

Every metric runs in a process of its own, on 512 × 512 crops of scikit-image's photos that are all
different, with nothing cached: the worst case, since a folder usually shares references. Loading is
not counted. Without --metric, what the profile lite can score.

--official names a folder with a Python environment (`bin/python`) that holds the package samscore
1.34, and `sam_vit_b.pth`, any SAM ViT-B checkpoint: then both score one 32-pair folder on those weights,
one after the other, and the page gains their ratio.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine

__all__ = ["pairs"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "throughput.md"
BATCHES = (1, 4, 16)
SIDE = 512

OFFICIAL = """
import sys, time, types
import torch
library = torch.library.Library("torchvision", "DEF")  # what torchvision's compiled part would register
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import samscore
metric = samscore.SAMScore(model_type="vit_b", model_weight_path=sys.argv[1])
names = sys.argv[2:]
metric.evaluation_from_path(source_image_path=names[0], generated_image_path=names[1])
begin, cpu = time.perf_counter(), time.process_time()
values = [
    float(metric.evaluation_from_path(source_image_path=a, generated_image_path=b))
    for a, b in zip(names[::2], names[1::2])
]
print(time.perf_counter() - begin, time.process_time() - cpu)
"""

OURS = """
import sys, time
import semetric
metric = semetric.create("samscore", sam=sys.argv[1], padding="include", store=None)
names = sys.argv[2:]
metric(names[0], names[1])
begin, cpu = time.perf_counter(), time.process_time()
metric.batch(names[::2], names[1::2])
print(time.perf_counter() - begin, time.process_time() - cpu)
"""


def pairs(count: int, seed: int = 0) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Distinct (512, 512, 3) photos, and each with noise of σ 20."""
    from skimage import data

    rng = np.random.default_rng(seed)
    sources = [data.astronaut(), data.coffee(), data.rocket()]
    found = []
    for i in range(count):
        photo = sources[i % 3]
        y, x = (int(rng.integers(0, max(1, side - 399))) for side in photo.shape[:2])
        crop = np.ascontiguousarray(np.pad(photo[y : y + 400, x : x + 400], ((56, 56), (56, 56), (0, 0)), "reflect"))
        noisy = np.clip(crop + rng.normal(0, 20, crop.shape), 0, 255).astype(np.uint8)
        found.append((crop, noisy))
    return found


def one_metric(name: str, count: int) -> dict[str, float]:
    """Pairs a second at each batch size, and the peak memory in bytes. Runs in a process of its own."""
    import resource

    import semetric

    everything = pairs(count + 1)
    figures = {}
    for batch in BATCHES:
        if batch > count:
            continue
        metric = semetric.create(name, store=None)
        metric(*everything[-1])  # loads, compiles
        begin = time.perf_counter()
        for i in range(0, count, batch):
            part = everything[i : i + batch]
            metric.batch([a for a, _ in part], [b for _, b in part])
        figures[str(batch)] = count / (time.perf_counter() - begin)
    figures["peak"] = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    return figures


def against_official(folder: Path, count: int = 32) -> str:
    """A sentence with both packages' times on one folder."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as place:
        names = []
        for i, both in enumerate(pairs(count)):
            for kind, pixels in zip("ab", both, strict=True):
                names.append(f"{place}/{i}{kind}.png")
                Image.fromarray(pixels).save(names[-1])
        seconds = {}
        for who, python, program in (
            ("official", str(folder / "bin" / "python"), OFFICIAL),
            ("ours", sys.executable, OURS),
        ):
            done = subprocess.run(
                [python, "-c", program, str(folder / "sam_vit_b.pth"), *names],
                capture_output=True,
                text=True,
                check=True,
            )
            seconds[who] = [float(v) for v in done.stdout.split()[-2:]]
    wall, cpu = (seconds["official"][i] / seconds["ours"][i] for i in (0, 1))
    return (
        f"SAMScore on SAM ViT-B, {count} pairs of 512 × 512 files: the package samscore 1.34 takes "
        f"{seconds['official'][0]:.0f} s, this one {seconds['ours'][0]:.0f} s on the same weights, **{wall:.2f} ×** "
        f"({cpu:.2f} × in processor time)."
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


def main() -> None:
    """Measures and writes the page."""
    parser = argparse.ArgumentParser(description="Pairs a second by metric and batch size.")
    parser.add_argument("--pairs", type=int, default=16, help="pairs a measurement")
    parser.add_argument("--metric", action="append", help="only this one; repeat for more")
    parser.add_argument("--official", type=Path, help="a folder with bin/python and sam_vit_b.pth")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(one_metric(options.child, options.pairs)))
        return
    from semetric.metrics.registry import default_metrics
    from semetric.profiles import profile

    names = options.metric or default_metrics(profile("lite"))
    rows = []
    for name in names:
        count = options.pairs if name != "sess" else max(1, options.pairs // 4)
        command = [sys.executable, "-m", "benchmarks.throughput", "--child", name, "--pairs", str(count)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        cells = [_number(found[str(b)]) if str(b) in found else "–" for b in BATCHES]
        rows.append(f"| {name} | {' | '.join(cells)} | {found['peak'] / 1e9:.2f} GB |")
        print(rows[-1], flush=True)
    text = [
        "# Throughput",
        "",
        f"Pairs a second on {machine()}, by `python -m benchmarks.throughput`: 512 × 512 images, all different,",
        "nothing cached, loading not counted. Shared references and second runs take their embeddings from the cache.",
        "",
        "| metric | batch 1 | batch 4 | batch 16 | peak memory |",
        "|---|--:|--:|--:|--:|",
        *rows,
    ]
    if options.official:
        text += ["", "## Against the authors' package", "", against_official(options.official)]
    kept = PAGE.read_text(encoding="utf-8").partition("<!-- by hand -->")[2] if PAGE.exists() else "\n"
    PAGE.write_text("\n".join([*text, "", "<!-- by hand -->"]) + kept, encoding="utf-8")


if __name__ == "__main__":
    main()
