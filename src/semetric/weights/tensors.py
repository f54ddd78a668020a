"""Reading files of tensors that anybody may have made: pickles of torch.save, and safetensors.

Nothing in a file is run, and what no network is made of is refused: tensors of other kinds than floating point, with
more numbers than the file stores, or with values that are not finite. A network with one NaN in it scores everything
as NaN, and long after its loading.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from semetric.errors import WeightsCorruptError
from semetric.weights.pickles import Refusal
from semetric.weights.saved import read_torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["checked_tensors", "read_saved", "read_tensors"]

# Buffers of whole numbers that come along in state dicts; every parameter is of floats.
_COUNTS = ("num_batches_tracked", "position_ids", "relative_position_index", "attention_bias_idxs")
_TIED = 4  # how many times over a file's numbers may be used; tied weights are stored once
# Each tensor that a header declares costs Python some twenty times its text. Real headers have 100 bytes a tensor.
_MAX_HEADER_BYTES = 4 << 20
# What pickletools says, in a ValueError, where a pickle ends before its last instruction.
_PICKLE_ENDS = ("pickle exhausted", "not enough data", "remain", "no newline found")


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


def read_saved(source: Path | IO[bytes], refuse: Refusal, *, safetensors: bool = False) -> Any:
    """What a file holds, read without running anything in it; nothing else about it is checked.

    Args:
        source: the file, or a stream of it that can seek.
        refuse: makes the error.
        safetensors: the file's format; else it is what torch.save wrote.

    Returns:
        Name → tensor from safetensors; else as `read_torch`.

    Raises:
        WeightsCorruptError: what `refuse` makes, where the file cannot be read.
    """
    try:
        with open(source, "rb") if isinstance(source, Path) else nullcontext(source) as stream:
            if not safetensors:
                return read_torch(stream, refuse)
            from safetensors.torch import load, load_file

            header_bytes = int.from_bytes(stream.read(8), "little")
            size = stream.seek(0, 2)
            stream.seek(0)
            if _MAX_HEADER_BYTES < header_bytes < size:
                raise refuse(f"declares a header of {header_bytes} bytes, beyond {_MAX_HEADER_BYTES}")
            return load_file(str(source)) if isinstance(source, Path) else load(stream.read())
    except WeightsCorruptError:
        raise
    except Exception as error:  # the readers raise nearly anything on damaged files
        raise refuse(_why_unreadable(error)) from error


def checked_tensors(state: Any, refuse: Refusal) -> dict[str, Tensor]:
    """A state dict of plain tensors of finite numbers, or an error.

    Args:
        state: what a file held.
        refuse: makes the error.

    Returns:
        Name → dense tensor on the CPU without gradients, in a floating type and of values that float32 can hold;
        buffers that count (num_batches_tracked, position_ids, …) may be of whole numbers.

    Raises:
        WeightsCorruptError: what `refuse` makes of anything else.
    """
    import torch

    if not isinstance(state, Mapping):
        raise refuse(f"holds a {type(state).__name__}, no names with tensors")
    used_bytes = 0
    stored: dict[int, int] = {}
    for name, tensor in state.items():
        if not isinstance(name, str) or type(tensor) not in {torch.Tensor, torch.nn.Parameter}:
            raise refuse(f"holds something else than names with tensors: a {type(tensor).__name__} under {_cut(name)}")
        unlike = _unlike_weights(name, tensor)
        if unlike:
            raise refuse(f"holds {unlike} as {_cut(name)}")
        storage = tensor.untyped_storage()
        used_bytes += tensor.numel() * tensor.element_size()
        stored[storage.data_ptr()] = storage.nbytes()
    if used_bytes > _TIED * sum(stored.values()):
        raise refuse(f"stores {sum(stored.values())} bytes for tensors of {used_bytes} bytes")
    for name, tensor in state.items():
        if not _finite(tensor.detach()):
            raise refuse(f"holds NaN, infinity or numbers beyond float32 as {_cut(name)}")
    return {name: tensor.detach() for name, tensor in state.items()}


def _unlike_weights(name: str, tensor: Tensor) -> str:
    """What of its kind no parameter has; "" for plain floats (or counts)."""
    import torch

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


def _why_unreadable(error: Exception) -> str:
    """What a failure of the readers of pickles, zips and safetensors says of the file: words that go after "it"."""
    text = str(error)
    if isinstance(error, EOFError) or any(words in text for words in _PICKLE_ENDS):
        return "is empty or ends too early"
    if isinstance(error, zipfile.BadZipFile):
        return "is cut short or damaged"
    if type(error).__name__ == "SafetensorError":
        return "is no safetensors file, or damaged"
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror or error})"
    return "is not a file that torch.save wrote, or damaged"
