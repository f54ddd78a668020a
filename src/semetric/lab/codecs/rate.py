"""A target rate met by search over a codec's qualities."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from semetric.errors import UsageError
from semetric.lab.codecs.base import Codec, Quality, check_pixels
from semetric.lab.systems import Pixels

__all__ = ["TOLERANCE", "Encoded", "check_rate", "encode_at_rate", "nearest_step", "rate_note"]

TOLERANCE = 0.03
"""Of the target: how far off a rate still meets it."""

_EMPTY = 1e-9  # stands for the rate of a stream without bytes, whose logarithm is asked for


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """An image as a stream near a target rate.

    Attributes:
        stream: the bytes.
        quality: at which they were made.
        rate_bpp: 8 × len(stream) / (H × W): all of the bytes count, headers too.
        target_bpp: the requested rate.
        met: whether the rate is within the tolerance of it.
        note: empty where it is; else which step is the nearest, and how far off.
        encodes: how many times the search ran the encoder.
    """

    stream: bytes = field(repr=False)
    quality: Quality
    rate_bpp: float
    target_bpp: float
    met: bool
    note: str = ""
    encodes: int = 1


def encode_at_rate(codec: Codec, pixels: Pixels, target_bpp: float, tolerance: float = TOLERANCE) -> Encoded:
    """Encodes at the quality whose rate comes within the tolerance of a target, or at the nearest step.

    Args:
        codec: any.
        pixels: (H, W, 3) uint8 RGB.
        target_bpp: bits per pixel, above 0.
        tolerance: of the target; 0.03 is 3%.

    Raises:
        CodecError: the codec fails on this image.
        UsageError: no such rate or tolerance. A rate that is merely out of reach is met as nearly as can be, and noted.

    Examples:
        >>> import numpy as np
        >>> from semetric.lab.codecs import create_codec
        >>> noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        >>> encode_at_rate(create_codec("jpeg"), noise, 4.0).met
        True
    """
    check_rate(target_bpp, tolerance)
    check_pixels(pixels)
    h, w = pixels.shape[:2]
    streams: dict[int, bytes] = {}

    def rate(step: int) -> float:
        streams[step] = codec.encode(pixels, codec.steps[step])
        return float(8 * len(streams[step]) / (h * w))

    best, rates = nearest_step(
        rate,
        len(codec.steps),
        target_bpp,
        tolerance=tolerance,
        start=codec.first_step(target_bpp),
        usual_bpp=codec.usual_bpp,
    )
    return Encoded(
        stream=streams[best],
        quality=codec.check_quality(codec.steps[best]),
        rate_bpp=rates[best],
        target_bpp=target_bpp,
        met=_meets(rates[best], target_bpp, tolerance),
        note=rate_note(codec.steps, rates, best, target_bpp, tolerance),
        encodes=len(rates),
    )


def check_rate(target_bpp: float, tolerance: float) -> None:
    """Refuses rates and tolerances that no codec could have.

    Raises:
        UsageError: a rate of zero or less, NaN or infinity; a tolerance outside [0, 1).
    """
    if not (math.isfinite(target_bpp) and target_bpp > 0):
        raise UsageError(f"Expected a rate above 0 bits per pixel; found {target_bpp!r}.")
    if not 0 <= tolerance < 1:
        raise UsageError(f"Expected a tolerance from 0 to below 1 (0.03 is 3%); found {tolerance!r}.")


def nearest_step(
    rate: Callable[[int], float],
    count: int,
    target_bpp: float,
    *,
    tolerance: float,
    start: int,
    usual_bpp: tuple[float, float],
) -> tuple[int, dict[int, float]]:
    """The step whose rate is nearest to the target, by as few calls of `rate` as it takes.

    Keeps a step below the target and one above, and tries between them where a straight line through the logarithms
    of their rates meets the target; by halves where the line has failed to halve the bracket. Rates that dip here and
    there do no harm: what is kept is only that one side is below and the other not. It ends within the tolerance, or
    when the bracket holds no further step, where the nearer side wins.

    Args:
        rate: step → bits per pixel; tends to rise with the step.
        count: of steps.
        target_bpp: above 0.
        tolerance: of the target.
        start: the first step to try.
        usual_bpp: rates of the two ends on an ordinary image: the slope until two rates are known.

    Returns:
        The step, and the rates of all that were tried.
    """
    rates: dict[int, float] = {}
    low, high = -1, count  # exclusive; an end beyond the scale has no rate
    slope = math.log(usual_bpp[1] / usual_bpp[0]) / max(count - 1, 1)
    step = min(max(start, 0), count - 1)
    stride = 0
    halve = False
    while True:
        rates[step] = rate(step)
        if _meets(rates[step], target_bpp, tolerance):
            break
        before = high - low
        if rates[step] < target_bpp:
            low = step
        else:
            high = step
        if high - low <= 1:
            break
        halve = not halve and low in rates and high in rates and high - low > before / 2
        if halve:
            step = (low + high) // 2
        elif low in rates and high in rates:
            least = max(rates[low], _EMPTY)
            share = math.log(target_bpp / least) / math.log(rates[high] / least)
            step = low + round(share * (high - low))
        else:  # one side only: along the usual slope, a little past the target, and ever further where that falls short
            ahead = math.log(target_bpp / max(rates[step], _EMPTY)) / slope
            stride = max(math.ceil(1.25 * abs(ahead)), 2 * stride)
            step += stride if ahead > 0 else -stride
        step = min(max(step, low + 1), high - 1)
    best = min(rates, key=lambda tried: (abs(rates[tried] - target_bpp), tried))
    return best, rates


def rate_note(steps: Sequence[Quality], rates: dict[int, float], best: int, target_bpp: float, tolerance: float) -> str:
    """What a reader has to know of a rate that missed its target; empty where it did not.

    Args:
        steps: the scale.
        rates: of the steps that were tried.
        best: the step that was taken.
        target_bpp: the requested rate.
        tolerance: of the target.
    """
    rate_bpp = rates[best]
    if _meets(rate_bpp, target_bpp, tolerance):
        return ""
    given = f"quality {steps[best]:g} gives {rate_bpp:.4g} ({rate_bpp / target_bpp - 1:+.1%})"
    if 0 in rates and min(rates.values()) > target_bpp:
        where = "below the lowest rate on this image"
    elif len(steps) - 1 in rates and max(rates.values()) < target_bpp:
        where = "above the highest rate on this image"
    else:
        where = "between two quality steps"
    return f"{target_bpp:.4g} bits per pixel is {where}; the nearest, {given}"


def _meets(rate_bpp: float, target_bpp: float, tolerance: float) -> bool:
    return abs(rate_bpp - target_bpp) <= tolerance * target_bpp
