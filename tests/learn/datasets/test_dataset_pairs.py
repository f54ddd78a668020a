"""Every loader's pairs, as they are scored from the command line."""

from __future__ import annotations

from typing import Any

import pytest

from semetric.errors import UsageError
from semetric.learn.datasets import Dataset, ImagePair, OddOneOut, dataset_pairing
from semetric.learn.datasets.panoptic import PanopticRecord
from semetric.learn.triplets import Choice, JudgedPair, ScoredTriplet, Triplet

TRIPLET = Triplet(key="t", reference="/d/r.png", a="/d/a.png", b="/d/b.png", group="g")


def made(kind: Any, *items: Any) -> Dataset:
    return Dataset(name="some", root="/d", kind=kind, items=items)


@pytest.mark.parametrize(
    ("dataset", "pairs"),
    [
        (made("choices", Choice(triplet=TRIPLET, share_b=1.0)), ["r a g", "r b g"]),
        (made("scores", ScoredTriplet(triplet=TRIPLET, score_a=0.1, score_b=0.2)), ["r a g", "r b g"]),
        (made("pairs", JudgedPair(key="p", reference="/d/r.png", image="/d/a.png", opinion=1.0)), ["r a "]),
        (made("unjudged", *[ImagePair(key=k, reference="/d/r.png", image="/d/a.png") for k in "pq"]), ["r a "]),
        (
            made("odd_one_out", OddOneOut(key="o", images=("/d/r.png", "/d/a.png", "/d/b.png"), odd=0)),
            ["a b ", "r b ", "r a "],
        ),
    ],
)
def test_every_kind_of_item_has_its_pairs_once(dataset: Dataset, pairs: list[str]) -> None:
    pairing = dataset_pairing(dataset)
    shown = [f"{one.reference[:-4]} {one.image[:-4]} {''.join(one.extra)}" for one in pairing.pairs]
    assert shown == pairs
    assert pairing.columns == ("group",)


def test_single_images_are_no_pairs() -> None:
    record = PanopticRecord.__new__(PanopticRecord)
    with pytest.raises(UsageError, match="a data set of pairs or triplets"):
        dataset_pairing(made("panoptic", record))
