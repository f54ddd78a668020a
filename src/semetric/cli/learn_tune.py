"""`semetric learn tune`: SeSS's hyper-parameters from human judgements, as a file that `score --config` takes."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semetric.cli import _console as shared
from semetric.cli import _datasets
from semetric.cli._choices import accepts, flags, taken, words
from semetric.cli._lab_options import Words
from semetric.cli._names import log_names
from semetric.cli._progress import counter
from semetric.cli._tables import Column, TerminalTable, show_tables
from semetric.errors import UsageError
from semetric.score_settings import Networks, SceneNetworks

if TYPE_CHECKING:
    from semetric.learn.agreement.resampling import Estimate
    from semetric.learn.datasets import Dataset
    from semetric.learn.triplets import Choice, ScoredTriplet
    from semetric.learn.tuning import Space, Tuning
    from semetric.scene.build import GraphBuilder
    from semetric.scoring import StoreChoice

__all__ = ["tune"]

_log = logging.getLogger(__name__)


@accepts(SceneNetworks, flags(Networks, "profile", "device", "predicates"))
def tune(
    source: _datasets.SourceArgument,
    out: Annotated[Path, typer.Option(help="The folder of results; the same command goes on where it stopped.")],
    root: _datasets.RootOption = None,
    objective: Annotated[str, typer.Option(help="Objective: mse, 2afc, srcc or mse+2afc.")] = "mse",
    sampler: Annotated[str, typer.Option(help="random (the paper's), or Optuna's tpe, cmaes, gp or qmc.")] = "random",
    trials: Annotated[int, typer.Option(help="Number of settings that a search tries.")] = 200,
    folds: Annotated[int, typer.Option(help="Folds of the held-out report, by reference image; 0 for none.")] = 5,
    vary: Annotated[
        Words, typer.Option(help="Parameters to search, with commas between them. Default: all that are not fixed.")
    ] = None,
    fix: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE of a parameter that stays, e.g. iterations=7; repeat for more.")
    ] = None,
    refine: Annotated[
        bool, typer.Option("--refine/--no-refine", help="Lower the error from the best trial on (mse).")
    ] = True,
    seed: Annotated[int, typer.Option(help="Seed of the search, the folds and the bootstrap.")] = 0,
    resamples: Annotated[int, typer.Option(help="Resamples of the bootstrap.")] = 2000,
    split: _datasets.SplitOption = None,
    limit: _datasets.LimitOption = None,
    study: _datasets.StudyOption = None,
    images: _datasets.ImagesOption = None,
    option: _datasets.LoaderOption = None,
    workers: Annotated[int | None, typer.Option(help="Threads that match; default: one a core.")] = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw the pictures.")] = True,
    as_json: shared.JsonOption = False,
    variant: Annotated[
        str | None, typer.Option(help="The SeSS that is tuned: graded or paper. Default: the profile's.")
    ] = None,
    fetch: shared.FetchOption = False,
    no_cache: shared.NoCacheOption = False,
    **choices: Any,
) -> None:
    """Tune SeSS on scored triplets or choices.

    Where the judgements determine every parameter, it writes sess.toml for `semetric score --config`.
    """
    from semetric.learn.tuning import Space, TuneOptions, judged_of, load_batch, write_tuning
    from semetric.learn.tuning import tune as run
    from semetric.learn.tuning.influence import LEAST_TRIALS
    from semetric.learn.tuning.objectives import objective as named
    from semetric.learn.tuning.write import CONFIG
    from semetric.results.database import FILE
    from semetric.results.files import held

    builder = _builder(variant, None if no_cache else "default", taken(Networks, choices))
    graded = builder.variant == "graded"
    space = (Space.graded(builder.graded_settings) if graded else Space()).narrowed(words(vary), _fixed(fix or ()))
    options = TuneOptions(
        objective=objective,
        sampler=sampler,
        trials=trials,
        folds=folds,
        refine=refine,
        seed=seed,
        resamples=resamples,
    )
    _check(options.sampler, trials)
    loaded = _datasets.load(
        source, root, split=split, study=study, images=images, option=option, limit=limit, seed=seed
    )
    items = _triplets(loaded)
    named(objective).check(judged_of(items))
    count = len({p for item in items for p in (item.triplet.reference, item.triplet.a, item.triplet.b)})
    with held(out):
        with shared.downloads_if(fetch), counter("images") as (begin, advance):
            begin(count, 0)
            items, batch, failed = load_batch(items, builder, workers=workers or os.cpu_count() or 1, advance=advance)
        log_names(
            f"images without a graph, whose triplets are left out: {len(failed)}",
            [f"{name}: {why}" for name, why in failed.items()],
            "tuning.json",
        )
        judged = judged_of(items)
        try:
            with counter("trials") as (begin, advance):
                begin(_expected(space, options.refine and objective == "mse", trials, folds, sampler), 0)
                tuning = run(judged, batch, space, options, journal=out / FILE, advance=advance)
        except KeyboardInterrupt:
            _log.info("finished trials are in %s; the same command goes on from there", out)
            raise
        about = {
            "source": f"{loaded.name}{f' ({split})' if split else ''}",
            "profile": builder.runtime.profile.name,
            "variant": builder.variant,
            "weights": {**builder.weights, **builder.comparison_weights},
            "images_without_graph": failed,
        }
        paths = write_tuning(tuning, out, about)
        if plots:
            from semetric.report.tuning import draw_tuning

            paths |= draw_tuning(tuning, out)
            if not tuning.influence:
                _log.info(
                    "no picture of the parameters' influence: that takes %d trials with a score; found %d",
                    LEAST_TRIALS,
                    sum(math.isfinite(trial.loss) for trial in tuning.trials),
                )
    if as_json:
        shared.show_json({**about, **tuning.to_dict()})
    else:
        show_tables(*_tables(tuning))
        _tell(tuning)
    _log.info("files: %s", ", ".join(str(path) for path in paths.values()))
    if tuning.undetermined:
        baseline, before = tuning.space.baseline
        fixed = " ".join(f"--fix {name}={getattr(before, name):g}" for name in tuning.undetermined)
        _log.warning(
            "the judgements do not determine %s (see the evidence): no settings are recommended, and %s is not "
            "written. Judge more triplets, or keep the values of the variant %s there and tune the rest: add %s",
            ", ".join(tuning.undetermined),
            CONFIG,
            baseline,
            fixed,
        )
    else:
        _log.info("use them: semetric score REFERENCE IMAGE --metric sess --config %s", out / CONFIG)


def _fixed(given: Sequence[str]) -> dict[str, float]:
    """NAME=VALUE, an occurrence each."""
    values = {}
    for assignment in given:
        name, equals, value = assignment.partition("=")
        try:
            if not equals:
                raise ValueError
            values[name.strip()] = float(value)
        except ValueError:
            raise UsageError(f"Expected --fix NAME=NUMBER; found {assignment!r}.") from None
    return values


def _check(sampler: str, trials: int) -> None:
    """Looks before the graphs are made whether the search can be."""
    from semetric.learn.tuning.samplers import search
    from semetric.learn.tuning.space import Space

    search(Space(), lambda settings: 0.0, trials=min(trials, 1), sampler=sampler)


def _triplets(loaded: Dataset) -> list[ScoredTriplet | Choice]:
    """Scored triplets as they are; everything else that can be as choices."""
    from semetric.learn.datasets import choices_of
    from semetric.learn.triplets import ScoredTriplet

    scored = [item for item in loaded.items if isinstance(item, ScoredTriplet)]
    return list(scored) if len(scored) == len(loaded.items) else list(choices_of(loaded))


def _builder(variant: str | None, store: StoreChoice, options: dict[str, Any]) -> GraphBuilder:
    from semetric.scene.build import GraphBuilder
    from semetric.scoring import runtime

    networks = runtime(store=store, **options)
    chosen = variant or networks.profile.variant
    if chosen == "graded":
        return GraphBuilder(networks, variant="graded")
    if chosen == "paper":
        return GraphBuilder(networks, variant="paper")
    raise UsageError(f"Expected --variant graded or paper (demo is a point among paper's settings); found {chosen!r}.")


def _expected(space: Space, refined: bool, trials: int, folds: int, sampler: str) -> int:
    """About how many settings will be scored, for the bar: a random search's trials serve every fold."""
    searches = 1 if sampler == "random" else 1 + folds
    smooth = sum(not p.integer for p in space.parameters)
    whole = [p for p in space.parameters if p.integer]
    starts = 1 + folds + sum(int(p.high - p.low) for p in whole)
    return trials * searches + (starts * 3 * (smooth + 1) if refined else 0)


def _tables(tuning: Tuning) -> list[TerminalTable]:
    baseline, settings = tuning.space.baseline
    numbers = (Column("found"), Column("95% interval"), Column(baseline))
    table = TerminalTable([Column("parameter", "key"), *numbers, Column("evidence", "text")])
    for p in tuning.estimates:
        low, high = p.interval_95
        table.add_row(
            p.name,
            f"{p.value:.3g}",
            f"{low:.3g} – {high:.3g}",
            f"{getattr(settings, p.name):g}",
            p.note,
        )
    tables = [table]
    if tuning.held_out is not None:
        table = TerminalTable(
            [Column("held out", "key"), *map(Column, ("tuned", *tuning.space.baselines, f"tuned − {baseline}"))]
        )
        for line in tuning.held_out.lines:
            arrow = "↑" if line.higher_is_better else "↓"
            cells = [_cell(measure) for measure in (line.tuned, *line.baselines.values(), line.gain)]
            table.add_row(f"{line.title} {arrow}", *cells)
        tables.append(table)
    return tables


def _cell(estimate: Estimate) -> str:
    if estimate.value is None:
        return "–"
    bounds = "" if estimate.interval_95 is None else f" [{estimate.interval_95[0]:.4f}, {estimate.interval_95[1]:.4f}]"
    return f"{estimate.value:.4f}{bounds}".replace("-", "−")


def _tell(tuning: Tuning) -> None:
    """Says how the settings came about."""
    _log.info(
        "%s: %.6g with the found settings, %s; %d settings scored on %d triplets of %d references",
        tuning.options.objective,
        tuning.loss,
        ", ".join(f"{loss:.6g} with those of the variant {name}" for name, loss in tuning.baseline_losses.items()),
        tuning.evaluations,
        tuning.triplets,
        tuning.references,
    )
