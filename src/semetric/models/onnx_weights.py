"""Parameters from ONNX files. Nothing of a graph is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import numpy_helper

from semetric.errors import WeightsCorruptError

__all__ = ["read_onnx"]


def read_onnx(path: Path, what: str) -> tuple[onnx.GraphProto, dict[str, NDArray[Any]]]:
    """The graph of a file, and its arrays by name.

    Raises:
        WeightsCorruptError: no ONNX file; what names the network in the message.
    """
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
        return graph, {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    except (DecodeError, ValueError, TypeError) as error:
        raise WeightsCorruptError(
            f"Expected the ONNX file of {what} in {path}; found a file that cannot be read as one. Fetch it again."
        ) from error
