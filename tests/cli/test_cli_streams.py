"""What becomes of the exit code and of the output where a stream is closed, full, without a reader or not in UTF-8."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a POSIX shell, and names that are bytes")

SEMETRIC = f"{sys.executable} -c 'import sys; from semetric.cli import main; sys.exit(main())'"
PSNR = "score a.png b.png --metric psnr"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with two images."""
    for name, value in (("a", 10), ("b", 30)):
        Image.new("RGB", (12, 12), (value,) * 3).save(tmp_path / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    return tmp_path


def shell(words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", words.replace("semetric ", f"{SEMETRIC} ")],
        env={**os.environ, **environment},
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("semetric score none.png b.png --metric psnr 2>&-", 3),
        ("semetric score none.png b.png --metric psnr 2>/dev/full", 3),
        (f"semetric {PSNR} >&-", 0),
        (f"semetric {PSNR} | true", 0),
        ("semetric metrics | true", 0),
    ],
)
def test_the_exit_code_is_the_command_s_own(words: str, code: int) -> None:
    ended = shell(words)
    assert (ended.returncode, ended.stderr) == (code, b"")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("words", [PSNR, f"{PSNR} --json", "metrics", "models list"])
def test_results_that_cannot_be_written_are_said(words: str) -> None:
    ended = shell(f"semetric {words} >/dev/full")
    assert ended.returncode == 1
    said = ended.stderr.decode()
    assert said.startswith("semetric: Expected to write the results; No space left on device.")
    assert len(said.splitlines()) == 1


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_stream_without_arrows_shows_them_in_ascii(encoding: str) -> None:
    ended = shell(f"semetric {PSNR}", PYTHONIOENCODING=encoding)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert "^ higher" in ended.stdout.decode("ascii")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_json_is_text_whatever_files_are_called(here: Path, encoding: str) -> None:
    try:
        (here / "b.png").rename(os.fsdecode(os.fsencode(here) + b"/\xff\xe2.png"))
    except OSError:
        pytest.skip("a file system of UTF-8 names alone")
    ended = shell("semetric score a.png $'\\xff\\xe2.png' --metric psnr --json", PYTHONIOENCODING=encoding)
    document = json.loads(ended.stdout.decode())
    assert document["image"] == "\\xff\\xe2.png"
    failed = shell("semetric score $'\\xff\\xe2.png' a.png --metric ms_ssim --json", PYTHONIOENCODING=encoding)
    assert "\\xff\\xe2.png" in json.loads(failed.stdout.decode())["errors"]["ms_ssim"]
