"""The Relate-Anything head: which of 56 predicates holds between each two masks of an image.

Input is SAM's output token of each mask. A BERT encoder cut to two layers lets the tokens look at each other; two
linear maps then give every mask a subject and an object embedding per predicate, whose products are the logits.
Published as `ram_epoch12.pth` by the authors of Relate-Anything-Model, trained on Panoptic Scene Graphs; SeSS (arXiv
2406.03865, Section III-A) reads its relations from it. The layers are BERT's (Devlin et al. 2019, arXiv 1810.04805),
under the names that the checkpoint gives them. Always run in eval mode: the SeSS demo does not, and its dropout makes
scores random.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semetric.errors import UsageError, WeightsCorruptError, WeightsMissingError
from semetric.models.state import check_shapes, shapes_of
from semetric.weights.tensors import read_tensors

__all__ = ["TOKEN_WIDTH", "RelateAnything", "load_relate_anything"]

TOKEN_WIDTH = 256
"""Width of SAM's mask tokens, in every size of SAM."""

_PREDICATES = 56
_HEADS = 12
_MAX_LAYERS = 48  # the published head has 2, the deepest BERT in use 24
_BERT_EPS = 1e-12


class RelateAnything(nn.Module):
    """The head. Sizes are those of the checkpoint; the defaults those of the published one.

    Args:
        hidden: width of the encoder, a multiple of 12 (its heads).
        intermediate: width inside the encoder's feed-forward blocks.
        layers: encoder layers.
        embedding: width d of the subject and object embeddings.
        positions: size of the position table.
        types: size of the token type table.
    """

    def __init__(
        self,
        *,
        hidden: int = 768,
        intermediate: int = 3072,
        layers: int = 2,
        embedding: int = 512,
        positions: int = 512,
        types: int = 2,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.fc_input = nn.Sequential(nn.Linear(TOKEN_WIDTH, hidden), nn.LayerNorm(hidden))
        self.model = _Bert(hidden, intermediate, layers, positions, types)
        self.fc_output = nn.Sequential(nn.Linear(hidden, hidden), nn.LayerNorm(hidden))
        self.cls_sub = nn.Linear(hidden, _PREDICATES * embedding)
        self.cls_obj = nn.Linear(hidden, _PREDICATES * embedding)

    def logits(self, tokens: Tensor) -> Tensor:
        """Logit of each triplet, −9999 where subject and object are one mask.

        Args:
            tokens: (N, 256) mask tokens of one image.

        Returns:
            (56, N, N): predicate, subject, object.
        """
        if tokens.ndim != 2 or tokens.shape[1] != TOKEN_WIDTH:
            raise UsageError(f"Expected mask tokens of shape (N, {TOKEN_WIDTH}); found {tuple(tokens.shape)}.")
        n = len(tokens)
        if n == 0:
            return tokens.new_zeros(_PREDICATES, 0, 0)
        x = self.fc_output(self.model(self.fc_input(tokens)))  # (N, hidden)
        subject = self.cls_sub(x).view(n, _PREDICATES, self.embedding).transpose(0, 1)  # (56, N, d)
        object_ = self.cls_obj(x).view(n, _PREDICATES, self.embedding).transpose(0, 1)  # (56, N, d)
        logits: Tensor = subject @ object_.transpose(1, 2) / math.sqrt(self.embedding)  # (56, N, N)
        same = torch.eye(n, dtype=torch.bool, device=tokens.device)
        return logits.masked_fill(same, -9999.0)

    def forward(self, tokens: Tensor) -> Tensor:
        """Probability of each triplet; 0 where subject and object are one mask.

        Args:
            tokens: (N, 256) mask tokens of one image.

        Returns:
            (56, N, N) in [0, 1]: predicate, subject, object.

        Raises:
            UsageError: tokens of another shape.
        """
        return self.logits(tokens).sigmoid()


class _Bert(nn.Module):
    """BERT on given embeddings; every token has position id 1 and type 0, so that order has no part."""

    def __init__(self, hidden: int, intermediate: int, layers: int, positions: int, types: int) -> None:
        super().__init__()
        self.embeddings = nn.Module()
        self.embeddings.position_embeddings = nn.Embedding(positions, hidden)
        self.embeddings.token_type_embeddings = nn.Embedding(types, hidden)
        self.embeddings.LayerNorm = nn.LayerNorm(hidden, eps=_BERT_EPS)
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleList(_Layer(hidden, intermediate) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """(N, hidden) → (N, hidden)."""
        tables = self.embeddings
        x = x + tables.position_embeddings.weight[1] + tables.token_type_embeddings.weight[0]  # type: ignore[union-attr,index]
        x = tables.LayerNorm(x)  # type: ignore[operator]
        for layer in self.encoder.layer:  # type: ignore[union-attr]
            x = layer(x)
        return x


class _Layer(nn.Module):
    """One encoder layer: attention and feed-forward, each added to its input and normalised."""

    def __init__(self, hidden: int, intermediate: int) -> None:
        super().__init__()
        self.attention = nn.Module()
        self.attention.self = _BertAttention(hidden)
        self.attention.output = _Output(hidden, hidden)
        self.intermediate = nn.Module()
        self.intermediate.dense = nn.Linear(hidden, intermediate)
        self.output = _Output(intermediate, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(N, hidden) → (N, hidden)."""
        x = self.attention.output(self.attention.self(x), x)  # type: ignore[operator]
        out: Tensor = self.output(F.gelu(self.intermediate.dense(x)), x)  # type: ignore[operator]
        return out


class _BertAttention(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(N, hidden) → (N, hidden), heads side by side."""
        q, k, v = (
            part(x).unflatten(1, (_HEADS, -1)).transpose(0, 1) for part in (self.query, self.key, self.value)
        )  # (12, N, hidden / 12) each
        return F.scaled_dot_product_attention(q, k, v).transpose(0, 1).flatten(1)


class _Output(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=_BERT_EPS)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """(N, width), (N, hidden) → (N, hidden)."""
        out: Tensor = self.LayerNorm(self.dense(x) + residual)
        return out


def load_relate_anything(path: str | PathLike[str]) -> RelateAnything:
    """The head from a checkpoint in the layout of `ram_epoch12.pth`, in eval mode on the CPU.

    Sizes are read off the checkpoint. Its word embeddings and pooler, which the head never uses, are checked for and
    left behind.

    Args:
        path: a state dict saved by torch.

    Raises:
        WeightsMissingError: no file there.
        WeightsCorruptError: not a state dict of finite numbers, or keys or shapes are not those of the head.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsMissingError(
            f"Expected the Relate-Anything checkpoint (ram_epoch12.pth) at {path}; no file there. "
            "Name its place with --relations-weights."
        )

    def refuse(why: str) -> WeightsCorruptError:
        return _corrupt(path, "a state dict of tensors", f"that it {why}")

    state = read_tensors(path, refuse)
    state.pop("model.embeddings.position_ids", None)  # a buffer of older saves
    sizes, layers = _sizes(path, state)
    check_shapes(state, _expected(sizes, layers) | _unused(state), "a Relate-Anything head", str(path))
    with torch.device("meta"):  # of memory it takes none, of time what its layers need: they are known to be there
        head = RelateAnything(**sizes, layers=layers)
    head.load_state_dict({k: v for k, v in state.items() if k not in _unused(state)}, assign=True)
    return head.float().eval().requires_grad_(False)


def _sizes(path: Path, state: Mapping[str, Tensor]) -> tuple[dict[str, int], int]:
    """The arguments of RelateAnything that the checkpoint's own shapes tell, and how many layers its keys name."""
    layers = {m[1] for k in state if (m := re.match(r"model\.encoder\.layer\.(\d+)\.", k))}
    if len(layers) > _MAX_LAYERS:
        raise _corrupt(path, f"at most {_MAX_LAYERS} layers", f"{len(layers)}")
    sizes = {
        "cls_sub.weight": 2,
        "model.encoder.layer.0.intermediate.dense.weight": 2,
        "model.embeddings.position_embeddings.weight": 2,
        "model.embeddings.token_type_embeddings.weight": 2,
    }
    for key, dimensions in sizes.items():
        if key not in state or state[key].ndim != dimensions:
            raise _corrupt(
                path, f"{key} of {dimensions} dimensions", f"{len(state)} other keys" if state else "no keys"
            )
    rows, hidden = state["cls_sub.weight"].shape
    positions = len(state["model.embeddings.position_embeddings.weight"])
    if rows % _PREDICATES or not rows or hidden % _HEADS or not hidden or positions < 2:
        raise _corrupt(
            path,
            f"{_PREDICATES}·d predicate rows, a width that {_HEADS} heads divide and at least 2 positions",
            f"cls_sub.weight {rows} × {hidden} and {positions} positions",
        )
    return {
        "hidden": hidden,
        "intermediate": len(state["model.encoder.layer.0.intermediate.dense.weight"]),
        "embedding": rows // _PREDICATES,
        "positions": positions,
        "types": len(state["model.embeddings.token_type_embeddings.weight"]),
    }, len(layers)


def _expected(sizes: Mapping[str, int], layers: int) -> dict[str, tuple[int, ...]]:
    """Key → shape of a head of so many layers, which are all alike."""
    with torch.device("meta"):
        shapes = shapes_of(RelateAnything(**sizes, layers=1).state_dict())
    first = "model.encoder.layer.0."
    return shapes | {
        k.replace(first, f"model.encoder.layer.{i}."): v
        for k, v in shapes.items()
        if k.startswith(first)
        for i in range(1, layers)
    }


def _unused(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Keys of BERT that the head does not run, with the shapes that they must have."""
    hidden = state["cls_sub.weight"].shape[1]
    words = state.get("model.embeddings.word_embeddings.weight")
    return {
        "model.embeddings.word_embeddings.weight": (len(words) if words is not None and words.ndim else 0, hidden),
        "model.pooler.dense.weight": (hidden, hidden),
        "model.pooler.dense.bias": (hidden,),
    }


def _corrupt(path: Path, expected: str, found: str) -> WeightsCorruptError:
    return WeightsCorruptError(
        f"{path} is not a Relate-Anything checkpoint: expected {expected}; found {found}. "
        "Download ram_epoch12.pth again and pass its path (--relations-weights)."
    )
