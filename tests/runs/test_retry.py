from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from semetric.errors import UsageError
from semetric.models.runtime import Runtime
from semetric.results import Run, Started
from semetric.runs import score_folders, scoring
from semetric.score_settings import MetricSettings

METRICS = ["psnr", "mse"]


@pytest.fixture
def broken(folders: Path) -> Path:
    """The folders of seven pairs, a run of them in `run` with a/2 and b/3 broken, and the whole files in `whole`."""
    shutil.copytree(folders / "images", folders / "whole")
    for name in ("a/2.png", "b/3.png"):
        (folders / "images" / name).write_bytes(b"broken")
    assert score(folders).failed == 2
    return folders


def score(folders: Path, **options: Any) -> Run:
    return score_folders(folders / "references", folders / "images", folders / "run", METRICS, store=None, **options)


def repair(folders: Path, name: str) -> None:
    shutil.copy(folders / "whole" / name, folders / "images" / name)


def test_only_what_failed_is_scored_again(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repair(broken, "a/2.png")
    starts: list[Started] = []
    run = score(broken, retry_failed=True, started=starts.append)
    assert starts[0].done == 5
    assert [one["image"] for one in run.summary["failed"]] == ["b/3.png"]
    repair(broken, "b/3.png")
    run = score(broken, retry_failed=True)
    assert run.failed == 0
    whole = score_folders(broken / "references", broken / "whole", broken / "other", METRICS, store=None)
    for name in ("scores.csv", "scores.parquet"):
        assert (run.path / name).read_bytes() == (whole.path / name).read_bytes()
    monkeypatch.setattr(scoring, "score_batch", None)
    assert score(broken, retry_failed=True).summary == run.summary  # nothing failed: nothing is done


def test_a_scored_file_that_changed_is_refused(broken: Path) -> None:
    repair(broken, "a/2.png")
    before = (broken / "run" / "scores.csv").read_bytes()
    shutil.copy(broken / "whole" / "a" / "0.png", broken / "images" / "a" / "4.png")
    with pytest.raises(UsageError, match=r"in the files of a/4\.png – a/4\.png: they have changed"):
        score(broken, retry_failed=True)
    assert (broken / "run" / "scores.csv").read_bytes() == before


def test_batches_are_short_where_a_pair_takes_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    from semetric.metrics import registry

    cpu = Runtime(device="cpu")

    def size(*names: str) -> int:
        return scoring._batch({name: registry.create(name, cpu, MetricSettings()) for name in names}, cpu)

    assert size("psnr") == 1
    assert size("psnr", "ssim", "lpips") == scoring.BATCH
    assert size("ssim", "samscore") == 1
    monkeypatch.setattr(Runtime, "device", "cuda")
    assert size("ssim", "samscore") == scoring.BATCH
