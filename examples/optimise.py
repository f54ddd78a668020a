"""Reconstructs an image from noise by descending a metric: what does the metric see?

    python examples/optimise.py PHOTO --metric lpips --out frames [--steps 300] [--side 128]

DreamSim's paper (arXiv 2306.09344, Sec. 5.4) inverts metrics in this way. The image is parametrised by
its Fourier coefficients with a 1/f spectrum, which keeps single pixels from drifting apart. Every tenth
frame goes to --out as a PNG; the last line says how far the metric fell, and how far PSNR rose.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image

import semetric
from semetric.image import resize


def spectrum(side: int) -> torch.Tensor:
    """(side, side // 2 + 1): 1/f, the amplitude that natural images have at each frequency."""
    y, x = torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None]
    return 1 / (x**2 + y**2).sqrt().clamp(min=1 / side) / side


def picture(coefficients: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """(1, 3, side, side // 2 + 1, 2) → (1, 3, side, side) in [0, 1]."""
    pixels = torch.fft.irfft2(torch.view_as_complex(coefficients) * scale, norm="ortho")
    return torch.sigmoid(2 * pixels)


def main() -> None:
    """Runs the descent and writes the frames."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", help="the image to reconstruct")
    parser.add_argument("--metric", default="lpips", help="any metric with gradients")
    parser.add_argument("--profile", default="lite", help="lite, standard or paper")
    parser.add_argument("--out", type=Path, default=Path("frames"), help="the folder of the frames")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--side", type=int, default=128, help="pixels; ms_ssim needs 161")
    parser.add_argument("--rate", type=float, default=0.05, help="Adam's step")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    metric = semetric.create(options.metric, profile=options.profile, store=None)
    pixels = resize(semetric.read_image(options.photo).to_float(), (options.side, options.side))
    target = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].to(metric.runtime.device)
    torch.manual_seed(options.seed)
    scale = spectrum(options.side).to(target)
    shape = (1, 3, options.side, options.side // 2 + 1, 2)
    coefficients = torch.randn(shape).to(target).requires_grad_()
    optimiser = torch.optim.Adam([coefficients], lr=options.rate)
    direction = -1 if metric.higher_is_better else 1
    psnr = semetric.create("psnr", store=None)
    options.out.mkdir(parents=True, exist_ok=True)
    for step in range(options.steps + 1):
        image = picture(coefficients, scale)
        value = metric.values(target, image)[0]
        if step % 10 == 0 or step == options.steps:
            with torch.no_grad():
                levels = (image[0] * 255).round().byte().permute(1, 2, 0).cpu().numpy()
                fidelity = float(psnr.values(target, image)[0])
            Image.fromarray(levels).save(options.out / f"{step:05d}.png")
            print(f"step {step:5d}  {metric.name} {value.item():.4f}  psnr {fidelity:.2f} dB", flush=True)
        optimiser.zero_grad()
        (direction * value).backward()
        optimiser.step()


if __name__ == "__main__":
    main()
