from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image


@pytest.fixture(scope="session")
def small_photo() -> NDArray[np.uint8]:
    """(128, 160, 3): a photo, small."""
    from skimage import data

    return np.asarray(Image.fromarray(data.coffee()).resize((160, 128), Image.Resampling.LANCZOS)).copy()
