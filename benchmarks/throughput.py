"""Pairs a second, by metric and batch size, and each metric's peak memory. Writes docs/throughput.md.

    python -m benchmarks.throughput [--pairs 8] [--metric NAME]… [--official FOLDER] [--official-pairs 32]

Every metric runs in a process of its own, on 512 × 512 crops of scikit-image's photos that are all
different, with nothing cached: the worst case, since a folder usually shares references. Loading is
not counted. Without --metric, what the profile lite can score; with it the page keeps the other rows.

--official names a folder with the authors' packages, each in a Python environment of its own, and weights:
`samscore/bin/python` (samscore 1.34) and `sam_vit_b.pth`, any SAM ViT-B checkpoint; `dreamsim/bin/python`
(dreamsim 0.2.1) and `dreamsim_weights`, a folder as it unpacks `dino_vitb16`. What is there of the two is
measured: both sides score one folder on the same weights, one after the other; the page gains their ratio, and the
torch operations that our time goes to. No metric is measured beside it unless named.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from semetric.results.files import write_json

__all__ = ["pairs"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "throughput.md"
RESULTS = Path(__file__).parent / "results" / "throughput.json"
MARK = "<!-- by hand -->"
BATCHES = (1, 4, 16)
SIDE = 512

TIMED = """
import sys, time

def timed(once):
    names = sys.argv[2:]
    once(names[:1], names[1:2])
    begin, cpu = time.perf_counter(), time.process_time()
    values = once(names[::2], names[1::2])
    print(time.perf_counter() - begin, time.process_time() - cpu, *values)
"""

PROFILED = """
import sys, time
from torch.profiler import ProfilerActivity, profile

def timed(once):
    names = sys.argv[2:]
    once(names[:1], names[1:2])
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        begin = time.perf_counter()
        once(names[::2], names[1::2])
        whole = (time.perf_counter() - begin) * 1e6
    kinds = sorted(((kind.self_cpu_time_total / whole, kind.key) for kind in seen.key_averages()), reverse=True)[:6]
    for share, kind in [*kinds, (1 - sum(share for share, _ in kinds), "everything else")]:
        print(kind, share)
"""

SAMSCORE = """
import torch
library = torch.library.Library("torchvision", "DEF")  # what torchvision's compiled part would register
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import cv2
read = cv2.imread
cv2.imread = lambda path: cv2.cvtColor(read(path), cv2.COLOR_BGR2RGB)  # the package takes BGR for RGB
import samscore
metric = samscore.SAMScore(model_type="vit_b", model_weight_path=sys.argv[1])
timed(lambda left, right: [
    float(metric.evaluation_from_path(source_image_path=a, generated_image_path=b)) for a, b in zip(left, right)
])
"""

DREAMSIM = """
import torch
from PIL import Image
import dreamsim.model
from dreamsim.feature_extraction import vision_transformer

def trunk(*args, **kwargs):  # what torch.hub would fetch
    net = vision_transformer.vit_base(patch_size=16)
    net.load_state_dict(torch.load(sys.argv[1] + "/checkpoints/dino_vitbase16_pretrain.pth", weights_only=True))
    return net

torch.hub.load = trunk
dreamsim.model.download_weights = lambda **kwargs: None
net, prepare = dreamsim.model.dreamsim(cache_dir=sys.argv[1], dreamsim_type="dino_vitb16", device="cpu")
with torch.no_grad():
    timed(lambda left, right: [
        float(net(prepare(Image.open(a)), prepare(Image.open(b)))) for a, b in zip(left, right)
    ])
"""

OURS = """
import semetric
metric = semetric.create({options}, store=None, device="cpu")
timed(lambda left, right: [score.value for score in metric.batch(left, right)])
"""

# package, title, weights, the authors' program, ours, the largest difference allowed between values
PACKAGES = (
    (
        "samscore",
        "SAMScore on SAM ViT-B, samscore 1.34",
        "sam_vit_b.pth",
        SAMSCORE,
        OURS.replace("{options}", '"samscore", sam=sys.argv[1], padding="include"'),
        1e-3,
    ),
    (
        "dreamsim",
        "DreamSim on dino_vitb16, dreamsim 0.2.1",
        "dreamsim_weights",
        DREAMSIM,
        OURS.replace("{options}", '"dreamsim", dreamsim="dino_vitb16", dreamsim_weights=sys.argv[1]'),
        1e-4,
    ),
)


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


def against_official(folder: Path, count: int = 32) -> dict[str, dict[str, Any]]:
    """For each package whose weights are there a row of both sides' times on `count` pairs, and where ours goes.

    Raises:
        SystemExit: the two differ in value by more than their parity tests allow.
    """
    from PIL import Image

    measured = {}
    with tempfile.TemporaryDirectory() as place:
        names = []
        for i, both in enumerate(pairs(count)):
            for kind, pixels in zip("ab", both, strict=True):
                names.append(f"{place}/{i}{kind}.png")
                Image.fromarray(pixels).save(names[-1])
        for package, title, weights, theirs, ours, allowed in PACKAGES:
            if not (folder / weights).exists():
                continue
            found = []
            for python, program in ((str(folder / package / "bin" / "python"), theirs), (sys.executable, ours)):
                command = [python, "-c", TIMED + program, str(folder / weights), *names]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                found.append([float(v) for v in done.stdout.splitlines()[-1].split()])
            (wall, cpu, *values), (own_wall, own_cpu, *own_values) = found
            difference = max(abs(a - b) for a, b in zip(values, own_values, strict=True))
            if not difference <= allowed:
                raise SystemExit(f"{title}: expected values within {allowed} of the package's; found {difference:.2g}.")
            command = [sys.executable, "-c", PROFILED + ours, str(folder / weights), *names]
            shown = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-7:]
            measured[title] = {
                "pairs": count,
                "theirs_s": wall,
                "ours_s": own_wall,
                "theirs_cpu_s": cpu,
                "ours_cpu_s": own_cpu,
                "difference": difference,
                "where": {kind: float(share) for kind, _, share in (line.rpartition(" ") for line in shown)},
            }
            print(measured[title], flush=True)
    return measured


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


def main() -> None:
    """Measures and writes the page."""
    parser = argparse.ArgumentParser(description="Pairs a second by metric and batch size.")
    parser.add_argument("--pairs", type=int, default=16, help="pairs a measurement")
    parser.add_argument("--metric", action="append", help="this one; repeat for more")
    parser.add_argument("--official", type=Path, help="a folder with the authors' packages and weights")
    parser.add_argument("--official-pairs", type=int, default=32)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(one_metric(options.child, options.pairs)))
        return
    from semetric.metrics.registry import default_metrics
    from semetric.profiles import profile

    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if known.get("machine") != machine():
        known = {"machine": machine(), "metrics": {}, "official": {}}
    every = default_metrics(profile("lite"))
    names = options.metric or ([] if options.official else every)
    for name in names:
        count = options.pairs if name != "sess" else max(1, options.pairs // 4)
        command = [sys.executable, "-m", "benchmarks.throughput", "--child", name, "--pairs", str(count)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        known["metrics"][name] = {"pairs": count, **found}
        print(name, known["metrics"][name], flush=True)
    if options.official:
        known["official"].update(against_official(options.official, options.official_pairs))
    write_json(RESULTS, known)
    order = [*(name for name in every if name in known["metrics"]), *(n for n in known["metrics"] if n not in every)]
    PAGE.write_text("\n".join(_page(known, order)), encoding="utf-8")


def _page(known: dict[str, Any], names: Sequence[str]) -> list[str]:
    text = [
        "# Throughput",
        "",
        f"Pairs a second on {known['machine']}, by `python -m benchmarks.throughput`: 512 × 512 images, all different,",
        "nothing cached, loading not counted. Shared references and second runs take their embeddings from the cache.",
        "",
        "| metric | batch 1 | batch 4 | batch 16 | peak memory |",
        "|---|--:|--:|--:|--:|",
    ]
    for name in names:
        found = known["metrics"][name]
        cells = [_number(found[str(b)]) if str(b) in found else "–" for b in BATCHES]
        text.append(f"| {name} | {' | '.join(cells)} | {found['peak'] / 1e9:.2f} GB |")
    if known["official"]:
        text += [
            "",
            "## Against the authors' packages",
            "",
            "512 × 512 PNG files, both sides on the same weights, one after the other. "
            "Below: where Semetric's time goes.",
            "",
            "| package | pairs | package, s | Semetric, s | ratio | in processor time | largest difference |",
            "|---|--:|--:|--:|--:|--:|--:|",
        ]
        for title, one in known["official"].items():
            ratios = (one["theirs_s"] / one["ours_s"], one["theirs_cpu_s"] / one["ours_cpu_s"])
            times = f"{one['theirs_s']:.0f} | {one['ours_s']:.0f} | {ratios[0]:.2f} × | {ratios[1]:.2f} ×"
            text.append(f"| {title} | {one['pairs']} | {times} | {one['difference']:.1g} |")
        for title, one in known["official"].items():
            shares = ", ".join(f"`{kind}` {share:.0%}" for kind, share in one["where"].items())
            text += ["", f"{title}: {shares.replace('`everything else`', 'everything else')}."]
    kept = PAGE.read_text(encoding="utf-8").partition(MARK)[2] if PAGE.exists() else "\n"
    return [*text, "", MARK + kept]


if __name__ == "__main__":
    main()
