"""Reading files of tensors that anybody may have made: pickles of torch.save, and safetensors.

Nothing in a file is run (weights_only). What weights_only still lets in is refused here: tensors without numbers, in
other layouts than plain ones, of other kinds than floating point, with more numbers than the file stores, or with
values that are not finite. A network with one NaN in it scores everything as NaN, and long after its loading.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from semetric.errors import WeightsCorruptError
from semetric.weights.unreadable import why_unreadable

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Refusal", "checked_tensors", "read_saved", "read_tensors"]

Refusal: TypeAlias = Callable[[str], WeightsCorruptError]
"""Makes the error from words that go after "it", without a full stop: "holds NaN or infinity as conv1.weight"."""

# Buffers of whole numbers that come along in state dicts; every parameter is of floats.
_COUNTS = ("num_batches_tracked", "position_ids", "relative_position_index", "attention_bias_idxs")
_TIED = 4  # how many times over a file's numbers may be used; tied weights are stored once


def read_tensors(file: Path, refuse: Refusal) -> dict[str, Tensor]:
    """The tensors of a file, by name; safetensors where its name ends so, else what torch.save wrote.

    Args:
        file: it must exist.
        refuse: makes the error.

    Returns:
        As `checked_tensors`.

    Raises:
        WeightsCorruptError: what `refuse` makes.
        FileNotFoundError: no such file.
    """
    if not file.exists():
        raise FileNotFoundError(f"Expected a file of tensors at {file}; there is none.")
    return checked_tensors(read_saved(file, refuse, safetensors=file.suffix == ".safetensors"), refuse)


def read_saved(
    source: Path | IO[bytes], refuse: Refusal, *, safetensors: bool = False, classes: Sequence[type] = ()
) -> Any:
    """What a file holds, read without running anything in it; nothing else about it is checked.

    Args:
        source: the file, or a stream of it that can seek.
        refuse: makes the error.
        safetensors: the file's format; else it is what torch.save wrote.
        classes: what beside tensors a pickle may name; must be harmless to make from anything.

    Raises:
        WeightsCorruptError: what `refuse` makes, where the file cannot be read.
    """
    import torch

    try:
        if safetensors:
            from safetensors.torch import load, load_file

            return load_file(str(source)) if isinstance(source, Path) else load(source.read())
        if isinstance(source, Path):
            with open(source, "rb") as stream:
                return read_saved(stream, refuse, classes=classes)
        if not _stored_plainly(source):
            raise refuse("is compressed, which torch.save never does")
        with torch.serialization.safe_globals(list(classes)):
            return torch.load(source, map_location="cpu", weights_only=True)
    except WeightsCorruptError:
        raise
    except Exception as error:  # the two libraries raise nearly anything on damaged files
        raise refuse(why_unreadable(error)) from error


def checked_tensors(found: Any, refuse: Refusal) -> dict[str, Tensor]:
    """A state dict of plain tensors of finite numbers, or an error.

    Args:
        found: what a file held.
        refuse: makes the error.

    Returns:
        Name → dense tensor on the CPU without gradients, in a floating type and of values that float32 can hold;
        buffers that count (num_batches_tracked, position_ids, …) may be of whole numbers.

    Raises:
        WeightsCorruptError: what `refuse` makes of anything else.
    """
    import torch

    if not isinstance(found, Mapping):
        raise refuse(f"holds a {type(found).__name__}, no names with tensors")
    used = 0
    stored: dict[int, int] = {}
    for name, tensor in found.items():
        if not isinstance(name, str) or type(tensor) not in {torch.Tensor, torch.nn.Parameter}:
            raise refuse(f"holds something else than names with tensors: a {type(tensor).__name__} under {_cut(name)}")
        unlike = _unlike_weights(name, tensor)
        if unlike:
            raise refuse(f"holds {unlike} as {_cut(name)}")
        storage = tensor.untyped_storage()
        used += tensor.numel() * tensor.element_size()
        stored[storage.data_ptr()] = storage.nbytes()
    if used > _TIED * sum(stored.values()):
        raise refuse(f"stores {sum(stored.values())} bytes for tensors of {used} bytes")
    for name, tensor in found.items():
        if not _finite(tensor.detach()):
            raise refuse(f"holds NaN, infinity or numbers beyond float32 as {_cut(name)}")
    return {name: tensor.detach() for name, tensor in found.items()}


def _stored_plainly(stream: IO[bytes]) -> bool:
    """Whether the zip that torch.save wrote is as long as what it holds: a compressed one may hold any amount."""
    start = stream.read(4)
    stream.seek(0, 2)
    size = stream.tell()
    stream.seek(0)
    if start != b"PK\x03\x04":  # what torch goes by; its older format has no compression
        return True
    with zipfile.ZipFile(stream) as pack:
        whole = sum(info.file_size for info in pack.infolist()) <= size
        plain = all(info.compress_type == zipfile.ZIP_STORED for info in pack.infolist())
    stream.seek(0)
    return whole and plain


def _unlike_weights(name: str, tensor: Tensor) -> str:
    """What of its kind no parameter has; "" for plain floats (or counts) in the memory of the CPU."""
    import torch

    if tensor.is_nested or tensor.layout != torch.strided:
        return "a sparse or nested tensor"
    if tensor.device.type != "cpu":
        return f"a tensor without numbers (device {tensor.device})"
    if tensor.is_quantized:
        return "a quantised tensor"
    floats = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
    if tensor.dtype not in floats and not (name.endswith(_COUNTS) and tensor.dtype in {torch.int32, torch.int64}):
        return f"{str(tensor.dtype).removeprefix('torch.')} where floating-point numbers belong"
    return ""


def _finite(tensor: Tensor) -> bool:
    """Whether float32 holds all of its values; one pass and no copy."""
    import torch

    if not tensor.is_floating_point() or not tensor.numel():
        return True
    low, high = (float(end) for end in torch.aminmax(tensor))  # either is NaN where any value is
    return math.isfinite(low) and math.isfinite(high) and max(-low, high) <= torch.finfo(torch.float32).max


def _cut(name: object) -> str:
    """A name from a file, as an error can show it."""
    text = str(name)
    return text if len(text) <= 80 and text.isprintable() else repr(text[:80])
