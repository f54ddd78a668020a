"""State dicts that must fit a network: every entry there, none left over, each of its shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor, nn

from semetric.errors import WeightsCorruptError

__all__ = ["check_shapes", "filled", "shapes_of"]

_Network = TypeVar("_Network", bound=nn.Module)


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Name → shape.

    Example:
        >>> shapes_of(nn.Linear(2, 3).state_dict())
        {'weight': (3, 2), 'bias': (3,)}
    """
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def check_shapes(state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], what: str, source: str) -> None:
    """Raises WeightsCorruptError unless a state dict has the expected names and shapes.

    Args:
        state: name → tensor.
        expected: name → shape.
        what: the network, for the message: "a ViT-12/16".
        source: where the tensors come from, likewise.
    """
    missing, unknown = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or unknown:
        lacks = f"without {_some(missing)}" if missing else "all of them"
        more = f" and with {_some(unknown)}" if unknown else ""
        raise WeightsCorruptError(
            f"Expected the {len(expected)} parameters of {what} in {source}; found {lacks}{more}. "
            "Is it another network's file?"
        )
    for name, shape in expected.items():
        if tuple(state[name].shape) != shape:
            raise WeightsCorruptError(
                f"Expected {name} of shape {shape} in {source}; found {tuple(state[name].shape)}. "
                f"Is it the file of another network than {what}?"
            )


def filled(network: _Network, state: Mapping[str, Tensor], what: str, source: str) -> _Network:
    """The network with the tensors of a state dict, in float32 and eval mode.

    Raises:
        WeightsCorruptError: as `check_shapes`.

    Example:
        >>> import torch
        >>> layer = filled(nn.Linear(1, 1), {"weight": torch.ones(1, 1), "bias": torch.zeros(1)}, "a layer", "a test")
        >>> layer(torch.ones(1)).item()
        1.0
    """
    check_shapes(state, shapes_of(network.state_dict()), what, source)
    network.load_state_dict({name: value.detach().float().contiguous() for name, value in state.items()}, assign=True)
    return network.eval()


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
