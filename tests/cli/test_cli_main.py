from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import semetric
import semetric.errors
from semetric.cli import main
from semetric.errors import (
    ImageError,
    MissingExtraError,
    SemetricError,
    StoreError,
    UsageError,
    WeightsCorruptError,
    WeightsMissingError,
)

SOURCES = str(Path(semetric.errors.__file__).parents[1])
HEAVY = ("torch", "numpy", "numba", "scipy", "matplotlib", "onnx", "PIL", "transformers", "huggingface_hub")


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_imports_nothing_heavy() -> None:
    ended = python(
        "import sys\nfrom semetric.cli import main\ncode = main(['--help'])\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], code)"
    )
    assert ended.stdout.splitlines()[-1] == "[] 0", ended.stdout + ended.stderr
    assert "Usage: semetric" in ended.stdout


@pytest.mark.parametrize("verb", ["score", "graph", "metrics", "models", "cache"])
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert f"semetric {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv",
    [["nonsense"], ["score"], ["score", "a.png"], ["score", "a", "b", "--nonsense"], ["models"], []],
    ids=lambda argv: " ".join(argv) or "nothing",
)
def test_usage_errors_are_2_and_say_nothing_on_stdout_but_help(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    said = capsys.readouterr()
    assert "Usage: semetric" in said.err + said.out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SemetricError, 1),
        (StoreError, 1),
        (UsageError, 2),
        (MissingExtraError, 2),
        (ImageError, 3),
        (WeightsMissingError, 4),
        (WeightsCorruptError, 4),
        (KeyboardInterrupt, 5),
    ],
)
def test_errors_become_a_message_on_stderr_and_a_code(
    error: type[BaseException], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("Expected this, found that.")

    monkeypatch.setattr("semetric.cache.Store.info", fail)
    assert main(["cache", "info"]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("semetric: ")
    assert len(said.err.splitlines()) == 1
    if code != 5:
        assert "Expected this, found that." in said.err


def test_errors_that_are_nobodys_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("semetric.cache.Store.info", fail)
    with pytest.raises(ZeroDivisionError):
        main(["cache", "info"])


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"semetric {semetric.__version__}\n"


def test_the_package_runs_as_a_module_with_the_same_exit_codes() -> None:
    done = subprocess.run([sys.executable, "-m", "semetric", "graph", "."], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert done.stderr.startswith("semetric: Expected --out")


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_ctrl_c_is_5() -> None:
    code = (
        "import os, signal, sys\nfrom semetric.cache import Store\n"
        "Store.info = lambda self: os.kill(os.getpid(), signal.SIGINT)\n"
        "from semetric.cli import main\nsys.exit(main(['cache', 'info']))"
    )
    ended = python(code)
    assert (ended.returncode, ended.stdout) == (5, "")
    assert ended.stderr == "semetric: interrupted; what was finished is kept.\n"


def test_the_log_goes_to_stderr(tmp_path: Path) -> None:
    (tmp_path / "products" / "ab").mkdir(parents=True)
    code = (
        "import logging, sys\nfrom semetric.cli import main\n"
        "main(['cache', 'info', '--json'])\nlogging.getLogger('semetric.x').info('a word')"
    )
    ended = python(code)
    assert json.loads(ended.stdout)["entries"] >= 0
    assert ended.stderr.splitlines() == ["semetric: a word"]
