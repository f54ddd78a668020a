"""Are the names of objects right? Photographed objects in named folders, embedded under their own masks.

The objects are stamps of Debian's package tuxpaint-stamps-default (19 MB; photos with alpha channels, free licences
that the package lists), composed on grey. Each is embedded by the object encoder of profile lite under its alpha mask,
and its most probable class compared with the classes that are right for it. A stamp of a kind that ImageNet has no
class for has none: any name is wrong.

    python -m benchmarks.names [--folder STAMPS]

One core takes about a second a stamp.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import semetric
from benchmarks.photos import fetch_package
from semetric.cache import cache_root
from semetric.errors import UsageError
from semetric.models.dense import DenseEncoder
from semetric.scene.names import LEAST_NAMED, class_names

FOLDER_ENV = "SEMETRIC_STAMPS"
PACKAGE = "tuxpaint-stamps-default"
THRESHOLDS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SIDE, OBJECT = 512, 340  # px of the canvas, and of the longer side of a stamp on it
GREY = (128, 128, 128, 255)

_DOGS, _FOXES, _RABBITS, _BUTTERFLIES = range(151, 269), range(277, 281), range(330, 333), range(321, 327)
_LACKING: tuple[int, ...] = ()

# Stamp → the classes that are right for it; by hand.
STAMPS: dict[str, tuple[int, ...] | range] = {
    "animals/amphibians/frog": range(30, 33),
    "animals/amphibians/frog-1": range(30, 33),
    "animals/birds/penguin": (145,),
    "animals/birds/little-penguin": (145,),
    "animals/birds/peacock": (84,),
    "animals/birds/ostrich": (9,),
    "animals/birds/rooster": (7, 8),
    "animals/birds/hen": (7, 8),
    "animals/birds/vulture": (23,),
    "animals/birds/owl": (24,),
    "animals/birds/tucan": (96,),
    "animals/birds/magpie": (18,),
    "animals/birds/rainbow-lorikeet": (90,),
    "animals/birds/duck": (97,),
    "animals/birds/pelican": (144,),
    "animals/birds/pink_flamingo": (130,),
    "animals/birds/heron_greatblue": (131,),
    "animals/birds/crowned_crane": (134,),
    "animals/birds/pigeon": _LACKING,
    "animals/birds/turkey": _LACKING,
    "animals/fish/clownfish": (393,),
    "animals/fish/lionfish": (396,),
    "animals/fish/lobster": (122, 123),
    "animals/fish/seahorse": _LACKING,
    "animals/insects/grasshopper": (311,),
    "animals/insects/mantis": (315,),
    "animals/insects/fly": (308,),
    "animals/insects/bee": (309,),
    "animals/insects/Woodlouse": (126,),
    "animals/insects/Brown_slug": (114,),
    "animals/lizards/iguana": (39,),
    "animals/mammals/apes/chimp": (367,),
    "animals/mammals/apes/gorilla": (366,),
    "animals/mammals/aquatic/sea_lion": (150,),
    "animals/mammals/aquatic/orca": (148,),
    "animals/mammals/aquatic/otter": (360,),
    "animals/mammals/bears/bear": (294, 295, 297),
    "animals/mammals/bears/european-bear": (294,),
    "animals/mammals/bovines/bison": (347,),
    "animals/mammals/bovines/ram": (348, 349),
    "animals/mammals/camel/camel": (354,),
    "animals/mammals/camel/dromedary": (354,),
    "animals/mammals/cats/lion": (291,),
    "animals/mammals/cats/tiger": (292,),
    "animals/mammals/deer/deer": _LACKING,
    "animals/mammals/dogs/dingo": (273,),
    "animals/mammals/dogs/dog": _DOGS,
    "animals/mammals/dogs/fox": _FOXES,
    "animals/mammals/equines/zebra": (340,),
    "animals/mammals/equines/donkey": _LACKING,
    "animals/mammals/rodents/squirrel": (335,),
    "animals/mammals/rodents/rabbit": _RABBITS,
    "animals/mammals/rodents/marmot": (336,),
    "animals/mammals/rodents/beaver": (337,),
    "animals/mammals/giraffe": _LACKING,
    "animals/mammals/echidna": (102,),
    "animals/mammals/elephant": (101, 385, 386),
    "animals/mammals/hippopotamus": (344,),
    "animals/mammals/pig": (341,),
    "animals/mammals/wildboar": (342,),
    "animals/marsupials/koala": (105,),
    "animals/marsupials/wombat": (106,),
    "clothes/hats/sombrero": (808,),
    "clothes/t_sock": (806,),
    "food/fruit/apple_granny_smith": (948,),
    "food/fruit/pear": _LACKING,
    "food/fruit/banana": (954,),
    "food/fruit/lemon": (951,),
    "food/fruit/orange": (950,),
    "food/fruit/pineapple": (953,),
    "food/fruit/pomegranate": (957,),
    "food/fruit/strawberry": (949,),
    "food/nuts/walnut": _LACKING,
    "food/pizza": (963,),
    "food/vegetables/broccoli": (937,),
    "food/vegetables/carrot": _LACKING,
    "food/vegetables/corn": (987, 998),
    "food/vegetables/mushroom": (947,),
    "food/vegetables/tomato": _LACKING,
    "food/vegetables/yellowpepper": (945,),
    "hobbies/binoculars": (447,),
    "hobbies/camera_35mm": (732, 759),
    "hobbies/music/string/cello": (486,),
    "hobbies/music/string/guitar_classical": (402,),
    "hobbies/music/string/guitar_electric": (546,),
    "hobbies/music/string/violin": (889,),
    "hobbies/music/wind/bassoon": (432,),
    "household/dishes/mug": (504, 968),
    "household/dishes/teapot": (849,),
    "household/garbagecan": (412,),
    "household/key": _LACKING,
    "household/toilet": (861,),
    "household/tools/hammer": (587,),
    "household/tools/spade": (792,),
    "medical/stethoscope": (823,),
    "medical/syringe": (845,),
    "seasonal/candle": (470,),
    "seasonal/easter/butterfly": _BUTTERFLIES,
    "sports/basketball": (430,),
    "sports/soccer": (805,),
    "sports/tennis_ball": (852,),
    "sports/tennis_racket": (752,),
    "town/roadsigns/stop": (919,),
    "town/roadsigns/stoplight_01_red": (920,),
    "town/usps_mailbox": (637,),
    "vehicles/emergency/firetruck": (555,),
    "vehicles/flight/planes/747": (404,),
    "vehicles/garbagetruck": (569,),
    "vehicles/race/indycar": (751,),
    "vehicles/wheel_tractor": (866,),
}


def stamp_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the stamps; downloads the package where there is none.

    Raises:
        UsageError: a folder without stamps, or no Debian to download from.
    """
    given = folder or os.environ.get(FOLDER_ENV)
    root = Path(given) if given else cache_root() / "photos" / PACKAGE
    if not given and not root.exists():
        fetch_package(PACKAGE, root, FOLDER_ENV)
    stamps = next((path.parents[3] for path in root.rglob("animals/mammals/apes/chimp.png")), None)
    if stamps is None:
        raise UsageError(f"Expected the stamps of {PACKAGE} in {root}; found none.")
    return stamps


def compose(file: Path) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A stamp in the middle of a grey canvas, (SIDE, SIDE, 3), and its mask (SIDE, SIDE)."""
    with Image.open(file) as opened:
        stamp = opened.convert("RGBA")
    scale = OBJECT / max(stamp.size)
    stamp = stamp.resize((round(stamp.width * scale), round(stamp.height * scale)), Image.Resampling.LANCZOS)
    place = ((SIDE - stamp.width) // 2, (SIDE - stamp.height) // 2)
    canvas, alpha = Image.new("RGBA", (SIDE, SIDE), GREY), Image.new("L", (SIDE, SIDE))
    canvas.alpha_composite(stamp, place)
    alpha.paste(stamp.getchannel("A"), place)
    return np.array(canvas.convert("RGB")), np.array(alpha) > 127


def main() -> None:
    """Prints every stamp with its class, then the table."""
    parser = argparse.ArgumentParser(description="Measures the names of objects on photographed stamps.")
    parser.add_argument("--folder", help=f"the unpacked package {PACKAGE}")
    root = stamp_folder(parser.parse_args().folder)
    encoder = DenseEncoder(semetric.runtime("lite", store=None))
    rows: list[tuple[bool, bool, float]] = []  # whether there is a right class, whether it is that one, probability
    for stamp, right in STAMPS.items():
        pixels, mask = compose(root / f"{stamp}.png")
        described = encoder.describe(pixels, mask[None])
        index, probability = int(described.classes[0]), float(described.class_probabilities[0])
        rows.append((len(right) > 0, index in right, probability))
        sign = "+" if index in right else "-" if len(right) else "0"
        print(f"{sign} {probability:.2f}  {stamp}: {class_names()[index]}", flush=True)
    known = np.array([row[0] for row in rows])
    correct = np.array([row[1] for row in rows])
    probabilities = np.array([row[2] for row in rows])
    print(f"\n{known.sum()} stamps of kinds that ImageNet has, {(~known).sum()} of others; names from {LEAST_NAMED} on")
    print("from     right    wrong     none  wrong among named, named of other kinds")
    for threshold in THRESHOLDS:
        named = probabilities >= threshold
        right, wrong = (named & correct & known).sum(), (named & ~correct & known).sum()
        total, other = known.sum(), (named & ~known).sum()
        shares = [right, wrong, total - right - wrong] / total
        shares = [*shares, wrong / max(right + wrong, 1), other / max((~known).sum(), 1)]
        print(f"{threshold:.1f}  " + "".join(f"{share:>9.0%}" for share in shares))


if __name__ == "__main__":
    main()
