"""Arrays, tensors and the equality of all ways in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from semetric.errors import ImageError, UsageError
from semetric.image import read_image

RNG = np.random.default_rng(11)
PHOTO = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)


def chw(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))))
def test_one_image_has_one_digest_whichever_way_it_comes(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(array).save(path)
    tensor = chw(array).float() / 255
    ways = [
        array,
        np.asfortranarray(array),
        array.astype(np.float32) / np.float32(255),
        array / 255.0,
        array * (1 / 255.0),
        array.astype(np.uint16) * 257,
        Image.fromarray(array),
        path,
        str(path),
        tensor,
        tensor[None],
        tensor.double(),
        chw(array),
        tensor.requires_grad_(),
    ]
    pictures = [read_image(way) for way in ways]
    assert {p.digest for p in pictures} == {pictures[0].digest}
    assert all(np.array_equal(p.pixels, array) for p in pictures)


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(
        np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)), elements=st.floats(0, 1, width=32)
    )
)
def test_floats_survive(array: np.ndarray) -> None:
    picture = read_image(array)
    # held as they are, or moved to the 8-bit grid where all of them lie within 1e-4 / 255 of it
    assert np.abs(picture.to_float() - array).max() <= 1e-4 / 255 + 1e-7
    assert read_image(chw(array)).digest == picture.digest
    assert read_image(picture.to_tensor()).digest == picture.digest


def test_different_pixels_shapes_and_depths_have_different_digests() -> None:
    flat = np.zeros((2, 6, 3), np.uint8)
    sources = [flat, np.zeros((3, 4, 3), np.uint8), flat + 1, flat + np.float32(0.4) / 255]
    assert len({read_image(s).digest for s in sources}) == 4


def test_a_picture_is_returned_as_it_is() -> None:
    picture = read_image(PHOTO)
    assert read_image(picture) is picture


def test_pixels_are_a_read_only_copy() -> None:
    array = PHOTO.copy()
    picture = read_image(array)
    array[:] = 0
    assert np.array_equal(picture.pixels, PHOTO)
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels[0, 0, 0] = 1


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 1)])
def test_grey_arrays(shape: tuple[int, ...]) -> None:
    grey = PHOTO[:, :, 0].reshape(shape)
    picture = read_image(grey)
    assert np.array_equal(picture.pixels, np.repeat(PHOTO[:, :, :1], 3, axis=2))
    assert picture.notes == ("grey repeated over three channels",)
    assert read_image(torch.from_numpy(PHOTO[:, :, 0].copy())[None]).digest == picture.digest


def test_alpha_in_arrays_and_tensors() -> None:
    alpha = RNG.integers(0, 256, (6, 8, 1), dtype=np.uint8)
    rgba = np.concatenate([PHOTO, alpha], axis=2)
    whole = read_image(rgba, background="black")
    floats = read_image(chw(rgba).float() / 255, background="black")
    # the first is rounded to 8 bits
    assert np.abs(whole.to_float() - floats.to_float()).max() <= 0.5 / 255 + 1e-6
    assert whole.digest == read_image(Image.fromarray(rgba), background="black").digest
    assert floats.notes == ("alpha composited on black",)


def test_booleans() -> None:
    mask = PHOTO[:, :, 0] > 99
    assert np.array_equal(read_image(mask).pixels[:, :, 0], np.where(mask, 255, 0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    tensor = torch.rand(3, 6, 8).to(dtype)
    assert np.array_equal(read_image(tensor).to_float(), tensor.float().numpy().transpose(1, 2, 0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(value: float) -> None:
    array = np.full((6, 8, 3), 0.5, np.float32)
    array[2, 5, 1] = array[3, 0, 0] = value
    for source, noun in ((array, "array"), (chw(array), "tensor")):
        with pytest.raises(ImageError, match=f"the {noun} holds 2 NaN or infinite, the first at row 2, column 5"):
            read_image(source)


@pytest.mark.parametrize(
    ("low", "high", "hint"),
    [
        (0.0, 255.0, r"found tensor values from 0 to 255\. .*pass tensor / 255"),
        (-1.0, 1.0, r"found tensor values from -1 to 1\. .*pass \(tensor \+ 1\) / 2"),
        (-2.5, 2.25, r"found tensor values from -2\.5 to 2\.25\. Scale or clip"),
        (0.0, 1.01, r"from 0 to 1\.01"),
        (-0.01, 1.0, r"from -0\.01 to 1"),
    ],
)
def test_wrong_ranges_are_named(low: float, high: float, hint: str) -> None:
    tensor = torch.linspace(low, high, 3 * 6 * 8).view(3, 6, 8)
    with pytest.raises(ImageError, match=hint):
        read_image(tensor)
    with pytest.raises(ImageError, match=hint.replace("tensor", "array")):
        read_image(tensor.permute(1, 2, 0).numpy())


def test_rounding_past_the_ends_is_clipped_and_said() -> None:
    array = np.full((2, 2, 3), 0.3, np.float64)
    array[0, 0], array[1, 1] = -3e-6, 1 + 3e-6
    picture = read_image(array)
    assert (float(picture.pixels.min()), float(picture.pixels.max())) == (0.0, 1.0)
    assert "clipped to [0, 1]" in picture.notes[0]


@pytest.mark.parametrize("dtype", [np.int64, np.int16, np.uint32, np.complex64])
def test_other_dtypes_are_refused(dtype: type) -> None:
    with pytest.raises(ImageError, match=rf"uint8 in 0\.\.255 or floats in \[0, 1\]; found array.*{dtype.__name__}"):
        read_image(np.zeros((4, 4, 3), dtype))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 6, 8), "Channels come last"),
        ((6, 8, 5), r"found \(6, 8, 5\)"),
        ((2, 6, 8, 3), "One image at a time"),
        ((6,), r"found \(6,\)"),
        ((0, 8, 3), "at least 1 × 1"),
    ],
)
def test_wrong_array_shapes(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        read_image(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((6, 8, 3), "Channels come first"),
        ((2, 3, 6, 8), "Pass list"),
        ((6, 8), r"found \(6, 8\)"),
        ((3, 0, 8), "at least 1 × 1"),
        ((0, 3, 6, 8), "Pass list"),
    ],
)
def test_wrong_tensor_shapes(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        read_image(torch.zeros(shape))


@pytest.mark.parametrize("source", [None, 3, [[1, 2]], b"bytes", object()])
def test_other_types_are_refused(source: object) -> None:
    with pytest.raises(ImageError, match="Expected a path, a PIL image, a numpy array, a torch tensor or a Picture"):
        read_image(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [torch.nn.Linear(1, 1), torch.float32, torch.Size([3]), Image.Resampling.BICUBIC])
def test_what_torch_and_pillow_have_beside_images_is_refused(source: object) -> None:
    with pytest.raises(ImageError, match="Expected a path, a PIL image, a numpy array, a torch tensor or a Picture"):
        read_image(source)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")  # by torch, where the test makes one
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: torch.zeros(3, 4, 4).to_sparse(), "sparse"),
        (lambda: torch.zeros(3, 4, 4, device="meta"), "meta"),
        (lambda: torch.nested.nested_tensor([torch.zeros(3, 4, 4)]), "nested"),
    ],
    ids=["sparse", "meta", "nested"],
)
def test_tensors_without_an_array_of_numbers_are_refused(make: Callable[[], torch.Tensor], kind: str) -> None:
    with pytest.raises(ImageError, match=kind):
        read_image(make())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # torch is about to drop them
def test_quantised_tensors_are_refused() -> None:
    quantised = torch.quantize_per_tensor(torch.rand(3, 4, 4), 1 / 255, 0, torch.quint8)
    with pytest.raises(ImageError, match=r"quantised one\. Pass tensor\.dequantize\(\)"):
        read_image(quantised)


@pytest.mark.parametrize("dtype", [">u2", "<u2"])
def test_16_bit_arrays_of_either_byte_order(dtype: str) -> None:
    deep = (PHOTO.astype(np.uint16) * 257 - (PHOTO > 0)).astype(dtype)  # not on the 8-bit grid
    picture = read_image(deep)
    assert picture.digest == read_image(deep.astype(np.uint16)).digest
    assert picture.pixels.dtype == np.float32


@pytest.mark.parametrize("limit", ["5", 0, -1, float("nan"), True])
def test_the_limit_must_be_a_number(limit: object) -> None:
    with pytest.raises(UsageError, match="Expected max_pixels"):
        read_image(np.zeros((2, 2, 3), np.uint8), max_pixels=limit)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "background",
    ["no such colour", (1, 2, 300), (1, 2), None, ("a", 1, 2), (float("nan"), 1, 2), (1.5, 2, 3), 7, np.zeros((2, 3))],
    ids=str,
)
def test_background_must_be_a_colour(background: object) -> None:
    with pytest.raises(UsageError, match="Expected a"):
        read_image(np.zeros((2, 2, 4), np.uint8), background=background)  # type: ignore[arg-type]


def test_tensors_made_by_subclasses() -> None:
    class Photo(torch.Tensor):
        """As libraries of transformations define them."""

    photo = torch.rand(3, 4, 4).as_subclass(Photo)
    assert read_image(photo).size == (4, 4)
    assert read_image(torch.nn.Parameter(torch.rand(3, 4, 4))).size == (4, 4)


def test_reading_imports_no_torch(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(PHOTO).save(path)
    code = f"""
import sys
from semetric.image import read_image
read_image({str(path)!r}).digest
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
