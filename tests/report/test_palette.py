from __future__ import annotations

import numpy as np
import pytest

from semetric.report.palette import PALETTE, luminance, object_colour, text_on

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB
VISION = {
    "full": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


@pytest.mark.parametrize("vision", VISION)
def test_colours_stay_apart_for_colour_blind_readers(vision: str) -> None:
    from skimage.color import rgb2lab

    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in PALETTE]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(VISION[vision]).T, 0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)[np.triu_indices(len(PALETTE), 1)]
    assert apart.min() >= 20  # the palette's promise; 2.3 is a just noticeable difference


def test_text_has_the_contrast_that_wcag_asks_of_body_text() -> None:
    for colour in (*PALETTE, "#FFFFFF", "#000000", "#777777"):
        high, low = sorted((luminance(colour), luminance(text_on(colour))), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.2, level AA


def test_colours_recur_after_the_palette() -> None:
    assert object_colour(0) == object_colour(len(PALETTE)) != object_colour(1)
