"""Does a metric measure meaning? Harmless copies, changed images and unrelated images of real photos.

    python -m benchmarks.meaning [--photos 24] [--jobs 2] [--metric NAME]… [--work DIR] [--again] [--tables]

Every metric of the profile lite scores each photo against damaged and harmless copies of it, against edits of it
that change what it shows, and against the eight photos that follow it in the list. docs/meaning.md says what is
made of the scores.

The scores of one photo by one metric are one file of the work folder, written atomically: an interrupted run goes
on where it was, and --again with --metric scores one metric anew. A run of all 24 photos writes
benchmarks/results/meaning.json, the tables of docs/meaning.md, its picture, and the table of unrelated images that
reports show; metrics that it did not score come from the work folder or from the last results, where those are of
the same images. A run of fewer photos, or one that lacks scores, writes JSON, page and picture into the work folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import meaning_page
from benchmarks.distortions import SLIGHT, TRANSFORMATIONS, Label, generator, severities
from benchmarks.meaning_page import Result
from benchmarks.meaning_statistics import EDITS, STRENGTHS, UNRELATED
from benchmarks.photos import photos
from semetric.cache import cache_root
from semetric.errors import ImageError, SemetricError
from semetric.image import read_image, resize_to
from semetric.lab.edits import Donor, PhotoMasks, choose, edit_named
from semetric.lab.systems import Pixels
from semetric.metrics import registry
from semetric.models.runtime import Runtime
from semetric.score_settings import ScoreSettings
from semetric.scoring import runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from semetric.lab.edits import Masks
    from semetric.metrics.base import Metric

__all__ = ["METRICS", "Images", "Part", "compared_images", "results_of", "scored"]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "meaning.json"
PAGE = ROOT / "docs" / "meaning.md"
PHOTOS = 24
FOLLOWERS = 8  # the unrelated images of a photo: the photos that follow it in the list

METRICS: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        "sess": ("sess", {"variant": "graded"}),
        "sess_paper": ("sess", {"variant": "paper"}),
        "sess_demo": ("sess", {"variant": "demo"}),
        "samscore": ("samscore", {}),
        "vitscore": ("vitscore", {}),
        "lpips": ("lpips", {}),
        "lpips_vgg": ("lpips_vgg", {}),
        "ms_ssim": ("ms_ssim", {}),
        "ssim": ("ssim", {}),
        "psnr": ("psnr", {}),
    }
)
"""Name on the page → the metric's name and its options."""


class Images(NamedTuple):
    """What one photo is compared with.

    Attributes:
        pixels: label → (H, W, 3) uint8; those of unrelated images keep their own size.
        left_out: edit → why the photo has none.
        sha256: of all labels and pixels, the photo's own included.
    """

    pixels: dict[Label, Pixels]
    left_out: dict[str, str]
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """The scores of one photo by one metric: a file of the work folder.

    Attributes:
        images_sha256: of the images, as in `Images`.
        labels: of the images, in order.
        left_out: as in `Images`.
        weights: role → identity of the metric's networks.
        details: the metric's choices that its scores depend on, such as its variant.
        scores: one an image.
    """

    images_sha256: str
    labels: list[Label]
    left_out: dict[str, str]
    weights: dict[str, str]
    details: dict[str, str]
    scores: list[float]

    def write(self, file: Path) -> None:
        """Writes the file whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".part")
        temporary.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
        temporary.replace(file)

    @classmethod
    def read(cls, file: Path) -> Part | None:
        """The part in a file; None where there is no such file."""
        if not file.exists():
            return None
        fields = json.loads(file.read_text(encoding="utf-8"))
        return cls(**{**fields, "labels": [(kind, level) for kind, level in fields["labels"]]})


def compared_images(
    name: str, photo: Pixels, followers: Sequence[tuple[str, Pixels]], masks_of: Callable[[Pixels], Masks]
) -> Images:
    """All images that one photo is compared with.

    Args:
        name: the photo's; its noise and its edits are drawn from it.
        photo: (H, W, 3) uint8.
        followers: unrelated photos by name. The first with an object gives its objects to edits that need another's.
        masks_of: (H, W, 3) pixels → (N, H, W) bool.
    """
    masks = masks_of(photo)
    pixels: dict[Label, Pixels] = {
        (kind, level): damaged for kind, steps in severities(name, photo, masks).items() for level, damaged in steps
    }
    pixels |= {label: change(photo) for label, change in SLIGHT.items()}
    pixels |= {(kind, ""): change(photo) for kind, change in TRANSFORMATIONS.items()}
    donors = (Donor(pixels=other, masks=masks_of(other)) for _, other in followers)
    donor = next((each for each in donors if len(choose(each.masks, 1))), None)
    left_out = {}
    for kind in EDITS:
        edit = edit_named(kind)
        if edit.donor and donor is None:
            left_out[kind] = "None of the photos that follow has an object to give."
            continue
        try:
            pixels |= {(kind, s): edit(photo, masks, s, generator(name), donor) for s in STRENGTHS}
        except ImageError as error:
            left_out[kind] = str(error)
    pixels |= {(UNRELATED, other): theirs for other, theirs in followers}
    digest = hashlib.sha256()
    for label, image in ((("", ""), photo), *pixels.items()):
        digest.update(f"{label} {image.shape}".encode() + image.tobytes())
    return Images(pixels, left_out, digest.hexdigest())


def scored(photo: Pixels, images: Images, metric: Metric) -> Part:
    """The scores of one photo by one metric.

    Raises:
        SemetricError: the metric cannot score one of the images.
    """
    reference = read_image(photo)
    options = registry.METRICS[metric.name].options
    values, details = [], {}
    for pixels in images.pixels.values():
        picture = read_image(pixels)
        score = metric(reference, resize_to(picture, reference.size) if metric.equal_sizes else picture)
        values.append(score.value)
        details = {key: value for key, value in score.details.items() if key in options and isinstance(value, str)}
    return Part(
        images_sha256=images.sha256,
        labels=list(images.pixels),
        left_out=images.left_out,
        weights=dict(metric.weights),
        details=details,
        scores=values,
    )


def _file(work: Path, photo: str, metric: str) -> Path:
    return work / f"{photo}.{metric}.json"


class Job(NamedTuple):
    """One photo, by its position in the list, and some metrics: what a process does at a time."""

    position: int
    metrics: tuple[str, ...]
    work: Path
    again: bool


def _do(job: Job) -> tuple[str, str]:
    """Scores what the work folder lacks; returns the photo's name and the digest of its images."""
    everything = photos(PHOTOS)
    name, photo = everything[job.position]
    followers = [everything[(job.position + step) % PHOTOS] for step in range(1, FOLLOWERS + 1)]
    # Objects come from one mask generation whatever SeSS uses, so that the images stay the same.
    images = compared_images(name, photo, followers, PhotoMasks(runtime("lite", masks="adaptive", device="cpu")))
    shared = runtime("lite", device="cpu")
    for metric in job.metrics:
        file = _file(job.work, name, metric)
        part = Part.read(file)
        if part is not None and part.images_sha256 == images.sha256 and not job.again:
            continue
        begin = time.perf_counter()
        try:
            scored(photo, images, _made(metric, shared)).write(file)
            print(f"{name} {metric}: {len(images.pixels)} images, {time.perf_counter() - begin:.0f} s", flush=True)
        except SemetricError as error:
            file.unlink(missing_ok=True)
            print(f"{name} {metric}: {error}", flush=True)
    return name, images.sha256


def _made(metric: str, shared: Runtime) -> Metric:
    name, options = METRICS[metric]
    return registry.create(name, shared, ScoreSettings.from_dict(options))


def _start() -> None:
    import torch

    torch.set_num_threads(1)  # several processes of one thread each are faster than threads that wait for each other


def run(count: int, jobs: int, metrics: Sequence[str], work: Path, *, again: bool) -> dict[str, str]:
    """Scores the first `count` photos into the work folder; returns photo → digest of its images."""
    os.environ["OMP_NUM_THREADS"] = "1"
    todo = [Job(i, tuple(metrics), work, again) for i in range(count)]
    digests = {}
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=_start) as pool:
        for done, (name, digest) in enumerate(pool.imap(_do, todo, chunksize=1), start=1):
            digests[name] = digest
            print(f"{done}/{count} photos: {name}", flush=True)
    return digests


def results_of(work: Path, digests: Mapping[str, str]) -> tuple[list[Result], dict[str, list[str]]]:
    """What the work folder holds of these photos.

    Args:
        work: the folder.
        digests: photo → digest of its images; parts of other images do not count.

    Returns:
        A result of every metric that has all photos, and metric → photos that it lacks.

    Raises:
        SystemExit: parts of one metric were scored with different weights or choices.
    """
    results, missing = [], {}
    for metric, (name, _) in METRICS.items():
        parts = {photo: Part.read(_file(work, photo, metric)) for photo in digests}
        whole = {photo: p for photo, p in parts.items() if p is not None and p.images_sha256 == digests[photo]}
        if len(whole) < len(digests):
            missing[metric] = [photo for photo in digests if photo not in whole]
            continue
        choices = {json.dumps([p.weights, p.details], sort_keys=True) for p in whole.values()}
        if len(choices) > 1:
            raise SystemExit(
                f"Expected scores of {metric} by the same networks and choices for all photos; found "
                f"{' and '.join(sorted(choices))} in {work}. Run again with --metric {metric} --again."
            )
        first = next(iter(whole.values()))
        results.append(
            Result(
                name=metric,
                metric=name,
                weights=first.weights,
                details=first.details,
                scores={photo: dict(zip(p.labels, p.scores, strict=True)) for photo, p in whole.items()},
                left_out={photo: p.left_out for photo, p in whole.items() if p.left_out},
            )
        )
    return results, missing


def save(results: Sequence[Result], digests: Mapping[str, str], file: Path) -> None:
    """Writes the scores, rounded to six significant digits, one photo and metric a line.

    Args:
        results: of the same photos.
        digests: photo → digest of its images.
        file: the JSON document.
    """
    document: dict[str, Any] = {"photos": {}}
    for photo in results[0].scores:
        labels = list(results[0].scores[photo])
        document["photos"][photo] = {
            "images_sha256": digests[photo],
            "images": labels,
            "left_out": results[0].left_out.get(photo, {}),
            "scores": {each.name: [float(f"{v:.6g}") for v in each.scores[photo].values()] for each in results},
        }
    document["metrics"] = {
        each.name: {"metric": each.metric, "weights": dict(each.weights), "details": dict(each.details)}
        for each in results
    }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.replace('],"', '],\n"').replace('},"', '},\n"') + "\n", encoding="utf-8")


def load(file: Path) -> tuple[list[Result], dict[str, str]]:
    """The scores of an earlier run, and photo → digest of its images."""
    document = json.loads(file.read_text(encoding="utf-8"))
    stored = document["photos"]
    results = [
        Result(
            name=name,
            scores={
                photo: {
                    (kind, level): value
                    for (kind, level), value in zip(entry["images"], entry["scores"][name], strict=True)
                }
                for photo, entry in stored.items()
            },
            left_out={photo: entry["left_out"] for photo, entry in stored.items() if entry["left_out"]},
            **choices,
        )
        for name, choices in document["metrics"].items()
    ]
    return results, {photo: entry["images_sha256"] for photo, entry in stored.items()}


def _names(values: Iterable[str]) -> list[str]:
    names = [name for value in values for name in value.split(",")]
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise SystemExit(f"Expected metrics among {', '.join(METRICS)}; found {', '.join(unknown)}.")
    return [name for name in METRICS if name in names]


def main() -> None:
    """Scores what is missing and writes the results."""
    parser = argparse.ArgumentParser(description="Does a metric measure meaning?")
    parser.add_argument("--photos", type=int, default=PHOTOS, choices=range(1, PHOTOS + 1), metavar="N")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes, of one thread each")
    parser.add_argument("--metric", action="append", help=f"one or several of {','.join(METRICS)}; default all")
    parser.add_argument("--work", type=Path, default=cache_root() / "benchmarks" / "meaning", help="the scores so far")
    parser.add_argument("--again", action="store_true", help="score also what the work folder has")
    parser.add_argument("--tables", action="store_true", help="only rewrite the page from the last results")
    options = parser.parse_args()
    if options.tables:
        meaning_page.write(load(RESULTS)[0], PAGE)
        return
    metrics = _names(options.metric or METRICS)
    for metric in metrics:  # a choice that a metric lacks shows before hours of work
        try:
            _made(metric, runtime("lite", device="cpu", store=None))
        except SemetricError as error:
            raise SystemExit(f"{metric}: {error}") from error
    digests = run(options.photos, options.jobs, metrics, options.work, again=options.again)
    results, missing = results_of(options.work, digests)
    lacking = [metric for metric in metrics if metric in missing]
    for metric in lacking:
        print(f"{metric} lacks {len(missing[metric])} of {len(digests)} photos: {', '.join(missing[metric])}")
    if lacking or options.photos < PHOTOS:
        if results:
            save(results, digests, options.work / "meaning.json")
            meaning_page.write(results, options.work / "meaning.md")
            print(f"Wrote {options.work / 'meaning.md'}; {PAGE} takes all {PHOTOS} photos.")
        raise SystemExit(1 if lacking else 0)
    stored, stored_digests = load(RESULTS)
    if stored_digests == digests:
        results += [each for each in stored if each.name in missing]
    results.sort(key=lambda each: list(METRICS).index(each.name))
    save(results, digests, RESULTS)
    meaning_page.write(results, PAGE)
    meaning_page.write_unrelated(results)
    print(f"Wrote {RESULTS} and {PAGE}.")


if __name__ == "__main__":
    main()
