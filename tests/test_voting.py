"""Votes of neighbours against sets and plain arithmetic."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from replearn import voting
from replearn.decisions import name_above

INDEXED, LABELS = 7, 5
shown_concepts = st.lists(
    st.frozensets(st.integers(0, LABELS - 1)), min_size=INDEXED, max_size=INDEXED
)
found_rows = st.integers(1, INDEXED).flatmap(
    lambda k: st.lists(st.permutations(range(INDEXED)).map(lambda p: p[:k]), min_size=1, max_size=4)
)
seeds = st.integers(0, 2**32 - 1)
Shown = list[frozenset[int]]
Found = list[list[int]]
Numbers = NDArray[np.floating[Any]]


def matrix(shown: Shown) -> sparse.csr_array:
    dense = [[float(label in row) for label in range(LABELS)] for row in shown]
    return sparse.csr_array(np.array(dense, dtype=np.float32))


def ascending(found: Found, seed: int) -> Numbers:
    """Return distances in [0, 2] for the neighbours, nearest first."""
    shape = (len(found), len(found[0]))
    return np.sort(np.random.default_rng(seed).uniform(0, 2, shape), axis=1)


WORKED: Shown = [frozenset(row) for row in ({0}, {0, 1}, {2}, {1, 3}, set(), {4}, {4})]


@pytest.mark.parametrize(
    ("k", "union"), [(1, {2}), (2, {0, 1, 2}), (3, {0, 1, 2}), (4, {0, 1, 2, 3})]
)
def test_the_threshold_of_the_union_tells_how_many_neighbours_count(
    k: int, union: set[int]
) -> None:
    scores = voting.union_scores(np.array([[2, 1, 0, 3]]), matrix(WORKED))
    for threshold in (1 / k, (1 / k + 1 / (k + 1)) / 2, np.nextafter(1 / (k + 1), 1)):
        assert set(name_above(scores, threshold).indices.tolist()) == union


@given(shown_concepts, found_rows)
def test_every_threshold_names_the_union_of_the_first_k(shown: Shown, found: Found) -> None:
    scores = voting.union_scores(np.array(found), matrix(shown))
    for k in range(1, len(found[0]) + 1):
        named = name_above(scores, (1 / k + 1 / (k + 1)) / 2).toarray()
        expected = [frozenset().union(*(shown[row] for row in rows[:k])) for rows in found]
        np.testing.assert_array_equal(named, matrix(expected).toarray())


def test_the_union_scores_by_the_nearest_neighbour_that_shows_a_concept() -> None:
    scores = voting.union_scores(np.array([[2, 1, 0, 3], [4, 5, 6, 0]]), matrix(WORKED))
    np.testing.assert_allclose(
        scores.toarray(), [[1 / 2, 1 / 2, 1, 1 / 4, 0], [1 / 4, 0, 0, 0, 1 / 2]]
    )


@given(shown_concepts, found_rows, seeds)
def test_weighted_scores_equal_a_plain_sum(shown: Shown, found: Found, seed: int) -> None:
    weights = 2 - ascending(found, seed)
    scores = voting.weighted_scores(np.array(found), weights, matrix(shown)).toarray()
    for image, rows in enumerate(found):
        for label in range(LABELS):
            pairs = zip(rows, weights[image], strict=True)
            votes = sum(weight for row, weight in pairs if label in shown[row])
            assert scores[image, label] == pytest.approx(votes / sum(weights[image]), abs=1e-6)


@given(found_rows, seeds, st.sampled_from(["cosine", "l2"]))
def test_what_every_neighbour_shows_scores_one(found: Found, seed: int, metric: str) -> None:
    distances = ascending(found, seed)
    scores = voting.scores(
        "similarity", np.array(found), distances, metric, matrix([frozenset({1})] * INDEXED)
    )
    expected = np.tile([0, 1, 0, 0, 0], (len(found), 1))
    np.testing.assert_allclose(scores.toarray(), expected, atol=1e-6)


@given(shown_concepts, found_rows, seeds, st.sampled_from([np.float32, np.float64]))
def test_equal_similarities_give_the_share_of_neighbours(
    shown: Shown, found: Found, seed: int, dtype: type
) -> None:
    weight = np.random.default_rng(seed).choice([0.0, 0.2, 1.0, 30.0])
    weights: Numbers = np.full((len(found), len(found[0])), weight, dtype)
    scores = voting.weighted_scores(np.array(found), weights, matrix(shown)).toarray()
    shares = np.array([matrix(shown).toarray()[rows].mean(axis=0) for rows in found])
    np.testing.assert_allclose(scores, shares, atol=1e-6)


def test_only_images_without_any_similar_neighbour_weigh_all_alike() -> None:
    weights = np.array([[0.0, 0.0], [0.0, 0.5]])
    scores = voting.weighted_scores(np.array([[2, 5], [2, 5]]), weights, matrix(WORKED))
    np.testing.assert_allclose(
        scores.toarray(), [[0.0, 0.0, 0.5, 0.0, 0.5], [0.0, 0.0, 0.0, 0.0, 1.0]]
    )


@pytest.mark.parametrize("vote", ["union", "similarity"])
def test_scores_are_sparse_and_in_the_range_of_shares(vote: str) -> None:
    found = [[0, 2], [4, 5], [4, 4]]
    scores = voting.scores(vote, np.array(found), ascending(found, 0), "l2", matrix(WORKED))
    assert isinstance(scores, sparse.csr_array)
    assert scores.shape == (3, LABELS)
    assert scores.nnz == 3  # two concepts around the first image, one around the second
    assert ((scores.data > 0) & (scores.data <= 1)).all()


@pytest.mark.parametrize("vote", ["union", "similarity"])
def test_an_image_is_scored_alone_as_among_others(vote: str) -> None:
    found = [[0, 2, 6], [4, 5, 1], [3, 1, 0]]
    distances = ascending(found, 1)
    together = voting.scores(vote, np.array(found), distances, "l2", matrix(WORKED)).toarray()
    for image in range(len(found)):
        rows, near = np.array(found)[[image]], distances[[image]]
        alone = voting.scores(vote, rows, near, "l2", matrix(WORKED))
        np.testing.assert_array_equal(alone.toarray()[0], together[image])


def test_the_two_ways_to_vote_are_the_two_functions() -> None:
    found, concepts = np.array([[3, 1, 0]]), matrix(WORKED)
    distances = np.array([[0.1, 0.5, 0.8]])
    union = voting.scores("union", found, distances, "cosine", concepts)
    np.testing.assert_array_equal(union.toarray(), voting.union_scores(found, concepts).toarray())
    similarity = voting.scores("similarity", found, distances, "cosine", concepts)
    np.testing.assert_allclose(
        similarity.toarray(), voting.weighted_scores(found, 1 - distances, concepts).toarray()
    )


def test_cosine_weighs_by_the_cosine_where_it_is_positive() -> None:
    weights = voting.similarities(np.array([[0.0, 0.4, 1.0, 1.7]]), "cosine")
    np.testing.assert_allclose(weights, [[1, 0.6, 0, 0]])


def test_l2_weighs_by_a_gaussian_as_wide_as_the_farthest_is_far() -> None:
    weights = voting.similarities(np.array([[0.0, 1.0, 2.0], [3.0, 3.0, 3.0]]), "l2")
    np.testing.assert_allclose(weights, np.exp([[0.0, -0.25, -1.0], [-1.0, -1.0, -1.0]]))


@given(found_rows, seeds, st.floats(0.01, 100))
def test_l2_weights_do_not_depend_on_the_unit_of_distances(
    found: Found, seed: int, unit: float
) -> None:
    distances = ascending(found, seed)
    np.testing.assert_allclose(
        voting.similarities(unit * distances, "l2"), voting.similarities(distances, "l2")
    )


def test_neighbours_at_no_distance_weigh_all_alike() -> None:
    np.testing.assert_array_equal(voting.similarities(np.zeros((1, 3)), "l2"), [[1, 1, 1]])
