"""`python -m semetric`: the command line, where its script is not on the PATH."""

from __future__ import annotations

import sys

from semetric.cli import main

if __name__ == "__main__":
    sys.exit(main())
