"""What a tuning leaves in its folder: settings for `semetric score --config`, the report, the trials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semetric.learn.tuning.tune import Tuning
from semetric.metrics.sess_settings import sess_settings_toml
from semetric.results.export import csv_line
from semetric.results.files import named_errors, write_json, write_whole

__all__ = ["CONFIG", "REPORT", "TRIALS", "write_tuning"]

CONFIG = "sess.toml"
REPORT = "tuning.json"
TRIALS = "trials.csv"


def write_tuning(tuning: Tuning, out: Path, about: Mapping[str, Any]) -> dict[str, Path]:
    """Writes the report, the table of trials and, where the judgements determine every parameter, the settings.

    Files of an earlier run are replaced; settings of one that are not recommended any more are removed.

    Args:
        tuning: from `tune`.
        out: the folder; made if need be.
        about: of the judgements and the graphs: source, profile, weights, what was left out; JSON values.

    Returns:
        Role → path; "config" is missing where nothing is recommended.

    Raises:
        StoreError: they cannot be written.
    """
    with named_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    paths = {"report": out / REPORT, "trials": out / TRIALS}
    lines = [csv_line(["number", "loss", *tuning.settings.to_dict()])]
    lines += [csv_line([trial.number, trial.loss, *trial.settings.to_dict().values()]) for trial in tuning.trials]
    write_whole(paths["trials"], lambda stream: stream.write(b"".join(lines)))
    write_json(paths["report"], {**about, **tuning.to_dict()})
    if tuning.undetermined:
        with named_errors(out / CONFIG):
            (out / CONFIG).unlink(missing_ok=True)
        return paths
    comments = [
        f"SeSS tuned on {tuning.triplets} triplets of {tuning.references} reference images "
        f"({about.get('source', '?')}).",
        f"Objective {tuning.options.objective}: {tuning.loss:.6g}; "
        + "; ".join(f"settings of the variant {name}: {loss:.6g}" for name, loss in tuning.baseline_losses.items())
        + ".",
        f"Graphs of the profile {about.get('profile', '?')}; settings tuned on one profile's graphs fit no other's.",
    ]
    text = sess_settings_toml(tuning.settings, comments=comments)
    write_whole(out / CONFIG, lambda stream: stream.write(text.encode()))
    return {"config": out / CONFIG, **paths}
