"""The command line: one thin file a verb, and the mapping of errors to exit codes.

Importing this imports neither torch nor numpy: each verb imports what it runs when it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from semetric.cli._app import app
from semetric.errors import SemetricError

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
    try:
        app(args=None if argv is None else list(argv), prog_name="semetric")
    except SemetricError as error:
        sys.stderr.write(f"semetric: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:  # the reader of our output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as ended:
        if ended.code == _TYPER_INTERRUPTED:
            return _interrupted()
        return ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    return 0


def _interrupted() -> int:
    sys.stderr.write("semetric: interrupted; what was finished is kept.\n")
    return _INTERRUPTED
