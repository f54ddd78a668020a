from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semetric.errors import UsageError
from semetric.learn.agreement import evaluate
from semetric.learn.agreement.items import MEASURES, measure, needed
from semetric.learn.agreement.published import PUBLISHED, published
from semetric.learn.agreement.table import RULE, agreement_table, long_table, write_tables
from semetric.learn.datasets import Dataset, ImagePair, OddOneOut
from semetric.learn.triplets import Choice, JudgedPair, ScoredTriplet, Triplet
from semetric.metrics.registry import METRICS
from semetric.results.tables import to_csv, to_latex

QUICK: dict[str, Any] = {"resamples": 200, "store": None, "device": "cpu"}


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    """A photo, and nine noisy copies of it, each noisier than the one before."""
    rng = np.random.default_rng(0)
    clean = rng.integers(60, 190, (16, 16, 3))
    noise = rng.normal(size=clean.shape)
    paths = []
    for level in range(10):
        file = tmp_path / "images" / f"{level}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray((clean + 3 * level * noise).clip(0, 255).astype(np.uint8)).save(file)
        paths.append(str(file))
    return paths


def choices(photos: list[str], pairs: list[tuple[int, int]], shares: list[float], **other: Any) -> Dataset:
    items = tuple(
        Choice(
            triplet=Triplet(
                key=str(i), reference=photos[0], a=photos[a], b=photos[b], group="near" if a < 4 else "far"
            ),
            share_b=share,
        )
        for i, ((a, b), share) in enumerate(zip(pairs, shares, strict=True))
    )
    return Dataset(name="mine", root=str(Path(photos[0]).parent), kind="choices", items=items, **other)


PAIRS = [(1, 5), (6, 2), (3, 8), (9, 4), (2, 7), (8, 1)]


def test_choices(photos: list[str], tmp_path: Path) -> None:
    shares = [0.0, 1.0, 0.25, 1.0, 0.0, 0.5]
    done = evaluate(choices(photos, PAIRS, shares), ["psnr", "mse"], tmp_path / "run", **QUICK)
    found = done.summary
    expected = np.mean([1.0, 1.0, 0.75, 1.0, 1.0, 0.5])
    for metric in ("psnr", "mse"):  # one rises with noise, the other falls
        entry = found["metrics"][metric]["measures"]["2afc"]
        assert entry["value"] == pytest.approx(expected)
        assert entry["interval_95"][0] <= expected <= entry["interval_95"][1]
    assert found["ceiling"] == pytest.approx(expected)
    assert found["groups"] == ["far", "near"]
    groups = found["metrics"]["psnr"]["groups"]
    assert groups["near"]["2afc"]["value"] == pytest.approx(np.mean([1.0, 0.75, 1.0]))
    mean = found["metrics"]["psnr"]["mean_of_groups"]["2afc"]
    assert mean["value"] == pytest.approx(np.mean([groups[name]["2afc"]["value"] for name in groups]))
    (difference,) = found["differences"]
    assert (difference["difference"], difference["interval_95"]) == (0.0, [0.0, 0.0])
    assert found["best"] == {"2afc": {"metric": "psnr", "clear": False}}
    assert [row["reference"] for row in done.run.rows] == ["0.png"] * 9  # each pair once, relative to the data set


def test_majorities_count_whole_where_the_data_set_says_so(photos: list[str], tmp_path: Path) -> None:
    data = choices(photos, PAIRS, [0.4, 0.6, 0.4, 0.6, 0.4, 0.6], majority=True)
    found = evaluate(data, ["psnr"], tmp_path / "run", **QUICK).summary
    assert found["metrics"]["psnr"]["measures"]["2afc"]["value"] == 1.0
    assert found["ceiling"] == 1.0


def test_a_second_evaluation_computes_nothing(photos: list[str], tmp_path: Path, monkeypatch: Any) -> None:
    data = choices(photos, PAIRS, [0.0, 1.0] * 3)
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    first = evaluate(data, ["psnr"], **QUICK)
    assert first.run.path.parent == tmp_path / "cache" / "evaluations"
    second = evaluate(data, ["psnr"], **QUICK)
    assert (first.cached, second.cached) == (False, True)
    assert second.run.path == first.run.path
    assert json.dumps(second.summary) == json.dumps(first.summary)
    # other judgements of the same pairs: the same scores, other agreement
    other = evaluate(choices(photos, PAIRS, [1.0, 0.0] * 3), ["psnr"], first.run.path, **QUICK)
    assert not other.cached
    assert other.summary["metrics"]["psnr"]["measures"]["2afc"]["value"] == 0.0
    more = evaluate(data, ["psnr", "mse"], **QUICK)
    assert more.run.path != first.run.path
    (more.run.path / "agreement.json").write_text("{")  # damaged: written again
    assert evaluate(data, ["psnr", "mse"], **QUICK).cached
    assert json.loads((more.run.path / "agreement.json").read_text())["key"] == more.summary["key"]


def test_the_best_is_bold_only_where_it_is_clear(tmp_path: Path) -> None:
    """People prefer a brighter image to a noisy one of less error: with SSIM, and against PSNR."""
    smooth = np.linspace(40, 180, 32 * 32 * 3).reshape(32, 32, 3)
    noise = np.random.default_rng(0).normal(0, 12, smooth.shape)
    paths = [str(tmp_path / f"{name}.png") for name in ("reference", "brighter", "noisy")]
    for path, pixels in zip(paths, (smooth, smooth + 30, smooth + noise), strict=True):
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    data = choices(paths, [(1, 2), (2, 1)] * 5, [0.0, 1.0] * 5)
    found = evaluate(data, ["psnr", "ssim", "mse"], tmp_path / "run", **QUICK).summary
    assert [one["measures"]["2afc"]["value"] for one in found["metrics"].values()] == [0.0, 1.0, 0.0]
    assert found["best"] == {"2afc": {"metric": "ssim", "clear": True}}
    by_pair = {(one["a"], one["b"]): (one["difference"], one["interval_95"]) for one in found["differences"]}
    assert by_pair[("psnr", "ssim")] == (-1.0, [-1.0, -1.0])
    assert by_pair[("psnr", "mse")] == (0.0, [0.0, 0.0])
    latex = to_latex(agreement_table(found))
    assert latex.count(r"\textbf{1.000}") == latex.count(r"\textbf") == 1
    assert RULE.replace("%", r"\%") in latex
    found = evaluate(data, ["psnr", "mse"], tmp_path / "tied", **QUICK).summary
    assert found["best"]["2afc"]["clear"] is False
    assert r"\textbf" not in to_latex(agreement_table(found))


def test_ratings(photos: list[str], tmp_path: Path) -> None:
    items = tuple(
        JudgedPair(key=str(i), reference=photos[0], image=photos[i], opinion=10.0 - i, group="one") for i in range(10)
    )
    data = Dataset(name="rated", root="/elsewhere", kind="pairs", items=items)
    found = evaluate(data, ["psnr", "mse"], tmp_path / "run", **QUICK).summary
    for metric in ("psnr", "mse"):
        values = found["metrics"][metric]["measures"]
        assert values["srcc"]["value"] == pytest.approx(1.0, abs=1e-12)
        assert values["krcc"]["value"] == pytest.approx(1.0, abs=1e-12)
        assert values["plcc"]["value"] > 0.98
    assert found["metrics"]["psnr"]["measures"]["plcc"]["left_out"] == 1  # the photo itself has an infinite PSNR
    assert found["groups"] == []
    assert "mean_of_groups" not in found["metrics"]["psnr"]


def test_scored_triplets_are_choices_and_ratings(photos: list[str], tmp_path: Path) -> None:
    items = tuple(
        ScoredTriplet(
            triplet=Triplet(key=str(i), reference=photos[0], a=photos[a], b=photos[b]),
            score_a=1 - a / 10,
            score_b=1 - b / 10,
        )
        for i, (a, b) in enumerate(PAIRS)
    )
    data = Dataset(name="scored", root=".", kind="scores", items=items)
    values = evaluate(data, ["psnr"], tmp_path / "run", **QUICK).summary["metrics"]["psnr"]["measures"]
    assert list(values) == ["2afc", "srcc", "krcc", "plcc"]
    assert values["2afc"]["value"] == 1.0
    assert values["srcc"]["value"] == pytest.approx(1.0, abs=1e-12)
    assert (values["2afc"]["n"], values["srcc"]["n"]) == (6, 6)  # triplets are drawn, not their halves


def test_same_or_different_and_the_odd_one(photos: list[str], tmp_path: Path) -> None:
    pairs = tuple(
        JudgedPair(key=str(i), reference=photos[0], image=photos[i], opinion=float(i < 4)) for i in range(1, 9)
    )
    same = Dataset(name="same", root=".", kind="same", items=pairs)
    found = evaluate(same, ["mse"], tmp_path / "same", **QUICK).summary
    assert found["metrics"]["mse"]["measures"]["jnd_map"]["value"] == 1.0
    trials = tuple(
        OddOneOut(key=str(i), images=(photos[a], photos[b], photos[c]), odd=odd)
        for i, (a, b, c, odd) in enumerate([(0, 1, 9, 2), (9, 0, 1, 0), (2, 9, 1, 1), (0, 9, 1, 0)])
    )
    odd = Dataset(name="odd", root=".", kind="odd_one_out", items=trials)
    found = evaluate(odd, ["mse"], tmp_path / "odd", **QUICK).summary
    assert found["metrics"]["mse"]["measures"]["odd_one_out"]["value"] == 0.75


def test_items_without_a_score_are_left_out_and_said(photos: list[str], tmp_path: Path) -> None:
    Path(photos[5]).write_bytes(b"broken")
    done = evaluate(choices(photos, PAIRS, [0.0, 1.0] * 3), ["psnr", "mse"], tmp_path / "run", **QUICK)
    one = done.summary["metrics"]["psnr"]
    assert (one["n"], one["missing"], one["measures"]["2afc"]["n"]) == (5, 1, 5)
    assert done.summary["failed_pairs"] == 1
    assert done.summary["differences"][0]["n"] == 5


def test_unjudged_sets_are_refused(photos: list[str]) -> None:
    data = Dataset(
        name="cyclegan", root=".", kind="unjudged", items=(ImagePair(key="k", reference=photos[0], image=photos[1]),)
    )
    with pytest.raises(UsageError, match=r"cyclegan holds none \(unjudged\)"):
        evaluate(data, ["psnr"])
    with pytest.raises(UsageError, match="at least 2 resamples"):
        evaluate(data, ["psnr"], resamples=1)
    with pytest.raises(UsageError, match="a measure of pairs: srcc, krcc, plcc; found '2afc'"):
        measure("2afc", np.zeros((1, 1)), np.zeros((1, 1)), kind="pairs", higher_is_better=True)


def test_a_pair_that_several_items_need_is_scored_once(photos: list[str]) -> None:
    wanted = needed(choices(photos, [(1, 2), (2, 1), (1, 3)], [0.0, 0.0, 1.0]))
    assert [pair.image for pair in wanted.pairing.pairs] == ["1.png", "2.png", "3.png"]
    assert wanted.places.tolist() == [[0, 1], [1, 0], [0, 2]]
    again = needed(choices(photos, [(1, 2), (2, 1), (1, 3)], [0.0, 0.0, 0.9]))
    assert wanted.digest() != again.digest()
    assert wanted.pairing.digest() == again.pairing.digest()


def test_tables(photos: list[str], tmp_path: Path) -> None:
    done = evaluate(choices(photos, PAIRS, [0.0, 1.0] * 3), ["psnr", "mse"], tmp_path / "run", **QUICK)
    summary = json.loads(json.dumps(done.summary))
    summary["dataset"]["name"] = "a_b & 50%"
    summary["published"] = [
        {"metric": "psnr", "measure": "2afc", "value": 0.571, "mean_of_groups": False, "source": "a paper"}
    ]
    rows = list(csv.DictReader(io.StringIO(to_csv(long_table(summary)))))
    assert [row["group"] for row in rows if row["metric"] == "psnr"] == ["", "mean of groups", "far", "near"]
    assert (rows[0]["dataset"], rows[0]["published"], rows[1]["published"]) == ("a_b & 50%", "0.571", "")
    assert float(rows[0]["low"]) <= float(rows[0]["value"]) <= float(rows[0]["high"])
    latex = to_latex(agreement_table(summary))
    assert r"a\_b \& 50\%" in latex
    assert latex.count("{") == latex.count("}")
    lines = latex[latex.index(r"\midrule") : latex.index(r"\bottomrule")].splitlines()[1:]
    columns = re.search(r"\\begin\{tabular\}\{(\w+)\}", latex)
    assert columns is not None
    assert {len(re.split(r"(?<!\\)&", line)) for line in lines} == {len(columns[1])}
    assert "0.571" in lines[0]
    assert "0.571" not in lines[1]
    paths = write_tables(summary, tmp_path)
    assert [path.read_text() for path in paths] == [to_csv(long_table(summary)), latex]


def test_measures_that_are_undefined_say_why(photos: list[str], tmp_path: Path) -> None:
    same = [photos[0]] * 6
    items = tuple(
        JudgedPair(key=str(i), reference=photos[0], image=one, opinion=float(i)) for i, one in enumerate(same)
    )
    rated = Dataset(name="=1+1", root=".", kind="pairs", items=items)
    found = evaluate(rated, ["mse"], tmp_path / "rated", **QUICK).summary
    values = found["metrics"]["mse"]["measures"]
    for name in ("srcc", "krcc", "plcc"):
        assert (values[name]["value"], values[name]["interval_95"]) == (None, None)
        assert "all scores are equal" in values[name]["note"]
    assert "\n'=1+1," in to_csv(long_table(found))
    assert "nan" not in to_latex(agreement_table(found))
    unlike = tuple(JudgedPair(key=str(i), reference=photos[0], image=photos[i], opinion=0.0) for i in range(1, 5))
    pairs = Dataset(name="same", root=".", kind="same", items=unlike)
    found = evaluate(pairs, ["mse"], tmp_path / "same", **QUICK).summary
    assert found["metrics"]["mse"]["measures"]["jnd_map"]["value"] is None
    assert "nobody said" in found["metrics"]["mse"]["measures"]["jnd_map"]["note"]


def test_a_negative_number_has_a_minus_in_print_and_stays_a_number(photos: list[str], tmp_path: Path) -> None:
    items = tuple(
        JudgedPair(key=str(i), reference=photos[0], image=photos[i], opinion=float(i), group=group)
        for i, group in zip(range(1, 7), ["-2+3", "|x|"] * 3, strict=True)
    )
    found = evaluate(
        Dataset(name="mine", root=".", kind="pairs", items=items), ["mse"], tmp_path / "r", **QUICK
    ).summary
    assert found["metrics"]["mse"]["measures"]["srcc"]["value"] == -1.0
    assert "$-$1.000" in to_latex(agreement_table(found))
    assert ",-1," in to_csv(long_table(found))
    assert ",'-2+3," in to_csv(long_table(found))


def test_published_figures_name_metrics_and_measures_that_exist() -> None:
    from semetric.learn.datasets import DATASETS

    for one in PUBLISHED:
        spec = DATASETS[one.dataset]
        assert spec.kind is not None
        assert one.measure in MEASURES[spec.kind]
        assert one.metric is None or one.metric in METRICS
        assert 0 < one.value < 1
    assert [one.value for one in published("nights", "test")][:3] == [0.962, 0.934, 0.908]
    assert published("nights", "val") == ()


def test_importing_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, semetric.learn.agreement, semetric.learn.datasets;"
        "print([n for n in ('torch', 'scipy', 'pyarrow', 'matplotlib', 'numba') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
