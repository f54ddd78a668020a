"""Every experiment's configuration as plain values."""

from __future__ import annotations

from typing import Any

import pytest

from semetric.errors import UsageError
from semetric.lab.experiments import EXPERIMENTS, Levels, RunSettings


@pytest.mark.parametrize("kind", [*EXPERIMENTS.values(), RunSettings])
def test_every_configuration_comes_back(kind: Any) -> None:
    config = Levels(originals="o", folders=("a", "b")) if kind is Levels else kind()
    assert kind.from_dict(config.to_dict()) == config
    with pytest.raises(UsageError, match="found 'nothing'"):
        kind.from_dict({**config.to_dict(), "nothing": 1})


@pytest.mark.parametrize(
    "values", [{"seed": -1}, {"examples": -1}, {"resize_longest": 4}, {"max_pixels": 0}, {"metrics": []}]
)
def test_settings_out_of_range(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="at least"):
        RunSettings.from_dict(values)
