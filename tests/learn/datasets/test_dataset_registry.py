"""A data set of another package: one module and an entry point."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semetric.cli import main
from semetric.errors import UnknownNameError
from semetric.learn.datasets import DATASETS, load_dataset

MODULE = """
from semetric.learn.datasets import Dataset, DatasetSpec
from semetric.learn.datasets.files import Files, Problems, find, number, read_rows
from semetric.learn.triplets import JudgedPair


def load(root, split=None, *, worst=0):
    table = find(root, "TOY", "ratings.csv")
    files, problems, items = Files(root), Problems(), []
    for line, row in read_rows(table, ("reference", "image", "rating"), problems):
        with problems.of(f"line {line}"):
            paths = {name: files.path(row[name]) for name in ("reference", "image")}
            items.append(JudgedPair(key=str(line), opinion=number(row["rating"], "rating", worst, 5), **paths))
    items = problems.checked(items, "ratings of TOY", root)
    return Dataset(name="toy", root=str(root), kind="pairs", items=items, problems=problems)


TOY = DatasetSpec(name="toy", load=load, kind="pairs", summary="four ratings", paper="–")
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the data set; the package that reads it is installed."""
    package, root = tmp_path / "package", tmp_path / "toy"
    (package / "toy-1.0.dist-info").mkdir(parents=True)
    root.mkdir()
    (package / "toy_dataset.py").write_text(MODULE)
    (package / "toy-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    entry_points = package / "toy-1.0.dist-info" / "entry_points.txt"
    entry_points.write_text("[semetric.datasets]\ntoy = toy_dataset:TOY\n")
    rows = ["reference,image,rating", "0.png,0.png,5", "0.png,1.png,4", "0.png,2.png,2", "0.png,3.png,1"]
    (root / "ratings.csv").write_text("\n".join([*rows, "0.png,9.png,1", "0.png,1.png,7", ""]))
    for level in range(4):
        Image.fromarray(np.full((16, 16, 3), 60 * level, np.uint8)).save(root / f"{level}.png")
    monkeypatch.syspath_prepend(str(package))
    vars(DATASETS).pop("_entries", None)
    yield root
    vars(DATASETS).pop("_entries", None)


def test_a_data_set_of_another_package_is_loaded(toy: Path) -> None:
    data = load_dataset("toy", toy)
    assert (data.kind, len(data)) == ("pairs", 4)
    assert data.problems.named == ("line 6: 9.png is missing", "line 7: rating is 7, outside [0, 5]")
    assert DATASETS["toy"].options == ("worst",)


def test_metrics_are_held_against_it_on_the_command_line(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["learn", "evaluate", "toy", "--root", str(toy), "--metric", "mse", "--resamples", "10", "--json"]
    assert main([*words, "--option", "worst=1", "--out", str(toy.parent / "out")]) == 0
    measures = json.loads(capsys.readouterr().out)["metrics"]["mse"]["measures"]
    assert measures["srcc"]["value"] == 1.0  # the error grows as the ratings fall


def test_unknown_data_sets_are_named(toy: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"Expected a data set of nights, .*, csv, toy; found 'tpy'\."):
        load_dataset("tpy", toy)
