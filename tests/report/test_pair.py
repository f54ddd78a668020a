from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_graphs import discs, photo, quarrel, sess_score
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from PIL import Image

from semetric.errors import SizeMismatchError, UsageError
from semetric.metrics.base import Score
from semetric.report import save_plot
from semetric.report.account import LEAST_NUMBERED, MOST_ALONE, MOST_NUMBERED, account_of
from semetric.report.pair import MOST_RELATIONS, pair_figure, panel_sizes
from semetric.report.palette import UNMATCHED
from semetric.scoring import Scores

PSNR = Score(metric="psnr", value=math.inf, higher_is_better=True, range=(0.0, None))
Make = Callable[..., Scores]


def panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.images]


def outlines(axes: Axes, kind: str) -> dict[str, str]:
    """Name → colour of the object outlines of that kind."""
    found = [c for c in axes.collections if isinstance(c, ContourSet) and str(c.get_gid()).startswith(kind)]
    return {str(c.get_gid()): to_hex(c.get_edgecolor()[0]) for c in found}


def numbers(axes: Axes) -> dict[str, str]:
    """Number → colour of its disc."""
    labels = [t for t in axes.texts if str(t.get_gid()).startswith("number")]
    return {t.get_text(): to_hex(t.get_bbox_patch().get_facecolor()) for t in labels}


def texts(figure: Figure) -> str:
    return "\n".join(t.get_text() for axes in figure.axes for t in axes.texts)


def test_matched_objects_share_a_colour_and_keep_their_numbers(scored: Make) -> None:
    one, two = discs(5, (120, 160)), discs(8, (90, 150), seed=1)
    two = replace(two, features=two.features[::-1].copy())  # 1 ↔ 8, 2 ↔ 7 …
    two.features[3:] = one.features[::-1]
    score = sess_score(one, two)
    figure = pair_figure(scored(score), photo((120, 160)), photo((90, 150)))
    left, right = panels(figure)
    pairs = account_of(score).counterparts.tolist()
    assert sorted(pairs) == [[i, 7 - i] for i in range(5)]
    for i, j in pairs:
        assert numbers(left)[str(i + 1)] == numbers(right)[str(j + 1)] != UNMATCHED.lower()
        assert outlines(left, "match")[f"match {i + 1}"] == numbers(left)[str(i + 1)]
    assert len(set(numbers(left).values())) == len(numbers(left)) == 5
    assert set(outlines(right, "unmatched")) == {"unmatched 1", "unmatched 2", "unmatched 3"}
    assert numbers(right)["1"] == UNMATCHED.lower()
    assert outlines(left, "unmatched") == {}
    assert "↔" in texts(figure)


def test_an_object_that_is_left_over_stays_grey(scored: Make) -> None:
    left, right = panels(pair_figure(scored(sess_score(*quarrel())), photo((120, 160)), photo((120, 160))))
    assert (numbers(left)["1"], numbers(right)["2"]) == (UNMATCHED.lower(), UNMATCHED.lower())
    assert numbers(left)["2"] == numbers(right)["1"] != UNMATCHED.lower()


def test_arrows_say_which_relations_both_images_have(scored: Make) -> None:
    one = replace(discs(4, (300, 400)), importance=np.full(4, 0.25))
    two = replace(one, triplets=one.triplets.copy())
    two.triplets[1, 2] = 50  # another predicate from 1 to 2
    figure = pair_figure(scored(sess_score(one, two)), photo((300, 400)), photo((300, 400)))
    for axes in panels(figure):
        arrows = {str(p.get_gid()): p.get_linestyle() for p in axes.patches if "relation" in str(p.get_gid())}
        assert [name for name, style in arrows.items() if style in ("-", "solid")] == ["relation 0 1", "relation 2 3"]
        assert [name for name, style in arrows.items() if style not in ("-", "solid")] == ["relation 1 2"]
    assert "relation that both images have" in texts(figure)
    assert "one that this image alone has" in texts(figure)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (1, 1), (60, 60), (2, 60)])
def test_any_number_of_objects(scored: Make, tmp_path: Path, n: int, m: int) -> None:
    one, two = discs(n, (120, 160)), discs(m, (200, 100), seed=1)
    scores = scored(sess_score(one, two), PSNR)
    out = tmp_path / "out.png"
    save_plot(scores, photo((240, 320)), photo((200, 100), grey=True), out)
    with Image.open(out) as drawn:
        assert np.asarray(drawn.convert("RGB")).std() > 10  # something is drawn; a blank page has 0
    left, right = panels(pair_figure(scores, photo((240, 320)), photo((200, 100))))
    for axes in (left, right):
        assert len(numbers(axes)) <= MOST_NUMBERED + MOST_ALONE
        assert sum("relation" in str(p.get_gid()) for p in axes.patches) <= MOST_RELATIONS


def test_only_matches_that_add_something_are_numbered(scored: Make) -> None:
    score = sess_score(discs(30, (120, 160)), discs(30, (120, 160)))
    account = account_of(score)
    figure = pair_figure(scored(score), photo((120, 160)), photo((120, 160)))
    assert len(numbers(panels(figure)[0])) == min((account.adds >= LEAST_NUMBERED).sum(), MOST_NUMBERED)
    assert "of 30 matches that add most" in texts(figure)


def test_labels_do_not_overlap(scored: Make) -> None:
    size = (300, 400)
    figure = pair_figure(scored(sess_score(discs(9, size), discs(9, size))), photo(size), photo(size))
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    for axes in panels(figure):
        boxes = [t.get_bbox_patch().get_window_extent(renderer) for t in axes.texts]
        # discs may touch; a shared strip of a fifth of a disc (24 px at 100 dots an inch) would be seen
        clashes = [
            (i, j)
            for i in range(len(boxes))
            for j in range(i)
            if boxes[i].overlaps(boxes[j]) and min(boxes[i].intersection(boxes[i], boxes[j]).size) > 5
        ]
        assert clashes == []


def test_without_sess_the_images_and_bars_stand_alone(scored: Make, tmp_path: Path) -> None:
    scores = scored(PSNR, errors={"ssim": SizeMismatchError("…")})
    figure = pair_figure(scores, photo((50, 60)), photo((70, 40)))
    words = texts(figure)
    assert [numbers(axes) for axes in panels(figure)] == [{}, {}]
    assert "∞ dB" in words
    assert "drawn against 50 dB" in words
    assert "Not scored: ssim (sizes differ or are too small)." in words
    save_plot(scores, photo((1, 1)), photo((1, 500)), tmp_path / "tiny.png")
    with Image.open(tmp_path / "tiny.png") as drawn:
        assert drawn.width > 1000  # px; a page of at least 11 inches


def test_the_bar_is_as_full_as_the_score(scored: Make) -> None:
    score = Score(metric="lpips", value=0.25, higher_is_better=False, range=(0.0, None))
    figure = pair_figure(scored(score), photo((50, 60)), photo((50, 60)))
    patches = [p for axes in figure.axes for p in axes.patches]
    (filled,) = [p for p in patches if p.get_gid() == "bar lpips"]
    (empty,) = [p for p in patches if p.get_gid() is None]
    assert filled.get_width() / empty.get_width() == pytest.approx(0.75)


def test_names_are_never_read_as_mathematics(scored: Make, tmp_path: Path) -> None:
    odd = photo((50, 60), name="folder/a$b_{c$ 日本\n.png")
    save_plot(scored(PSNR), odd, odd, tmp_path / "odd.svg")
    assert "a$b_{c$ □□□.png" in texts(pair_figure(scored(PSNR), odd, odd))


def test_a_wrong_suffix_is_refused_before_drawing(scored: Make, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"out\.jpeg"):
        save_plot(scored(PSNR), photo((5, 5)), photo((5, 5)), tmp_path / "out.jpeg")


def test_an_image_is_not_replaced_by_its_plot(scored: Make, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.new("RGB", (5, 5)).save(file)
    before = file.read_bytes()
    own = photo((5, 5), name=str(file))
    for pair in ((own, photo((5, 5))), (photo((5, 5)), own)):
        with pytest.raises(UsageError, match="to a file of its own"):
            save_plot(scored(PSNR), *pair, file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("sizes", [[(100, 100), (50, 50)], [(371, 512), (800, 300)], [(10, 4000), (4000, 10)]])
def test_panels_fit_the_page(sizes: list[tuple[int, int]]) -> None:
    for width, height in panel_sizes(sizes):
        assert 1.5 < width <= 12.3
        assert 1.5 < height <= 6.2
    ordinary = [w / h for (w, h), (ph, pw) in zip(panel_sizes(sizes), sizes, strict=True) if 0.5 < pw / ph < 2]
    assert ordinary == pytest.approx([pw / ph for ph, pw in sizes if 0.5 < pw / ph < 2])


def test_drawing_leaves_pyplot_alone() -> None:
    import subprocess
    import sys

    code = "import sys, semetric.report; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_outline_is_as_opaque_as_the_object_counts(scored: Make) -> None:
    size = (300, 400)
    one = replace(discs(3, size), settings={"importance": "graded"}, iou=np.array([1.0, 0.875, 0.8], np.float32))
    figure = pair_figure(scored(sess_score(one, one)), photo(size), photo(size))
    lines = {str(c.get_gid()): c for c in panels(figure)[0].collections if isinstance(c, ContourSet)}
    opacity = [lines[f"match {i}"].get_edgecolor()[0, 3] for i in (1, 2, 3)]
    assert opacity == pytest.approx([1.0, 0.625, 0.25])  # a quarter, and three quarters by memberships of 1, 0.5, 0


def test_an_object_carries_its_name_where_the_classifier_is_sure(scored: Make) -> None:
    size = (300, 400)
    one = replace(
        discs(3, size),
        areas=np.full(3, 0.2),
        classes=np.array([504, 967, -1]),
        class_probabilities=np.array([0.999, 0.4, 0.0], np.float32),
    )
    assert one.names == ("coffee mug", None, None)
    figure = pair_figure(scored(sess_score(one, one)), photo(size), photo(size))
    assert "coffee mug .99" in texts(figure)
    assert "espresso" not in texts(figure)
