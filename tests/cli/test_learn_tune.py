"""`semetric learn tune` on a study file, with graphs made from pixels instead of networks; and `score --config`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semetric.cli import main
from semetric.image import Picture
from semetric.learn.datasets import load_dataset
from semetric.learn.judgements import Answer, Item, JudgementStore
from semetric.learn.triplets import ScoredTriplet
from semetric.learn.tuning import load_batch
from semetric.metrics.sess_settings import SessSettings, read_sess_settings, sess_settings
from semetric.models.runtime import Runtime
from semetric.scene.build import GraphBuilder
from semetric.scene.graph import SceneGraph
from semetric.scene.rle import encode
from semetric.score_settings import Variant

QUICK = ["--trials", "40", "--folds", "2", "--resamples", "50", "--device", "cpu", "--workers", "1"]
NAMES = [f"{i:02}.png" for i in range(12)]


def graph_of(builder: GraphBuilder, picture: Picture) -> SceneGraph:
    """Five objects whose look, importance and places come from the picture's pixels."""
    rng = np.random.default_rng(int(picture.to_uint8()[0, 0, 0]))
    masks = np.zeros((5, 8, 8), bool)
    for i in range(5):
        masks[i, i, : i + 2] = True
    importance = rng.random(5) + 0.05
    return SceneGraph(
        size=(8, 8),
        rle=encode(masks),
        boxes=np.zeros((5, 4), np.int64),
        centres=rng.random((5, 2)),
        areas=masks.mean((1, 2)),
        iou=np.ones(5, np.float32),
        stability=np.ones(5, np.float32),
        classes=np.full(5, -1),
        class_probabilities=np.zeros(5, np.float32),
        features=rng.random((5, 12)).astype(np.float32),
        image_feature=rng.random(12).astype(np.float32),
        cell_features=np.zeros((1, 12), np.float32),
        held=importance[:, None] / importance.sum(),
        importance=importance / importance.sum(),
        triplets=np.array([[0, 1, 4], [1, 2, 3], [2, 0, 9], [3, 4, 7]]),
        probabilities=np.full(4, 0.5),
        settings={"importance": builder.variant},
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with `study.db`: twelve pictures, 24 triplets over six references, two people's scores."""
    monkeypatch.setattr(GraphBuilder, "__call__", graph_of)
    monkeypatch.setattr(GraphBuilder, "predicate_similarity", np.eye(56))
    monkeypatch.setattr(GraphBuilder, "weights", {"sam": "fake@0"})
    monkeypatch.setattr(GraphBuilder, "comparison_weights", {"predicates": "fake@1"})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    for i, name in enumerate(NAMES):
        Image.fromarray(np.full((8, 8, 3), 8 * i, np.uint8)).save(tmp_path / "images" / name)
    rng = np.random.default_rng(0)
    with JudgementStore(tmp_path / "study.db", create=True) as store:
        study = store.create_study("photos", "score", tmp_path / "images")
        items = []
        for t in range(24):
            a, b = rng.choice(np.arange(6, 12), 2, replace=False)
            items.append(Item(key=f"t{t}", reference=NAMES[t % 6], a=NAMES[a], b=NAMES[b]))
        store.add_items(study, items)
        for person in ("Ada", "Grace"):
            who = store.annotator(study, person)
            for item in items:
                answer = Answer(score_a=float(rng.uniform(0.3, 0.9)), score_b=float(rng.uniform(0.3, 0.9)))
                store.judge(study, item.key, who, answer, shown_left="a", seconds=1.0)
    return tmp_path


def tune(*words: str) -> int:
    study = () if "--study" in words else ("--study", "photos")
    return main(["learn", "tune", "study.db", *study, *words])


@pytest.mark.parametrize("variant", ["graded", "paper"])
def test_settings_that_the_judgements_do_not_determine_are_not_recommended(
    here: Path, capsys: pytest.CaptureFixture[str], variant: Variant
) -> None:
    (here / "run").mkdir()
    (here / "run" / "sess.toml").write_text("[sess]\n")  # of an earlier run
    assert tune("--out", "run", *QUICK, *(() if variant == "graded" else ("--variant", variant))) == 0
    said = capsys.readouterr()
    assert "95% interval" in said.out
    assert "mean squared error ↓" in said.out
    assert "the judgements do not determine" in said.err  # scores were drawn at random
    assert "--config" not in said.err
    report = json.loads((here / "run" / "tuning.json").read_text())
    assert report["undetermined"]
    before = (
        GraphBuilder(Runtime("lite"), variant=variant).graded_settings if variant == "graded" else SessSettings.PAPER
    )
    assert all(f"--fix {name}={getattr(before, name):g}" in said.err for name in report["undetermined"])
    made = sorted(p.name for p in (here / "run").iterdir() if not p.name.startswith("."))
    assert made == ["influence.png", "parallel.png", "run.sqlite", "trials.csv", "tuning.json"]
    assert (report["triplets"], report["references"], report["profile"]) == (24, 6, "lite")
    assert report["variant"] == variant
    assert variant in report["baseline_losses"]
    assert f"tuned − {variant}" in said.out
    assert report["weights"] == {"sam": "fake@0", "predicates": "fake@1"}


@pytest.mark.parametrize("variant", ["graded", "paper"])
def test_a_study_becomes_a_config_file(here: Path, capsys: pytest.CaptureFixture[str], variant: Variant) -> None:
    triplets = [item for item in load_dataset("study", "study.db").items if isinstance(item, ScoredTriplet)]
    builder = GraphBuilder(Runtime("lite", device="cpu"), variant=variant)
    _, batch, _ = load_batch(triplets, builder)
    settings = replace(builder.graded_settings, gamma=0.5) if variant == "graded" else SessSettings(gamma=0.5)
    scores = batch.scores(settings).clip(0, 1)
    with JudgementStore("study.db") as store:  # a judge who scores as SeSS does: gamma is determined
        study = store.create_study("gamma", "score", here / "images")
        items = list(store.items(store.study("photos")))
        store.add_items(study, items)
        for item, a, b in zip(items, scores[::2], scores[1::2], strict=True):
            answer = Answer(score_a=float(a), score_b=float(b))
            store.judge(study, item.key, store.annotator(study, "Ada"), answer, shown_left="a", seconds=1.0)
    assert (
        tune("--study", "gamma", "--out", "run", *QUICK, "--vary", "gamma", "--trials", "20", "--variant", variant) == 0
    )
    said = capsys.readouterr()
    assert "semetric score REFERENCE IMAGE --metric sess --config run/sess.toml" in said.err
    assert "takes 36 trials with a score; found 20" in said.err  # no influence.png, and why
    assert not (here / "run" / "influence.png").exists()
    report = json.loads((here / "run" / "tuning.json").read_text())
    assert report["undetermined"] == []
    assert read_sess_settings(here / "run" / "sess.toml") == sess_settings(report["settings"])

    words = ["score", "images/00.png", "images/07.png", "--metric", "sess", "--device", "cpu", "--json"]
    assert main([*words, "--config", "run/sess.toml"]) == 0
    details = json.loads(capsys.readouterr().out)["scores"]["sess"]["details"]
    assert details["variant"] == {"graded": "graded_tuned", "paper": "tuned"}[variant]
    assert details["settings"] == report["settings"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["sess"]["details"]["variant"] == "graded"
    assert main([*words, "--config", "run/sess.toml", "--variant", "demo"]) == 2
    assert "found both" in capsys.readouterr().err


def test_json_choices_and_fixed_parameters(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--out", "run", *QUICK, "--objective", "2afc", "--fix", "iterations=7", "--fix", "beta=0.05", "--json"]
    assert tune(*words, "--no-plots", "--variant", "paper") == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert {one["name"] for one in report["parameters"]}.isdisjoint({"iterations", "beta"})
    assert report["settings"]["iterations"] == 7
    assert not (here / "run" / "parallel.png").exists()


def test_ctrl_c_is_exit_5_and_the_same_command_goes_on(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from semetric.scene.batch import PairBatch

    whole, calls = PairBatch.scores, []

    def scores(batch: PairBatch, settings: Any) -> Any:
        calls.append(1)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return whole(batch, settings)

    monkeypatch.setattr(PairBatch, "scores", scores)
    words = ["--out", "run", *QUICK, "--no-refine", "--no-plots", "--variant", "paper", "--vary", "alpha,gamma"]
    assert tune(*words) == 5
    assert "the same command goes on from there" in capsys.readouterr().err
    assert tune(*words) == 0
    assert len(calls) == 10 + (40 - 9) + 2  # the rest of the trials; the paper's settings and the published code's


def test_a_picture_that_cannot_be_read_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "images" / "07.png").write_bytes(b"broken")
    assert tune("--out", "run", *QUICK, "--no-plots", "--vary", "gamma") == 0
    said = capsys.readouterr()
    assert "07.png" in said.err
    report = json.loads((here / "run" / "tuning.json").read_text())
    assert report["triplets"] < 24
    assert len(report["images_without_graph"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fix", "alpha"], "Expected --fix NAME=NUMBER; found 'alpha'"),
        (["--fix", "alpha=much"], "found 'alpha=much'"),
        (["--vary", "alfa"], "found 'alfa'"),
        (["--variant", "demo"], "Expected --variant graded or paper"),
        (["--sampler", "grid"], "Expected a sampler among random"),
        (["--objective", "mae"], "Expected an objective among mse"),
        (["--trials", "0"], "at least 1 trial"),
        (["--folds", "7"], "at least 7 reference images for 7 folds; found 6"),
    ],
)
def test_what_does_not_exist_is_exit_2(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert tune("--out", "run", *QUICK, *words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_config_with_an_unknown_name_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.toml").write_text("[sess]\nalphabet = 1\n")
    assert main(["score", "images/00.png", "images/07.png", "--metric", "sess", "--config", "own.toml"]) == 2
    assert "found 'alphabet'" in capsys.readouterr().err
