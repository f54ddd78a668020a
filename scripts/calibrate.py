"""Makes src/semetric/data/calibrations/*.json from the photos that no benchmark scores.

python scripts/calibrate.py [OBJECTS …]
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.photos import calibration_photos

from semetric.learn.calibration import calibrate
from semetric.scene.build import GraphBuilder
from semetric.scene.calibration import write_calibration
from semetric.scoring import runtime

FOLDER = Path(__file__).parents[1] / "src" / "semetric" / "data" / "calibrations"


def main() -> None:
    """Fits and writes one file an encoder."""
    for objects in sys.argv[1:] or ["dense"]:
        builder = GraphBuilder(runtime("lite", device="cpu", objects=objects), variant="graded")
        calibration = calibrate(calibration_photos(), builder, advance=lambda count: print(".", end="", flush=True))
        write_calibration(calibration, FOLDER / f"{objects.replace('+', '_')}.json")
        print(calibration)


if __name__ == "__main__":
    main()
