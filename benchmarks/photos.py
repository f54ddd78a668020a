"""Photos that the benchmarks run on: fetched or found on this machine, never part of the repository.

Five come with scikit-image. The others are in Debian's package gcompris-qt-data (44 MB, photos under
free licences that the package lists): its Qt resource files hold them as WebP streams, each found by
its `RIFF????WEBP` header and told from every other by the SHA-256 of its bytes.

The folder of the .rcc files is taken from the argument, else from SEMETRIC_PHOTOS, else from the cache,
where `apt-get download` and `dpkg -x` put it the first time. Look at the photos with

    python benchmarks/photos.py --sheet photos.png
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from semetric.cache import cache_root
from semetric.errors import ImageError, UsageError

__all__ = ["CALIBRATION", "PHOTOS", "Photo", "calibration_photos", "carve", "fetch_package", "photo_folder", "photos"]

FOLDER_ENV = "SEMETRIC_PHOTOS"
PACKAGE = "gcompris-qt-data"
LONGEST_SIDE = 512  # pixels


class Photo(NamedTuple):
    """One photo and where it is.

    Attributes:
        name: ours.
        kind: what sort of scene it is.
        source: "skimage", or the stem of a resource file.
        item: which of scikit-image's functions, or the how-manieth WebP stream of the file.
        sha256: the first twelve digits of the stream's digest; empty for scikit-image.
    """

    name: str
    kind: str
    source: str
    item: str | int
    sha256: str = ""


# Kinds take turns, so that any first part of the list is mixed. No scene occurs twice.
PHOTOS = (
    Photo("astronaut", "people", "skimage", "astronaut"),
    Photo("eiffel_tower", "monuments", "explore_monuments", 5, "cf115ede2289"),
    Photo("cow", "farm animals", "explore_farm_animals", 1, "db359136be5e"),
    Photo("orchestra", "music", "explore_world_music", 0, "b4a6d85a40ce"),
    Photo("coffee", "food", "skimage", "coffee"),
    Photo("panda", "wild animals", "explore_world_animals", 13, "70ccf9a9db50"),
    Photo("canyon", "landscapes", "explore_monuments", 27, "2148fe45a541"),
    Photo("rocket", "vehicles", "skimage", "rocket"),
    Photo("swans", "birds", "erase", 9, "5fe69699bf37"),
    Photo("cat_face", "pets", "skimage", "chelsea"),
    Photo("aqueduct", "monuments", "explore_monuments", 9, "b9e560a9ae2f"),
    Photo("horses", "farm animals", "explore_farm_animals", 3, "87879a9644b7"),
    Photo("drum_kit", "objects", "explore_world_music", 6, "72af64588442"),
    Photo("motorcycle", "vehicles", "skimage", "stereo_motorcycle"),
    Photo("macaw", "birds", "explore_world_animals", 5, "8b088ed71a87"),
    Photo("great_wall", "landscapes", "explore_monuments", 41, "546e2483d17c"),
    Photo("didgeridoo", "people", "explore_world_music", 5, "b7e0bc6da6f9"),
    Photo("clownfish", "fish", "categorization", 80, "c0612ddd79d5"),
    Photo("gateway_at_night", "monuments", "explore_monuments", 16, "8d1053776a85"),
    Photo("chickens", "farm animals", "explore_farm_animals", 5, "30a07d3c7dfc"),
    Photo("giraffes", "wild animals", "explore_world_animals", 14, "68014ed783cf"),
    Photo("windmills", "landscapes", "categorization", 5, "c4f9425d5b98"),
    Photo("golden_temple", "monuments", "explore_monuments", 21, "ec52355726f8"),
    Photo("meerkats", "wild animals", "erase", 17, "459198d83393"),
    Photo("dog", "pets", "explore_farm_animals", 7, "5e9d95444957"),
    Photo("cutlery", "objects", "categorization", 129, "24d548b65a1d"),
    Photo("polar_bear", "wild animals", "explore_world_animals", 9, "0544cef0a7d6"),
    Photo("festival", "people", "explore_world_music", 3, "0f0aa2d3116e"),
    Photo("rio", "landscapes", "explore_monuments", 38, "3133f2872b3d"),
    Photo("kitten_with_yarn", "pets", "explore_farm_animals", 4, "ab7c3e1b04e8"),
    Photo("narwhals", "sea animals", "explore_world_animals", 11, "2a94d2fc7482"),
    Photo("crab", "sea animals", "erase", 16, "822be2d08adc"),
    Photo("statue_of_liberty", "monuments", "explore_monuments", 28, "8eeda3c92c73"),
    Photo("hand_drums", "objects", "explore_world_music", 7, "c4b27aebe084"),
    Photo("butterfly", "insects", "erase", 18, "e12b50bb4ee6"),
    Photo("rushmore", "monuments", "explore_monuments", 26, "d9fec7d6ac49"),
)

# What may be fitted, is fitted on these: calibrations and statistics of features. No benchmark scores them.
CALIBRATION = (
    Photo("calf", "farm animals", "erase", 1, "5957d392349d"),
    Photo("spoonbills", "birds", "erase", 3, "f67d7d04bf3b"),
    Photo("red_panda", "wild animals", "erase", 4, "ec755f7b9d89"),
    Photo("camels", "wild animals", "erase", 5, "df4da85790b8"),
    Photo("kingfisher", "birds", "erase", 8, "b637658d7e0f"),
    Photo("alpaca", "farm animals", "erase", 11, "ffd29864f09b"),
    Photo("pony", "farm animals", "erase", 22, "15b49393342b"),
    Photo("goat", "farm animals", "erase", 29, "acba63337c11"),
    Photo("kitten", "pets", "erase", 32, "c6f3a52585a3"),
    Photo("sheep", "farm animals", "explore_farm_animals", 2, "3bac61d5dabb"),
    Photo("piglet", "farm animals", "explore_farm_animals", 6, "4f3d27d1fd3d"),
    Photo("hill_town", "landscapes", "explore_monuments", 0, "e9642c03c230"),
    Photo("chateau_bridge", "monuments", "explore_monuments", 4, "4e414fc35ae9"),
    Photo("mysore_palace", "monuments", "explore_monuments", 17, "a84a26be8d94"),
    Photo("fort_ruins", "landscapes", "explore_monuments", 25, "42c8376f99f7"),
    Photo("taj_mahal", "monuments", "explore_monuments", 37, "fc0d45ec5a25"),
    Photo("neuschwanstein", "landscapes", "explore_monuments", 42, "15ec5fcb8758"),
    Photo("brandenburg_gate", "monuments", "explore_monuments", 46, "2cb312c79a20"),
    Photo("hedgehog", "wild animals", "explore_world_animals", 4, "780aceaa6244"),
    Photo("lemurs", "wild animals", "explore_world_animals", 7, "4fccf91dd5e6"),
    Photo("leopards", "wild animals", "explore_world_animals", 12, "22704727b664"),
    Photo("theatre", "people", "explore_world_music", 1, "b30a023e5d36"),
    Photo("band", "people", "explore_world_music", 4, "cd1286e5d764"),
    Photo("concert", "people", "explore_world_music", 8, "20ef5a10a55b"),
)


def photos(
    count: int = 24, *, folder: str | os.PathLike[str] | None = None, longest_side: int = LONGEST_SIDE
) -> list[tuple[str, NDArray[np.uint8]]]:
    """The first photos of the list, larger ones shrunk (Lanczos).

    Args:
        count: how many, at most len(PHOTOS).
        folder: holds the .rcc files at any depth; None as the module says.
        longest_side: in pixels.

    Returns:
        (name, (H, W, 3) uint8 RGB) each.

    Raises:
        UsageError: more than there are, or no folder and no apt-get.
        ImageError: a resource file without the expected photo.
    """
    if not 0 < count <= len(PHOTOS):
        raise UsageError(f"Expected between 1 and {len(PHOTOS)} photos; found {count}.")
    chosen = PHOTOS[:count]
    root = photo_folder(folder) if any(photo.sha256 for photo in chosen) else Path()
    return [(photo.name, _shrink(_read(photo, root), longest_side)) for photo in chosen]


def calibration_photos(*, folder: str | os.PathLike[str] | None = None) -> list[tuple[str, NDArray[np.uint8]]]:
    """The photos of CALIBRATION, as `photos` gives those of the benchmarks."""
    root = photo_folder(folder)
    return [(photo.name, _shrink(_read(photo, root), LONGEST_SIDE)) for photo in CALIBRATION]


def photo_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the resource files; downloads the package where there is none.

    Raises:
        UsageError: a folder without resource files, or no Debian to download from.
    """
    given = folder or os.environ.get(FOLDER_ENV)
    root = Path(given) if given else cache_root() / "photos" / PACKAGE
    if any(root.rglob("*.rcc")):
        return root
    if given:
        raise UsageError(f"Expected the .rcc files of {PACKAGE} in {root}; found none.")
    fetch_package(PACKAGE, root, FOLDER_ENV)
    return root


def fetch_package(package: str, root: Path, variable: str) -> None:
    """Downloads a Debian package with apt-get and unpacks it into a folder, which appears whole or not at all.

    Args:
        package: its name.
        root: the folder.
        variable: the environment variable that names a folder instead, for the message.

    Raises:
        UsageError: this is no Debian.
    """
    missing = [tool for tool in ("apt-get", "dpkg") if shutil.which(tool) is None]
    if missing:
        raise UsageError(
            f"Expected {' and '.join(missing)} to fetch the Debian package {package}; found none. "
            f"Unpack the package elsewhere and name its folder in {variable}."
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent) as work:
        print(f"Fetching {package} with apt-get …", flush=True)
        subprocess.run(["apt-get", "download", package], cwd=work, check=True)
        (archive,) = Path(work).glob("*.deb")
        subprocess.run(["dpkg", "-x", str(archive), f"{work}/unpacked"], check=True)
        shutil.rmtree(root, ignore_errors=True)
        os.replace(f"{work}/unpacked", root)


def carve(file: Path) -> Iterator[bytes]:
    """Yields the WebP streams of a file, in order."""
    data = file.read_bytes()
    at = data.find(b"RIFF")
    while at >= 0:
        length = 8 + int.from_bytes(data[at + 4 : at + 8], "little")  # the header's field counts what follows it
        if data[at + 8 : at + 12] == b"WEBP" and at + length <= len(data):
            yield data[at : at + length]
            at = data.find(b"RIFF", at + length)
        else:
            at = data.find(b"RIFF", at + 4)


@cache
def _streams(root: Path, source: str) -> list[bytes]:
    file = next(root.rglob(f"{source}.rcc"), None)
    if file is None:
        raise ImageError(f"Expected {source}.rcc of {PACKAGE} below {root}; found none.")
    return list(carve(file))


def _read(photo: Photo, root: Path) -> Image.Image:
    if photo.source == "skimage":
        from skimage import data

        loaded = getattr(data, str(photo.item))()
        return Image.fromarray(loaded[0] if isinstance(loaded, tuple) else loaded).convert("RGB")
    streams = _streams(root, photo.source)
    # Where another version of the package has the photo elsewhere in the file, its digest finds it.
    index = int(photo.item)
    for stream in (*streams[index : index + 1], *streams):
        if hashlib.sha256(stream).hexdigest().startswith(photo.sha256):
            return Image.open(io.BytesIO(stream)).convert("RGB")
    raise ImageError(f"Expected {photo.name} (SHA-256 {photo.sha256}…) in {photo.source}.rcc; found other images.")


def _shrink(image: Image.Image, longest_side: int) -> NDArray[np.uint8]:
    scale = longest_side / max(image.size)
    if scale < 1:
        width, height = (max(1, round(n * scale)) for n in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.uint8).copy()


def main() -> None:
    """Draws the contact sheet."""
    parser = argparse.ArgumentParser(description="Draws the benchmark photos on one sheet.")
    parser.add_argument("--sheet", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--count", type=int, default=len(PHOTOS), help="how many photos")
    arguments = parser.parse_args()
    columns, cell = 6, 256
    found = photos(arguments.count, longest_side=cell - 20)
    sheet = Image.new("RGB", (columns * cell, -(-len(found) // columns) * cell), "white")
    draw = ImageDraw.Draw(sheet)
    for i, ((name, pixels), photo) in enumerate(zip(found, PHOTOS, strict=False)):
        x, y = i % columns * cell, i // columns * cell
        sheet.paste(Image.fromarray(pixels), (x + 4, y + 16))
        draw.text((x + 4, y + 2), f"{i + 1} {name} ({photo.kind})", fill="black")
    sheet.save(arguments.sheet)


if __name__ == "__main__":
    main()
