"""A small version of benchmarks/annotation.py: a server in a process of its own, under load, killed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'semetric[serve]'")
sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import annotation


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    acknowledged, stored = annotation.killed(tmp_path, annotators=6, seconds=1.5, items=200)
    assert acknowledged > 0
    # whoever waited for an answer when it ended may be stored as well: one an annotator at most
    assert acknowledged <= stored <= acknowledged + 6


def test_annotators_at_once_are_all_answered(tmp_path: Path) -> None:
    found = annotation.load(tmp_path, annotators=5, seconds=30, think_s=0.0, items=12)
    assert found.judgements == 5 * 12  # the server says when nothing is left
