"""A trained head on disk, in the layout of the published `ram_epoch12.pth`."""

from __future__ import annotations

import io

import torch
from torch import Tensor

from semetric.learn.relation_head.config import HeadSize
from semetric.models.relate_anything import RelateAnything

__all__ = ["pack", "published_layout", "size_of"]


def published_layout(head: RelateAnything) -> dict[str, Tensor]:
    """The state dict under the published keys.

    The published file carries two parts of BERT that the head never runs, word embeddings and a pooler, and readers
    expect them: they are zeros here, the words a single row.

    Args:
        head: of any size, on any device.

    Returns:
        Key → tensor on the CPU, float32.
    """
    state = {name: value.detach().float().cpu().contiguous() for name, value in head.state_dict().items()}
    hidden = head.cls_sub.in_features
    state["model.embeddings.word_embeddings.weight"] = torch.zeros(1, hidden)
    state["model.pooler.dense.weight"] = torch.zeros(hidden, hidden)
    state["model.pooler.dense.bias"] = torch.zeros(hidden)
    return state


def pack(head: RelateAnything) -> bytes:
    """The bytes of the checkpoint; equal weights give equal bytes, and so one digest."""
    stream = io.BytesIO()
    torch.save(published_layout(head), stream)
    return stream.getvalue()


def size_of(head: RelateAnything) -> HeadSize:
    """The shape of a head."""
    state = head.state_dict()
    return HeadSize(
        hidden=head.cls_sub.in_features,
        intermediate=len(state["model.encoder.layer.0.intermediate.dense.weight"]),
        layers=sum(name.endswith("intermediate.dense.weight") for name in state),
        embedding=head.embedding,
    )
