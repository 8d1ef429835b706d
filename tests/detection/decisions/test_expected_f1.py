"""Expected F1 against the sum over all truths, and decisions against all sets."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from replearn.detection.decisions.expected_f1 import best_numbers, expected_f1
from replearn.metrics import EmptyRule, f1_of_sets

EMPTY_RULES: list[EmptyRule] = ["skip", "match"]
chances = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5, 1e-9, 1 - 1e-9])
images = st.lists(chances, min_size=1, max_size=5).map(lambda p: sorted(p, reverse=True))


def exhaustive(probabilities: list[float], named: set[int], empty: EmptyRule) -> float:
    """Return the expected F1 of a set: the sum over all truths, with their chances."""
    total = 0.0
    for shown in product([False, True], repeat=len(probabilities)):
        chance = np.prod(np.where(shown, probabilities, 1 - np.array(probabilities)))
        true = {str(concept) for concept in np.flatnonzero(shown)}
        if true or empty == "match":
            total += float(chance) * f1_of_sets(true, {str(concept) for concept in named})
    return total


def poisson_binomial(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the chance of each number of true concepts, 0 to L."""
    chance = np.ones(1)
    for p in probabilities:
        chance = np.convolve(chance, [1 - p, p])
    return chance


def by_counts(
    probabilities: NDArray[np.float64], k: int, others: NDArray[np.float64] | None = None
) -> float:
    """Return the expected F1 of the first k by the chances of hits and of misses."""
    hits, rest = poisson_binomial(probabilities[:k]), poisson_binomial(probabilities[k:])
    missed = rest if others is None else np.convolve(rest, others)
    a, b = np.ogrid[: len(hits), : len(missed)]
    return float(hits @ (2 * a / (a + b + k)) @ missed)


@given(images, st.sampled_from(EMPTY_RULES))
def test_the_expected_f1_is_the_sum_over_all_truths(p: list[float], empty: EmptyRule) -> None:
    of_first = expected_f1(np.array([p]), len(p), empty=empty)[0]
    expected = [exhaustive(p, set(range(k)), empty) for k in range(len(p) + 1)]
    np.testing.assert_allclose(of_first, expected, rtol=0, atol=1e-12)


@given(images, st.sampled_from(EMPTY_RULES))
def test_no_set_at_all_has_a_larger_expected_f1(p: list[float], empty: EmptyRule) -> None:
    (number,), (f1,) = best_numbers(np.array([p]), empty=empty)
    sets = (set(s) for k in range(len(p) + 1) for s in combinations(range(len(p)), k))
    assert f1 == pytest.approx(max(exhaustive(p, s, empty) for s in sets), abs=1e-12)
    assert f1 == pytest.approx(exhaustive(p, set(range(number)), empty), abs=1e-12)


@pytest.mark.parametrize("label", ["flat", "uniform", "rare", "certain or none"])
def test_hundreds_of_concepts_count_down_to_the_last(label: str) -> None:
    generator = np.random.default_rng(0)
    p = {
        "flat": np.full(400, 0.01),
        "uniform": generator.random(400),
        "rare": generator.random(400) ** 20,
        "certain or none": np.r_[np.ones(30), np.full(370, 1e-12)],
    }[label]
    p = -np.sort(-p)
    of_first = expected_f1(p[None], 400, empty="skip")[0]
    for k in (1, 2, 7, 40, 400):
        assert of_first[k] == pytest.approx(by_counts(p, k), abs=1e-11)


@given(images, st.floats(0, 20))
def test_true_concepts_without_a_column_are_a_poisson_number(p: list[float], beyond: float) -> None:
    others = np.exp(-beyond) * np.cumprod(np.r_[1, beyond / np.arange(1, 120)])
    of_first = expected_f1(np.array([p]), len(p), empty="match", beyond=beyond)[0]
    for k in range(1, len(p) + 1):
        assert of_first[k] == pytest.approx(by_counts(np.array(p), k, others), abs=1e-11)
    assert of_first[0] == pytest.approx(np.prod(1 - np.array(p)) * np.exp(-beyond))


@given(st.lists(images, min_size=1, max_size=4), st.sampled_from(EMPTY_RULES))
def test_an_image_is_decided_about_alone_as_among_others(
    rows: list[list[float]], empty: EmptyRule
) -> None:
    together = np.zeros((len(rows), 5))
    for row, p in zip(together, rows, strict=True):
        row[: len(p)] = p
    _, f1 = best_numbers(together, empty=empty, beyond=0.3)
    alone = [best_numbers(row[None], empty=empty, beyond=0.3)[1][0] for row in together]
    np.testing.assert_allclose(f1, alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("beyond", [0.0, 2.0])
@pytest.mark.parametrize("sharpness", [0.2, 1.0, 4.0, 20.0])
def test_the_bounds_leave_out_no_better_number(sharpness: float, beyond: float) -> None:
    p = -np.sort(-(np.random.default_rng(1).random((50, 120)) ** sharpness), axis=1)
    every = expected_f1(p, 120, empty="match", beyond=beyond)
    _, f1 = best_numbers(p, empty="match", beyond=beyond)
    np.testing.assert_allclose(f1, every.max(axis=1), rtol=0, atol=1e-12)


@given(images, st.integers(0, 5))
def test_a_limit_leaves_the_best_of_the_fewer(p: list[float], limit: int) -> None:
    (number,), (f1,) = best_numbers(np.array([p]), empty="match", limit=limit)
    every = expected_f1(np.array([p]), len(p), empty="match")[0]
    assert number <= limit
    assert f1 == pytest.approx(every[: limit + 1].max(), abs=1e-12)


def test_certain_concepts_are_named_and_impossible_ones_are_not() -> None:
    numbers, f1 = best_numbers(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]), empty="match")
    assert numbers.tolist() == [2, 0]
    assert f1 == pytest.approx([1, 1])


def test_naming_nothing_pays_only_where_an_empty_truth_counts() -> None:
    unlikely = np.array([[0.1, 0.05]])
    assert best_numbers(unlikely, empty="match")[0] == 0
    assert best_numbers(unlikely, empty="skip")[0] > 0


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_without_images_or_concepts_there_is_nothing_to_name(shape: tuple[int, int]) -> None:
    assert best_numbers(np.zeros(shape), empty="skip")[0].tolist() == [0] * shape[0]
