"""Thresholds and numbers against trying every one, constant predictions against every set."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from replearn.detection.decisions.scores import ScoredImages, name_first
from replearn.detection.decisions.threshold import (
    best_constant,
    name_above,
    tune_number,
    tune_threshold,
)
from replearn.errors import DataError
from replearn.metrics import EmptyRule, mean_f1

LABELS = 4
EMPTY_RULES: list[EmptyRule] = ["skip", "match"]
Case = tuple[NDArray[np.float32], sparse.csr_array, NDArray[np.int64]]

ONE = np.float32(1)
BELOW_ONE = np.nextafter(ONE, np.float32(0))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw scores with many ties, the truth, and counts with concepts that have no column."""
    images = draw(st.integers(1, 6))
    # The last two are neighbours in float32: no float32 lies between them.
    values = st.sampled_from([*map(np.float32, (-0.5, 0, 0.1, 0.25, 0.5)), BELOW_ONE, ONE])
    size = images * LABELS
    scores = np.array(draw(st.lists(values, min_size=size, max_size=size)), np.float32)
    # Some images show nothing, some of those have a concept without a column.
    some = st.lists(st.booleans(), min_size=LABELS, max_size=LABELS) | st.just([False] * LABELS)
    truth = np.array(draw(st.lists(some, min_size=images, max_size=images)), np.float32)
    beyond = np.array(draw(st.lists(st.integers(0, 2), min_size=images, max_size=images)))
    counts = truth.sum(axis=1).astype(np.int64) + beyond
    counts[0] = max(counts[0], 1)  # at least one image counts whatever the rule
    return scores.reshape(images, LABELS), sparse.csr_array(truth), counts


def sets(*rows: set[int], width: int = LABELS) -> sparse.csr_array:
    return sparse.csr_array(
        np.array([[float(label in row) for label in range(width)] for row in rows], np.float32)
    )


def first_of(row: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    """Return 1 at the so many first of the positive scores of an image, ties by column."""
    order = sorted(np.flatnonzero(row > 0), key=lambda column: (-row[column], column))
    named = np.zeros_like(row)
    named[order[:number]] = 1
    return named


def brute_force(case: Case, empty: EmptyRule, least: int = 0, limit: int | None = None) -> float:
    """Return the best mean F1 over all distinct thresholds, and over naming nothing."""
    scores, truth, counts = case
    reached = []
    for value in [*np.unique(scores), np.inf]:
        numbers = np.clip((scores >= value).sum(axis=1), least, limit)
        named = np.array([first_of(row, n) for row, n in zip(scores, numbers, strict=True)])
        reached.append(mean_f1(truth, sparse.csr_array(named), counts, empty=empty))
    return max(reached)


bounds = st.sampled_from([(0, None), (0, 1), (1, None), (1, 2), (2, 2), (9, None), (0, 0)])


@given(cases(), st.sampled_from(EMPTY_RULES), bounds)
def test_the_tuned_f1_is_the_best_of_all_thresholds(
    case: Case, empty: EmptyRule, bound: tuple[int, int | None]
) -> None:
    scores, truth, counts = case
    least, limit = bound
    tuned = tune_threshold(ScoredImages(scores, truth, counts, empty, limit), least=least)
    assert tuned.f1 == pytest.approx(brute_force(case, empty, least, limit), abs=1e-12)


@given(cases(), st.sampled_from(EMPTY_RULES), bounds)
def test_naming_above_the_threshold_gives_the_promised_f1(
    case: Case, empty: EmptyRule, bound: tuple[int, int | None]
) -> None:
    scores, truth, counts = case
    least, limit = bound
    tuned = tune_threshold(ScoredImages(scores, truth, counts, empty, limit), least=least)
    named = name_above(scores, tuned.value, least=least, limit=limit)
    assert mean_f1(truth, named, counts, empty=empty) == pytest.approx(tuned.f1, abs=1e-12)


@given(cases(), st.sampled_from(EMPTY_RULES), bounds)
def test_sparse_scores_are_tuned_as_dense_ones(
    case: Case, empty: EmptyRule, bound: tuple[int, int | None]
) -> None:
    scores, truth, counts = case
    least, limit = bound
    dense = tune_threshold(ScoredImages(scores, truth, counts, empty, limit), least=least)
    stored = sparse.csr_array(scores)
    tuned = tune_threshold(ScoredImages(stored, truth, counts, empty, limit), least=least)
    # The sums run in another order, so equally good thresholds may differ by a rounding.
    assert tuned.f1 == pytest.approx(dense.f1, abs=1e-12)
    named = name_above(stored, tuned.value, least=least, limit=limit)
    assert mean_f1(truth, named, counts, empty=empty) == pytest.approx(dense.f1, abs=1e-12)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_scores_of_many_images_are_tuned_exactly_whatever_their_precision(kind: type) -> None:
    generator = np.random.default_rng(0)
    scores: NDArray[np.floating[Any]] = (generator.random((900, 300)) ** 4).astype(
        kind
    )  # several blocks, many buckets
    shown = generator.random((900, 300)) < scores.astype(float) / 3
    truth, counts = sparse.csr_array(shown.astype(np.float32)), shown.sum(axis=1)
    tuned = tune_threshold(ScoredImages(scores, truth, counts, "match"))
    values = scores.astype(np.float64)
    around = np.unique(values)[np.searchsorted(np.unique(values), tuned.value) + np.arange(-9, 9)]
    for value in [*np.quantile(values, np.linspace(0, 1, 50)), *around]:
        named = sparse.csr_array(((values >= value) & (values > 0)).astype(np.float32))
        assert mean_f1(truth, named, counts, empty="match") <= tuned.f1 + 1e-12
    reached = mean_f1(truth, name_above(scores, tuned.value), counts, empty="match")
    assert reached == pytest.approx(tuned.f1, abs=1e-12)


@given(cases(), st.sampled_from(EMPTY_RULES), st.sampled_from([None, 0, 1, 3]))
def test_the_tuned_number_is_the_best_of_all_numbers(
    case: Case, empty: EmptyRule, limit: int | None
) -> None:
    scores, truth, counts = case
    number, f1 = tune_number(ScoredImages(scores, truth, counts, empty, limit))
    assert limit is None or number <= limit
    reached = [
        mean_f1(truth, name_first(scores, np.full(len(scores), n)), counts, empty=empty)
        for n in range(1 + (LABELS if limit is None else min(limit, LABELS)))
    ]
    assert f1 == pytest.approx(reached[number], abs=1e-12)
    assert f1 == pytest.approx(max(reached), abs=1e-12)
    _, stored = tune_number(ScoredImages(sparse.csr_array(scores), truth, counts, empty, limit))
    assert stored == pytest.approx(f1, abs=1e-12)


@given(cases(), st.sampled_from(EMPTY_RULES))
def test_the_order_of_images_and_concepts_does_not_change_the_f1(
    case: Case, empty: EmptyRule
) -> None:
    scores, truth, counts = case
    turned = sparse.csr_array(truth.toarray()[::-1, ::-1])
    there = tune_threshold(ScoredImages(scores, truth, counts, empty))
    back = tune_threshold(ScoredImages(scores[::-1, ::-1], turned, counts[::-1], empty))
    assert back.f1 == pytest.approx(there.f1)  # of two thresholds as good, either may be told


def test_concepts_without_a_column_count_against_recall() -> None:
    scores, truth = np.array([[0.9, 0.0]]), sets({0}, width=2)
    assert tune_threshold(ScoredImages(scores, truth, np.array([1]), "skip")).f1 == 1
    assert tune_threshold(ScoredImages(scores, truth, np.array([3]), "skip")).f1 == pytest.approx(
        2 / 4
    )


def test_the_threshold_lies_halfway_between_what_is_named_and_what_is_not() -> None:
    tuned = tune_threshold(
        ScoredImages(np.array([[0.8, 0.2]]), sets({0}, width=2), np.array([1]), "skip")
    )
    assert tuned.value == pytest.approx(0.5)


@pytest.mark.parametrize("top", [0.3, 1.0])
def test_nothing_is_named_where_naming_only_hurts(top: float) -> None:
    scores = np.array([[top, top]], np.float32)
    tuned = tune_threshold(ScoredImages(scores, sets(set(), width=2), np.array([0]), "match"))
    assert tuned.f1 == 1
    assert name_above(scores, tuned.value).nnz == 0


@pytest.mark.parametrize("scores", [np.zeros((2, 3)), sparse.csr_array((2, 3))])
def test_without_any_score_the_f1_is_that_of_naming_nothing(
    scores: NDArray[np.float64] | sparse.csr_array,
) -> None:
    tuned = tune_threshold(
        ScoredImages(scores, sets({0}, set(), width=3), np.array([1, 0]), "match")
    )
    assert tuned.f1 == 0.5
    assert name_above(scores, tuned.value).nnz == 0


@pytest.mark.parametrize("make", [np.array, sparse.csr_array])
def test_scores_that_are_nan_are_refused(make: type) -> None:
    scores = make([[0.5, np.nan]])
    with pytest.raises(DataError, match="NaN"):
        tune_threshold(ScoredImages(scores, sets({0}, width=2), np.array([1]), "skip"))
    with pytest.raises(DataError, match="NaN"):
        name_above(scores, 0.1)


def test_a_threshold_over_no_counting_image_is_refused() -> None:
    with pytest.raises(DataError, match="no image counts"):
        tune_threshold(ScoredImages(np.array([[0.5]]), sets(set(), width=1), np.array([0]), "skip"))


@given(cases(), st.sampled_from([-1.0, 0.0, 0.1, 0.3, float(BELOW_ONE), 1.0, 2.0]))
def test_named_is_what_scores_at_least_the_threshold_and_is_positive(
    case: Case, threshold: float
) -> None:
    scores = case[0]
    expected = (scores.astype(np.float64) >= threshold) & (scores > 0)
    for form in (scores, sparse.csr_array(scores)):
        np.testing.assert_array_equal(name_above(form, threshold).toarray(), expected)


@given(cases(), st.lists(st.integers(0, LABELS + 1), min_size=6, max_size=6))
def test_the_first_are_those_of_the_highest_scores_and_lowest_columns(
    case: Case, numbers: list[int]
) -> None:
    scores = case[0]
    wanted = np.array(numbers[: len(scores)])
    expected = [first_of(row, n) for row, n in zip(scores, wanted, strict=True)]
    for form in (scores, sparse.csr_array(scores)):
        np.testing.assert_array_equal(name_first(form, wanted).toarray(), expected)


@given(cases(), st.integers(0, LABELS + 1))
def test_so_many_are_named_however_low_they_score(case: Case, least: int) -> None:
    scores = case[0]
    named = name_above(scores, 0.25, least=least).toarray()
    every = np.clip((scores >= 0.25).sum(axis=1), least, None)
    np.testing.assert_array_equal(named.sum(axis=1), np.minimum(every, (scores > 0).sum(axis=1)))


@given(cases(), st.integers(0, LABELS + 1))
def test_a_limit_keeps_the_concepts_of_the_highest_scores(case: Case, limit: int) -> None:
    scores = case[0]
    every = name_above(scores, 0.1).toarray() > 0
    kept = name_above(scores, 0.1, limit=limit).toarray() > 0
    assert (kept <= every).all()
    np.testing.assert_array_equal(kept.sum(axis=1), np.minimum(every.sum(axis=1), limit))
    for row, keep, dropped in zip(scores, kept, every & ~kept, strict=True):
        assert row[keep].min(initial=np.inf) >= row[dropped].max(initial=-np.inf)


def best_of_all_sets(truth: sparse.csr_array, counts: NDArray[np.int64], empty: EmptyRule) -> float:
    images, width = truth.shape
    tried = (set(c) for size in range(width + 1) for c in combinations(range(width), size))
    return max(
        mean_f1(truth, sets(*[columns] * images, width=width), counts, empty=empty)
        for columns in tried
    )


@given(st.lists(st.integers(0, LABELS - 1), min_size=1, max_size=12), st.integers(0, 2))
def test_the_best_constant_for_single_concepts_is_the_best_of_all_sets(
    shown: list[int], beyond: int
) -> None:
    truth = sets(*({label} for label in shown))
    counts = np.full(len(shown), 1 + beyond)
    assert best_constant(truth, counts, empty="skip")[1] == pytest.approx(
        best_of_all_sets(truth, counts, "skip")
    )


@given(cases(), st.sampled_from(EMPTY_RULES))
def test_the_best_constant_reaches_the_f1_that_it_tells(case: Case, empty: EmptyRule) -> None:
    _, truth, counts = case
    columns, f1 = best_constant(truth, counts, empty=empty)
    everywhere = sets(*[set(columns)] * len(counts))
    assert mean_f1(truth, everywhere, counts, empty=empty) == pytest.approx(f1, abs=1e-6)


@given(cases(), st.sampled_from(EMPTY_RULES))
def test_the_best_constant_is_no_worse_than_nothing_or_one_concept(
    case: Case, empty: EmptyRule
) -> None:
    _, truth, counts = case
    _, f1 = best_constant(truth, counts, empty=empty)
    for columns in [set[int](), *({label} for label in range(LABELS))]:
        alone = mean_f1(truth, sets(*[columns] * len(counts)), counts, empty=empty)
        assert f1 >= alone - 1e-6


def test_nothing_is_the_best_constant_where_most_images_show_nothing() -> None:
    truth = sets(set(), set(), {1})
    columns, f1 = best_constant(truth, np.array([0, 0, 1]), empty="match")
    assert columns == []
    assert f1 == pytest.approx(2 / 3)


@pytest.mark.parametrize(("limit", "columns"), [(0, []), (1, [2]), (2, [2, 0]), (None, [2, 0, 1])])
def test_the_constant_grows_by_the_most_helpful_concept_up_to_the_limit(
    limit: int | None, columns: list[int]
) -> None:
    truth = sets({0, 1, 2}, {0, 1, 2}, {0, 2}, {2}, {0, 1, 2})
    counts = np.array([3, 3, 2, 1, 3])
    assert best_constant(truth, counts, empty="skip", limit=limit)[0] == columns


def test_only_the_most_frequent_concepts_are_candidates() -> None:
    truth = sets({0, 3}, {0, 3}, {0, 3}, {3})
    counts = np.array([2, 2, 2, 1])
    assert best_constant(truth, counts, empty="skip", candidates=1)[0] == [3]
    assert best_constant(truth, counts, empty="skip", candidates=2)[0] == [3, 0]


def test_a_constant_over_no_counting_image_is_refused() -> None:
    with pytest.raises(DataError, match="no image counts"):
        best_constant(sets(set()), np.array([0]), empty="skip")
