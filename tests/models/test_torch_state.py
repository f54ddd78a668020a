"""Scores do not depend on what the caller's program has set in torch, and leave it as it was."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.backends import mkldnn
from torch.nn.attention import SDPBackend, sdpa_kernel

import semetric
from semetric.cache import Store
from semetric.image import Picture, read_image
from semetric.metrics.base import Metric, Score
from semetric.models.runtime import Runtime
from semetric.models.torch_state import clean_state

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 52, 3), dtype=np.uint8)


@contextmanager
def set_to(read: Callable[[], Any], write: Callable[[Any], object], value: Any) -> Iterator[None]:
    before = read()
    write(value)
    try:
        yield
        assert read() == value
    finally:
        write(before)


STATES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "default dtype float64": lambda: set_to(torch.get_default_dtype, torch.set_default_dtype, torch.float64),
    "default dtype bfloat16": lambda: set_to(torch.get_default_dtype, torch.set_default_dtype, torch.bfloat16),
    "default device meta": lambda: torch.device("meta"),
    "deterministic algorithms": lambda: set_to(
        torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode, 2
    ),
    "bfloat16 products": lambda: set_to(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "medium"
    ),
    "bfloat16 convolutions": lambda: set_to(
        lambda: mkldnn.conv.fp32_precision, lambda value: setattr(mkldnn.conv, "fp32_precision", value), "bf16"
    ),
    "attention that a CPU has not": lambda: sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION]),
}


def seen() -> dict[str, Any]:
    """What a computation depends on."""
    return {
        "autocast": torch.is_autocast_enabled("cpu"),
        "inference": torch.is_inference_mode_enabled(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device().type,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "products": mkldnn.matmul.fp32_precision in ("none", "ieee"),
        "convolutions": mkldnn.conv.fp32_precision in ("none", "ieee"),
        "attention": torch.backends.cuda.flash_sdp_enabled() and torch.backends.cuda.math_sdp_enabled(),
    }


FRESH = {
    "autocast": False,
    "inference": True,
    "dtype": torch.float32,
    "device": "cpu",
    "deterministic": False,
    "products": True,
    "convolutions": True,
    "attention": True,
}


@pytest.mark.parametrize("state", STATES)
def test_the_state_inside_is_that_of_a_fresh_process(state: str) -> None:
    with STATES[state]():
        before = seen()
        with clean_state(inference=True):
            assert seen() == FRESH
        assert seen() == before


@pytest.mark.parametrize("state", STATES)
def test_a_score_and_its_cached_products_are_those_of_a_fresh_process(
    state: str, tiny_vit: Path, tmp_path: Path
) -> None:
    def scored(place: Path, around: AbstractContextManager[Any]) -> tuple[float, dict[str, bytes]]:
        with around:
            store = Store(place)
            value = semetric.create("vitscore", vit=str(tiny_vit), device="cpu", store=store)(IMAGE, 255 - IMAGE).value
        return value, {file.name: file.read_bytes() for file in place.rglob("*.arrays")}

    fresh = scored(tmp_path / "fresh", nullcontext())
    assert fresh[1]
    assert scored(tmp_path / "other", STATES[state]()) == fresh


class OwnMetric(Metric):
    """One of a user's, in plain torch."""

    name = "own"
    higher_is_better = True
    range = (None, None)

    def _score(self, reference: Picture, image: Picture) -> Score:
        def compute() -> dict[str, np.ndarray]:
            return {"sum": np.array(product_sum(reference))}

        product = self.runtime.product(reference, {"kind": "own"}, compute)
        return self._make(float(product["sum"]) + product_sum(image))


def product_sum(picture: Picture) -> float:
    """Depends on autocast, on the precision of products, and by `arange` on the default device and dtype."""
    x = torch.from_numpy(np.array(picture.to_float()[..., 0]))
    return float((x @ x.T / torch.arange(1, len(x) + 1)).sum())


@pytest.mark.parametrize("state", STATES)
def test_plain_torch_in_a_metric_or_a_product_sees_the_state_of_a_fresh_process(state: str) -> None:
    fresh = OwnMetric(Runtime("lite", device="cpu"))(IMAGE, 255 - IMAGE).value
    with STATES[state]():
        assert OwnMetric(Runtime("lite", device="cpu"))(IMAGE, 255 - IMAGE).value == fresh
        product = Runtime("lite", device="cpu").product(
            read_image(IMAGE), {"kind": "state"}, lambda: {"seen": np.array(str(seen()))}
        )
    assert str(product["seen"]) == str(FRESH)


@pytest.mark.parametrize("state", STATES)
def test_values_and_later_gradients_are_those_of_a_fresh_process(state: str, tiny_vit: Path) -> None:
    a = torch.from_numpy(IMAGE).permute(2, 0, 1)[None] / 255
    b = (1 - a).requires_grad_()

    def measured(around: AbstractContextManager[Any]) -> tuple[float, float]:
        metric = semetric.create("vitscore", vit=str(tiny_vit), device="cpu", store=None)
        with around:
            value = metric.values(a, b).item()
        (gradient,) = torch.autograd.grad(metric.values(a, b).sum(), b)
        return value, float(gradient.abs().sum())

    assert measured(STATES[state]()) == measured(nullcontext())


def test_images_made_in_inference_mode_serve_a_gradient() -> None:
    with torch.inference_mode():
        a = torch.rand(1, 3, 16, 16)
    b = torch.rand(1, 3, 16, 16, requires_grad=True)
    semetric.create("mse", device="cpu", store=None).values(a, b).sum().backward()
    assert b.grad is not None


def test_loading_a_network_draws_nothing_from_the_callers_generator() -> None:
    before = torch.random.get_rng_state()
    runtime = Runtime("lite", device="cpu")
    runtime.network("n", lambda: torch.nn.Linear(3, 3))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_last_thread_out_puts_the_callers_settings_back() -> None:
    entered, leave = threading.Event(), threading.Event()

    def stay() -> torch.dtype:
        with clean_state():
            entered.set()
            leave.wait(60)
            return torch.get_default_dtype()

    with set_to(torch.get_default_dtype, torch.set_default_dtype, torch.float64), ThreadPoolExecutor() as pool:
        other = pool.submit(stay)
        assert entered.wait(60)
        with clean_state():
            pass
        assert torch.get_default_dtype() == torch.float32  # the other thread still computes
        torch.set_default_dtype(torch.bfloat16)  # the caller's wish meanwhile
        with clean_state():
            assert torch.get_default_dtype() == torch.float32
        leave.set()
        assert other.result() == torch.float32
        assert torch.get_default_dtype() == torch.bfloat16
        torch.set_default_dtype(torch.float64)


def test_an_error_inside_puts_the_callers_settings_back() -> None:
    with set_to(torch.get_default_dtype, torch.set_default_dtype, torch.float64), torch.autocast("cpu"):
        with pytest.raises(ZeroDivisionError), clean_state(inference=True):
            1 / 0  # noqa: B018
        assert torch.get_default_dtype() == torch.float64
        assert torch.is_autocast_enabled("cpu")
        assert not torch.is_inference_mode_enabled()


def test_a_runtime_in_a_pickle_loads_again_and_a_deep_copy_shares() -> None:
    runtime = Runtime("lite", device="cpu", remember=7)
    network = runtime.network("n", lambda: torch.nn.Linear(3, 3))
    again = pickle.loads(pickle.dumps(runtime))
    assert (again.profile, again.device, again._remember) == (runtime.profile, "cpu", 7)
    assert again.network("n", lambda: torch.nn.Linear(2, 2)).in_features == 2
    assert copy.deepcopy(runtime).network("n", lambda: torch.nn.Linear(2, 2)) is network


FORKED = """
import multiprocessing, sys
import numpy as np, torch
import semetric

torch.set_num_threads(2)  # the hang needs OpenMP's threads
image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
metric = semetric.create("vitscore", vit=sys.argv[1], device="cpu", store=None)
(torch.rand(64, 1024) @ torch.rand(1024, 1024)).sum()
torch.nn.functional.conv2d(torch.rand(1, 16, 128, 128), torch.rand(16, 16, 3, 3))
value = metric(image, 255 - image).value

def work(_):
    return metric(image, 255 - image).value, torch.get_num_threads()

# a pool's worker that hangs is never joined: one process whose end has a time limit
def child():
    torch_value, threads = work(0)
    sys.exit(0 if abs(torch_value - value) < 1e-6 and threads == 1 else 3)  # one thread sums in another order

process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(60)
process.kill()
sys.exit(process.exitcode if process.exitcode is not None else 9)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_forked_after_a_score_scores_too(tiny_vit: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, str(tiny_vit)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_lock_that_another_thread_held_at_a_fork_is_free_in_the_child() -> None:
    runtime = Runtime("lite", device="cpu")
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with runtime._loading, runtime._remembering, clean_state():
            held.set()
            release.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(60)
    child = os.fork()
    if not child:
        runtime.network("n", lambda: torch.nn.Identity())
        os._exit(0)
    for _ in range(600):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        threading.Event().wait(0.1)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
    release.set()
    holder.join()
    assert ended
    assert os.waitstatus_to_exitcode(status) == 0
