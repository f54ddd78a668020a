from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_systems import FAILS, FOREIGN, WRONG, Fake, Grey, Nested, make_images
from PIL import Image

from semetric.errors import UsageError
from semetric.lab.experiments import RunSettings, run_experiment
from semetric.lab.systems import generator
from semetric.metrics.psnr import PSNR
from semetric.results import Execution, Run, Started
from semetric.results.run import EXPORTS, finished_units

SETTINGS = RunSettings(metrics=("psnr", "ssim"), examples=1, device="cpu")


def run(root: Path, experiment: Any = None, out: str = "out", **options: Any) -> Run:
    options = {"settings": SETTINGS, "cached": False} | options
    return run_experiment(experiment or Fake(), [root / "images"], root / out, **options)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_images(tmp_path / "images")
    return tmp_path


def results(root: Path, out: str = "out") -> list[bytes]:
    return [(root / out / name).read_bytes() for name in EXPORTS]


def test_every_image_level_and_metric_has_a_row(root: Path) -> None:
    seen: list[int] = []
    told: list[Started] = []
    done = run(root, started=told.append, progress=lambda units, workers: seen.append(units))
    rows = done.rows
    assert len(rows) == 3 * 2 * 3 * 2  # images, systems, levels, metrics
    assert told == [Started(units=18, done=0, broken={}, left_out={})]
    assert sum(seen) == 18
    first = rows[0]
    assert (first["image"], first["system"], first["level"], first["metric"]) == ("0.png", "noise", 1.0, "psnr")
    assert first["rate_bpp"] == 8 * 100 / (20 * 24)
    assert first["uses_per_pixel"] == 0.25
    assert json.loads(first["details"]) == {"level": 1.0}
    record = json.loads((root / "out" / "run.json").read_text())
    assert record["config"]["metrics"] == ["psnr", "ssim"]
    assert record["config"]["levels"] == [1.0, 2.0, FAILS]
    assert [one["name"] for one in record["systems"]] == ["noise", "grey"]
    assert record["images"][1]["height"] == 24


def test_pixels_follow_from_the_image_the_system_the_level_and_the_seed(root: Path) -> None:
    run(root)
    original = np.array(Image.open(root / "images" / "0.png"))
    digest = json.loads((root / "out" / "run.json").read_text())["images"][0]["digest"]
    noise = generator(digest, "noise", 2.0, 0).normal(0, 2.0, original.shape)
    kept = np.array(Image.open(root / "out" / "examples" / "0" / "noise" / "2.png"))
    np.testing.assert_array_equal(kept, np.clip(original + noise, 0, 255).astype(np.uint8))
    np.testing.assert_array_equal(np.array(Image.open(root / "out" / "examples" / "0" / "original.png")), original)
    assert [path.name for path in (root / "out" / "examples").iterdir()] == ["0"]
    other = run(root, out="seed", settings=replace(SETTINGS, seed=1))
    assert other.rows[0]["value"] != run(root).rows[0]["value"]


def test_a_nested_experiment_draws_the_same_at_every_level(root: Path) -> None:
    run(root, Nested())
    digest = json.loads((root / "out" / "run.json").read_text())["images"][0]["digest"]
    original = np.array(Image.open(root / "images" / "0.png"))
    for level in (1.0, 2.0):
        noise = generator(digest, "noise", 0.0, 0).normal(0, level, original.shape)
        kept = np.array(Image.open(root / "out" / "examples" / "0" / "noise" / f"{level:g}.png"))
        np.testing.assert_array_equal(kept, np.clip(original + noise, 0, 255).astype(np.uint8))


def test_equal_pixels_are_scored_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    score = PSNR._score

    def count(self: PSNR, reference: Any, image: Any) -> Any:
        calls.append(image.name)
        return score(self, reference, image)

    monkeypatch.setattr(PSNR, "_score", count)
    done = run(root)
    assert len(calls) == 3 * (3 + 1)  # three levels of noise, one grey
    assert done.summary["fallbacks"] == 9
    grey = [point for point in done.summary["points"] if point["system"] == "grey"]
    assert [point["failed"] for point in grey] == [3, 3, 3]


def test_the_summary_is_of_the_rows(root: Path) -> None:
    done = run(root)
    values = [r["value"] for r in done.rows if (r["system"], r["level"], r["metric"]) == ("noise", 2.0, "psnr")]
    point = next(p for p in done.summary["points"] if (p["system"], p["level"]) == ("noise", 2.0))
    assert point["metrics"]["psnr"]["mean"] == float(np.mean(values))
    low, high = point["metrics"]["psnr"]["mean_interval_95"]
    assert min(values) <= low <= point["metrics"]["psnr"]["mean"] <= high <= max(values)
    assert (point["metrics"]["psnr"]["n"], point["metrics"]["psnr"]["errors"], point["images"]) == (3, 0, 3)
    assert point["rate_bpp"] == pytest.approx(np.mean([1600 / (24 * h) for h in (20, 24, 28)]), rel=1e-12)


def test_what_fails_costs_its_own_rows(root: Path) -> None:
    (root / "images" / "1.png").write_bytes(b"broken")
    told: list[Started] = []
    done = run(root, Fake(fails=True), started=told.append)
    failed = {(one["image"], one["system"], one["level"]) for one in done.summary["failed"]}
    broken = {("1.png", system, level) for system in ("noise", "grey") for level in (1.0, 2.0, FAILS)}
    assert failed == broken | {(name, "noise", FAILS) for name in ("0.png", "2.png")}
    assert "1.png" in told[0].broken
    assert sum(r["value"] is None for r in done.rows) == 2 * len(failed)
    codec = next(r for r in done.rows if r["error"] and r["image"] == "0.png")
    assert codec["error"] == "the codec failed on this image."


def test_a_metric_that_was_not_named_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semetric.lab.experiments.settings.DEFAULT_METRICS", ("psnr", "ms_ssim"))
    make_images(tmp_path / "images", 1)
    done = run(tmp_path, settings=RunSettings(device="cpu"))
    assert done.summary["failed"] == []  # ms_ssim expects larger images
    assert done.summary["points"][0]["metrics"]["ms_ssim"]["errors"] == 1
    named = run(tmp_path, out="named", settings=RunSettings(metrics=("psnr", "ms_ssim"), device="cpu"))
    assert len(named.summary["failed"]) == 6


def test_identical_images_score_infinity(root: Path) -> None:
    done = run(root, Fake(levels=(0.0,)))
    noise = done.summary["points"][0]["metrics"]["psnr"]
    assert (noise["infinite"], noise["mean"]) == (3, None)
    assert done.rows[0]["value"] == math.inf


def test_workers_give_the_same_bytes(root: Path) -> None:
    experiment = Fake(fails=True)
    run(root, experiment, "one")
    run(root, experiment, "two", execution=Execution(jobs=2))
    assert results(root, "one") == results(root, "two")
    kept = [sorted(p.relative_to(root / out) for p in (root / out).rglob("*.png")) for out in ("one", "two")]
    assert kept[0] == kept[1] != []


@pytest.mark.parametrize(
    ("level", "kind", "message"),
    [
        (WRONG, UsageError, "no such level"),
        pytest.param(FOREIGN, ZeroDivisionError, "of somebody's own", marks=pytest.mark.slow),  # processes start slowly
    ],
)
def test_what_a_worker_raises_is_raised_and_finished_units_are_kept(
    level: float, kind: type[Exception], message: str, root: Path
) -> None:
    with pytest.raises(kind, match=message):
        run(root, Fake(levels=(1.0, level)), execution=Execution(jobs=2))
    assert finished_units(root / "out")


def test_failed_images_are_sent_again_once_they_are_repaired(root: Path) -> None:
    whole = (root / "images" / "1.png").read_bytes()
    run(root, out="undisturbed")
    (root / "images" / "1.png").write_bytes(b"broken")
    assert run(root).failed == 6
    (root / "images" / "1.png").write_bytes(whole)
    with pytest.raises(UsageError, match=r"the files of 1\.png, noise at 1 and 5 more: they have changed"):
        run(root)
    told: list[Started] = []
    assert run(root, retry_failed=True, started=told.append).failed == 0
    assert (told[0].done, told[0].units) == (12, 18)
    assert results(root) == results(root, "undisturbed")


def test_a_limit_is_in_images(root: Path) -> None:
    done = run(root, limit=2)
    assert {row["image"] for row in done.rows} == {"0.png", "1.png"}
    assert (done.summary["images"], done.summary["units"]) == (2, 12)
    run(root, out="undisturbed")
    run(root)
    assert results(root) == results(root, "undisturbed")


def test_an_interrupted_run_goes_on_where_it_was(root: Path) -> None:
    whole = Fake(log=str(root / "log"))
    run(root, whole, "undisturbed")
    (root / "log").unlink()
    count = 0

    def interrupt(units: int, workers: int) -> None:
        nonlocal count
        count += units
        if count == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(root, whole, progress=interrupt)
    told: list[Started] = []
    run(root, whole, started=told.append)
    assert told[0].done == 7
    sent = (root / "log").read_text().split()
    assert len(sent) == len(set(sent)) == 9
    assert results(root) == results(root, "undisturbed")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"experiment": Fake(levels=(1.0,))}, "config.levels"),
        ({"settings": replace(SETTINGS, seed=2)}, "config.seed: 0 → 2"),
        ({"settings": replace(SETTINGS, metrics=("psnr",))}, "config.metrics"),
    ],
)
def test_another_run_is_never_mixed_in(change: dict[str, Any], message: str, root: Path) -> None:
    run(root)
    with pytest.raises(UsageError, match=rf"holds a run that differs from this one in .*{message}"):
        run(root, **change)


def test_exchanged_and_new_images_are_noticed(root: Path) -> None:
    run(root)
    Image.new("RGB", (24, 24)).save(root / "images" / "1.png")
    with pytest.raises(UsageError, match=r"the files of 1\.png, noise at 1 and 5 more"):
        run(root)
    make_images(root / "images", 4)
    with pytest.raises(UsageError, match="number of images: 3 → 4; images: other names"):
        run(root)


def test_runs_stay_out_of_the_folders_of_images(root: Path) -> None:
    for out in ("images", "images/deep/run"):  # its pictures would be among those that are sent
        with pytest.raises(UsageError, match="Choose another --out"):
            run(root, out=out)
    assert sorted(path.name for path in (root / "images").iterdir()) == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\0", "a\n", "x" * 201, "ä" * 101, "original.png"])
def test_systems_have_names_of_folders(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Grey, "name", name)
    with pytest.raises(UsageError, match="to be one of a folder"):
        run(root)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"limit": 0}, "limit to be at least 1"), ({"settings": replace(SETTINGS, metrics=("nothing",))}, "nothing")],
)
def test_wrong_options_come_before_the_first_image(options: dict[str, Any], message: str, root: Path) -> None:
    with pytest.raises(UsageError, match=message):
        run(root, Fake(log=str(root / "log")), **options)
    assert not (root / "log").exists()
    assert not (root / "out").exists()


@pytest.mark.weights
def test_the_original_is_embedded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what two levels received alike, too: an embedding is a product of the pixels."""
    from semetric.models.segmenter import Segmenter

    embedded: list[str] = []
    embed = Segmenter._embed

    def count(self: Segmenter, pictures: Any) -> Any:
        embedded.extend(picture.digest for picture in pictures)
        return embed(self, pictures)

    monkeypatch.setattr(Segmenter, "_embed", count)
    make_images(tmp_path / "images", 1)
    run(tmp_path, Fake(levels=(1.0, 2.0)), settings=RunSettings(metrics=("samscore",), device="cpu"))
    assert len(embedded) == len(set(embedded)) == 4  # the original, two of noise, one grey


def test_a_script_without_a_guard_is_told_of_it(root: Path) -> None:
    script = root / "script.py"
    folder = Path(__file__).parent
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(folder)!r})\nfrom fake_systems import Fake\n"
        "from semetric.lab.experiments import RunSettings, run_experiment\nfrom semetric.results import Execution\n"
        "settings = RunSettings(metrics=('psnr',), device='cpu')\n"
        f"images, out, two = {str(root / 'images')!r}, {str(root / 'out')!r}, Execution(jobs=2)\n"
        "run_experiment(Fake(), [images], out, settings, execution=two, cached=False)\n",
        encoding="utf-8",
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith('if __name__ == "__main__":')
    assert "another process" not in ended.stderr
