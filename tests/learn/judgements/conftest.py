"""A folder of tiny images, and study files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semetric.learn.judgements import Item, JudgementStore, Study, StudySettings


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty images, 00.png to 29.png, of eight by eight pixels."""
    folder = tmp_path_factory.mktemp("pictures")
    for k in range(30):
        Image.fromarray(np.full((8, 8, 3), 8 * k, np.uint8)).save(folder / f"{k:02}.png")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JudgementStore]:
    with JudgementStore(tmp_path / "study.db", create=True) as opened:
        yield opened


@pytest.fixture
def studied(store: JudgementStore, pictures: Path) -> Callable[..., Study]:
    """Makes a study with items i0, i1, …; the last ones are attention checks."""

    def make(kind: str = "choice", items: int = 5, checks: int = 0, name: str = "s", **settings: object) -> Study:
        study = store.create_study(name, kind, pictures, settings=StudySettings(**settings))  # type: ignore[arg-type]
        right = "same" if kind == "same" else "a"
        store.add_items(
            study,
            [
                Item(
                    key=f"i{k}",
                    reference=f"{k:02}.png",
                    a=f"{k + 1:02}.png",
                    b=None if kind == "same" else f"{k + 2:02}.png",
                    known=right if k >= items else None,
                )
                for k in range(items + checks)
            ],
        )
        return study

    return make
