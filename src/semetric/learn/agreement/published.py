"""What papers report of metrics on these data sets, for context beside one's own numbers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PUBLISHED", "PublishedFigure", "published"]

_DREAMSIM = "DreamSim paper, arXiv 2306.09344"
_LPIPS = "LPIPS paper, arXiv 1801.03924"
_DISTS = "DISTS paper, arXiv 2004.07728"


@dataclass(frozen=True, kw_only=True)
class PublishedFigure:
    """One published figure.

    Attributes:
        dataset: name in the registry.
        split: which; None for all of it.
        measure: name of the measure.
        mean_of_groups: whether it is the mean over the groups, as BAPPS reports it, and not over all items.
        method: what was measured, as the paper names it.
        metric: our metric of that definition; None where Semetric has none.
        value: in the measure's own unit: accuracies in [0, 1].
        source: where it is reported.
    """

    dataset: str
    split: str | None
    measure: str
    method: str
    metric: str | None
    value: float
    source: str
    mean_of_groups: bool = False


def _nights(method: str, metric: str | None, value: float) -> PublishedFigure:
    return PublishedFigure(
        dataset="nights", split="test", measure="2afc", method=method, metric=metric, value=value, source=_DREAMSIM
    )


def _rated(method: str, metric: str | None, kadid: float, tid: float) -> tuple[PublishedFigure, ...]:
    return tuple(
        PublishedFigure(
            dataset=name, split=None, measure="srcc", method=method, metric=metric, value=value, source=_DISTS
        )
        for name, value in (("kadid10k", kadid), ("tid2013", tid))
    )


PUBLISHED: tuple[PublishedFigure, ...] = (
    _nights("DreamSim, ensemble", "dreamsim", 0.962),
    _nights("DreamSim, ensemble with MLP", None, 0.934),
    _nights("ensemble, not tuned", None, 0.908),
    _nights("DISTS", None, 0.860),
    _nights("LPIPS, about", "lpips", 0.707),
    _nights("SSIM", "ssim", 0.573),
    _nights("PSNR", "psnr", 0.571),
    PublishedFigure(
        dataset="bapps",
        split="val",
        measure="2afc",
        method="LPIPS (alex)",
        metric="lpips",
        value=0.698,
        source=_LPIPS,
        mean_of_groups=True,
    ),
    *_rated("DISTS", None, 0.88, 0.81),
    *_rated("MS-SSIM", "ms_ssim", 0.80, 0.80),
    *_rated("LPIPS (vgg)", "lpips_vgg", 0.72, 0.67),
    *_rated("SSIM", "ssim", 0.72, 0.72),
    *_rated("PSNR", "psnr", 0.68, 0.69),
)


def published(dataset: str, split: str | None) -> tuple[PublishedFigure, ...]:
    """The figures of that data set and split, the best first."""
    figures = (figure for figure in PUBLISHED if (figure.dataset, figure.split) == (dataset, split))
    return tuple(sorted(figures, key=lambda figure: (figure.measure, -figure.value)))
