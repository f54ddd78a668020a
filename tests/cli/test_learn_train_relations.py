from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fake_psg import FakeSam, write_psg
from semetric.cli import main
from semetric.models.segmenter import Segmenter

SMALL = ["--hidden", "24", "--intermediate", "24", "--layers", "1", "--embedding", "8"]
QUICK = [*SMALL, "--masks", "prompted", "--epochs", "2", "--resamples", "50", "--device", "cpu"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with `psg`, a cache of its own, and the stand-in for SAM."""
    write_psg(tmp_path / "psg", train=6, test=3)
    sam = FakeSam()
    monkeypatch.setattr(Segmenter, "sam", property(lambda self: sam))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    return tmp_path


def learn(*words: str) -> int:
    return main(["learn", "train-relations", *words])


def test_it_prints_recall_and_writes_a_head_that_scores(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert learn("psg", "--out", "run", *QUICK) == 0
    said = capsys.readouterr()
    rows = [line.split()[0] for line in said.out.splitlines() if line.strip() and "─" not in line]
    assert rows == ["recall", "R@20", "R@50", "R@100", "mR@20", "mR@50", "mR@100"]
    assert "to train on: 6 images, 18 of 18 segments have a mask; 0 of 18 relations are lost" in said.err
    document = json.loads((here / "run" / "recall.json").read_text())
    assert document["images"] == [6, 3]
    assert document["examples"]["masks"] == "prompted"
    assert document["config"]["size"]["hidden"] == 24

    from semetric.models.runtime import Runtime
    from semetric.profiles import profile
    from semetric.scene.build import GraphBuilder
    from semetric.weights import file_identity

    chosen = profile("lite", relations="ram", relations_weights=str(here / "run" / "relations.pth"))
    builder = GraphBuilder(Runtime(chosen, device="cpu"))
    assert file_identity(here / "run" / "relations.pth") in builder.weights.values()
    import numpy as np

    tokens = np.random.default_rng(0).standard_normal((4, 256)).astype(np.float32)
    found = builder._probabilities(np.zeros((4, 5, 5), bool), tokens)
    assert found.shape == (56, 4, 4)
    assert (found[:, 0, 1] > 0).all()


def test_json_is_one_document_and_a_second_run_is_done(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert learn("psg", "--out", "run", "--json", *QUICK) == 0
    first = capsys.readouterr().out
    weights = (here / "run" / "relations.pth").read_bytes()
    assert learn("psg", "--out", "run", "--json", *QUICK) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(first)
    assert (here / "run" / "relations.pth").read_bytes() == weights
    assert learn("psg", "--out", "run", *QUICK, "--learning-rate", "0.1") == 2
    assert "differs in learning_rate" in capsys.readouterr().err


def test_ctrl_c_ends_with_5_and_keeps_epochs(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from semetric.learn.relation_head.training import RelationTrainer

    losses = RelationTrainer.losses

    def interrupted(self: RelationTrainer) -> Iterator[torch.Tensor]:
        if self.step == self.evaluate_every:  # of the second epoch
            raise KeyboardInterrupt
        return losses(self)

    with monkeypatch.context() as patched:
        patched.setattr(RelationTrainer, "losses", interrupted)
        assert learn("psg", "--out", "run", *QUICK) == 5
    assert "finished epochs are in run" in capsys.readouterr().err
    assert len((here / "run" / "curve.csv").read_text().splitlines()) == 2
    assert learn("psg", "--out", "run", *QUICK) == 0
    assert len((here / "run" / "curve.csv").read_text().splitlines()) == 3


def test_broken_images_are_named_and_the_rest_is_used(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "psg" / "coco" / "train2017" / "001.png").write_bytes(b"no image")
    assert learn("psg", "--out", "run", *QUICK) == 1
    assert "001" in capsys.readouterr().err
    document = json.loads((here / "run" / "recall.json").read_text())
    assert document["images"] == [5, 3]
    assert len(document["broken"]) == 1


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["nothing"], "nothing is not there", 2),
        (["psg", "--masks", "all"], "found 'all'", 2),
        (["psg", "--hidden", "25"], "12 heads divide; found 25", 2),
        (["psg", "--start", "head.pth", "--hidden", "24"], "found both", 2),
        (["psg", "--masks", "prompted", "--start", "head.pth"], "no file there", 4),
        (["psg", "--masks", "prompted", "--min-iou", "2"], "in (0, 1]", 2),
    ],
)
def test_bad_options(here: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str, code: int) -> None:
    assert learn(*words, "--out", "run", "--device", "cpu") == code
    assert said in capsys.readouterr().err


@pytest.mark.weights
@pytest.mark.slow
def test_score_takes_the_head_by_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trained on the stand-in's tokens, scored with the real SAM: what comes out is loaded, named and used."""
    from PIL import Image

    from semetric.weights import file_identity

    write_psg(tmp_path / "psg", train=4, test=2)
    sam = FakeSam()
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Segmenter, "sam", property(lambda self: sam))
        assert learn("psg", "--out", "run", "--no-cache", *QUICK) == 0
    capsys.readouterr()
    for name, photo in (("a", "000"), ("b", "001")):
        with Image.open(tmp_path / "psg" / "coco" / "train2017" / f"{photo}.png") as image:
            image.resize((256, 192)).save(tmp_path / f"{name}.png")
    words = ["--metric", "sess", "--relations", "ram", "--relations-weights", "run/relations.pth"]
    assert main(["score", "a.png", "b.png", *words, "--json", "--no-cache", "--device", "cpu"]) == 0
    score = json.loads(capsys.readouterr().out)["scores"]["sess"]
    assert file_identity(tmp_path / "run" / "relations.pth") in score["weights"].values()
    assert 0 < score["value"] < 1
