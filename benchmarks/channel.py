"""Coded bits a second of the digital link, beside Sionna's decoder. Writes docs/lab/channel_speed.md.

    python -m benchmarks.channel [--bytes 100000] [--out PAGE]

A random stream at code rate 1/2 over Gaussian noise, one process, one thread: the whole way from bytes to bytes. The
SNRs are where all blocks are lost (every iteration is run), where nearly all arrive, and 3 dB above that. Sionna
decodes the same blocks with the same rule ("boxplus", 20 iterations, flooding, float32).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import machine
from semetric.lab.channels import Link
from semetric.lab.channels._sionna import sionna
from semetric.lab.channels.ldpc import ldpc_code

__all__ = ["decoder_speeds", "link_speed", "main"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "lab" / "channel_speed.md"
CLIFFS_DB = {"bpsk": -1.5, "qpsk": 1.5, "16qam": 6.7, "64qam": 11.0}
OFFSETS_DB = (-2.0, 0.0, 3.0)


def link_speed(modulation: str, snr_db: float, stream: bytes) -> float:
    """Coded bits a second from bytes to bytes; the better of two runs, codes built and kernels compiled before."""
    link = Link(modulation=modulation)
    link.transmit(stream, snr_db, np.random.default_rng(0))
    seconds = []
    for seed in (1, 2):
        begin = time.perf_counter()
        coded_bits = link.transmit(stream, snr_db, np.random.default_rng(seed)).coded_bits
        seconds.append(time.perf_counter() - begin)
    return coded_bits / min(seconds)


def decoder_speeds(es_n0_db: float, blocks: int = 16) -> tuple[float, float]:
    """Coded bits a second of decoding alone, ours and Sionna's, for blocks of 8280 bits over BPSK."""
    k, n = 8280, 16560
    code = ldpc_code(k, n, 1)
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (blocks, k), np.uint8)
    noise_var = 10 ** (-es_n0_db / 10)
    received = 1 - 2.0 * code.encode(bits) + rng.standard_normal((blocks, n)) * (noise_var / 2) ** 0.5
    llrs = (4 * received / noise_var).astype(np.float32)
    fec = sionna("fec.ldpc")
    encoder = fec.LDPC5GEncoder(k, n, num_bits_per_symbol=1, device="cpu")
    reference = fec.LDPC5GDecoder(encoder, cn_update="boxplus", num_iter=20, device="cpu")
    speeds = []
    for decode in (lambda: code.decode(llrs, 20), lambda: reference(torch.from_numpy(-llrs))):
        decode()
        seconds = []
        for _ in range(2):
            begin = time.perf_counter()
            decode()
            seconds.append(time.perf_counter() - begin)
        speeds.append(blocks * n / min(seconds))
    return speeds[0], speeds[1]


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=100_000, help="of the stream")
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args()
    torch.set_num_threads(1)
    stream = np.random.default_rng(0).bytes(options.bytes)
    lines = [
        "# Speed of the digital link",
        "",
        f"Millions of coded bits a second on {machine()}, one thread, by `python -m benchmarks.channel`: from bytes to",
        "bytes at code rate 1/2, Gaussian noise, at most 20 iterations.",
        "",
        "| modulation | cliff − 2 dB, all iterations | at the cliff | cliff + 3 dB |",
        "|---|--:|--:|--:|",
    ]
    for modulation, cliff_db in CLIFFS_DB.items():
        speeds = [link_speed(modulation, cliff_db + offset, stream) / 1e6 for offset in OFFSETS_DB]
        lines.append(f"| {modulation}, cliff at {cliff_db:g} dB | " + " | ".join(f"{s:.2f}" for s in speeds) + " |")
    lines += [
        "",
        "Decoding alone, blocks of 8280 bits:",
        "",
        "| Es/N0 of BPSK | this decoder | Sionna's | ratio |",
        "|---|--:|--:|--:|",
    ]
    for offset in OFFSETS_DB:
        es_n0_db = CLIFFS_DB["bpsk"] + offset
        ours, theirs = decoder_speeds(es_n0_db)
        lines.append(f"| {es_n0_db:g} dB | {ours / 1e6:.2f} | {theirs / 1e6:.3f} | {ours / theirs:.0f} |")
    options.out.write_text("\n".join([*lines, ""]), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
