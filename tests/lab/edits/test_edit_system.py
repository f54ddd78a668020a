import json

import numpy as np
import pytest

from semetric.errors import ImageError, UsageError
from semetric.lab.edits import EditSystem, Masks, PhotoMasks, edit_named
from semetric.lab.systems import Pixels

rng = np.random.default_rng


def photo(seed: int) -> Pixels:
    """Dark noise with two bright boxes."""
    image = rng(seed).integers(0, 60, (40, 60, 3), dtype=np.uint8)
    image[8:20, 8:20] = 200
    image[22:34, 30:50] = 220
    return image


def bright(pixels: Pixels) -> Masks:
    masks = np.zeros((2, *pixels.shape[:2]), bool)
    masks[0], masks[1] = (pixels == 200).all(-1), (pixels == 220).all(-1)
    return masks


def test_it_sends_edited_photos() -> None:
    image = photo(0)
    system = EditSystem("remove", masks_of=bright)
    assert (system.name, system.label, system.edit.strengths) == ("remove", "removed", (0.25, 0.5, 0.75, 1.0))
    received = system.send(image, 1.0, rng(0))
    assert (received.pixels == edit_named("remove")(image, bright(image), 1.0, rng(0))).all()
    assert received.details == {"changed_share": float((received.pixels != image).any(-1).mean())}
    assert received.rate_bpp is None
    assert not received.failed
    assert not bright(received.pixels).any()


def test_a_dimension_is_its_first_edit() -> None:
    system = EditSystem("layout", masks_of=bright, name="l", label="L")
    assert (system.edit.name, system.name, system.label) == ("move", "l", "L")


def test_a_photo_without_objects_is_not_sent_unchanged() -> None:
    with pytest.raises(ImageError, match="found 0 among 2 masks"):
        EditSystem("remove", masks_of=bright).send(np.zeros((40, 60, 3), np.uint8), 0.5, rng(0))


def test_donors_are_other_photos() -> None:
    photos = [photo(seed) for seed in range(3)]
    seen: list[bytes] = []

    def watched(pixels: Pixels) -> Masks:
        seen.append(pixels.tobytes())
        return bright(pixels)

    system = EditSystem("replace", masks_of=watched, donors=photos)
    for seed in range(12):
        seen.clear()
        system.send(photos[1], 1.0, rng(seed))
        assert seen.count(photos[1].tobytes()) == 1
        assert len(seen) == 2
    with pytest.raises(UsageError, match="Pass donors"):
        EditSystem("replace", masks_of=bright)
    with pytest.raises(UsageError, match="other than the photo"):
        EditSystem("replace", masks_of=bright, donors=photos[:1]).send(photos[0], 1.0, rng(0))


def test_it_says_what_shapes_its_output() -> None:
    system = EditSystem("content", masks_of=bright)
    assert json.loads(json.dumps(system.to_dict())) == {
        "name": "remove",
        "label": "removed",
        "edit": "remove",
        "dimension": "content",
        "objects": 4,
        "masks": "bright",
        "donors": [],
    }
    donors = EditSystem("replace", masks_of=bright, donors=[photo(0), photo(1)]).to_dict()["donors"]
    assert len(set(donors)) == 2


def test_masks_come_at_the_photos_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo wider than 800 px is segmented at 800 and its masks are brought back."""
    from semetric.scene import rle

    finder = PhotoMasks()
    asked = []

    class Builder:
        def masks(self, picture: object) -> dict[str, np.ndarray]:
            asked.append(picture.size)  # type: ignore[attr-defined]
            small = np.zeros((1, *asked[-1]), bool)
            small[0, asked[-1][0] // 2 :, : asked[-1][1] // 4] = True
            coded, ends = rle.encode(small)
            return {"runs": coded, "ends": ends}

    monkeypatch.setitem(finder.__dict__, "_builder", Builder())
    found = finder(np.zeros((602, 1200, 3), np.uint8))
    assert asked == [(401, 800)]
    assert found.shape == (1, 602, 1200)
    assert found.dtype == bool
    want = np.zeros((602, 1200), bool)
    want[301:, :300] = True
    assert (found[0] != want).sum() <= 300  # 200 of 401 rows are not half of 602: one row of 300 px
    assert finder(np.zeros((30, 40, 3), np.uint8)).shape == (1, 30, 40)


@pytest.mark.weights
@pytest.mark.slow
def test_masks_of_a_real_photo_are_those_of_sess() -> None:
    from skimage import data

    from semetric.image import read_image
    from semetric.scene.build import GraphBuilder
    from semetric.scene.rle import decode
    from semetric.scoring import runtime

    pixels = data.coffee()[::2, ::2].copy()
    used = runtime("lite", device="cpu")
    found = GraphBuilder(used).masks(read_image(pixels))
    masks = PhotoMasks(used)
    assert (masks(pixels) == decode((found["runs"], found["ends"]), pixels.shape[:2])).all()
    assert "sam" in json.dumps(masks.to_dict()).lower()
    received = EditSystem("remove", masks_of=masks).send(pixels, 1.0, rng(0))
    assert 0.02 < received.details["changed_share"] < 0.6
