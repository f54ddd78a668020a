"""The profile `paper` at full size, on random weights in the published layouts: does it run, how long, how much memory?

    python -m benchmarks.paper_profile FOLDER [--side 512] [--remove]

Writes into FOLDER what docs/paper_profile.md tells a reader to put there, with random numbers in it (6.9 GB):
a SAM ViT-H under segment-anything's names, a Relate-Anything head as `ram_epoch12.pth` has it, and an OpenCLIP
ViT-H-14 in the hub's layout with a tokenizer of the published size. Then it scores one pair twice on the
command line, in a fresh process each: the second time from the cache. What is in FOLDER under these names
already is used as it is; --remove deletes what this run wrote, and nothing else.

A SAM of plain noise predicts no mask well enough to keep. So a few layers of the mask decoder are set: cells near
the prompted point take up its token, the filters tell those cells from the others, and the predicted IoU is shifted
to where a few points pass 0.88. Every other weight is drawn at random. Scores mean nothing; the road to them is real.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.machine import machine
from semetric.image import Picture, read_image
from semetric.models.frame import Frame
from semetric.models.relate_anything import RelateAnything
from semetric.models.sam.image_encoder import VIT_H, ImageEncoder
from semetric.models.sam.model import Sam, prepare
from semetric.scene.masks import point_grid
from semetric.scene.settings import GRID

__all__ = ["Run", "random_clip", "random_relations", "random_sam", "scored"]

SEMETRIC = Path(sys.executable).with_name("semetric")
METRICS = ("sess", "clipscore", "samscore")
NEEDED_BYTES = 8e9
SAM_FILE, RELATIONS_FILE, CLIP_FOLDER = "sam_vit_h_random.pth", "ram_random.pth", "open_clip_vit_h_14"

# A new process counts the memory of the one that it came from as its own until it has become another program. This
# one, which has held all the weights, would spoil the figure, so that a small one stands between.
RULER = """
import os, subprocess, sys, time
begin = time.perf_counter()
with open(sys.argv[1], "wb") as output:
    child = subprocess.Popen(sys.argv[2:], stdout=output)
_, status, usage = os.wait4(child.pid, 0)
child.returncode = os.waitstatus_to_exitcode(status)
print([time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024], file=sys.stderr)
sys.exit(child.returncode)
"""

RADII = (90.0, 120.0, 150.0)  # px of the prepared image: of the spots that the three masks of a prompt show
PASSING = 12  # of the 1024 prompts, for each of those three, whose predicted IoU is high enough
STEEPNESS = 400.0  # of the mask logits at a spot's rim, so that ±1 moves it little
BERT_WORDS, CLIP_WORDS = 30522, 49408
CLIP_TEXT: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "hidden_act": "gelu",
    "max_position_embeddings": 77,
}
CLIP_VISION: dict[str, Any] = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "hidden_act": "gelu",
    "patch_size": 14,
    "image_size": 224,
}


@torch.no_grad()
def random_sam(image_encoder: nn.Module, picture: Picture, seed: int) -> Sam:
    """A random SAM that finds a few round objects in the picture.

    Args:
        image_encoder: any; (1, 3, 1024, 1024) → (1, 256, 64, 64).
        picture: what the predicted IoU is shifted on.
        seed: of the decoder's numbers.
    """
    draw = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sam = Sam(image_encoder).eval()
    for name, value in image_encoder.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            value.normal_(0, 0.02, generator=draw)
    _let_points_glow(sam, draw)
    embedding = sam.encode(prepare(picture.to_uint8())[None])[0]
    _set_filters(sam, embedding)
    _set_predicted_iou(sam, embedding, Frame.of(picture.size))
    return sam


def _let_points_glow(sam: Sam, draw: torch.Generator) -> None:
    """In the last exchange cells look for tokens at their own place, so that those near a point take up its token."""
    decoder, prompts = sam.mask_decoder, sam.prompt_encoder
    prompts.pe_layer.positional_encoding_gaussian_matrix.normal_(generator=draw)
    quiet = (*prompts.point_embeddings, prompts.not_a_point_embed, prompts.no_mask_embed, decoder.mask_tokens)
    for table in quiet:
        table.weight.normal_(0, 0.05, generator=draw)
    first, last = decoder.transformer.layers
    first.norm4.weight.fill_(0.1)  # type: ignore[union-attr,operator]  # what a cell is counts for less than where
    last.norm3.weight.fill_(0.3)  # type: ignore[union-attr,operator]
    look: Any = last.cross_attn_image_to_token
    waves = torch.randperm(128, generator=draw)[:64]  # sine and cosine of each, side by side: 8 waves a head
    place = torch.zeros(128, 256)
    place[torch.arange(0, 128, 2), waves] = 2.0
    place[torch.arange(1, 128, 2), 128 + waves] = 2.0
    for projection in (look.q_proj, look.k_proj):
        projection.weight.copy_(place)
        projection.bias.zero_()
    mark = 6 * torch.randn(256, generator=draw)  # what all foreground points share, out of the way of place
    mark[waves] = mark[128 + waves] = 0.0
    prompts.point_embeddings[1].weight.copy_(mark)  # type: ignore[operator]
    look.v_proj.weight.mul_(5)
    look.out_proj.weight.mul_(5)
    for up in (decoder.output_upscaling[0], decoder.output_upscaling[3]):
        up.weight.copy_(3 * up.weight[:, :, :1, :1].clone())  # type: ignore[index,operator]  # no texture within a cell


def _set_filters(sam: Sam, embedding: Tensor) -> None:
    """Filters that tell cells within a radius of the point from those outside, by least squares on 16 points."""
    points = torch.from_numpy(point_grid(4)).float() * 1024
    lasts: list[Any] = [mlp.layers[-1] for mlp in sam.mask_decoder.output_hypernetworks_mlps]  # type: ignore[index]
    kept = [last.weight.clone() for last in lasts]
    columns = []
    for start in range(0, 32, 3):  # logits are linear in the filters: unit filters read the features out
        for last, column in zip(lasts[1:], range(start, start + 3), strict=True):
            last.weight.zero_()
            last.bias.copy_(torch.eye(32)[min(column, 31)])
        decoded = sam.decode(embedding, points[:, None], torch.ones(len(points), 1))
        columns.append(decoded.logits[:, :, 2::4, 2::4])
    features = torch.cat(columns, dim=1)[:, :32].flatten(2).transpose(1, 2).reshape(-1, 32)
    centres = torch.arange(2, 256, 4) * 4.0 + 2
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    distance = ((x - points[:, 0, None, None]) ** 2 + (y - points[:, 1, None, None]) ** 2).sqrt().flatten()
    for last, weight, radius in zip(lasts, kept, (RADII[0], *RADII), strict=True):
        inside = distance < radius
        share = inside.float().mean()
        balance = torch.where(inside, 0.5 / share, 0.5 / (1 - share)).sqrt()
        target = torch.where(inside, balance, -balance)
        answer = torch.linalg.lstsq(features * balance[:, None], target[:, None]).solution[:, 0]
        last.bias.copy_(STEEPNESS * answer)
        last.weight.copy_(weight)  # random, and small beside the bias


def _set_predicted_iou(sam: Sam, embedding: Tensor, frame: Frame) -> None:
    """Scale and shift of the predicted IoU with which PASSING of the grid's prompts pass, for each mask."""
    points = torch.from_numpy(point_grid(GRID.points_per_side)).float() * torch.tensor(frame.content[::-1])
    last: Any = sam.mask_decoder.iou_prediction_head.layers[-1]
    last.bias.zero_()
    # No mask can be predicted this good, so that none is drawn.
    found = sam.decode(embedding, points[:, None], torch.ones(len(points), 1), min_iou=float("inf")).iou
    gain = 0.05 / found.std(dim=0)
    top = found.topk(PASSING + 1, dim=0).values
    last.weight[1:] *= gain[:, None]
    last.bias[1:] = GRID.min_iou - gain * top[-2:].mean(dim=0)


def random_relations(seed: int, *, words: int = BERT_WORDS, **sizes: int) -> dict[str, Tensor]:
    """A random checkpoint with the keys of `ram_epoch12.pth`, those that the head never runs included.

    Args:
        seed: of the numbers.
        words: of BERT's vocabulary.
        sizes: RelateAnything's, where not the published ones.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = RelateAnything(**sizes)
        hidden = head.cls_sub.in_features
        positions = len(head.state_dict()["model.embeddings.position_embeddings.weight"])
        return {
            **head.state_dict(),
            "model.embeddings.position_ids": torch.arange(positions)[None],
            "model.embeddings.word_embeddings.weight": torch.randn(words, hidden),
            "model.pooler.dense.weight": torch.randn(hidden, hidden),
            "model.pooler.dense.bias": torch.randn(hidden),
        }


def random_clip(
    place: Path,
    seed: int,
    *,
    text: dict[str, Any] | None = None,
    vision: dict[str, Any] | None = None,
    projection: int = 1024,
    words: int = CLIP_WORDS,
) -> None:
    """A random CLIP as transformers writes it, in the older form that OpenCLIP's folders have.

    Older: the text's end is told by its being the highest token (`eos_token_id` 2), and the numbers of the
    positions are among the tensors.

    Args:
        place: the folder to make.
        seed: of the numbers.
        text: the text tower's configuration; None takes ViT-H-14's.
        vision: the image tower's; likewise.
        projection: length of an embedding.
        words: of the tokenizer: letters, and words without a use.
    """
    from safetensors.torch import save_file
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    text = {"vocab_size": words, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, **(text or CLIP_TEXT)}
    vision = vision or CLIP_VISION
    side: int = vision["image_size"]
    config = CLIPConfig(
        text_config=text,
        vision_config=vision,
        projection_dim=projection,
        architectures=["CLIPModel"],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = {name: value.contiguous() for name, value in CLIPModel(config).state_dict().items()}
    numbers = {"text_model": text["max_position_embeddings"], "vision_model": (side // vision["patch_size"]) ** 2 + 1}
    for model, count in numbers.items():
        state[f"{model}.embeddings.position_ids"] = torch.arange(count)[None]
    place.mkdir(parents=True)
    config.save_pretrained(place)
    save_file(state, str(place / "model.safetensors"), metadata={"format": "pt"})
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    known = [*letters, *(f"{letter}</w>" for letter in letters)]
    known += [f"word{i}</w>" for i in range(words - len(known) - 2)]
    vocabulary = {word: i for i, word in enumerate((*known, "<|startoftext|>", "<|endoftext|>"))}
    CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(place)
    CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side}).save_pretrained(
        place
    )


@dataclass(frozen=True, kw_only=True)
class Run:
    """One finished `semetric score`.

    Attributes:
        wall_s: seconds, from start to end of the process.
        cpu_s: seconds of processors, all together: what other work on the machine changes least.
        peak_bytes: the most memory that it held.
        scores: "scores" of its JSON.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int
    scores: dict[str, Any]


def scored(command: Sequence[str], output: Path, **environment: str) -> Run:
    """Runs `semetric score … --json`, as a user would.

    Raises:
        RuntimeError: it ended with another exit code than 0.
    """
    small = [sys.executable, "-S", "-c", RULER, str(output), *command]
    done = subprocess.run(small, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    wall_s, cpu_s, peak_bytes = json.loads(done.stderr.splitlines()[-1])
    scores = json.loads(output.read_text(encoding="utf-8"))["scores"]
    return Run(wall_s=wall_s, cpu_s=cpu_s, peak_bytes=peak_bytes, scores=scores)


def _pair(folder: Path, side: int) -> tuple[Path, Path]:
    """scikit-image's astronaut and its JPEG at quality 10."""
    from PIL import Image
    from skimage import data

    photo = Image.fromarray(data.astronaut()).resize((side, side))
    reference, image = folder / "reference.png", folder / "jpeg10.jpg"
    photo.save(reference)
    photo.save(image, quality=10)
    return reference, image


def _write(folder: Path, side: int) -> list[Path]:
    """Writes what is not there yet; returns what it wrote."""
    reference = folder / "reference.png"

    def sam(place: Path) -> None:
        torch.save(random_sam(ImageEncoder(VIT_H), read_image(str(reference)), 1).state_dict(), place)

    steps: list[tuple[str, Callable[[Path], None]]] = [
        (SAM_FILE, sam),
        (RELATIONS_FILE, lambda place: torch.save(random_relations(2), place)),
        (CLIP_FOLDER, lambda place: random_clip(place, 3)),
    ]
    written: list[Path] = []
    if not (reference.exists() and (folder / "jpeg10.jpg").exists()):
        written += _pair(folder, side)
    for name, write in steps:
        if not (folder / name).exists():
            print(f"writing {name}", flush=True)
            begin = time.perf_counter()
            write(folder / name)
            print(f"  {time.perf_counter() - begin:.0f} s")
            written.append(folder / name)
    return written


def main() -> None:
    """Writes, scores twice, and says what came out."""
    parser = argparse.ArgumentParser(description="Runs the profile paper on random weights of the published layouts.")
    parser.add_argument("folder", type=Path, help="where the weights go, 6.9 GB")
    parser.add_argument("--side", type=int, default=512, help="of the pair, in pixels")
    parser.add_argument("--remove", action="store_true", help="delete afterwards what this run wrote")
    asked = parser.parse_args()
    folder: Path = asked.folder
    folder.mkdir(parents=True, exist_ok=True)
    room = os.statvfs(folder)
    if not (folder / CLIP_FOLDER).exists() and room.f_bavail * room.f_frsize < NEEDED_BYTES:
        parser.error(f"{folder} has less than {NEEDED_BYTES / 1e9:.0f} GB free")
    written = _write(folder, asked.side)
    command = [str(SEMETRIC), "score", str(folder / "reference.png"), str(folder / "jpeg10.jpg"), "--profile", "paper"]
    command += ["--sam", str(folder / SAM_FILE), "--relations-weights", str(folder / RELATIONS_FILE), "--json"]
    for metric in METRICS:
        command += ["--metric", metric]
    cache = folder / "cache"
    if cache.exists():
        parser.error(f"{cache} is there from another run; remove it, so that nothing is cached")
    places = {"SEMETRIC_WEIGHTS_DIR": str(folder), "SEMETRIC_CACHE": str(cache)}
    output = folder / "scores.json"
    print(f"{machine()}\n{' '.join(command)}", flush=True)
    runs = []
    for what in ("nothing cached", "from the cache"):
        run = scored(command, output, **places)
        print(
            f"{what}: {run.wall_s:.1f} s ({run.cpu_s:.1f} s of processor), at most {run.peak_bytes / 1e9:.1f} GB",
            flush=True,
        )
        runs.append(run)
    print(json.dumps(runs[0].scores, indent=2, ensure_ascii=False))
    same = [runs[0].scores[name]["value"] == runs[1].scores[name]["value"] for name in METRICS]
    print("the second run gave the same values" if all(same) else "THE SECOND RUN GAVE OTHER VALUES")
    if asked.remove:
        _remove([*written, output, cache])


def _remove(places: Sequence[Path]) -> None:
    """Deletes these files and folders."""
    import shutil

    for place in places:
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
