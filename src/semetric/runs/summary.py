"""What a finished run comes to: summary.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from semetric.runs.pairing import Pairing
from semetric.runs.statistics import LARGE, RESAMPLES, SEED, describe

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["infinities", "summarise"]


def summarise(
    table: pa.Table,
    record: Mapping[str, Any],
    pairing: Pairing,
    *,
    asked: bool,
    left_out: Mapping[str, str],
) -> dict[str, Any]:
    """The summary of a run, as plain JSON values.

    Args:
        table: all rows.
        record: run.json.
        pairing: the pairs, and the files that found no partner.
        asked: whether the metrics were named: then a pair without one of them has failed; else a
            pair has failed if no metric scored it.
        left_out: metric → why the whole run went without it.
    """
    metrics: dict[str, Any] = {name: _metric(table[name].to_numpy(), one) for name, one in record["metrics"].items()}
    failed = []
    texts = [table.column(name) for name in ("reference", "image", "error")]
    for index in _indices(table["error"]):
        reference, image, text = (column[index].as_py() for column in texts)
        errors: dict[str, str] = json.loads(text)
        for name, why in errors.items():
            metrics[name]["failed"] += 1
            metrics[name].setdefault("because", why)
        if asked or len(errors) == len(metrics):
            failed.append({"reference": reference, "image": image, "errors": errors})
    ambiguous = {
        name: {"references": list(references), "images": list(images)}
        for name, (references, images) in pairing.ambiguous.items()
    }
    return {
        "version": record["version"],
        "profile": record["profile"]["name"],
        "source": record["source"],
        "pairs": table.num_rows,
        "failed": failed,
        "unmatched": {
            "references": list(pairing.unmatched_references),
            "images": list(pairing.unmatched_images),
        },
        "ambiguous": ambiguous,
        "not_images": list(pairing.not_images),
        "left_out": dict(left_out),
        "metrics": metrics,
        "interval": {
            "of": "mean",
            "level": 0.95,
            "method": f"percentile bootstrap; mean ± 1.96 standard errors above {LARGE} scores",
            "resamples": RESAMPLES,
            "seed": SEED,
        },
    }


def infinities(count: int) -> str:
    """What is said of infinite scores that were left out."""
    return f"{count} infinite {'score' if count == 1 else 'scores'} (identical images) left out"


def _metric(values: Any, record: Mapping[str, Any]) -> dict[str, Any]:
    import numpy as np

    infinite = int(np.isinf(values).sum())
    return {
        "higher_is_better": record["higher_is_better"],
        "range": record["range"],
        "weights": record["weights"],
        **describe(values[np.isfinite(values)]).to_dict(),
        "infinite": infinite,
        **({"note": infinities(infinite)} if infinite else {}),
        "failed": 0,
    }


def _indices(column: pa.ChunkedArray) -> list[int]:
    """Where a column holds something."""
    import numpy as np

    valid = column.is_valid().to_numpy()
    found: list[int] = np.flatnonzero(valid).tolist()
    return found
