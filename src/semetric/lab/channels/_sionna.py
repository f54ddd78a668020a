"""Sionna, imported without its side effects."""

from __future__ import annotations

import importlib
from types import ModuleType

from semetric.errors import MissingExtraError

__all__ = ["sionna"]


def sionna(module: str) -> ModuleType:
    """A module of `sionna.phy`, e.g. "mapping".

    When first imported, Sionna reseeds torch's global generators, of the processor and of every GPU. Here they keep the
    state they had. It changes no other default of torch or numpy.

    Raises:
        MissingExtraError: it is not installed.
    """
    import torch

    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            return importlib.import_module(f"sionna.phy.{module}")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "Channels need sionna-no-rt, which is not installed: pip install 'semetric[lab]'"
        ) from error
