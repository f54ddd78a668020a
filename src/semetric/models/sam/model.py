"""Segment Anything in one piece: image preparation, image encoder, prompt encoder, mask decoder."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from semetric.models.frame import SIDE, Frame
from semetric.models.sam.mask_decoder import GRID, Decoded, MaskDecoder
from semetric.models.sam.prompt_encoder import PromptEncoder

__all__ = ["Sam", "prepare", "prepare_tensor"]

MEAN = (123.675, 116.28, 103.53)  # of 0..255 RGB, arXiv 2304.02643's code
STD = (58.395, 57.12, 57.375)


def prepare(pixels: NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) uint8 RGB → (3, 1024, 1024) float32: bilinear to the longest side, normalised, zero-padded.

    Example:
        >>> prepare(np.zeros((30, 60, 3), np.uint8)).shape
        torch.Size([3, 1024, 1024])
    """
    h, w = Frame.of((pixels.shape[0], pixels.shape[1])).content
    image = Image.fromarray(pixels)
    small = np.asarray(image.resize((w, h), Image.Resampling.BILINEAR) if image.size != (w, h) else image)
    x = torch.from_numpy(small.copy()).permute(2, 0, 1).float()
    x = (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    return F.pad(x, (0, SIDE - w, 0, SIDE - h))


def prepare_tensor(images: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1] → (B, 3, 1024, 1024): `prepare` with gradients, without its rounding to 8 bits."""
    h, w = Frame.of((images.shape[2], images.shape[3])).content
    if images.shape[2:] != (h, w):
        images = F.interpolate(images, (h, w), mode="bilinear", align_corners=False, antialias=True)
    mean, std = (images.new_tensor(values)[:, None, None] for values in (MEAN, STD))
    return F.pad((images * 255 - mean) / std, (0, SIDE - w, 0, SIDE - h))


class Sam(nn.Module):
    """Any of the SAM family: TinyViT (MobileSAM), ViT-B, ViT-L or ViT-H before one decoder."""

    def __init__(self, image_encoder: nn.Module) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = PromptEncoder()
        self.mask_decoder = MaskDecoder()

    def encode(self, prepared: Tensor) -> Tensor:
        """(B, 3, 1024, 1024) from `prepare` → (B, 256, 64, 64) image embeddings."""
        y: Tensor = self.image_encoder(prepared)
        return y.float()

    def decode(
        self,
        embedding: Tensor,
        points: Tensor,
        labels: Tensor,
        *,
        boxes: Tensor | None = None,
        masks: Tensor | None = None,
        multimask: bool = True,
        min_iou: float | None = None,
        content: tuple[int, int] = (SIDE, SIDE),
    ) -> Decoded:
        """Masks for B prompts on one image.

        Args:
            embedding: (256, 64, 64), from `encode`.
            points: (B, P, 2) as x, y in prepared pixels (see `Frame`).
            labels: (B, P): 1 foreground, 0 background, −1 none.
            boxes: (B, 4) xyxy in prepared pixels.
            masks: (B, 1, 256, 256) logits of an earlier decoding.
            multimask: three masks a prompt rather than one.
            min_iou: skip the upscaling of prompts whose best predicted IoU is lower.
            content: height and width of the image in prepared pixels; logits that `full_size` does not need for
                it are left 0.
        """
        cells = embedding.flatten(1).T[None] + self.prompt_encoder.dense(masks)
        tokens = self.prompt_encoder(points, labels, boxes)
        grid = self.prompt_encoder.grid()
        # A pixel at the edge is interpolated from the logit under it and the next one; four logits make a cell.
        rows, columns = (min(GRID, -(-(-(-side // 4) + 1) // 4)) for side in content)
        # A few prompts at a time keep the cells (4 MB a prompt) near the processor; a GPU wants many.
        step = 4 if tokens.device.type == "cpu" else 64
        parts = []
        for i in range(0, len(tokens), step):
            own = cells if len(cells) == 1 else cells[i : i + step]
            part: Decoded = self.mask_decoder(
                own, tokens[i : i + step], grid, multimask=multimask, min_iou=min_iou, shape=(rows, columns)
            )
            parts.append(part._replace(kept=part.kept + i))
        return Decoded(*(torch.cat(values) for values in zip(*parts, strict=True)))

    @staticmethod
    def full_size(logits: Tensor, frame: Frame) -> Tensor:
        """(…, 256, 256) logits → (…, H, W) logits in the image's own pixels, bilinear twice as published."""
        lead = logits.shape[:-2]
        x = F.interpolate(logits.reshape(-1, 1, *logits.shape[-2:]), (SIDE, SIDE), mode="bilinear", align_corners=False)
        x = x[..., : frame.content[0], : frame.content[1]]
        x = F.interpolate(x, frame.size, mode="bilinear", align_corners=False)
        return x.view(*lead, *frame.size)
