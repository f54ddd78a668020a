"""Several runs as one report, and the paired differences between systems."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_runs as fake
import numpy as np
import pytest

from semetric.errors import UsageError
from semetric.report.lab import write_report
from semetric.report.lab.contents import tables
from semetric.report.lab.differences import differences, system_pairs
from semetric.report.lab.examples import examples
from semetric.report.lab.findings import findings
from semetric.report.lab.measures import curves
from semetric.report.lab.merge import read_lab_runs
from semetric.report.lab.results import read_lab_run


def one_system(folder: Path, name: str, damage: float = 0.3, **more: Any) -> Path:
    systems = [{"name": name, "label": name.upper(), "levels": more.pop("levels", fake.RATES)}]
    more.setdefault("metrics", ("psnr", "lpips"))
    return fake.write_run(folder, "compression", systems, lambda s, m, level: damage / (1 + level), **more)


def test_systems_of_two_runs_stand_side_by_side(tmp_path: Path) -> None:
    paths = [one_system(tmp_path / name, name, examples=1) for name in ("a", "b")]
    merged = read_lab_runs(paths)
    assert [one.name for one in merged.systems] == ["a", "b"]
    alone = [read_lab_run(path) for path in paths]
    for metric in range(2):
        for system, run in enumerate(alone):
            assert curves(merged)[metric][system].points == curves(run)[metric][0].points
    assert [[label for label, _ in one.systems] for one in examples(merged)] == [["A", "B"]]
    assert read_lab_runs(paths[:1]).path == paths[0]


def test_a_system_that_both_have_is_one_with_the_images_and_levels_of_both(tmp_path: Path) -> None:
    one = one_system(tmp_path / "one", "a", levels=(0.1, 0.5), images=("a.png", "b.png"))
    two = one_system(tmp_path / "two", "a", levels=(0.1, 2.0), images=("a.png", "b.png", "c.png"))
    merged = read_lab_runs([one, two])
    assert [system.name for system in merged.systems] == ["a"]
    assert list(merged.levels(0)) == [0.1, 0.5, 2.0]
    assert merged.images == ("a.png", "b.png", "c.png")
    assert [point.units for point in curves(merged)[0][0].points] == [3, 2, 3]


def test_a_system_that_scores_otherwise_is_another(tmp_path: Path) -> None:
    one, two = one_system(tmp_path / "one", "a"), one_system(tmp_path / "two", "a", damage=0.6)
    merged = read_lab_runs([one, two])
    assert [(system.name, system.label) for system in merged.systems] == [("a", "A"), ("a (two)", "A (two)")]
    assert [one.mean_a > one.mean_b for one in (d.difference for d in differences(merged, [(0, 1)])[:1])] == [True]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda r: r["metrics"]["lpips"].update(weights={"trunk": "other"}), "lpips is one metric; .* differ in its"),
        (lambda r: r["images"][0].update(digest="f" * 64), "a.png has other pixels in"),
        (lambda r: r["axis"].update(label="SNR"), "Expected runs of one axis; .* has rate and .* has SNR"),
        (lambda r: r.update(experiment="levels"), "Expected runs of one experiment; .*compression and .* has levels"),
    ],
)
def test_runs_that_do_not_belong_together(tmp_path: Path, edit: Callable[[dict[str, Any]], None], message: str) -> None:
    one, two = one_system(tmp_path / "one", "a"), one_system(tmp_path / "two", "b")
    fake.change_record(two, edit)
    with pytest.raises(UsageError, match=message):
        read_lab_runs([one, two])


def test_a_report_of_several_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semetric.report.lab.write.drawn_figures", lambda run: iter(()))
    paths = [one_system(tmp_path / name, name) for name in ("a", "b")]
    page = write_report(paths)
    assert page == tmp_path / "a" / "report-merged" / "index.html"
    text = page.read_text()
    assert "4 images, 2 systems" in text
    assert "What went wrong" not in text
    assert "Paired differences between systems" in text
    assert (page.parent / "tables" / "differences.csv").read_text().count("\n") == 1 + 2


# Differences


def test_differences_are_paired_over_images(tmp_path: Path) -> None:
    run = read_lab_run(fake.channel(tmp_path / "run", metrics=("psnr", "lpips")))
    found = differences(run, system_pairs(run), by_level=True)
    assert [(one.metric, one.level) for one in found[:2]] == [(0, None), (0, -2.0)]
    rows = run.rows
    at = {}
    for system in (0, 1):
        own = (rows.system == system) & (rows.metric == 0) & (rows.level == 10.0)
        at[system] = rows.value[own]
    (level,) = [one for one in found if one.metric == 0 and one.level == 10.0]
    assert level.difference.mean == pytest.approx(float((at[0] - at[1]).mean()), abs=1e-12)
    assert level.levels == (10.0,)
    assert found[0].levels == (-2.0, 1.0, 4.0, 7.0, 10.0, 13.0, 16.0, 19.0)
    psnr, lpips = (one for one in found if one.level == -2.0)  # where every decode of the first failed
    assert psnr.better == lpips.better  # higher is better in one, lower in the other
    assert psnr.clear


def test_rates_are_compared_where_both_curves_are_and_not_by_target(tmp_path: Path) -> None:
    """Two systems on one straight line over the logarithm of the rate, which they reach at other rates."""

    def line(row: dict[str, Any]) -> None:
        factor = 1.5 if row["system"] == "b" else 1.0
        row["rate_bpp"] = factor * row["level"]
        row["value"] = 30 + 5 * float(np.log(row["rate_bpp"]))

    systems = [{"name": n, "label": n, "levels": fake.RATES} for n in "ab"]
    run = read_lab_run(
        fake.write_run(tmp_path / "run", "compression", systems, lambda *_: 0.3, metrics=("psnr",), edit=line)
    )
    whole, *single = differences(run, [(0, 1)], by_level=True)
    assert whole.difference.mean == pytest.approx(0.0, abs=1e-9)  # by target it would be 5 log 1.5 = 2.0
    assert [one.level for one in single] == [0.18, 0.33, 0.6, 1.1, 2.0]  # b does not reach 0.1
    assert all(one.difference.mean == pytest.approx(0.0, abs=1e-9) for one in single)


def test_pairs_of_systems_by_name(tmp_path: Path) -> None:
    run = read_lab_run(fake.compression(tmp_path / "run", metrics=("psnr",)))
    assert len(system_pairs(run)) == 6
    assert system_pairs(run, ["avif", "jpeg"]) == [(3, 0)]
    assert system_pairs(run, against="jpeg") == [(1, 0), (2, 0), (3, 0)]
    with pytest.raises(UsageError, match=r"found 'jpg'\. Did you mean"):
        system_pairs(run, ["jpg"])
    with pytest.raises(UsageError, match="two or more systems"):
        system_pairs(run, ["jpeg"])


# Findings


@pytest.mark.parametrize(
    ("experiment", "sentence"),
    [
        ("compression", r"AVIF is better than WebP by \d+\.\d+ dB \(.* to .*\), and than JPEG, the last, by"),
        ("channel", "is better than|is ahead of"),
        ("transform", r"changes least under reflection|changes least under .* and most under"),
        ("deformation", r"follows piecewise affine deformation \(\|r\| 1\.000, 0\.999 to 1\.000\)"),
        ("edits", "notices .* most .*, .* least"),
        ("levels", r"falls from \d+\.\d+ at 0 to \d+\.\d+ at 1000 \(unclip\)"),
    ],
)
def test_each_experiment_says_what_was_found(tmp_path: Path, experiment: str, sentence: str) -> None:
    run = read_lab_run(fake.MAKERS[experiment](tmp_path / "run", metrics=("psnr",)))
    ((label, said),) = findings(run)
    assert label == "PSNR"
    assert re.search(sentence, said), said


def test_what_lies_within_the_noise_is_said_to(tmp_path: Path) -> None:
    systems = [{"name": n, "label": n, "levels": (1.0, 2.0)} for n in "ab"]

    def toss(row: dict[str, Any]) -> None:  # each is better on half of the images, by as much
        ahead = (row["system"] == "a") == (row["image"] in ("a.png", "b.png"))
        row["value"] = 30 + 1.0 * ahead + 0.01 * (row["system"] == "a") + row["level"]

    run = read_lab_run(
        fake.write_run(tmp_path / "run", "channel", systems, lambda *_: 0.3, metrics=("psnr",), edit=toss)
    )
    ((_, said),) = findings(run)
    assert "a is ahead of b by 0.010 dB" in said
    assert "not clear: the interval holds 0" in said


def test_crossings_inside_the_noise_are_left_out(tmp_path: Path) -> None:
    run = read_lab_run(fake.channel(tmp_path / "a", metrics=("psnr",)))
    table = next(one for one in tables(run) if one.name == "crossings")
    assert len(table.rows) == 1  # the cliff: DeepJSCC before it, JPEG after it, on every image
    one = read_lab_run(fake.channel(tmp_path / "b", metrics=("psnr",), images=("a.png",)))
    table = next(one for one in tables(one) if one.name == "crossings")
    assert table.rows == ()  # a single image has no interval
    assert "1 more lie within the intervals" in table.note
