"""The program: `semetric`, or `python -m semetric` where its script is not on the PATH.

Ctrl-C ends it with one line and exit code 5 from its first moment on, while the command line and the libraries behind
it are still imported: so nothing is imported here but what that takes.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` itself imports `enum`: as long as all else here
import os
import sys

TYPE_CHECKING = False  # as in the package: typing's own would be an import

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["main"]

_INTERRUPTED = 5


def main() -> int:
    """Runs the command of the process's own words.

    Returns:
        The exit code.
    """
    _signal.signal(_signal.SIGINT, _interrupt)
    from semetric.cli import main as run

    code = run()
    _signal.signal(_signal.SIGINT, lambda *_: os._exit(code))  # the work is done, and its result is this
    return code


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """Ends the process during an import, where libraries turn KeyboardInterrupt into other errors; else raises it.

    Finished work is on disk: nothing is lost that a SIGKILL would not lose.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            clean = b"\r\x1b[2K\x1b[?25h" if os.isatty(2) else b""  # a progress display hides the cursor
            os.write(2, clean + b"semetric: interrupted; what was finished is kept.\n")
            os._exit(_INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
