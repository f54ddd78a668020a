"""Summary statistics of a finished run of pairs: summary.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from semetric.results.database import Row
from semetric.results.statistics import INTERVAL, describe

if TYPE_CHECKING:
    from semetric.runs.scoring import PairPlan

__all__ = ["infinities", "summarise"]


def summarise(rows: Iterable[Row], plan: PairPlan) -> dict[str, Any]:
    """The summary of a run, as plain JSON values.

    Args:
        rows: all that are finished.
        plan: the pairs, the metrics, and the files that found no partner.
    """
    record, pairing = plan.record, plan.pairing
    chunks: list[bytes] = []
    failed: list[dict[str, Any]] = []
    errors: dict[str, dict[str, Any]] = {name: {"failed": 0} for name in plan.metrics}
    for row in rows:
        chunks.append(np.asarray(row.scores).tobytes())
        for name, why in row.errors.items():
            errors[name]["failed"] += 1
            errors[name].setdefault("because", why)
        if row.errors and plan.failed(row):
            failed.append({"reference": row.fields[0], "image": row.fields[1], "errors": dict(row.errors)})
    scores = np.frombuffer(b"".join(chunks), np.float64).reshape(len(chunks), len(plan.metrics))
    ambiguous = {
        name: {"references": list(references), "images": list(images)}
        for name, (references, images) in pairing.ambiguous.items()
    }
    return {
        "version": record["version"],
        "profile": record["profile"].name,
        "source": record["source"],
        "pairs": len(chunks),
        "failed": failed,
        "unmatched": {
            "references": list(pairing.unmatched_references),
            "images": list(pairing.unmatched_images),
        },
        "ambiguous": ambiguous,
        "not_images": list(pairing.not_images),
        "left_out": dict(plan.left_out),
        "metrics": {
            name: {**_metric(scores[:, place], record["metrics"][name]), **errors[name]}
            for place, name in enumerate(plan.metrics)
        },
        "interval": INTERVAL,
    }


def infinities(count: int) -> str:
    """What is said of infinite scores that were left out."""
    return f"{count} infinite {'score' if count == 1 else 'scores'} (identical images) left out"


def _metric(values: Any, record: Mapping[str, Any]) -> dict[str, Any]:
    statistics = describe(values)
    del statistics["errors"]  # "failed" has their number
    infinite = statistics["infinite"]
    return {
        "higher_is_better": record["higher_is_better"],
        "range": record["range"],
        "weights": record["weights"],
        **statistics,
        **({"note": infinities(infinite)} if infinite else {}),
    }
