"""What `make demo` runs: one photo, a heavily compressed copy, every lite metric, and a picture of why."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

FOLDER = Path("demo")


def main() -> int:
    """Writes the pair, scores it with the command line, and returns that command's exit code."""
    from skimage import data

    FOLDER.mkdir(exist_ok=True)
    reference, image, plot = FOLDER / "reference.png", FOLDER / "jpeg10.jpg", FOLDER / "plot.png"
    photo = Image.fromarray(data.astronaut())  # NASA's Eileen Collins, public domain, from scikit-image
    photo.save(reference)
    photo.save(image, quality=10)
    command = ["semetric", "score", str(reference), str(image), "--save-plot", str(plot)]
    print("$ " + " ".join(command), flush=True)
    own = Path(sys.executable).with_name("semetric")
    command[0] = str(own) if own.exists() else (shutil.which("semetric") or "semetric")
    code = subprocess.run(command, check=False).returncode
    if code == 0:
        print(f"\nThe picture: {plot}")
    return code


if __name__ == "__main__":
    sys.exit(main())
