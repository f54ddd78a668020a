"""Where the metrics of one run find their networks and what was computed before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from semetric.cache import Store, key
from semetric.errors import UsageError
from semetric.image import Picture
from semetric.profiles import Profile, profile

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Arrays", "Runtime"]

Arrays = dict[str, NDArray[Any]]


class Runtime:
    """Networks, loaded once each, and per-image products, computed once each.

    Importing and constructing this touches neither torch nor the network. Metrics that share an
    encoder share its products: they are held in memory for the last few images and on disk under
    the digest of the image, the identity of the weights and every setting that shaped them.

    Args:
        profile: a Profile or its name.
        device: "auto" (CUDA where there is one), "cpu" or "cuda".
        store: the disk cache; None keeps products in memory alone.
        remember: how many products stay in memory.
    """

    def __init__(
        self,
        profile_: Profile | str = "lite",
        *,
        device: str = "auto",
        store: Store | None = None,
        remember: int = 64,
    ) -> None:
        self.profile = profile(profile_) if isinstance(profile_, str) else profile_
        if device.split(":")[0] not in {"auto", "cpu", "cuda"}:
            raise UsageError(f"Expected a device among auto, cpu, cuda; found {device!r}.")
        self._device = device
        self.store = store
        self._networks: dict[str, nn.Module] = {}
        self._products: OrderedDict[str, Arrays] = OrderedDict()
        self._remember = remember

    @property
    def device(self) -> str:
        """The device that networks run on. Asking for "auto" imports torch."""
        if self._device == "auto":
            import torch

            self._device = "cuda" if torch.cuda.is_available() else "cpu"
        return self._device

    def network(self, name: str, load: Callable[[], nn.Module]) -> nn.Module:
        """The network of that name, in eval mode on the device; `load` makes it the first time."""
        if name not in self._networks:
            self._networks[name] = load().eval().requires_grad_(False).to(self.device)
        return self._networks[name]

    def product(self, picture: Picture, recipe: Mapping[str, Any], compute: Callable[[], Arrays]) -> Arrays:
        """What `compute` returns for this picture, from memory or disk where it was computed before.

        Args:
            picture: the image that it is computed from.
            recipe: kind, weight identities and settings: all that shapes the arrays; JSON values.
            compute: makes the arrays; must not use pickled objects.
        """
        name = key(image=picture.digest, **recipe)
        if name in self._products:
            self._products.move_to_end(name)
            return self._products[name]
        arrays = self.store.get(name) if self.store else None
        if arrays is None:
            arrays = compute()
            if self.store:
                self.store.put(name, arrays)
        for array in arrays.values():
            array.setflags(write=False)
        self._products[name] = arrays
        while len(self._products) > self._remember:
            self._products.popitem(last=False)
        return arrays
