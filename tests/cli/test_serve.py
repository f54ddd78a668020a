from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from semetric.cli import main
from semetric.learn.judgements import JudgementStore

COMMAND = [sys.executable, "-c", "from semetric.cli import main; raise SystemExit(main())", "serve"]


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    path = tmp_path / "study.db"
    with JudgementStore(path, create=True) as store:
        store.create_study("s", "choice", tmp_path)
    return path


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the server was asked to serve; none is started."""
    from semetric.web import server

    asked: list[Any] = []
    monkeypatch.setattr(server, "serve", lambda settings, announce: asked.append(settings))
    return asked


def test_every_option_reaches_the_server(settings: list[Any]) -> None:
    argv = "serve --study s.db --host 0.0.0.0 --port 81 --public-url https://x.org --allow-host a --allow-host b"
    assert main([*argv.split(), "--profile", "standard", "--no-compare"]) == 0
    (found,) = settings
    assert (found.study, found.host, found.port, found.public_url) == (Path("s.db"), "0.0.0.0", 81, "https://x.org")
    assert (found.allowed_hosts, found.profile, found.compare) == (("a", "b"), "standard", False)


def test_by_default_only_this_machine_is_served(settings: list[Any]) -> None:
    assert main(["serve"]) == 0
    assert (settings[0].host, settings[0].study, settings[0].compare) == ("127.0.0.1", None, True)


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["--study", "absent.db"], 1, "there is no absent.db"),
        (["--no-compare"], 2, "found neither"),
        (["--port", "99999"], 2, "65535"),
        (["--public-url", "x.org"], 2, "https://example.org"),
        (["--profile", "nothing"], 2, "nothing"),
    ],
)
def test_what_cannot_be_served_is_said(
    argv: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *argv, *(() if "--port" in argv else ("--port", "0"))]) == code
    assert words in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(study_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--study", str(study_file), "--port", str(port)]) == 1
    assert f"port {port}" in capsys.readouterr().err


def test_without_starlette_the_extra_is_named(
    study_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", "--study", str(study_file)]) == 2
    assert "pip install 'semetric[serve]'" in capsys.readouterr().err


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_it_serves_until_ctrl_c(study_file: Path, host: str, warned: bool) -> None:
    argv = [*COMMAND, "--study", str(study_file), "--port", "0", "--host", host, "--no-compare"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env={**os.environ}) as process:
        said = []
        for line in process.stderr or ():
            said.append(line)
            if line.startswith("http"):
                break
        link = said[-1].strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/admin/enter/[\w.-]+", link)
        with urllib.request.urlopen(link.partition("/admin")[0] + "/", timeout=30) as page:
            assert "Open the link" in page.read().decode()
            assert page.headers["server"] is None
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=30)[1]
    assert process.returncode == 0
    assert "Traceback" not in rest
    assert ("other machines can reach" in "".join(said)) == warned
