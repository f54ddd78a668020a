"""Times the matching of two 40-node graphs on one core, and what the first match of a process costs.

    OMP_NUM_THREADS=1 python benchmarks/matching.py [--json FILE]

Budgets: two 40-node graphs within 1 ms after warm-up at the scene graph's usual 20–100 relations; the first match of a
process, with the machine code on disk, within 1 s beyond start-up. 400 relations are beyond what a scene graph keeps
and shown to say what happens there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from semetric.scene.matching import GraphArrays, MatchingSettings, match

NODES = 40
COLD = """
import time
import numpy as np
from semetric.scene.matching import GraphArrays, match
r = np.random.default_rng(0)
relations = np.full((40, 40), -1)
relations[r.integers(0, 20, 100), r.integers(20, 40, 100)] = 3
g = GraphArrays(features=r.normal(size=(40, 64)), relations=relations, importance=np.ones(40))
w0, c0 = time.perf_counter(), time.process_time()
match(g, g, np.eye(56), 1.0)
print(time.perf_counter() - w0, time.process_time() - c0)
"""


def random_graph(rng: np.random.Generator, edges: int, *, hub: bool) -> GraphArrays:
    """40 nodes; the edges leave all nodes alike, or mostly a few (degree falls as 1 / rank)."""
    weight = 1.0 / np.arange(1, NODES + 1) if hub else np.ones(NODES)
    table = np.repeat(weight[:, None], NODES, axis=1)
    np.fill_diagonal(table, 0.0)
    relations = np.full((NODES, NODES), -1)
    chosen = rng.choice(NODES**2, edges, replace=False, p=table.ravel() / table.sum())
    relations.ravel()[chosen] = rng.integers(0, 56, edges)
    return GraphArrays(
        features=rng.normal(size=(NODES, 512)) + 0.5,
        relations=relations,
        importance=rng.dirichlet(np.ones(NODES)),
        centres=rng.random((NODES, 2)),
    )


def timed_ms(graphs: list[tuple[GraphArrays, GraphArrays]], settings: MatchingSettings, repeat: int) -> list[float]:
    """The median time of each pair, in ms."""
    similarity = np.random.default_rng(1).uniform(0.0, 1.0, (56, 56))
    medians = []
    for one, two in graphs:
        runs = []
        for _ in range(repeat):
            start = time.perf_counter()
            match(one, two, similarity, 0.5, settings)
            runs.append(time.perf_counter() - start)
        medians.append(1e3 * float(np.median(runs)))
    return medians


def first_match(cache: str) -> tuple[float, float]:
    """Wall and processor time of a fresh process's first match, in ms; numpy and semetric already imported."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    done = subprocess.run([sys.executable, "-c", COLD], env=environment, capture_output=True, text=True, check=True)
    wall, cpu = map(float, done.stdout.split())
    return 1e3 * wall, 1e3 * cpu


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    rows = []
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"two graphs of {NODES} nodes, 7 iterations; median over runs, then over 10 pairs (largest)")
    print(f"{'edges':>6} {'degrees':8} {'paper, ms':>16} {'demo, ms':>16}")
    for hub in (False, True):
        for edges in (20, 60, 100, 400):
            graphs = [(random_graph(rng, edges, hub=hub), random_graph(rng, edges, hub=hub)) for _ in range(10)]
            times = [
                timed_ms(graphs, s, 25 if edges < 400 else 5) for s in (MatchingSettings.PAPER, MatchingSettings.DEMO)
            ]
            cells = [f"{np.median(t):7.3f} ({max(t):.3f})" for t in times]
            name = "hubs" if hub else "even"
            print(f"{edges:>6} {name:8} {cells[0]:>16} {cells[1]:>16}")
            rows.append({"edges": edges, "degrees": name, "paper_ms": times[0], "demo_ms": times[1]})

    with tempfile.TemporaryDirectory() as cache:
        runs = [first_match(cache) for _ in range(8)]
    compiling, (wall, cpu) = runs[0], np.median(runs[1:], axis=0)
    print(f"first match of a process, machine code on disk: {wall:.0f} ms, of which {cpu:.0f} ms processor time")
    print(f"first match ever, compiling: {compiling[0]:.0f} ms, of which {compiling[1]:.0f} ms processor time")
    if args.json:
        document = {"matching": rows, "first_match_ms": wall, "compiling_ms": compiling[0]}
        args.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
