"""The whole report of synthetic runs: files, words, escaping, and that nothing depends on the day."""

from __future__ import annotations

import csv
import math
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import fake_runs as fake
import pytest
from PIL import Image

from semetric.errors import StoreError, UsageError
from semetric.report.lab import write_report
from semetric.report.lab.problems import MOST_LISTED, problems
from semetric.report.lab.results import read_lab_run
from semetric.report.lab.words import slugs

EVIL = "<script>alert('x')</script>"


class Reader(HTMLParser):
    """Collects tags, addresses and text, and minds that everything is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


def read(page: Path) -> Reader:
    found = Reader(page.read_text(encoding="utf-8"))
    assert "script" not in found.tags
    assert not [a for a in found.addresses if not a.startswith(("data:image/", "#"))]
    return found


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of words and tables: drawing takes most of a report's time."""
    monkeypatch.setattr("semetric.report.lab.write.drawn_figures", lambda run: iter(()))


TELLING = {
    "compression": "crossings",
    "channel": "failed",
    "transform": "transformations",
    "deformation": "correlations",
    "edits": "sensitivity",
    "levels": "means-unclip",
}


@pytest.mark.parametrize("experiment", TELLING)
def test_every_experiment_gives_page_figures_and_tables(tmp_path: Path, experiment: str) -> None:
    run = fake.MAKERS[experiment](tmp_path / "run", metrics=("sess",), examples=1)
    page = write_report(run)
    assert page == run / "report" / "index.html"
    figures = {file.name for file in (run / "report" / "figures").iterdir()}
    stems = {Path(name).stem for name in figures}
    assert {"overview", "metric-sess"} <= stems
    assert figures == {f"{stem}.{kind}" for stem in stems for kind in ("pdf", "png")}
    tables = {file.name for file in (run / "report" / "tables").iterdir()}
    assert {f"{TELLING[experiment]}.csv", f"{TELLING[experiment]}.tex", "means.csv"} <= tables
    assert not list((run / "report").rglob("*.tmp"))
    found = read(page)
    assert found.tags.count("img") >= 1 + 1 + 4  # a figure, the original, four levels
    assert "examples-a.pdf" in figures
    assert ("What went wrong" in found.text) == (experiment == "channel")  # where decodes failed
    assert found.text.index("What was found") < found.text.index("Figures", found.text.index("What was found") + 20)
    assert "How this was made" in found.text
    assert "4 images" in found.text
    assert "</" not in found.text  # no markup that was taken for text
    assert ("fallback" in found.text) == (experiment == "channel")
    assert page.stat().st_size < 6_000_000


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    run = fake.channel(tmp_path / "run", metrics=("sess",), examples=1)
    write_report(run, tmp_path / "one")
    os.utime(run / "run.sqlite", (0, 0))
    write_report(run, tmp_path / "two")
    files = sorted(file.relative_to(tmp_path / "one") for file in (tmp_path / "one").rglob("*") if file.is_file())
    assert len(files) > 10
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_means_have_every_number(tmp_path: Path, undrawn: None) -> None:
    def edit(row: dict[str, Any]) -> None:
        if row["metric"] == "psnr" and row["image"] == "a.png":
            row["value"] = math.inf

    run = fake.channel(tmp_path / "run", edit=edit, metrics=("psnr", "sess"))
    text = read(write_report(run)).text
    with (run / "report" / "tables" / "means.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 8
    psnr = [row for row in rows if row["metric"] == "psnr"]
    assert {(row["n"], row["infinite"]) for row in psnr} == {("3", "1")}
    assert all(float(row["low_95"]) <= float(row["mean"]) <= float(row["high_95"]) for row in rows)
    assert sum(int(row["failed_decodes"]) for row in rows if row["metric"] == "sess") == 13
    assert "13 decodes of 64 failed" in text
    assert "16 infinite values of PSNR (identical images) left out" in text
    assert "Channel uses per pixel: 0.25." in text


def test_the_papers_figures_stand_beside_the_transformations(tmp_path: Path, undrawn: None) -> None:
    run = fake.transform(tmp_path / "run", metrics=("lpips", "sess"))
    write_report(run)
    with (run / "report" / "tables" / "transformations.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[1:]] == [
        *("translation", "SeSS paper, Fig. 13", "rotation", "SeSS paper, Fig. 13", "reflection"),
        *("SeSS paper, Fig. 13", "scaling", "SeSS paper, Fig. 13", "colour filter", "SeSS paper, Fig. 13"),
    ]
    assert rows[1][1] == "0.06 of the width"
    lpips, sess = rows[0].index("LPIPS ↓"), rows[0].index("SeSS ↑")
    assert (rows[2][lpips], rows[2][sess]) == ("0.099", "0.915")


def test_names_are_text_everywhere(tmp_path: Path, undrawn: None) -> None:
    systems = [
        {"name": f"s{i}", "label": f"{EVIL} & {{{i}}} \\input{{x}} $y$ 50% 中", "levels": (0.5, 1.0)} for i in range(12)
    ]
    reason = "<img src=x onerror=alert(1)>"

    def edit(row: dict[str, Any]) -> None:
        if row["system"] == "s1":
            row["value"], row["error"] = None, reason
        row["note"] = f"note {EVIL}"

    run = fake.write_run(
        tmp_path / EVIL.replace("/", "_"),
        "compression",
        systems,
        lambda s, m, level: 0.3,
        metrics=("sess",),
        images=(f"{EVIL}.png", "b\u202e.png"),
        edit=edit,
        profile={"name": EVIL},
        version=EVIL,
        seed=EVIL,
        config={EVIL: EVIL},
        left_out={"clipscore": reason},
    )
    found = read(write_report(run))
    assert reason in found.text
    assert f"note {EVIL}" in found.text
    assert found.text.count(EVIL) > 12
    for file in (run / "report" / "tables").glob("*.tex"):
        text = file.read_text(encoding="utf-8")
        assert "\\input" not in text
        assert "<script" not in text


def test_a_metric_without_any_value_has_no_figure_and_is_said(tmp_path: Path) -> None:
    def edit(row: dict[str, Any]) -> None:
        if row["metric"] == "lpips":
            row["value"], row["error"] = None, "no weights"

    run = fake.levels(tmp_path / "run", edit=edit, metrics=("lpips", "psnr"))
    text = read(write_report(run)).text
    assert not (run / "report" / "figures" / "metric-lpips.png").exists()
    assert (run / "report" / "figures" / "metric-psnr.png").exists()
    assert "no weights" in text
    assert "24 values missing" in text


def test_a_run_without_any_value_gives_a_page_that_says_so(tmp_path: Path) -> None:
    run = fake.levels(tmp_path / "run", edit=lambda row: row.update(value=None, error="broken"))
    assert "nothing to draw" in read(write_report(run)).text
    assert list((run / "report" / "figures").iterdir()) == []


def test_one_image_at_one_level(tmp_path: Path, undrawn: None) -> None:
    systems = [{"name": "x", "label": "X", "levels": (1.0,)}]
    for experiment in TELLING:
        run = fake.write_run(
            tmp_path / experiment, experiment, systems, lambda s, m, level: 0.3, metrics=("sess",), images=("a.png",)
        )
        assert "One image gives no interval" in read(write_report(run)).text


def test_an_unfinished_run_says_so(tmp_path: Path, undrawn: None) -> None:
    run = fake.levels(tmp_path / "run", half=True, metrics=("sess",))
    assert "not at its end" in read(write_report(run)).text


def test_lists_of_problems_are_bounded_and_group_what_is_alike(tmp_path: Path) -> None:
    images = [f"{i:03d}.png" for i in range(60)]

    def edit(row: dict[str, Any]) -> None:
        if row["system"] == "deepjscc":
            row["note"] = f"met {row['level']} of 3.5%"
            if row["metric"] == "sess":
                row["value"], row["error"] = None, "broken"
        if row["image"] == "001.png":
            row["value"], row["error"] = None, "cannot be read"

    records = [{"name": name, "error": "cannot be read" if name == "001.png" else None} for name in images]
    run = read_lab_run(fake.channel(tmp_path / "run", metrics=("psnr", "sess"), images=images, edit=edit, images_=0))
    run.record["images"][1].update(records[1])
    found = problems(run)
    assert found.errors[0] == ("001.png, everywhere", "cannot be read")
    assert found.errors[1][0].startswith("sess on 000.png, DeepJSCC at −2")
    assert len(found.errors) == MOST_LISTED
    assert len(found.errors) + found.more_errors == 1 + 59 * 8
    assert found.failed[0] == ("JPEG + LDPC 1/2, 16QAM at −2", "all 60 images")
    assert found.failed[3] == ("JPEG + LDPC 1/2, 16QAM at 7", "000.png")
    assert ("DeepJSCC: met -2.0 of 3.5%", 60 * 8) not in found.notes  # the minus sign is no digit
    assert sum(count for words, count in found.notes if words.startswith("DeepJSCC")) == 60 * 8


def test_file_names_are_tame_and_differ() -> None:
    assert slugs(["SeSS", "se ss", "se/ss", "../..", "中", "a" * 99]) == [
        *("sess", "se-ss", "se-ss-2", "x", "x-2"),
        "a" * 48,
    ]


def test_where_it_cannot_be_written_is_said(tmp_path: Path) -> None:
    run = fake.levels(tmp_path / "run", metrics=("sess",))
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="write a report into"):
        write_report(run, tmp_path / "file")
    with pytest.raises(UsageError, match="holds no run"):
        write_report(tmp_path)
    assert not (tmp_path / "report").exists()


def test_a_run_of_the_runner_itself(tmp_path: Path, undrawn: None) -> None:
    """Its folder is what the report reads: names of examples, units."""
    from semetric.lab.experiments.run import run_experiment
    from semetric.lab.experiments.settings import RunSettings
    from semetric.lab.experiments.transform import Transform

    for name in ("0.png", "sub/1.png"):
        file = tmp_path / "photos" / name
        file.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(fake.photo(len(name))).save(file)
    experiment = Transform(transformations=("rotation", "colour_filter"))
    run_experiment(experiment, [tmp_path / "photos"], tmp_path / "run", RunSettings(metrics=("psnr",)), cached=False)
    found = read(write_report(tmp_path / "run"))
    assert "2 images, 2 systems" in found.text
    assert "sub/1.png" in found.text
    assert re.search(r"8°", found.text)
    assert len([a for a in found.addresses if a.startswith("data:image/webp")]) == 2 * (1 + 4 + 4)
