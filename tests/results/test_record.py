from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pytest

from semetric.errors import UsageError
from semetric.results.record import differences, flatten, plain

RECORD: dict[str, Any] = {
    "profile": {"name": "lite", "sam": "x"},
    "metrics": {"psnr": {"weights": {}}, "mse": {"weights": {}}},
    "systems": [{"name": "jpeg", "levels": [1]}, {"name": "webp", "levels": [1]}],
    "digest": "abc",
    "source": "here",
}


@dataclass
class Settings:
    alpha: float = 0.5


def test_records_are_plain() -> None:
    values = {"a": (1, 2), "settings": Settings(), "path": PurePosixPath("x/y"), 3: None}
    assert plain(values) == {"a": [1, 2], "settings": {"alpha": 0.5}, "path": "x/y", "3": None}
    for wrong in (float("nan"), print):
        with pytest.raises(UsageError, match="Expected options of plain values"):
            plain({"a": wrong})


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ({}, []),
        ({"source": "there"}, []),
        ({"digest": "abd"}, ["other files"]),
        ({"profile": {"name": "paper", "sam": "y"}}, ["profile: lite → paper"]),
        ({"profile": {"name": "lite", "sam": None}}, ["profile.sam: x → none"]),
        ({"metrics": {"psnr": {"weights": {}}}}, ["metrics: psnr, mse → psnr"]),
        ({"metrics": RECORD["metrics"] | {"mse": {"weights": {"a": "b"}}}}, ["metrics.mse.weights.a: none → b"]),
        ({"systems": [RECORD["systems"][0], {"name": "webp", "levels": [2]}]}, ["systems.webp.levels: [1] → [2]"]),
        ({"more": True}, ["more: none → True"]),
    ],
)
def test_differences_are_said_once(change: dict[str, Any], lines: list[str]) -> None:
    new = RECORD | change
    assert differences(RECORD, new, silent=("source",), words={"digest": "other files"}) == lines


def test_nested_names_have_dots() -> None:
    assert flatten({"a": {"b": {"c": 1}}, "d": [{}]}) == {"a.b.c": 1, "d": [{}]}
