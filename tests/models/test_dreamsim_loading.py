"""Published folders and zips of DreamSim, small: what is read, what is refused, and that LoRA is merged."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fake_dreamsim import ALPHA, RANK, tiny, write_config, write_folder
from semetric.errors import ImageError, SemetricError, UsageError, WeightsCorruptError, WeightsMissingError
from semetric.models.dreamsim import files as files_module
from semetric.models.dreamsim.files import find_files
from semetric.models.dreamsim.network import SIDE, DreamSimNet, load_dreamsim, prepare, squash_tensor
from semetric.models.dreamsim.variants import VARIANTS, Variant, variant

EACH = pytest.mark.parametrize("name", VARIANTS)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OPENAI = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def images(count: int = 3) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(5))


def load(folder: Path, which: Variant, *, tuned: bool = True) -> DreamSimNet:
    return load_dreamsim(which, find_files(which, folder, tuned=tuned))


def zipped(folder: Path, target: Path, *, prefix: str = "", leave_out: str = "?") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as pack:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and leave_out not in str(file):
                pack.write(file, prefix + str(file.relative_to(folder)))
    return target


@pytest.fixture
def published(tmp_path: Path) -> Callable[[str], tuple[Path, Variant]]:
    """Writes a variant's folder."""

    def make(name: str) -> tuple[Path, Variant]:
        folder = tmp_path / "published"
        write_folder(folder, tiny(name))
        return folder, tiny(name)

    return make


def reference_vit(
    state: dict[str, Tensor], x: Tensor, heads: int, patch: int, eps: float, quick: bool
) -> tuple[Tensor, Tensor]:
    """(raw tokens of the last block, CLS after the last norm) by the textbook, in the dtype of x."""

    def norm(name: str, v: Tensor) -> Tensor:
        centred = v - v.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    def linear(name: str, v: Tensor) -> Tensor:
        return v @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    b, width, side = len(x), state["cls_token"].shape[-1], SIDE // patch
    cut = x.reshape(b, 3, side, patch, side, patch).permute(0, 2, 4, 1, 3, 5).reshape(b, side**2, -1)
    tokens = cut @ state["patch_embed.proj.weight"].reshape(width, -1).T + state["patch_embed.proj.bias"]
    x = torch.cat([state["cls_token"].expand(b, 1, width), tokens], 1) + state["pos_embed"]
    if "pos_drop.weight" in state:
        x = norm("pos_drop", x)
    for n in range(2):
        q, k, v = (
            linear(f"blocks.{n}.attn.qkv", norm(f"blocks.{n}.norm1", x))
            .reshape(b, -1, 3, heads, width // heads)
            .permute(2, 0, 3, 1, 4)
        )
        mixed = (q @ k.transpose(2, 3) / (width // heads) ** 0.5).softmax(3) @ v
        y = linear(f"blocks.{n}.attn.proj", mixed.transpose(1, 2).flatten(2))
        x = x + y * state.get(f"blocks.{n}.ls1.gamma", 1)
        y = linear(f"blocks.{n}.mlp.fc1", norm(f"blocks.{n}.norm2", x))
        y = y * torch.sigmoid(1.702 * y) if quick else y * (1 + torch.erf(y / 2**0.5)) / 2
        x = x + linear(f"blocks.{n}.mlp.fc2", y) * state.get(f"blocks.{n}.ls2.gamma", 1)
    return x, norm("norm", x)[:, 0]


def expected_embedding(name: str, wrote: dict[str, Any], x: Tensor, *, tuned: bool) -> Tensor:
    """The embedding by the published recipe alone: LoRA kept apart from W, trunks by the textbook, in float64."""
    found = []
    trunks = ["dino_vitb16", "clip_vitb16", "open_clip_vitb16"] if name == "ensemble" else [name.removesuffix("_patch")]
    for position, (trunk, saved) in enumerate(zip(trunks, wrote["trunks"], strict=True)):
        state = {key: value.double() for key, value in saved.items()}
        for block in range(2 if tuned else 0):
            stem = f"base_model.model.extractor_list.{position}.model.blocks.{block}.attn.qkv.lora_"
            a, b = (wrote["adapter"][f"{stem}{side}.weight"].double() for side in "AB")
            key = f"blocks.{block}.attn.qkv.weight"
            state[key] = state[key] + (ALPHA / RANK) * (b @ a)
        clip, patch = "clip" in trunk, int(trunk[-2:])
        if trunk == "dinov2_vitb14":
            table = state["pos_embed"][:, 1:].reshape(1, 37, 37, -1).permute(0, 3, 1, 2)
            table = torch.nn.functional.interpolate(table, scale_factor=16.1 / 37, mode="bicubic")
            state["pos_embed"] = torch.cat([state["pos_embed"][:, :1], table.flatten(2).transpose(1, 2)], 1)
        mean, std = (torch.tensor(v).double().view(3, 1, 1) for v in (OPENAI if clip else IMAGENET))
        tokens, last = reference_vit(
            state, (x.double() - mean) / std, 3, patch, 1e-5 if clip else 1e-6, trunk.startswith("clip")
        )
        found.append(last @ state["proj"] if clip else tokens if name.endswith("patch") else tokens[:, 0])
    e = torch.cat(found, -1)
    e = e - e.mean(-1, keepdim=True)
    e = e / e.norm(dim=-1, keepdim=True)
    return torch.cat([e[:, 0], e[:, 1:].mean(1)], 1) if name.endswith("patch") else e


@EACH
@pytest.mark.parametrize("tuned", [True, False], ids=["tuned", "untuned"])
def test_equals_the_recipe(name: str, tuned: bool, tmp_path: Path) -> None:
    wrote = write_folder(tmp_path, tiny(name))
    x = images(2)
    found = load(tmp_path, tiny(name), tuned=tuned).embed(x).double()
    expected = expected_embedding(name, wrote, x, tuned=tuned)
    assert found.shape == expected.shape == (2, tiny(name).size)
    assert torch.allclose(found, expected, atol=1e-6)  # float32 against float64, length 1: measured 1e-7
    other = expected_embedding(name, wrote, x, tuned=not tuned)
    assert float((other - expected).abs().max()) > 2e-4  # the adapter shows


def test_the_published_variants() -> None:
    sizes = {one.name: one.size for one in VARIANTS.values()}
    assert sizes == {
        "ensemble": 1792,
        "dino_vitb16": 768,
        "clip_vitb32": 512,
        "open_clip_vitb32": 512,
        "dinov2_vitb14": 768,
        "synclr_vitb16": 768,
        "dino_vitb16_patch": 1536,
        "dinov2_vitb14_patch": 1536,
    }
    adapters = [one.adapter for one in VARIANTS.values()]
    assert adapters[0] == "ensemble_lora"
    assert adapters[1] == "dino_vitb16_single_lora"
    assert adapters[-1] == "dinov2_vitb14_patch_lora"
    assert variant("clip_vitb32").archive == "dreamsim_clip_vitb32_checkpoint.zip"
    with pytest.raises(UsageError, match=r"ensemble, dino_vitb16.*found 'dino_vits8'"):
        variant("dino_vits8")


@EACH
def test_a_zip_is_its_folder(name: str, published: Callable[[str], tuple[Path, Variant]], tmp_path: Path) -> None:
    folder, which = published(name)
    (folder / "notes.txt").write_text("beside the weights")
    for prefix in ("", "models/"):
        archive = zipped(folder, tmp_path / "some.zip", prefix=prefix)
        one, two = find_files(which, folder), find_files(which, archive)
        assert [f.identity() for f in two.trunks] == [f.identity() for f in one.trunks]
        assert two.adapter is not None
        assert one.adapter is not None
        assert two.adapter.identity() == one.adapter.identity()
        assert two.adapter.identity().startswith(f"{which.adapter}.adapter_model@")
        assert torch.equal(load_dreamsim(which, two).embed(images(1)), load_dreamsim(which, one).embed(images(1)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["published", "some.zip"]  # nothing was unpacked


def test_a_backbone_beside_the_zip(published: Callable[[str], tuple[Path, Variant]], tmp_path: Path) -> None:
    folder, which = published("dino_vitb16")
    home = tmp_path / "home"
    home.mkdir()
    archive = zipped(folder, home / which.archive, leave_out="vitbase16")
    with pytest.raises(WeightsMissingError, match=r"checkpoints/dino_vitbase16_pretrain\.pth.*facebookresearch/dino"):
        find_files(which, archive)
    backbone = folder / "checkpoints" / "dino_vitbase16_pretrain.pth"
    (home / backbone.name).write_bytes(backbone.read_bytes())
    for place in (archive, home):  # the zip, or the folder that holds both
        assert torch.equal(load(place, which).embed(images(1)), load(folder, which).embed(images(1)))


def test_members_of_a_zip_never_become_paths(published: Callable[[str], tuple[Path, Variant]], tmp_path: Path) -> None:
    folder, which = published("clip_vitb32")
    archive = zipped(folder, tmp_path / "some.zip", prefix="../../")
    with pytest.raises(WeightsMissingError):
        find_files(which, archive)


def test_where_files_are_looked_for(
    published: Callable[[str], tuple[Path, Variant]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, which = published("clip_vitb32")
    cache = tmp_path / "cache" / "weights" / "dreamsim"
    own = tmp_path / "own"
    monkeypatch.setenv("SEMETRIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SEMETRIC_WEIGHTS_DIR", str(own))
    with pytest.raises(WeightsMissingError) as caught:
        find_files(which, None)
    message = str(caught.value)
    assert "DreamSim clip_vitb32 needs the file clip_vitb32_pretrain.pth.tar" in message
    assert "dreamsim_clip_vitb32_checkpoint.zip from the release v0.2.0-checkpoints" in message
    assert str(own / "dreamsim") in message
    assert f"into {cache / 'clip_vitb32'}" in message
    assert "--dreamsim-weights" in message

    cache.mkdir(parents=True)
    archive = zipped(folder, cache / which.archive)
    assert find_files(which, None).trunks[0].path == archive
    (cache / which.name).mkdir()
    inner = archive.rename(cache / which.name / which.archive)
    assert find_files(which, None).trunks[0].path == inner
    own.mkdir()
    folder.rename(own / "dreamsim")
    assert find_files(which, None).trunks[0].path == own / "dreamsim" / "clip_vitb32_pretrain.pth.tar"


def test_what_is_no_place(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match="nothing is there"):
        find_files(tiny("ensemble"), tmp_path / "nowhere")
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(WeightsCorruptError, match=r"text\.zip cannot be read"):
        find_files(tiny("ensemble"), tmp_path / "text.zip")


def test_a_missing_adapter(published: Callable[[str], tuple[Path, Variant]]) -> None:
    folder, which = published("dino_vitb16")
    (folder / "dino_vitb16_single_lora" / "adapter_model.safetensors").unlink()
    with pytest.raises(WeightsMissingError, match=r"dino_vitb16_single_lora/adapter_model\.safetensors"):
        find_files(which, folder)
    assert find_files(which, folder, tuned=False).adapter is None
    with pytest.raises(WeightsMissingError, match=r"dino_vitb16_patch_lora/adapter_model\.safetensors.*v0\.2\.1"):
        find_files(tiny("dino_vitb16_patch"), folder)


def test_an_adapter_of_older_peft(published: Callable[[str], tuple[Path, Variant]]) -> None:
    folder, which = published("clip_vitb32")
    before = load(folder, which).embed(images(1))
    file = folder / which.adapter / "adapter_model.safetensors"
    torch.save(load_file(file), file.with_suffix(".bin"))
    file.unlink()
    assert torch.equal(load(folder, which).embed(images(1)), before)


def rewrite(file: Path, change: Callable[[Any], Any]) -> None:
    torch.save(change(torch.load(file, weights_only=True)), file)


def without(key: str) -> Callable[[Any], Any]:
    return lambda state: {k: v for k, v in state.items() if k != key}


@pytest.mark.parametrize(
    ("name", "file", "change", "says"),
    [
        ("dino_vitb16", "checkpoints/dino_vitbase16_pretrain.pth", without("cls_token"), "without cls_token"),
        ("dino_vitb16", "checkpoints/dino_vitbase16_pretrain.pth", lambda s: {"student": s}, "dictionary of student"),
        ("dino_vitb16", "checkpoints/dino_vitbase16_pretrain.pth", lambda s: [1], "a list"),
        ("clip_vitb32", "clip_vitb32_pretrain.pth.tar", lambda s: s["state_dict"], "the entry 'state_dict'"),
        (
            "clip_vitb32",
            "clip_vitb32_pretrain.pth.tar",
            lambda s: {"state_dict": without("proj")(s["state_dict"])},
            "without proj",
        ),
        (
            "clip_vitb32",
            "clip_vitb32_pretrain.pth.tar",
            lambda s: {"state_dict": s["state_dict"] | {"proj": torch.zeros(24, 8)}},
            r"proj of shape \(24, 16\).*found \(24, 8\)",
        ),
        ("dinov2_vitb14", "checkpoints/dinov2_vitb14_pretrain.pth", without("blocks.1.ls2.gamma"), "ls2.gamma"),
    ],
)
def test_another_networks_file_is_named(
    name: str,
    file: str,
    change: Callable[[Any], Any],
    says: str,
    published: Callable[[str], tuple[Path, Variant]],
) -> None:
    folder, which = published(name)
    rewrite(folder / file, change)
    with pytest.raises(WeightsCorruptError, match=says) as caught:
        load(folder, which)
    assert str(folder / file) in str(caught.value)


class Mischief:
    """What a hostile pickle would call."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("mischief"),)


@pytest.mark.parametrize("place", ["clip_vitb32_pretrain.pth.tar", "clip_vitb32_single_lora/adapter_model.bin"])
def test_no_pickle_is_run(
    place: str,
    published: Callable[[str], tuple[Path, Variant]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, which = published("clip_vitb32")
    (folder / which.adapter / "adapter_model.safetensors").unlink()
    torch.save({}, folder / which.adapter / "adapter_model.bin")
    torch.save({"state_dict": Mischief()}, folder / place)
    with pytest.raises(WeightsCorruptError, match="never run"):
        load(folder, which)
    assert not Path("mischief").exists()


def test_truncated_files(published: Callable[[str], tuple[Path, Variant]], tmp_path: Path) -> None:
    folder, which = published("clip_vitb32")
    archive = zipped(folder, tmp_path / "some.zip")
    trunk = folder / "clip_vitb32_pretrain.pth.tar"
    trunk.write_bytes(trunk.read_bytes()[:5000])
    with pytest.raises(WeightsCorruptError, match=r"clip_vitb32_pretrain\.pth\.tar"):
        load(folder, which)
    data = bytearray(archive.read_bytes())
    middle = data.index(b"clip_vitb32_pretrain.pth.tar") + 4000
    data[middle : middle + 64] = bytes(64)
    archive.write_bytes(data)
    with pytest.raises(WeightsCorruptError, match=r"clip_vitb32_pretrain\.pth\.tar in .*some\.zip"):
        load(archive, which)


def test_files_that_are_too_large(
    published: Callable[[str], tuple[Path, Variant]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, which = published("clip_vitb32")
    archive = zipped(folder, tmp_path / "some.zip")
    monkeypatch.setattr(files_module, "MAX_ADAPTER_BYTES", 1000)
    for place in (folder, archive):
        found = find_files(which, place)
        assert found.adapter is not None
        with pytest.raises(WeightsCorruptError, match="at most 1000 bytes"):
            found.adapter.identity()
        with pytest.raises(WeightsCorruptError, match=r"at most 1000 bytes in .*adapter_model\.safetensors"):
            load_dreamsim(which, found)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"use_dora": True}, "use_dora = True"),
        ({"use_rslora": True}, "use_rslora = True"),
        ({"bias": "all"}, "bias = 'all'"),
        ({"alpha_pattern": {"qkv": 32}}, "alpha_pattern"),
        ({"peft_type": "IA3"}, "peft_type = 'IA3'"),
        ({"r": 0}, "0 and 8"),
        ({"r": 8}, r"A 8 × 24 and B 72 × 8 in block 0.*\(16, 24\) and \(72, 16\)"),
        ({"lora_alpha": "8"}, "16 and '8'"),
    ],
)
def test_settings_that_are_not_plain_lora(
    changes: dict[str, Any], says: str, published: Callable[[str], tuple[Path, Variant]]
) -> None:
    folder, which = published("clip_vitb32")
    write_config(folder, which, **changes)
    with pytest.raises(WeightsCorruptError, match=says):
        load(folder, which)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 5000, '{"r": 16}', "\xff"])
def test_settings_that_are_no_settings(text: str, published: Callable[[str], tuple[Path, Variant]]) -> None:
    folder, which = published("clip_vitb32")
    (folder / which.adapter / "adapter_config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(WeightsCorruptError, match=r"adapter_config\.json"):
        load(folder, which)


def test_the_scale_is_that_of_the_settings(published: Callable[[str], tuple[Path, Variant]]) -> None:
    """The single variants were tuned with another α than the ensemble."""
    folder, which = published("clip_vitb32")
    before = load(folder, which).trunks[0].blocks[0].attn.qkv.weight  # type: ignore[union-attr, index]
    write_config(folder, which, lora_alpha=4 * ALPHA)
    after = load(folder, which).trunks[0].blocks[0].attn.qkv.weight  # type: ignore[union-attr, index]
    plain = load(folder, which, tuned=False).trunks[0].blocks[0].attn.qkv.weight  # type: ignore[union-attr, index]
    assert torch.allclose(after - plain, 4 * (before - plain), atol=1e-6)  # float32 sums of 0.1


@pytest.mark.parametrize("edit", ["drop", "foreign", "more", "text"])
def test_adapters_that_do_not_fit(edit: str, published: Callable[[str], tuple[Path, Variant]]) -> None:
    folder, which = published("clip_vitb32")
    file = folder / which.adapter / "adapter_model.safetensors"
    state = load_file(file)
    first = next(iter(state))
    if edit == "drop":
        del state[first]
    elif edit == "foreign":
        state["base_model.model.mlp.fc1.weight"] = torch.zeros(2)
    elif edit == "more":
        state[first.replace("extractor_list.0", "extractor_list.1")] = state[first].clone()
    save_file(state, file)
    if edit == "text":
        file.write_text("no tensors")
    with pytest.raises(WeightsCorruptError, match=r"adapter_model\.safetensors; found"):
        load(folder, which)


def test_names_of_nested_adapters(published: Callable[[str], tuple[Path, Variant]]) -> None:
    """PEFT around PEFT puts its prefix twice, and some versions name the adapter."""
    folder, which = published("clip_vitb32")
    before = load(folder, which).embed(images(1))
    file = folder / which.adapter / "adapter_model.safetensors"
    state = {f"base_model.model.{k.replace('.weight', '.default.weight')}": v for k, v in load_file(file).items()}
    save_file(state, file)
    assert torch.equal(load(folder, which).embed(images(1)), before)


def test_embeddings_do_not_depend_on_the_batch(published: Callable[[str], tuple[Path, Variant]]) -> None:
    folder, which = published("ensemble")
    net, x = load(folder, which), images(5)
    together = net.embed(x)
    assert together.norm(dim=1).numpy() == pytest.approx(1, abs=1e-6)
    for size in (1, 2):
        apart = torch.cat([net.embed(part) for part in x.split(size)])
        assert torch.allclose(apart, together, atol=1e-6)  # float32 products ordered by batch size
    assert net.embed(x[:0]).shape == (0, which.size)


def test_bad_batches(published: Callable[[str], tuple[Path, Variant]]) -> None:
    net = load(*published("clip_vitb32"))
    with pytest.raises(ImageError, match=r"\(B, 3, 224, 224\); found \(3, 224, 224\)"):
        net.embed(images(1)[0])
    with pytest.raises(ImageError, match=r"found \(1, 3, 224, 200\)"):
        net.embed(images(1)[..., :200])


@pytest.mark.parametrize("size", [(224, 224), (300, 500), (512, 224), (100, 60)])
def test_the_tensor_twin_of_the_preparation(size: tuple[int, int]) -> None:
    from skimage import data

    photo = data.astronaut()[: size[0], : size[1]]
    one = prepare([photo])
    two = squash_tensor(torch.from_numpy(photo.copy()).permute(2, 0, 1)[None] / 255)
    assert one.shape == two.shape == (1, 3, SIDE, SIDE)
    # Pillow rounds and clips to 8 bits after each of its two passes: 1.3 levels by rounding, more where the first
    # pass overshoots black or white; measured 1.9
    assert float((one - two).abs().max()) < 2.5 / 255
    assert float((one - two).abs().mean()) < 0.5 / 255  # a uniform rounding error: a quarter of a level, twice
    assert float(two.min()) >= 0
    assert float(two.max()) <= 1


def test_every_refusal_is_ours(tmp_path: Path) -> None:
    """Bytes of many kinds in place of each file: always an error that names the file, never one of torch's."""
    which = tiny("synclr_vitb16")
    write_folder(tmp_path, which)
    pickled = io.BytesIO()
    torch.save({"model": 3}, pickled)
    blobs = [
        b"",
        b"\x80\x04.",
        b"PK\x03\x04",
        b"{}",
        bytes(range(256)) * 8,
        pickled.getvalue(),
        json.dumps([1]).encode(),
    ]
    for file in (p for p in sorted(tmp_path.rglob("*")) if p.is_file()):
        kept = file.read_bytes()
        for blob in blobs:
            file.write_bytes(blob)
            with pytest.raises(SemetricError, match=file.name):
                load(tmp_path, which)
        file.write_bytes(kept)
    assert load(tmp_path, which).embed(images(1)).shape == (1, 24)


def test_an_archive_that_unpacks_to_far_more_is_not_unpacked(
    published: Callable[[str], tuple[Path, Variant]], tmp_path: Path
) -> None:
    folder, which = published("clip_vitb32")
    trunk = folder / "clip_vitb32_pretrain.pth.tar"
    trunk.write_bytes(bytes(8 << 20))
    archive = zipped(folder, tmp_path / "some.zip")
    assert archive.stat().st_size < 1 << 20
    with pytest.raises(WeightsCorruptError, match="bytes that would unpack to 8388608"):
        load(archive, which)
