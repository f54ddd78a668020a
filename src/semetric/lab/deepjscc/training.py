"""Training of a DeepJSCC network on a folder of photos: resumable at any point."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from semetric.errors import UsageError
from semetric.lab.deepjscc.network import DeepJscc
from semetric.lab.deepjscc.patches import PhotoSet, Pixels
from semetric.lab.deepjscc.start import begin_linear, second_moment
from semetric.lab.deepjscc.training_config import DeepJsccTraining
from semetric.lab.deepjscc.weights import channels_last, load_deepjscc, pack
from semetric.models.runtime import Runtime
from semetric.results.files import check_place, held, write_whole
from semetric.training import Trainer, TrainingProgress, seeded

__all__ = ["WEIGHTS", "DeepJsccTrainer", "TrainedDeepJscc", "train"]

WEIGHTS = "weights.safetensors"

MSE_FLOOR = 1e-4  # 40 dB: without it, flat patches would dominate the gradient
LINEAR = ("linear", "mix", "unmix", "offset", "pilot", "log_power")  # what starts near its optimum
SLOWER = 0.1  # the learning rate of those, as a share of the others'


@dataclass(frozen=True, kw_only=True)
class TrainedDeepJscc:
    """Summary of a finished training.

    Attributes:
        weights: the file of the best evaluation.
        curve: the CSV file of evaluations.
        step: number of finished steps.
        psnr_db: held-out, of the best evaluation.
        stopped_early: whether patience ran out.
        photos: how many were trained on and held out.
        digest: of the photos, see PhotoSet.
    """

    weights: Path
    curve: Path
    step: int
    psnr_db: float
    stopped_early: bool
    photos: tuple[int, int]
    digest: str


def train(
    images_folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    config: DeepJsccTraining | None = None,
    *,
    start: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainedDeepJscc:
    """Trains a network, or continues an interrupted training, as `semetric.training.Trainer` does.

    The loss is the mean over the batch of ln(MSE + 1e-4), that is, of the PSNR, so that low SNRs and busy patches,
    whose errors are a hundred times those of others, do not dominate it.

    Args:
        images_folder: the photos.
        out: gets CHECKPOINT, the learning curve and WEIGHTS. A checkpoint that is there is resumed.
        config: None for the defaults.
        start: a weights file to begin with, of the same symbols, width and blocks; for fine-tuning.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".
        progress: called after every step; its score is the held-out PSNR in dB, mean over photos and SNRs.

    Raises:
        UsageError: no photos, a checkpoint of another config or of other photos, a `start` that would be replaced,
            or a training that diverges.
        WeightsCorruptError: a checkpoint that is damaged.
        WeightsMissingError: no `start`.
        StoreError: the results cannot be written, or another process trains into the folder.
    """
    config = config or DeepJsccTraining()
    photos = PhotoSet(
        images_folder,
        patch=config.patch,
        longest_sides=config.longest_sides,
        validation_share=config.validation_share,
        seed=config.seed,
    )
    folder = Path(out)
    device = Runtime(device=device).device
    with held(folder):
        check_place(folder / WEIGHTS, "the weights", [] if start is None else [start])
        trainer = DeepJsccTrainer(config, photos, start, device)
        trainer.run(folder, progress)
    return TrainedDeepJscc(
        weights=folder / WEIGHTS,
        curve=folder / trainer.LOG,
        step=trainer.step,
        psnr_db=trainer.best,
        stopped_early=trainer.stopped_early,
        photos=(len(photos.training) // len(config.longest_sides), len(photos.validation)),
        digest=photos.digest,
    )


class DeepJsccTrainer(Trainer):
    """What a step on patches computes, and the PSNR on the photos held out.

    Args:
        config: the settings.
        photos: for training and validation.
        start: a weights file to begin with, or None for random weights.
        device: "cpu" or "cuda".
    """

    MONITORED = "psnr_db"
    CLIP_NORM = 1.0
    config: DeepJsccTraining
    network: DeepJscc

    def __init__(
        self, config: DeepJsccTraining, photos: PhotoSet, start: str | os.PathLike[str] | None, device: str
    ) -> None:
        with seeded(config.seed):
            network, average = DeepJscc(config.network), DeepJscc(config.network)
        if start is None:
            begin_linear(network, second_moment(photos.training, config.seed), config.seed)
        else:
            _begin_with(network, start)
        for each in (network, average):
            channels_last(each.to(device))
        average.load_state_dict(network.state_dict())
        average.eval().requires_grad_(False)
        linear = {name for name, _ in network.named_parameters() if name.split(".")[1] in LINEAR}
        groups = [
            {"params": [p for name, p in network.named_parameters() if (name in linear) == slow], "scale": scale}
            for slow, scale in ((False, 1.0), (True, SLOWER))
        ]
        super().__init__(
            config,
            {"photos": photos.digest},
            network,
            torch.optim.Adam(groups, lr=config.learning_rate),
            steps=config.steps,
            evaluate_every=config.evaluate_every,
            patience=config.patience,
            precision=torch.bfloat16 if config.bfloat16 else None,
            device=device,
        )
        self.photos, self.average = photos, average
        self.parts["average"] = average

    def learning_rate(self) -> float:
        """Rises linearly over `warm_up` steps, and falls along a cosine to a hundredth."""
        rise = min(1.0, (self.step + 1) / (self.config.warm_up + 1))
        fall = 0.5 + 0.5 * math.cos(math.pi * min(1.0, self.step / self.steps))
        return self.config.learning_rate * rise * (0.01 + 0.99 * fall)

    def losses(self) -> Iterator[Tensor]:
        """Mean of ln(MSE + 1e-4) over a batch of patches, each at an SNR of its own."""
        config = self.config
        generator = torch.Generator().manual_seed(self.seed_of(self.step))
        images = self.photos.batch(self.step, config.batch).to(self.device, memory_format=torch.channels_last)
        low, high = config.network.snr_min_db, config.network.snr_max_db
        snr_db = (low + (high - low) * torch.rand(config.batch, generator=generator)).to(self.device)
        with self.autocast():
            output = self.network(images, snr_db, generator)
        mse = (output.float() - images).square().mean(dim=(1, 2, 3))
        yield (mse + MSE_FLOOR).log().mean()

    def after_step(self) -> None:
        """Moves the running mean of the weights, which is what is evaluated and saved."""
        share = 1.0 - min(self.config.average, self.step / (self.step + 10.0))  # the first steps are soon forgotten
        with torch.no_grad():
            for mean, latest in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(latest, share)

    def evaluate(self) -> dict[str, float]:
        """PSNR of the photos held out, in dB: the mean, and at each SNR."""
        snrs_db = self.config.validation_snrs_db
        by_snr = [_psnr_db(self.average, self.photos.validation, snr_db, self.device) for snr_db in snrs_db]
        names = [f"psnr_db_at_{snr:g}db" for snr in snrs_db]
        return {"psnr_db": sum(by_snr) / len(by_snr), **dict(zip(names, by_snr, strict=True))}

    def on_best(self, folder: Path) -> None:
        """Writes the weights file of the averaged network."""
        content = pack(self.average, steps=str(self.step), photos=self.photos.digest)
        write_whole(folder / WEIGHTS, lambda stream: stream.write(content))


def _begin_with(network: DeepJscc, start: str | os.PathLike[str]) -> None:
    loaded = load_deepjscc(start)
    for name in ("symbols", "width", "blocks"):
        actual, expected = getattr(loaded.config, name), getattr(network.config, name)
        if actual != expected:
            raise UsageError(f"Expected weights with {name} {expected} to begin with; {os.fspath(start)} has {actual}.")
    network.load_state_dict(loaded.state_dict())


def _psnr_db(network: DeepJscc, photos: Sequence[Pixels], snr_db: float, device: str) -> float:
    """Mean PSNR of the photos through the channel at one SNR; the noise is always the same."""
    total = 0.0
    for i, pixels in enumerate(photos):
        generator = torch.Generator().manual_seed(i)
        image: Tensor = (torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255.0).to(device)
        output = network(image, torch.full((1,), snr_db, device=device), generator).clamp(0.0, 1.0)
        total -= 10.0 * math.log10(max(1e-10, float((output - image).square().mean())))
    return total / len(photos)
