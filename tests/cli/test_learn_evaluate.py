from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semetric.cli import main

QUICK = ["--metrics", "psnr,mse", "--device", "cpu", "--no-cache", "--resamples", "100"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with `kadid10k`: two photos, two distortions at five levels; and one line too many."""
    rng = np.random.default_rng(0)
    images = tmp_path / "kadid10k" / "images"
    images.mkdir(parents=True)
    lines = ["dist_img,ref_img,dmos,var"]
    for photo in (1, 2):
        clean = rng.integers(0, 256, (24, 24, 3))
        Image.fromarray(clean.astype(np.uint8)).save(images / f"I{photo:02d}.png")
        for kind in (10, 11):
            for level in range(1, 6):
                name = f"I{photo:02d}_{kind:02d}_{level:02d}.png"
                noisy = clean + level * (kind - 6) * rng.normal(size=clean.shape)
                Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(images / name)
                lines.append(f"{name},I{photo:02d}.png,{5.5 - 0.8 * level:.1f},0.1")
    (images.parent / "dmos.csv").write_text("\n".join([*lines, "I09_01_01.png,I09.png,3,0.1"]) + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    return tmp_path


def evaluate(*words: str) -> int:
    return main(["learn", "evaluate", *words])


def test_a_table_across_metrics_with_published_figures(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["kadid10k", "--root", ".", "--out", "run", *QUICK]
    assert evaluate(*words) == 0
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines() if line.strip()]
    assert lines[0] == ["metric", "better", "n", "SRCC", "KRCC", "PLCC", "mean", "of", "2", "groups", "published"]
    assert lines[2][:3] == ["psnr", "↑", "20"]
    assert lines[2][-1] == "0.680"  # the paper's
    assert lines[3][:3] == ["mse", "↓", "20"]
    assert "missing or damaged, and left out: 1\n  dmos.csv, line 22: images/I09.png is missing" in said.err
    assert "20 items; the published data set has 10125" in said.err
    assert "SRCC by group" in said.out
    assert "DISTS 0.880" in said.out
    assert sorted(p.name for p in (here / "run").iterdir() if not p.name.startswith(".")) == [
        "agreement.csv",
        "agreement.json",
        "agreement.tex",
        "run.json",
        "run.sqlite",
        "scores.csv",
        "scores.parquet",
        "summary.json",
    ]
    assert evaluate(*words) == 0
    again = capsys.readouterr()
    assert again.out == said.out
    assert "20 of 20 pairs were scored before" in again.err


def test_json_latex_and_a_sample(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["kadid10k", "--root", "kadid10k", *QUICK, "--limit", "12", "--seed", "3"]
    assert evaluate(*words, "--json") == 0
    said = capsys.readouterr()
    summary = json.loads(said.out)
    assert summary["dataset"]["items"] == 12
    assert summary["interval"]["seed"] == 3
    assert summary["dataset"]["problems"]["count"] == 1
    assert "12 of 20 items drawn" in said.err
    assert evaluate(*words, "--latex", "--logistic", "5") == 0
    latex = capsys.readouterr().out
    assert latex.startswith("% needs \\usepackage{booktabs}\n")
    assert "logistic curve of 5 parameters" in latex
    assert len(list((here / "cache" / "evaluations").iterdir())) == 1  # one set of scores for both


def test_a_broken_image_is_said_and_costs_the_exit_code(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "kadid10k" / "images" / "I01_10_03.png").write_bytes(b"broken")
    assert evaluate("kadid10k", "--root", ".", *QUICK) == 1
    err = capsys.readouterr().err
    assert "1 of 20 pairs failed:\n  images/I01.png – images/I01_10_03.png: " in err
    assert "psnr: 1 of 20 items have no score" in err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["kadid", "--root", "."], "Did you mean kadid10k?"),
        (["kadid10k", "--root", "elsewhere"], "elsewhere is not there"),
        (["kadid10k", "--root", ".", "--split", "test"], "it has none; found 'test'"),
        (["kadid10k", "--root", ".", "--json", "--latex"], "--json or --latex; found both"),
        (["kadid10k", "--root", ".", "--logistic", "3"], "--logistic 4 or 5"),
        (["kadid10k", "--root", ".", "--option", "subset"], "--option NAME=VALUE"),
        (["kadid10k", "--root", ".", "--option", "subset=a"], "options of kadid10k: it has none; found subset"),
        (["nights", "--root", ".", "--option", "min_votes=few"], "a whole number for --option min_votes"),
        (["kadid10k", "--root", ".", "--metrics", "psnrr"], "psnrr"),
        (["kadid10k", "--root", ".", "--limit", "0"], "at least 1 item"),
        (["kadid10k", "--root", ".", "--metrics", "psnr", "--resamples", "1"], "at least 2 resamples"),
    ],
)
def test_wrong_words(here: Path, capsys: pytest.CaptureFixture[str], words: list[str], why: str) -> None:
    assert evaluate(*words) == 2
    assert why in capsys.readouterr().err


def test_sets_without_judgements_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = here / "results" / "a" / "test_1" / "images"
    place.mkdir(parents=True)
    for name in ("1_real.png", "1_fake.png"):
        (place / name).write_bytes(b"x")
    assert evaluate("cyclegan", "--root", "results", *QUICK) == 2
    assert "use semetric score" in capsys.readouterr().err
