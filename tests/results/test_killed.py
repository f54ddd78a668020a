from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from killed_runs import UNITS


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="forks and SIGKILL are POSIX")
def test_killed_runs_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """At 20 random moments, and before and after every rename, down to the bytes of every file."""
    script = Path(__file__).with_name("killed_runs.py")
    ended = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,  # fifteen seconds where nothing else runs; without end where a run does not go on
    )
    assert ended.returncode == 0, ended.stderr
    outcome = json.loads(ended.stdout)
    assert outcome["problems"] == []
    assert outcome["kills"] >= 20
    assert outcome["in_the_middle"] >= 5  # most kills hit a run that had finished some units and not all
    assert outcome["renames"] > UNITS + 4  # the units' files; scores.parquet, scores.csv, run.json, summary.json
