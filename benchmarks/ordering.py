"""Does a metric measure meaning? Severity, harmless transformations, and strangers, on real photos.

    python -m benchmarks.ordering [--photos 24] [--jobs 2] [--metric NAME]…

Three questions to every metric of the lite profile:

1. Severity: does the score fall as a damage grows? Kendall's τ between score and level, for each
   photo and damage (JPEG, blur, noise, object removal), averaged.
2. Transformations: how much is left under the five changes of SeSS's Fig. 13, which keep the meaning?
3. Strangers: how often does a damaged copy of a photo score above a different photo?

Writes benchmarks/results/ordering.json (every value) and docs/ordering.md (the tables). Masks,
embeddings and graphs are cached, so a second run takes minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import kendalltau

from benchmarks.distortions import EXTREME, TRANSFORMATIONS, severities
from benchmarks.machine import machine
from benchmarks.photos import photos
from semetric.image import Picture, read_image, resize_to
from semetric.metrics import registry
from semetric.scene.build import GraphBuilder
from semetric.scene.runs import decode
from semetric.scoring import runtime

__all__ = ["Row", "summarise"]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "ordering.json"
PAGE = ROOT / "docs" / "ordering.md"
METRICS = ("sess", "sess_demo", "samscore", "vitscore", "lpips", "ms_ssim", "ssim", "psnr")
STRANGERS = 8  # to each photo: those after it in the list
DAMAGES = ("jpeg", "blur", "noise", "removal")


class Row(NamedTuple):
    """One score: a photo against a damaged or transformed copy (kind, level), or against a stranger."""

    photo: str
    kind: str  # a damage, a transformation, or "stranger"
    level: float | str  # the damage's level, or the stranger's name
    metric: str
    value: float


def rows_of(index: int, count: int, metrics: Sequence[str], objects: str | None = None) -> list[Row]:
    """All scores of one photo."""
    everything = photos(count)
    name, pixels = everything[index]
    used = runtime("lite", device="cpu", objects=objects)
    reference = read_image(pixels)
    builder = GraphBuilder(used)
    found = builder.masks(reference)
    masks = decode((found["runs"], found["ends"]), reference.size)
    others: list[tuple[str, float | str, Picture]] = []
    for kind, levels in severities(name, pixels, masks).items():
        others += [(kind, level, read_image(damaged)) for level, damaged in levels]
    others += [(kind, "", read_image(change(pixels))) for kind, change in TRANSFORMATIONS.items()]
    others += [
        ("stranger", stranger, read_image(theirs))
        for stranger, theirs in (everything[(index + step) % count] for step in range(1, min(STRANGERS + 1, count)))
    ]
    rows = []
    for metric in metrics:
        scorer = (
            registry.create("sess", used, variant="demo") if metric == "sess_demo" else registry.create(metric, used)
        )
        for kind, level, picture in others:
            fitting = resize_to(picture, reference.size) if scorer.equal_sizes else picture
            rows.append(Row(name, kind, level, metric, scorer(reference, fitting).value))
    return rows


def _start(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _work(job: tuple[int, int, tuple[str, ...], str | None]) -> list[Row]:
    return rows_of(*job)


def run(count: int, jobs: int, metrics: Sequence[str], objects: str | None = None) -> list[Row]:
    """All scores of the first `count` photos."""
    work = [(i, count, tuple(metrics), objects) for i in range(count)]
    rows: list[Row] = []
    os.environ.setdefault("OMP_NUM_THREADS", "1" if jobs > 1 else str(os.cpu_count()))
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=_start, initargs=(1 if jobs > 1 else os.cpu_count(),)) as pool:
        for done, part in enumerate(pool.imap(_work, work), start=1):
            rows += part
            print(f"{done}/{count} {part[0].photo}", flush=True)
    return rows


def _higher_is_better(metric: str) -> bool:
    return registry.METRICS["sess" if metric == "sess_demo" else metric].higher_is_better


def _select(rows: Iterable[Row], **wanted: Any) -> list[Row]:
    return [row for row in rows if all(getattr(row, field) == value for field, value in wanted.items())]


def _is_extreme(row: Row) -> bool:
    return row.kind in EXTREME and EXTREME[row.kind] == row.level


def summarise(rows: Sequence[Row], metric: str) -> dict[str, Any]:
    """The three answers for one metric.

    Returns:
        tau: damage → mean Kendall τ over photos (1: falls at every step); mean over damages as "mean".
        transformations: name → mean score.
        copies_above_strangers: share of (photo, copy, stranger) in which the copy scores better; ties count
            half. "all", and "not_extreme" without the last level of JPEG, blur and noise.
        strangers: mean and the best that any stranger got.
    """
    own = _select(rows, metric=metric)
    sign = 1.0 if _higher_is_better(metric) else -1.0
    names = sorted({row.photo for row in own})
    tau: dict[str, float] = {}
    for damage in DAMAGES:
        values = []
        for name in names:
            levels = _select(own, photo=name, kind=damage)
            if len(levels) < 2:
                continue
            steps = np.arange(len(levels))  # rows come mildest first
            scores = [sign * row.value for row in levels]
            t = kendalltau(-steps, scores).statistic
            values.append(0.0 if math.isnan(t) else float(t))
        tau[damage] = float(np.mean(values))
    tau["mean"] = float(np.mean([tau[d] for d in DAMAGES]))
    wins: dict[str, list[float]] = {"all": [], "not_extreme": []}
    for name in names:
        strangers = sign * np.array([row.value for row in _select(own, photo=name, kind="stranger")])
        for row in _select(own, photo=name):
            if row.kind == "stranger":
                continue
            better = (sign * row.value > strangers) + 0.5 * (sign * row.value == strangers)
            wins["all"].append(float(better.mean()))
            if not _is_extreme(row):
                wins["not_extreme"].append(float(better.mean()))
    stranger_values = np.array([row.value for row in _select(own, kind="stranger")])
    return {
        "tau": tau,
        "transformations": {
            kind: float(np.mean([row.value for row in _select(own, kind=kind)])) for kind in TRANSFORMATIONS
        },
        "copies_above_strangers": {key: float(np.mean(values)) for key, values in wins.items()},
        "strangers": {
            "mean": float(stranger_values.mean()),
            "best": float(stranger_values.max() if sign > 0 else stranger_values.min()),
        },
    }


def tables(rows: Sequence[Row], metrics: Sequence[str]) -> str:
    """The answers as Markdown."""
    found = {metric: summarise(rows, metric) for metric in metrics}
    lines = ["| metric | " + " | ".join(DAMAGES) + " | mean |", "|---|" + "---|" * (len(DAMAGES) + 1)]
    for metric, answer in found.items():
        lines.append(f"| {metric} | " + " | ".join(f"{answer['tau'][d]:.2f}" for d in (*DAMAGES, "mean")) + " |")
    severity = "\n".join(lines)
    lines = ["| metric | " + " | ".join(TRANSFORMATIONS) + " |", "|---|" + "---|" * len(TRANSFORMATIONS)]
    for metric, answer in found.items():
        lines.append(f"| {metric} | " + " | ".join(f"{v:.3f}" for v in answer["transformations"].values()) + " |")
    transformations = "\n".join(lines)
    lines = [
        "| metric | copies above strangers | extreme damage too | strangers: mean | best stranger |",
        "|---|---|---|---|---|",
    ]
    for metric, answer in found.items():
        share, other = answer["copies_above_strangers"], answer["strangers"]
        lines.append(
            f"| {metric} | {100 * share['not_extreme']:.1f}% | {100 * share['all']:.1f}% | "
            f"{other['mean']:.3f} | {other['best']:.3f} |"
        )
    strangers = "\n".join(lines)
    levels = []
    for damage in DAMAGES:
        steps = list(dict.fromkeys(row.level for row in _select(rows, kind=damage)))
        lines = [f"| {damage} | " + " | ".join(f"{step:g}" for step in steps) + " |", "|---|" + "---|" * len(steps)]
        for metric in metrics:
            means = [
                np.mean([row.value for row in _select(rows, kind=damage, level=step, metric=metric)]) for step in steps
            ]
            lines.append(f"| {metric} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")
        levels.append("\n".join(lines))
    return (
        f"## Severity: Kendall's τ\n\n{severity}\n\n## Transformations: mean score\n\n{transformations}\n\n"
        f"## Strangers\n\n{strangers}\n\n## Mean score at each level\n\n" + "\n\n".join(levels) + "\n"
    )


def write_page(rows: Sequence[Row], metrics: Sequence[str], page: Path = PAGE) -> None:
    """Puts the tables between the page's two marks; the reading around them is a person's."""
    begin, end = "<!-- tables -->", "<!-- /tables -->"
    text = page.read_text(encoding="utf-8") if page.exists() else f"# Does it measure meaning?\n\n{begin}\n{end}\n"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    count = len({row.photo for row in rows})
    note = f"{count} photos, {machine()}, `python -m benchmarks.ordering`.\n\n"
    page.write_text(f"{before}{begin}\n{note}{tables(rows, metrics)}{end}{after}", encoding="utf-8")


def load(path: Path = RESULTS) -> list[Row]:
    """The rows of an earlier run."""
    return [Row(*row) for row in json.loads(path.read_text(encoding="utf-8"))["rows"]]


def save(rows: Sequence[Row], path: Path = RESULTS) -> None:
    """Writes the rows, rounded to six significant digits, one photo a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = [[*row[:4], float(f"{row.value:.6g}")] for row in rows]
    document = {"machine": machine(), "columns": list(Row._fields), "rows": plain}
    path.write_text(json.dumps(document, separators=(",", ":")).replace("],[", "],\n[") + "\n", encoding="utf-8")


def main() -> None:
    """Scores everything and writes both files."""
    parser = argparse.ArgumentParser(description="Does a metric measure meaning?")
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--metric", action="append", choices=METRICS)
    parser.add_argument("--objects", help="another object encoder than lite's; prints the tables and writes nothing")
    parser.add_argument("--tables", action="store_true", help="only rewrite the page from the last results")
    options = parser.parse_args()
    rows = load() if options.tables else run(options.photos, options.jobs, options.metric or METRICS, options.objects)
    metrics = [metric for metric in METRICS if any(row.metric == metric for row in rows)]
    print(tables(rows, metrics))
    partial = options.metric or options.objects
    if not partial and not options.tables:
        save(rows)
    if not partial:
        write_page(rows, metrics)


if __name__ == "__main__":
    main()
