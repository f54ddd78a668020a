"""`semetric learn train-relations`: a Relate-Anything head from annotated relations, and its recall."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semetric.cli import _console as shared
from semetric.cli._choices import accepts, flags, taken
from semetric.cli._lab_options import read_config
from semetric.cli._names import log_names
from semetric.cli._progress import counter, training_steps
from semetric.cli._tables import Column, TerminalTable, show_tables
from semetric.errors import UsageError
from semetric.learn.relation_head.config import HeadSize, RelationTraining
from semetric.score_settings import Networks

if TYPE_CHECKING:
    from semetric.learn.datasets import Dataset
    from semetric.learn.relation_head.examples import ExampleMaker, Prepared

__all__ = ["train_relations"]

RECALL = "recall.json"

_log = logging.getLogger(__name__)


@accepts(RelationTraining, HeadSize, flags(Networks, "profile", "sam", "device"))
def train_relations(
    root: Annotated[Path, typer.Argument(help="The folder of PSG: psg.json, and COCO's photos and panoptic images.")],
    out: Annotated[Path, typer.Option(help="The folder of weights, log, recall and checkpoint; resumes.")],
    config: Annotated[Path | None, typer.Option(help="A TOML file of options of the training; flags win.")] = None,
    masks: Annotated[
        str, typer.Option(help="adaptive or grid, as scene graphs have them; prompted asks SAM at the segments alone.")
    ] = "adaptive",
    min_iou: Annotated[float | None, typer.Option(help="What a mask must share with a segment; default 0.5.")] = None,
    coco: Annotated[Path | None, typer.Option(help="Where train2017 and the like are, if not beside psg.json.")] = None,
    limit: Annotated[int | None, typer.Option(help="Number of images of each part, drawn with the seed.")] = None,
    resamples: Annotated[int, typer.Option(help="Resamples of the bootstrap.")] = 2000,
    start: Annotated[Path | None, typer.Option(help="A head to begin with, such as ram_epoch12.pth.")] = None,
    as_json: shared.JsonOption = False,
    fetch: shared.FetchOption = False,
    no_cache: shared.NoCacheOption = False,
    **choices: Any,
) -> None:
    """Train the relation head on PSG, and compare it with the spatial rules on the held-out images."""
    from semetric.learn.relation_head.evaluation import compare
    from semetric.learn.relation_head.examples import ExampleMaker
    from semetric.learn.relation_head.training import train
    from semetric.models.relate_anything import load_relate_anything
    from semetric.results.files import write_json
    from semetric.scoring import runtime

    values = read_config(config, "train-relations") | taken(RelationTraining, choices)
    if size := taken(HeadSize, choices):
        if start is not None:
            raise UsageError("Expected --start, whose size counts, or a size of your own; found both.")
        values["size"] = {**values.get("size", {}), **size}
    chosen = RelationTraining.from_dict(values)
    training, held_out = (_load(root, part, coco, limit, chosen.seed) for part in ("train", "test"))
    networks = runtime(store=None if no_cache else "default", **taken(Networks, choices))
    maker = ExampleMaker(networks, masks=masks, **shared.given(min_iou=min_iou))  # type: ignore[arg-type]
    with shared.downloads_if(fetch):
        learnt, measured = _prepared(training, held_out, maker)
    with training_steps() as progress:
        try:
            done = train(
                learnt.examples,
                measured.examples,
                out,
                chosen,
                start=start,
                device=networks.device,
                progress=progress,
            )
        except KeyboardInterrupt:
            _log.info("finished epochs are in %s; the same command goes on from there", out)
            raise
    recall = compare(load_relate_anything(done.weights), measured.examples, resamples=resamples, seed=chosen.seed)
    document = {
        "weights": str(done.weights),
        "curve": str(done.curve),
        "epochs": done.epochs,
        "images": list(done.images),
        "loss": done.loss,
        "config": chosen.to_dict(),
        "examples": maker.identity,
        "broken": [*learnt.broken, *measured.broken],
        "recall": recall,
    }
    write_json(out / RECALL, document)
    if as_json:
        shared.show_json(document)
    else:
        show_tables(_table(recall["free"]))
    _log.info("head: %s; log: %s; recall: %s", done.weights, done.curve, out / RECALL)
    if document["broken"]:
        raise typer.Exit(1)


def _load(root: Path, part: str, coco: Path | None, limit: int | None, seed: int) -> Dataset:
    """A part of the data set, and on stderr what is missing in it."""
    from semetric.learn.datasets import load_dataset

    loaded = load_dataset("psg", root, part, **shared.given(coco=None if coco is None else str(coco)))
    problems = loaded.problems
    log_names(f"{part}: missing or damaged, and left out: {problems.count}", problems.named, "--json")
    if limit is None:
        return loaded
    import numpy as np

    return loaded.sample(limit, np.random.default_rng(seed))


def _prepared(training: Dataset, held_out: Dataset, maker: ExampleMaker) -> tuple[Prepared, Prepared]:
    """The examples of both parts; those of the held-out part with their masks."""
    from semetric.learn.relation_head.examples import prepare

    with counter("images") as (begin, advance):
        begin(len(training) + len(held_out), 0)
        learnt = prepare(training, maker, advance=advance)
        measured = prepare(held_out, maker, keep_masks=True, advance=advance)
    for part in (learnt, measured):
        log_names(f"images that cannot be read: {len(part.broken)}", part.broken, RECALL)
        segments = sum(example.segments for example in part.examples)
        matched = sum(len(example.matched) for example in part.examples)
        lost = sum(len(example.lost) for example in part.examples)
        _log.info(
            "%s: %d images, %d of %d segments have a mask; %d of %d relations are lost without one",
            "to train on" if part is learnt else "held out",
            len(part.examples),
            matched,
            segments,
            lost,
            sum(example.annotated for example in part.examples),
        )
    if not measured.examples:
        raise UsageError("Expected held-out images (test_image_ids in psg.json); none can be read.")
    return learnt, measured


def _table(recall: Mapping[str, Any]) -> TerminalTable:
    """Recall and mean recall of head and rules, a row a measure."""
    methods, differences = recall["methods"], recall["differences"]
    names = (*methods, *(f"head − {other}" for other in differences))
    table = TerminalTable([Column("recall", "key"), *map(Column, names)])
    for kind, short in (("recall", "R"), ("mean_recall", "mR")):
        for at in methods["head"][kind]:
            apart = [_cell(recalls[at]) if kind == "recall" else "" for recalls in differences.values()]
            table.add_row(f"{short}@{at}", *(_cell(recalls[kind][at]) for recalls in methods.values()), *apart)
    return table


def _cell(entry: Mapping[str, Any]) -> str:
    """A value with its interval."""
    if entry["value"] is None:
        return "–"
    text = f"{entry['value']:.3f}"
    if entry["interval_95"] is not None:
        low, high = entry["interval_95"]
        text += f" [{low:.3f}, {high:.3f}]"
    return text
