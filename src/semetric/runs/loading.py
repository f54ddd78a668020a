"""Decoding ahead: worker threads read the next images while the current ones are scored."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from semetric.errors import ImageError
from semetric.image import Picture
from semetric.runs.pairing import Pair

__all__ = ["AHEAD_BYTES", "Loaded", "load_pairs"]

AHEAD_BYTES = 256 << 20  # decoded pixels that may wait
_GUESS_BYTES = 8 << 20  # of an image, before the first is decoded: 2.8 megapixels


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """One pair, decoded.

    Attributes:
        reference: the picture, or why there is none.
        image: the picture, or why there is none.
    """

    reference: Picture | ImageError
    image: Picture | ImageError

    @property
    def size_bytes(self) -> int:
        """What its pixels hold in memory."""
        return sum(_bytes(one) for one in (self.reference, self.image))


def load_pairs(
    pairs: Iterable[Pair],
    read: Callable[[str], Picture],
    *,
    workers: int,
    ahead: int,
    ahead_bytes: int = AHEAD_BYTES,
) -> Generator[Loaded]:
    """Yields the pairs in their order. A file that several pairs in reach need is decoded once.

    Args:
        pairs: in the order of scoring; taken as far as they are in reach.
        read: decodes a file; called in threads.
        workers: number of threads.
        ahead: pairs that may be in reach beyond the current one.
        ahead_bytes: decoded pixels that may wait; one pair is always in reach.

    Raises:
        Exception: what `read` raised, but for ImageError, which becomes the picture's place.
    """
    coming = iter(pairs)
    reach: deque[Pair] = deque()
    futures: dict[str, Future[Picture | ImageError]] = {}
    users: dict[str, int] = {}
    largest = _GUESS_BYTES

    def attempt(path: str) -> Picture | ImageError:
        try:
            return read(path)
        except ImageError as error:
            return error

    def waiting_bytes() -> int:
        done = [_bytes(f.result()) if f.done() and not f.exception() else largest for f in futures.values()]
        return sum(done)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="semetric-decode")
    try:
        while True:
            while len(reach) <= ahead and (not reach or waiting_bytes() < ahead_bytes):
                pair = next(coming, None)
                if pair is None:
                    break
                reach.append(pair)
                for path in (pair.reference_path, pair.image_path):
                    users[path] = users.get(path, 0) + 1
                    if path not in futures:
                        futures[path] = pool.submit(attempt, path)
            if not reach:
                return
            pair = reach.popleft()
            paths = pair.reference_path, pair.image_path
            one, two = (futures[path].result() for path in paths)
            if largest == _GUESS_BYTES or max(_bytes(one), _bytes(two)) > largest:
                largest = max(_bytes(one), _bytes(two), 1)
            for path in paths:
                users[path] -= 1
                if not users[path]:
                    del users[path], futures[path]
            yield Loaded(reference=one, image=two)
            del one, two
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _bytes(loaded: Picture | ImageError) -> int:
    return loaded.pixels.nbytes if isinstance(loaded, Picture) else 0
