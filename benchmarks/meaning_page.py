"""The tables and the picture of docs/meaning.md, and the table of unrelated images that reports show."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.distortions import HARMLESS, Label
from benchmarks.meaning_statistics import DAMAGES, EDITS, STRENGTHS, UNRELATED, Scored, Summary, summarise
from semetric.learn.agreement.resampling import Estimate
from semetric.metrics import registry

__all__ = ["Result", "draw", "name_of", "shares_by_rank", "tables", "write", "write_unrelated"]

REPORTS = Path(__file__).resolve().parents[1] / "src" / "semetric" / "report" / "unrelated.json"
BEGIN, END = "<!-- tables -->", "<!-- /tables -->"
GROUPS = ("unrelated", "changed", "harmless")  # from the least similar to the most, where a metric measures meaning
COLOURS = {"harmless": "#0072B2", "changed": "#E69F00", "unrelated": "#8c8c8c"}  # Okabe and Ito's, and a grey
WORDS = {
    "harmless": "harmless copies (JPEG, slight noise, brighter, shifted, mirrored, …)",
    "changed": "objects removed, replaced, swapped or inserted (strength 1)",
    "unrelated": "unrelated photos",
}
COLUMNS = 240  # of the picture's bands: enough for the ranks of 27 images to end within half a percent of their place
NAMES = {
    "jpeg": "JPEG {:g}",
    "webp": "WebP {:g}",
    "blur": "blur σ {:g}",
    "noise": "noise σ {:g}",
    "gamma": "gamma {:g}",
    "contrast": "contrast {:+.0%}",
    "downscaling": "half size and back",
    "removal": "{:g} removed",
    **{edit: edit + " {:g}" for edit in EDITS},
}


@dataclass(frozen=True, kw_only=True)
class Result:
    """All scores of one metric.

    Attributes:
        name: as the page calls it.
        metric: the metric's name.
        weights: role → identity of its networks.
        details: its choices, such as the variant.
        scores: photo → its scores.
        left_out: photo → edit → why there is none.
    """

    name: str
    metric: str
    weights: Mapping[str, str]
    details: Mapping[str, str]
    scores: Mapping[str, Scored]
    left_out: Mapping[str, Mapping[str, str]]

    @property
    def higher_is_better(self) -> bool:
        """The metric's direction."""
        return registry.METRICS[self.metric].higher_is_better

    @cached_property
    def summary(self) -> Summary:
        """Its measures."""
        spec = registry.METRICS[self.metric]
        return summarise(
            self.scores, higher_is_better=spec.higher_is_better, identical=spec.range[1 if spec.higher_is_better else 0]
        )


def name_of(label: Label) -> str:
    """A label in words."""
    kind, level = label
    return NAMES[kind].format(level).replace("-", "−") if kind in NAMES else kind


def _cell(value: Estimate | None, digits: int = 2, *, percent: bool = False) -> str:
    """A value over its interval."""
    if value is None or value.value is None:
        return "–"

    def shown(number: float) -> str:
        return f"{100 * number:.{digits}f}%" if percent else f"{number:.{digits}f}"

    interval = f"<br>{shown(value.interval_95[0])} … {shown(value.interval_95[1])}" if value.interval_95 else ""
    return shown(value.value) + interval


def _table(corner: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    lines = [f"| {corner} | " + " | ".join(columns) + " |", "|---|" + "--:|" * len(columns)]
    return "\n".join([*lines, *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items())])


def _overview(results: Sequence[Result]) -> str:
    columns = ["AUC, strength 1", "AUC, strength 0.5", "copies above unrelated", "mean τ", "drop: removed over JPEG"]
    rows = {}
    for each in results:
        own = each.summary
        rows[each.name] = [
            _cell(own.auc["all", 1.0]),
            _cell(own.auc["all", 0.5]),
            _cell(own.copies["moderate"], 1, percent=True),
            _cell(own.tau["mean"]),
            _cell(own.drop_ratio, 1),
        ]
    return _table("metric", columns, rows)


def _edits(results: Sequence[Result]) -> str:
    keys = [(edit, strength) for edit in EDITS for strength in STRENGTHS] + [("all", 0.0)]
    columns = [f"{edit} {strength:g}" if strength else "all" for edit, strength in keys]
    return _table("metric", columns, {each.name: [_cell(each.summary.auc[key]) for key in keys] for each in results})


def _unrelated(results: Sequence[Result]) -> str:
    columns = ["copies above unrelated", "extreme damage too", "mean", "most similar", "which"]
    rows = {}
    for each in results:
        own = each.summary
        best = own.most_similar_unrelated
        rows[each.name] = [
            _cell(own.copies["moderate"], 1, percent=True),
            _cell(own.copies["all"], 1, percent=True),
            _cell(own.mean.get((UNRELATED, "")), 3),
            "–" if best is None else f"{best[0]:.3f}",
            "–" if best is None else f"{best[1]}, {best[2]}",
        ]
    return _table("metric", columns, rows)


def _severity(results: Sequence[Result]) -> str:
    keys = (*DAMAGES, "mean")
    return _table("metric", keys, {each.name: [_cell(each.summary.tau[key]) for key in keys] for each in results})


def _means(results: Sequence[Result], chosen: Callable[[Label], bool]) -> str:
    labels = [label for label in dict.fromkeys(own for each in results for own in each.summary.mean) if chosen(label)]
    rows = {name_of(label): [_cell(each.summary.mean.get(label), 3) for each in results] for label in labels}
    return _table("image", [each.name for each in results], rows)


def _left_out(results: Sequence[Result]) -> str:
    """Which photos lack which edits and levels."""
    scores, left_out = results[0].scores, results[0].left_out
    lines = []
    for edit in EDITS:
        names = [photo for photo in scores if edit in left_out.get(photo, {})]
        if names:
            lines.append(f"- {edit}: too few objects in {', '.join(names)}.")
    for level in dict.fromkeys(label for own in scores.values() for label in own if label[0] == "removal"):
        names = [photo for photo, own in scores.items() if level not in own]
        if names:
            lines.append(f"- {name_of(level)}: too few objects in {', '.join(names)}.")
    return "Left out:\n\n" + "\n".join(lines) if lines else "No photo is left out of any edit."


def tables(results: Sequence[Result]) -> str:
    """All tables as Markdown, each value over its 95% interval."""
    harmless = _means(results, lambda label: label in HARMLESS)
    edits = _means(results, lambda label: label[0] in EDITS)
    damage = _means(results, lambda label: label[0] in DAMAGES)
    parts = {
        "At a glance": _overview(results),
        "Harmless copies above changed images: AUC": _edits(results) + "\n\n" + _left_out(results),
        "Unrelated images": _unrelated(results),
        "Severity: Kendall's τ": _severity(results),
        "Mean score of harmless copies": harmless,
        "Mean score of changed images": edits,
        "Mean score under rising damage": damage,
    }
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in parts.items()) + "\n"


def write(results: Sequence[Result], page: Path) -> None:
    """Draws images/meaning.png beside the page and puts the tables between the page's two marks.

    The text around the marks is a person's. A page that does not exist is made of the tables alone.
    """
    text = page.read_text(encoding="utf-8") if page.exists() else f"# Does it measure meaning?\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    picture = page.parent / "images" / "meaning.png"
    drawn = [each for each in results if _complete(each)]
    shown = ""
    if drawn:
        draw(drawn, picture)
        shown = f"![The images of every photo sorted by each metric](images/{picture.name})\n\n"
    count = len(results[0].scores)
    note = f"{count} photos, `python -m benchmarks.meaning`. Below each value: its 95% interval.\n\n"
    page.write_text(f"{before}{BEGIN}\n{shown}{note}{tables(results)}{END}{after}", encoding="utf-8")


def write_unrelated(results: Sequence[Result], file: Path = REPORTS) -> None:
    """Writes what each metric gives to unrelated images, for the marks on bars of reports."""
    rows = []
    for each in results:
        best, mean = each.summary.most_similar_unrelated, each.summary.mean.get((UNRELATED, ""))
        if best is None or mean is None or mean.value is None:
            continue
        row = {
            "metric": each.metric,
            "mean": round(mean.value, 3),
            "best": round(best[0], 3),
            "weights": {role: identity.split("@")[0] for role, identity in each.weights.items()},
            "details": dict(each.details),
        }
        rows.append("    " + json.dumps(row))
    scores = results[0].scores
    pairs = sum(label[0] == UNRELATED for own in scores.values() for label in own)
    source = f"docs/meaning.md, table Unrelated images: {len(scores)} photos, {pairs} pairs; profile lite"
    head = f'{{\n  "source": {json.dumps(source)},\n  "photos": {len(scores)},\n  "pairs": {pairs},\n  "rows": [\n'
    file.write_text(head + ",\n".join(rows) + "\n  ]\n}\n", encoding="utf-8")


def _group(label: Label) -> str | None:
    if label in HARMLESS:
        return "harmless"
    if label[0] == UNRELATED:
        return "unrelated"
    return "changed" if label[0] in EDITS and label[1] == 1.0 else None


def _complete(result: Result) -> bool:
    """Whether every group has an image."""
    return set(GROUPS) <= {_group(label) for scored in result.scores.values() for label in scored}


def shares_by_rank(result: Result, columns: int = COLUMNS) -> NDArray[np.float64]:
    """What stands at each place when every photo's images are sorted, the least similar first.

    Returns:
        (3, columns): the share of photos whose image at that place belongs to each of GROUPS; each column sums
        to 1. Photos with fewer images are stretched; groups share the places of tied images.
    """
    sign = 1.0 if result.higher_is_better else -1.0
    shares = np.zeros((len(GROUPS), columns))
    for scored in result.scores.values():
        images = [(sign * value, group) for label, value in scored.items() if (group := _group(label)) is not None]
        values = np.array([value for value, _ in images])
        member = np.array([[group == name for _, group in images] for name in GROUPS], np.float64)  # (3, images)
        order = np.argsort(values)
        _, place = np.unique(values[order], return_inverse=True)
        tied = np.stack([member[:, order][:, place == i].mean(1) for i in range(place[-1] + 1)], 1)[:, place]
        shares += tied[:, np.arange(columns) * len(images) // columns]
    return shares / len(result.scores)


def draw(results: Sequence[Result], file: Path) -> None:
    """A band a metric: every photo's images sorted by it, coloured by what they are.

    Args:
        results: with images of every group.
        file: the PNG to write.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    first = next(iter(results[0].scores.values()))
    sizes = [sum(_group(label) == group for label in first) for group in GROUPS]
    ideal = np.repeat(np.eye(len(GROUPS)), sizes, axis=1)
    ideal = ideal[:, np.arange(COLUMNS) * ideal.shape[1] // COLUMNS]
    ranked = sorted(results, key=lambda each: -_auc(each))
    bands = [("a perfect metric", ideal, 1.0), *((each.name, shares_by_rank(each), _auc(each)) for each in ranked)]
    figure = Figure(figsize=(9.5, 1.5 + 0.46 * len(bands)), layout="constrained")
    axes = figure.subplots(len(bands), 1, sharex=True)
    for i, (ax, (name, shares, auc)) in enumerate(zip(axes, bands, strict=True)):
        edges = np.linspace(0, 1, COLUMNS + 1)
        ax.stackplot(
            np.repeat(edges, 2)[1:-1],
            np.repeat(shares, 2, axis=1),
            colors=[COLOURS[group] for group in GROUPS],
            linewidth=0,
        )
        ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
        ax.set_ylabel(name, rotation=0, ha="right", va="center", weight="bold" if i == 0 else "normal")
        ax.text(1.012, 0.5, f"{auc:.2f}", transform=ax.transAxes, va="center")
        ax.spines[:].set_visible(False)
    axes[0].text(1.012, 1.2, "AUC: harmless\nabove changed", transform=axes[0].transAxes, va="bottom", size="small")
    axes[-1].set_xlabel("least similar to the photo  ←  images sorted by the metric  →  most similar")
    handles = [Patch(color=COLOURS[group], label=WORDS[group]) for group in GROUPS]
    figure.legend(handles=handles, loc="outside upper center", ncols=1, frameon=False, fontsize="small")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)


def _auc(result: Result) -> float:
    auc = result.summary.auc["all", 1.0]
    return float("nan") if auc is None or auc.value is None else auc.value
