"""Explains one pair in a process of its own: a damaged upload or a full memory ends that process and no more.

Reads a line with a JSON object from stdin (reference, image, names, out, profile, max_pixels) and writes one to stdout.
The process ends when its stdin does, and so with the server, however that ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from semetric.errors import SemetricError

__all__ = ["NO_MEMORY", "explain_upload", "main"]

MEMORY_BYTES = 3_000_000_000  # writable memory of the process, where the system can limit it
NO_MEMORY = f"Expected to explain the pair in {MEMORY_BYTES / 1e9:g} GB of memory; it needs more. Try smaller images."


def explain_upload(request: dict[str, Any]) -> dict[str, Any]:
    """Writes the page of two files. Returns {"error": words or None}; the image is brought to the reference's size."""
    from semetric.image import read_image
    from semetric.report.explain import explain

    try:
        reference, image = (
            replace(read_image(request[which], max_pixels=request["max_pixels"]), name=request["names"][which])
            for which in ("reference", "image")
        )
        explain(reference, image, request["out"], profile=request["profile"], resize="reference")
    except SemetricError as error:
        words = str(error)
        for which, name in request["names"].items():  # the server's own paths are nobody's business
            words = words.replace(request[which], name)
        return {"error": words}
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):  # torch's words
            raise
        return {"error": NO_MEMORY}
    return {"error": None}


def main() -> int:
    """One pair, as the server asks for it."""
    _yield_to_annotators()
    _limit_memory()
    with open(0, "rb", buffering=0, closefd=False) as stdin:  # unbuffered: no lock that a thread could hold at the end
        request = json.loads(stdin.readline())
    threading.Thread(target=_end_with_server, daemon=True).start()
    sys.stdout.write(json.dumps(explain_upload(request)) + "\n")
    return 0


def _end_with_server() -> None:
    """Ends this process at the end of stdin, which the server holds open while it waits."""
    while os.read(0, 1):
        pass
    os._exit(1)


def _limit_memory() -> None:
    """Of data alone: the address space holds every library that is mapped, and says nothing."""
    try:
        import resource
    except ImportError:  # of Windows, which has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _yield_to_annotators() -> None:
    """Low priority; and where memory runs out, the system ends this process and not the server."""
    if hasattr(os, "nice"):
        os.nice(10)
    with suppress(OSError):  # of Linux alone
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    raise SystemExit(main())
