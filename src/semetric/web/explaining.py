"""Explains one pair in a process of its own: a damaged upload or a full memory ends that process and no more.

Reads one JSON object from stdin (reference, image, names, out, profile, max_pixels) and writes one to stdout.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
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
    sys.stdout.write(json.dumps(explain_upload(json.load(sys.stdin))) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
