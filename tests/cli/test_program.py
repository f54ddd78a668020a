"""The program before and after the command line: Ctrl-C at any moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import semetric.errors

SOURCES = str(Path(semetric.errors.__file__).parents[1])
SWALLOWS = "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept BaseException:\n    pass\n"
BREAKS = (
    "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n"
    "except BaseException as error:\n    raise ImportError('initialization failed') from error\n"
)


def program(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {SOURCES!r})\n{code}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize("library", [SWALLOWS, BREAKS], ids=["swallowed", "another error"])
def test_ctrl_c_during_an_import_is_5_whatever_the_library_makes_of_it(tmp_path: Path, library: str) -> None:
    (tmp_path / "typer.py").write_text(library, encoding="utf-8")
    ended = program(
        f"sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['semetric', 'cache', 'info']\n"
        "from semetric.__main__ import main\nsys.exit(main())"
    )
    assert (ended.returncode, ended.stdout) == (5, "")
    assert ended.stderr == "semetric: interrupted; what was finished is kept.\n"


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_ctrl_c_after_the_work_changes_nothing() -> None:
    ended = program(
        "import os, signal; sys.argv = ['semetric', '--version']\n"
        "from semetric.__main__ import main\ncode = main()\nos.kill(os.getpid(), signal.SIGINT)\nsys.exit(7)"
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_nothing_is_imported_before_ctrl_c_is_caught() -> None:
    ended = program("before = set(sys.modules)\nimport semetric.__main__\nprint(sorted(set(sys.modules) - before))")
    assert ended.stdout == "['__future__', 'semetric', 'semetric.__main__']\n", ended.stderr
