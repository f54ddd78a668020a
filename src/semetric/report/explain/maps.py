"""Metrics that say where images differ, as maps to lay over them."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from semetric.image import Picture
from semetric.metrics.lpips import LPIPS, LPIPSSqueeze, LPIPSVgg
from semetric.models.frame import Frame
from semetric.models.runtime import Runtime
from semetric.report.account import Account, account_of
from semetric.scene.graded import coverage

if TYPE_CHECKING:
    from torch import Tensor

    from semetric.scoring import Scores

__all__ = ["Overlay", "kept_overlay", "lpips_overlay", "overlays", "samscore_overlay"]

MOST_CELLS = 128  # a side of an LPIPS map; finer detail than the photo on the page shows is of no use
_SAMSCORE_SIDE = 1024  # px of SAM's input
_SAMSCORE_CELL = 16


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """A map as the page holds it.

    Attributes:
        metric: whose map.
        title: for the control that shows it.
        words: what it shows, one sentence.
        levels: (rows, columns) 0..255 between low and high: one map for both images, or one each.
        low: the value of level 0.
        high: the value of level 255.
        mean: over the map, or over both.
        bright_is_high: whether bright yellow, "changed", stands at the high end.
        extent: (width, height) that the cells cover, in shares of the image's; more than 1 where the last stick out.
        smooth: whether to draw between the cells.
    """

    metric: str
    title: str
    words: str
    levels: tuple[NDArray[np.uint8], ...]
    low: float
    high: float
    mean: float
    bright_is_high: bool
    extent: tuple[float, float]
    smooth: bool

    def png(self, side: int = 0) -> bytes:
        """The map of an image in colours, one pixel a cell."""
        levels = self.levels[min(side, len(self.levels) - 1)]
        return _png(_colours()[levels if self.bright_is_high else 255 - levels])

    def gradient(self) -> bytes:
        """The scale from its low end on the left to its high end, as PNG."""
        line = _colours()[None, :, :]
        return _png(line if self.bright_is_high else line[:, ::-1])

    def packed(self) -> list[str]:
        """The levels of each map, row by row, in base64."""
        return [base64.b64encode(np.ascontiguousarray(levels).tobytes()).decode("ascii") for levels in self.levels]


def overlays(scores: Scores, reference: Picture, image: Picture, shared: Runtime) -> list[Overlay]:
    """The maps of those metrics among the scores that have one: graded SeSS's, SAMScore's, and one LPIPS's."""
    maps = []
    account = account_of(scores.scores.get("sess"))
    if account is not None and not account.iterates:
        maps.append(kept_overlay(account))
    samscore = scores.scores.get("samscore")
    if samscore is not None and "map" in samscore.artefacts:
        maps.append(samscore_overlay(samscore.artefacts["map"], reference.size))
    for kind in (LPIPS, LPIPSVgg, LPIPSSqueeze):
        if kind.name in scores.scores:
            maps.append(lpips_overlay(kind.name, _cells(kind(shared).map(reference, image))))
            break
    return maps


def kept_overlay(account: Account) -> Overlay:
    """What graded SeSS keeps of each pixel's share, which the objects that hold it and the whole images divide."""
    import torch

    matching, maps = account.matching, []
    for graph, bounds, gains in zip(account.graphs, matching.bounds, matching.gains, strict=True):
        members = graph.membership
        total, missed = coverage(graph.masks, members)
        weighted = np.zeros(graph.size)  # Σ member · share of the bound that an object keeps
        shares = np.divide(gains, bounds, out=np.zeros(len(bounds)), where=bounds > 0)
        for mask, member, share in zip(graph.masks, members, shares, strict=True):
            weighted[mask] += member * share
        held = np.divide(weighted, total, out=np.zeros(graph.size), where=total > 0)
        whole = (1.0 - missed) * held + missed * matching.image_similarity
        maps.append(_cells(torch.from_numpy(whole)[None, None]))
    return Overlay(
        metric="sess",
        title="SeSS map",
        words=(
            "What SeSS keeps of each pixel's share: of an object's pixels what the object keeps, of pixels that no "
            "object holds what the whole images keep."
        ),
        levels=tuple(_levels(cells, 0.0, 1.0) for cells in maps),
        low=0.0,
        high=1.0,
        mean=float(np.mean([cells.mean() for cells in maps])),
        bright_is_high=False,
        extent=(1.0, 1.0),
        smooth=False,
    )


def samscore_overlay(cells: NDArray[np.floating], size: tuple[int, int]) -> Overlay:
    """The map of cell cosines.

    Args:
        cells: (rows, columns) in [−1, 1] over an image.
        size: (H, W) of that image.
    """
    rows, columns = Frame.of(size).cells
    height, width = (max(1, int(side * _SAMSCORE_SIDE / max(size) + 0.5)) for side in size)
    low = math.floor(min(float(cells.min()), 0.95) * 20) / 20
    return Overlay(
        metric="samscore",
        title="SAMScore map",
        words="Cosine of the two images' SAM embeddings, cell by cell: 1 is the same structure.",
        levels=(_levels(cells, low, 1.0),),
        low=low,
        high=1.0,
        mean=float(cells.mean()),
        bright_is_high=False,
        extent=(columns * _SAMSCORE_CELL / width, rows * _SAMSCORE_CELL / height),
        smooth=False,
    )


def lpips_overlay(name: str, cells: NDArray[np.floating]) -> Overlay:
    """The map of weighted feature differences.

    Args:
        name: lpips, lpips_vgg or lpips_squeeze.
        cells: (rows, columns), non-negative.
    """
    high = max(math.ceil(float(cells.max()) * 20) / 20, 0.05)
    return Overlay(
        metric=name,
        title="LPIPS map" + {"lpips_vgg": " (VGG16)", "lpips_squeeze": " (SqueezeNet)"}.get(name, ""),
        words="Where LPIPS finds the patches different: 0 is the same.",
        levels=(_levels(cells, 0.0, high),),
        low=0.0,
        high=high,
        mean=float(cells.mean()),
        bright_is_high=True,
        extent=(1.0, 1.0),
        smooth=True,
    )


def _cells(whole: Tensor) -> NDArray[np.floating]:
    """(1, 1, H, W) → (rows, columns) means over blocks, at most MOST_CELLS a side."""
    import torch.nn.functional as F

    size = (min(MOST_CELLS, whole.shape[2]), min(MOST_CELLS, whole.shape[3]))
    cells: NDArray[np.floating] = F.adaptive_avg_pool2d(whole, size)[0, 0].cpu().numpy()
    return cells


def _levels(cells: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
    shares = (np.nan_to_num(cells, nan=low) - low) / (high - low)
    levels: NDArray[np.uint8] = np.rint(np.clip(shares, 0.0, 1.0) * 255).astype(np.uint8)
    return levels


@lru_cache(maxsize=1)
def _colours() -> NDArray[np.uint8]:
    """(256, 3) cividis, made for colour-blind readers (Nuñez, Anderton & Renslow 2018): dark blue to bright yellow."""
    from matplotlib import colormaps

    colours: NDArray[np.uint8] = np.rint(colormaps["cividis"](np.arange(256))[:, :3] * 255).astype(np.uint8)
    return colours


def _png(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(written, "PNG", optimize=True)
    return written.getvalue()
