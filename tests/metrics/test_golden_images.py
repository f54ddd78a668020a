from __future__ import annotations

from typing import Any

import numpy as np

from semetric.image import read_image


def test_images_are_those_whose_scores_are_known(
    golden_images: dict[str, np.ndarray], classical: dict[str, Any]
) -> None:
    """Where this fails, another Pillow decodes or filters differently, and scores may differ with it."""
    assert {name: read_image(image).digest for name, image in golden_images.items()} == classical["sha256"]
