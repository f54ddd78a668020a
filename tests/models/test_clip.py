from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semetric.cache import Store
from semetric.errors import ImageError, UsageError, WeightsCorruptError
from semetric.image import read_image
from semetric.models.clip import Clip
from semetric.models.runtime import Runtime

Copied = Callable[[Path, str], Path]


def clip_of(place: Path, store: Store | None = None) -> Clip:
    return Clip(Runtime("lite", device="cpu", store=store), str(place))


def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, size, dtype=np.uint8) for size in ((30, 30, 3), (41, 77, 3), (90, 33, 3), (12, 12, 3))]


@pytest.fixture(scope="module")
def official(tiny_clip: Path) -> tuple[Any, Any, Any]:
    """transformers' own model, image processor and tokenizer, as its documentation loads them."""
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    from semetric.models.hub import quiet

    with quiet():
        return (
            CLIPModel.from_pretrained(tiny_clip).eval(),
            CLIPImageProcessorPil.from_pretrained(tiny_clip),
            CLIPTokenizer.from_pretrained(tiny_clip),
        )


def test_image_embeddings_are_those_of_transformers(tiny_clip: Path, official: tuple[Any, Any, Any]) -> None:
    model, processor, _ = official
    with torch.inference_mode():
        expected = model.get_image_features(**processor(images(), return_tensors="pt")).pooler_output.numpy()
    found = clip_of(tiny_clip).embed_crops(images(), batch=3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())  # float32 rounding
    assert np.abs(expected[0] - expected[1]).max() > 0.01  # the images are not all alike to it


def test_text_embeddings_are_those_of_transformers(tiny_clip: Path, official: tuple[Any, Any, Any]) -> None:
    model, _, tokenizer = official
    texts = ["a cat on a cat", "on", "Cat, CAT!", "x y z"]
    with torch.inference_mode():  # padded to one length, as batches are
        expected = model.get_text_features(**tokenizer(texts, padding=True, return_tensors="pt")).pooler_output.numpy()
    found = clip_of(tiny_clip).embed_texts(texts)
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())  # float32 rounding
    assert clip_of(tiny_clip).embed_texts([]).shape == (0, 16)


def test_a_row_does_not_depend_on_the_batch(tiny_clip: Path) -> None:
    clip = clip_of(tiny_clip)
    together = clip.embed_crops(images(), batch=4)
    for batch in (1, 2, 3):
        np.testing.assert_allclose(clip.embed_crops(images(), batch=batch), together, atol=1e-6)  # order of sums
    np.testing.assert_allclose(clip.embed_crops(images()[::-1], batch=4)[::-1], together, atol=1e-6)


def test_tensors_give_the_embedding_of_pixels_and_gradients(tiny_clip: Path) -> None:
    clip = clip_of(tiny_clip)
    square = images()[0]  # of the network's size: nothing is resized, so nothing rounded
    x = (torch.from_numpy(square).permute(2, 0, 1)[None].float() / 255).requires_grad_()
    found = clip.embed_tensor(x)
    np.testing.assert_allclose(found.detach().numpy()[0], clip.embed_crops([square], batch=1)[0], atol=1e-5)
    found.sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().min()) >= 0
    assert float(x.grad.abs().max()) > 0
    assert all(parameter.grad is None for parameter in clip.network.parameters())


def test_an_embedding_is_computed_once_and_kept_under_the_weights(
    tiny_clip: Path, copied: Copied, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    picture = read_image(images()[1])
    first = clip_of(tiny_clip, store).embedding(picture)
    again = clip_of(tiny_clip, store)
    again.runtime.network = None  # type: ignore[assignment, method-assign]  # may not be asked for
    np.testing.assert_array_equal(again.embedding(picture), first)
    other = copied(tiny_clip, "tiny_clip")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "logit_scale_init_value": 2.0}))
    blocked = clip_of(other, store)
    blocked.runtime.network = None  # type: ignore[assignment, method-assign]
    with pytest.raises(TypeError):  # another digest: nothing is known of it
        blocked.embedding(picture)


def test_a_text_that_does_not_fit_is_refused_rather_than_cut(tiny_clip: Path) -> None:
    clip = clip_of(tiny_clip)
    assert clip.embed_texts(["cat " * 18]).shape == (1, 16)  # and two marks: 20 tokens
    with pytest.raises(UsageError, match="at most 20 tokens; found 21"):
        clip.embed_texts(["cat " * 19])


def test_wrong_tokenizers_are_named(tiny_clip: Path, copied: Copied) -> None:
    place = copied(tiny_clip, "none")
    (place / "tokenizer.json").unlink()
    assert clip_of(place).embed_crops(images(), batch=4).shape == (4, 16)  # images need none
    with pytest.raises(WeightsCorruptError, match=r"Expected a tokenizer .*none; found none"):
        clip_of(place).embed_texts(["cat"])
    (place / "tokenizer.json").write_text("{}")
    with pytest.raises(WeightsCorruptError, match=r"it cannot be read"):
        clip_of(place).embed_texts(["cat"])
    place = copied(tiny_clip, "other")
    config = json.loads((place / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 7  # would take some token in the middle for the whole text
    (place / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsCorruptError, match="texts end in token 7"):
        clip_of(place).embed_texts(["cat"])


def test_older_files_name_2_as_the_end_of_a_text(tiny_clip: Path, copied: Copied) -> None:
    """openai's do: then the highest token ends it."""
    place = copied(tiny_clip, "older")
    config = json.loads((place / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 2
    (place / "config.json").write_text(json.dumps(config))
    expected = clip_of(tiny_clip).embed_texts(["a cat"])
    np.testing.assert_allclose(clip_of(place).embed_texts(["a cat"]), expected, atol=1e-6)  # float32 rounding


def test_bad_crops_are_refused(tiny_clip: Path) -> None:
    with pytest.raises(ImageError, match=r"Expected pixels \(H, W, 3\)"):
        clip_of(tiny_clip).embed_crops([np.zeros((4, 4), np.uint8)], batch=1)


def test_choosing_one_imports_neither_torch_nor_transformers(tiny_clip: Path) -> None:
    code = (
        "import sys; from semetric.models.clip import Clip; from semetric.models.runtime import Runtime; "
        f"c = Clip(Runtime('lite'), {str(tiny_clip)!r}); c.identity; c.dim; c.preparation; "
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
