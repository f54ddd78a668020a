"""The torchmetrics classes: equal to the functional form, whatever the batches and processes."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import semetric
from semetric.errors import ImageError, UsageError
from semetric.metrics.registry import METRICS

torchmetrics = pytest.importorskip("torchmetrics")

from semetric import torchmetrics as ours  # noqa: E402


def pairs(count: int, side: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    """8-bit levels, so that the exact road rounds nothing."""
    rng = torch.Generator().manual_seed(2)
    a, b = (torch.randint(0, 256, (count, 3, side, side + 8), generator=rng) / 255 for _ in range(2))
    return a, b


def test_every_metric_has_a_class() -> None:
    classes = {getattr(ours, name).name: getattr(ours, name) for name in ours.__all__ if name != "MeanScore"}
    assert set(classes) == set(METRICS)
    for name, cls in classes.items():
        assert cls.higher_is_better is METRICS[name].higher_is_better
        assert cls.is_differentiable is (name != "sess")


@pytest.mark.parametrize("name", ["MSE", "PSNR", "SSIM"])
@pytest.mark.parametrize("exact", [True, False])
def test_the_mean_of_the_functional_form_in_any_batches(name: str, exact: bool) -> None:
    images, references = pairs(7)
    metric = semetric.create(getattr(ours, name).name, store=None, device="cpu")
    expected = sum(s.value for s in metric.batch(list(references), list(images))) / 7
    found = []
    for sizes in ([7], [1] * 7, [4, 3], [2, 5]):
        one = getattr(ours, name)(exact=exact)
        for a, b in zip(images.flip(0).split(sizes), references.flip(0).split(sizes), strict=True):
            one.update(a, b)
        found.append(float(one.compute()))
    assert found == pytest.approx([expected] * 4, rel=1e-6)  # a float32 result
    if exact:
        assert len(set(found)) == 1


def test_forward_reset_copy_and_pickle() -> None:
    images, references = pairs(4)
    one = ours.SSIM()
    first = one(images[:2], references[:2])
    one(images[2:], references[2:])
    whole = one.compute()
    again = pickle.loads(pickle.dumps(copy.deepcopy(one)))
    assert torch.equal(again.compute(), whole)
    one.reset()
    one.update(images[:2], references[:2])
    assert torch.equal(one.compute(), first)
    assert not torch.equal(first, whole)


def test_gradients_pass_through_forward_on_the_tensor_road() -> None:
    images, references = pairs(2)
    images.requires_grad_()
    ours.SSIM(exact=False)(images, references).backward()
    assert images.grad is not None
    assert images.grad.abs().max() > 0


def test_states_merge() -> None:
    images, references = pairs(5)
    whole, one, two = ours.MSE(), ours.MSE(), ours.MSE()
    whole.update(images, references)
    one.update(images[:2], references[:2])
    two.update(images[2:], references[2:])
    one.merge_state(two)
    assert torch.equal(one.compute(), whole.compute())


WORKER = """
import sys
import torch
import torch.distributed as dist
from semetric.torchmetrics import MSE

rank, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
images, references = torch.load(f"{folder}/pairs.pt")
part = slice(0, 2) if rank == 0 else slice(2, None)
metric = MSE()
metric.update(images[part], references[part])
print(float(metric.compute()))
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_processes_agree_on_the_mean_of_all_pairs(tmp_path: Path) -> None:
    images, references = pairs(5)
    torch.save((images, references), tmp_path / "pairs.pt")
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(rank), str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]
    said = [worker.communicate(timeout=180)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    alone = ours.MSE()
    alone.update(images, references)
    assert [float(line) for line in said] == [float(alone.compute())] * 2


def test_a_collection_scores_once_a_batch() -> None:
    images, references = pairs(3)
    collection = torchmetrics.MetricCollection([ours.MSE(), ours.PSNR(), ours.SSIM()])
    collection.update(images, references)
    assert set(collection.compute()) == {"MSE", "PSNR", "SSIM"}


def test_wrong_input_and_options_are_named() -> None:
    images, references = pairs(3)
    with pytest.raises(ImageError, match=r"expects tensors \(B, 3, H, W\)"):
        ours.MSE().update(images[0], references[0])
    with pytest.raises(ImageError, match="as many images as references"):
        ours.MSE().update(images, references[:2])
    with pytest.raises(ImageError):
        ours.MSE().update(images * 255, references * 255)
    with pytest.raises(UsageError):
        ours.SAMScore(paddin="include")


def test_sess_knows_the_exact_road_alone() -> None:
    assert ours.SeSS(exact=False).exact


@pytest.mark.weights
def test_a_metric_with_a_network() -> None:
    images, references = pairs(2, side=64)
    metric = semetric.create("samscore", store=None, device="cpu", padding="include")
    expected = sum(s.value for s in metric.batch(list(references), list(images))) / 2
    for exact, tolerance in ((True, 1e-6), (False, 2e-3)):  # a float32 result; a resize without 8-bit rounding
        one = ours.SAMScore(exact=exact, padding="include")
        one.update(images, references)
        assert float(one.compute()) == pytest.approx(expected, abs=tolerance)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu() -> None:
    images, references = (x.cuda() for x in pairs(3))
    one = ours.SSIM(exact=False).cuda()
    one.update(images, references)
    assert one.compute().device.type == "cuda"
    on_cpu = ours.SSIM(exact=False)
    on_cpu.update(images.cpu(), references.cpu())
    assert float(one.compute()) == pytest.approx(float(on_cpu.compute()), abs=1e-6)  # float64 sums in another order


def test_metrics_in_one_collection_keep_their_own_sums_after_an_undamaged_first_batch() -> None:
    images, references = pairs(4)
    kinds = {
        "mse": ours.MSE(),
        "tensors": ours.MSE(exact=False),
        "psnr": ours.PSNR(),
        "ssim": ours.SSIM(),
        "ssim_tensors": ours.SSIM(exact=False),
    }
    alone = copy.deepcopy(kinds)
    collection = torchmetrics.MetricCollection(dict(kinds))
    for batch in ((references, references), (images, references)):
        collection.update(*batch)
        for metric in alone.values():
            metric.update(*batch)
    found = collection.compute()
    assert {name: float(found[name]) for name in kinds} == {name: float(m.compute()) for name, m in alone.items()}
    assert [len(group) for group in collection.compute_groups.values()] == [1] * len(kinds)


def test_equal_metrics_in_one_collection_are_computed_once() -> None:
    images, references = pairs(2)
    collection = torchmetrics.MetricCollection({"a": ours.MSE(), "b": ours.MSE()})
    collection.update(images, references)
    assert len(collection.compute_groups) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("kind", ["MSE", "PSNR", "SSIM"])
def test_the_exact_road_gives_the_value_of_the_saved_files(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    from PIL import Image

    rng = torch.Generator().manual_seed(3)
    a, b = (torch.rand(1, 3, 24, 32, generator=rng).to(dtype) for _ in range(2))
    for name, x in (("a", a), ("b", b)):
        levels = (x[0].float() * 255).round().to(torch.uint8).permute(1, 2, 0)
        Image.fromarray(levels.numpy()).save(tmp_path / f"{name}.png")
    metric = getattr(ours, kind)()
    metric.update(b, a)
    files = semetric.create(metric.name, store=None, device="cpu")(tmp_path / "a.png", tmp_path / "b.png").value
    assert float(metric.compute()) == float(torch.tensor(files))  # to the digit, as float32
