"""Kernels run wherever their machine code can, cannot or can no longer be kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import semetric

SOURCE = """
from semetric.scene._compiler import compiled


@compiled("i8(i8)")
def double(number):
    return 2 * number


print(double(21), sum(double.stats.cache_hits.values()))
"""


@pytest.fixture
def run(tmp_path):
    """Runs SOURCE in a fresh process; returns what it prints: the result, and how often kept code was loaded."""
    module = tmp_path / "kernel.py"
    module.write_text(SOURCE)
    kept = tmp_path / "kept"
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(semetric.__file__).parents[1]),
        "NUMBA_CACHE_DIR": str(kept),
        "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator",
    }

    def run_() -> list[str]:
        done = subprocess.run([sys.executable, module], env=environment, check=True, capture_output=True, text=True)
        return done.stdout.split()

    run_.kept = kept
    return run_


def test_code_is_kept_and_loaded_and_a_damaged_file_is_compiled_anew(run):
    assert run() == ["42", "0"]
    assert run() == ["42", "1"]
    files = [path for path in run.kept.rglob("*") if path.is_file()]
    assert files
    for path in files:
        path.write_bytes(path.read_bytes()[:-20])
    assert run() == ["42", "0"]


def test_without_a_folder_to_write_each_process_compiles(run):
    run.kept.write_text("a file where the folder should be")
    assert run() == ["42", "0"]
    assert run() == ["42", "0"]
