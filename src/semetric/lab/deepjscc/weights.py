"""DeepJSCC weights as files: safetensors in half precision, with the network's shape in the header."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from semetric.errors import WeightsCorruptError, WeightsMissingError
from semetric.lab.deepjscc.config import Constellation, DeepJsccConfig
from semetric.lab.deepjscc.network import DeepJscc
from semetric.models.torch_state import loading

__all__ = ["FORMAT", "KEY", "channels_last", "load_deepjscc", "pack", "shipped_weights"]

FORMAT = 1
KEY = "semetric.deepjscc"  # of the header


def shipped_weights(constellation: Constellation = "none") -> Path:
    """The weights that come with the package.

    Raises:
        WeightsMissingError: the package is incomplete.
    """
    path = Path(str(resources.files("semetric") / "data" / f"deepjscc_{_suffix(constellation)}.safetensors"))
    if not path.is_file():
        raise WeightsMissingError(f"Expected {path}, which comes with the package; found none. Install it again.")
    return path


def pack(network: DeepJscc, **notes: str) -> bytes:
    """A weights file: every tensor in float16, and the network's config.

    Args:
        network: what to save.
        notes: goes into the header beside the config, e.g. the number of steps.
    """
    from safetensors.torch import save

    state = {
        name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in network.state_dict().items()
    }
    header = {"format": FORMAT, "config": network.config.to_dict(), **notes}
    return save(state, {KEY: json.dumps(header)})  # one entry: safetensors writes several in any order


@loading()
def load_deepjscc(path: str | os.PathLike[str], *, device: str = "cpu") -> DeepJscc:
    """The network of a weights file, in float32 and ready for inference.

    Raises:
        WeightsMissingError: no such file.
        WeightsCorruptError: it is not such a file, or its tensors are not those of its config.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise WeightsMissingError(f"Expected a DeepJSCC weights file at {os.fspath(path)}; found none.")
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            entries: dict[str, str] = file.metadata() or {}
            state: dict[str, torch.Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsCorruptError(f"Expected a safetensors file at {os.fspath(path)}; {error}.") from error
    network = DeepJscc(_config(entries, path))
    _check(state, network.state_dict(), path)
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    network.eval().requires_grad_(False).to(device)
    return channels_last(network)


def channels_last(network: DeepJscc) -> DeepJscc:
    """The network with its convolutions in the layout that is fastest on a CPU; in place."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def _suffix(constellation: Constellation) -> str:
    return "plain" if constellation == "none" else constellation


def _config(entries: dict[str, str], path: str | os.PathLike[str]) -> DeepJsccConfig:
    if KEY not in entries:
        raise WeightsCorruptError(
            f"Expected a DeepJSCC weights file at {os.fspath(path)}; found a safetensors file of another kind."
        )
    try:
        header: Any = json.loads(entries[KEY])
        version = header["format"]
        if version == FORMAT:
            return DeepJsccConfig.from_dict(header["config"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:  # UsageError is a ValueError
        raise WeightsCorruptError(f"Expected a DeepJSCC config in the header of {os.fspath(path)}; {error}") from error
    raise WeightsCorruptError(f"Expected format {FORMAT} in {os.fspath(path)}; found {version!r}.")


def _check(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], path: str | os.PathLike[str]) -> None:
    where = f"in {os.fspath(path)}"
    for what, names in (("without", expected.keys() - state.keys()), ("with", state.keys() - expected.keys())):
        if names:
            raise WeightsCorruptError(
                f"Expected the {len(expected)} tensors of its config {where}; found it {what} {sorted(names)[0]}"
                f"{f' and {len(names) - 1} more' if len(names) > 1 else ''}."
            )
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise WeightsCorruptError(
                f"Expected {name} of shape {tuple(expected[name].shape)} {where}; found {tuple(tensor.shape)}."
            )
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise WeightsCorruptError(f"Expected finite floating-point numbers as {name} {where}; found others.")
