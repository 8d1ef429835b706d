"""Per-image F1 against plain set arithmetic, and the bootstrap against its properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from replearn.errors import DataError
from replearn.metrics import (
    EmptyRule,
    bootstrap_interval,
    f1_of_sets,
    f1_per_image,
    mean_f1,
    mean_score,
)

LABELS = 5
images = st.lists(
    st.tuples(st.frozensets(st.integers(0, LABELS + 1)), st.frozensets(st.integers(0, LABELS - 1))),
    min_size=1,
    max_size=12,
)
scores_of_images = st.lists(st.floats(0, 1), min_size=1, max_size=40).map(np.array)


def matrix(rows: list[frozenset[int]]) -> sparse.csr_array:
    dense = [[float(label in row) for label in range(LABELS)] for row in rows]
    return sparse.csr_array(np.array(dense, dtype=np.float32))


def plain_f1(true: frozenset[int], found: frozenset[int], empty: EmptyRule) -> float:
    if not true and empty == "skip":
        return np.nan
    if not true and not found:
        return 1.0
    hits = len(true & found)
    precision = hits / len(found) if found else 0.0
    recall = hits / len(true) if true else 0.0
    return 2 * precision * recall / (precision + recall) if hits else 0.0


@given(images, st.sampled_from(["skip", "match"]))
def test_f1_of_matrices_equals_set_arithmetic(
    sets: list[tuple[frozenset[int], frozenset[int]]], empty: EmptyRule
) -> None:
    # Labels 5 and 6 have no column: only `counts` tells of them.
    truth = [true for true, _ in sets]
    counts = np.array([len(true) for true in truth])
    scores = f1_per_image(matrix(truth), matrix([p for _, p in sets]), counts, empty=empty)
    np.testing.assert_allclose(scores, [plain_f1(t, p, empty) for t, p in sets], atol=1e-12)


@given(st.frozensets(st.text()), st.frozensets(st.text()))
def test_f1_of_sets_is_symmetric_and_one_only_for_equal_sets(
    truth: frozenset[str], predicted: frozenset[str]
) -> None:
    score = f1_of_sets(truth, predicted)
    assert score == f1_of_sets(predicted, truth)
    assert 0 <= score <= 1
    assert (score == 1) == (truth == predicted)


def test_counts_default_to_the_row_sums_of_the_truth() -> None:
    truth, predicted = matrix([frozenset({0, 1})]), matrix([frozenset({1, 2})])
    assert mean_f1(truth, predicted, empty="skip") == 0.5
    assert mean_f1(truth, predicted, np.array([6]), empty="skip") == 0.25


def test_images_without_truth_leave_the_mean_or_count_as_a_label() -> None:
    truth = matrix([frozenset(), frozenset({4}), frozenset()])
    predicted = matrix([frozenset({1}), frozenset({4}), frozenset()])
    assert mean_f1(truth, predicted, empty="skip") == 1.0
    assert mean_f1(truth, predicted, empty="match") == pytest.approx(2 / 3)


def test_a_mean_over_no_image_is_refused() -> None:
    nothing = matrix([frozenset()])
    with pytest.raises(DataError, match="no image counts"):
        mean_f1(nothing, nothing, empty="skip")
    with pytest.raises(DataError, match="no image counts"):
        bootstrap_interval(np.array([np.nan]))


def test_matrices_of_different_shape_are_refused() -> None:
    one, two = matrix([frozenset()]), matrix([frozenset()] * 2)
    with pytest.raises(DataError, match="differ in shape"):
        f1_per_image(one, two, empty="match")
    with pytest.raises(DataError, match="2 counts for 1 images"):
        f1_per_image(one, one, np.array([1, 1]), empty="match")


@given(scores_of_images)
def test_the_interval_lies_between_the_extreme_scores(scores: NDArray[np.float64]) -> None:
    low, high = bootstrap_interval(scores, resamples=50)
    assert scores.min() - 1e-12 <= low <= high <= scores.max() + 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_holds_the_mean_and_narrows_with_more_images(seed: int) -> None:
    scores = np.random.default_rng(seed).beta(0.4, 2, size=4000)
    low, high = bootstrap_interval(scores, seed=seed)
    few = bootstrap_interval(scores[:40], seed=seed)
    assert low < scores.mean() < high
    assert high - low < (few[1] - few[0]) / 5


def test_the_interval_is_about_two_standard_errors_to_each_side() -> None:
    scores = np.random.default_rng(0).normal(size=2000)
    low, high = bootstrap_interval(scores, resamples=4000)
    assert (high - low) / 2 == pytest.approx(1.96 * scores.std() / np.sqrt(2000), rel=0.05)


def test_constant_scores_have_an_interval_without_width() -> None:
    low, high = bootstrap_interval(np.full(97, 0.3))
    assert low == high == pytest.approx(0.3)


def test_the_interval_depends_on_the_seed_and_on_nothing_else() -> None:
    scores = np.random.default_rng(1).random(300)
    assert bootstrap_interval(scores, seed=3) == bootstrap_interval(scores, seed=3)
    assert bootstrap_interval(scores, seed=3) != bootstrap_interval(scores, seed=4)


def test_groups_of_one_image_each_are_images() -> None:
    scores = np.random.default_rng(1).random(300)
    alone = [f"patient {number:03d}" for number in range(300)]
    assert bootstrap_interval(scores, groups=alone) == pytest.approx(bootstrap_interval(scores))


def test_ten_equal_images_of_a_patient_are_as_good_as_one() -> None:
    patients = np.random.default_rng(1).random(200)
    images, groups = np.repeat(patients, 10), [f"{row // 10:03d}" for row in range(2000)]
    one = bootstrap_interval(patients)
    assert bootstrap_interval(images, groups=groups) == pytest.approx(one)
    assert np.ptp(bootstrap_interval(images)) < np.ptp(one) / 2  # as if there were ten times more


def test_a_mean_over_drawn_groups_is_one_over_their_images() -> None:
    # Two groups, of one and of three images: drawn are (a, a), (a, b), (b, a) or (b, b), whose
    # means are 1, 1/4, 1/4 and 0.
    scores, groups = np.array([1.0, 0.0, 0.0, np.nan, 0.0]), ["a", "b", "b", "a", "b"]
    assert bootstrap_interval(scores, groups=groups, confidence=0.4) == (1 / 4, 1 / 4)
    assert bootstrap_interval(scores, groups=groups, confidence=0.6) == (0.0, 1.0)


def test_images_that_do_not_count_change_nothing() -> None:
    scores = np.random.default_rng(1).random(300)
    holes = np.insert(scores, [0, 7, 299], np.nan)
    assert bootstrap_interval(holes) == bootstrap_interval(scores)
    assert mean_score(holes) == scores.mean()
