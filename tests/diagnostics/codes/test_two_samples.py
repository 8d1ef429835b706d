"""Distances of two samples: against closed forms, brute force, and what chance allows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist, pdist

from replearn.arrays import Float64
from replearn.diagnostics.codes.two_samples import (
    PERMUTATIONS,
    classifier_accuracy,
    kernel_discrepancy,
    sliced_distance,
)
from replearn.diagnostics.estimates import Estimate
from replearn.errors import UsageError

DISTANCES: dict[str, Callable[..., Estimate]] = {
    "kernel": kernel_discrepancy,
    "sliced": sliced_distance,
}
every_distance = pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES)


def normal(*shape: int, seed: int = 0) -> Float64:
    return np.random.default_rng(seed).standard_normal(shape)


def kernel_by_definition(first: Float64, second: Float64) -> float:
    width = np.median(pdist(np.concatenate([first, second])))

    def mean(a: Float64, b: Float64, pairs: int) -> float:
        return float(
            (np.exp(-(cdist(a, b) ** 2) / (2 * width**2)).sum() - (a is b) * len(a)) / pairs
        )

    n, m = len(first), len(second)
    within = mean(first, first, n * (n - 1)) + mean(second, second, m * (m - 1))
    return within - 2 * mean(first, second, n * m)


def test_the_kernel_discrepancy_is_its_definition() -> None:
    first, second = normal(30, 4), normal(20, 4, seed=1) + 1
    found = kernel_discrepancy(first, second)
    assert found.value == pytest.approx(kernel_by_definition(first, second))


def test_the_kernel_discrepancy_of_shifted_normal_samples_is_known() -> None:
    """Of N(0, I) and N(d, I): 2 (s^2 / (s^2 + 2))^(D / 2) (1 - exp(-|d|^2 / (2 s^2 + 4)))."""
    pairs = []
    for seed in range(40):
        first, second = normal(300, 3, seed=2 * seed), normal(300, 3, seed=2 * seed + 1)
        second[:, 0] += 1
        found = kernel_discrepancy(first, second)
        square = np.median(pdist(np.concatenate([first, second]))) ** 2
        law = 2 * (square / (square + 2)) ** 1.5 * (1 - np.exp(-1 / (2 * square + 4)))
        pairs.append((found.value, law))
    values, laws = np.array(pairs).T
    error = values.std() / len(values) ** 0.5
    assert abs(values.mean() - laws.mean()) < 3 * error < 0.1 * laws.mean()


def test_the_sliced_distance_of_a_shift_is_its_length_by_the_root_of_the_dimension() -> None:
    first = normal(500, 3)
    shifted = first + np.array([3.0, 4.0, 0.0])
    assert sliced_distance(first, shifted).value == pytest.approx(5 / 3**0.5, rel=0.1)


def test_on_a_line_the_sliced_distance_is_the_wasserstein_distance() -> None:
    first, second = normal(200, 1), 3 * normal(200, 1, seed=1) + 1
    gaps = np.sort(first[:, 0]) - np.sort(second[:, 0])
    assert sliced_distance(first, second).value == pytest.approx(np.sqrt((gaps**2).mean()))


@every_distance
def test_a_sample_is_as_far_from_its_copy_as_no_division_is(distance: Any) -> None:
    sample = normal(60, 3)
    found = distance(sample, sample.copy())
    assert found.value <= 0
    assert found.p == 1


@every_distance
@pytest.mark.parametrize(
    "change",
    [lambda x: x + 0.3, lambda x: 0.7 * x, np.abs],
    ids=["shifted", "shrunk", "folded"],
)
def test_another_distribution_is_told_apart(distance: Any, change: Any) -> None:
    found = distance(change(normal(300, 4)), normal(300, 4, seed=1))
    assert found.p == 1 / (1 + PERMUTATIONS)
    assert found.low > 0


@every_distance
def test_the_same_distribution_is_told_apart_as_often_as_the_level_says(distance: Any) -> None:
    chances = [
        distance(normal(40, 2, seed=2 * seed), normal(40, 2, seed=2 * seed + 1), seed=seed).p
        for seed in range(100)
    ]
    assert stats.kstest(chances, "uniform").pvalue > 0.01
    assert np.mean(np.array(chances) <= 0.05) < 0.1


def test_the_interval_of_the_kernel_discrepancy_holds_what_many_samples_give() -> None:
    def pair(seed: int, count: int = 200) -> Estimate:
        return kernel_discrepancy(
            normal(count, 2, seed=seed) + 0.5, normal(count, 2, seed=seed + 1)
        )

    found = [pair(3 * seed) for seed in range(20)]
    middle = np.mean([estimate.value for estimate in found])
    assert sum(estimate.low <= middle <= estimate.high for estimate in found) >= 17
    assert {estimate.n for estimate in found} == {200}


def test_a_classifier_is_at_chance_on_one_distribution_and_right_on_two() -> None:
    same = classifier_accuracy(normal(600, 4), normal(600, 4, seed=1))
    assert same.n == 600
    assert same.baseline == 0.5
    assert same.low < 0.5 < same.high
    assert same.p is not None
    assert same.p > 0.05
    apart = classifier_accuracy(normal(600, 4) + 1, normal(600, 4, seed=1))
    # The best classifier of N(0, I) and N(d, I) is right with probability Phi(|d| / 2).
    assert apart.value == pytest.approx(stats.norm.cdf(1), abs=0.05)
    assert apart.p is not None
    assert apart.p < 1e-9


def test_a_classifier_sees_what_no_single_coordinate_shows() -> None:
    sample = normal(1000, 2)
    sample[:, 1] = np.sign(sample[:, 0]) * np.abs(sample[:, 1])
    assert classifier_accuracy(sample, normal(1000, 2, seed=1)).low > 0.6


def test_samples_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(UsageError, match="3 and 4 numbers"):
        kernel_discrepancy(normal(5, 3), normal(5, 4))
    with pytest.raises(UsageError, match="5 and 6 vectors"):
        sliced_distance(normal(5, 3), normal(6, 3))
