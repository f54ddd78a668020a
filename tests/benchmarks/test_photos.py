import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from benchmarks.photos import PHOTOS, Photo, carve, photo_folder, photos
from PIL import Image

from benchmarks import photos as module
from semetric.errors import ImageError, UsageError


def webp(seed: int, size: tuple[int, int] = (60, 40)) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True)
    return stream.getvalue()


def test_the_list_is_long_mixed_and_without_doubles() -> None:
    assert len(PHOTOS) >= 28
    assert len({photo.name for photo in PHOTOS}) == len(PHOTOS)
    assert len({(photo.source, photo.item) for photo in PHOTOS}) == len(PHOTOS)
    assert all(len(photo.sha256) == (0 if photo.source == "skimage" else 12) for photo in PHOTOS)
    assert len({photo.kind for photo in PHOTOS[:24]}) >= 8


def test_carving_finds_every_stream_and_nothing_else(tmp_path: Path) -> None:
    one, two = webp(1), webp(2)
    decoys = b"RIFF\x10\x00\x00\x00WAVEfmt RIFF", b"RIFF\xff\xff\xff\x7fWEBP"  # a sound; a length beyond the end
    (tmp_path / "a.rcc").write_bytes(b"qres" + decoys[0] + one + b"\0\1\2" + two + decoys[1])
    assert list(carve(tmp_path / "a.rcc")) == [one, two]


def test_photos_are_told_by_their_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = [webp(n, (100, 50)) for n in range(3)]
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "things.rcc").write_bytes(b"".join(streams))
    digest = hashlib.sha256(streams[2]).hexdigest()[:12]
    # At another place than the list says, as in another version of the package.
    monkeypatch.setattr(module, "PHOTOS", (Photo("third", "things", "things", 0, digest),))
    monkeypatch.setenv("SEMETRIC_PHOTOS", str(tmp_path))
    ((name, pixels),) = photos(1, longest_side=20)
    assert name == "third"
    assert pixels.shape == (10, 20, 3)
    assert pixels.dtype == np.uint8
    ((_, whole),) = photos(1)
    assert (whole == np.asarray(Image.open(io.BytesIO(streams[2])).convert("RGB"))).all()

    monkeypatch.setattr(module, "PHOTOS", (Photo("other", "things", "things", 0, "0" * 12),))
    with pytest.raises(ImageError, match="other"):
        photos(1)
    monkeypatch.setattr(module, "PHOTOS", (Photo("other", "things", "nowhere", 0, "0" * 12),))
    with pytest.raises(ImageError, match=r"nowhere\.rcc"):
        photos(1)


def test_the_first_photo_needs_no_package() -> None:
    ((name, pixels),) = photos(1)
    assert name == "astronaut"
    assert pixels.shape == (512, 512, 3)


def test_wrong_counts_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for count in (0, len(PHOTOS) + 1):
        with pytest.raises(UsageError, match="photos"):
            photos(count)
    with pytest.raises(UsageError, match=r"\.rcc"):
        photo_folder(tmp_path)
    monkeypatch.delenv("SEMETRIC_PHOTOS", raising=False)
    monkeypatch.setattr(module, "cache_root", lambda: tmp_path)
    monkeypatch.setattr(module.shutil, "which", lambda tool: None)
    with pytest.raises(UsageError, match="SEMETRIC_PHOTOS"):
        photo_folder()
