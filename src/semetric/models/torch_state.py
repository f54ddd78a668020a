"""Torch as this package computes with it, whatever state the caller has put it in.

A score must not depend on an autocast, a default or a process-wide setting of the program around it: it would enter the
cache as another value under the same key. This is the one place where that state is left, and entered again.

Grad mode, autocast and the default device belong to a thread. The other settings belong to the process: while any
thread is inside, they are this package's, and the last one out puts the caller's back.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

__all__ = ["clean_if_imported", "clean_state", "loading"]


@contextmanager
def clean_state(*, inference: bool | None = None) -> Iterator[None]:
    """For the time of the block, torch's state is that of a fresh process, for this package's computations.

    No autocast, float32 as default dtype and full float32 products, the CPU as default device, no demand for
    deterministic algorithms, every kernel of attention. In a process that was forked from one where torch was already
    loaded, torch keeps to one thread from the first block on: OpenMP's other threads exist in the parent alone, and
    waiting for them never ends.

    Args:
        inference: True computes without gradients; False leaves the caller's inference mode; None keeps the caller's
            grad mode.

    Example:
        >>> import torch
        >>> with torch.autocast("cpu"), clean_state():
        ...     torch.is_autocast_enabled("cpu")
        False
    """
    import torch

    with ExitStack() as stack:
        stack.enter_context(_process_wide.entered())
        for device_type in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device_type):
                stack.enter_context(torch.autocast(device_type, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if inference is not None:
            stack.enter_context(torch.inference_mode(inference))
        yield


@contextmanager
def clean_if_imported() -> Iterator[None]:
    """`clean_state` without gradients; nothing where torch is not imported yet, so that the caller has set nothing.

    It is round all that is scored and all that enters the cache, much of which needs no torch.
    """
    with clean_state(inference=True) if "torch" in sys.modules else nullcontext():
        yield


@contextmanager
def loading() -> Iterator[None]:
    """`clean_state` for what builds a network.

    Its tensors can serve a gradient later, even where the caller is in inference mode; and torch's global generator,
    from which initial weights are drawn before the file's replace them, keeps its state.
    """
    import torch

    with clean_state(inference=False), torch.random.fork_rng(devices=[]):
        yield


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """A process-wide setting of torch: how it is read and written, and the values that leave scores as they are."""

    read: Callable[[], Any]
    write: Callable[[Any], object]
    clean: tuple[Any, ...]  # the first is what is written


def _settings() -> tuple[_Setting, ...]:
    import torch

    backends: Any = torch.backends  # its stubs lack what makes modules of classes
    cuda, cudnn, mkldnn = backends.cuda, backends.cudnn, backends.mkldnn

    def precision(backend: Any, *clean: str) -> _Setting:
        return _Setting(
            read=lambda: backend.fp32_precision,
            write=lambda value: setattr(backend, "fp32_precision", value),
            clean=clean,
        )

    return (
        _Setting(read=torch.get_default_dtype, write=torch.set_default_dtype, clean=(torch.float32,)),
        _Setting(read=torch.get_deterministic_debug_mode, write=torch.set_deterministic_debug_mode, clean=(0,)),
        precision(cuda.matmul, "ieee", "none"),
        precision(cudnn.conv, "tf32"),  # as torch starts
        precision(mkldnn.matmul, "ieee", "none"),
        precision(mkldnn.conv, "ieee", "none"),
        _Setting(read=cuda.flash_sdp_enabled, write=cuda.enable_flash_sdp, clean=(True,)),
        _Setting(read=cuda.mem_efficient_sdp_enabled, write=cuda.enable_mem_efficient_sdp, clean=(True,)),
        _Setting(read=cuda.math_sdp_enabled, write=cuda.enable_math_sdp, clean=(True,)),
    )


class _ProcessWide:
    """The process-wide settings, and what the caller had set while threads are inside."""

    def __init__(self) -> None:
        self._settings: tuple[_Setting, ...] = ()
        self._lock = threading.Lock()
        self._inside = 0  # blocks, of all threads
        self._own = threading.local()  # depth: the blocks of this thread
        self._callers: dict[int, Any] = {}  # index of a setting → the caller's value, where it differs
        self._single_thread = False  # forked, and not yet said to torch

    @contextmanager
    def entered(self) -> Iterator[None]:
        with self._lock:
            self._enter()
        self._own.depth = self._depth + 1
        try:
            yield
        finally:
            self._own.depth = self._depth - 1
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._restore()

    def after_fork(self) -> None:
        """In the child there are no other threads: neither those of torch nor those that were inside."""
        self._lock = threading.Lock()
        self._inside = self._depth
        self._single_thread = "torch" in sys.modules
        if not self._inside:
            self._restore()

    @property
    def _depth(self) -> int:
        depth: int = getattr(self._own, "depth", 0)
        return depth

    def _enter(self) -> None:
        if self._single_thread:
            import torch

            torch.set_num_threads(1)
            self._single_thread = False
        self._settings = self._settings or _settings()
        for index, setting in enumerate(self._settings):
            value = setting.read()
            if value not in setting.clean:
                self._callers[index] = value  # the latest, if the caller sets it again while threads are inside
                setting.write(setting.clean[0])
        self._inside += 1

    def _restore(self) -> None:
        for index, value in self._callers.items():
            self._settings[index].write(value)
        self._callers.clear()


_process_wide = _ProcessWide()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process_wide.after_fork)
