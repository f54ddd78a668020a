"""Systems of one's own in every experiment: a command, a function, images made elsewhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_codec import plain
from fake_systems import make_images
from PIL import Image

from semetric.errors import UsageError
from semetric.lab.experiments import (
    Channel,
    Compression,
    Context,
    Deformation,
    Edits,
    Experiment,
    Levels,
    RunSettings,
    Transform,
    run_experiment,
)
from semetric.lab.experiments.images import find_images
from semetric.models.runtime import Runtime

SETTINGS = RunSettings(metrics=("mse",), device="cpu", examples=0)
FUNCTION = {"name": "own", "run": "fake_codec:plain", "levels": [3, 9]}
PROGRAM = """
import sys
from PIL import Image
source, target, level, extra = sys.argv[1:5]
image = Image.open(source)
image.point(lambda v: max(0, v - int(float(level)))).save(target)
open(extra, "w").write(str(image.width * image.height // 4) if extra.endswith("uses.txt") else "x" * 50)
"""


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    return make_images(tmp_path / "images", 2)


def sent(experiment: Experiment, images: Path | None, out: Path) -> list[dict[str, Any]]:
    return run_experiment(experiment, [] if images is None else [images], out, SETTINGS, cached=False).rows


def sweeps(experiment: Experiment, images: Path | None = None) -> Any:
    files = find_images([images]) if images else []
    return experiment.sweeps(Context(runtime=Runtime(device="cpu"), images=files))


@pytest.mark.parametrize(
    "experiment",
    [
        Compression(codecs=(), systems=({**FUNCTION, "level": "quality"},)),
        Channel(codecs=(), deepjscc=(), systems=(FUNCTION,)),
        Transform(transformations=(), systems=(FUNCTION,)),
        Deformation(deformations=(), noises=(), systems=(FUNCTION,)),
        Edits(edits=(), systems=(FUNCTION,)),
    ],
    ids=lambda experiment: experiment.kind,
)
def test_a_function_takes_part_in_every_experiment(experiment: Experiment, images: Path, tmp_path: Path) -> None:
    rows = sent(experiment, images, tmp_path / "out")
    assert [(row["system"], row["level"]) for row in rows] == [("own", 3.0), ("own", 9.0)] * 2
    assert all(row["error"] is None for row in rows)
    assert 0 < rows[0]["value"] <= 9.0  # three levels darker; a pixel below three less so
    again = type(experiment).from_dict(json.loads(json.dumps(experiment.to_dict())))
    assert again.to_dict() == experiment.to_dict()


def test_a_command_takes_part_and_runs_where_the_user_is(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    line = f"'{sys.executable}' own.py {{input}} {{output}} {{level}}"
    rows = sent(Transform(transformations=(), systems=({**FUNCTION, "run": line + " x"},)), images, tmp_path / "t")
    assert [row["error"] for row in rows] == [None] * 4
    experiment = Compression(codecs=(), rates_bpp=(0.5,), systems=(f"own={line} {{stream}}",))
    rows = sent(experiment, images, tmp_path / "c")
    assert [(row["level"], row["size_bytes"]) for row in rows] == [(0.5, 50)] * 2
    experiment = Channel(codecs=(), uses_per_pixel=0.25, snrs_db=(4.0,), systems=(f"own={line} {{uses}}",))
    rows = sent(experiment, images, tmp_path / "n")
    assert [(row["system"], row["uses_per_pixel"]) for row in rows][1] == ("own", 0.25)


def test_a_class_of_ones_own_is_a_system(images: Path, tmp_path: Path) -> None:
    own = {"name": "own", "run": "fake_systems:Grey", "levels": [1], "label": "Grey of mine"}
    rows = sent(Transform(transformations=(), systems=(own,)), images, tmp_path / "out")
    assert [(row["system"], row["error"]) for row in rows] == [("own", None)] * 2
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["systems"][0]["label"] == "Grey of mine"


def test_a_file_names_a_function(images: Path, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("LEAST = 0\n")
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nfrom beside import LEAST\n"
        "def darker(pixels, level, rng):\n    return np.maximum(pixels.astype(int) - 5, LEAST).astype('uint8')\n"
    )
    experiment = Transform(transformations=(), systems=({**FUNCTION, "run": f"{tmp_path / 'mine.py'}:darker"},))
    assert [row["error"] for row in sent(experiment, images, tmp_path / "out")] == [None] * 4


def test_a_function_itself_is_recorded_by_its_name(images: Path, tmp_path: Path) -> None:
    experiment = Transform(transformations=(), systems=({**FUNCTION, "run": plain},))
    sent(experiment, images, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "run.json").read_text())["config"]
    assert config["systems"][0]["run"] == "fake_codec:plain"


def test_a_joint_code_stands_beside_deepjscc_at_equal_channel_uses(images: Path, tmp_path: Path) -> None:
    own = {"codec": "external", "run": "fake_codec:scaled"}
    experiment = Channel(codecs=("own",), codec_options={"own": own}, snrs_db=(0.0, 20.0), deepjscc=("plain",))
    rows = sent(experiment, images, tmp_path / "out")
    assert {row["system"] for row in rows} == {"deepjscc", "own"}
    noisy, clean = (row["value"] for row in rows if row["system"] == "own" and row["image"] == "1.png")
    assert noisy > clean  # the level that it is called with is the SNR
    assert {row["uses_per_pixel"] for row in rows if row["system"] == "own"} == {0.25}


def test_channel_uses_are_held_against_the_others(images: Path, tmp_path: Path) -> None:
    own = {"name": "own", "run": "fake_codec:scaled"}
    many = Channel(codecs=(), uses_per_pixel=0.1, deepjscc=(), snrs_db=(0.0,), systems=(own,))
    errors = {row["error"] for row in sent(many, images, tmp_path / "many")}
    assert errors == {
        "own takes 0.25 channel uses per pixel, where the others may take 0.1. Let it take fewer, or give all of them "
        "as many (--uses-per-pixel 0.25)."
    }
    few = Channel(codecs=(), uses_per_pixel=0.5, deepjscc=(), snrs_db=(0.0,), systems=(own,))
    assert {row["note"] for row in sent(few, images, tmp_path / "few")} == {"takes 0.25 of 0.5 channel uses per pixel"}
    alone = Channel(codecs=(), deepjscc=(), snrs_db=(0.0,), systems=(own,))
    assert {row["note"] for row in sent(alone, images, tmp_path / "alone")} == {""}
    silent = Channel(codecs=(), uses_per_pixel=0.5, deepjscc=(), snrs_db=(0.0,), systems=(FUNCTION,))
    with pytest.raises(UsageError, match="Expected the channel uses of own, to hold them against the others'"):
        sent(silent, images, tmp_path / "silent")
    stated = Channel(codecs=(), uses_per_pixel=0.5, deepjscc=(), systems=({**FUNCTION, "uses_per_pixel": 0.5},))
    assert {row["uses_per_pixel"] for row in sent(stated, images, tmp_path / "stated")} == {0.5}


def test_a_codec_at_its_qualities(images: Path) -> None:
    options = {"jpeg": {"level": "quality", "levels": [10, 50]}, "webp": {"level": "quality"}}
    made = sweeps(Compression(codecs=("jpeg", "webp"), codec_options=options))
    assert [len(sweep.levels) for sweep in made] == [2, 6]
    assert made[0].system.to_dict()["level"] == "quality"
    received = made[0].system.send(np.zeros((32, 32, 3), np.uint8), 10.0, np.random.default_rng(0))
    assert received.details["quality"] == 10.0


RUN = {"name": "own", "run": "fake_codec:plain"}


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        (Compression(systems=("nothing",)), "a system as a table, as 'NAME=COMMAND'.*found 'nothing'"),
        (Compression(systems=({"run": "fake_codec:plain"},)), "a system with a name"),
        (Compression(systems=({"name": "own"},)), "own to have one of run, .*found none of them"),
        (Compression(systems=({**RUN, "folders": ["a"]},)), "found run and folders"),
        (Compression(systems=({**RUN, "nothing": 1},)), "options of the system own among .*found 'nothing'"),
        (Compression(systems=({**RUN, "level": "snr"},)), "level of own to be rate or quality"),
        (Compression(systems=({**RUN, "level": "quality"},)), "Expected levels of the system own"),
        (Compression(systems=({**RUN, "level": "quality", "steps": [1, 2], "levels": [1]},)), "steps of own beside a"),
        (Compression(systems=({**RUN, "levels": [0]},)), "rates of own above 0"),
        (Compression(systems=({**RUN, "levels": "1"},)), "levels of own as a list of numbers"),
        (Compression(systems=({**RUN, "label": 1},)), "label of own to be text"),
        (Compression(codec_options={"jpeg": {"level": "quality", "levels": [500]}}), "from 1 .*found 500"),
        (Transform(systems=(RUN,)), "Expected levels of the system own"),
        (Transform(systems=({**RUN, "level": "rate"},)), "own in the unit of the experiment"),
        (Channel(systems=({"name": "own", "codec": "jpeg"},)), "a codec among codecs, which send over a link"),
        (Channel(systems=("own=enc {input} {output}",)), "its command line has no {uses}"),
        (Channel(systems=({**RUN, "uses_per_pixel": 0.5},)), "own takes 0.5 channel uses per pixel, where the others"),
        (Channel(uses_per_pixel=0.1), "DeepJSCC takes 0.25 channel uses per pixel, where the others may take 0.1"),
        (Compression(systems=({"name": "own", "folders": []},)), "folders of own, at least one"),
        (Compression(systems=({"name": "own", "folders": ["a"]},)), "Expected the rates of own, since the axis is a"),
        (Channel(systems=({"name": "own", "folders": ["a"]},)), "Expected uses_per_pixel of own"),
    ],
)
def test_what_does_not_fit_is_named_before_the_first_image(experiment: Experiment, message: str) -> None:
    if isinstance(experiment, Compression) and not experiment.codec_options:
        experiment = Compression(codecs=(), systems=experiment.systems)
    with pytest.raises(UsageError, match=message):
        sweeps(experiment)


# Images made elsewhere


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two originals; systems a and b at q5 and q20, with streams of 10 and 40 bytes, and a table of rates."""
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    lines = ["image,system,level,size_bytes"]
    for i in range(2):
        pixels = np.full((16, 16, 3), 90 + i, np.uint8)
        (tmp_path / "originals").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "originals" / f"{i}.png")
        for system in "ab":
            for level, size in ((5, 10), (20, 40)):
                for kind in (system, f"{system}_bits"):
                    (tmp_path / kind / f"q{level}").mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels - level).save(tmp_path / system / f"q{level}" / f"{i}.png")
                (tmp_path / f"{system}_bits" / f"q{level}" / f"{i}.bin").write_bytes(bytes(size))
                lines.append(f"{i}.png,{system},{level},{size + (system == 'b')}")
    (tmp_path / "rates.csv").write_text("\n".join(lines))
    return tmp_path


def folders(place: Path, system: str, *numbers: int) -> list[str]:
    return [str(place / system / f"q{number}") for number in numbers or (5, 20)]


def test_several_systems_made_elsewhere_stand_beside_a_codec_on_a_rate_axis(elsewhere: Path) -> None:
    systems = tuple({"name": name, "folders": folders(elsewhere, name)} for name in "ab")
    experiment = Levels(
        originals=str(elsewhere / "originals"),
        systems=systems,
        rates=str(elsewhere / "rates.csv"),
        codecs=("jpeg",),
        rates_bpp=(24.0,),
    )
    rows = sent(experiment, None, elsewhere / "out")
    rates = {(row["system"], row["level"]): row["rate_bpp"] for row in rows}
    assert rates.keys() == {("a", 5.0), ("a", 20.0), ("b", 5.0), ("b", 20.0), ("jpeg", 24.0)}
    assert [rates["a", 5.0], rates["b", 20.0]] == [8 * 10 / 256, 8 * 41 / 256]
    assert [row["value"] for row in rows if row["system"] == "b"] == [25.0, 400.0] * 2
    record = json.loads((elsewhere / "out" / "run.json").read_text())
    assert record["axis"] == {"name": "rate_bpp", "label": "rate", "unit": "bits per pixel"}


def test_streams_stand_beside_their_images_whatever_the_order(elsewhere: Path) -> None:
    own = {"name": "a", "folders": folders(elsewhere, "a", 20, 5), "rates": folders(elsewhere, "a_bits", 5, 20)}
    rows = sent(Levels(originals=str(elsewhere / "originals"), systems=(own,)), None, elsewhere / "out")
    assert {(row["level"], row["size_bytes"]) for row in rows} == {(5.0, 10), (20.0, 40)}


def test_files_may_be_the_streams(elsewhere: Path) -> None:
    own = {"name": "a", "folders": folders(elsewhere, "a"), "rates": "files"}
    row = sent(Levels(originals=str(elsewhere / "originals"), systems=(own,)), None, elsewhere / "out")[0]
    assert row["size_bytes"] == (elsewhere / "a" / "q5" / "0.png").stat().st_size


def test_images_made_elsewhere_take_part_in_compression(elsewhere: Path) -> None:
    own = {"name": "a", "folders": folders(elsewhere, "a"), "rates": str(elsewhere / "rates.csv")}
    experiment = Compression(codecs=("jpeg",), rates_bpp=(24.0,), systems=(own,))
    rows = sent(experiment, elsewhere / "originals", elsewhere / "out")
    assert [row["value"] for row in rows if row["system"] == "a"] == [25.0, 400.0] * 2


def test_a_rate_is_of_the_image_that_was_coded_also_where_it_is_shrunk(elsewhere: Path) -> None:
    Image.fromarray(np.full((64, 64, 3), 9, np.uint8)).save(elsewhere / "originals" / "0.png")
    own = {"name": "a", "folders": folders(elsewhere, "a"), "rates": str(elsewhere / "rates.csv")}
    experiment = Levels(originals=str(elsewhere / "originals"), systems=(own,))
    settings = RunSettings(metrics=("mse",), device="cpu", examples=0, resize_longest=32)
    rows = run_experiment(experiment, [], elsewhere / "out", settings, cached=False).rows
    assert rows[0]["rate_bpp"] == 8 * 10 / 64**2


def test_rates_in_bits_per_pixel_are_taken_as_they_are(elsewhere: Path) -> None:
    (elsewhere / "bpp.csv").write_text("image,level,bpp\n0,5,0.0151\n1,5,0.02\n0,20,0.3\n1,20,0.4\n")
    own = {"name": "a", "folders": folders(elsewhere, "a"), "rates": str(elsewhere / "bpp.csv")}
    rows = sent(Levels(originals=str(elsewhere / "originals"), systems=(own,)), None, elsewhere / "out")
    assert [(row["rate_bpp"], row["size_bytes"]) for row in rows] == [
        (0.0151, None),
        (0.3, None),
        (0.02, None),
        (0.4, None),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,level,size_bytes\n0.png,5,10\n", "rate of every image of a in .*none of 1.png at level 5 and 2 more"),
        ("image,size_bytes\n0.png,10\n", "a column level in .*since a has 2 levels"),
        ("picture,bytes\n0.png,10\n", "the columns image, .*lacks image"),
        ("image,kilobytes\n0.png,10\n", "the columns image and size_bytes or rate_bpp"),
        ("image;level;bpp\n0.png;5;0,1\n", "rate of every image of a in .*none of 1.png at level 5 and 2 more"),
        ("image,level,bytes\n0.png,5,many\n", "numbers in line 2"),
        ("image,level,bpp\n0.png,5,-1\n", "numbers in line 2"),
        ("", "begins with nothing"),
    ],
)
def test_tables_of_rates_that_do_not_fit(elsewhere: Path, text: str, message: str) -> None:
    (elsewhere / "rates.csv").write_text(text)
    own = {"name": "a", "folders": folders(elsewhere, "a"), "rates": str(elsewhere / "rates.csv")}
    with pytest.raises(UsageError, match=message):
        sent(Levels(originals=str(elsewhere / "originals"), systems=(own,)), None, elsewhere / "out")


def test_a_run_is_not_mixed_with_other_rates(elsewhere: Path) -> None:
    own = {"name": "a", "folders": folders(elsewhere, "a"), "rates": str(elsewhere / "rates.csv")}
    experiment = Levels(originals=str(elsewhere / "originals"), systems=(own,))
    sent(experiment, None, elsewhere / "out")
    (elsewhere / "rates.csv").write_text((elsewhere / "rates.csv").read_text().replace("a,5,10", "a,5,11"))
    with pytest.raises(UsageError, match="differs from this one in systems"):
        sent(experiment, None, elsewhere / "out")


def test_originals_that_share_a_name_are_refused(elsewhere: Path) -> None:
    (elsewhere / "more").mkdir()
    Image.new("RGB", (16, 16)).save(elsewhere / "more" / "0.png")
    own = {"name": "a", "folders": folders(elsewhere, "a"), "rates": "files"}
    inputs = [elsewhere / "originals", elsewhere / "more"]
    with pytest.raises(UsageError, match="originals with names of their own"):
        run_experiment(Compression(codecs=(), systems=(own,)), inputs, elsewhere / "out", SETTINGS, cached=False)
