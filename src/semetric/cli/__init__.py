"""The command line: one thin file a verb, and the mapping of errors to exit codes.

Importing this imports neither torch nor numpy: each verb imports what it runs when it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from semetric.cli import _streams
from semetric.cli._app import app
from semetric.cli._choices import with_ray_address
from semetric.errors import SemetricError, StoreError

__all__ = ["app", "main"]

_INTERRUPTED = 5
# Read by torch's libraries when they are loaded; only in a process that is ours. Idle threads that spin
# starve each other where other programs run (measured: three times the time); huge pages spare page faults.
_PROCESS = {"GOMP_SPINCOUNT": "2000", "THP_MEM_ALLOC_ENABLE": "1"}
_TYPER_INTERRUPTED = 130  # what typer makes of Ctrl-C


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after the program's name; None takes the process's own.

    Returns:
        The exit code: 0 done, 1 some pairs failed, 2 usage, 3 bad input file, 4 weights missing or
        corrupt, 5 interrupted.
    """
    for name, value in _PROCESS.items():
        os.environ.setdefault(name, value)
    _streams.prepare()
    try:
        code = _run(argv)
    except BrokenPipeError:  # the reader of our output went away
        _streams.drop(sys.stdout)
        return 0
    except OSError as error:
        if not _streams.is_full(error):
            raise
        _streams.drop(sys.stdout)
        _streams.say(_streams.unwritten(error))
        return StoreError.exit_code
    return _streams.finished(code)


def _run(argv: Sequence[str] | None) -> int:
    """The exit code of a command.

    Raises:
        OSError: stdout cannot be written.
    """
    streams = sys.stdout, sys.stderr
    try:
        app(args=with_ray_address(sys.argv[1:] if argv is None else argv), prog_name="semetric")
    except SemetricError as error:
        _streams.say(f"semetric: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return _interrupted()
    except SystemExit as ended:
        if sys.stdout is not streams[0]:  # how typer ends where the reader of our output went away
            sys.stdout, sys.stderr = streams
            raise BrokenPipeError from None
        if ended.code == _TYPER_INTERRUPTED:
            return _interrupted()
        return ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    return 0


def _interrupted() -> int:
    _streams.say("semetric: interrupted; what was finished is kept.")
    return _INTERRUPTED
