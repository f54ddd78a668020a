"""Training of a DreamSim on triplets: resumable at any point."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semetric.cache import Store, key
from semetric.errors import UsageError
from semetric.learn.agreement.choices import two_alternative_credits
from semetric.learn.training._network import Trainee, distances, hinge_loss
from semetric.learn.training.batches import Batches
from semetric.learn.training.calibrate import FittedCalibration, fit_calibration
from semetric.learn.training.config import DreamSimTraining
from semetric.learn.training.examples import Examples, examples_of, split_choices
from semetric.learn.training.export import place_trunks, write_trained
from semetric.learn.training.pixels import Squares
from semetric.learn.training.trunks import TrunkSource, variant_of
from semetric.learn.triplets import Choice, JudgedPair, ScoredTriplet
from semetric.models.dreamsim.network import SIDE, Head
from semetric.models.dreamsim.variants import Variant
from semetric.results.files import held, remove_temporary
from semetric.training import Trainer, TrainingProgress, seeded

__all__ = ["DreamSimTrainer", "TrainedDreamSim", "precision_of", "train"]

_FORWARD = 16  # images that pass the trunks together where nothing is learnt


@dataclass(frozen=True, kw_only=True)
class TrainedDreamSim:
    """Summary of a finished training.

    Attributes:
        folder: what `score --metric dreamsim --dreamsim-weights` takes.
        variant: of DreamSim, as the folder describes it.
        log: the CSV file of evaluations.
        step: number of finished steps.
        triplets: how many were trained on, held out, left out.
        untuned_2afc: accuracy of the untuned trunks on the triplets held out, in [0, 1]; None without any.
        held_out_2afc: accuracy of the trained network on them; None without any.
        stopped_early: whether patience ran out.
        calibration: from cosine to score; None where there were no scores.
    """

    folder: Path
    variant: Variant
    log: Path
    step: int
    triplets: tuple[int, int, int]
    untuned_2afc: float | None
    held_out_2afc: float | None
    stopped_early: bool
    calibration: FittedCalibration | None


def train(
    choices: Sequence[Choice],
    trunks: Sequence[TrunkSource],
    out: Path,
    config: DreamSimTraining | None = None,
    *,
    scored: Sequence[ScoredTriplet | JudgedPair] = (),
    patch: bool = False,
    device: str = "cpu",
    source: str = "",
    store: Store | None = None,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainedDreamSim:
    """Trains, or continues an interrupted training, as `semetric.training.Trainer` does.

    The loss is the hinge loss of DreamSim. The result is the network with the best accuracy on the triplets held out;
    without any, the last one.

    Args:
        choices: see `split_choices` for what trains and what is held out.
        trunks: from `trunk_sources`.
        out: the folder. A checkpoint that is there is resumed.
        config: None for the published one of that many trunks.
        scored: pairs or triplets with scores in [0, 1], for the calibration.
        patch: whether the mean of the patch tokens joins the class token.
        device: "cpu" or "cuda".
        source: where the choices come from, for the description.
        store: keeps the features of frozen trunks, which every training of a head on the same images shares.
        progress: called after every step.

    Raises:
        UsageError: nothing to train on, a checkpoint of another training, or a training that diverges.
        MissingExtraError: LoRA without peft.
        ImageError: an image that cannot be read.
        WeightsCorruptError: a damaged checkpoint or trunk.
        StoreError: the results cannot be written, or another process trains there.
    """
    config = config or DreamSimTraining.published(trunks=len(trunks))
    training, validation, left_out = split_choices(choices, config.held_out, config.seed)
    variant = variant_of([source.trunk for source in trunks], config.method, patch=patch)
    with held(out):
        remove_temporary(out)
        networks = [source.load() for source in trunks]
        variant = replace(variant, trunks=place_trunks(out, trunks, networks))
        examples, held_out = examples_of(training), examples_of(validation)
        trainee = Trainee(networks, variant, config, device)
        trainer = DreamSimTrainer(config, variant, trainee, examples, held_out, store)
        trainer.run(out, progress)
        if trainer.best_state:
            trainee.load_state_dict(trainer.best_state)
        fitted = _calibrated(trainer, scored, config.seed)
        untuned = trainer.history[0]["held_out_2afc"] if len(held_out) else None
        best = trainer.best if len(held_out) else None
        notes: dict[str, Any] = {
            "source": source,
            "config": config.to_dict(),
            "triplets": {"trained": len(examples), "held_out": len(held_out), "left_out": left_out},
            "digests": {"trained": examples.digest, "held_out": held_out.digest},
            "steps": trainer.step,
            "held_out_2afc": {"untuned": untuned, "trained": best},
        }
        if fitted is not None:
            notes["calibration"] = {"n": fitted.n, "mse": fitted.mse, "mse_of_mean": fitted.mse_of_mean}
        adapter_config = trainee.adapter_config() if config.method == "lora" else None
        calibration = None if fitted is None else fitted.calibration
        variant = write_trained(out, variant, trainee.state_dict(), adapter_config, notes, calibration)
    return TrainedDreamSim(
        folder=out,
        variant=variant,
        log=out / trainer.LOG,
        step=trainer.step,
        triplets=(len(examples), len(held_out), left_out),
        untuned_2afc=untuned,
        held_out_2afc=best,
        stopped_early=trainer.stopped_early,
        calibration=fitted,
    )


class DreamSimTrainer(Trainer):
    """What a step on triplets computes, and the accuracy on those held out.

    Args:
        config: the settings.
        variant: of the network, with the records of its trunks.
        trainee: the network that trains.
        examples: triplets to train on.
        held_out: triplets to evaluate on; may be empty.
        store: keeps the features of frozen trunks for other trainings; None keeps none.
    """

    LOG = "log.csv"
    MONITORED = "held_out_2afc"
    EVALUATES_START: ClassVar[bool] = True
    config: DreamSimTraining

    def __init__(
        self,
        config: DreamSimTraining,
        variant: Variant,
        trainee: Trainee,
        examples: Examples,
        held_out: Examples,
        store: Store | None = None,
    ) -> None:
        self.batches = Batches(examples.rows, config.batch, gather=config.gather, seed=config.seed)
        optimiser = torch.optim.Adam(
            trainee.parameters,
            lr=config.learning_rate,
            betas=(config.beta_1, config.beta_2),
            weight_decay=config.weight_decay,
        )
        data = {
            "trunks": [trunk.identity for trunk in variant.trunks],
            "features": list(variant.feature),
            "triplets": examples.digest,
            "held_out_triplets": held_out.digest,
        }
        super().__init__(
            config,
            data,
            trainee.net,
            optimiser,
            steps=config.epochs * self.batches.per_epoch,
            steps_per_epoch=self.batches.per_epoch,
            evaluate_every=config.evaluate_every or self.batches.per_epoch,
            patience=config.patience,
            precision=precision_of(config, trainee.device),
            device=trainee.device,
        )
        self.parts = {"network": trainee}
        self.trainee, self.examples, self.held_out, self.store = trainee, examples, held_out, store
        self._origin = {name: data[name] for name in ("trunks", "features")}
        self._squares = {part: Squares(part.paths, SIDE) for part in (examples, held_out)}
        self._tables: dict[Examples, Tensor] = {}  # features of the frozen trunks, where a head alone trains

    def losses(self) -> Iterator[Tensor]:
        """The hinge loss of a batch of triplets; each image passes the network once."""
        chosen = self.batches(self.step)
        places, inverse = np.unique(self.examples.rows[chosen], return_inverse=True)
        rows = torch.from_numpy(inverse.reshape(len(chosen), 3)).to(self.device)
        closer = torch.from_numpy(self.examples.share_b[chosen] > 0.5).to(self.device)
        with seeded(self.seed_of(self.step), self.device):  # for dropout
            a, b = distances(self._embedded(self.examples, places), rows)
        self.tally("train_2afc", float(((b < a) == closer).double().mean()), len(chosen))
        yield hinge_loss(a, b, closer, self.config.margin)

    def batch_size(self) -> int:
        """Triplets; the last batch of an epoch may have fewer."""
        return len(self.batches(self.step))

    def evaluate(self) -> dict[str, float]:
        """Two-alternative accuracy (2AFC) on the triplets held out, in [0, 1]; a tie counts a half."""
        if not len(self.held_out):
            return {}
        a, b = self.distances_of(self.held_out)
        credits = two_alternative_credits(a, b, self.held_out.share_b, higher_is_better=False)
        return {"held_out_2afc": float(credits.mean())}

    def on_best(self, folder: Path) -> None:
        """Keeps the trained tensors."""
        self.best_state = self.trainee.state_dict()

    @torch.no_grad()
    def distances_of(self, examples: Examples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n,) distances of the first and of the second candidates, by the network in its present state."""
        places = np.arange(len(examples.paths))
        parts = [self._embedded(examples, places[i : i + _FORWARD]) for i in range(0, len(places), _FORWARD)]
        a, b = distances(torch.cat(parts), torch.from_numpy(examples.rows).to(self.device))
        return a.double().cpu().numpy(), b.double().cpu().numpy()

    def _embedded(self, examples: Examples, places: NDArray[np.int64]) -> Tensor:
        """(n, D) of some images."""
        if self.config.method == "mlp":
            table = self._table(examples)
            return cast(Tensor, cast(Head, self.trainee.net.head)(table[torch.from_numpy(places)].to(self.device)))
        with self.autocast():
            return self.trainee.net.embed(self._images(examples, places)).float()

    @torch.no_grad()
    def _table(self, examples: Examples) -> Tensor:
        """(U, D) features of all images by the frozen trunks, computed once."""
        if examples not in self._tables:
            count = len(examples.paths)
            size = 1 if self.device == "cpu" else _FORWARD  # alone, an image's features do not depend on its batch
            parts = [self._features(examples, np.arange(i, min(i + size, count))) for i in range(0, count, size)]
            self._tables[examples] = torch.from_numpy(np.concatenate(parts))
        return self._tables[examples]

    def _features(self, examples: Examples, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, D) features of some images, from the store where it has them all."""
        recipe = {"kind": "dreamsim_features", "arithmetic": str(self.precision), "side": SIDE} | self._origin
        pixels = self._squares_of(examples)(places)
        keys = [key(image=hashlib.sha256(image.tobytes()).hexdigest(), **recipe) for image in pixels]
        stored = [None if self.store is None else self.store.get(name) for name in keys]
        if None not in stored:
            return np.stack([arrays["features"] for arrays in stored if arrays is not None])
        with self.autocast():
            features: NDArray[np.float32] = (
                self.trainee.net.features_of(self._images(examples, places)).float().cpu().numpy()
            )
        if self.store is not None:
            for name, row in zip(keys, features, strict=True):
                self.store.put(name, {"features": row})
        return features

    def _images(self, examples: Examples, places: NDArray[np.int64]) -> Tensor:
        """(n, 3, 224, 224) in [0, 1]."""
        pixels = torch.from_numpy(self._squares_of(examples)(places)).to(self.device)
        return pixels.permute(0, 3, 1, 2).contiguous().float().div_(255.0)

    def _squares_of(self, examples: Examples) -> Squares:
        if examples not in self._squares:  # the pairs of the calibration
            self._squares[examples] = Squares(examples.paths, SIDE)
        return self._squares[examples]


def precision_of(config: DreamSimTraining, device: str) -> torch.dtype | None:
    """The precision of autocast; None is float32 throughout.

    Raises:
        UsageError: a precision that the device does not have.
    """
    cuda = device.startswith("cuda")
    if config.precision == "auto":
        if not cuda:
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if config.precision == "float16" and not cuda:
        raise UsageError("Expected a CUDA device for float16; found a processor. Use --precision bfloat16 or float32.")
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[config.precision]


def _calibrated(
    trainer: DreamSimTrainer, scored: Sequence[ScoredTriplet | JudgedPair], seed: int
) -> FittedCalibration | None:
    """The regressor fitted to every scored pair."""
    if not scored:
        return None
    pairs: list[tuple[str, str, float]] = []
    for item in scored:
        if isinstance(item, ScoredTriplet):
            reference = item.triplet.reference
            pairs += [(reference, item.triplet.a, item.score_a), (reference, item.triplet.b, item.score_b)]
        else:
            pairs.append((item.reference, item.image, item.opinion))
    places: dict[str, int] = {}
    rows = [
        [places.setdefault(path, len(places)) for path in (reference, image, image)] for reference, image, _ in pairs
    ]
    images = Examples(
        paths=tuple(places), rows=np.array(rows, np.int64), share_b=np.zeros(len(pairs)), groups=("",) * len(pairs)
    )
    distance, _ = trainer.distances_of(images)
    return fit_calibration(1 - distance, [score for _, _, score in pairs], seed=seed)
