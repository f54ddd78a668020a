"""Why a file of tensors cannot be read, in words.

torch and safetensors fail with anything from a bare number to advice to switch their protection off; none of that
helps whoever named the wrong file.
"""

from __future__ import annotations

import re

__all__ = ["why_unreadable"]


def why_unreadable(error: Exception) -> str:
    """What a failure of torch.load(…, weights_only=True) or of safetensors says of the file, as the end of a sentence.

    Args:
        error: what was raised.

    Returns:
        Words that go after "it", without a full stop.
    """
    text = str(error)
    named = re.search(r"Unsupported (?:global: GLOBAL|class) ([\w.]+)", text)
    if named:
        return f"holds more than tensors ({named[1]}), and what is more is never run: save the state_dict() alone"
    if isinstance(error, EOFError):
        return "is empty or ends too early"
    if type(error).__name__ == "BadZipFile" or "central directory" in text or "unexpected EOF" in text:
        return "is cut short or damaged"
    if type(error).__name__ == "SafetensorError":
        return "is no safetensors file, or damaged"
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror or error})"
    return "is not a file that torch.save wrote, or damaged"
