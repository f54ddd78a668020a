"""The 56 predicates of Panoptic Scene Graphs, and how alike each two of them are.

Yang et al., "Panoptic Scene Graph Generation", ECCV 2022, names the predicates; SeSS (arXiv 2406.03865) compares two by
the cosine of their phrases' text embeddings (Eq. 21).
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from semetric.cache import key
from semetric.errors import UsageError
from semetric.models.clip import Clip

if TYPE_CHECKING:
    from semetric.models.runtime import Runtime

__all__ = ["PREDICATES", "SHIPPED", "predicate_similarity", "similarity_from_embeddings", "similarity_identity"]

SHIPPED = "minilm"
"""The text encoder whose similarities ship as a table; its network is needed to make that anew, not to use it."""

# fmt: off
PREDICATES: tuple[str, ...] = (
    "over", "in front of", "beside", "on", "in", "attached to", "hanging from", "on back of", "falling off",
    "going down", "painted on", "walking on", "running on", "crossing", "standing on", "lying on", "sitting on",
    "flying over", "jumping over", "jumping from", "wearing", "holding", "carrying", "looking at", "guiding",
    "kissing", "eating", "drinking", "feeding", "biting", "catching", "picking", "playing with", "chasing",
    "climbing", "cleaning", "playing", "touching", "pushing", "pulling", "opening", "cooking", "talking to",
    "throwing", "slicing", "driving", "riding", "parked on", "driving on", "about to hit", "kicking", "swinging",
    "entering", "exiting", "enclosing", "leaning on",
)
# fmt: on
"""The predicates in the order of the relation head's outputs."""


def similarity_from_embeddings(embeddings: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Cosine of each two rows.

    Args:
        embeddings: (P, d) text embedding of each phrase of PREDICATES, as written; any length.

    Returns:
        (P, P), symmetric, 1 on the diagonal, read-only.

    Raises:
        UsageError: a row without direction (zero, NaN or infinite).

    Example:
        >>> similarity_from_embeddings(np.array([[2.0, 0.0], [0.0, 1.0]])).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    rows = np.asarray(embeddings, np.float64)
    if rows.ndim != 2:
        raise UsageError(f"Expected embeddings of shape (P, d); found {rows.shape}.")
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(length).all() and (length > 0).all()):
        raise UsageError("Expected finite embeddings of more than zero length; found others.")
    unit = rows / length
    similarity: NDArray[np.float64] = unit @ unit.T
    similarity = 0.5 * (similarity + similarity.T)
    np.fill_diagonal(similarity, 1.0)
    similarity.setflags(write=False)
    return similarity


def predicate_similarity(source: str = "minilm", runtime: Runtime | None = None) -> NDArray[np.float64]:
    """The matrix that ships with the package, or that of a CLIP.

    Args:
        source: the text encoder: "minilm", whose matrix ships; a name of semetric.models.clip.CLIPS, or the
            path of a CLIP's folder. For others embed PREDICATES yourself and call `similarity_from_embeddings`.
        runtime: where a CLIP's network is kept, and the matrix cached on disk; needed for a CLIP alone.

    Returns:
        (56, 56), symmetric, 1 on the diagonal, read-only.

    Raises:
        UsageError: no such source.
        WeightsError: the CLIP is missing, or its folder has no tokenizer.

    Example:
        >>> predicate_similarity().shape
        (56, 56)
    """
    if source != SHIPPED and runtime is not None:
        return _clip_similarity(Clip(runtime, source), runtime)
    below = _shipped(source)["similarity_below_diagonal"]
    similarity = np.eye(len(PREDICATES))
    for i, row in enumerate(below):
        similarity[i, :i] = row
        similarity[:i, i] = row
    similarity.setflags(write=False)
    return similarity


def similarity_identity(source: str = "minilm", runtime: Runtime | None = None) -> str:
    """ "minilm.0.1.0@<first 12 hex>" of the encoder behind `predicate_similarity`, as results record it.

    Args:
        source: as in `predicate_similarity`.
        runtime: as in `predicate_similarity`.

    Example:
        >>> similarity_identity().partition("@")[0]
        'minilm.0.1.0'

    Raises:
        UsageError: no such source.
        WeightsError: a CLIP that is not on this machine.
    """
    if source != SHIPPED and runtime is not None:
        return Clip(runtime, source).identity
    return f"{source}.0.1.0@{_shipped(source)['model_sha256'][:12]}"


def _clip_similarity(clip: Clip, runtime: Runtime) -> NDArray[np.float64]:
    """From the cache where it was computed before; its key holds the CLIP and the phrases."""
    name = key(kind="predicate_similarity", clip=clip.identity, predicates=list(PREDICATES))
    arrays = runtime.store.get(name) if runtime.store else None
    if arrays is None:
        arrays = {"embeddings": clip.embed_texts(PREDICATES)}
        if runtime.store:
            runtime.store.put(name, arrays)
    return similarity_from_embeddings(arrays["embeddings"])


@lru_cache(maxsize=1)
def _shipped(source: str) -> dict[str, Any]:
    if source != SHIPPED:
        raise UsageError(f"Expected the shipped predicate similarity 'minilm'; found {source!r}.")
    text = (resources.files("semetric") / "data" / f"predicates_{source}.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    if tuple(document["predicates"]) != PREDICATES:
        raise UsageError(f"Expected the 56 predicates in order in predicates_{source}.json; reinstall semetric.")
    return document
