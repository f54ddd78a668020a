from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from _matching_reference import score as reference_score
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

import semetric.scene.matching
from semetric.errors import UsageError
from semetric.scene import _kernels
from semetric.scene.matching import GraphArrays, Matching, MatchingSettings, match

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "sess_matching_demo.json").read_text())["cases"]

# Sums of some hundred products of numbers below 1, in another order: rounding alone, with room for the 1e-13 by which a
# kept assignment may fall short of the best.
TOLERANCE = 1e-11


def random_graph(
    rng: np.random.Generator, n: int, edges: int, *, d: int = 8, predicates: int = 56, hub: bool = False
) -> GraphArrays:
    relations = np.full((n, n), -1)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    if pairs and edges:
        weight = np.array([1 / (1 + i) ** (1.5 if hub else 0) for i, _ in pairs])
        chosen = rng.choice(len(pairs), min(edges, len(pairs)), replace=False, p=weight / weight.sum())
        for c in chosen:
            relations[pairs[c]] = rng.integers(predicates)
    return GraphArrays(
        features=rng.normal(size=(n, d)) + 0.5,
        relations=relations,
        importance=rng.dirichlet(np.ones(n)) if n else np.zeros(0),
        centres=rng.random((n, 2)),
    )


def random_similarity(rng: np.random.Generator, predicates: int = 56) -> np.ndarray:
    r = rng.uniform(-0.2, 1, (predicates, predicates))
    r = (r + r.T) / 2
    np.fill_diagonal(r, 1)
    return r


def check_sums(found: Matching) -> None:
    assert found.contributions.sum() + found.image_contribution == pytest.approx(found.score, abs=1e-12)


def assignments(found: Matching) -> tuple[np.ndarray, np.ndarray]:
    """(k, 2) pairs of the assignments under the first and under the second graph's importance."""
    first, second = (np.stack([np.flatnonzero(p >= 0), p[p >= 0]], axis=1) for p in found.partners)
    return first, second[:, ::-1]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: f"seed{c['seed']}")
def test_agrees_with_the_published_code(case):
    graphs = []
    for g in (case["graph1"], case["graph2"]):
        relations = np.full((len(g["features"]),) * 2, -1)
        for s, o, p in g["edges_subject_object_predicate"]:
            relations[s, o] = p
        graphs.append(
            GraphArrays(
                features=np.array(g["features"]),
                relations=relations,
                importance=np.array(g["importance"]),
                centres=np.array(g["centres"]),
            )
        )
    below = case["predicate_similarity_to_diagonal"]
    similarity = np.eye(len(below))
    for i, row in enumerate(below):
        similarity[i, : i + 1] = similarity[: i + 1, i] = row
    found = match(*graphs, similarity, case["image_similarity"], MatchingSettings.DEMO)
    assert found.score == pytest.approx(case["score"], abs=1e-9)  # what the published values are known to
    check_sums(found)


@pytest.mark.parametrize("chosen", [MatchingSettings.PAPER, MatchingSettings.DEMO], ids=["paper", "demo"])
@pytest.mark.parametrize(
    ("n", "m", "edges1", "edges2", "hub"),
    [
        (1, 1, 0, 0, False),
        (1, 9, 0, 30, False),
        (2, 30, 2, 100, True),
        (9, 9, 60, 60, False),
        (12, 7, 132, 42, False),  # complete graphs: 11 × 6 neighbours
        (15, 15, 100, 100, True),
        (20, 20, 40, 100, True),
    ],
)
def test_agrees_with_the_equations(chosen, n, m, edges1, edges2, hub):
    rng = np.random.default_rng(n * 100 + m)
    one, two = random_graph(rng, n, edges1, hub=hub), random_graph(rng, m, edges2, hub=hub)
    similarity = random_similarity(rng)
    expected, history = reference_score(one, two, similarity, 0.4, **dataclasses.asdict(chosen))
    found = match(one, two, similarity, 0.4, chosen, history=True)
    assert found.score == pytest.approx(expected, abs=TOLERANCE)
    assert found.history is not None
    np.testing.assert_allclose(found.history, history, atol=TOLERANCE, rtol=0)
    np.testing.assert_array_equal(found.history[0], found.initial)
    np.testing.assert_array_equal(found.history[-1], found.final)
    check_sums(found)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 9),
    m=st.integers(0, 9),
    alpha=st.floats(0, 1),
    beta=st.floats(0, 1),
    location=st.sampled_from([0.0, 0.2, 1.0]),
    iterations=st.integers(0, 4),
    in_place=st.booleans(),
)
def test_agrees_with_the_equations_whatever_the_settings(seed, n, m, alpha, beta, location, iterations, in_place):
    rng = np.random.default_rng(seed)
    one = random_graph(rng, n, int(rng.integers(0, n * n + 1)))
    two = random_graph(rng, m, int(rng.integers(0, m * m + 1)))
    similarity = random_similarity(rng)
    chosen = MatchingSettings(alpha=alpha, beta=beta, location=location, iterations=iterations, in_place=in_place)
    expected, _ = reference_score(one, two, similarity, 0.3, **dataclasses.asdict(chosen))
    found = match(one, two, similarity, 0.3, chosen)
    assert found.score == pytest.approx(expected, abs=TOLERANCE)
    check_sums(found)
    assert found.settings is chosen


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 14), m=st.integers(1, 14), ties=st.booleans())
def test_the_assignments_are_exact(seed, n, m, ties):
    rng = np.random.default_rng(seed)

    def graph(size):
        vectors = rng.integers(-1, 2, (size, 3)) + np.array([0, 0, 2]) if ties else rng.normal(size=(size, 6))
        return GraphArrays(features=vectors, relations=np.full((size, size), -1), importance=rng.random(size))

    one, two = graph(n), graph(m)
    found = match(one, two, np.eye(56), 0.5, MatchingSettings(iterations=0))
    v, w = one.importance / one.importance.sum(), two.importance / two.importance.sum()
    for pairs, weighted in zip(assignments(found), (found.final * v[:, None], found.final * w), strict=True):
        assert len(pairs) == min(n, m)
        assert weighted[tuple(pairs.T)].sum() == pytest.approx(best_sum(weighted), abs=1e-12)


def best_sum(weights: np.ndarray) -> float:
    return weights[linear_sum_assignment(weights, maximize=True)].sum()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(2, 4), more=st.integers(0, 6))
def test_few_rows_are_exact(seed, k, more):
    weights = np.random.default_rng(seed).normal(size=(k, k + more))
    solve = {2: _kernels._two_rows, 3: _kernels._three_rows, 4: _kernels._four_rows}[k]
    assert solve.py_func(weights.reshape(-1), k + more) == pytest.approx(best_sum(weights), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 7), more=st.integers(0, 3), ties=st.booleans())
def test_shortest_paths_and_proofs_are_exact(seed, k, more, ties):
    rng = np.random.default_rng(seed)
    l = k + more  # noqa: E741
    weights = rng.integers(0, 4, (k, l)).astype(float) if ties else rng.normal(size=(k, l))
    column = np.zeros(k, np.int64)
    _kernels._solve.py_func(weights.reshape(-1), k, l, column, 0)
    assert weights[range(k), column].sum() == pytest.approx(best_sum(weights), abs=1e-12)

    def proven(chosen):
        return _kernels._still_optimal.py_func(weights.reshape(-1), k, l, chosen, 0)

    assert proven(column)
    other = rng.permutation(l)[:k]
    # 1e-12: an assignment that near the best may pass for it, and costs no more than that
    assert proven(other) == (weights[range(k), other].sum() > best_sum(weights) - 1e-12)


def test_empty_graphs():
    rng = np.random.default_rng(0)
    none, some = random_graph(rng, 0, 0), random_graph(rng, 5, 8)
    similarity = random_similarity(rng)
    both = match(none, none, similarity, 0.7)
    assert both.score == both.image_contribution == 0.7
    assert both.pairs.shape == (0, 2)
    for pair in ((none, some), (some, none)):
        found = match(*pair, similarity, 0.7, history=True)
        assert found.graph_score == 0
        assert found.score == pytest.approx(0.1 * 0.7, abs=1e-15)  # gamma of the image's similarity
        assert found.pairs.shape == (0, 2)
        assert found.history is not None
        assert found.history.shape[1:] == found.final.shape == (len(pair[0]), len(pair[1]))
        check_sums(found)


def test_a_graph_matches_itself():
    rng = np.random.default_rng(1)
    graph = random_graph(rng, 25, 100)
    found = match(graph, graph, random_similarity(rng), 1.0)
    # each object goes to itself; its neighbourhood matches by importance, so that only the update s < 1 costs anything
    for partners in found.partners:
        np.testing.assert_array_equal(partners, np.arange(25))
    assert 0.95 < found.score <= 1.0 + 1e-12


def test_symmetry():
    rng = np.random.default_rng(2)
    one, two = random_graph(rng, 11, 40), random_graph(rng, 17, 60)
    similarity = random_similarity(rng)  # symmetric
    forth, back = match(one, two, similarity, 0.5), match(two, one, similarity, 0.5)
    assert forth.score == pytest.approx(back.score, abs=TOLERANCE)
    np.testing.assert_allclose(forth.final, back.final.T, atol=TOLERANCE)


@pytest.mark.parametrize("chosen", [MatchingSettings.PAPER], ids=["paper"])
def test_order_of_objects_has_no_part(chosen):
    rng = np.random.default_rng(3)
    one, two = random_graph(rng, 12, 50), random_graph(rng, 9, 30)
    similarity = random_similarity(rng)
    order = rng.permutation(12)
    shuffled = GraphArrays(
        features=one.features[order],
        relations=one.relations[np.ix_(order, order)],
        importance=one.importance[order],
        centres=None,
    )
    assert match(shuffled, two, similarity, 0.5, chosen).score == pytest.approx(
        match(one, two, similarity, 0.5, chosen).score, abs=TOLERANCE
    )


def test_what_a_matching_holds():
    rng = np.random.default_rng(4)
    for n, m in ((8, 8), (5, 20), (20, 5)):
        one, two = random_graph(rng, n, 20), random_graph(rng, m, 20)
        found = match(one, two, random_similarity(rng), 0.5, MatchingSettings.DEMO)
        first, second = assignments(found)
        for assignment in (first, second):
            assert len(assignment) == min(n, m)
            assert len(set(assignment[:, 0])) == len(set(assignment[:, 1])) == min(n, m)
        v = one.importance
        s1 = (found.final * v[:, None])[tuple(first.T)].sum()
        s2 = (found.final * two.importance)[tuple(second.T)].sum()
        assert found.graph_score == pytest.approx((s1 * n + s2 * m) / (n + m), abs=1e-12)
        pairs = {tuple(p) for p in found.pairs}
        assert pairs == {tuple(p) for p in first} | {tuple(p) for p in second}
        assert (np.diff(found.contributions) <= 0).all()


def test_zero_importance_counts_as_equal():
    rng = np.random.default_rng(5)
    one, two = random_graph(rng, 6, 12), random_graph(rng, 7, 12)
    similarity = random_similarity(rng)
    zero = dataclasses.replace(one, importance=np.zeros(6))
    even = dataclasses.replace(one, importance=np.ones(6))
    assert match(zero, two, similarity, 0.5).score == match(even, two, similarity, 0.5).score
    # zero importance of some neighbours and of both nodes at once stays finite
    some = dataclasses.replace(one, importance=np.eye(6)[0])
    other = dataclasses.replace(two, importance=np.eye(7)[3])
    assert np.isfinite(match(some, other, similarity, 0.5).score)


def test_negative_similarity_still_pairs_everyone():
    one = GraphArrays(features=np.array([[1.0, 0.0]]), relations=np.array([[-1]]), importance=np.ones(1))
    two = GraphArrays(features=np.array([[-1.0, 0.0]]), relations=np.array([[-1]]), importance=np.ones(1))
    found = match(one, two, np.eye(56), -1.0, MatchingSettings(iterations=0))
    assert found.score == pytest.approx(-1.0, abs=1e-15)
    assert found.contributions.tolist() == pytest.approx([-0.9])
    np.testing.assert_array_equal(found.pairs, [[0, 0]])


def test_threads():
    rng = np.random.default_rng(6)
    one = random_graph(rng, 20, 80, hub=True)
    others = [random_graph(rng, int(rng.integers(0, 25)), 80) for _ in range(12)]
    similarity, images = random_similarity(rng), rng.random(12)
    one_by_one = [match(one, g, similarity, s).score for g, s in zip(others, images, strict=True)]
    # the same code on the same numbers: equal to the bit, in whatever thread
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(match, one, g, similarity, s) for g, s in zip(others * 3, list(images) * 3, strict=True)]
        assert [j.result().score for j in jobs] == one_by_one * 3


def test_read_only_and_other_dtypes():
    rng = np.random.default_rng(7)
    one, two = random_graph(rng, 6, 12), random_graph(rng, 7, 12)
    similarity = random_similarity(rng)
    expected = match(one, two, similarity, 0.5).score
    for array in (one.features, one.relations, one.importance, two.relations, similarity):
        array.setflags(write=False)
    assert match(one, two, similarity, 0.5).score == expected
    narrow = GraphArrays(
        features=np.asfortranarray(one.features),
        relations=one.relations.astype(np.int16),
        importance=one.importance.astype(np.float32),
    )
    # float32 importance: 24 bits
    assert match(narrow, two, similarity, 0.5).score == pytest.approx(expected, abs=1e-6)


def _graph(**changes):
    arrays = {
        "features": np.ones((2, 3)),
        "relations": np.array([[-1, 0], [-1, -1]]),
        "importance": np.ones(2),
        "centres": None,
    }
    return GraphArrays(**{**arrays, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"features": np.ones(2)}, "features of shape"),
        ({"relations": np.zeros((2, 3), int)}, "relations of shape"),
        ({"relations": np.zeros((2, 2))}, "integers"),
        ({"importance": np.ones(3)}, "importance of shape"),
        ({"importance": np.array([1, -1.0])}, "not negative"),
        ({"importance": np.array([1, np.nan])}, "finite"),
        ({"features": np.full((2, 3), np.inf)}, "finite features"),
        ({"centres": np.ones((2, 3))}, "centres of shape"),
    ],
)
def test_bad_graphs(changes, words):
    with pytest.raises(UsageError, match=words):
        _graph(**changes)


def test_bad_calls():
    graph, similarity = _graph(), np.eye(56)
    with pytest.raises(UsageError, match="alpha"):
        MatchingSettings(alpha=1.5)
    with pytest.raises(UsageError, match="iterations"):
        MatchingSettings(iterations=-1)
    with pytest.raises(UsageError, match="centres"):
        match(graph, graph, similarity, 0.5, MatchingSettings.DEMO)
    with pytest.raises(UsageError, match="predicate_similarity of shape"):
        match(graph, graph, np.ones((3, 4)), 0.5)
    with pytest.raises(UsageError, match="relations below 1"):
        match(_graph(relations=np.array([[-1, 5], [-1, -1]])), graph, np.eye(1), 0.5)
    with pytest.raises(UsageError, match="one encoder"):
        match(graph, _graph(features=np.ones((2, 4))), similarity, 0.5)
    with pytest.raises(UsageError, match="image_similarity"):
        match(graph, graph, similarity, float("nan"))
    dense = GraphArrays(features=np.ones((90, 2)), relations=np.zeros((90, 90), int), importance=np.ones(90))
    with pytest.raises(UsageError, match="fewer relations"):
        match(dense, dense, similarity, 0.5)
    with pytest.raises(UsageError, match="finite predicate_similarity"):
        match(graph, graph, np.full((2, 2), np.nan), 0.5)


def _modules_after(code: str) -> set[str]:
    """Which of the heavy modules a fresh process has imported after running the code."""
    source = Path(semetric.scene.matching.__file__).parents[2]
    code += "\nprint(*(m for m in ('numba', 'llvmlite', 'scipy', 'torch') if m in sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, "-c", "import sys\n" + code], env=environment, check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


def test_importing_costs_no_compiler():
    """The command line imports settings and containers."""
    assert _modules_after("import semetric.scene.matching") == set()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"centres": np.full((2, 2), np.nan)}, "finite centres between 0 and 1"),
        ({"centres": np.full((2, 2), np.inf)}, "finite centres"),
        ({"centres": np.full((2, 2), 1e200)}, "centres between 0 and 1"),
        ({"centres": np.full((2, 2), -0.1)}, "centres between 0 and 1"),
        ({"centres": np.full((2, 2), 1j)}, "centres to be numbers; found complex128"),
        ({"relations": np.full((2, 2), 2**64 - 1, np.uint64)}, "relations below"),
        ({"relations": np.full((2, 2), 2**40)}, "relations below"),
        ({"features": np.full((2, 3), None)}, "features to be numbers; found object"),
        ({"features": np.full((2, 3), "a")}, "features to be numbers"),
        ({"features": [[1.0], [2.0]]}, "features as a numpy array of shape .*; found list"),
        ({"importance": None}, "importance as a numpy array"),
        ({"features": np.full((2, 3), np.longdouble("1e4000"))}, "finite features"),
    ],
)
def test_graphs_that_the_kernel_must_not_see(changes, words):
    with pytest.raises(UsageError, match=words):
        _graph(**changes)


def test_calls_that_the_kernel_must_not_see():
    graph = _graph(centres=np.full((2, 2), 0.5))
    for similarity in (np.full((2, 2), 1e308), np.full((2, 2), -1.5), np.full((2, 2), "a"), [[1.0]]):
        with pytest.raises(UsageError, match="predicate_similarity"):
            match(graph, graph, similarity, 0.5)
    for image in (None, "much", 10**400, np.inf):
        with pytest.raises(UsageError, match="image_similarity"):
            match(graph, graph, np.eye(2), image)
    for iterations in (2.5, None, 10**30, "7"):
        with pytest.raises(UsageError, match="iterations"):
            MatchingSettings(iterations=iterations)
    # arrays that were written to after the graph was made
    for name, value in (("centres", np.nan), ("features", np.inf), ("importance", np.nan)):
        spoilt = _graph(centres=np.full((2, 2), 0.5))
        getattr(spoilt, name)[0] = value
        with np.errstate(all="ignore"), pytest.raises(UsageError, match="NaN or infinity"):
            match(spoilt, graph, np.eye(2), 0.5, MatchingSettings.DEMO)
    many = GraphArrays(features=np.ones((9, 1)), relations=np.full((9, 9), -1), importance=np.ones(9))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(semetric.scene.matching, "_MAX_PAIRS", 80)
        with pytest.raises(UsageError, match="at most 80; found 9 × 9"):
            match(many, many, np.eye(2), 0.5)


@pytest.mark.parametrize("scale", [1e308, 1e160, 1e-150, 1e-200, 1e-305])
def test_only_directions_of_features_count(scale):
    rng = np.random.default_rng(8)
    one, two = random_graph(rng, 6, 12), random_graph(rng, 7, 12)
    similarity = random_similarity(rng)
    unit = one.features / np.abs(one.features).max()
    expected = match(dataclasses.replace(one, features=unit), two, similarity, 0.5)
    found = match(dataclasses.replace(one, features=unit * scale), two, similarity, 0.5)
    # the scaled numbers are rounded once more
    assert found.score == pytest.approx(expected.score, abs=TOLERANCE)
    heavy = dataclasses.replace(one, importance=one.importance / one.importance.max() * scale)
    assert match(heavy, two, similarity, 0.5).score == pytest.approx(
        match(one, two, similarity, 0.5).score, abs=TOLERANCE
    )


def test_the_smallest_features_have_directions_and_zero_has_none():
    def graph(features):
        n = len(features)
        return GraphArrays(features=features, relations=np.full((n, n), -1), importance=np.ones(n))

    tiny = graph(np.diag([5e-324, 1e-320, 0.0]))
    found = match(tiny, graph(np.eye(3)), np.eye(2), 0.5, MatchingSettings(iterations=0))
    np.testing.assert_array_equal(found.initial, np.diag([1.0, 1.0, 0.0]))


@pytest.mark.parametrize("alike", ["features", "importance", "everything"])
def test_equal_columns_break_nothing(alike):
    rng = np.random.default_rng(9)
    one, two = random_graph(rng, 7, 30), random_graph(rng, 9, 40)
    for graph in (one, two):
        graph.importance[:] = 1.0
        if alike != "importance":
            graph.features[:] = 1.0
        if alike == "everything":
            graph.relations[graph.relations >= 0] = 0
            graph.centres[:] = 0.5
    found = match(one, two, np.ones((56, 56)), 1.0, MatchingSettings.DEMO)
    assert [len(assignment) for assignment in assignments(found)] == [7, 7]
    check_sums(found)


NUMBERS = st.one_of(
    st.floats(width=64),
    st.sampled_from([0.0, -0.0, 1.0, 0.5, -1.0, 1e308, -1e308, 5e-324, np.nan, np.inf, -np.inf]),
    st.floats(0, 1),
)


@st.composite
def any_graph(draw):
    n = draw(st.integers(0, 7))
    usual = draw(st.booleans())  # mostly a graph that passes, so that the kernel sees the rest
    numbers = st.floats(0, 1) if usual else NUMBERS

    def array(*shape, elements=numbers, dtypes=(np.float64, np.float32)):
        values = draw(hnp.arrays(np.float64, shape, elements=elements))
        with np.errstate(all="ignore"):
            return values.astype(draw(st.sampled_from(dtypes)))

    return {
        "features": array(n, draw(st.integers(0, 3)), elements=NUMBERS.filter(np.isfinite) if usual else NUMBERS),
        "relations": draw(hnp.arrays(draw(hnp.integer_dtypes()), (n, n), elements=None))
        if not usual
        else draw(hnp.arrays(np.int64, (n, n), elements=st.integers(-1, 2))),
        "importance": array(n, elements=st.floats(0, 1e308) if usual else NUMBERS),
        "centres": draw(st.just(None)) if draw(st.booleans()) and not usual else array(n, 2),
    }


@settings(max_examples=200, deadline=None)
@given(
    one=any_graph(),
    two=any_graph(),
    predicates=hnp.arrays(np.float64, (3, 3), elements=st.one_of(st.floats(-1, 1), NUMBERS)),
    image=NUMBERS,
    chosen=st.sampled_from(
        [MatchingSettings.PAPER, MatchingSettings.DEMO, MatchingSettings(alpha=1, beta=1, location=1, iterations=3)]
    ),
)
def test_any_arrays_give_a_score_or_the_error(one, two, predicates, image, chosen):
    """A number that the kernel cannot bear would end this very process."""
    try:
        found = match(GraphArrays(**one), GraphArrays(**two), predicates, image, chosen, history=True)
    except UsageError:
        return
    if abs(image) < 1e300:
        assert np.isfinite(found.score)
    n, m = found.initial.shape
    for assignment in assignments(found):
        assert len(assignment) == len(set(assignment[:, 0])) == len(set(assignment[:, 1])) == min(n, m)
    assert np.isfinite(found.final).all()
