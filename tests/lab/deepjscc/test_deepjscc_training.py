from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from semetric.errors import StoreError, UsageError, WeightsCorruptError
from semetric.lab.deepjscc.config import DeepJsccConfig
from semetric.lab.deepjscc.network import DeepJscc
from semetric.lab.deepjscc.training import WEIGHTS, DeepJsccTrainer, train
from semetric.lab.deepjscc.training_config import DeepJsccTraining
from semetric.lab.deepjscc.weights import load_deepjscc, pack
from semetric.results.files import held
from semetric.training import BOARD, CHECKPOINT, TrainingProgress

CONFIG = DeepJsccTraining(
    network=DeepJsccConfig(symbols=4, width=16, blocks=1),
    steps=12,
    batch=2,
    patch=32,
    longest_sides=(64,),
    warm_up=2,
    average=0.9,
    validation_share=0.3,
    evaluate_every=4,
    bfloat16=False,
)


class Interrupted(Exception):
    """Stands for Ctrl-C: pytest takes a KeyboardInterrupt for its own."""


def until(step: int) -> object:
    def tell(now: TrainingProgress) -> None:
        if now.step == step:
            raise Interrupted

    return tell


def test_loss_falls_and_everything_is_written(photo_folder: Path, tmp_path: Path) -> None:
    told: list[TrainingProgress] = []
    config = replace(CONFIG, steps=80, evaluate_every=20, learning_rate=5e-3)
    done = train(photo_folder, tmp_path, config, progress=told.append)
    assert [now.step for now in told] == list(range(1, 81))
    first, last = (sum(now.loss for now in told[part]) / 10 for part in (slice(10), slice(-10, None)))
    assert last < first - 0.2  # ln(MSE): the error falls by 18 % at the least
    assert done.step == 80
    assert not done.stopped_early
    assert done.photos == (4, 2)
    with done.curve.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["step"]) for row in rows] == [20, 40, 60, 80]
    psnrs = [float(row["psnr_db"]) for row in rows]
    assert max(psnrs) == pytest.approx(done.psnr_db, rel=1e-5)  # six digits in the file
    assert psnrs[-1] > psnrs[0] + 0.2
    by_snr = [float(rows[-1][f"psnr_db_at_{snr}db"]) for snr in (0, 10, 20)]
    assert sum(by_snr) / 3 == pytest.approx(psnrs[-1], rel=1e-5)
    assert by_snr == sorted(by_snr)
    assert load_deepjscc(done.weights).config == config.network
    assert {path.name for path in tmp_path.iterdir()} - {".lock", BOARD} == {CHECKPOINT, DeepJsccTrainer.LOG, WEIGHTS}


@pytest.mark.parametrize("stop", [4, 7])
def test_an_interrupted_training_ends_where_another_does(photo_folder: Path, tmp_path: Path, stop: int) -> None:
    whole = train(photo_folder, tmp_path / "whole", CONFIG)
    with pytest.raises(Interrupted):
        train(photo_folder, tmp_path / "parts", CONFIG, progress=until(stop))  # type: ignore[arg-type]
    assert torch.load(tmp_path / "parts" / CHECKPOINT, weights_only=True)["step"] == 4
    parts = train(photo_folder, tmp_path / "parts", CONFIG)
    assert parts.psnr_db == whole.psnr_db
    assert parts.weights.read_bytes() == whole.weights.read_bytes()
    columns = [[row.split(",") for row in done.curve.read_text().splitlines()] for done in (whole, parts)]
    elapsed = columns[0][0].index("elapsed_s")
    for rows in columns:
        for row in rows:
            del row[elapsed]
    assert columns[0] == columns[1]


def test_a_finished_training_is_left_as_it_is(photo_folder: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, steps=4)
    first = train(photo_folder, tmp_path, config)
    told: list[TrainingProgress] = []
    assert train(photo_folder, tmp_path, config, progress=told.append) == first
    assert not told


def test_equal_seeds_give_equal_weights_and_torch_is_left_alone(photo_folder: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, steps=2, evaluate_every=2)
    state = torch.random.get_rng_state()
    first = train(photo_folder, tmp_path / "a", config).weights.read_bytes()
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(3)
    assert train(photo_folder, tmp_path / "b", config).weights.read_bytes() == first
    assert train(photo_folder, tmp_path / "c", replace(config, seed=1)).weights.read_bytes() != first


def test_patience_runs_out(photo_folder: Path, tmp_path: Path) -> None:
    # Steps below half a unit in the last place of any weight: the first evaluation stays the best.
    config = replace(CONFIG, steps=400, evaluate_every=1, patience=3, learning_rate=1e-14)
    done = train(photo_folder, tmp_path, config)
    assert done.stopped_early
    assert done.step == 4
    assert train(photo_folder, tmp_path, config).step == 4


def test_a_training_that_diverges_says_so(photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(network: DeepJscc, images: torch.Tensor, *_: object) -> torch.Tensor:
        return images * float("nan") + next(network.parameters()).sum()

    monkeypatch.setattr(DeepJscc, "forward", spoil)
    with pytest.raises(UsageError, match=r"Expected a finite loss; found nan at step 1\. Use a lower learning rate"):
        train(photo_folder, tmp_path, CONFIG)
    assert {path.name for path in tmp_path.iterdir()} <= {".lock"}


def test_fine_tuning_begins_with_the_given_weights(photo_folder: Path, tmp_path: Path) -> None:
    start = train(photo_folder, tmp_path / "start", replace(CONFIG, steps=40, learning_rate=5e-3, evaluate_every=40))
    config = replace(CONFIG, network=replace(CONFIG.network, constellation="16qam"), steps=1, learning_rate=1e-6)
    tuned = train(photo_folder, tmp_path / "tuned", config, start=start.weights)
    fresh = train(photo_folder, tmp_path / "fresh", config)
    assert tuned.psnr_db > fresh.psnr_db + 0.5
    assert load_deepjscc(tuned.weights).config.constellation == "16qam"
    wide = replace(config, network=replace(config.network, width=24))
    with pytest.raises(UsageError, match=r"weights with width 24 to begin with; .* has 16\."):
        train(photo_folder, tmp_path / "wide", wide, start=start.weights)


def test_other_checkpoints_are_refused(photo_folder: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, steps=1)
    train(photo_folder, tmp_path, config)
    with pytest.raises(UsageError, match="which differs in batch, seed"):
        train(photo_folder, tmp_path, replace(config, seed=3, batch=3))
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    for path in sorted(photo_folder.iterdir())[:3]:
        (fewer / path.name).write_bytes(path.read_bytes())
    with pytest.raises(UsageError, match="differs in photos"):
        train(fewer, tmp_path, config)
    checkpoint = tmp_path / CHECKPOINT
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsCorruptError, match="cannot be read"):
        train(photo_folder, tmp_path, config)
    torch.save({"identity": "5"}, checkpoint)
    with pytest.raises(WeightsCorruptError, match="cannot be read"):
        train(photo_folder, tmp_path, config)


def test_places_that_take_no_training(photo_folder: Path, tmp_path: Path, tiny: DeepJscc) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"Expected to write .*file"):
        train(photo_folder, tmp_path / "file", CONFIG)
    with held(tmp_path / "busy"), pytest.raises(StoreError, match="another process"):
        train(photo_folder, tmp_path / "busy", CONFIG)
    (tmp_path / "own").mkdir()
    own = tmp_path / "own" / WEIGHTS
    own.write_bytes(pack(tiny))
    with pytest.raises(UsageError, match="to a file of its own"):
        train(photo_folder, tmp_path / "own", CONFIG, start=own)
    assert own.read_bytes() == pack(tiny)
    with pytest.raises(UsageError, match="found 'cpux'"):
        train(photo_folder, tmp_path / "new", CONFIG, device="cpux")


@pytest.mark.parametrize("wrong", [{"seed": 2**63}, {"validation_snrs_db": (1e9,)}, {"validation_snrs_db": ()}])
def test_numbers_that_torch_does_not_take(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="Expected"):
        replace(CONFIG, **wrong)


def test_photos_that_cannot_train_are_named(photo_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Expected a folder of photos"):
        train(tmp_path / "nowhere", tmp_path / "out", CONFIG)
    with pytest.raises(UsageError, match=r"at least two photos of 32 × 32 px .* found 0\."):
        train(tmp_path, tmp_path / "out", CONFIG)
    with pytest.raises(UsageError, match=r"64 × 64 px or more .* found 1\."):  # the others are narrower once shrunk
        train(photo_folder, tmp_path / "out", replace(CONFIG, patch=64, longest_sides=(64,)))
