from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(os.name != "posix", reason="forks and SIGKILL are POSIX")
def test_killed_experiments_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """At random moments: Every file and every example come out to the byte."""
    script = Path(__file__).with_name("killed_experiments.py")
    ended = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=240,  # eight seconds where nothing else runs; without end where a run does not go on
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["problems"] == []
    assert found["kills"] >= 5
    assert found["in_the_middle"] >= 3  # most kills hit a run that had finished some units and not all
    assert found["files"] == 4 + 2 * (
        1 + 8 + 7
    )  # rows twice, record, summary; originals, grey, noise but where it fails
