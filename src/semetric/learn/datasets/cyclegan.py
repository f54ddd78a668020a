"""Result folders of CycleGAN's and pix2pix's published code (Zhu et al. 2017, arXiv 1703.10593)."""

from __future__ import annotations

import os
from pathlib import Path

from semetric.errors import UsageError
from semetric.learn.datasets.base import Dataset, DatasetSpec, ImagePair
from semetric.learn.datasets.files import Files, Problems, Unreadable, find, sorted_names

__all__ = ["CYCLEGAN", "load_cyclegan"]

_LABELS = ("real_A", "fake_B", "rec_A", "real_B", "fake_A", "rec_B", "real", "fake")  # the longer ones first
_PAIRS = (("real_A", "fake_B", "A to B"), ("real_B", "fake_A", "B to A"), ("real", "fake", ""))
_DEPTH = 4  # results/<name>/<phase>_<epoch>/images


def load_cyclegan(root: Path, split: str | None = None) -> Dataset:
    """Loads `results/<name>/<phase>_<epoch>/images/<stem>_<label>.png`.

    Each photo is paired with its translation: real_A with fake_B, real_B with fake_A, real with fake. Reconstructions
    (rec_A, rec_B) are left out and counted.

    Args:
        root: any of these folders; all folders `images` at most four levels below it are read.
        split: the phase, e.g. test; None for all.

    Returns:
        Pairs without judgements; groups are "<name> A to B" and the like.

    Raises:
        UsageError: no such folder, or no pair.
    """
    find(root, "CycleGAN results")
    files, problems = Files(root), Problems()
    items: list[ImagePair] = []
    phases: set[str] = set()
    rebuilt = others = 0
    for folder in _image_folders(root):
        name, phase = folder.resolve().parent.parent.name, folder.resolve().parent.name
        part = phase.partition("_")[0]
        phases.add(part)
        if split is not None and part != split:
            continue
        by_stem, unlabelled = _labelled(folder)
        others += unlabelled
        inside = folder.relative_to(root).as_posix()
        for stem, labels in sorted(by_stem.items()):
            rebuilt += len(labels.keys() & {"rec_A", "rec_B"})
            for real, fake, way in _PAIRS:
                if real not in labels and fake not in labels:
                    continue
                key = "/".join(filter(None, (name, phase, stem, way.replace(" ", "_"))))
                with problems.of(key):
                    photo, image = (_file(files, inside, stem, labels.get(label), label) for label in (real, fake))
                    group = " ".join(filter(None, (name, way)))
                    items.append(ImagePair(key=key, reference=photo, image=image, split=part, group=group))
    if split is not None and split not in phases:
        raise UsageError(f"Expected a phase of {root}: {', '.join(sorted(phases)) or 'none'}; found {split!r}.")
    left_out = {"reconstructions": rebuilt, "files without a label": others}
    return Dataset(
        name="cyclegan",
        root=str(root),
        kind="unjudged",
        items=problems.checked(items, "pairs such as <stem>_real_A.png and <stem>_fake_B.png", root),
        split=split,
        problems=problems,
        left_out={why: count for why, count in left_out.items() if count},
    )


def _image_folders(root: Path) -> list[Path]:
    if root.resolve().name == "images":
        return [root]
    folders = []
    for folder, inner, _ in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        depth = len(Path(folder).relative_to(root).parts)
        if "images" in inner:
            folders.append(Path(folder) / "images")
            inner.remove("images")
        if depth + 1 >= _DEPTH:
            inner.clear()
    return folders


def _labelled(folder: Path) -> tuple[dict[str, dict[str, str]], int]:
    """Stem → label → file name; and the number of image files without a label."""
    by_stem: dict[str, dict[str, str]] = {}
    others = 0
    for file in sorted_names(folder):
        bare, dot, suffix = file.rpartition(".")
        if not dot or suffix.lower() not in ("png", "jpg", "jpeg"):
            continue
        label = next((each for each in _LABELS if bare.endswith(f"_{each}")), None)
        if label is None:
            others += 1
        else:
            by_stem.setdefault(bare[: -len(label) - 1], {})[label] = file
    return by_stem, others


def _file(files: Files, folder: str, stem: str, name: str | None, label: str) -> str:
    if name is None:
        raise Unreadable(f"{stem}_{label}.png is missing")
    return files.path(name if folder == "." else f"{folder}/{name}")


CYCLEGAN = DatasetSpec(
    name="cyclegan",
    load=load_cyclegan,
    kind="unjudged",
    summary="photos and their translations",
    paper="Zhu et al. 2017",
)
