from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from semetric import weights
from semetric.cache import Store
from semetric.errors import UsageError, WeightsMissingError
from semetric.models.runtime import Runtime
from semetric.scene.predicates import (
    PREDICATES,
    predicate_similarity,
    similarity_from_embeddings,
    similarity_identity,
)


def test_the_predicates():
    assert len(PREDICATES) == len(set(PREDICATES)) == 56
    # places that methods and data depend on
    assert [PREDICATES.index(p) for p in ("over", "on", "touching", "about to hit", "leaning on")] == [0, 3, 37, 49, 55]


def test_the_shipped_matrix():
    r = predicate_similarity()
    assert r.shape == (56, 56)
    assert r.dtype == np.float64
    np.testing.assert_array_equal(r, r.T)
    np.testing.assert_array_equal(np.diag(r), 1)
    off = r[~np.eye(56, dtype=bool)]
    assert -1 <= off.min() < off.max() < 1
    # a cosine matrix has no negative eigenvalue; entries are rounded to 6 digits, so 56 · 5e-7 at most
    assert np.linalg.eigvalsh(r).min() > -3e-5
    assert not r.flags.writeable

    def alike(a: str, b: str) -> float:
        return float(r[PREDICATES.index(a), PREDICATES.index(b)])

    assert alike("driving", "driving on") > alike("driving", "eating")
    assert alike("flying over", "over") > alike("wearing", "over")
    assert alike("eating", "drinking") > alike("eating", "parked on")


def test_the_encoder_is_the_recorded_one():
    assert re.fullmatch(r"minilm\.0\.1\.0@[0-9a-f]{12}", similarity_identity())
    assert similarity_identity() == weights.identity("minilm")


def test_unknown_source():
    with pytest.raises(UsageError, match="minilm"):
        predicate_similarity("clip")


def test_similarity_from_embeddings():
    r = similarity_from_embeddings(np.array([[2.0, 0], [0, 3], [1, 1]]))
    half = np.sqrt(0.5)
    np.testing.assert_allclose(r, [[1, 0, half], [0, 1, half], [half, half, 1]], atol=1e-15)
    for bad in (np.zeros((2, 3)), np.array([[1.0, np.nan]]), np.ones(3)):
        with pytest.raises(UsageError):
            similarity_from_embeddings(bad)


def test_a_clips_matrix_is_computed_once_and_kept_under_its_weights(tiny_clip: Path, tmp_path: Path) -> None:
    from transformers import CLIPModel, CLIPTokenizer

    from semetric.models.hub import quiet

    with quiet(), torch.inference_mode():
        words = CLIPTokenizer.from_pretrained(tiny_clip)(list(PREDICATES), padding=True, return_tensors="pt")
        rows = CLIPModel.from_pretrained(tiny_clip).eval().get_text_features(**words).pooler_output
    store = Store(tmp_path / "store")
    first = Runtime("lite", device="cpu", store=store)
    r = predicate_similarity(str(tiny_clip), first)
    np.testing.assert_allclose(r, similarity_from_embeddings(rows.numpy()), atol=1e-5)  # float32; order varies
    assert r.shape == (56, 56)
    assert np.ptp(r) > 0.01
    again = Runtime("lite", device="cpu", store=store)
    again.network = None  # type: ignore[assignment, method-assign]  # may not be asked for
    np.testing.assert_array_equal(predicate_similarity(str(tiny_clip), again), r)
    assert re.fullmatch(r"tiny_clip@[0-9a-f]{12}", similarity_identity(str(tiny_clip), again))
    with pytest.raises(UsageError, match="nothing_known"):
        predicate_similarity("nothing_known", first)


@pytest.mark.weights
@pytest.mark.slow
def test_the_script_makes_the_shipped_matrix():
    """Encodes the phrases anew; float32 sums differ by machine."""
    pytest.importorskip("transformers")
    import runpy
    from pathlib import Path

    script = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "predicate_similarity.py"))
    try:
        files = weights.locate("minilm"), weights.locate("minilm_tokenizer")
    except WeightsMissingError:
        pytest.skip("minilm is not among the lite weights; fetch it with semetric models fetch minilm minilm_tokenizer")
    made = similarity_from_embeddings(script["embeddings"](*files, PREDICATES))
    np.testing.assert_allclose(made, predicate_similarity(), atol=1e-5)
