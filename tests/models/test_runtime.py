from __future__ import annotations

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
