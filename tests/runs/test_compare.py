from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from semetric.errors import UsageError
from semetric.results import Row
from semetric.results.database import FILE, Database
from semetric.runs import compare, score_folders, score_pairs
from semetric.runs.compare import difference, row_keys

SCORES = st.floats(0, 100) | st.sampled_from([math.inf, math.nan])


@pytest.fixture
def two(folders: Path) -> tuple[Path, Path]:
    """Runs `a` (noise) and `b` (half the pixels black) on the same references."""
    for file in sorted((folders / "images").rglob("*.png")):
        worse = folders / "worse" / file.relative_to(folders / "images").with_suffix(".bmp")
        worse.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.array(Image.open(file))
        pixels[:10] = 0
        Image.fromarray(pixels).save(worse)
    for name, images in (("a", "images"), ("b", "worse")):
        score_folders(folders / "references", folders / images, folders / name, ["psnr", "mse"], store=None)
    return folders / "a", folders / "b"


def test_the_better_run_is_better_by_either_direction(two: tuple[Path, Path]) -> None:
    found = compare(*two)
    assert found.pairs == 7
    assert (found.only_a, found.only_b, found.repeated, found.notes) == ((), (), (), ())
    psnr, mse = found.differences["psnr"], found.differences["mse"]
    for one in (psnr, mse):
        assert (one.n, one.a_better, one.b_better, one.ties, one.left_out) == (7, 7, 0, 0, 0)
        assert one.p == pytest.approx(2 / 2**7, rel=1e-12)  # scipy's beta function
        assert one.share_a_better == 1.0
        assert one.mean is not None
        assert one.interval_95 is not None
        assert one.interval_95[0] < one.mean < one.interval_95[1]
        # the difference of means against the mean of differences: rounding of seven values up to 1e4
        assert (one.mean_a or 0) - (one.mean_b or 0) == pytest.approx(one.mean, abs=1e-9)
    assert (psnr.mean or 0) > 0 > (mse.mean or 0)
    assert compare(two[1], two[0]).differences["mse"].b_better == 7


def test_rows_of_one_run_are_reported(two: tuple[Path, Path], folders: Path) -> None:
    (folders / "worse" / "a" / "0.bmp").unlink()
    (folders / "images" / "b" / "1.png").unlink()
    for name, images in (("c", "images"), ("d", "worse")):
        score_folders(folders / "references", folders / images, folders / name, ["psnr"], store=None)
    found = compare(folders / "c", folders / "d")
    assert found.pairs == 5
    assert (found.only_a, found.only_b) == (("a/0 – a/0",), ("b/1 – b/1",))
    mixed = compare(two[0], folders / "d")
    assert mixed.metrics_only_a == ("mse",)
    assert list(mixed.differences) == ["psnr"]


def test_lists_are_compared_within_their_common_folder(folders: Path) -> None:
    shutil.copytree(folders / "images", folders / "systems" / "two")
    for name, images in (("a", "images"), ("b", "systems/two")):
        lines = [f"references/a/{i}.png,{images}/a/{j}.png" for i in (0, 2) for j in (4, 6)]
        again = [lines[0]] if name == "a" else []
        (folders / f"{name}.csv").write_text("\n".join(["reference,image", *lines, *again, ""]))
        score_pairs(folders / f"{name}.csv", folders / name, ["psnr"], store=None)
    found = compare(folders / "a", folders / "b")
    assert found.pairs == 3
    assert found.repeated == ("0 – 4",)
    assert found.only_b == ()  # said already
    assert found.differences["psnr"].ties == 3
    assert found.differences["psnr"].p is None


@pytest.mark.parametrize(
    ("images", "keys"),
    [
        (["s/a/1.png", "s/a/2.jpg"], ["1", "2"]),
        (["s/a/1.png", "s/b/1.png"], ["a/1", "b/1"]),
        (["1.png", "b/1.png"], ["1", "b/1"]),
        (["/x/1.png", "/y/1.png"], ["x/1", "y/1"]),
        (["../x/1.png", "../x/b/./1.png"], ["1", "b/1"]),
        (["/x/1.png", "x/1.png"], ["/x/1", "x/1"]),
    ],
)
def test_names_within_the_deepest_folder(images: list[str], keys: list[str]) -> None:
    rows = [Row(unit=i, scores=[], fields=["r.png", image]) for i, image in enumerate(images)]
    assert row_keys(rows, {"kind": "pairs", "source": {"pairs": "p.csv"}}) == [("r", name) for name in keys]


def test_runs_made_otherwise_are_refused_unless_forced(two: tuple[Path, Path], folders: Path) -> None:
    score_folders(
        folders / "references",
        folders / "images",
        folders / "c",
        ["psnr"],
        store=None,
        resize="reference",
        vit="vit_b_16",
    )
    with pytest.raises(UsageError, match=r"profile: lite and lite\+vit=vit_b_16; resize: none and reference.*--force"):
        compare(two[0], folders / "c")
    found = compare(two[0], folders / "c", force=True)
    assert len(found.notes) == 2
    assert found.differences["psnr"].ties == 7


def test_other_weights_are_refused(two: tuple[Path, Path]) -> None:
    with Database(two[1] / FILE) as database:
        record = database.document("record")
        record["metrics"]["psnr"]["weights"] = {"trunk": "net.1@abc"}
        database.put({"record": record})
    with pytest.raises(UsageError, match=r"psnr\.weights\.trunk: none and net\.1@abc"):
        compare(*two)


def test_what_is_no_finished_run_is_named(two: tuple[Path, Path], folders: Path) -> None:
    with pytest.raises(UsageError, match="images holds no run"):
        compare(two[0], folders / "images")
    with Database(two[1] / FILE) as database:
        database.put({"finished": None})
    with pytest.raises(UsageError, match="holds a run that is not"):
        compare(*two)


def test_nothing_in_common_is_a_usage_error(two: tuple[Path, Path], folders: Path) -> None:
    score_folders(folders / "references", folders / "images", folders / "c", ["ssim"], store=None)
    with pytest.raises(UsageError, match="a metric that both runs have"):
        compare(two[0], folders / "c")
    score_folders(folders / "references" / "a", folders / "images" / "a", folders / "d", ["psnr"], store=None)
    with pytest.raises(UsageError, match=r"begins with a/0 – a/0, .* with 0 – 0"):
        compare(two[0], folders / "d")


@settings(deadline=None)  # the first call imports
@given(st.lists(st.tuples(SCORES, SCORES), max_size=20), st.booleans())
def test_a_difference_counts_every_pair_once(pairs: list[tuple[float, float]], higher: bool) -> None:
    a, b = np.array([one for one, _ in pairs]), np.array([two for _, two in pairs])
    found = difference(a, b, higher_is_better=higher)
    scored = [(one, two) for one, two in pairs if not math.isnan(one) and not math.isnan(two)]
    assert found.n == len(scored) == found.a_better + found.b_better + found.ties
    assert found.a_better == sum(one > two if higher else one < two for one, two in scored)
    assert found.left_out == sum(math.isinf(one) or math.isinf(two) for one, two in scored)
    swapped = difference(b, a, higher_is_better=higher)
    assert (swapped.a_better, swapped.b_better, swapped.p) == (found.b_better, found.a_better, found.p)
    if found.mean is not None:
        assert swapped.mean == -found.mean
