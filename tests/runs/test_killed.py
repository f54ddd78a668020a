from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="forks and SIGKILL are POSIX")
def test_killed_runs_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """At 20 random moments, and before and after every rename, down to the bytes of every file."""
    script = Path(__file__).with_name("killed_runs.py")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=300,  # fifteen seconds where nothing else runs; without end where a run does not go on
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["problems"] == []
    assert found["kills"] >= 20
    assert found["in_the_middle"] >= 5  # most kills hit a run that had finished some rows and not all
    assert found["renames"] >= 4  # scores.parquet, scores.csv, run.json, summary.json
