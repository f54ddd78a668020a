"""The state of a training: its steps, evaluations and checkpoints."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semetric.cache import Store, key
from semetric.errors import UsageError, WeightsCorruptError
from semetric.learn.training._network import Trainee, distances, hinge_loss
from semetric.learn.training.batches import Batches
from semetric.learn.training.config import TrainingConfig
from semetric.learn.training.examples import Examples
from semetric.learn.training.pixels import Squares
from semetric.models.dreamsim.network import SIDE, Head

__all__ = ["Run"]

_FORWARD = 16  # images that pass the trunks at once where nothing is learnt


class Run:
    """Everything that changes while training.

    Args:
        config: of the training.
        trainee: what trains.
        train: triplets to train on.
        held: triplets held out; may be empty.
        identity: what beside the config a checkpoint must agree in: trunks and triplets.
        device: "cpu" or "cuda".
        store: where frozen trunks' features are kept from one training to the next; None for nowhere.
    """

    def __init__(
        self,
        config: TrainingConfig,
        trainee: Trainee,
        train: Examples,
        held: Examples,
        identity: dict[str, Any],
        device: str,
        store: Store | None = None,
    ) -> None:
        self.store = store
        self.config, self.trainee, self.train, self.held = config, trainee, train, held
        self.identity, self.device = identity, device
        self.dtype = precision_of(config, device)
        self.batches = Batches(train.rows, config.batch, gather=config.gather, seed=config.seed)
        self.squares: dict[Examples, Squares] = {}
        self.features: dict[Examples, Tensor] = {}  # of the frozen trunks, where a head alone trains
        self.optimiser = torch.optim.Adam(
            trainee.parameters,
            lr=config.learning_rate,
            betas=(config.beta_1, config.beta_2),
            weight_decay=config.weight_decay,
        )
        self.scaler = torch.amp.GradScaler(device.split(":")[0], enabled=self.dtype == torch.float16)
        self.step = 0
        self.best = -math.inf
        self.best_state: dict[str, Tensor] = {}
        self.stale = 0
        self.elapsed_s = 0.0
        self.sums = [0.0, 0.0, 0.0]  # of losses and of right answers, and triplets, since the last evaluation
        self.history: list[dict[str, float]] = []

    @property
    def steps(self) -> int:
        """All steps, unless it stops early."""
        return self.config.epochs * self.batches.per_epoch

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return 0 < self.config.patience <= self.stale

    @property
    def evaluates(self) -> bool:
        """Whether an evaluation is due."""
        every = self.config.evaluate_every or self.batches.per_epoch
        return self.step % every == 0 or self.step >= self.steps

    def advance(self) -> float:
        """One step; returns its loss.

        Raises:
            UsageError: the loss is not finite.
        """
        chosen = self.batches(self.step)
        places, inverse = np.unique(self.train.rows[chosen], return_inverse=True)
        rows = torch.from_numpy(inverse.reshape(len(chosen), 3)).to(self.device)
        closer = torch.from_numpy(self.train.share_b[chosen] > 0.5).to(self.device)
        self.trainee.net.train()
        with self._seeded():
            a, b = distances(self._embedded(self.train, places), rows)
        self.trainee.net.eval()
        loss = hinge_loss(a, b, closer, self.config.margin)
        value: float = loss.item()
        if not math.isfinite(value):
            raise UsageError(
                f"Expected a finite loss; found {value} at step {self.step + 1}. Use a lower learning rate than "
                f"{self.config.learning_rate:g}, or --precision float32, in another folder."
            )
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(self.scaler.scale(loss))
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.step += 1
        right = float(((b < a) == closer).double().mean())
        for i, one in enumerate((value * len(chosen), right * len(chosen), float(len(chosen)))):
            self.sums[i] += one
        return value

    def evaluate(self) -> bool:
        """Adds a row to the history; whether the network is the best so far. The first one is the untuned trunks'."""
        accuracy = self.accuracy(self.held) if len(self.held) else math.nan
        count = self.sums[2]
        self.history.append(
            {
                "step": float(self.step),
                "epoch": self.step / self.batches.per_epoch,
                "loss": self.sums[0] / count if count else math.nan,
                "train_2afc": self.sums[1] / count if count else math.nan,
                "held_out_2afc": accuracy,
                "elapsed_s": round(self.elapsed_s, 1),
            }
        )
        self.sums = [0.0, 0.0, 0.0]
        if self.step == 0:
            return False
        better = accuracy > self.best or not len(self.held)
        self.best = max(self.best, accuracy) if len(self.held) else math.nan
        self.stale = 0 if better else self.stale + 1
        if better:
            self.best_state = self.trainee.state()
        return better

    def accuracy(self, examples: Examples) -> float:
        """Two-alternative accuracy, 2AFC, in [0, 1]; a tie counts a half."""
        from semetric.learn.agreement.choices import two_alternative_credits

        a, b = self.measure(examples)
        return float(two_alternative_credits(a, b, examples.share_b, higher_is_better=False).mean())

    @torch.no_grad()
    def measure(self, examples: Examples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(n,) distances of the first and of the second candidates, by the network as it is now."""
        embeddings = self.embeddings(examples)
        a, b = distances(embeddings, torch.from_numpy(examples.rows).to(embeddings.device))
        return a.double().cpu().numpy(), b.double().cpu().numpy()

    @torch.no_grad()
    def embeddings(self, examples: Examples) -> Tensor:
        """(U, D) of all its images, by the network as it is now."""
        places = np.arange(len(examples.paths))
        parts = [self._embedded(examples, places[i : i + _FORWARD]) for i in range(0, len(places), _FORWARD)]
        return torch.cat(parts)

    def prepare(self) -> None:
        """Computes the frozen trunks' features, where a head alone trains; a LoRA training has nothing to prepare."""
        if self.config.method != "mlp":
            return
        for examples in (self.train, self.held):
            if len(examples) and examples not in self.features:
                self._feature_table(examples)

    def _embedded(self, examples: Examples, places: NDArray[np.int64]) -> Tensor:
        if self.config.method == "mlp":
            table = self._feature_table(examples)
            return cast(Tensor, cast(Head, self.trainee.net.head)(table[torch.from_numpy(places)].to(self.device)))
        with self._arithmetic():
            return self.trainee.net.embed(self._images(examples, places)).float()

    @torch.no_grad()
    def _feature_table(self, examples: Examples) -> Tensor:
        """(U, D) features of all its images."""
        if examples not in self.features:
            count = len(examples.paths)
            size = 1 if self.device == "cpu" else _FORWARD  # as everywhere: one image's numbers know no company
            parts = [
                self._features(examples, np.arange(start, min(start + size, count))) for start in range(0, count, size)
            ]
            self.features[examples] = torch.from_numpy(np.concatenate(parts))
        return self.features[examples]

    def _features(self, examples: Examples, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, D) features of some images, from the store where they are all there."""
        squares = self._squares(examples)(places)
        recipe = {"kind": "dreamsim_features", "arithmetic": str(self.dtype), "side": SIDE}
        recipe |= {name: self.identity[name] for name in ("trunks", "features")}
        names = [key(image=hashlib.sha256(one.tobytes()).hexdigest(), **recipe) for one in squares]
        kept = [self.store.get(name) if self.store is not None else None for name in names]
        if all(one is not None for one in kept):
            return np.stack([one["features"] for one in kept if one is not None])
        with self._arithmetic():
            found: NDArray[np.float32] = (
                self.trainee.net.features_of(self._images(examples, places)).float().cpu().numpy()
            )
        if self.store is not None:
            for name, row in zip(names, found, strict=True):
                self.store.put(name, {"features": row})
        return found

    def _squares(self, examples: Examples) -> Squares:
        if examples not in self.squares:
            self.squares[examples] = Squares(examples.paths, SIDE)
        return self.squares[examples]

    def _images(self, examples: Examples, places: NDArray[np.int64]) -> Tensor:
        """(n, 3, 224, 224) in [0, 1]."""
        pixels = torch.from_numpy(self._squares(examples)(places)).to(self.device)
        return pixels.permute(0, 3, 1, 2).contiguous().float().div_(255.0)

    def _arithmetic(self) -> AbstractContextManager[Any]:
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.device.split(":")[0], self.dtype)

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Dropout draws from torch's global generators: seeded by the step, and put back afterwards."""
        cuda = [torch.device(self.device).index or 0] if self.device.startswith("cuda") else []
        with torch.random.fork_rng(devices=cuda):
            torch.manual_seed(int(np.random.default_rng([self.config.seed, 2, self.step]).integers(2**62)))
            yield

    def log(self) -> str:
        """The history as CSV."""
        lines = [",".join(self.history[0])]
        lines += [",".join("" if math.isnan(v) else f"{v:.6g}" for v in row.values()) for row in self.history]
        return "\n".join(lines) + "\n"

    def save(self, stream: Any) -> None:
        """Writes the checkpoint: tensors, numbers and words alone."""
        state = {
            "config": json.dumps(self.config.to_dict()),
            "identity": json.dumps(self.identity),
            "step": self.step,
            "network": self.trainee.state(),
            "best_network": self.best_state,
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "best": self.best,
            "stale": self.stale,
            "elapsed_s": self.elapsed_s,
            "sums": self.sums,
            "history": self.history,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        stream.write(buffer.getbuffer())

    def restore(self, path: Path) -> None:
        """Reads a checkpoint of an equal config, equal trunks and equal triplets.

        Raises:
            UsageError: it is of others; says what differs.
            WeightsCorruptError: it is damaged.
        """
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            config, identity = json.loads(state["config"]), json.loads(state["identity"])
            names = [*config, *identity]
        except Exception as error:  # torch.load raises nearly anything on a damaged file
            raise WeightsCorruptError(
                f"Expected a training's checkpoint at {path}; it cannot be read ({type(error).__name__}). "
                "Remove it to begin anew."
            ) from error
        here = {**self.config.to_dict(), **self.identity}
        there = {**config, **identity}
        differing = _differing(here, there, [*here, *names])
        if differing:
            raise UsageError(
                f"Expected the training that {path.parent} holds, which differs in {', '.join(differing)}. "
                "Give the same options and data, or another folder."
            )
        try:
            self.trainee.load(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.scaler.load_state_dict(state["scaler"])
            self.step, self.stale = int(state["step"]), int(state["stale"])
            self.best, self.elapsed_s = float(state["best"]), float(state["elapsed_s"])
            self.best_state = dict(state["best_network"])
            self.sums, self.history = list(state["sums"]), list(state["history"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise WeightsCorruptError(
                f"Expected a whole checkpoint at {path}; {error}. Remove it to begin anew."
            ) from error


def precision_of(config: TrainingConfig, device: str) -> torch.dtype | None:
    """What trunks compute in, under autocast; None is float32 throughout.

    Raises:
        UsageError: a precision that the device has not.
    """
    cuda = device.startswith("cuda")
    if config.precision == "auto":
        if not cuda:
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if config.precision == "float16" and not cuda:
        raise UsageError("Expected a CUDA device for float16; found a processor. Use --precision bfloat16 or float32.")
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[config.precision]


def _differing(here: dict[str, Any], there: dict[str, Any], names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if here.get(name) != there.get(name)})
