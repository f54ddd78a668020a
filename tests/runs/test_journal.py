from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from semetric.errors import StoreError
from semetric.runs import journal
from semetric.runs.files import write_whole
from semetric.runs.journal import Journal
from semetric.runs.pairing import Pair, Pairing
from semetric.runs.rows import Layout, Row


def layout(metric: str = "psnr") -> Layout:
    pairs = tuple(Pair(reference=f"{i}", image=f"{i}", reference_path="", image_path="") for i in range(6))
    return Layout(pairing=Pairing(pairs=pairs, source={}), metrics=(metric,))


def row(index: int) -> Row:
    return Row(index=index, values={"psnr": index / 3})


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_rows_come_back_and_go_on(tmp_path: Path) -> None:
    one = Journal(tmp_path / "parts", layout())
    assert one.done == frozenset()
    one.add([row(4), row(1)])
    assert parts(tmp_path / "parts") == []  # neither rows nor seconds enough
    one.flush()
    one.flush()
    two = Journal(tmp_path / "parts", layout())
    assert two.done == {1, 4}
    two.add([row(i) for i in (0, 2, 3, 5)])
    two.flush()
    assert parts(tmp_path / "parts") == ["part-000001.parquet", "part-000002.parquet"]
    assert two.merged()["psnr"].to_pylist() == [i / 3 for i in range(6)]
    two.remove()
    assert not (tmp_path / "parts").exists()


def test_parts_are_written_when_rows_or_seconds_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "PART_ROWS", 2)
    one = Journal(tmp_path, layout())
    one.add([row(0)])
    assert parts(tmp_path) == []
    one.add([row(1)])
    assert parts(tmp_path) == ["part-000001.parquet"]
    monkeypatch.setattr(journal, "PART_SECONDS", 0.0)
    one.add([row(2)])
    assert parts(tmp_path) == ["part-000001.parquet", "part-000002.parquet"]


@pytest.mark.parametrize("damage", ["short", "empty", "other"])
def test_a_damaged_part_costs_its_own_rows(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = Journal(tmp_path, layout())
    for i in range(2):
        one.add([row(i)])
        one.flush()
    part = tmp_path / "part-000001.parquet"
    if damage == "other":
        other = Journal(tmp_path / "other", layout("ssim"))
        other.add([Row(index=0, values={"ssim": 1.0})])
        other.flush()
        os.replace(tmp_path / "other" / "part-000001.parquet", part)
    else:
        part.write_bytes(part.read_bytes()[:-9] if damage == "short" else b"")
    with caplog.at_level(logging.WARNING):
        two = Journal(tmp_path, layout())
    assert two.done == {1}
    assert "is damaged and was removed" in caplog.text
    assert not part.exists()
    two.add([row(0)])
    two.flush()
    assert Journal(tmp_path, layout()).done == {0, 1}


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".part-000001.parquet.tmp").write_bytes(b"half")
    Journal(tmp_path, layout())
    assert parts(tmp_path) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_keeps_what_was_finished(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Journal(tmp_path, layout())
    one.add([row(0)])
    one.flush()
    one.add([row(1)])
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full_disk)
        with pytest.raises(StoreError, match=r"part-000002\.parquet; the disk is full.*start the same command again"):
            one.flush()
    assert parts(tmp_path) == ["part-000001.parquet"]
    one.flush()  # nothing waits: a second error would hide the first
    assert Journal(tmp_path, layout()).done == {0}


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    def half(stream: BinaryIO) -> None:
        stream.write(b"new")
        raise KeyboardInterrupt

    file = tmp_path / "a"
    write_whole(file, lambda stream: stream.write(b"old"))
    with pytest.raises(KeyboardInterrupt):
        write_whole(file, half)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=r"Expected to write .*file"):
        Journal(tmp_path / "file" / "parts", layout())
