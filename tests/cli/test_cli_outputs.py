"""Outputs that would replace an input or cannot be written, names that the system refuses, and names with brackets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import semetric
from semetric.cli import main
from semetric.scene.build import GraphBuilder

LONG = "x" * 300


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with two images; scoring and graphs fail the test, so that all is said before the work."""
    for name in ("keep", "other"):
        Image.new("RGB", (12, 12)).save(tmp_path / f"{name}.png")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.png").symlink_to("keep.png")
    (tmp_path / "keep.html").write_bytes((tmp_path / "keep.png").read_bytes())
    os.mkfifo(tmp_path / "pipe.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))

    def work(*_: Any, **__: Any) -> None:
        pytest.fail("worked before looking at the output")

    for place, name in ((semetric, "score"), (semetric, "explain"), (semetric, "read_image")):
        monkeypatch.setattr(place, name, work, raising=False)
    return tmp_path


SCORE, EXPLAIN, GRAPH = (
    "score keep.png other.png --save-plot",
    "explain keep.png other.png --out",
    "graph keep.png --out",
)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (f"{SCORE} keep.png", 2, "to a file of its own; keep.png is read"),
        (f"{SCORE} other.png", 2, "other.png is read"),
        (f"{SCORE} link.png", 2, "link.png is read"),
        (f"{EXPLAIN} keep.png", 2, "keep.png is read"),
        ("explain keep.html other.png --out keep.html", 2, "keep.html is read"),
        (f"{GRAPH} keep.png", 2, "keep.png is read"),
        ("graph keep.png --png keep.png", 2, "keep.png is read"),
        ("graph keep.png --relations-weights other.png --out other.png", 2, "other.png is read"),
        ("graph keep.png --out new.png --png ./new.png", 2, "--out and --png are both"),
        (f"{SCORE} none/a.png", 1, "no such folder"),
        (f"{EXPLAIN} none/a.html", 1, "no such folder"),
        (f"{GRAPH} none/a.json", 1, "no such folder"),
        (f"{GRAPH} folder", 1, "that is a folder"),
        (f"{GRAPH} keep.png/a.json", 1, "no such folder"),
        ("graph keep.png --png none/a.png", 1, "no such folder"),
        (f"{SCORE} pipe.png", 1, "a pipe or a device"),
        (f"{GRAPH} {LONG}.json", 1, "File name too long"),
        (f"{GRAPH} {LONG}/a.json", 1, "File name too long"),
        (f"{SCORE} {LONG}.png", 1, "File name too long"),
        (f"{EXPLAIN} {LONG}.html", 1, "File name too long"),
    ],
)
def test_an_output_that_cannot_be_is_said_before_the_work(
    here: Path, words: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file: file.read_bytes() for file in here.glob("*") if file.is_file()}
    assert main(words.split()) == code
    assert message in capsys.readouterr().err
    assert {file: file.read_bytes() for file in here.glob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (f"score {LONG} keep.png --metric psnr", 3),
        (f"score keep.png {LONG} --metric psnr", 3),
        (f"score folder {LONG} --out run", 2),
        (f"score --pairs {LONG} --out run", 2),
        (f"score folder folder --out {LONG} --metric psnr", 2),  # no images there
        (f"explain {LONG} keep.png --out a.html", 3),
        (f"graph {LONG} --json", 3),
        (f"compare {LONG} {LONG}", 1),
    ],
)
def test_names_that_the_system_refuses(
    here: Path, words: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()  # the real work
    monkeypatch.chdir(here)
    assert main(words.split()) == code
    said = capsys.readouterr().err
    assert "Expected" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "name", ["small[/b].png", "[red]x.png", ":smile:.png"], ids=["a closing tag", "a style", "an emoji"]
)
def test_names_are_no_markup(
    here: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(here)
    (here / "small[").mkdir()  # "small[/b].png" is a file in a folder
    Image.new("RGB", (9, 9)).save(here / name)
    assert main(["score", "keep.png", name, "--metric", "psnr"]) == 3
    assert name in capsys.readouterr().out


def test_a_pip_line_keeps_its_brackets(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from semetric.errors import MissingExtraError
    from semetric.scoring import Scores

    error = MissingExtraError("CLIP needs transformers: pip install 'semetric[hub]'")
    found = Scores(reference="a", image="b", profile="lite", scores={}, errors={"clipscore": error})
    monkeypatch.setattr(semetric, "score", lambda *_, **__: found)
    assert main(["score", "keep.png", "other.png"]) == 2
    assert "pip install 'semetric[hub]'" in capsys.readouterr().out


def test_a_name_as_long_as_a_name_can_be_is_written(here: Path) -> None:
    from semetric.results.files import write_whole

    file = here / ("é" * 125 + ".json")  # 255 bytes
    write_whole(file, lambda stream: stream.write(b"{}"))
    assert file.read_bytes() == b"{}"
    assert not list(here.glob(".*"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_permission_is_said_before_the_work(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "folder").chmod(0o500)
    assert main(f"{GRAPH} folder/a.json".split()) == 1
    assert "not allowed" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "importance"), [("", "graded"), ("--variant paper", "paper")])
def test_the_graph_is_that_of_the_variant(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    importance: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.png")

    class Seen(Exception):
        pass

    def seen(builder: GraphBuilder, picture: object) -> None:
        raise Seen(builder.settings["importance"])

    monkeypatch.setattr(GraphBuilder, "__call__", seen)
    with pytest.raises(Seen, match=importance):
        main(["graph", "a.png", "--json", *words.split()])


def test_a_variant_that_does_not_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.png")
    assert main(["graph", "a.png", "--json", "--variant", "papr"]) == 2
    assert "among graded, paper, demo" in capsys.readouterr().err
