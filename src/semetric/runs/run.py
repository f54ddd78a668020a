"""Scoring many pairs into a folder: streaming, resumable, one process a folder."""

from __future__ import annotations

import functools
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from semetric.errors import UsageError
from semetric.image import MAX_PIXELS, Picture, read_image, resize_to
from semetric.metrics import registry
from semetric.models.runtime import Runtime
from semetric.runs.choice import make_metrics, own_options, profile_choices
from semetric.runs.engine import Advance, chunks, gains_from_batches, score_chunk
from semetric.runs.files import held, named_errors, remove_temporary, write_json
from semetric.runs.journal import Journal
from semetric.runs.loading import load_pairs
from semetric.runs.order import visiting_order
from semetric.runs.pairing import Pair, Pairing, pair_folders, read_pairs, stamps_digest
from semetric.runs.record import describe_run, differences, read_record, read_summary, write_record
from semetric.runs.retry import reopen, with_scored_files
from semetric.runs.rows import Layout, Row, read_table, write_csv, write_parquet
from semetric.runs.summary import failed_rows, is_summary, summarise
from semetric.scoring import StoreChoice, runtime

if TYPE_CHECKING:
    from semetric.metrics.base import Metric

__all__ = ["BATCH", "Run", "Started", "score_folders", "score_pairs"]

BATCH = 8  # pairs that are scored together, where a metric gains from it

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run.

    Attributes:
        path: its folder: scores.parquet, scores.csv, summary.json, run.json.
        summary: what summary.json holds.
    """

    path: Path
    summary: Mapping[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows, read from the disk: column → value; a score that is missing is None, `error` says why."""
        rows: list[dict[str, Any]] = read_table(self.path / "scores.parquet").to_pylist()
        return rows

    @property
    def failed(self) -> int:
        """The number of pairs that failed."""
        return len(self.summary["failed"])


@dataclass(frozen=True, kw_only=True)
class Started:
    """What is known when scoring begins.

    Attributes:
        pairing: the pairs, and the files that found no partner.
        done: number of rows that were scored before.
        left_out: metric → why the run goes without it.
    """

    pairing: Pairing
    done: int
    left_out: Mapping[str, str]


def score_folders(
    references: str | os.PathLike[str],
    images: str | os.PathLike[str],
    out: str | os.PathLike[str],
    metrics: str | Sequence[str] | None = None,
    profile: str = "lite",
    **options: Any,
) -> Run:
    """Scores every image of a folder against the reference of its name: relative path without suffix.

    Args:
        references: a folder, searched with its subfolders.
        images: likewise.
        out: the run's folder; see `score_pairs` for it and for everything else.
        metrics: a name or several; None takes every metric that the profile can score by default.
        profile: lite, standard or paper.
        options: those of `score_pairs`.

    Raises:
        UsageError: no image has a reference; or as `score_pairs`.
    """
    return score_pairs(pair_folders(references, images), out, metrics, profile, **options)


def score_pairs(
    pairs: Pairing | str | os.PathLike[str],
    out: str | os.PathLike[str],
    metrics: str | Sequence[str] | None = None,
    profile: str = "lite",
    *,
    device: str = "auto",
    resize: Literal["reference"] | None = None,
    store: StoreChoice = "default",
    shared: Runtime | None = None,
    background: str = "white",
    max_pixels: int = MAX_PIXELS,
    batch: int | None = None,
    workers: int | None = None,
    retry_failed: bool = False,
    started: Callable[[Started], None] | None = None,
    advance: Advance | None = None,
    **options: Any,
) -> Run:
    """Scores many pairs into a folder, where every finished row survives whatever ends the process.

    Called again with the same folder and the same everything else, it goes on where it ended. A pair
    whose files are broken is a row with an `error`, and listed in the summary.

    Args:
        pairs: what `pair_folders` or `read_pairs` returned, or a CSV file with the columns reference and image.
        out: the run's folder, made if need be.
        metrics: a name or several; None takes every metric that the profile can score by default.
        profile: lite, standard or paper.
        device: auto, cpu or cuda.
        resize: "reference" brings each image to its reference's size first.
        store: where embeddings and scene graphs are cached; None caches in memory alone.
        shared: a runtime to use rather than making one.
        background: what transparent pixels are composited on.
        max_pixels: refuse larger images before decoding them.
        batch: pairs that are scored together; None takes 8, or 1 where no metric gains from more or, on a CPU,
            networks of the profile take seconds a pair.
        workers: threads that decode; None takes one a core, at most 8.
        retry_failed: score the failed pairs of a finished run again, whose files may have changed.
        started: told what is known when scoring begins.
        advance: told of progress, in pairs and fractions of pairs.
        options: metrics' options (padding, variant) and the profile's single choices (sam, masks, objects, …).

    Raises:
        UsageError: an unknown metric, profile or option; or the folder holds a run with other settings,
            metrics, weights or pairs; the message says which.
        WeightsError: a metric that was asked for by name has no weights.
        StoreError: the folder cannot be written, or another process is writing to it.
    """
    folder = Path(out)
    pairing = pairs if isinstance(pairs, Pairing) else read_pairs(pairs)
    _check(batch, workers, resize, background)
    overrides = profile_choices(options)
    if shared is not None and overrides:
        raise UsageError(f"A shared runtime has made its choices; found {', '.join(sorted(overrides))} beside it.")
    used = shared or runtime(profile, device=device, store=store, **overrides)
    made, left_out = make_metrics(metrics, used, options)
    stamps = pairing.row_stamps()
    record = describe_run(
        pairing,
        made,
        {name: own_options(name, options) for name in made},
        profile=used.profile,
        settings={"device": device, "resize": resize, "background": background, "max_pixels": max_pixels},
        files=stamps_digest(stamps),
    )
    layout = Layout(pairing=pairing, metrics=tuple(made))
    digests = any(metric.weights for metric in made.values())
    tell = started or (lambda _: None)

    def read(path: str) -> Picture:
        picture = read_image(path, background=background, max_pixels=max_pixels)
        if digests:
            picture.digest  # noqa: B018 (computed here, beside the networks)
        return picture

    def prepare(reference: Picture, image: Picture) -> Picture:
        return resize_to(image, reference.size) if resize == "reference" else image

    with held(folder):
        if retry_failed:
            reopen(folder, layout, record, stamps, asked=metrics is not None)
        _enter(folder, record)
        summary = _finished(folder, record)
        if summary is not None:
            tell(Started(pairing=pairing, done=len(pairing.pairs), left_out=left_out))
            if (folder / "parts").is_dir():  # a process was killed after the summary was written
                Journal(folder / "parts", layout).remove()
            return Run(path=folder, summary=summary)
        journal = Journal(folder / "parts", layout)
        tell(Started(pairing=pairing, done=len(journal.done), left_out=left_out))
        size = batch or _batch(made, used)
        _score_missing(
            journal,
            pairing.pairs,
            made,
            read,
            prepare,
            size=size,
            workers=workers or min(8, _cores()),
            advance=advance or (lambda _: None),
        )
        table = journal.merged()
        write_parquet(folder / "scores.parquet", table)
        write_csv(folder / "scores.csv", table)
        write_record(
            folder, with_scored_files(record, stamps, failed_rows(table, len(made), asked=metrics is not None))
        )
        summary = summarise(table, record, pairing, asked=metrics is not None, left_out=left_out)
        write_json(folder / "summary.json", summary)
        journal.remove()  # only now
    return Run(path=folder, summary=summary)


def _score_missing(
    journal: Journal[Row],
    pairs: Sequence[Pair],
    metrics: Mapping[str, Metric],
    read: Callable[[str], Picture],
    prepare: Callable[[Picture, Picture], Picture],
    *,
    size: int,
    workers: int,
    advance: Advance,
) -> None:
    """Scores the pairs that the journal has not; what is finished is in parts, however this ends."""
    order = visiting_order(pairs)
    place = {index: number for number, index in enumerate(order)}
    missing = [index for index in order if index not in journal.done]
    loaded = load_pairs(pairs, missing, read, workers=workers, ahead=size + 2 * workers)
    try:
        for chunk in chunks(loaded, place, size):
            journal.add(score_chunk(chunk, metrics, prepare=prepare, advance=advance))
    finally:
        loaded.close()
        journal.flush()


def _batch(metrics: Mapping[str, Metric], used: Runtime) -> int:
    """Pairs a batch. What is in hand is lost with Ctrl-C, so a batch must not take long.

    On a CPU the profile's networks take images one by one (`Runtime.passes`) and seconds each, and SSIM and LPIPS gain
    nothing from company: 10 and 46 ms a pair of 256 × 256 px one by one, 21 and 52 ms four at a time (one thread).
    """
    if not any(gains_from_batches(metric) for metric in metrics.values()):
        return 1
    slow = any(registry.METRICS[name].by_profile for name in metrics if name in registry.METRICS)
    return 1 if slow and used.device == "cpu" else BATCH


def _check(batch: int | None, workers: int | None, resize: str | None, background: str) -> None:
    for name, value in (("batch", batch), ("workers", workers)):
        if value is not None and value < 1:
            raise UsageError(f"Expected {name} to be at least 1; found {value}.")
    if resize not in (None, "reference"):
        raise UsageError(f"Expected resize to be 'reference' or None; found {resize!r}.")
    read_image(np.zeros((1, 1, 4), np.uint8), background=background)  # whether it is a colour


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _enter(folder: Path, record: Mapping[str, Any]) -> None:
    """Begins a run, or makes sure that the one in the folder is this one.

    Raises:
        UsageError: it is another, or the folder holds other files.
    """
    with named_errors(folder):
        remove_temporary(folder)
    old = read_record(folder)
    if old is None:
        others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        if others:
            raise UsageError(
                f"Expected --out to be a new or empty folder, or one with a run; {folder} holds {others[0]}"
                f"{' and more' if len(others) > 1 else ''}. Choose another --out."
            )
        write_record(folder, record)
        return
    changed = differences(old, json.loads(json.dumps(record)))
    if not changed:
        return
    if any(folder.glob("parts/part-*.parquet")) or (folder / "scores.parquet").exists():
        raise UsageError(
            f"{folder} holds a run that differs from this one in {'; '.join(changed)}. Choose another --out."
        )
    write_record(folder, record)  # nothing was finished under the old one


def _finished(folder: Path, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The summary of a run that needs no more work; a run whose summary is damaged is scored again."""
    if not (folder / "scores.parquet").is_file() or not (folder / "scores.csv").is_file():
        return None
    ours = functools.partial(is_summary, record=record)
    return read_summary(folder / "summary.json", ours, "is damaged; the run is scored again")
