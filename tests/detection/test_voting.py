"""Votes of neighbours against sets and plain arithmetic."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from replearn.detection import voting
from replearn.detection.decisions.threshold import name_above

INDEXED, LABELS = 7, 5
shown_concepts = st.lists(
    st.frozensets(st.integers(0, LABELS - 1)), min_size=INDEXED, max_size=INDEXED
)
found_rows = st.integers(1, INDEXED).flatmap(
    lambda k: st.lists(st.permutations(range(INDEXED)).map(lambda p: p[:k]), min_size=1, max_size=4)
)
seeds = st.integers(0, 2**32 - 1)
kinds = st.sampled_from(list(voting.WEIGHTS))
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


@given(found_rows, seeds, st.sampled_from(["cosine", "l2"]), kinds, st.sampled_from([0.1, 1, 9]))
def test_what_every_neighbour_shows_scores_one(
    found: Found, seed: int, metric: str, kind: voting.Kind, parameter: float
) -> None:
    distances = ascending(found, seed)
    vote = voting.Vote(kind, len(found[0]), parameter)
    scores = vote.scores(np.array(found), distances, metric, matrix([frozenset({1})] * INDEXED))
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


@pytest.mark.parametrize("kind", ["union", *voting.WEIGHTS])
def test_scores_are_sparse_and_in_the_range_of_shares(kind: voting.Kind) -> None:
    found = [[0, 2], [4, 5], [4, 4]]
    vote = voting.Vote(kind, 2)
    scores = vote.scores(np.array(found), ascending(found, 0), "l2", matrix(WORKED))
    assert isinstance(scores, sparse.csr_array)
    assert scores.shape == (3, LABELS)
    assert scores.nnz == 3  # two concepts around the first image, one around the second
    assert ((scores.data > 0) & (scores.data <= 1)).all()


@pytest.mark.parametrize("smoothing", [0.0, 2.0])
@pytest.mark.parametrize("kind", ["union", *voting.WEIGHTS])
def test_an_image_is_scored_alone_as_among_others(kind: voting.Kind, smoothing: float) -> None:
    found = [[0, 2, 6], [4, 5, 1], [3, 1, 0]]
    distances, vote = ascending(found, 1), voting.Vote(kind, 3, 0.5, smoothing)
    together = vote.scores(np.array(found), distances, "l2", matrix(WORKED)).toarray()
    for image in range(len(found)):
        rows, near = np.array(found)[[image]], distances[[image]]
        alone = vote.scores(rows, near, "l2", matrix(WORKED))
        np.testing.assert_array_equal(alone.toarray()[0], together[image])


@given(shown_concepts, found_rows, seeds, st.sampled_from(["union", *voting.WEIGHTS]))
def test_only_the_first_k_count_and_rows_that_are_none_do_not(
    shown: Shown, found: Found, seed: int, kind: voting.Kind
) -> None:
    distances, rows = ascending(found, seed), np.array(found)
    vote, few = voting.Vote(kind, 2, 0.3), matrix(shown)
    expected = vote.scores(rows[:, :2], distances[:, :2], "l2", few).toarray()
    np.testing.assert_allclose(vote.scores(rows, distances, "l2", few).toarray(), expected)
    # As an approximate search fills up: no row, at distance infinity.
    fill = np.full((len(rows), 2), -1), np.full((len(rows), 2), np.inf)
    longer = voting.Vote(kind, rows.shape[1] + 2, 0.3)
    short = voting.Vote(kind, rows.shape[1], 0.3)
    filled = np.hstack([rows, fill[0]]), np.hstack([distances, fill[1]])
    np.testing.assert_allclose(
        longer.scores(*filled, "l2", few).toarray(),
        short.scores(rows, distances, "l2", few).toarray(),
        atol=1e-6,
    )


@pytest.mark.parametrize("kind", ["union", *voting.WEIGHTS])
def test_an_image_without_any_neighbour_scores_nothing(kind: voting.Kind) -> None:
    none = np.full((1, 3), -1)
    scores = voting.Vote(kind, 3).scores(none, np.full((1, 3), np.inf), "cosine", matrix(WORKED))
    assert scores.nnz == 0


@pytest.mark.parametrize("kind", ["union", *voting.WEIGHTS])
def test_places_without_a_neighbour_raise_no_warning(kind: voting.Kind) -> None:
    vote, rows, near = voting.Vote(kind, 2, 1e-3), np.array([[0, -1]]), np.array([[1.0, np.inf]])
    with np.errstate(all="raise", under="ignore"):
        scores = vote.scores(rows, near, "cosine", matrix(WORKED))
    np.testing.assert_allclose(scores.toarray(), [[1, 0, 0, 0, 0]])


def weights(kind: voting.Kind, distances: Numbers, metric: str, parameter: float = 1) -> Numbers:
    """Return the shares of neighbours that each show a concept of their own."""
    count = distances.shape[1]
    own = sparse.csr_array(np.eye(count, dtype=np.float32))
    rows = np.tile(np.arange(count), (len(distances), 1))
    return voting.Vote(kind, count, parameter).scores(rows, distances, metric, own).toarray()


def shares(values: object) -> Numbers:
    """Divide by the sum."""
    array = np.array([values], dtype=float)
    return np.asarray(array / array.sum())


NEAR = np.array([[0.1, 0.4, 0.9]])


def test_the_weights_of_a_worked_example() -> None:
    np.testing.assert_allclose(weights("uniform", NEAR, "cosine"), shares([1, 1, 1]))
    np.testing.assert_allclose(weights("rank", NEAR, "cosine"), shares([1, 1 / 2, 1 / 3]))
    np.testing.assert_allclose(weights("similarity", NEAR, "cosine"), shares([0.9, 0.6, 0.1]))
    np.testing.assert_allclose(
        weights("similarity", NEAR, "cosine", 3), shares([0.9**3, 0.6**3, 0.1**3])
    )
    np.testing.assert_allclose(weights("similarity", NEAR, "l2"), shares([10, 2.5, 1 / 0.9]))
    np.testing.assert_allclose(
        weights("softmax", NEAR, "cosine", 0.2), shares(np.exp(-NEAR[0] / 0.2))
    )
    np.testing.assert_allclose(
        weights("gaussian", NEAR, "l2"), shares(np.exp(-((NEAR[0] / 0.9) ** 2)))
    )


@pytest.mark.parametrize("kind", ["uniform", "rank", "softmax", "gaussian"])
def test_normalised_vectors_vote_alike_by_cosine_and_by_l2(kind: voting.Kind) -> None:
    np.testing.assert_allclose(
        weights(kind, NEAR, "cosine", 0.3), weights(kind, np.sqrt(2 * NEAR), "l2", 0.3)
    )


@pytest.mark.parametrize("kind", ["similarity", "gaussian"])
@given(found_rows, seeds, st.floats(0.01, 100))
def test_l2_weights_do_not_depend_on_the_unit_of_distances(
    kind: voting.Kind, found: Found, seed: int, unit: float
) -> None:
    distances = ascending(found, seed)
    np.testing.assert_allclose(
        weights(kind, unit * distances, "l2"), weights(kind, distances, "l2"), atol=1e-9
    )


@pytest.mark.parametrize("kind", sorted({*voting.WEIGHTS} - {"rank"}))
def test_neighbours_at_no_distance_weigh_all_alike(kind: voting.Kind) -> None:
    np.testing.assert_allclose(weights(kind, np.zeros((1, 4)), "l2"), np.full((1, 4), 0.25))


def test_the_inverse_distance_lets_copies_alone_vote() -> None:
    np.testing.assert_allclose(
        weights("similarity", np.array([[0.0, 0.0, 0.5]]), "l2"), [[0.5, 0.5, 0]]
    )


def test_smoothing_is_so_many_more_neighbours_that_vote_by_the_prior() -> None:
    rows, near = np.array([[1, 3]]), np.array([[0.1, 0.2]])
    plain = voting.Vote("uniform", 2).scores(rows, near, "cosine", matrix(WORKED))
    np.testing.assert_allclose(plain.toarray(), [[0.5, 1, 0, 0.5, 0]])
    smooth = voting.Vote("uniform", 2, smoothing=3).scores(rows, near, "cosine", matrix(WORKED))
    prior = matrix(WORKED).toarray().mean(axis=0)
    expected = (2 * plain.toarray() + 3 * prior) / 5
    np.testing.assert_allclose(smooth.toarray(), np.where(plain.toarray() > 0, expected, 0))
