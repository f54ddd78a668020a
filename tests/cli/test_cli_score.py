from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import semetric
from semetric.cli import main
from semetric.cli._scores import exit_code, interval, number
from semetric.errors import ImageError, SemetricError, UsageError, WeightsMissingError


@dataclass
class FakeScore:
    value: float
    higher_is_better: bool = True
    range: tuple[float | None, float | None] = (0.0, 1.0)
    weights: dict[str, str] = field(default_factory=dict)


@dataclass
class FakeScores:
    scores: dict[str, FakeScore]
    errors: dict[str, SemetricError]
    notes: dict[str, list[str]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "scores": {name: {"value": one.value} for name, one in self.scores.items()},
            "errors": {name: str(error) for name, error in self.errors.items()},
        }


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What semetric.score will answer ("result") and was asked ("args", "options")."""
    told: dict[str, Any] = {"result": FakeScores({"psnr": FakeScore(30.0)}, {})}

    def score(*args: Any, **options: Any) -> FakeScores:
        told["progress"] = options.pop("progress")
        told["args"], told["options"] = args, options
        return told["result"]  # type: ignore[no-any-return]

    monkeypatch.setattr(semetric, "score", score, raising=False)
    return told


def test_a_table_shows_value_direction_range_and_weights(
    scored: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    scored["result"] = FakeScores(
        {
            "psnr": FakeScore(math.inf, range=(0.0, None)),
            "lpips": FakeScore(
                0.125, False, (0.0, None), {"trunk": "lpips_alex.0.1.0@443c5bc35326", "heads": "lpips_alex.0.1.0@4"}
            ),
        },
        {"ms_ssim": ImageError("Expected 161 px.")},
    )
    assert main(["score", "a.png", "b.png"]) == 0
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert lines["psnr"] == ["psnr", "∞", "↑", "higher", "[0,", "∞)"]
    assert lines["lpips"] == ["lpips", "0.1250", "↓", "lower", "[0,", "∞)", "lpips_alex.0.1.0"]
    assert lines["ms_ssim"] == ["ms_ssim", "Expected", "161", "px."]


def test_only_what_the_user_set_is_passed_on(scored: dict[str, Any]) -> None:
    main(["score", "a.png", "b.png"])
    assert scored["args"] == ("a.png", "b.png", None)
    assert scored["options"] == {"store": "default"}


def test_every_option_reaches_the_library(scored: dict[str, Any]) -> None:
    argv = "score a b --metric psnr --metric sess --profile paper --device cpu --resize reference --variant demo"
    argv += " --padding include --sam sam_vit_h --masks grid --objects x --relations ram --relations-weights w.pth"
    argv += " --predicates p --no-cache --max-pixels 1000 --background black"
    assert main(argv.split()) == 0
    assert scored["args"] == ("a", "b", ["psnr", "sess"])
    assert scored["options"] == {
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
        "store": None,
        "max_pixels": 1000,
        "background": "black",
    }


def test_json_is_one_document_and_infinity_is_null_with_a_note(
    scored: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    scored["result"] = FakeScores(
        {"psnr": FakeScore(math.inf), "ssim": FakeScore(1.0), "odd": FakeScore(math.nan)}, {"sess": SemetricError("no")}
    )
    assert main(["score", "a.png", "b.png", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["scores"] == {
        "psnr": {"value": None, "note": "infinite"},
        "ssim": {"value": 1.0},
        "odd": {"value": None, "note": "not a number"},
    }
    assert document["errors"] == {"sess": "no"}


SMALL, ABSENT = ImageError("too small"), WeightsMissingError("absent")


@pytest.mark.parametrize(
    ("scores", "errors", "asked", "code"),
    [
        ({"psnr": 1}, {}, [], 0),
        ({"psnr": 1}, {"ms_ssim": SMALL}, [], 0),
        ({"psnr": 1}, {"ms_ssim": SMALL}, ["psnr", "ms_ssim"], 3),
        ({"psnr": 1}, {"sess": ABSENT}, ["sess", "psnr"], 4),
        ({}, {"sess": ABSENT, "ms_ssim": SMALL}, [], 4),
        ({}, {}, [], 0),
    ],
)
def test_exit_codes(
    scores: dict[str, Any], errors: dict[str, SemetricError], asked: list[str], code: int, scored: dict[str, Any]
) -> None:
    assert exit_code(scores, errors, asked) == code
    scored["result"] = FakeScores({name: FakeScore(1.0) for name in scores}, errors)
    assert main(["score", "a.png", "b.png", *(word for name in asked for word in ("--metric", name))]) == code


@pytest.mark.usefixtures("scored")
def test_folders_are_no_image_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(tmp_path), str(tmp_path)]) == UsageError.exit_code
    assert f"{tmp_path} is a folder" in capsys.readouterr().err


def test_fetch_lets_weights_be_downloaded_while_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    from semetric.weights.lookup import on_missing

    allowed: list[bool] = []

    def score(*_: Any, **__: Any) -> FakeScores:
        allowed.append(on_missing.get() is not None)
        return FakeScores({"psnr": FakeScore(1.0)}, {})

    monkeypatch.setattr(semetric, "score", score, raising=False)
    main(["score", "a.png", "b.png"])
    main(["score", "a.png", "b.png", "--fetch"])
    assert allowed == [False, True]
    assert on_missing.get() is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0000"),
        (1.0, "1.0000"),
        (-0.25, "-0.2500"),
        (31.41592, "31.4159"),
        (0.0000123, "1.23e-05"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("bounds", "text"),
    [((0.0, 1.0), "[0, 1]"), ((0.0, None), "[0, ∞)"), ((None, None), "(−∞, ∞)"), ((-1.0, math.inf), "[-1, ∞)")],
)
def test_intervals(bounds: tuple[float | None, float | None], text: str) -> None:
    assert interval(bounds) == text


def test_conversions_are_said_on_stderr(scored: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    scored["result"].notes = {"reference": [], "image": ["alpha composited on white", "turned upright"]}
    assert main(["score", "a.png", "b.png"]) == 0
    said = capsys.readouterr()
    assert said.err == "semetric: b.png: alpha composited on white; turned upright\n"
    assert main(["score", "a.png", "b.png", "--json"]) == 0
    assert capsys.readouterr().err == ""  # the document has them


def test_one_reason_of_several_metrics_is_one_row(scored: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    errors: dict[str, SemetricError] = {n: ImageError(f"{n} expects equal sizes.") for n in ("mse", "psnr")}
    scored["result"] = FakeScores({}, errors)
    assert main(["score", "a.png", "b.png"]) == 3
    out = capsys.readouterr().out
    assert out.count("equal sizes") == 1
    assert "mse, psnr" in out
    assert all(line == line.rstrip() for line in out.splitlines())


def test_a_background_that_is_no_colour_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    for name, mode in (("a", "RGB"), ("b", "RGBA")):
        Image.new(mode, (12, 12)).save(tmp_path / f"{name}.png")
    one, two = str(tmp_path / "a.png"), str(tmp_path / "b.png")
    for pair in ((one, two), (one, one)):  # with and without an image that needs it
        assert main(["score", *pair, "--metric", "psnr", "--background", "pinkk"]) == 2
        assert "found 'pinkk'. Did you mean pink?" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX")
def test_the_metric_in_hand_is_shown_on_a_terminal_alone(tmp_path: Path) -> None:
    import pty

    from PIL import Image

    Image.new("RGB", (12, 12)).save(tmp_path / "a.png")
    code = (
        "import sys, time\nfrom semetric.metrics.psnr import PSNR\nfrom semetric.cli import main\n"
        "whole = PSNR._score\n"
        "def slow(*a):\n    time.sleep(0.4)\n    return whole(*a)\n"
        "PSNR._score = slow\n"
        "sys.exit(main(['score', 'a.png', 'a.png', '--metric', 'psnr']))"
    )
    terminal, end = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    ended = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=end, env=environment, cwd=tmp_path, check=False
    )
    os.close(end)
    said = os.read(terminal, 1 << 16)
    os.close(terminal)
    assert ended.returncode == 0
    assert b"psnr (metric 1 of 1)" in said
    assert b"0:00:0" in said
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path, check=False)
    assert (piped.returncode, piped.stderr) == (0, b"")


@pytest.mark.parametrize(
    "option",
    [
        "--variant x",
        "--padding x",
        "--sam nope",
        "--masks x",
        "--objects nope",
        "--relations x",
        "--relations-weights nope.pth",
        "--predicates nope",
        "--clip nope",
        "--vit nope",
        "--dreamsim nope",
        "--dreamsim-weights nope",
    ],
)
@pytest.mark.parametrize("metrics", [(), ("--metric", "psnr")], ids=["all", "another"])
def test_a_value_that_does_not_exist_is_2_whichever_metrics_are_scored(
    option: str, metrics: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    image, folder = str(tmp_path / "i" / "a.png"), str(tmp_path / "i")
    (tmp_path / "i").mkdir()
    Image.new("RGB", (12, 12)).save(image)
    for pair in ([image, image], [folder, folder, "--out", str(tmp_path / "run")]):
        assert main(["score", *pair, *option.split(), *metrics]) == 2
        assert option.split()[1] in capsys.readouterr().err
