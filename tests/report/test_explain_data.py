from __future__ import annotations

import io
import math

import numpy as np
import pytest
from explain_pages import explanation, scores_of
from fake_graphs import discs, photo, quarrel, sess_score
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from semetric.errors import SizeMismatchError
from semetric.image import Picture
from semetric.metrics.base import Score
from semetric.report.account import MOST_NUMBERED
from semetric.report.explain.data import LONGEST_SIDE, gather
from semetric.report.palette import PALETTE

PSNR = Score(metric="psnr", value=math.inf, higher_is_better=True, range=(0.0, None))


@settings(max_examples=15, deadline=None)  # some compile
@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 1000))
def test_what_is_shown_adds_up(n: int, m: int, seed: int) -> None:
    one, two = discs(n, (40, 60), seed), discs(m, (40, 60), seed + 1)
    score = sess_score(one, two)
    found = gather(scores_of(score), photo((40, 60)), photo((40, 60)))
    assert found.account is not None
    matching = found.account.matching
    # sums of at most 25 numbers below 1 in another order
    assert matching.contributions.sum() + matching.image_contribution == pytest.approx(score.value, abs=1e-12)
    kept = sum(each.gain for side in found.sides for each in side.objects)
    assert kept + matching.image_contribution == pytest.approx(score.value, abs=1e-12)


def test_an_object_has_the_number_of_its_graph() -> None:
    for side in explanation(9, 14).sides:
        assert [each.number for each in side.objects] == [i + 1 for i in range(len(side.objects))]


def test_an_object_that_is_left_over_is_not_given_the_rest() -> None:
    found = gather(scores_of(sess_score(*quarrel())), photo((120, 160)), photo((120, 160)))
    (saucer, cup), (other, lump) = (side.objects for side in found.sides)
    assert (saucer.match, saucer.colour, lump.match, lump.colour) == (None, None, None, None)
    assert (cup.match, other.match) == (0, 1)
    assert cup.colour == other.colour is not None
    assert saucer.numbered  # it matters, so that the page's first sentence can name it
    assert saucer.partner == 0
    assert saucer.adds is None
    assert found.account is not None
    assert found.account.counterparts.tolist() == [[1, 0]]


def test_both_ends_of_a_match_have_one_colour() -> None:
    one, two = explanation(9, 14).sides
    assert [each.number for each in one.objects if each.match is None] == []
    for each in one.objects:
        assert each.match is not None
        twin = two.objects[each.match]
        assert (twin.rank, twin.colour, twin.match) == (each.rank, each.colour, each.index)
        assert (twin.before, twin.after, twin.adds) == (each.before, each.after, each.adds)
    alone = [each for each in two.objects if each.match is None]
    assert sorted(each.rank for each in alone) == [9, 10, 11, 12, 13]
    by_rank = sorted(alone, key=lambda each: each.rank)
    assert [t.importance for t in by_rank] == sorted((t.importance for t in alone), reverse=True)


def test_colours_follow_what_a_match_adds() -> None:
    found = explanation(20, 20)
    objects = found.sides[0].ranked
    adds = [each.adds for each in objects if each.match is not None]
    assert adds == sorted(adds, reverse=True)
    coloured = [each.colour for each in objects if each.colour]
    assert coloured == list(PALETTE[: len(coloured)])
    assert len(coloured) <= MOST_NUMBERED


def test_similarities_are_those_of_the_matching() -> None:
    score = sess_score(discs(5, (120, 160)), discs(8, (90, 150), seed=1))
    matching = score.artefacts["matching"]
    found = gather(scores_of(score), photo((120, 160)), photo((90, 150)))
    for side, initial, final in (
        (found.sides[0], matching.initial, matching.final),
        (found.sides[1], matching.initial.T, matching.final.T),
    ):
        for each in side.objects:
            assert each.nearest == (final[each.index].argmax(), final[each.index].max())
            if each.match is not None:
                assert each.before == initial[each.index, each.match]
                assert each.after == final[each.index, each.match]


def test_relations_say_what_became_of_them() -> None:
    found = explanation(6, 6)
    graph, other = discs(6, (240, 320)), discs(6, (240, 320), seed=1)
    match = [each.match for each in found.sides[0].objects]
    seen = set()
    for relation in found.sides[0].relations:
        twin = other.relations[match[relation.subject], match[relation.target]]
        own = graph.relations[relation.subject, relation.target]
        assert relation.kept == ("same" if twin == own else "other" if twin >= 0 else "none")
        assert (relation.there is None) == (twin < 0)
        seen.add(relation.kept)
    weights = [
        relation.probability**2 * graph.importance[relation.subject] * graph.importance[relation.target]
        for relation in found.sides[0].relations
    ]
    assert weights == sorted(weights, reverse=True)
    same = gather(scores_of(sess_score(graph, graph)), photo((240, 320)), photo((240, 320)))
    assert {relation.kept for relation in same.sides[0].relations} == {"same"}
    fewer = explanation(2, 6)
    assert "unmatched" in {relation.kept for relation in fewer.sides[1].relations}


def test_numbers_stand_on_the_image() -> None:
    for n in (1, 40):
        for side in explanation(n, n).sides:
            places = np.array(side.places)
            assert (places >= 0).all()
            assert (places <= (320, 240)).all()


@pytest.mark.parametrize("size", [(1, 1), (3000, 4000), (10, 4000), (4000, 10)])
def test_images_are_bounded(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    picture = Picture(pixels=pixels, name="a.png")
    side, _ = gather(scores_of(PSNR), picture, photo((50, 60))).sides
    assert side.size == size
    with Image.open(io.BytesIO(side.encoded)) as shown:
        assert shown.format == side.kind.upper()
        assert max(shown.size) == min(LONGEST_SIDE, max(size))
        assert min(shown.size) >= 1
    assert list(side.objects) == []


def test_a_few_colours_are_kept_exactly() -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[20:40, 10:30] = (200, 30, 30)
    side, _ = gather(scores_of(PSNR), Picture(pixels=pixels, name="a.png"), photo((64, 64))).sides
    assert side.kind == "png"
    with Image.open(io.BytesIO(side.encoded)) as shown:
        assert (np.asarray(shown) == pixels).all()


def test_without_sess_there_is_what_there_is() -> None:
    found = gather(scores_of(PSNR, errors={"sess": SizeMismatchError("too small")}), photo((50, 60)), photo((70, 40)))
    assert found.account is None
    assert found.errors == {"sess": "too small"}
    assert [row.bar.name for row in found.scores] == ["psnr"]


def test_names_are_made_printable() -> None:
    odd = Picture(pixels=photo((5, 5)).pixels, name="folder/a\udcff\u202e\x00\n日本.png")
    side, _ = gather(scores_of(PSNR), odd, odd).sides
    assert side.name == "a?□□□日本.png"
