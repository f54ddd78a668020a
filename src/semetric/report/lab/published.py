"""What the SeSS paper reports of its transformations, for context beside a run's own numbers."""

from __future__ import annotations

__all__ = ["FIG_13", "SOURCE", "published"]

SOURCE = "SeSS paper, Fig. 13"

FIG_13: dict[str, dict[str, float]] = {
    "translation": {"sess": 0.915, "vitscore": 0.790, "lpips": 0.901, "ms_ssim": 0.431, "psnr": 11.40},
    "rotation": {"sess": 0.847, "vitscore": 0.773, "lpips": 0.920, "ms_ssim": 0.524, "psnr": 13.12},
    "reflection": {"sess": 0.836, "vitscore": 0.705, "lpips": 0.520, "ms_ssim": 0.198, "psnr": 8.55},
    "scaling": {"sess": 0.906, "vitscore": 0.844, "lpips": 0.910, "ms_ssim": 0.695, "psnr": 17.02},
    "colour_filter": {"sess": 0.864, "vitscore": 0.843, "lpips": 0.923, "ms_ssim": 0.993, "psnr": 18.21},
}
"""arXiv 2406.03865, Fig. 13: on photos of COCO 2017, at strengths that the paper does not state. Its LPIPS-score is
1 − d of the distance d."""

_TURNED = frozenset({"lpips"})  # printed as 1 − d, where ours is d


def published(transformation: str, metric: str) -> float | None:
    """The paper's figure in our direction: LPIPS as a distance. None where it reports none.

    Args:
        transformation: its name; spaces, hyphens and the spelling "color" are one with "colour_filter".
        metric: its name.
    """
    key = transformation.lower().replace(" ", "_").replace("-", "_").replace("color", "colour")
    value = FIG_13.get(key, {}).get(metric)
    return None if value is None else round(1 - value, 3) if metric in _TURNED else value
