from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BitImageProcessorPil, CLIPImageProcessorPil, ViTImageProcessorPil

from semetric.errors import ImageError, UsageError, WeightsCorruptError
from semetric.models.preparation import CLIP, DINOV2, VIT, Preparation


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth shapes and noise, so that filters and clipping both matter."""
    rng = np.random.default_rng(seed)
    waves = (
        np.sin(np.arange(height)[:, None, None] / 7 + np.arange(width)[None, :, None] / 5 + np.arange(3)) * 150 + 128
    )
    return np.clip(waves + rng.normal(0, 30, (height, width, 3)), 0, 255).astype(np.uint8)


PROCESSORS = {
    "clip": (CLIP, CLIPImageProcessorPil()),
    "vit": (VIT, ViTImageProcessorPil()),
    "dinov2": (
        DINOV2,
        BitImageProcessorPil(
            size={"shortest_edge": 256}, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
        ),
    ),
}


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("size", [(224, 224), (300, 451), (451, 300), (37, 500), (97, 61), (225, 224), (1, 3)])
def test_pixels_are_those_of_transformers(name: str, size: tuple[int, int]) -> None:
    ours, theirs = PROCESSORS[name]
    image = photo(*size)
    expected = theirs(image, return_tensors="np", input_data_format="channels_last").pixel_values[0]
    found = ours(image)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)  # float32 rounding of values up to 2.7


@given(height=st.integers(1, 70), width=st.integers(1, 70), crop=st.tuples(st.integers(1, 40), st.integers(1, 40)))
@settings(deadline=None, max_examples=40)
def test_crops_and_their_padding_are_those_of_transformers(height: int, width: int, crop: tuple[int, int]) -> None:
    theirs = CLIPImageProcessorPil(size={"shortest_edge": 20}, crop_size={"height": crop[0], "width": crop[1]})
    image = photo(height, width)
    expected = theirs(image, return_tensors="np", input_data_format="channels_last").pixel_values[0]
    ours = replace(CLIP, shortest=20, crop=crop)
    np.testing.assert_allclose(ours(image), expected, atol=1e-6)  # float32 rounding
    x = torch.from_numpy(image.astype(np.float64) / 255).permute(2, 0, 1)[None]
    assert tuple(ours.tensor(x).shape) == (1, 3, *crop)


@pytest.mark.parametrize("name", PROCESSORS)
def test_the_tensor_twin_differs_by_the_rounding_of_pixels(name: str) -> None:
    ours, _ = PROCESSORS[name]
    image = photo(301, 452)
    twin = ours.tensor(torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255)[0]
    # Pillow rounds to 8 bits after each of two passes: at most 1.5 levels, less on the average.
    error = np.abs(twin.numpy() - ours(image)) * 255 * np.array(ours.std)[:, None, None]
    assert error.max() < 1.6
    assert error.mean() < 0.4


def test_an_image_of_the_right_size_is_only_scaled() -> None:
    image = photo(224, 224)
    twin = CLIP.tensor(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)[0].numpy()
    np.testing.assert_allclose(CLIP(image), twin, atol=1e-6)  # float32 rounding


@pytest.mark.parametrize("crop", [(4, 5), (9, 9), (12, 3)])
def test_gradients(crop: tuple[int, int]) -> None:
    x = (0.2 + 0.6 * torch.rand(1, 3, 8, 10, dtype=torch.float64, generator=torch.manual_seed(0))).requires_grad_()
    assert torch.autograd.gradcheck(replace(CLIP, shortest=8, crop=crop).tensor, (x,))
    smooth = (0.4 + 0.1 * torch.rand(1, 3, 8, 10, dtype=torch.float64)).requires_grad_()  # no overshoot to clip
    assert torch.autograd.gradcheck(replace(VIT, size=(5, 4)).tensor, (smooth,))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, CLIP),
        ({"feature_extractor_type": "CLIPFeatureExtractor", "size": 336, "crop_size": 336, "resample": 3},
         replace(CLIP, shortest=336, crop=(336, 336))),
        ({"feature_extractor_type": "ViTFeatureExtractor", "size": 384, "resample": 2},
         replace(VIT, size=(384, 384))),
        ({"image_processor_type": "ViTImageProcessor", "size": {"height": 30, "width": 40},
          "image_mean": [0, 0.1, 0.2]}, replace(VIT, size=(30, 40), mean=(0.0, 0.1, 0.2))),
        ({"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256}, "crop_size": {"height": 224,
          "width": 224}, "rescale_factor": 0.00392156862745098, "do_center_crop": True}, replace(CLIP, shortest=256)),
        ({"do_center_crop": False, "size": {"height": 9, "width": 8}},
         replace(CLIP, shortest=None, size=(9, 8), crop=None)),
        ({"do_normalize": False}, replace(CLIP, mean=(0.0,) * 3, std=(1.0,) * 3)),
        ({"resample": 1}, replace(CLIP, resample="lanczos")),
    ],
)  # fmt: skip
def test_old_and_new_documents_are_read(document: dict[str, object], expected: Preparation) -> None:
    assert Preparation.from_config(document, CLIP, "here") == expected


def test_saved_processors_are_read() -> None:
    for name, (ours, theirs) in PROCESSORS.items():
        assert Preparation.from_config(json.loads(theirs.to_json_string()), CLIP, name) == ours


@pytest.mark.parametrize(
    "document",
    [
        {"do_resize": False},
        {"do_rescale": False},
        {"rescale_factor": 1.0},
        {"do_pad": True},
        {"size": {"longest_edge": 224}},
        {"size": "224"},
        {"size": 0},
        {"size": 10**6},
        {"crop_size": {"height": 3}},
        {"resample": 5},
        {"image_mean": [0.5, 0.5]},
        {"image_std": [0.5, 0.0, 0.5]},
        {"image_std": "half"},
    ],
)
def test_other_preparations_are_named(document: dict[str, object]) -> None:
    with pytest.raises(WeightsCorruptError, match=r"in there\.json"):
        Preparation.from_config(document, CLIP, "there.json")


def test_what_cannot_be_prepared_is_refused() -> None:
    with pytest.raises(ImageError, match="less extreme"):
        CLIP(np.zeros((1, 30_000, 3), np.uint8))
    for bad in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ImageError, match=r"Expected pixels \(H, W, 3\)"):
            CLIP(bad)
    with pytest.raises(UsageError, match="Lanczos"):
        replace(CLIP, resample="lanczos").tensor(torch.zeros(1, 3, 4, 4))
