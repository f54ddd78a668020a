from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from semetric.errors import WeightsCorruptError, WeightsMissingError
from semetric.lab.deepjscc.config import Constellation
from semetric.lab.deepjscc.network import DeepJscc
from semetric.lab.deepjscc.weights import FORMAT, KEY, load_deepjscc, pack, shipped_weights

State = dict[str, torch.Tensor]


def test_a_network_survives_being_packed(tiny: DeepJscc, tmp_path: Path) -> None:
    file = tmp_path / "tiny.safetensors"
    file.write_bytes(pack(tiny, steps="12"))
    loaded = load_deepjscc(file)
    assert loaded.config == tiny.config
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    for name, tensor in tiny.state_dict().items():
        # Half precision: 2⁻¹¹ of the value, or of the smallest normal number, 6e-5.
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=2**-11, atol=6e-8)
    assert pack(loaded, steps="12") == file.read_bytes()


def header(network: DeepJscc, **changes: object) -> dict[str, str]:
    return {KEY: json.dumps({"format": FORMAT, "config": {**network.config.to_dict(), **changes}})}


def without_one(state: State) -> State:
    return {name: tensor for name, tensor in state.items() if name != "decoder.stem.bias"}


def with_more(state: State) -> State:
    return {**state, "extra.a": torch.zeros(1), "extra.b": torch.zeros(1)}


def turned(state: State) -> State:
    return {**state, "encoder.stem.weight": state["encoder.stem.weight"].transpose(0, 1).contiguous()}


def not_a_number(state: State) -> State:
    return {**state, "encoder.stem.bias": torch.full_like(state["encoder.stem.bias"], float("nan"))}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_one, r"found it without decoder\.stem\.bias\."),
        (with_more, r"found it with extra\.a and 1 more\."),
        (turned, r"Expected encoder\.stem\.weight of shape \(8, 48, 3, 3\) in .*; found \(48, 8, 3, 3\)\."),
        (not_a_number, r"Expected finite floating-point numbers as encoder\.stem\.bias"),
    ],
)
def test_wrong_tensors_are_named(tiny: DeepJscc, tmp_path: Path, spoil: Callable[[State], State], said: str) -> None:
    file = tmp_path / "spoilt.safetensors"
    save_file(spoil(tiny.state_dict()), file, header(tiny))
    with pytest.raises(WeightsCorruptError, match=said):
        load_deepjscc(file)


def test_a_config_that_is_not_the_tensors_is_named(tiny: DeepJscc, tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    save_file(tiny.state_dict(), file, header(tiny, width=24))
    with pytest.raises(WeightsCorruptError, match=r"Expected .* of shape"):
        load_deepjscc(file)
    save_file(tiny.state_dict(), file, header(tiny, width=-8))
    with pytest.raises(WeightsCorruptError, match=r"config in the header of .*found -8"):
        load_deepjscc(file)
    for text in ("{", "[" * 100_000, '{"format": 1, "config": 5}', '{"format": 1, "config": [[]]}'):
        save_file(tiny.state_dict(), file, {KEY: text})
        with pytest.raises(WeightsCorruptError, match="config in the header"):
            load_deepjscc(file)


def test_other_files_are_named(tiny: DeepJscc, tmp_path: Path) -> None:
    file = tmp_path / "file"
    with pytest.raises(WeightsMissingError, match="found none"):
        load_deepjscc(file)
    file.write_bytes(b"no weights at all")
    with pytest.raises(WeightsCorruptError, match="Expected a safetensors file at"):
        load_deepjscc(file)
    file.write_bytes(pack(tiny)[:-100])
    with pytest.raises(WeightsCorruptError, match="Expected a safetensors file at"):
        load_deepjscc(file)
    save_file({"x": torch.zeros(1)}, file)
    with pytest.raises(WeightsCorruptError, match="found a safetensors file of another kind"):
        load_deepjscc(file)
    save_file({"x": torch.zeros(1)}, file, {KEY: '{"format": 99}'})
    with pytest.raises(WeightsCorruptError, match=r"Expected format 1 in .*; found 99\."):
        load_deepjscc(file)


@pytest.mark.parametrize("constellation", ["none", "16qam"])
def test_the_shipped_weights_load(constellation: Constellation) -> None:
    network = load_deepjscc(shipped_weights(constellation))
    assert network.config.constellation == constellation
    assert network.config.bandwidth_ratio == pytest.approx(1 / 12, rel=1e-15)
    assert (network.config.snr_min_db, network.config.snr_max_db) == (0.0, 20.0)


def test_the_shipped_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in shipped_weights().parent.glob("deepjscc*")) < 4_000_000
