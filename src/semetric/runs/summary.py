"""What a finished run comes to: summary.json."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

from semetric.errors import UsageError
from semetric.runs.pairing import Pairing
from semetric.runs.statistics import LARGE, RESAMPLES, SEED, describe

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["failed_rows", "infinities", "is_summary", "summarise"]

_NUMBERS = ("mean", "std", "min", "max")  # of a metric's summary; None where there is nothing to describe


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
        asked: as for `failed_rows`.
        left_out: metric → why the whole run went without it.

    Raises:
        UsageError: the errors of a row are damaged.
    """
    metrics: dict[str, Any] = {name: _metric(table[name].to_numpy(), one) for name, one in record["metrics"].items()}
    failed = []
    whole = set(failed_rows(table, len(metrics), asked=asked))
    texts = [table.column(name) for name in ("reference", "image", "error")]
    for index in _indices(table["error"]):
        reference, image, text = (column[index].as_py() for column in texts)
        errors = _errors(text, metrics)
        for name, why in errors.items():
            metrics[name]["failed"] += 1
            metrics[name].setdefault("because", why)
        if index in whole:
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


def failed_rows(table: pa.Table, metrics: int, *, asked: bool) -> list[int]:
    """Indices of the rows that have failed.

    Args:
        table: all rows.
        metrics: how many the run has.
        asked: whether they were named: then a pair without one of them has failed; else a pair has
            failed if no metric scored it.

    Raises:
        UsageError: the errors of a row are damaged.
    """
    errors = table["error"]
    return [i for i in _indices(errors) if asked or len(_errors(errors[i].as_py())) == metrics]


def is_summary(document: Any, record: Mapping[str, Any]) -> bool:
    """Whether a document has the parts of a summary that are read.

    Args:
        document: JSON values.
        record: run.json of the same run.
    """
    if not isinstance(document, dict) or not isinstance(document.get("pairs"), int):
        return False
    metrics, failed = document.get("metrics"), document.get("failed")
    return (
        isinstance(metrics, dict)
        and list(metrics) == list(record["metrics"])
        and all(isinstance(one, dict) and _is_metric(one) for one in metrics.values())
        and isinstance(failed, list)
        and all(
            isinstance(one, dict) and {"reference", "image", "errors"} <= set(one) and isinstance(one["errors"], dict)
            for one in failed
        )
    )


def _errors(text: str, metrics: Container[str] | None = None) -> dict[str, str]:
    """The errors of a row: metric → why; of these metrics, where they are known."""
    try:
        errors = json.loads(text)
        whole = isinstance(errors, dict) and all(isinstance(why, str) for why in errors.values())
    except (ValueError, RecursionError):
        whole = False
    if not whole or (metrics is not None and not all(name in metrics for name in errors)):
        raise UsageError(
            f"Expected the errors of a row as a JSON object, a text a metric; found {text[:60]!r}. "
            "The rows of this run are damaged: choose another --out."
        )
    found: dict[str, str] = errors
    return found


def _is_metric(one: Mapping[str, Any]) -> bool:
    """Whether one metric's part of a summary has the values of `_metric` that are read."""
    interval, quantiles = one.get("mean_interval_95", ()), one.get("quantiles", ())
    return (
        all(isinstance(one.get(name), int) for name in ("n", "failed", "higher_is_better"))
        and (one["failed"] == 0 or isinstance(one.get("because"), str))
        and all(name in one and _is_number(one[name]) for name in _NUMBERS)
        and (interval is None or (isinstance(interval, list) and len(interval) == 2 and all(map(_is_number, interval))))
        and (quantiles is None or (isinstance(quantiles, dict) and all(map(_is_number, quantiles.values()))))
    )


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, int | float)


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
