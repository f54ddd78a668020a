import numpy as np
import pytest
from benchmarks.distortions import HARMLESS, Label
from benchmarks.meaning_statistics import EDITS, UNRELATED, Scored, share_above, summarise, tau


def summary_of(*photos: Scored, higher_is_better: bool = True, identical: float | None = 1.0):  # type: ignore[no-untyped-def]
    return summarise(
        {f"photo {i}": scored for i, scored in enumerate(photos)},
        higher_is_better=higher_is_better,
        identical=identical,
    )


def levels(damage: str, *scores: float) -> dict[Label, float]:
    return {(damage, float(i)): score for i, score in enumerate(scores)}


def test_tau_counts_steps_in_order() -> None:
    assert tau([0.9, 0.8, 0.5, 0.1]) == 1
    assert tau([0.1, 0.5, 0.8, 0.9]) == -1
    assert tau([0.9, 0.5, 0.8, 0.1]) == pytest.approx(4 / 6)  # 5 pairs in order, 1 not
    assert tau([0.5, 0.5]) == 0


def test_the_area_counts_ties_half() -> None:
    assert share_above([3, 2], [1, 0]) == 1
    assert share_above([3, 1], [2, 0]) == 0.75
    assert share_above([1], [1, 0]) == 0.75


def test_tau_is_averaged_over_photos_that_have_levels() -> None:
    found = summary_of(
        {**levels("jpeg", 3, 2, 1), **levels("removal", 1, 2)}, levels("jpeg", 1, 2, 3), levels("removal", 1)
    ).tau
    assert found["jpeg"] is not None
    assert (found["jpeg"].value, found["jpeg"].n) == (0, 2)
    assert found["removal"] is not None
    assert (found["removal"].value, found["removal"].n) == (-1, 1)
    assert found["blur"] is None
    assert found["mean"] is not None
    assert found["mean"].value == pytest.approx((0 - 1) / 2)  # each photo's mean over its damages
    lower = summary_of(levels("jpeg", 1, 2, 3), higher_is_better=False).tau["jpeg"]
    assert lower is not None
    assert lower.value == 1


def test_the_area_is_that_of_harmless_copies_above_edits_of_the_same_photo() -> None:
    copies = dict.fromkeys(HARMLESS, 0.9)
    first: dict[Label, float] = {**copies, ("remove", 0.5): 0.95, ("remove", 1.0): 0.8, ("swap", 1.0): 0.9}
    second: dict[Label, float] = dict.fromkeys(HARMLESS, 0.3) | {("remove", 1.0): 0.2}  # below the first's edits
    auc = summary_of(first, second).auc
    values = {key: None if estimate is None else (estimate.value, estimate.n) for key, estimate in auc.items()}
    assert values["remove", 0.5] == (0, 1)
    assert values["remove", 1.0] == (1, 2)
    assert values["remove", 0.0] == (0.75, 2)  # (0 + 1) / 2 of the first, 1 of the second
    assert values["swap", 1.0] == (0.5, 1)
    assert values["swap", 0.5] is values["insert", 1.0] is None
    assert values["all", 1.0] == (pytest.approx((0.75 + 1) / 2), 2)
    assert values["all", 0.0] == (pytest.approx((0.5 + 1) / 2), 2)
    assert {edit for edit, _ in auc} == {*EDITS, "all"}
    lower = summary_of(dict.fromkeys(HARMLESS, 0.1) | {("insert", 1.0): 0.4}, higher_is_better=False)
    assert lower.auc["insert", 1.0].value == 1


def test_edits_and_extreme_damage_are_no_moderate_copies() -> None:
    scored: dict[Label, float] = {
        ("jpeg", 60.0): 0.9,
        ("jpeg", 3.0): 0.1,  # extreme
        ("removal", 4.0): 0.4,
        ("translation", ""): 0.2,
        ("remove", 1.0): 0.0,
        (UNRELATED, "a"): 0.3,
        (UNRELATED, "b"): 0.15,
    }
    found = summary_of(scored, {**scored, (UNRELATED, "a"): 0.05, (UNRELATED, "b"): 0.05})
    assert found.copies["moderate"].value == pytest.approx((2.5 / 3 + 1) / 2)
    assert found.copies["all"].value == pytest.approx((2.5 / 4 + 1) / 2)
    assert found.mean[UNRELATED, ""].value == pytest.approx((0.225 + 0.05) / 2)
    assert found.most_similar_unrelated == (0.3, "photo 0", "a")
    lower = summary_of(scored, higher_is_better=False)
    assert lower.most_similar_unrelated == (0.15, "photo 0", "b")


def test_the_ratio_is_that_of_the_mean_drops() -> None:
    first: dict[Label, float] = {("jpeg", 60.0): 0.98, ("removal", 1.0): 0.8}
    second: dict[Label, float] = {("jpeg", 60.0): 0.92, ("removal", 1.0): 0.7}
    ratio = summary_of(first, second, {("jpeg", 60.0): 0.1}).drop_ratio
    assert ratio.value == pytest.approx((0.2 + 0.3) / (0.02 + 0.08))
    assert ratio.n == 2
    # Of resamples of two photos a quarter holds the first alone and a quarter the second alone.
    assert ratio.interval_95 == (pytest.approx(0.3 / 0.08), pytest.approx(0.2 / 0.02))
    assert summary_of(first, identical=None).drop_ratio is None
    assert summary_of({("jpeg", 60.0): 1.0, ("removal", 1.0): 0.7}).drop_ratio is None
    distance = summary_of({("jpeg", 60.0): 0.1, ("removal", 1.0): 0.4}, higher_is_better=False, identical=0.0)
    assert distance.drop_ratio.value == pytest.approx(4)


def test_intervals_are_of_photos() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.5, 0.1, 400)
    photos: list[Scored] = [{("jpeg", 60.0): float(value)} for value in values]
    mean = summary_of(*photos).mean["jpeg", 60.0]
    assert mean.value == pytest.approx(values.mean())
    half = (mean.interval_95[1] - mean.interval_95[0]) / 2
    # The normal interval's half width; 2000 resamples know their quantiles to a few percent.
    assert half == pytest.approx(1.96 * values.std(ddof=1) / 20, rel=0.1)
    assert summary_of(photos[0]).mean["jpeg", 60.0].interval_95 is None
