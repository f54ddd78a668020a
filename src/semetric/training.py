"""One training loop for every network: steps, evaluations, checkpoints, a log, early stopping, mixed precision."""

from __future__ import annotations

import io
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from semetric.errors import UsageError, WeightsCorruptError
from semetric.results.files import write_whole

__all__ = ["BOARD", "CHECKPOINT", "Trainer", "TrainingProgress", "seeded"]

CHECKPOINT = "checkpoint.pt"
BOARD = "tensorboard"

_SAVE_EVERY_S = 30.0  # at most so much work is lost when a training is killed
_COUNTERS = ("step", "best", "stale", "elapsed_s", "sums", "history", "best_state")


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """The state of a training after a step, for the progress callback.

    Attributes:
        step: number of finished steps, over all epochs and interruptions.
        steps: number of steps in all, unless it stops early.
        loss: of this step's batch.
        score: the monitored value of the latest evaluation; None before the first.
        elapsed_s: duration of all steps so far, in seconds, without the time between interruptions.
    """

    step: int
    steps: int
    loss: float
    score: float | None
    elapsed_s: float


class TrainingSettings(Protocol):
    """What the loop reads of the settings of a training."""

    @property
    def learning_rate(self) -> float: ...

    @property
    def seed(self) -> int: ...

    def to_dict(self) -> dict[str, Any]: ...


class Stateful(Protocol):
    """Whatever goes into a checkpoint: networks, and anything with their two methods."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


class Trainer(ABC):
    """The loop. A subclass defines `losses` (what a step learns from) and `evaluate` (what is measured).

    All that is random in a step must follow from the seed and `step`. Then a training that was interrupted ends with
    the same weights, to the bit, as an uninterrupted one on the same device with as many threads.

    Args:
        config: the settings. A checkpoint of other settings is refused.
        data: JSON values that identify the data, by names for messages. A checkpoint of other data is refused.
        network: what is trained, on its device.
        optimiser: over the network's parameters. The learning rate of a group is multiplied by its entry "scale".
        steps: number of steps, unless it stops early.
        evaluate_every: steps between evaluations. An evaluation writes the log and a checkpoint.
        steps_per_epoch: for the log's column "epoch"; None for no such column.
        patience: number of evaluations without a better one after which it stops; 0 for never.
        precision: of autocast; None computes in float32.
        device: "cpu", "cuda" or "cuda:N".
    """

    LOG: ClassVar[str] = "curve.csv"
    MONITORED: ClassVar[str] = ""
    """The column of the log whose highest value marks the best network. Where it is absent, the latest is the best."""
    CLIP_NORM: float | None = None
    """Gradients are scaled down to this norm; None leaves them."""
    EVALUATES_START: ClassVar[bool] = False
    """Whether the log begins with the network before the first step, which never counts as the best."""

    def __init__(
        self,
        config: TrainingSettings,
        data: Mapping[str, Any],
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        *,
        steps: int,
        evaluate_every: int,
        steps_per_epoch: int | None = None,
        patience: int = 0,
        precision: torch.dtype | None = None,
        device: str = "cpu",
    ) -> None:
        self.config, self.network, self.optimiser, self.device = config, network, optimiser, device
        self.steps, self.evaluate_every, self.steps_per_epoch = steps, evaluate_every, steps_per_epoch
        self.patience, self.precision = patience, precision
        self.scaler = torch.amp.GradScaler(device.split(":")[0], enabled=precision == torch.float16)
        self.parts: dict[str, Stateful] = {"network": network}
        """What a checkpoint holds beside the optimiser; a subclass may add to it or replace it."""
        self.step = 0
        self.best = -math.inf
        self.best_state: dict[str, Tensor] = {}
        """For `on_best`: tensors that go into the checkpoint."""
        self.stale = 0
        self.elapsed_s = 0.0
        self.sums: dict[str, list[float]] = {}
        self.history: list[dict[str, float]] = []
        self._identity = {**config.to_dict(), **json.loads(json.dumps(data))}
        self._rate = math.nan

    @abstractmethod
    def losses(self) -> Iterator[Tensor]:
        """The loss of step `step`, in parts that are added; gradients of one part are computed before the next."""

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Further columns of the log, measured with the network in evaluation mode and without gradients."""

    def learning_rate(self) -> float:
        """That of step `step`."""
        return self.config.learning_rate

    def batch_size(self) -> int:
        """The weight of step `step` in the means of the log."""
        return 1

    def after_step(self) -> None:  # noqa: B027  # most have nothing to do here
        """Called when the optimiser has changed the network."""

    @abstractmethod
    def on_best(self, folder: Path) -> None:
        """Called when an evaluation found the best network so far."""

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return 0 < self.patience <= self.stale

    @property
    def stopped_early(self) -> bool:
        """Whether patience ran out before the last step."""
        return self.exhausted and self.step < self.steps

    def run(self, folder: Path, progress: Callable[[TrainingProgress], None] | None = None) -> None:
        """Trains to the end, from the folder's checkpoint where there is one.

        Args:
            folder: gets CHECKPOINT, LOG and, where TensorBoard is installed, BOARD. The caller holds its lock.
            progress: called after every step.

        Raises:
            UsageError: a checkpoint of other settings or data, or a loss that is not finite.
            WeightsCorruptError: a checkpoint that cannot be read.
            StoreError: a file cannot be written.
        """
        if (folder / CHECKPOINT).is_file():
            self._restore(folder / CHECKPOINT)
        before_s, start = self.elapsed_s, time.monotonic()
        saved = start
        with _tensorboard(folder / BOARD, self.step) as board:
            if self.EVALUATES_START and not self.history:
                self._evaluate(folder, board)
            while self.step < self.steps and not self.exhausted:
                loss = self._advance()
                now = time.monotonic()
                self.elapsed_s = before_s + now - start
                if self.step % self.evaluate_every == 0 or self.step == self.steps:
                    self._evaluate(folder, board)
                    saved = now
                elif now - saved >= _SAVE_EVERY_S:
                    write_whole(folder / CHECKPOINT, self._save)
                    saved = now
                if progress is not None:
                    score = self.history[-1].get(self.MONITORED) if self.history else None
                    progress(
                        TrainingProgress(
                            step=self.step, steps=self.steps, loss=loss, score=score, elapsed_s=self.elapsed_s
                        )
                    )
        self.network.eval()

    def tally(self, name: str, value: float, weight: float) -> None:
        """Adds a value to the mean that the next row of the log has in the column `name`."""
        total, count = self.sums.get(name, (0.0, 0.0))
        self.sums[name] = [total + value * weight, count + weight]

    def seed_of(self, *place: int) -> int:
        """A seed for what is random at a place of the training, such as a step."""
        return int(np.random.default_rng([self.config.seed, 2, *place]).integers(2**62))

    def autocast(self) -> AbstractContextManager[Any]:
        """The context for forward passes in `precision`."""
        return nullcontext() if self.precision is None else torch.autocast(self.device.split(":")[0], self.precision)

    def _advance(self) -> float:
        """One step; returns its loss."""
        self.network.train()
        self._rate = self.learning_rate()
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate * group.get("scale", 1.0)
        self.optimiser.zero_grad(set_to_none=True)
        total = 0.0
        for loss in self.losses():
            torch.autograd.backward(self.scaler.scale(loss))
            total += loss.item()
        if not math.isfinite(total):
            raise UsageError(
                f"Expected a finite loss; found {total} at step {self.step + 1}. Use a lower learning rate than "
                f"{self.config.learning_rate:g}{'' if self.precision is None else ', or float32'}, in another folder."
            )
        if self.CLIP_NORM is not None:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.CLIP_NORM)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.tally("loss", total, self.batch_size())
        self.step += 1
        self.after_step()
        return total

    def _evaluate(self, folder: Path, board: Any) -> None:
        """Adds a row to the log, and writes it and a checkpoint."""
        self.network.eval()
        row = {"step": float(self.step), "elapsed_s": round(self.elapsed_s, 1)}
        if self.steps_per_epoch is not None:
            row["epoch"] = self.step / self.steps_per_epoch
        if self.step:
            row["learning_rate"] = self._rate
        row |= {name: total / count for name, (total, count) in self.sums.items()}
        with torch.no_grad():
            row |= self.evaluate()
        self.history.append(row)
        self.sums = {}
        if self.step:
            value = row.get(self.MONITORED)
            better = value is None or value > self.best
            self.best = max(self.best, -math.inf if value is None else value)
            self.stale = 0 if better else self.stale + 1
            if better:
                self.on_best(folder)
        write_whole(folder / self.LOG, lambda stream: stream.write(self._log().encode()))
        write_whole(folder / CHECKPOINT, self._save)
        if board is not None:
            for name in row.keys() - {"step", "elapsed_s"}:
                board.add_scalar(name, row[name], self.step)
            board.flush()

    def _log(self) -> str:
        """The history as CSV; what was not measured is an empty cell."""
        columns = list(dict.fromkeys(name for row in self.history for name in row))
        lines = [columns, *([f"{row[name]:.6g}" if name in row else "" for name in columns] for row in self.history)]
        return "".join(",".join(line) + "\n" for line in lines)

    def _save(self, stream: Any) -> None:
        """Writes the checkpoint: tensors, numbers and text alone."""
        state = {
            "identity": json.dumps(self._identity),
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            **{name: getattr(self, name) for name in _COUNTERS},
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        stream.write(buffer.getbuffer())

    def _restore(self, path: Path) -> None:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            there = dict(json.loads(state["identity"]))
        except Exception as error:  # torch.load raises nearly anything on a damaged file
            raise WeightsCorruptError(
                f"Expected a training's checkpoint at {path}; it cannot be read ({type(error).__name__}). "
                "Remove it to begin anew."
            ) from error
        here = self._identity
        differing = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
        if differing:
            raise UsageError(
                f"Expected the training that {path.parent} holds, which differs in {', '.join(differing)}. "
                "Give the same options and data, or another folder."
            )
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        for name in _COUNTERS:
            setattr(self, name, state[name])


@contextmanager
def seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """Seeds torch's global generators, from which initial weights and dropout are drawn, and puts them back.

    Examples:
        >>> with seeded(0):
        ...     first = torch.rand(2)
        >>> with seeded(0):
        ...     assert torch.equal(torch.rand(2), first)
    """
    cuda = [torch.device(device).index or 0] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield


@contextmanager
def _tensorboard(folder: Path, step: int) -> Iterator[Any]:
    """TensorBoard's writer; None where it is not installed. What an earlier run wrote after `step` is dropped."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield None
        return
    with SummaryWriter(str(folder), purge_step=step + 1 if step else None) as writer:
        yield writer
