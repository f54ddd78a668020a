"""What the metrics on tensors share: checks of a batch, and pairs put into batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from semetric.errors import ImageError, SizeMismatchError
from semetric.image import Picture
from semetric.image.arrays import check_dense
from semetric.models.torch_state import clean_state

if TYPE_CHECKING:
    import torch

__all__ = ["batch_values", "batches", "check_batch", "stack"]

_SLACK = 1e-4  # of the range: what float16 and interpolation overshoot


def check_batch(
    a: torch.Tensor,
    b: torch.Tensor,
    *,
    metric: str,
    min_side: int,
    data_range: float | None = None,
    channels: int | None = None,
) -> None:
    """Checks shape, dtype, device, size and both ends of the range of two batches.

    Args:
        a: (B, C, H, W).
        b: likewise.
        metric: its name, for the errors.
        min_side: in pixels.
        data_range: the largest possible value where the caller can state it; None is 1.
        channels: C; None for any number.

    Raises:
        SizeMismatchError: the shapes differ, or a side is too short.
        ImageError: anything else is not as the metric expects.
    """
    import torch

    want, top = f"(B, {channels or 'C'}, H, W)", data_range or 1.0
    for x in (a, b):
        check_dense(x)
        if x.ndim != 4 or (channels is not None and x.shape[1] != channels):
            raise ImageError(f"{metric} expects tensors {want}; found {tuple(x.shape)}. One image is x[None].")
        if x.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
            todo = "x.float()" if x.is_floating_point() else "x / 255 where x holds 0 to 255"
            raise ImageError(f"{metric} expects float tensors in [0, {top:g}]; found {x.dtype}. Pass {todo}.")
    if a.shape != b.shape:
        raise SizeMismatchError(
            f"{metric} compares pixels in place and expects equal shapes; found {tuple(a.shape)} and {tuple(b.shape)}. "
            "Resize one."
        )
    if a.device != b.device:
        raise ImageError(f"{metric} expects both tensors on one device; found {a.device} and {b.device}. Move one.")
    if min(a.shape[2:]) < min_side:
        raise SizeMismatchError(
            f"{metric} expects sides of at least {min_side} px; found {a.shape[3]} × {a.shape[2]}. Use a larger image."
        )
    if a.shape[0] == 0:
        return
    for x in (a, b):
        low, high = (float(v) for v in x.detach().aminmax())
        if not (low >= -_SLACK * top and high <= top * (1 + _SLACK)):  # NaN fails, too
            other = "" if data_range is None else ", or state another data_range"
            raise ImageError(
                f"{metric} expects values in [0, {top:g}]; found {low:.6g} to {high:.6g}. Scale or clamp them{other}."
            )


def batches(pairs: Sequence[tuple[Picture, Picture]], *, max_pixels: int) -> Iterator[list[int]]:
    """Yields the indices of pairs of one size, together as long as each side of the batch has at most max_pixels.

    A pair that is larger by itself comes alone. Sizes come in the order of their first pair.
    """
    by_size: dict[tuple[int, int], list[int]] = {}
    for index, (reference, _) in enumerate(pairs):
        by_size.setdefault(reference.size, []).append(index)
    for (height, width), indices in by_size.items():
        step = max(1, max_pixels // (height * width))
        for start in range(0, len(indices), step):
            yield indices[start : start + step]


def stack(pictures: Sequence[Picture], device: str) -> torch.Tensor:
    """(B, 3, H, W) float32 in [0, 1] on the device, of pictures of one size."""
    import torch

    return torch.cat([picture.to_tensor() for picture in pictures]).to(device)


def batch_values(
    pairs: Sequence[tuple[Picture, Picture]],
    function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    *,
    device: str,
    max_pixels: int,
) -> list[float]:
    """The values of a tensor function on pairs, in their order; pairs of one size go together.

    Args:
        pairs: equal sizes within a pair.
        function: (B, 3, H, W) in [0, 1] twice → (B,).
        device: where it runs.
        max_pixels: the most of one side of a batch.
    """
    values = [0.0] * len(pairs)
    with clean_state(inference=True):
        for indices in batches(pairs, max_pixels=max_pixels):
            a, b = (stack([pairs[i][side] for i in indices], device) for side in (0, 1))
            for i, value in zip(indices, function(a, b).tolist(), strict=True):
                values[i] = value
    return values
