from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import semetric
from semetric.errors import UsageError, WeightsMissingError
from semetric.image import Picture
from semetric.metrics.base import Score
from semetric.metrics.psnr import PSNR
from semetric.models.runtime import Runtime
from semetric.results import Execution, Run, Started
from semetric.results.run import finished_units
from semetric.runs import pair_folders, read_pairs, score_folders, score_pairs

METRICS = ["psnr", "mse"]


@pytest.fixture
def score(folders: Path) -> Callable[..., Run]:
    """Scores the folders into `run`."""

    def call(*, out: str = "run", metrics: list[str] | None = None, **options: Any) -> Run:
        return score_folders(
            folders / "references", folders / "images", folders / out, metrics or METRICS, store=None, **options
        )

    return call


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The images that PSNR scored, in order; the fifth time it is interrupted, once."""
    names: list[str] = []
    whole = PSNR._score

    def count(self: PSNR, reference: Picture, image: Picture) -> Score:
        names.append(Path(image.name).stem)
        if len(names) == 5:
            raise KeyboardInterrupt
        return whole(self, reference, image)

    monkeypatch.setattr(PSNR, "_score", count)
    return names


def test_rows_are_what_score_says(folders: Path, score: Callable[..., Run]) -> None:
    run = score()
    assert run.path == folders / "run"
    assert sorted(path.name for path in run.path.iterdir()) == [
        ".lock", "run.json", "run.sqlite", "scores.csv", "scores.parquet", "summary.json"
    ]  # fmt: skip
    assert [row["image"] for row in run.rows] == [f"{'ab'[i % 2]}/{i}.png" for i in (0, 2, 4, 6, 1, 3, 5)]
    for row in run.rows:
        alone = semetric.score(folders / "references" / row["reference"], folders / "images" / row["image"], METRICS)
        assert [row[name] for name in METRICS] == [alone[name] for name in METRICS]
        assert row["error"] is None
    with (run.path / "scores.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [float(line["psnr"]) for line in lines] == [row["psnr"] for row in run.rows]
    assert run.summary == json.loads((run.path / "summary.json").read_text())
    assert run.summary["metrics"]["mse"]["mean"] == pytest.approx(np.mean([row["mse"] for row in run.rows]), rel=1e-12)
    assert run.failed == 0


def test_an_interrupted_run_goes_on(folders: Path, score: Callable[..., Run], scored: list[str]) -> None:
    starts: list[Started] = []
    with pytest.raises(KeyboardInterrupt):
        score(started=starts.append)
    assert finished_units(folders / "run") == 4
    run = score(started=starts.append)
    assert [start.done for start in starts] == [0, 4]
    assert scored == ["0", "2", "4", "6", "1", "1", "3", "5"]  # the one in hand twice, no other
    undisturbed = score(out="undisturbed")
    for name in ("scores.csv", "scores.parquet", "summary.json"):
        assert (run.path / name).read_bytes() == (undisturbed.path / name).read_bytes()


@pytest.mark.parametrize("batch", [1, 3])
def test_processes_give_the_same_bytes(batch: int, folders: Path, score: Callable[..., Run]) -> None:
    (folders / "images" / "a" / "2.png").write_bytes(b"broken")
    metrics = ["psnr", "ssim", "mse"]
    one = score(metrics=metrics, batch=batch)
    two = score(out="two", metrics=metrics, batch=batch, execution=Execution(jobs=2))
    for name in ("scores.csv", "scores.parquet", "summary.json", "run.json"):
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()


def test_progress_adds_up_to_the_pairs(folders: Path, score: Callable[..., Run]) -> None:
    (folders / "images" / "a" / "2.png").write_bytes(b"broken")
    told: list[tuple[int, int]] = []
    score(progress=lambda *news: told.append(news))
    assert told == [(1, 0)] * 7


def test_a_broken_file_costs_its_own_row(folders: Path, score: Callable[..., Run]) -> None:
    (folders / "images" / "a" / "2.png").write_bytes((folders / "images" / "a" / "4.png").read_bytes()[:200])
    Image.new("RGB", (9, 9)).save(folders / "images" / "a" / "4.png")
    run = score()
    assert run.failed == 2
    rows = {row["image"]: row for row in run.rows}
    assert rows["a/2.png"]["psnr"] is None
    errors = json.loads(rows["a/2.png"]["error"])
    assert list(errors) == METRICS
    assert "is damaged" in errors["psnr"]
    assert "equal sizes" in json.loads(rows["a/4.png"]["error"])["psnr"]
    assert sum(row["error"] is None for row in run.rows) == 5
    assert [one["image"] for one in run.summary["failed"]] == ["a/2.png", "a/4.png"]
    assert run.summary["metrics"]["psnr"]["n"] == 5
    assert run.summary["metrics"]["psnr"]["failed"] == 2
    other = score(out="resized", resize="reference")
    assert [one["image"] for one in other.summary["failed"]] == ["a/2.png"]


def test_without_named_metrics_one_is_enough(
    folders: Path, score: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for two files: 24 × 20 px are too small for ms_ssim, which nobody asked for."""
    monkeypatch.setattr("semetric.metrics.registry.default_metrics", lambda profile: ["psnr", "ms_ssim"])
    run = score_folders(folders / "references", folders / "images", folders / "run", store=None)
    assert run.failed == 0
    assert run.summary["metrics"]["ms_ssim"]["failed"] == 7
    assert "161" in run.summary["metrics"]["ms_ssim"]["because"]
    assert run.summary["metrics"]["ms_ssim"]["mean"] is None
    assert score(out="asked", metrics=["psnr", "ms_ssim"]).failed == 7


def test_infinite_scores_are_counted_and_left_out(folders: Path, score: Callable[..., Run]) -> None:
    for name in ("a/0.png", "b/1.png"):
        shutil.copy(folders / "references" / name, folders / "images" / name)
    run = score()
    found = run.summary["metrics"]["psnr"]
    assert (found["n"], found["infinite"], found["failed"]) == (5, 2, 0)
    assert found["note"] == "2 infinite scores (identical images) left out"
    assert math.isfinite(found["mean"])
    assert run.rows[0]["psnr"] == math.inf
    assert "\na/0.png,a/0.png,inf,0.0,\n" in (run.path / "scores.csv").read_text()


def change_file(folders: Path) -> None:
    Image.new("RGB", (24, 20)).save(folders / "images" / "a" / "0.png")


def remove_file(folders: Path) -> None:
    (folders / "images" / "a" / "0.png").unlink()


def rename_file(folders: Path) -> None:
    for folder in ("images", "references"):
        (folders / folder / "a" / "0.png").rename(folders / folder / "a" / "zero.png")


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (None, {"metrics": ["psnr"]}, "metrics: psnr, mse → psnr"),
        (None, {"resize": "reference"}, "settings.resize: none → reference"),
        (None, {"background": "black"}, "settings.background: white → black"),
        (None, {"profile": "paper"}, "profile: lite → paper"),
        (change_file, {}, "the files of a/0.png – a/0.png: they have changed"),
        (remove_file, {}, "pairs.number: 7 → 6"),
        (rename_file, {}, "pairs: other files or cells in the list"),
    ],
)
def test_a_run_is_not_mixed_with_another(
    change: Callable[[Path], None] | None,
    options: dict[str, Any],
    message: str,
    folders: Path,
    score: Callable[..., Run],
) -> None:
    score()
    if change:
        change(folders)
    with pytest.raises(UsageError, match=r"differs from this one in .*Choose another --out\.") as raised:
        score(**options)
    assert message in str(raised.value)
    assert str(raised.value).count("→") <= 1


def test_other_weights_and_versions_are_another_run(score: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    score()
    with monkeypatch.context() as patch:
        patch.setattr(PSNR, "weights", {"trunk": "net.1@abc"})
        with pytest.raises(UsageError, match=r"metrics\.psnr\.weights\.trunk: none → net\.1@abc"):
            score()
    monkeypatch.setattr("semetric.runs.scoring.version", lambda package: "99")
    with pytest.raises(UsageError, match=r"version: .* → 99"):
        score()


def test_moved_folders_go_on(folders: Path, score: Callable[..., Run]) -> None:
    run = score()
    (folders / "references").rename(folders / "elsewhere")
    again = score_folders(folders / "elsewhere", folders / "images", folders / "run", METRICS, store=None)
    assert again.summary == run.summary


def test_a_csv_file_brings_its_columns(folders: Path) -> None:
    file = folders / "pairs.csv"
    file.write_text(
        "quality,reference,image\n10,references/a/0.png,images/a/0.png\n20,references/a/0.png,images/a/2.png\n"
        "30,references/a/0.png,nowhere.png\n"
    )
    run = semetric.score_pairs(file, folders / "run", METRICS, store=None)
    assert [(row["quality"], row["image"]) for row in run.rows] == [
        ("10", "images/a/0.png"),
        ("20", "images/a/2.png"),
        ("30", "nowhere.png"),
    ]
    assert run.summary["failed"][0]["image"] == "nowhere.png"
    assert "does not exist" in run.summary["failed"][0]["errors"]["psnr"]
    assert (run.path / "scores.csv").read_text().splitlines()[0] == "reference,image,psnr,mse,error,quality"


@pytest.mark.parametrize("name", ["error", "psnr", "index"])
def test_a_further_column_must_not_take_our_names(name: str, folders: Path) -> None:
    (folders / "pairs.csv").write_text(f"reference,image,{name}\nreferences/a/0.png,images/a/0.png,x\n")
    with pytest.raises(UsageError, match=f"{name} is a column of the results"):
        score_pairs(folders / "pairs.csv", folders / "run", METRICS, store=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "batch to be at least 1"),
        ({"workers": 0}, "workers to be at least 1"),
        ({"limit": 0}, "limit to be at least 1"),
        ({"shared": Runtime(), "execution": Execution(jobs=2)}, "stays in this process"),
        ({"resize": "image"}, "resize"),
        ({"background": "no colour"}, "no colour"),
        ({"metrics": ["nothing"]}, "nothing"),
        ({"nothing": 1}, "nothing"),
        ({"profile": "nothing"}, "nothing"),
    ],
)
def test_what_does_not_exist_is_said_before_the_folder_is_made(
    options: dict[str, Any], message: str, folders: Path, score: Callable[..., Run]
) -> None:
    with pytest.raises(UsageError, match=message):
        score(**options)
    assert not (folders / "run").exists()


def test_missing_weights_are_said_before_the_first_pair(
    folders: Path, score: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEMETRIC_CACHE", str(folders / "cache"))
    monkeypatch.delenv("SEMETRIC_WEIGHTS_DIR", raising=False)
    with pytest.raises(WeightsMissingError, match="lpips_alex"):
        score(metrics=["psnr", "lpips"])
    assert not (folders / "run").exists()
    monkeypatch.setattr("semetric.metrics.registry.default_metrics", lambda profile: ["psnr", "lpips"])
    run = score_folders(folders / "references", folders / "images", folders / "run", store=None)
    assert list(run.summary["metrics"]) == ["psnr"]
    assert "lpips_alex" in run.summary["left_out"]["lpips"]
    monkeypatch.setattr("semetric.metrics.registry.default_metrics", lambda profile: ["lpips"])
    with pytest.raises(UsageError, match="at least one metric that can be scored"):
        score_folders(folders / "references", folders / "images", folders / "other", store=None)


def test_numbers_do_not_depend_on_batches_and_workers(score: Callable[..., Run]) -> None:
    runs = [
        score(out=f"{batch}-{workers}", metrics=["psnr", "ssim", "mse"], batch=batch, workers=workers)
        for batch, workers in ((1, 1), (3, 2), (7, 4))
    ]
    for name in ("psnr", "ssim", "mse"):
        values = [[row[name] for row in run.rows] for run in runs]
        # ssim's sums are in float64, in an order that may depend on the batch: a few of 2**-53
        assert values[1] == pytest.approx(values[0], rel=1e-13)
        assert values[2] == pytest.approx(values[0], rel=1e-13)


def test_every_image_is_digested_once_where_products_need_it(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One reference with four images: its pixels are decoded and digested once, and so its products found."""
    file = folders / "pairs.csv"
    lines = [f"references/a/0.png,images/a/{i}.png" for i in (0, 2, 4, 6)]
    file.write_text("\n".join(["reference,image", *lines, ""]))
    computed: list[str] = []

    def with_product(self: PSNR, reference: Picture, image: Picture) -> Score:
        for picture in (reference, image):

            def compute(name: str = picture.name) -> dict[str, Any]:
                computed.append(Path(name).parent.parent.name + Path(name).stem)
                return {"x": np.zeros(1)}

            self.runtime.product(picture, {"kind": "test"}, compute)
        return self._make(1.0)

    monkeypatch.setattr(PSNR, "_score", with_product)
    score_pairs(read_pairs(file), folders / "run", ["psnr"], store=None)
    assert sorted(computed) == ["images0", "images2", "images4", "images6", "references0"]


def test_the_summary_lists_every_file_without_a_partner(folders: Path) -> None:
    shutil.copy(folders / "images" / "a" / "0.png", folders / "images" / "new.png")
    shutil.copy(folders / "images" / "a" / "0.png", folders / "images" / "a" / "0.bmp")
    (folders / "references" / "only.png").write_bytes(b"")
    (folders / "references" / "notes.txt").write_bytes(b"")
    pairing = pair_folders(folders / "references", folders / "images")
    summary = score_pairs(pairing, folders / "run", METRICS, store=None).summary
    assert summary["unmatched"] == {"references": ["only.png"], "images": ["new.png"]}
    assert summary["ambiguous"] == {"a/0": {"references": ["a/0.png"], "images": ["a/0.bmp", "a/0.png"]}}
    assert summary["not_images"] == [str(folders / "references" / "notes.txt")]
    assert summary["pairs"] == 6
