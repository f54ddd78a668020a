"""Everything that Semetric raises on purpose.

    SemetricError                exit code
    ├── UsageError                    2     an option, name or combination that does not exist
    │   └── UnknownNameError          2     a name that a registry does not have
    │       └── NotScoredError        2     a metric that the scores in hand do not hold
    ├── ImageError                    3     an image that cannot be read or scored
    │   └── SizeMismatchError         3     two images of unequal size
    ├── WeightsError                  4     a checkpoint that cannot be used
    │   ├── WeightsMissingError       4     not on this machine; the message names the command
    │   └── WeightsCorruptError       4     on this machine, but not what it should be
    ├── MissingExtraError             2     an optional dependency; the message carries the pip line
    ├── CodecError                    1     a codec that fails on an image, or a stream that it rejects
    └── StoreError                    1     results that cannot be written (full disk, no permission)

Each message says what was expected, what was found and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "CodecError",
    "ImageError",
    "MissingExtraError",
    "NotScoredError",
    "SemetricError",
    "SizeMismatchError",
    "StoreError",
    "UnknownNameError",
    "UsageError",
    "WeightsCorruptError",
    "WeightsError",
    "WeightsMissingError",
    "did_you_mean",
]


class SemetricError(Exception):
    """The root of all errors that Semetric raises on purpose."""

    exit_code: int = 1


class UsageError(SemetricError, ValueError):
    """An option, a name or a combination of them that does not exist."""

    exit_code = 2


class UnknownNameError(UsageError, KeyError):
    """A name that was looked up and does not exist."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""  # a KeyError's own text would be in quotation marks


class NotScoredError(UnknownNameError):
    """A metric that was looked up in scores that do not hold it."""


class ImageError(SemetricError, ValueError):
    """An image that cannot be read, converted or scored."""

    exit_code = 3


class SizeMismatchError(ImageError):
    """Two images that must have one size and have not."""


class WeightsError(SemetricError):
    """A checkpoint that cannot be used."""

    exit_code = 4


class WeightsMissingError(WeightsError):
    """A checkpoint that is not on this machine.

    Attributes:
        checkpoints: names that `semetric models fetch` takes to mend it; none where no command does.
    """

    def __init__(self, message: str = "", checkpoints: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.checkpoints = tuple(checkpoints)


class WeightsCorruptError(WeightsError):
    """A checkpoint whose bytes, keys or shapes are not the expected ones."""


class MissingExtraError(SemetricError, ImportError):
    """An optional dependency that is not installed."""

    exit_code = 2


class CodecError(SemetricError):
    """A codec that cannot encode an image, or a stream that its decoder rejects."""


class StoreError(SemetricError):
    """Results or cached products that cannot be written."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ " Did you mean lpips?" where a known name is close to a mistyped one, else ""; the end of a message.

    A list with commas is no mistyped name.
    """
    import difflib

    if "," in str(name):
        return ""

    close = difflib.get_close_matches(str(name).lower().replace("-", "_"), list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""
