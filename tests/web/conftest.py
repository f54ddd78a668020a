"""A study of tiny images, its server in this process, and people with links."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="needs Starlette: pip install 'semetric[serve]'")

from starlette.testclient import TestClient
from web_clients import Served

from semetric.learn.judgements import Item, JudgementStore, StudySettings
from semetric.web.app import create_app
from semetric.web.settings import ServerSettings


@pytest.fixture
def study_file(tmp_path: Path) -> Callable[..., Path]:
    """Makes a study file; the images are "00.png" to "15.png", each of one grey."""

    def make(kind: str = "choice", items: int = 6, checks: int = 0, name: str = "a study", **settings: Any) -> Path:
        images = tmp_path / "images"
        images.mkdir(exist_ok=True)
        for k in range(16):
            Image.fromarray(np.full((30, 40, 3), 16 * k, np.uint8)).save(images / f"{k:02}.png")
        path = tmp_path / "study.db"
        with JudgementStore(path, create=True) as store:
            study = store.create_study(
                name,
                kind,
                images,
                instructions="First line.\n\nSecond <b>line</b>.",
                settings=StudySettings(**settings),
            )
            store.add_items(
                study,
                [
                    Item(
                        key=f"i{k}",
                        reference=f"{k:02}.png",
                        a=f"{k + 1:02}.png",
                        b=None if kind == "same" else f"{k + 2:02}.png",
                        known=None if k < items else "same" if kind == "same" else "a",
                    )
                    for k in range(items + checks)
                ],
            )
        return path

    return make


@pytest.fixture
def served() -> Iterator[Callable[..., Served]]:
    """Starts an application over a study file."""
    running: list[TestClient] = []

    def start(path: Path | None, comparer: Any = None, **settings: Any) -> Served:
        more = {} if comparer is None else {"comparer": comparer}
        made = create_app(ServerSettings(study=path, **settings), **more)
        found = Served(path, made)
        found.running.__enter__()  # lifespan
        running.append(found.running)
        return found

    yield start
    for client in running:
        client.__exit__(None, None, None)
