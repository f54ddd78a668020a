"""Tuning SeSS: how long 200 trials over 300 triplets take, and whether known settings come out again.

    OMP_NUM_THREADS=1 python -m benchmarks.tuning [--workers 2] [--json FILE] [--pictures DIR]

Judgements are simulated with the paper's settings (Table II) and noise, on graphs of 24 photos and of two edits of each
(made once, then cached), and on random graphs. The budget: 200 trials over 300 triplets (600 pairs) of cached graphs in
under 5 minutes on two cores. Coverage: how often 95% intervals hold the true values over repeated noise.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from benchmarks.photos import photos
from benchmarks.simulated_judgements import random_graphs, simulated
from semetric.image import read_image
from semetric.learn.tuning import Judged, Space, TuneOptions, Tuning, tune
from semetric.learn.tuning.intervals import from_errors
from semetric.learn.tuning.memo import Memo
from semetric.learn.tuning.objectives import objective
from semetric.learn.tuning.refine import refine
from semetric.learn.tuning.samplers import best, search
from semetric.metrics.sess import cosine
from semetric.metrics.sess_settings import SessSettings
from semetric.scene.batch import PairBatch, RelatedGraph
from semetric.scene.build import GraphBuilder
from semetric.scene.graph import SceneGraph
from semetric.scoring import runtime

TRIPLETS = 300
REFERENCES = 24
TRIALS = 200
NOISE = 0.05  # standard deviation of a judgement; on the scale of SeSS
TABLE_II = {"alpha": 0.25, "beta": 0.05, "gamma": 0.10, "saliency_root": 2.25}


def edits(pixels: NDArray[np.uint8], other: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Two candidates: the middle of the photo, and the photo with its right half from another."""
    h, w = pixels.shape[:2]
    middle = pixels[h // 8 : h - h // 8, w // 8 : w - w // 8].copy()
    mixed = pixels.copy()
    part = other[:h, : w // 2]
    mixed[: part.shape[0], w - part.shape[1] :] = part
    return [middle, mixed]


def real_batch(workers: int) -> tuple[PairBatch, NDArray[np.int64]]:
    """600 pairs of graphs from photos, and each triplet's reference."""
    builder = GraphBuilder(runtime("lite"))
    found = photos(REFERENCES + 1)  # the last lends its left half to the one before
    graphs: list[SceneGraph] = []
    number: dict[tuple[int, int], int] = {}
    for i, (_, pixels) in enumerate(found[:REFERENCES]):
        for j, version in enumerate([pixels, *edits(pixels, found[i + 1][1])]):
            number[i, j] = len(graphs)
            graphs.append(builder(read_image(version)))
    rng = np.random.default_rng(0)
    pairs, group = [], []
    for t in range(TRIPLETS):
        i = t % REFERENCES
        near = [number[i, 1], number[i, 2]]
        far = [number[int(k), int(rng.integers(0, 3))] for k in rng.choice(np.delete(np.arange(REFERENCES), i), 2)]
        candidates = (near, [near[0], far[0]], [near[1], far[0]], far)[(t // REFERENCES) % 4]
        pairs += [(number[i, 0], c) for c in candidates]
        group.append(i)
    alike = [cosine(graphs[i].image_feature, graphs[j].image_feature) for i, j in pairs]
    related = [RelatedGraph.of(graph) for graph in graphs]
    batch = PairBatch(related, np.array(pairs), builder.predicate_similarity, alike, workers=workers)
    return batch, np.array(group)


def random_batch(workers: int) -> tuple[PairBatch, NDArray[np.int64]]:
    """600 pairs of random graphs of 4 to 16 objects, and each triplet's reference."""
    graphs, pairs, likeness, alike = random_graphs(60, 10, np.random.default_rng(0))
    return PairBatch(graphs, pairs, likeness, alike, workers=workers), np.repeat(np.arange(60), 5)


def timed(batch: PairBatch, judged: Judged, folds: int) -> tuple[Tuning, dict[str, Any]]:
    """One tuning, with its times: the search alone, and with refinement, intervals and folds."""
    space = Space()
    memo = Memo(batch)
    aim = objective("mse")
    begin, cpu = time.perf_counter(), time.process_time()
    search(space, lambda settings: aim.loss(memo(settings), judged), trials=TRIALS)
    alone = time.perf_counter() - begin, time.process_time() - cpu
    begin, cpu = time.perf_counter(), time.process_time()
    found = tune(judged, batch, space, TuneOptions(trials=TRIALS, folds=folds))
    whole = time.perf_counter() - begin, time.process_time() - cpu
    times = {
        "search_s": alone[0],
        "search_cpu_s": alone[1],
        "ms_a_pair": 1e3 * alone[1] / TRIALS / len(batch),
        "whole_s": whole[0],
        "whole_cpu_s": whole[1],
        "evaluations": found.evaluations,
    }
    return found, times


def coverage(
    batch: PairBatch, group: NDArray[np.int64], space: Space, repeats: int
) -> tuple[dict[str, int], dict[str, list[tuple[float, float, float]]]]:
    """How many of the repeats' intervals hold the true value, by parameter; and (low, found, high) of each."""
    memo = Memo(batch)
    held = {p.name: 0 for p in space.parameters}
    every: dict[str, list[tuple[float, float, float]]] = {p.name: [] for p in space.parameters}
    aim = objective("mse")
    for repeat in range(repeats):
        judged = simulated(batch, group, np.random.default_rng([1, repeat]), noise=NOISE)
        start = best(search(space, lambda s, j=judged: aim.loss(memo(s), j), trials=TRIALS)).settings  # type: ignore[misc]
        _, estimates, _ = from_errors(memo, space, refine(memo, space, start, judged), judged)
        for one in estimates:
            low, high = one.interval_95
            held[one.name] += low - 1e-9 <= getattr(SessSettings.PAPER, one.name) <= high + 1e-9
            every[one.name].append((low, one.value, high))
    return held, every


def show(found: Tuning) -> list[dict[str, Any]]:
    """Prints the parameters beside the truth."""
    rows = []
    for one in found.estimates:
        truth = getattr(SessSettings.PAPER, one.name)
        low, high = one.interval_95
        inside = low - 1e-9 <= truth <= high + 1e-9
        rows.append({"name": one.name, "true": truth, "found": one.value, "interval_95": [low, high], "note": one.note})
        print(
            f"  {one.name:15} true {truth:5.2f}  found {one.value:6.3f}  "
            f"[{low:6.3f}, {high:6.3f}] {'holds' if inside else 'MISSES'}  {one.note}"
        )
    return rows


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=20, help="simulations behind the coverage")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--pictures", type=Path, help="draw the photos' tuning into this folder")
    args = parser.parse_args()
    document: dict[str, Any] = {"machine": machine(), "workers": args.workers}
    print(f"{machine()}; {args.workers} threads; load {os.getloadavg()[0]:.1f}")
    for name, made in (("photos", real_batch), ("random", random_batch)):
        begin = time.perf_counter()
        batch, group = made(args.workers)
        ready = time.perf_counter() - begin
        judged = simulated(batch, group, np.random.default_rng(7), noise=NOISE)
        found, times = timed(batch, judged, folds=5)
        print(f"{name}: {len(batch)} pairs, graphs and cosines ready after {ready:.1f} s")
        print(
            f"  {TRIALS} trials: {times['search_s']:.1f} s ({times['search_cpu_s']:.1f} s of processor, "
            f"{times['ms_a_pair']:.3f} ms a pair); with refinement, intervals and 5 folds {times['whole_s']:.1f} s "
            f"({times['whole_cpu_s']:.1f}; {times['evaluations']} settings)"
        )
        entry: dict[str, Any] = {"ready_s": ready, **times, "load": os.getloadavg()[0], "parameters": show(found)}
        fixed = Space().narrowed(vary=list(TABLE_II))
        held, every = coverage(batch, group, fixed, args.repeats)
        print(f"  intervals that hold Table II's value, of {args.repeats}: {_words(held)}")
        entry["coverage"] = {"repeats": args.repeats, "held": held, "estimates": every}
        document[name] = entry
        if args.pictures and name == "photos":
            from semetric.report.tuning import draw_tuning

            args.pictures.mkdir(parents=True, exist_ok=True)
            draw_tuning(found, args.pictures)
    if args.json:
        args.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _words(held: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in held.items())


if __name__ == "__main__":
    main()
