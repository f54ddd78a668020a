"""Lists of names on stderr: files without a partner, pairs that failed, rows of one run alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

__all__ = ["grouped", "log_names"]

_SHOWN = 20


def log_names(title: str, names: Sequence[str], whole: str) -> None:
    """Logs a title and the first twenty names; nothing where there are none.

    Args:
        title: what they have in common, and how many they are.
        names: one a line.
        whole: where the whole list is.
    """
    if names:
        more = [f"  … and {len(names) - _SHOWN} more: see {whole}"] if len(names) > _SHOWN else []
        logging.getLogger("semetric.cli").warning("%s", "\n".join([title, *(f"  {n}" for n in names[:_SHOWN]), *more]))


def grouped(reasons: Mapping[str, str]) -> dict[str, str]:
    """Metrics that failed for one reason together: "mse, psnr" → the reason, which then begins without a name.

    Args:
        reasons: metric → why it gave no score.
    """
    alike: dict[str, list[str]] = {}
    for name, why in reasons.items():
        alike.setdefault(why.removeprefix(f"{name} "), []).append(name)
    return {", ".join(names): reasons[names[0]] if len(names) == 1 else why for why, names in alike.items()}
