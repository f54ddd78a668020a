"""Which settings a search tries: at random, as the paper did, or as one of Optuna's samplers proposes.

Random search (Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13, 2012) draws every trial
anew from the whole space. Its trials depend on nothing that was measured, so that any fold may share them.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from semetric.errors import MissingExtraError, UsageError, did_you_mean
from semetric.learn.tuning.space import Space
from semetric.metrics.sess_settings import Settings

__all__ = ["SAMPLERS", "Trial", "best", "search"]

SAMPLERS = ("random", "tpe", "cmaes", "gp", "qmc")
"""random is ours; tpe, cmaes, gp and qmc are Optuna's."""

_CLASSES = {"tpe": "TPESampler", "cmaes": "CmaEsSampler", "gp": "GPSampler", "qmc": "QMCSampler"}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One settings that a search tried.

    Attributes:
        number: from 0.
        settings: what was tried.
        loss: the objective, lower is better; may be infinite.
    """

    number: int
    settings: Settings
    loss: float


def search(
    space: Space, loss: Callable[[Settings], float], *, trials: int, sampler: str = "random", seed: int = 0
) -> list[Trial]:
    """Tries settings one after the other.

    Deterministic: the same space, seed and losses give the same trials, and a longer search begins with a shorter
    one's (but for qmc, whose points are those of one sequence anyway).

    Args:
        space: where.
        loss: of settings; lower is better.
        trials: how many, ≥ 1.
        sampler: one of SAMPLERS.
        seed: of the draws.

    Raises:
        UsageError: no such sampler, or no trials.
        MissingExtraError: Optuna is not installed.
    """
    if sampler not in SAMPLERS:
        raise UsageError(
            f"Expected a sampler among {', '.join(SAMPLERS)}; found {sampler!r}.{did_you_mean(sampler, SAMPLERS)}"
        )
    if trials < 1:
        raise UsageError(f"Expected at least 1 trial; found {trials}.")
    if sampler == "random":
        drawn = (space.draw(np.random.default_rng([seed, number])) for number in range(trials))
        return [Trial(number=i, settings=settings, loss=loss(settings)) for i, settings in enumerate(drawn)]
    return _proposed(space, loss, trials, sampler, seed)


def best(trials: list[Trial]) -> Trial:
    """The trial of the lowest loss, the earliest of equals.

    Raises:
        UsageError: the objective was defined for none.
    """
    winner = min(trials, key=lambda trial: trial.loss)
    if not np.isfinite(winner.loss):
        raise UsageError("Expected an objective that is defined; every trial's was not. Are all judgements the same?")
    return winner


def _proposed(space: Space, loss: Callable[[Settings], float], trials: int, sampler: str, seed: int) -> list[Trial]:
    optuna = _optuna(sampler)
    ranges = {
        p.name: (
            optuna.distributions.IntDistribution(int(p.low), int(p.high))
            if p.integer
            else optuna.distributions.FloatDistribution(p.low, p.high)
        )
        for p in space.parameters
    }
    done = []
    with _quiet(optuna):
        options: dict[str, Any] = {"n_startup_trials": min(20, max(1, trials // 5))} if sampler == "tpe" else {}
        chosen = getattr(optuna.samplers, _CLASSES[sampler])(seed=seed, **options)
        study = optuna.create_study(sampler=chosen)
        for number in range(trials):
            trial = study.ask(ranges)
            settings = space.settings(trial.params)
            value = loss(settings)
            study.tell(trial, value if np.isfinite(value) else 1e9)
            done.append(Trial(number=number, settings=settings, loss=value))
    return done


def _optuna(sampler: str) -> Any:
    try:
        import optuna

        if sampler == "cmaes":
            importlib.import_module("cmaes")  # which Optuna imports when it is asked
    except ImportError as error:
        raise MissingExtraError(
            f"The sampler {sampler} needs Optuna, which is not here ({error}). "
            "Install it with: pip install 'semetric[learn]'; or use the sampler random."
        ) from error
    return optuna


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Keeps Optuna's line a trial, and its notes on experimental samplers, from the log."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
