"""Explains one pair in a process of its own: a damaged upload or a full memory ends that process and no more.

Reads one JSON object from stdin (reference, image, names, out, profile, max_pixels) and writes one to stdout.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from semetric.errors import SemetricError

__all__ = ["explain_upload", "main"]


def explain_upload(asked: dict[str, Any]) -> dict[str, Any]:
    """Writes the page of two files. Returns {"error": words or None}; the image is brought to the reference's size."""
    from semetric.image import read_image
    from semetric.report.explain import explain

    try:
        one, two = (
            replace(read_image(asked[which], max_pixels=asked["max_pixels"]), name=asked["names"][which])
            for which in ("reference", "image")
        )
        explain(one, two, asked["out"], profile=asked["profile"], resize="reference")
    except SemetricError as error:
        words = str(error)
        for which, name in asked["names"].items():  # the server's own paths are nobody's business
            words = words.replace(asked[which], name)
        return {"error": words}
    return {"error": None}


def main() -> int:
    """One pair, as the server asks for it."""
    _yield_to_annotators()
    sys.stdout.write(json.dumps(explain_upload(json.load(sys.stdin))) + "\n")
    return 0


def _yield_to_annotators() -> None:
    """Low priority; and where memory runs out, the system ends this process and not the server."""
    if hasattr(os, "nice"):
        os.nice(10)
    with suppress(OSError):  # of Linux alone
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    raise SystemExit(main())
