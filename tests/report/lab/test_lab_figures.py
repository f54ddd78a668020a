from __future__ import annotations

import io
import re
from pathlib import Path

import fake_runs as fake
import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from semetric.formatting import number
from semetric.report.defaults import defaults
from semetric.report.lab import figures
from semetric.report.lab.figures import DPI, drawn_figures
from semetric.report.lab.horizontal import horizontal
from semetric.report.lab.results import read_lab_run
from semetric.report.lab.style import COLOURS, COLUMN_INCHES, PAGE_INCHES, PAPER, looks, metric_label
from semetric.report.palette import luminance


def test_looks_stay_apart_in_colour_and_in_grey() -> None:
    twelve = looks([""] * 12)
    assert len({look.colour for look in twelve}) == len({look.marker for look in twelve}) == 12
    more = looks([""] * 36)
    assert len({(look.colour, look.marker, str(look.dashes)) for look in more}) == 36
    # 2:1 on white is what the lightest, sky blue and amber, have; each carries a marker besides
    assert all(1.05 / (luminance(colour) + 0.05) > 2 for colour in COLOURS)


def test_edits_of_one_dimension_share_a_colour() -> None:
    one, two, three, alone = looks(["pose", "layout", "pose", ""])
    assert one.colour == three.colour
    assert one.dashes != three.dashes
    assert len({one.colour, two.colour, alone.colour}) == 3
    assert len({look.marker for look in (one, two, three, alone)}) == 4


def test_numbers_and_names() -> None:
    values = [None, 0.12345, -0.5, 27.384, 152.26, 65025.0]
    assert [number(v) for v in values] == ["–", "0.123", "−0.500", "27.38", "152.3", "65025"]
    assert metric_label("sess") == "SeSS"
    assert metric_label("mine") == "mine"


def test_the_users_settings_do_not_reach_the_figures_nor_ours_the_user() -> None:
    with matplotlib.rc_context({"font.size": 40, "axes.facecolor": "red"}):
        with defaults(PAPER):
            assert matplotlib.rcParams["font.size"] == 8
            assert matplotlib.rcParams["axes.facecolor"] == "white"
            assert matplotlib.rcParams["pdf.fonttype"] == 42
        assert matplotlib.rcParams["font.size"] == 40


def test_wide_rates_are_logarithmic(tmp_path: Path) -> None:
    wide = horizontal(read_lab_run(fake.compression(tmp_path / "a")))
    assert wide.log
    assert wide.label == "rate (bits per pixel)"
    systems = [{"name": "jpeg", "label": "JPEG", "levels": (0.5, 1.0, 2.0)}]
    narrow = fake.write_run(tmp_path / "b", "compression", systems, lambda s, m, level: 0.3)
    assert not horizontal(read_lab_run(narrow)).log
    assert not horizontal(read_lab_run(fake.channel(tmp_path / "c"))).log


def test_strengths_of_different_units_become_shares(tmp_path: Path) -> None:
    mixed = horizontal(read_lab_run(fake.transform(tmp_path / "a")))
    assert mixed.largest == (0.3, 90, 1, 0.25, 0.85)
    assert mixed.names[1] == "rotation (to 90°)"
    assert "share" in mixed.label
    equal = horizontal(read_lab_run(fake.edits(tmp_path / "b")))
    assert set(equal.largest) == {1.0}
    assert equal.label == "strength"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, figures.Drawn]:
    run = read_lab_run(fake.channel(tmp_path_factory.mktemp("run") / "a", metrics=("psnr", "sess")))
    return {one.name: one for one in drawn_figures(run)}


def test_a_figure_a_metric_and_an_overview(drawn: dict[str, figures.Drawn]) -> None:
    assert list(drawn) == ["overview", "failed", "metric-psnr", "metric-sess", "beside-sess"]
    assert [name for name, one in drawn.items() if one.paged] == ["failed", "metric-psnr", "metric-sess"]  # curves once
    assert "PSNR (dB) ↑ against SNR (dB)" in drawn["metric-psnr"].caption
    assert "hollow" in drawn["metric-psnr"].caption


@pytest.mark.parametrize(("name", "inches"), [("overview", PAGE_INCHES), ("metric-sess", COLUMN_INCHES)])
def test_figures_have_a_papers_width_and_resolution(drawn: dict[str, figures.Drawn], name: str, inches: float) -> None:
    image = Image.open(io.BytesIO(drawn[name].files["png"]))
    assert image.width == round(inches * DPI)
    assert image.info["dpi"] == pytest.approx((DPI, DPI), abs=0.1)  # PNG counts dots a metre, in whole numbers
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+)", drawn[name].files["pdf"])
    assert box is not None
    assert float(box[1]) == pytest.approx(72 * inches)


def test_pdfs_hold_truetype_fonts_and_no_date(drawn: dict[str, figures.Drawn]) -> None:
    for one in drawn.values():
        assert b"/Type3" not in one.files["pdf"]
        assert b"/CIDFontType2" in one.files["pdf"] or b"/TrueType" in one.files["pdf"]
        assert b"CreationDate" not in one.files["pdf"]
        assert b"<dc:date>" not in one.files["svg"]
        assert b"<text" not in one.files["svg"]  # letters are shapes, so that no font is missing


@pytest.mark.parametrize("systems", [1, 2, 12])
def test_everything_is_legible_and_inside(tmp_path: Path, systems: int) -> None:
    listed = [
        {"name": f"s{i}", "label": f"_a system with $ma^{{th}}$ & a long name, {i}", "levels": fake.RATES}
        for i in range(systems)
    ]
    folder = fake.write_run(tmp_path / "run", "compression", listed, lambda s, m, level: 0.3, metrics=("psnr", "sess"))
    run = read_lab_run(folder)
    axis = horizontal(run)
    with defaults(PAPER):
        for figure in (figures._metric(run, 0, axis), figures._overview(run, [0, 1], axis, False)):
            figure.draw_without_rendering()
            width, height = figure.get_size_inches() * figure.dpi
            shown = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text() and t.get_visible()]
            labels = [t.get_text() for t in figure.legends[0].get_texts()]
            assert len(set(labels)) == systems
            assert all(label.startswith("_a") for label in labels)
            assert min(text.get_fontsize() for text in shown) >= 7
            for part in (*figure.axes, *figure.legends, *figure.legends[0].get_texts()):
                box = part.get_tightbbox()
                assert box is not None
                # a pixel: boxes are rounded outwards
                assert min(box.x0, box.y0) >= -1
                assert box.x1 <= width + 1
                assert box.y1 <= height + 1
            (legend,) = figure.legends
            own = legend.get_window_extent()
            for axes in figure.axes:
                assert not own.overlaps(axes.get_tightbbox())
            for axes in figure.axes:
                assert axes.get_window_extent().height > 0.7 * figure.dpi  # inches left for the curves


def test_the_failed_point_is_hollow_and_bands_surround_means(tmp_path: Path) -> None:
    run = read_lab_run(fake.channel(tmp_path / "run", metrics=("sess",)))
    with defaults(PAPER):
        figure = figures._metric(run, 0, horizontal(run))
    (axes,) = figure.axes
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert [list(np.asarray(line.get_xdata())) for line in hollow] == [[-2, 1, 4, 7]]
    assert len(axes.collections) == 2  # a band a system


def test_one_image_has_no_band_and_one_level_no_line(tmp_path: Path) -> None:
    run = read_lab_run(fake.levels(tmp_path / "a", images=("a.png",), metrics=("sess",)))
    with defaults(PAPER):
        (axes,) = figures._metric(run, 0, horizontal(run)).axes
        assert not any(band.get_paths() for band in axes.collections)
        systems = [{"name": "x", "label": "x", "levels": (1.0,)}]
        single = fake.write_run(tmp_path / "b", "levels", systems, lambda s, m, level: 0.5, metrics=("sess",))
        run = read_lab_run(single)
        (axes,) = figures._metric(run, 0, horizontal(run)).axes
        assert len(axes.collections) == 0
        interval, point = axes.lines
        assert len(interval.get_xdata()) == 2  # type: ignore[arg-type]
        assert len(point.get_xdata()) == 1  # type: ignore[arg-type]


def test_transformations_stand_in_panels_of_their_own_units(tmp_path: Path) -> None:
    run = read_lab_run(fake.transform(tmp_path / "run", metrics=("psnr", "lpips", "sess")))
    with defaults(PAPER):
        figure = figures._transformations(run, [0, 1, 2])
    shown = [axes for axes in figure.axes if axes.get_visible() and axes.get_title()]
    assert [axes.get_title() for axes in shown] == [one.label for one in run.systems]
    assert [axes.get_xlabel() for axes in shown][:2] == ["% of the width, to the left", "degrees, counter-clockwise"]
    translation, rotation = (np.asarray(axes.lines[-1].get_xdata()) for axes in shown[:2])
    assert list(translation) == pytest.approx([2, 4, 6, 10, 15, 20, 30])
    assert list(rotation) == [2, 4, 8, 15, 30, 45, 90]
    lpips, sess = shown[0].lines  # PSNR has the axis at the right
    worse = [float(np.asarray(line.get_ydata())[-1]) < float(np.asarray(line.get_ydata())[0]) for line in (lpips, sess)]
    assert worse == [True, True]  # a distance is turned, so that higher is better


def test_sess_stands_beside_each_metric(tmp_path: Path) -> None:
    run = read_lab_run(fake.compression(tmp_path / "run", metrics=("psnr", "lpips", "sess")))
    with defaults(PAPER):
        figure = figures._beside(run, 2, [0, 1], horizontal(run))
    left = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in left] == ["SeSS, and PSNR (dB) ↑ (dashed)", "SeSS, and LPIPS ↓ (dashed)"]
    assert all(len(axes.lines) == 4 for axes in figure.axes)  # a line a system on either axis
    turned = [axes.yaxis_inverted() for axes in figure.axes if not axes.get_title()]
    assert turned == [False, True]
