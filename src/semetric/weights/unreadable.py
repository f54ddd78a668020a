"""Why a file of tensors cannot be read, in words.

The readers of pickles, zips and safetensors fail with anything down to a bare number; none of that helps whoever
named the wrong file.
"""

from __future__ import annotations

import zipfile

__all__ = ["why_unreadable"]

# What pickletools says, in a ValueError, where a pickle ends before its last instruction.
_PICKLE_ENDS = ("pickle exhausted", "not enough data", "remain", "no newline found")


def why_unreadable(error: Exception) -> str:
    """What a failure of these readers says of the file, as the end of a sentence.

    Args:
        error: what was raised.

    Returns:
        Words that go after "it", without a full stop.
    """
    text = str(error)
    if isinstance(error, EOFError) or any(words in text for words in _PICKLE_ENDS):
        return "is empty or ends too early"
    if isinstance(error, zipfile.BadZipFile):
        return "is cut short or damaged"
    if type(error).__name__ == "SafetensorError":
        return "is no safetensors file, or damaged"
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror or error})"
    return "is not a file that torch.save wrote, or damaged"
