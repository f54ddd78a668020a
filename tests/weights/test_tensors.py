from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from semetric.errors import WeightsCorruptError
from semetric.weights.tensors import checked_tensors, read_saved, read_tensors

GOOD = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(4, dtype=torch.float16)}


def refuse(why: str) -> WeightsCorruptError:
    return WeightsCorruptError(f"Expected tensors; it {why}. Fetch it.")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "older.pt"])
def test_good_files_are_read(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    if file.suffix == ".safetensors":
        save_file(GOOD, file)
    else:
        torch.save(GOOD, file, _use_new_zipfile_serialization=name != "older.pt")
    found = read_tensors(file, refuse)
    assert found.keys() == GOOD.keys()
    for key, value in GOOD.items():
        assert found[key].dtype == value.dtype
        assert torch.equal(found[key], value)


def test_parameters_lose_their_gradients_and_counts_stay() -> None:
    state = {"w": torch.nn.Parameter(torch.ones(2)), "bn.num_batches_tracked": torch.tensor(7), "none": torch.empty(0)}
    found = checked_tensors(state, refuse)
    assert not found["w"].requires_grad
    assert found["bn.num_batches_tracked"] == 7
    tied = torch.ones(3)
    assert checked_tensors({"head": tied, "embedding": tied}, refuse).keys() == {"head", "embedding"}


def spoilt(value: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    tensor = torch.zeros(300, dtype=dtype)
    tensor[137] = value
    return tensor


HOSTILE: dict[str, tuple[Callable[[], Any], str]] = {
    "list": (lambda: [torch.ones(1)], "holds a list"),
    "nested": (lambda: {"model": {"w": torch.ones(1)}}, "a dict under model"),
    "key": (lambda: {3: torch.ones(1)}, "a Tensor under 3"),
    "int64": (lambda: {"w": torch.ones(2, dtype=torch.int64)}, "int64 where floating-point numbers belong as w"),
    "count of floats": (lambda: {"num_batches_tracked": torch.tensor(True)}, "bool where"),
    "complex": (lambda: {"w": torch.ones(2, dtype=torch.complex64)}, "complex64 where"),
    "float8": (lambda: {"w": torch.ones(2).to(torch.float8_e4m3fn)}, "float8_e4m3fn where"),
    "sparse": (lambda: {"w": torch.eye(3).to_sparse()}, r"more than tensors \(torch._utils._rebuild_sparse_tensor\)"),
    "meta": (lambda: {"w": torch.empty(3, device="meta")}, "more than tensors .torch._utils._rebuild_meta_tensor"),
    "expanded": (lambda: {"w": torch.ones(1).expand(10**12)}, "stores 4 bytes for tensors of 4000000000000 bytes"),
    "many names": (lambda: dict.fromkeys(map(str, range(99)), torch.ones(8)), "stores 32 bytes"),
    "NaN": (lambda: {"w": spoilt(math.nan)}, "NaN, infinity .* as w"),
    "half NaN": (lambda: {"w": spoilt(math.nan, torch.bfloat16)}, "NaN"),
    "infinity": (lambda: {"w": spoilt(-math.inf)}, "NaN, infinity"),
    "large": (lambda: {"w": spoilt(1e39, torch.float64)}, "beyond float32"),
    "long name": (lambda: {"\n" * 500: spoilt(math.inf)}, r"as '\\n\\n"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_no_network_is_made_of_is_refused(case: str, tmp_path: Path) -> None:
    make, words = HOSTILE[case]
    torch.save(make(), tmp_path / "w.pth")
    with pytest.raises(WeightsCorruptError, match=words) as caught:
        read_tensors(tmp_path / "w.pth", refuse)
    assert "\n" not in str(caught.value)


def test_an_absent_file_is_absent(tmp_path: Path) -> None:
    for name in ("none.pth", "none.safetensors"):
        with pytest.raises(FileNotFoundError):
            read_tensors(tmp_path / name, refuse)


def saved(*, older: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(GOOD, stream, _use_new_zipfile_serialization=not older)
    return stream.getvalue()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(older=st.booleans(), at=st.floats(0, 0.9999), value=st.integers(0, 255), cut=st.booleans())
@pytest.mark.filterwarnings("ignore")  # damage may look like what torch warns of
def test_altered_bytes_give_tensors_or_the_error(older: bool, at: float, value: int, cut: bool) -> None:
    data = bytearray(saved(older=older))
    position = int(at * len(data))
    data[position] = value
    try:
        found = checked_tensors(read_saved(io.BytesIO(data[:position] if cut else data), refuse), refuse)
    except WeightsCorruptError:
        return
    for tensor in found.values():
        assert np.isfinite(tensor.float().numpy()).all()
