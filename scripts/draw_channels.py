"""Draws docs/images/lab/channels.png: error rates of the uncoded modulations against theory, and of the coded link.

python scripts/draw_channels.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from semetric.lab.channels import MODULATIONS, Link, bit_error_rate

mpl.use("agg")

OUT = Path(__file__).parents[1] / "docs" / "images" / "lab" / "channels.png"
# Okabe and Ito's colours, and a marker each.
STYLES = {"bpsk": ("#0072B2", "o"), "qpsk": ("#D55E00", "s"), "16qam": ("#009E73", "^"), "64qam": ("#CC79A7", "D")}
# Where all blocks are lost at code rate 1/2, Gaussian noise.
CLIFFS_DB = {"bpsk": -2.4, "qpsk": 0.6, "16qam": 5.6, "64qam": 10.0}
BYTES = 50_000
FLOOR = 1e-5


def uncoded(axes: Any, fading: bool) -> None:
    """Lines are theory, markers the link."""
    stream = np.random.default_rng(0).bytes(BYTES)
    snr_db = np.arange(-4, 25.1, 0.25)
    for modulation in MODULATIONS:
        colour, marker = STYLES[modulation]
        axes.semilogy(snr_db, bit_error_rate(modulation, snr_db, fading=fading), color=colour)
        link = Link(modulation=modulation, code_rate=1, fading="rayleigh" if fading else "none")
        for i, at in enumerate(range(-4, 26, 2)):
            rate = link.transmit(stream, at, np.random.default_rng(i)).bit_errors / (8 * BYTES)
            if rate > FLOOR:
                axes.plot(at, rate, marker, color=colour, markersize=4)
        axes.plot([], [], marker=marker, color=colour, label=modulation.upper(), markersize=4)
    axes.set_title("uncoded, Rayleigh fading" if fading else "uncoded, Gaussian noise")
    axes.set_xlabel("Es/N0 [dB]" if not fading else "mean Es/N0 [dB]")
    axes.set_ylim(FLOOR, 1)


def coded(axes: Any) -> None:
    """The waterfall: bits and blocks."""
    stream = np.random.default_rng(0).bytes(2 * BYTES)
    for modulation, cliff_db in CLIFFS_DB.items():
        colour, marker = STYLES[modulation]
        link = Link(modulation=modulation)
        at, bits, blocks = [], [], []
        for i in range(24):
            snr_db = cliff_db - 1.5 + i * 0.125
            sent = link.transmit(stream, snr_db, np.random.default_rng(i))
            at.append(snr_db)
            bits.append(sent.bit_errors / (16 * BYTES) or np.nan)
            blocks.append(sent.block_errors / sent.blocks or np.nan)
            if not sent.block_errors:
                break
        axes.semilogy(at, bits, color=colour, marker=marker, markersize=4)
        axes.semilogy(at, blocks, "--", color=colour)
    axes.plot([], [], "k-", label="bits")
    axes.plot([], [], "k--", label="blocks")
    axes.set_title("LDPC 1/2, Gaussian noise")
    axes.set_xlabel("Es/N0 [dB]")
    axes.set_ylim(FLOOR, 1.2)


def main() -> None:
    """Three panels, one row."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    uncoded(axes[0], False)
    uncoded(axes[1], True)
    coded(axes[2])
    axes[0].set_ylabel("wrong bits per bit")
    axes[2].set_ylabel("error rate")
    axes[1].legend(loc="lower left", title="markers: the link, lines: theory", title_fontsize=8, fontsize=8)
    axes[2].legend(loc="lower left", fontsize=8)
    for a in axes:
        a.grid(True, which="major", alpha=0.3)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(OUT, dpi=110)


if __name__ == "__main__":
    main()
