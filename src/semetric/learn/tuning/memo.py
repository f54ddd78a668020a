"""Scores that were computed before: of settings, in memory and in a database that survives a kill.

Searches are deterministic: started again they ask for the same settings in the same order, find what the database
holds, and go on where it ends. So that is all that resuming takes, whatever the sampler.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semetric.errors import UsageError
from semetric.learn.tuning.judged import Batch
from semetric.metrics.sess_settings import Settings
from semetric.results.database import Database, Row

__all__ = ["Memo"]

_Floats = NDArray[np.float64]


class Memo:
    """SeSS of every pair under any settings, each computed once. In the database a unit is one settings.

    Args:
        batch: the pairs.
        path: of the database; None keeps scores in memory alone.
        advance: progress callback: number of settings computed since the last call.

    Raises:
        UsageError: the database is of other pairs.
        StoreError: it cannot be read or written.
    """

    def __init__(
        self, batch: Batch, path: Path | None = None, *, advance: Callable[[int], None] = lambda count: None
    ) -> None:
        self.batch = batch
        self._advance = advance
        self._known: dict[str, _Floats] = {}
        self._next = 0
        self._database = None if path is None else Database(path, create=True)
        try:
            self._enter()
        except BaseException:
            self.close()
            raise
        self.resumed = len(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __call__(self, settings: Settings) -> _Floats:
        """(pairs,) scores."""
        name = json.dumps(settings.to_dict(), sort_keys=True)
        scores = self._known.get(name)
        if scores is None:
            scores = self.batch.scores(settings)
            if self._database is not None:
                self._database.add([Row(unit=self._next, scores=scores, fields=[name])])
                self._next += 1
            self._known[name] = scores
            self._advance(1)
        return scores

    def close(self) -> None:
        """Brings what is computed to the disk."""
        if self._database is not None:
            try:
                self._database.flush()
            finally:
                self._database.close()
            self._database = None

    def _enter(self) -> None:
        if self._database is None:
            return
        about = {"kind": "tuning", "pairs": len(self.batch), "digest": self.batch.digest}
        before = self._database.document("record")
        if before not in (None, about):
            raise UsageError(
                f"Expected {self._database.path} to hold trials of these triplets and graphs; it holds those of others "
                "(or of another Semetric). Choose another --out, or remove the file."
            )
        self._database.put({"record": about})
        self._database.repair()
        for row in self._database.rows():
            self._known[row.fields[0]] = np.array(row.scores)
            self._next = row.unit + 1
