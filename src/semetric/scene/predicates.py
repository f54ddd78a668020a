"""The 56 predicates of Panoptic Scene Graphs, and how alike each two of them are.

Yang et al., "Panoptic Scene Graph Generation", ECCV 2022, names the predicates; SeSS (arXiv 2406.03865) compares two by
the cosine of their phrases' text embeddings (Eq. 21).
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError

__all__ = ["PREDICATES", "predicate_similarity", "similarity_from_embeddings", "similarity_identity"]

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


def predicate_similarity(source: str = "minilm") -> NDArray[np.float64]:
    """The matrix that ships with the package.

    Args:
        source: the text encoder; "minilm" is the only one that ships. For others embed PREDICATES yourself and
            call `similarity_from_embeddings`.

    Returns:
        (56, 56), symmetric, 1 on the diagonal, read-only.

    Raises:
        UsageError: no such source.
    """
    below = _shipped(source)["similarity_below_diagonal"]
    similarity = np.eye(len(PREDICATES))
    for i, row in enumerate(below):
        similarity[i, :i] = row
        similarity[:i, i] = row
    similarity.setflags(write=False)
    return similarity


def similarity_identity(source: str = "minilm") -> str:
    """ "minilm.0.1.0@<first 12 hex>" of the encoder behind `predicate_similarity`, as results record it.

    Raises:
        UsageError: no such source.
    """
    return f"{source}.0.1.0@{_shipped(source)['model_sha256'][:12]}"


@lru_cache(maxsize=1)
def _shipped(source: str) -> dict[str, Any]:
    if source != "minilm":
        raise UsageError(f"Expected the shipped predicate similarity 'minilm'; found {source!r}.")
    text = (resources.files("semetric") / "data" / f"predicates_{source}.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    if tuple(document["predicates"]) != PREDICATES:
        raise UsageError(f"Expected the 56 predicates in order in predicates_{source}.json; reinstall semetric.")
    return document
