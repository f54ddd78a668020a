"""Colours that stay apart for colour-blind readers, and what is legible on them."""

from __future__ import annotations

__all__ = ["BETTER_HIGHER", "BETTER_LOWER", "INK", "PALETTE", "UNMATCHED", "luminance", "object_colour", "text_on"]

PALETTE = (
    "#B5E61D",
    "#AA4499",
    "#7CFFFA",
    "#EE6677",
    "#6A3D00",
    "#008DF9",
    "#DDCC77",
    "#882255",
    "#00C2F9",
    "#999933",
    "#CC79A7",
    "#832DB6",
)
"""Twelve of the colours that Okabe & Ito, Tol, Petroff and Wong recommend, chosen and ordered so that the nearest two
stay at least 20 apart in CIELAB for full vision and simulated protan- and deuteranopia (Machado et al. 2009)."""

UNMATCHED = "#D9D9D9"
INK = "#222222"
BETTER_HIGHER = "#0072B2"
BETTER_LOWER = "#D55E00"


def object_colour(rank: int) -> str:
    """The colour of the rank-th object, counted from 0; they recur after twelve, so numbers tell objects apart."""
    return PALETTE[rank % len(PALETTE)]


def luminance(colour: str) -> float:
    """Relative luminance of "#RRGGBB", in [0, 1] (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def text_on(colour: str) -> str:
    """Black or white, whichever has the higher contrast on the colour."""
    level = luminance(colour)
    return "#000000" if (level + 0.05) / 0.05 >= 1.05 / (level + 0.05) else "#FFFFFF"
