"""Object masks from Segment Anything: the whole grid of points, or few points placed well.

`grid` is segment-anything's automatic mask generation with its published defaults (arXiv
2304.02643, App. B): 32 × 32 points, three masks a point, predicted IoU > 0.88, stability ≥ 0.95,
box non-maximum suppression at 0.7, no crops, no small-region clean-up. `adaptive` asks at a coarse
grid first and then where the image looks least like what has been asked; see `AdaptiveSettings`.
Both end with SeSS's own step: largest first, a mask that overlaps a kept one by more than 0.8 IoU
is dropped, at most 512 remain (methods of arXiv 2406.03865's published code).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from semetric.models.sam import Frame, Sam
from semetric.models.torch_state import clean_state
from semetric.scene.boxes import bounds
from semetric.scene.settings import ADAPTIVE, EVEN, GRID, AdaptiveSettings, MaskSettings

__all__ = ["Masks", "adaptive_masks", "distinct", "even_masks", "grid_masks"]


_ARRAYS = ("masks", "tokens", "iou", "stability", "points")


@dataclass(frozen=True, kw_only=True, eq=False)
class Masks:
    """N object masks of one image.

    Attributes:
        masks: (N, H, W) bool.
        tokens: (N, 256) float32, SAM's output token of each mask.
        iou: (N,) predicted IoU.
        stability: (N,) in [0, 1].
        points: (N, 2) x, y in the image's pixels: the prompt that each came from.
        prompts: number of points with which SAM was prompted.
    """

    masks: NDArray[np.bool_]
    tokens: NDArray[np.float32]
    iou: NDArray[np.float32]
    stability: NDArray[np.float32]
    points: NDArray[np.float32]
    prompts: int

    def __len__(self) -> int:
        return len(self.masks)

    def take(self, index: NDArray[np.intp]) -> Masks:
        """Those masks, in that order."""
        return replace(self, **{name: getattr(self, name)[index] for name in _ARRAYS})


def point_grid(side: int) -> NDArray[np.float64]:
    """(side², 2) x, y in [0, 1]: the centres of side × side equal cells, row by row."""
    centres = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(centres, centres)
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def suppress(boxes: NDArray[np.float64], scores: NDArray[np.float32], max_iou: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: indices of the boxes that remain, best first.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,); ties keep their order.
        max_iou: a box that overlaps a better one that remains more than this is dropped.

    Example:
        >>> boxes = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
        >>> suppress(boxes, np.array([0.8, 0.9, 0.7]), 0.7).tolist()
        [1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    survivors: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        survivors.append(int(best))
        order = rest[_box_iou(boxes[best], boxes[rest]) <= max_iou]
    return np.array(survivors, dtype=np.intp)


def _box_iou(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU of one xyxy box with (N, 4) others: (N,); 0 where both are empty."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    union = np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - shared
    iou: NDArray[np.float64] = np.divide(shared, union, out=np.zeros(len(boxes)), where=union > 0)
    return iou


def boxes_of(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N, H, W) → (N, 4) xyxy of the first and last pixel inside, as segment-anything counts; empty masks give 0."""
    boxes: NDArray[np.float64] = np.maximum(bounds(masks) - np.array((0.0, 0.0, 1.0, 1.0)), 0.0)
    return boxes


def overlaps(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Pairwise IoU of (N, H, W) masks: (N, N), 0 between empty ones."""
    flat = torch.from_numpy(masks).flatten(1).float()
    shared = flat @ flat.T  # exact: counts stay below 2^24
    area = shared.diagonal()
    union = area[:, None] + area[None] - shared
    iou: NDArray[np.float32] = (shared / union.clamp(min=1)).numpy()
    return iou


def distinct(masks: Masks, settings: MaskSettings) -> Masks:
    """SeSS's clean-up: by area, largest first; near-duplicates of a larger mask dropped; at most `max_masks`."""
    area = masks.masks.sum(axis=(1, 2))
    order = np.argsort(-area, kind="stable")
    order = order[area[order] > 0]
    iou = overlaps(masks.masks[order])
    chosen: list[int] = []
    for i in range(len(order)):
        if not chosen or iou[i, chosen].max() <= settings.max_mask_iou:
            chosen.append(i)
        if len(chosen) == settings.max_masks:
            break
    return masks.take(order[np.array(chosen, dtype=np.intp)])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Candidates:
    """Masks well enough predicted, as logits: (G, 256, 256), with (G, 256) tokens, (G,) iou and (G, 2) points."""

    logits: Tensor
    tokens: NDArray[np.float32]
    iou: NDArray[np.float32]
    points: NDArray[np.float32]

    def take(self, index: NDArray[np.intp]) -> _Candidates:
        return _Candidates(
            logits=self.logits[torch.from_numpy(index).to(self.logits.device)],
            tokens=self.tokens[index],
            iou=self.iou[index],
            points=self.points[index],
        )


def _concatenated(parts: list[_Candidates]) -> _Candidates:
    return _Candidates(
        logits=torch.cat([p.logits for p in parts]),
        tokens=np.concatenate([p.tokens for p in parts]),
        iou=np.concatenate([p.iou for p in parts]),
        points=np.concatenate([p.points for p in parts]),
    )


def _prompt(
    sam: Sam, embedding: Tensor, frame: Frame, points: NDArray[np.float64], settings: MaskSettings
) -> _Candidates:
    """Prompts SAM with single points, (P, 2) x, y in the image's pixels; keeps what it predicts above min_iou."""
    h, w = frame.size
    scale = np.array([frame.content[1] / w, frame.content[0] / h])
    prompts = torch.as_tensor(points * scale, dtype=torch.float32, device=embedding.device)[:, None]
    labels = torch.ones(len(points), 1, device=embedding.device)
    decoded = sam.decode(embedding, prompts, labels, min_iou=settings.min_iou, content=frame.content)
    upscaled = decoded.kept
    iou = decoded.iou[upscaled]
    good = iou > settings.min_iou  # (K, 3)
    of_point = upscaled[:, None].expand_as(good)[good].cpu().numpy()
    return _Candidates(
        logits=decoded.logits[good],
        tokens=decoded.tokens[upscaled][good].cpu().numpy(),
        iou=iou[good].cpu().numpy(),
        points=points[of_point].astype(np.float32),
    )


def _stability(logits: Tensor, offset: float) -> NDArray[np.float32]:
    """IoU of the masks at thresholds +offset and −offset: (G, H, W) → (G,)."""
    inside = (logits > offset).sum((1, 2))
    outside = (logits > -offset).sum((1, 2))
    value: NDArray[np.float32] = (inside / outside).nan_to_num(0.0).cpu().numpy()
    return value


def _full(candidates: _Candidates, frame: Frame, settings: MaskSettings) -> Masks:
    """Candidates in the image's own pixels; the unstable ones are dropped."""
    masks, stability = [np.zeros((0, *frame.size), bool)], [np.zeros(0, np.float32)]
    for part in torch.split(candidates.logits, 16):
        full = Sam.full_size(part, frame)
        stability.append(_stability(full, settings.stability_offset))
        masks.append((full > 0).cpu().numpy())
    full_size = Masks(
        masks=np.concatenate(masks),
        tokens=candidates.tokens,
        iou=candidates.iou,
        stability=np.concatenate(stability),
        points=candidates.points,
        prompts=0,
    )
    return full_size.take(np.flatnonzero(full_size.stability >= settings.min_stability))


def _joined(parts: list[Masks], prompts: int) -> Masks:
    return Masks(prompts=prompts, **{name: np.concatenate([getattr(p, name) for p in parts]) for name in _ARRAYS})


@clean_state(inference=True)
def grid_masks(sam: Sam, embedding: Tensor, frame: Frame, settings: MaskSettings = GRID) -> Masks:
    """segment-anything's automatic masks, before SeSS's own clean-up (`distinct`).

    Args:
        sam: the network.
        embedding: (256, 64, 64), from `sam.encode`.
        frame: where the image lies in SAM's input.
        settings: thresholds.
    """
    h, w = frame.size
    points = point_grid(settings.points_per_side) * (w, h)
    parts = []
    for i in range(0, len(points), 64):
        parts.append(_full(_prompt(sam, embedding, frame, points[i : i + 64], settings), frame, settings))
    masks = _joined(parts, len(points))
    return masks.take(suppress(boxes_of(masks.masks), masks.iou, settings.max_box_iou))


@clean_state(inference=True)
def adaptive_masks(
    sam: Sam,
    embedding: Tensor,
    frame: Frame,
    settings: MaskSettings = GRID,
    adaptive: AdaptiveSettings = ADAPTIVE,
) -> Masks:
    """Nearly the grid's masks from a fraction of its prompts, before SeSS's own clean-up (`distinct`).

    The candidates are the points of the full grid. After a coarse start, each next prompt is the
    candidate whose image embedding is least like that of any point prompted so far (farthest-point
    sampling), so that an even background costs a few prompts and a crowded corner many. Each prompt
    gives three masks. Points under an accepted small mask are settled and never prompted. The search ends
    at a batch that shows hardly an object not seen before.

    Args:
        sam: the network.
        embedding: (256, 64, 64), from `sam.encode`.
        frame: where the image lies in SAM's input.
        settings: thresholds, as for `grid_masks`.
        adaptive: where to ask.
    """
    h, w = frame.size
    side = settings.points_per_side
    unit = point_grid(side)
    points = unit * (w, h)
    looks = _embedding_at(embedding, unit * (frame.content[1], frame.content[0]))
    low_h, low_w = (-(-side_ // 4) for side_ in frame.content)  # of the logits, what holds image
    rows, columns = (unit[:, 1] * low_h).astype(int), (unit[:, 0] * low_w).astype(int)
    open_ = np.ones(len(points), bool)
    nearest = np.full(len(points), np.inf)  # 1 − cosine to the most similar prompted point
    parts: list[_Candidates] = []
    shapes: list[NDArray[np.bool_]] = []
    boxes = np.zeros((0, 4))  # of the objects seen so far
    prompts = 0
    chosen = _subgrid(side, adaptive.start_per_side)[: adaptive.max_prompts]
    for i in chosen:
        nearest = np.minimum(nearest, 1 - looks @ looks[i])
    while len(chosen):
        open_[chosen] = False
        candidates = _prompt(sam, embedding, frame, points[chosen], settings)
        prompts += len(chosen)
        low = candidates.logits[:, :low_h, :low_w]
        inside = (low > 0).cpu().numpy()
        share = inside.mean(axis=(1, 2))
        stable = _stability(low, settings.stability_offset) >= adaptive.min_stability
        good = np.flatnonzero(stable & (share >= adaptive.min_area))
        parts.append(candidates.take(good))
        shapes.append(inside[good])
        open_ &= ~shapes[-1][share[good] <= adaptive.small][:, rows, columns].any(axis=0)
        seen = len(boxes)
        for box in boxes_of(shapes[-1]):
            if not (_box_iou(box, boxes) > settings.max_box_iou).any():
                boxes = np.concatenate([boxes, box[None]])
        if prompts >= adaptive.min_prompts and len(boxes) - seen < adaptive.min_new:
            break
        picks: list[int] = []
        while len(picks) < min(adaptive.batch, adaptive.max_prompts - prompts):
            best = int(np.where(open_, nearest, -1.0).argmax())
            if not open_[best] or nearest[best] <= adaptive.novelty:
                break
            picks.append(best)
            open_[best] = False
            nearest = np.minimum(nearest, 1 - looks @ looks[best])
        chosen = np.array(picks, dtype=np.intp)
    every = _concatenated(parts)
    survivors = suppress(boxes_of(np.concatenate(shapes)), every.iou, settings.max_box_iou)
    masks = _full(every.take(survivors), frame, replace(settings, min_stability=0.0))
    return replace(masks, prompts=prompts)


@clean_state(inference=True)
def even_masks(sam: Sam, embedding: Tensor, frame: Frame, settings: MaskSettings = EVEN) -> Masks:
    """Masks from an even grid of prompts, with all that are good enough to fade in, before `distinct`.

    The prompts do not depend on the image, so that faint noise cannot move them. Of masks with nearly the same box the
    one with the largest product of predicted IoU and stability stands.

    Args:
        sam: the network.
        embedding: (256, 64, 64), from `sam.encode`.
        frame: where the image lies in SAM's input.
        settings: thresholds, at which a mask has no weight yet.

    Returns:
        The masks. Their stability is measured on the logits, a quarter of SAM's resolution.
    """
    h, w = frame.size
    points = point_grid(settings.points_per_side) * (w, h)
    low_h, low_w = (-(-side // 4) for side in frame.content)  # of the logits, what holds image
    candidates, shapes, stabilities = [], [], []
    for start in range(0, len(points), 16):
        batch = _prompt(sam, embedding, frame, points[start : start + 16], settings)
        low = batch.logits[:, :low_h, :low_w]
        inside = (low > 0).cpu().numpy()
        stability = _stability(low, settings.stability_offset)
        good = np.flatnonzero((stability >= settings.min_stability) & (inside.mean(axis=(1, 2)) >= ADAPTIVE.min_area))
        candidates.append(batch.take(good))
        shapes.append(inside[good])
        stabilities.append(stability[good])
    every, stability = _concatenated(candidates), np.concatenate(stabilities)
    order = suppress(boxes_of(np.concatenate(shapes)), every.iou * stability, settings.max_box_iou)
    masks = _full(every.take(order), frame, replace(settings, min_stability=0.0))
    return replace(masks, stability=stability[order], prompts=len(points))


def _subgrid(side: int, start: int) -> NDArray[np.intp]:
    """Indices, in a side × side grid, of the points nearest to the centres of start × start equal parts."""
    along = np.unique(((np.arange(start) + 0.5) * side / start).astype(np.intp))
    return (along[:, None] * side + along[None]).reshape(-1)


def _embedding_at(embedding: Tensor, points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Unit image embeddings (P, 256) at x, y in prepared pixels, bilinear between cells."""
    at = torch.as_tensor(points / 512 - 1, dtype=embedding.dtype, device=embedding.device)
    values = torch.nn.functional.grid_sample(
        embedding[None], at[None, None], padding_mode="border", align_corners=False
    )
    unit: NDArray[np.float32] = torch.nn.functional.normalize(values[0, :, 0].T, dim=1).cpu().numpy()
    return unit
