from __future__ import annotations

from pathlib import Path

import pytest

from semetric.errors import StoreError, UsageError
from semetric.report.drawing import new_figure
from semetric.report.output import check_output, write


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.png.txt"])
def test_another_suffix_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"\.png, \.pdf or \.svg; found"):
        check_output(tmp_path / name)


def test_a_missing_folder_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such folder"):
        check_output(tmp_path / "none" / "a.png")
    (tmp_path / "a.png").mkdir()
    with pytest.raises(StoreError, match="that is a folder"):
        check_output(tmp_path / "a.png")


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.PDF", b"%PDF"), ("a.svg", b"<?xml")])
def test_the_suffix_names_the_format(tmp_path: Path, name: str, start: bytes) -> None:
    write(lambda: new_figure(2, 1), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "a.png"
    out.write_text("old")

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(StoreError, match="the disk is full"):
        write(lambda: new_figure(2, 1), out)
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]
