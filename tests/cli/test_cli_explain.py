from __future__ import annotations

import inspect
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import semetric
from semetric.cli import explain as verb
from semetric.cli import main
from semetric.cli import score as score_verb
from semetric.errors import ImageError, WeightsMissingError
from semetric.metrics.base import Score
from semetric.profiles import Profile
from semetric.scoring import Scores


@pytest.fixture
def explained(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What semetric.explain will answer ("errors", "notes") and was asked ("args", "options")."""
    told: dict[str, Any] = {"errors": {}}

    def explain(*args: Any, **options: Any) -> Scores:
        told["args"], told["options"] = args, options
        Path(args[2]).write_text("page")
        psnr = Score(metric="psnr", value=30.0, higher_is_better=True, range=(0.0, None))
        return Scores(
            reference="a",
            image="b",
            profile="lite",
            scores={"psnr": psnr},
            errors=told["errors"],
            notes=told.get("notes", {}),
        )

    monkeypatch.setattr(semetric, "explain", explain, raising=False)
    return told


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    """Two small images of one size on disk."""
    names = (str(tmp_path / "one.png"), str(tmp_path / "two.png"))
    for k, name in enumerate(names):
        Image.fromarray(np.full((24, 32, 3), 100 + 50 * k, np.uint8)).save(name)
    return names


def test_only_what_the_user_set_is_passed_on(explained: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert main(["explain", "a.png", "b.png", "--out", str(out)]) == 0
    assert explained["args"] == ("a.png", "b.png", out, None)
    assert explained["options"] == {"store": "default"}


def test_every_option_reaches_the_library(explained: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    argv = f"explain a b --out {out} --metric psnr --metric sess --profile paper --device cpu --resize reference"
    argv += " --variant demo --padding include --sam sam_vit_h --masks grid --objects x --relations ram"
    argv += " --relations-weights w.pth --predicates p --clip c --vit v --dreamsim d --dreamsim-weights z --no-cache"
    argv += " --max-pixels 1000 --background black"
    assert main(argv.split()) == 0
    assert explained["args"] == ("a", "b", out, ["psnr", "sess"])
    assert explained["options"] == {
        "profile": "paper",
        "device": "cpu",
        "resize": "reference",
        "variant": "demo",
        "padding": "include",
        "sam": "sam_vit_h",
        "masks": "grid",
        "objects": "x",
        "relations": "ram",
        "relations_weights": "w.pth",
        "predicates": "p",
        "clip": "c",
        "vit": "v",
        "dreamsim": "d",
        "dreamsim_weights": "z",
        "store": None,
        "max_pixels": 1000,
        "background": "black",
    }


def test_it_takes_every_choice_of_a_profile_that_score_takes() -> None:
    choices = {field.name for field in fields(Profile)}
    own, others = (set(inspect.signature(f).parameters) for f in (verb.explain, score_verb.score))
    assert own & choices == others & choices
    assert {"device", "resize", "variant", "padding", "fetch", "no_cache", "max_pixels", "background"} <= own & others


def test_the_page_is_written_and_said(
    pair: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.html"
    assert main(["explain", *pair, "--out", str(out), "--metric", "psnr", "--no-cache"]) == 0
    text = out.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "one.png" in text
    said = capsys.readouterr()
    assert "psnr" in said.out  # the table that `semetric score` prints
    assert "↑ higher" in said.out
    assert f"wrote {out}" in said.err


def test_json_is_one_document(pair: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", *pair, "--out", str(tmp_path / "r.html"), "--metric", "psnr", "--no-cache", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["scores"]) == {"psnr"}


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["absent.png", "absent.png", "--out", "{}/r.html"], 3, "absent.png"),
        (["{}", "absent.png", "--out", "{}/r.html"], 2, "is a folder"),
        (["absent.png", "{}", "--out", "{}/r.html"], 2, "is a folder"),
        (["absent.png", "absent.png", "--out", "{}/r.pdf"], 2, ".html"),
        (["absent.png", "absent.png", "--out", "{}/no/r.html"], 1, "no such folder"),
        (["absent.png", "absent.png"], 2, "--out"),
        (["absent.png", "--out", "{}/r.html"], 2, "Missing argument"),
        (["absent.png", "absent.png", "--out", "{}/r.html", "--metric", "nothing"], 2, "nothing"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_work(
    argv: list[str], code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *(word.replace("{}", str(tmp_path)) for word in argv), "--no-cache"]) == code
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("asked", "code"), [([], 0), (["--metric", "sess"], 4), (["--metric", "ms_ssim"], 3)])
def test_a_metric_that_was_named_and_failed_gives_its_code(
    explained: dict[str, Any], tmp_path: Path, asked: list[str], code: int
) -> None:
    explained["errors"] = {"sess": WeightsMissingError("absent"), "ms_ssim": ImageError("too small")}
    assert main(["explain", "a", "b", "--out", str(tmp_path / "r.html"), *asked]) == code
    assert (tmp_path / "r.html").exists()  # what was scored is shown all the same


def test_interrupted_it_leaves_nothing(pair: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import semetric.report.explain as page

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(page, "gather", stop)
    assert main(["explain", *pair, "--out", str(tmp_path / "r.html"), "--metric", "psnr", "--no-cache"]) == 5
    assert not (tmp_path / "r.html").exists()


def test_what_reading_took_is_said(
    explained: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    explained["notes"] = {"image": ("turned upright",)}
    assert main(["explain", "a.png", "b.png", "--out", str(tmp_path / "r.html")]) == 0
    assert "semetric: b.png: turned upright\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("named", "code"),
    [(["--profile", "paper"], 0), ([], 0), (["--metric", "psnr"], 0), (["--metrics", "psnr,sess"], 4)],
)
def test_only_a_metric_that_was_named_is_missed(
    explained: dict[str, Any], tmp_path: Path, named: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    explained["errors"] = {"sess": WeightsMissingError("absent"), "samscore": WeightsMissingError("absent")}
    assert main(["explain", "a", "b", "--out", str(tmp_path / "r.html"), *named]) == code
    said = capsys.readouterr()
    assert "not scored: sess, samscore. absent\n" in said.err
    assert "absent" not in said.out
