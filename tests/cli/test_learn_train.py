from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fake_dreamsim import random_state, tiny
from semetric.cli import main
from semetric.learn.judgements import Answer, Item, JudgementStore
from semetric.learn.judgements.jsonl import study_lines
from semetric.learn.training import trunks
from semetric.models.dreamsim.variants import Trunk


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CSV file of 12 triplets, and the trunk clip_vitb32 small, in the folder `weights`."""
    (tmp_path / "weights").mkdir()
    trunk: Trunk = tiny("clip_vitb32").trunks[0]
    state = random_state(trunk.config, torch.Generator().manual_seed(0))
    torch.save(
        {"state_dict": {k: v * (10 if v.ndim > 1 else 1) for k, v in state.items()}},
        tmp_path / "weights" / trunk.files[0],
    )
    name, home = trunk.name, tiny("clip_vitb32")
    monkeypatch.setitem(trunks._PUBLISHED, name, (trunk, home))
    rng = np.random.default_rng(0)
    rows = []
    for i in range(12):
        base = np.kron(rng.integers(40, 160, (4, 4, 3)), np.ones((8, 8, 1)))
        for level in range(3):
            Image.fromarray((base + 30 * level).astype(np.uint8)).save(tmp_path / f"{i}_{level}.png")
        near = i % 2
        rows.append([f"{i}_0.png", f"{i}_{1 + near}.png", f"{i}_{2 - near}.png", float(near)])
    with (tmp_path / "triplets.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["reference", "a", "b", "share_b"], *rows])
    return tmp_path


def options(data: Path, *more: str) -> list[str]:
    given = ["--out", str(data / "out"), "--trunk", "clip_vitb32", "--dreamsim-weights", str(data / "weights")]
    given += ["--epochs", "2", "--batch", "4", "--held-out", "0.25", "--device", "cpu", "--no-cache"]
    return ["learn", "train", str(data / "triplets.csv"), *given, *more]


def test_trains_and_scores(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(options(data, "--rank", "4", "--json")) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["variant"] == "clip_vitb32 (own training)"
    assert found["triplets"] == {"trained": 9, "held_out": 3, "left_out": 0}
    assert found["steps"] == 6
    assert found["config"]["alpha"] == 32  # published for one trunk
    assert found["config"]["rank"] == 4
    assert {file.name for file in (data / "out").iterdir()} >= {
        "clip_vitb32_single_lora",
        "clip_vitb32_pretrain.pth.tar",
        "semetric_dreamsim.json",
        "log.csv",
        "checkpoint.pt",
    }
    pair = [str(data / "0_0.png"), str(data / "0_1.png")]
    score = ["score", *pair, "--metric", "dreamsim", "--dreamsim-weights", str(data / "out"), "--no-cache", "--json"]
    assert main(score) == 0
    details = json.loads(capsys.readouterr().out)["scores"]["dreamsim"]["details"]
    assert details["variant"] == "clip_vitb32 (own training)"
    assert main([*score, "--dreamsim", "ensemble"]) != 0
    assert "clip_vitb32 (own training)" in "".join(capsys.readouterr())


def test_says_in_words_how_it_went(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(options(data, "--method", "mlp", "--learning-rate", "1e-9")) == 0
    out, err = capsys.readouterr()
    assert "9 triplets, 3 held out" in out
    assert "2AFC on 3 triplets held out: " in out
    assert "--dreamsim-weights" in out
    assert "nothing better" in err


def test_ctrl_c_ends_with_5_and_goes_on(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from semetric.learn.training.training import DreamSimTrainer

    losses = DreamSimTrainer.losses

    def interrupted(self: DreamSimTrainer) -> Iterator[torch.Tensor]:
        if self.step == 4:
            raise KeyboardInterrupt
        return losses(self)

    with monkeypatch.context() as patched:
        patched.setattr(DreamSimTrainer, "losses", interrupted)
        assert main(options(data)) == 5
    assert "goes on from there" in capsys.readouterr().err
    state = torch.load(data / "out" / "checkpoint.pt", weights_only=True)
    assert state["step"] == 3  # the end of the first epoch
    assert main(options(data)) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--trunk", "dino_vitb17"], "Did you mean dino_vitb16"),
        (["--method", "full"], "lora, mlp"),
        (["--margin", "0"], "margin to be above 0"),
        (["--root", "."], "with the name of a data set"),
        (["--study", "first"], "options of csv: images; found study"),
        (["--split", "val"], "found 'val'"),
    ],
)
def test_usage_errors(change: list[str], words: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = options(data, *change)
    assert main(given) == 2
    assert words in capsys.readouterr().err


def test_a_data_set_needs_its_place(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = options(data)
    given[2] = "nights"
    assert main(given) == 2
    assert "--root" in capsys.readouterr().err


def test_a_config_file_is_taken_and_flags_win(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "config.toml").write_text('method = "mlp"\nhidden = 8\nseed = 3\n')
    assert main(options(data, "--config", str(data / "config.toml"), "--hidden", "4", "--json")) == 0
    config = json.loads(capsys.readouterr().out)["config"]
    assert (config["method"], config["hidden"], config["seed"]) == ("mlp", 4, 3)
    (data / "config.toml").write_text("epoch = 1\n")
    assert main(options(data, "--config", str(data / "config.toml"))) == 2
    assert "epoch" in capsys.readouterr().err


def test_judgements_are_looked_at_before_weights(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = options(data)
    given[given.index("--dreamsim-weights") + 1] = str(data / "nowhere")
    (data / "triplets.csv").write_text("reference,a,b,share_b\n0_0.png,0_1.png,0_2.png,0.5\n")
    assert main(given) == 2
    assert "triplets to train on" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["study.db", "study.jsonl"])
def test_a_study_or_its_export_is_trained_on(data: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    with JudgementStore(data / "study.db", create=True) as store:
        for title in ("other", "first"):
            study = store.create_study(title, "choice", data)
        items = [Item(key=str(i), reference=f"{i}_0.png", a=f"{i}_1.png", b=f"{i}_2.png") for i in range(8)]
        store.add_items(study, items)
        for item in items:
            store.judge(study, item.key, store.annotator(study, "Ada"), Answer(choice="a"), shown_left="a", seconds=1.0)
        (data / "study.jsonl").write_text("".join(study_lines(store, study)), encoding="utf-8")
    given = options(data, "--method", "mlp", "--study", "first", "--limit", "6", "--json")
    given[2] = str(data / name)
    assert main(given) == 0
    found = json.loads(capsys.readouterr().out)
    assert sum(found["triplets"].values()) == 6
    assert found["held_out_2afc"]["n"] == found["triplets"]["held_out"]
