"""Scores that were computed before: of settings, in memory and in a journal that survives a kill.

Searches are deterministic: started again they ask for the same settings in the same order, find what the journal holds,
and go on where it ends. So the journal is all that resuming takes, whatever the sampler.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from semetric.errors import StoreError, UsageError
from semetric.metrics.sess_settings import SessSettings
from semetric.runs.files import named_errors
from semetric.scene.batch import PairBatch

__all__ = ["Memo"]

_FORMAT = 1

_Floats = NDArray[np.float64]


class Memo:
    """SeSS of every pair under any settings, each computed once.

    A journal is a line of what it is about, then a line for each settings: their values and the scores' bytes. A line
    that a kill cut short is cut off and computed again.

    Args:
        batch: the pairs.
        path: of the journal; None keeps scores in memory alone.
        advance: told after each settings that had to be computed.

    Raises:
        UsageError: the journal is of other pairs.
        StoreError: it cannot be read or written.
    """

    def __init__(
        self, batch: PairBatch, path: Path | None = None, *, advance: Callable[[int], None] = lambda count: None
    ) -> None:
        self.batch = batch
        self._advance = advance
        self._known: dict[str, _Floats] = {}
        self._file: BinaryIO | None = None
        if path is not None:
            try:
                self._open(path)
            except BaseException:
                self.close()
                raise
        self.resumed = len(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __call__(self, settings: SessSettings) -> _Floats:
        """(pairs,) scores."""
        name = json.dumps(settings.to_dict(), sort_keys=True)
        found = self._known.get(name)
        if found is None:
            found = self.batch.scores(settings.matching, settings.importance)
            self._write({"settings": settings.to_dict(), "scores": base64.b64encode(found.tobytes()).decode()})
            self._known[name] = found
            self._advance(1)
        return found

    def close(self) -> None:
        """Brings the journal to the disk."""
        if self._file is not None:
            with named_errors(Path(self._file.name)):
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
            self._file = None

    def _open(self, path: Path) -> None:
        about = {"format": _FORMAT, "pairs": len(self.batch), "digest": self.batch.digest}
        with named_errors(path):
            self._file = path.open("a+b", buffering=0)
            self._file.seek(0)
            content = self._file.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                self._file.truncate(whole)
        lines = content[:whole].splitlines()
        if not lines:
            self._write(about)
            return
        try:
            documents = [json.loads(line) for line in lines]
            first, rest = documents[0], documents[1:]
            if first != about:
                raise UsageError(
                    f"Expected {path} to hold trials of these triplets and graphs; it holds those of others (or of "
                    "another Semetric). Choose another --out, or remove the file."
                )
            for one in rest:
                scores = np.frombuffer(base64.b64decode(one["scores"], validate=True), np.float64)
                if scores.shape != (len(self.batch),):
                    raise ValueError(f"{scores.size} scores for {len(self.batch)} pairs")
                self._known[json.dumps(one["settings"], sort_keys=True)] = scores
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, UsageError):
                raise
            raise StoreError(f"Expected a journal of trials in {path}; it is damaged ({error}). Remove it.") from error

    def _write(self, document: object) -> None:
        if self._file is not None:
            with named_errors(Path(self._file.name)):
                self._file.write(json.dumps(document).encode() + b"\n")
