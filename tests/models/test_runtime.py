from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from semetric.cache import Store
from semetric.errors import UsageError
from semetric.image import read_image
from semetric.models.runtime import Runtime


def picture(value: int = 3):
    return read_image(np.full((2, 2, 3), value, np.uint8))


def counting(calls: list[int]):
    def compute():
        calls.append(1)
        return {"x": np.arange(3)}

    return compute


def test_a_product_is_computed_once_per_image_and_recipe() -> None:
    calls: list[int] = []
    runtime = Runtime("lite", device="cpu")
    for image, recipe in [(3, {"kind": "a"}), (3, {"kind": "a"}), (4, {"kind": "a"}), (3, {"kind": "b"})]:
        runtime.product(picture(image), recipe, counting(calls))
    assert len(calls) == 3


def test_products_outlive_the_runtime_on_disk(tmp_path) -> None:
    calls: list[int] = []
    for _ in range(2):
        found = Runtime("lite", device="cpu", store=Store(tmp_path)).product(picture(), {"kind": "a"}, counting(calls))
        assert found["x"].tolist() == [0, 1, 2]
        assert not found["x"].flags.writeable
    assert len(calls) == 1


def test_a_fresh_product_lies_in_memory_as_one_from_the_disk_does(tmp_path) -> None:
    def compute():
        return {"x": np.ones((2, 3, 4)).transpose(2, 0, 1), "scalar": np.float32(1)}

    for _ in range(2):
        found = Runtime("lite", device="cpu", store=Store(tmp_path)).product(picture(), {"kind": "a"}, compute)
        assert found["x"].flags.c_contiguous
        assert found["scalar"].shape == ()


@pytest.mark.parametrize("store", [False, True])
def test_several_products_come_in_order_and_only_the_missing_are_computed_in_batches(tmp_path, store: bool) -> None:
    seen: list[list[int]] = []

    def compute(pictures):
        seen.append([int(p.pixels[0, 0, 0]) for p in pictures])
        return [{"x": np.array(value)} for value in seen[-1]]

    runtime = Runtime("lite", device="cpu", store=Store(tmp_path) if store else None, remember=1)
    assert int(runtime.product(picture(5), {"kind": "a"}, lambda: {"x": np.array(5)})["x"]) == 5
    found = runtime.products([picture(v) for v in (7, 5, 8, 7, 9)], {"kind": "a"}, compute, batch=2)
    assert [int(arrays["x"]) for arrays in found] == [7, 5, 8, 7, 9]
    assert seen == [[7, 8], [9]]
    assert runtime.products([], {"kind": "a"}, compute) == []


def test_one_picture_at_a_time_passes_a_network_on_a_cpu() -> None:
    runtime = Runtime("lite", device="cpu")
    pictures = [picture(v) for v in range(5)]
    assert [len(part) for part in runtime.passes(pictures, 2)] == [1] * 5
    runtime._device = "cuda"
    assert [len(part) for part in runtime.passes(pictures, 2)] == [2, 2, 1]


def test_memory_holds_the_last_few() -> None:
    calls: list[int] = []
    runtime = Runtime("lite", device="cpu", remember=2)
    for image in (1, 2, 3, 1):
        runtime.product(picture(image), {"kind": "a"}, counting(calls))
    assert len(calls) == 4


def test_devices_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UsageError, match="tpu"):
        Runtime("lite", device="tpu")


def test_a_network_is_loaded_once_frozen_and_in_eval_mode() -> None:
    import torch

    loads: list[int] = []

    def load() -> torch.nn.Module:
        loads.append(1)
        return torch.nn.Dropout()

    runtime = Runtime("lite", device="cpu")
    assert runtime.network("n", load) is runtime.network("n", load)
    assert loads == [1]
    assert not runtime.network("n", load).training


@pytest.mark.parametrize("device", ["cpu:abc", "cpu:", "auto:0", "cuda:-1", "cuda:٣", "", None, 0, b"cpu", "cpu\n"])
def test_what_is_no_device_is_named(device) -> None:
    with pytest.raises(UsageError, match="Expected a device among auto, cpu") as caught:
        Runtime("lite", device=device)
    assert repr(device) in str(caught.value)


def test_torch_devices_are_devices() -> None:
    import torch

    for device in (torch.device("cpu"), torch.device("cpu", 0), "cpu:0"):
        runtime = Runtime("lite", device=device)
        assert runtime.device == "cpu"
        assert [len(part) for part in runtime.passes([picture(), picture()], 2)] == [1, 1]
    with pytest.raises(UsageError, match="meta"):
        Runtime("lite", device=torch.device("meta"))


@pytest.mark.parametrize(("there", "device"), [(0, "cuda"), (0, "cuda:0"), (2, "cuda:2")])
def test_a_cuda_device_that_is_not_there_is_a_usage_error(monkeypatch, there: int, device: str) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    with pytest.raises(UsageError, match=r"CUDA device.*--device cpu"):
        Runtime("lite", device=device)
    if there:
        assert Runtime("lite", device="cuda:1").device == "cuda:1"


@pytest.fixture
def restless():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns within a function, not only between calls
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_threads_share_a_runtime() -> None:
    runtime = Runtime("lite", device="cpu", remember=2)
    pictures = [picture(v) for v in range(5)]

    def work(seed: int) -> None:
        for turn in range(600):
            value = (turn * 7 + seed) % 5
            found = runtime.product(pictures[value], {"kind": "a"}, lambda v=value: {"x": np.array(v)})
            assert int(found["x"]) == value

    with ThreadPoolExecutor(8) as pool:
        for job in [pool.submit(work, seed) for seed in range(8)]:
            job.result()
    assert len(runtime._products) <= 2


@pytest.mark.usefixtures("restless")
def test_threads_load_a_network_once() -> None:
    import torch

    loads: list[str] = []

    def load(name: str) -> torch.nn.Module:
        loads.append(name)
        time.sleep(0.02)  # long enough that all threads come meanwhile
        return torch.nn.Dropout()

    runtime = Runtime("lite", device="cpu")
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(runtime.network, f"n{i % 2}", lambda i=i: load(f"n{i % 2}")) for i in range(16)]
        found = {id(job.result()) for job in jobs}
    assert sorted(loads) == ["n0", "n1"]
    assert len(found) == 2


def test_a_load_that_fails_may_be_tried_again_and_loads_may_nest() -> None:
    import torch

    runtime = Runtime("lite", device="cpu")

    def fail() -> torch.nn.Module:
        raise UsageError("no")

    with pytest.raises(UsageError):
        runtime.network("n", fail)
    inner = torch.nn.Dropout()
    assert runtime.network("n", lambda: runtime.network("inner", lambda: inner)) is inner
