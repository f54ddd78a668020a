from __future__ import annotations

import threading
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semetric.errors import ImageError, UsageError
from semetric.image import Picture
from semetric.runs.loading import load_pairs
from semetric.runs.order import visiting_order
from semetric.runs.pairing import Pair


def pair(reference: str, image: str) -> Pair:
    return Pair(reference=reference, image=image, reference_path=reference, image_path=image)


def picture(name: str, side: int = 2) -> Picture:
    return Picture(pixels=np.zeros((side, side, 3), np.uint8), name=name)


class Reader:
    """Counts what is read, and what is decoded and not yet taken."""

    def __init__(self, side: int = 2, seconds: float = 0.0) -> None:
        self.side, self.seconds = side, seconds
        self.reads: Counter[str] = Counter()
        self.threads: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, name: str) -> Picture:
        time.sleep(self.seconds)
        with self._lock:
            self.reads[name] += 1
            self.threads.add(threading.current_thread().name)
        if name.startswith("bad"):
            raise ImageError(f"{name} is bad.")
        return picture(name, self.side)


@settings(deadline=None)  # threads start when the system wants
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12),
    st.integers(1, 3),
    st.integers(0, 4),
    st.integers(1, 100),
)
def test_pairs_come_in_order_with_their_pictures(
    numbers: list[tuple[int, int]], workers: int, ahead: int, ahead_bytes: int
) -> None:
    pairs = [pair(f"r{r}", f"i{i}") for r, i in numbers]
    order = visiting_order(pairs)
    wanted = [pairs[i] for i in order]
    found = list(load_pairs(wanted, Reader(), workers=workers, ahead=ahead, ahead_bytes=ahead_bytes))
    for one, both in zip(found, wanted, strict=True):
        assert isinstance(one.reference, Picture)
        assert isinstance(one.image, Picture)
        assert (one.reference.name, one.image.name) == (both.reference, both.image)
        assert one.size_bytes == 24


def test_a_reference_of_many_pairs_is_decoded_once() -> None:
    pairs = [pair(f"r{r}", f"r{r}i{i}") for r in range(3) for i in range(5)]
    reader = Reader()
    found = list(load_pairs([pairs[i] for i in visiting_order(pairs)], reader, workers=2, ahead=2))
    assert set(reader.reads.values()) == {1}
    assert found[0].reference is found[4].reference


def test_a_file_that_cannot_be_read_is_its_error() -> None:
    bad, good = load_pairs([pair("bad", "a"), pair("b", "a")], Reader(), workers=1, ahead=2)
    assert isinstance(bad.reference, ImageError)
    assert isinstance(bad.image, Picture)
    assert isinstance(good.reference, Picture)
    assert bad.size_bytes == 12


def test_other_errors_are_not_hidden() -> None:
    def fail(name: str) -> Picture:
        raise UsageError("no colour")

    with pytest.raises(UsageError, match="no colour"):
        list(load_pairs([pair("a", "b")], fail, workers=1, ahead=1))


@pytest.mark.parametrize(("ahead", "ahead_bytes", "most"), [(3, 1 << 30, 8), (100, 5000, 6), (100, 1, 2)])
def test_what_waits_is_bounded(ahead: int, ahead_bytes: int, most: int) -> None:
    """With a current pair of 2 pictures of 1200 bytes: 3 pairs ahead of it; 5000 bytes, taken up in pairs; nothing."""
    pairs = [pair(f"r{i}", f"i{i}") for i in range(20)]
    reader = Reader(side=20)
    loader = load_pairs(pairs, reader, workers=4, ahead=ahead, ahead_bytes=ahead_bytes)
    for taken, _ in enumerate(loader):
        time.sleep(0.005)
        assert sum(reader.reads.values()) - 2 * taken <= most
    assert len(reader.reads) == 40


def test_decoding_goes_on_while_the_consumer_works() -> None:
    reader = Reader(seconds=0.001)
    loader = load_pairs([pair(f"r{i}", f"i{i}") for i in range(4)], reader, workers=2, ahead=3)
    next(loader)
    deadline = time.monotonic() + 10
    while sum(reader.reads.values()) < 8 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert sum(reader.reads.values()) == 8
    assert threading.current_thread().name not in reader.threads
    loader.close()


def test_closing_ends_the_threads() -> None:
    loader = load_pairs([pair(f"r{i}", f"i{i}") for i in range(50)], Reader(seconds=0.002), workers=2, ahead=9)
    next(loader)
    loader.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("semetric-decode")]
