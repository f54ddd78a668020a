"""Model folders of the hub: fetched once, written down, held against that for ever after. No network: a fake hub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from semetric.cli import main
from semetric.errors import StoreError, UsageError, WeightsCorruptError, WeightsMissingError
from semetric.weights import FOLDERS, ModelFolder, expand, fetch, fetch_file, identity, locate, path, verify
from semetric.weights.fetching import clear, downloads
from semetric.weights.folders import MANIFEST, wanted

NAME = "clip_vit_b_32"
FIRST, SECOND = "1" * 40, "2" * 40


class FakeHub:
    """One repository whose main branch moves on."""

    def __init__(self) -> None:
        self.main = FIRST
        self.files: dict[str, bytes] = {
            "config.json": b'{"model_type": "clip"}',
            "preprocessor_config.json": b"{}",
            "tokenizer.json": b"{}",
            "model.safetensors": b"weights of the first commit",
            "pytorch_model.bin": b"the same as a pickle",
            "flax_model.msgpack": b"the same for others",
            "README.md": b"a card",
            "onnx/model.onnx": b"more",
        }
        self.stated: dict[str, str] = {}  # digests that the hub states, where they are not the true ones
        self.asked: list[str] = []
        self.taken: list[list[str]] = []
        self.offline = False
        self.broken = False

    def model_info(self, repo: str, *, revision: str, files_metadata: bool) -> Any:
        if self.offline:
            raise ConnectionError("no route to the hub")
        assert (repo, files_metadata) == (FOLDERS[NAME].repo, True)
        self.asked.append(revision)
        commit = self.main if revision == "main" else revision
        return SimpleNamespace(
            sha=commit,
            siblings=[
                SimpleNamespace(rfilename=name, size=len(data), lfs=self._lfs(name))
                for name, data in self.files.items()
            ],
        )

    def _lfs(self, name: str) -> Any:
        if not name.startswith("model"):
            return None
        return SimpleNamespace(sha256=self.stated.get(name, hashlib.sha256(self.files[name]).hexdigest()))

    def snapshot_download(self, repo: str, *, revision: str, allow_patterns: list[str], local_dir: Path) -> str:
        self.taken.append(allow_patterns)
        (local_dir / ".cache").mkdir(parents=True)
        for count, name in enumerate(allow_patterns):
            if self.broken and count == 2:
                raise TimeoutError("the line went dead")
            (local_dir / name).write_bytes(self.files[name])
        return str(local_dir)


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub()
    monkeypatch.setattr("huggingface_hub.model_info", fake.model_info)
    monkeypatch.setattr("huggingface_hub.snapshot_download", fake.snapshot_download)
    return fake


def leftovers(cache: Path) -> list[str]:
    return [file.name for file in cache.iterdir() if file.name.startswith(".fetch")]


def manifest(place: Path) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads((place / MANIFEST).read_text())
    return document


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["config.json", "model.safetensors", "pytorch_model.bin"], ["config.json", "model.safetensors"]),
        (["pytorch_model.bin", "tf_model.h5", "merges.txt"], ["merges.txt", "pytorch_model.bin"]),
        (
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"],
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        ),
        (["model.safetensors", "model-00001-of-00001.safetensors"], ["model.safetensors"]),
        (["open_clip_pytorch_model.bin", "model.safetensors.tmp", "../config.json", "a/config.json"], []),
    ],
)
def test_which_files_count(names: list[str], expected: list[str]) -> None:
    assert wanted(names) == tuple(expected)


def test_a_fetch_takes_the_model_alone_and_writes_down_what_came(hub: FakeHub, cache: Path) -> None:
    said: list[str] = []
    place = fetch(NAME, announce=said.append)
    assert place == cache / NAME == locate(NAME) == path(NAME)
    names = ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"]
    assert hub.taken == [names]
    assert sorted(f.name for f in place.iterdir()) == sorted([*names, MANIFEST])
    document = manifest(place)
    assert (document["repo"], document["commit"]) == (FOLDERS[NAME].repo, FIRST)
    for name in names:
        data = hub.files[name]
        assert document["files"][name] == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert said == ["Fetching openai/clip-vit-base-patch32 on the model hub, commit 11111111: 0.1 kB in 4 files."]
    assert leftovers(cache) == []


def test_the_identity_names_commit_and_digest_without_reading_the_weights(hub: FakeHub) -> None:
    place = fetch(NAME)
    lines = "".join(
        f"{hashlib.sha256((place / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json")
    )
    expected = f"{NAME}.11111111@{hashlib.sha256(lines.encode()).hexdigest()[:12]}"
    assert identity(NAME) == expected
    (place / "model.safetensors").unlink()
    assert identity(NAME) == expected


def test_main_is_resolved_once(hub: FakeHub) -> None:
    place = fetch(NAME)
    before = identity(NAME)
    hub.main = SECOND
    assert fetch(NAME) == place
    assert len(hub.taken) == 1
    (place / "config.json").write_text("altered")
    said: list[str] = []
    fetch(NAME, announce=said.append)
    assert hub.asked == ["main", FIRST]  # the same commit again, not what main is by now
    assert "config.json has 7 bytes instead of 22" in said[0]
    assert identity(NAME) == before
    assert verify(NAME) == place


@pytest.mark.parametrize("damage", ["altered", "truncated", "gone", "manifest", "emptied"])
def test_damage_is_named_and_mended(hub: FakeHub, cache: Path, damage: str) -> None:
    place = fetch(NAME)
    weights = place / "model.safetensors"
    if damage == "altered":
        weights.write_bytes(b"W" + weights.read_bytes()[1:])
    elif damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1])
    elif damage == "gone":
        weights.unlink()
    elif damage == "manifest":
        (place / MANIFEST).write_text("{")
    else:
        for file in place.iterdir():
            file.unlink()
    with pytest.raises(WeightsCorruptError, match=f"semetric models fetch {NAME}"):
        verify(NAME)
    fetch(NAME)
    assert verify(NAME) == place
    assert weights.read_bytes() == hub.files["model.safetensors"]
    assert leftovers(cache) == []


def test_a_manifest_cannot_point_elsewhere(hub: FakeHub, tmp_path: Path) -> None:
    place = fetch(NAME)
    (tmp_path / "secret").write_text("x")
    document = dict(manifest(place))
    document["files"] = {**document["files"], "../../../secret": {"bytes": 1, "sha256": "0" * 64}}
    (place / MANIFEST).write_text(json.dumps(document))
    with pytest.raises(WeightsCorruptError, match="names of a model's files"):
        locate(NAME)


def test_what_differs_from_the_hubs_own_digest_is_not_kept(hub: FakeHub, cache: Path) -> None:
    hub.stated["model.safetensors"] = "0" * 64
    with pytest.raises(WeightsCorruptError, match=r"model\.safetensors of openai/.* is something else"):
        fetch(NAME)
    assert not (cache / NAME).exists()
    assert leftovers(cache) == []


def test_a_repository_without_weights_is_not_kept(hub: FakeHub, cache: Path) -> None:
    for name in ("model.safetensors", "pytorch_model.bin"):
        del hub.files[name]
    with pytest.raises(WeightsCorruptError, match="commit 11111111; found no weights"):
        fetch(NAME)
    assert hub.taken == []
    assert not (cache / NAME).exists()


def test_offline_the_error_says_why_and_what_to_run(hub: FakeHub, cache: Path) -> None:
    hub.offline = True
    with pytest.raises(WeightsMissingError, match=rf"no route to the hub.*semetric models fetch {NAME}.*WEIGHTS_DIR"):
        fetch(NAME)
    hub.offline, hub.broken = False, True
    with pytest.raises(WeightsMissingError, match="the line went dead"):
        fetch(NAME)
    assert not (cache / NAME).exists()
    assert leftovers(cache) == []


def test_a_full_disk_is_a_store_error(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("huggingface_hub.snapshot_download", full)
    with pytest.raises(StoreError, match=f"Expected to write {NAME}.*No space left"):
        fetch(NAME)


@pytest.mark.usefixtures("hub")
def test_nothing_is_fetched_unasked() -> None:
    for look in (locate, verify, identity):
        with pytest.raises(WeightsMissingError, match=f"Run: semetric models fetch {NAME}"):
            look(NAME)
    with downloads(lambda text: None):
        assert identity(NAME).startswith(f"{NAME}.11111111@")
    assert locate(NAME).is_dir()


def own(tmp_path: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "own" / NAME
    place.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json", "README.md"):
        (place / name).write_bytes(hub.files[name])
    monkeypatch.setenv("SEMETRIC_WEIGHTS_DIR", str(place.parent))
    return place


def test_a_folder_of_ones_own_is_used_where_it_lies(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = identity_of_fetch(hub)
    place = own(tmp_path, hub, monkeypatch)
    assert locate(NAME) == fetch(NAME) == path(NAME) == place
    assert not (place / MANIFEST).exists()
    assert identity(NAME) == f"{NAME}@{fetched.partition('@')[2]}"  # the same files, from nobody knows where
    (place / "config.json").unlink()
    with pytest.raises(WeightsCorruptError, match=r"with config\.json"):
        fetch(NAME)
    assert len(hub.taken) == 1


def identity_of_fetch(hub: FakeHub) -> str:
    fetch(NAME)
    return identity(NAME)


def test_a_copied_fetch_keeps_its_name_and_is_never_overwritten(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = identity_of_fetch(hub)
    place = own(tmp_path, hub, monkeypatch)
    (place / MANIFEST).write_text((path_of_cache(tmp_path) / MANIFEST).read_text())
    assert identity(NAME) == expected
    (place / "tokenizer.json").write_text("[]")
    with pytest.raises(WeightsCorruptError, match="never overwritten"):
        fetch(NAME)
    assert (place / "tokenizer.json").read_text() == "[]"


def path_of_cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "weights" / NAME


def test_clear_removes_folders(hub: FakeHub, cache: Path) -> None:
    fetch(NAME)
    (cache / "notes.txt").write_text("mine")
    assert clear()[0] == 5
    assert not (cache / NAME).exists()
    assert (cache / "notes.txt").exists()


def test_names() -> None:
    assert expand([NAME, NAME, "vit_b_16"]) == (NAME, "vit_b_16")
    assert all(name in FOLDERS for name in ("clip_vit_b_16", "open_clip_vit_h_14", "dino_vit_b_16", "dinov2_base"))
    with pytest.raises(UsageError, match=r"clip_vit_b_32.*found 'clip'"):
        fetch("clip")
    with pytest.raises(UsageError, match="SEMETRIC_WEIGHTS_DIR"):
        fetch_file(NAME, "somewhere")


def test_parts_are_counted(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(b"half")
    with pytest.raises(WeightsCorruptError, match="Expected 2 parts"):
        ModelFolder.of(tmp_path, "half")


def test_the_command_line(hub: FakeHub, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "path", NAME]) == 4
    assert f"semetric models fetch {NAME}" in capsys.readouterr().err
    assert main(["models", "fetch", NAME]) == 0
    said = capsys.readouterr()
    assert said.out == f"{identity(NAME)}  {cache / NAME}\n"
    assert "commit 11111111" in said.err
    assert main(["models", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["folders"]}
    assert rows.keys() == FOLDERS.keys()
    assert [name for name, row in rows.items() if row["present"]] == [NAME]
    assert (rows[NAME]["commit"], rows[NAME]["identity"]) == (FIRST, identity(NAME))
    assert rows[NAME]["size_bytes"] == sum(len(hub.files[name]) for name in rows[NAME]["files"])
    assert main(["models", "list"]) == 0
    assert NAME in capsys.readouterr().out
    assert main(["models", "verify"]) == 0
    assert capsys.readouterr().out == f"good    {NAME}  {cache / NAME}\n"
    (cache / NAME / "tokenizer.json").write_text("[]")
    assert main(["models", "verify"]) == 4
    assert "corrupt" in capsys.readouterr().out
    (cache / NAME / MANIFEST).write_text("{")
    assert main(["models", "list"]) == 0


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, '{"commit": "a", "files": {"config.json": {"sha256": "a", "bytes": Infinity}}}', '{"commit": 1}'],
    ids=["nested", "infinite", "short"],
)
def test_a_hostile_manifest_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(WeightsCorruptError, match="commit and digests"):
        ModelFolder.of(tmp_path, "own")
