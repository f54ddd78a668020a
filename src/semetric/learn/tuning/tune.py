"""The whole of tuning: search, refinement, intervals, held-out folds, influence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.learn.tuning.heldout import HeldOut, fold_numbers, held_out
from semetric.learn.tuning.influence import Influence, influences
from semetric.learn.tuning.intervals import ParameterEstimate, from_errors, from_trials
from semetric.learn.tuning.judged import Batch, Judged
from semetric.learn.tuning.memo import Memo
from semetric.learn.tuning.objectives import objective
from semetric.learn.tuning.refine import Refined, refine
from semetric.learn.tuning.samplers import Trial, best, search
from semetric.learn.tuning.space import Space
from semetric.metrics.sess_settings import Settings

__all__ = ["TuneOptions", "Tuning", "tune"]


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """How to tune.

    Attributes:
        objective: one of OBJECTIVES.
        sampler: one of SAMPLERS.
        trials: of the search; each fold's search has as many.
        folds: of the cross-validation, by reference image; 0 for none.
        refine: whether to lower the error from the best trial on; only the objective mse can be.
        seed: of everything random.
        resamples: of each interval of the held-out report.
    """

    objective: str = "mse"
    sampler: str = "random"
    trials: int = 200
    folds: int = 5
    refine: bool = True
    seed: int = 0
    resamples: int = 2000


@dataclass(frozen=True, kw_only=True, eq=False)
class Tuning:
    """What tuning found.

    Attributes:
        options: how it was done.
        space: what varied.
        settings: the best.
        loss: the objective there, on all judgements.
        baseline_losses: name → the objective of those settings, which were not tuned.
        trials: of the search on all judgements.
        refined: whether `settings` is better than every trial, by refinement.
        estimates: each parameter's value and interval.
        rmse_by_iterations: number of updates → root mean squared error, each refined; empty without refinement, or
            where that number does not vary.
        influence: each parameter's share in the objective's variance.
        held_out: the cross-validation; None without folds.
        triplets: how many judgements.
        references: of how many reference images.
        evaluations: settings under which all pairs were scored, earlier runs included.
    """

    options: TuneOptions
    space: Space
    settings: Settings
    loss: float
    baseline_losses: dict[str, float]
    trials: tuple[Trial, ...]
    refined: bool
    estimates: tuple[ParameterEstimate, ...]
    rmse_by_iterations: dict[int, float]
    influence: tuple[Influence, ...]
    held_out: HeldOut | None
    triplets: int
    references: int
    evaluations: int

    @property
    def undetermined(self) -> tuple[str, ...]:
        """Parameters that the judgements do not determine; settings with any are not recommended."""
        return tuple(estimate.name for estimate in self.estimates if not estimate.determined)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; the trials are in a table of their own."""
        folds = self.held_out
        return {
            "options": asdict(self.options),
            "settings": self.settings.to_dict(),
            "loss": self.loss,
            "baseline_losses": self.baseline_losses,
            "refined": self.refined,
            "undetermined": list(self.undetermined),
            "triplets": self.triplets,
            "references": self.references,
            "evaluations": self.evaluations,
            "parameters": [
                {**asdict(entry), "interval_95": list(entry.interval_95), "searched": list(entry.searched)}
                for entry in self.estimates
            ],
            "rmse_by_iterations": {str(n): v for n, v in self.rmse_by_iterations.items()},
            "influence": [asdict(entry) for entry in self.influence],
            "held_out": None
            if folds is None
            else {
                "folds": [{**asdict(entry), "settings": entry.settings.to_dict()} for entry in folds.folds],
                "measures": [
                    {
                        "name": line.name,
                        "title": line.title,
                        "higher_is_better": line.higher_is_better,
                        "tuned": line.tuned.to_dict(),
                        **{name: of.to_dict() for name, of in line.baselines.items()},
                        "gain": line.gain.to_dict(),
                    }
                    for line in folds.lines
                ],
            },
        }


def tune(
    judged: Judged,
    batch: Batch,
    space: Space | None = None,
    options: TuneOptions | None = None,
    *,
    journal: Path | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Tuning:
    """Finds the settings of SeSS that agree best with what people said.

    Args:
        judged: what they said.
        batch: the pairs of graphs, in the order of `judged`.
        space: what varies, of the variant that the batch scores; all of the variant paper by default.
        options: how.
        journal: the database of computed scores, so that the same call goes on after an interruption.
        advance: progress callback: number of settings computed since the last call.

    Raises:
        UsageError: options that do not exist or do not fit the judgements.
        MissingExtraError: the sampler needs Optuna.
        StoreError: the journal cannot be written.
    """
    space, options = space or Space(), options or TuneOptions()
    aim = objective(options.objective)
    aim.check(judged)
    if len(batch) != 2 * len(judged):
        raise UsageError(f"Expected two pairs a triplet; found {len(batch)} pairs for {len(judged)} triplets.")
    if options.folds:
        fold_numbers(judged.groups, options.folds, np.random.default_rng(0))  # before the work, not after it
    least_squares = options.refine and aim.name == "mse"
    memo = Memo(batch, journal, advance=advance)
    try:

        def searched(groups: NDArray[np.bool_] | None) -> list[Trial]:
            return search(
                space,
                lambda settings: aim.loss(memo(settings), judged, groups),
                trials=options.trials,
                sampler=options.sampler,
                seed=options.seed,
            )

        def tuned(groups: NDArray[np.bool_]) -> Settings:
            start = best(searched(groups)).settings
            return refine(memo, space, start, judged, groups).settings if least_squares else start

        trials = searched(None)
        winner = best(trials)
        settings = winner.settings
        rmse: dict[int, float] = {}
        estimates: Sequence[ParameterEstimate]
        if least_squares:
            refined: Refined = refine(memo, space, settings, judged)
            refined, estimates, rmse = from_errors(memo, space, refined, judged)
            settings = refined.settings
        else:
            estimates = from_trials(memo, space, trials, judged, aim, seed=options.seed)
        validated = None
        if options.folds:
            validated = held_out(
                tuned,
                space.baselines,
                memo,
                judged,
                aim,
                folds=options.folds,
                seed=options.seed,
                resamples=options.resamples,
            )
        loss = aim.loss(memo(settings), judged)
        return Tuning(
            options=options,
            space=space,
            settings=settings,
            loss=loss,
            baseline_losses={name: aim.loss(memo(of), judged) for name, of in space.baselines.items()},
            trials=tuple(trials),
            refined=loss < winner.loss,
            estimates=tuple(estimates),
            rmse_by_iterations=rmse,
            influence=influences(space, trials, seed=options.seed),
            held_out=validated,
            triplets=len(judged),
            references=judged.groups,
            evaluations=len(memo),
        )
    finally:
        memo.close()
