"""Folders of runs whose files were damaged, or are somebody else's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_systems import Fake, make_images

from damaged_json import damaged
from semetric.errors import SemetricError, UsageError
from semetric.lab.experiments import LabRun, RunSettings, Started, run_experiment

SETTINGS = RunSettings(metrics=("psnr",), examples=0, device="cpu")
DEEP = "[" * 100_000 + "]" * 100_000


def run(root: Path, **options: Any) -> LabRun:
    experiment = Fake(levels=(1.0, 2.0), log=str(root / "log"))
    return run_experiment(experiment, [root / "images"], root / "out", SETTINGS, cached=False, **options)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_images(tmp_path / "images", 1)
    run(tmp_path)
    (tmp_path / "log").unlink()
    return tmp_path


@pytest.mark.parametrize("text", [DEEP, "[]", "{", "5", '{"format": 1}', '{"format": 1, "experiment": "x"}'])
def test_a_record_that_is_none_of_ours_is_named(text: str, root: Path) -> None:
    (root / "out" / "lab.json").write_text(text)
    with pytest.raises(UsageError, match=r"an experiment's record in .*lab\.json; it is none: .*another --out"):
        run(root)
    assert (root / "out" / "rows.parquet").is_file()


def test_no_damage_to_a_record_escapes(root: Path) -> None:
    file = root / "out" / "lab.json"
    whole = json.loads(file.read_text())
    for where, changed in damaged({key: whole[key] for key in ("experiment", "systems", "images", "metrics", "axis")}):
        file.write_text(json.dumps(whole | dict.fromkeys(set(whole) - set(changed)) | changed))
        try:
            run(root)
        except SemetricError:
            continue
        except Exception as error:
            raise AssertionError(where) from error


@pytest.mark.parametrize("text", [DEEP, "[]", "{", "{}", '{"units": 4, "fallbacks": 0}'])
def test_a_damaged_summary_is_made_of_the_rows(text: str, root: Path) -> None:
    file = root / "out" / "summary.json"
    before = file.read_bytes()
    file.write_text(text)
    told: list[Started] = []
    run(root, started=told.append)
    assert told[0].done == told[0].units
    assert not (root / "log").exists()  # nothing was sent again
    assert file.read_bytes() == before


def test_no_damage_to_a_summary_escapes(root: Path) -> None:
    from semetric.cli import _lab

    file = root / "out" / "summary.json"
    for where, changed in damaged(json.loads(file.read_text())):
        file.write_text(json.dumps(changed))
        try:
            summary = run(root).summary
            _lab._table(summary)
            _lab._tell(summary)
        except Exception as error:
            raise AssertionError(where) from error
    assert not (root / "log").exists()


@pytest.mark.parametrize("name", ["rows.csv", "summary.json"])
def test_files_that_were_removed_are_made_again(name: str, root: Path) -> None:
    before = (root / "out" / name).read_bytes()
    (root / "out" / name).unlink()
    run(root)
    assert (root / "out" / name).read_bytes() == before
    assert not (root / "log").exists()


def test_a_damaged_table_is_not_taken_for_finished(root: Path) -> None:
    file = root / "out" / "rows.parquet"
    before = file.read_bytes()
    file.write_bytes(before[:-20])
    run(root)
    assert file.read_bytes() == before
    assert (root / "log").exists()


def test_what_a_killed_process_had_begun_to_write_is_removed(tmp_path: Path) -> None:
    make_images(tmp_path / "images", 1)
    left = [tmp_path / "out" / name for name in (".lab.json.1-2.tmp", "examples/0/noise/.1.png.1-2.tmp")]
    left[0].parent.mkdir()
    left[0].write_text("{")
    run(tmp_path)
    assert not left[0].exists()
    (tmp_path / "out" / "rows.parquet").unlink()
    left[1].parent.mkdir(parents=True)
    left[1].write_text("")
    run(tmp_path)
    assert not left[1].exists()


def test_hidden_files_of_a_foreign_folder_stay(tmp_path: Path) -> None:
    make_images(tmp_path / "images", 1)
    (tmp_path / "out").mkdir()
    for name in ("letter.txt", ".mine.tmp"):
        (tmp_path / "out" / name).write_text("")
    with pytest.raises(UsageError, match=r"holds letter\.txt"):
        run(tmp_path)
    assert (tmp_path / "out" / ".mine.tmp").exists()
