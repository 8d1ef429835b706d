"""Fréchet and kernel distance against closed forms, with their bias at each N shown."""

import numpy as np
import pytest
from scipy import linalg

from replearn.diagnostics.generators.set_distances import frechet_distance, kernel_distance
from tests.diagnostics.sets import cloud


def test_the_frechet_distance_is_that_of_the_two_normal_distributions() -> None:
    random = np.random.default_rng(0)
    real = random.normal(size=(400, 5)) @ random.normal(size=(5, 5))
    fake = random.normal(1, 1, (300, 5)) @ random.normal(size=(5, 5))
    one, other = np.cov(real.T), np.cov(fake.T)
    root = linalg.sqrtm(one @ other).real
    gap = np.square(real.mean(0) - fake.mean(0)).sum()
    expected = gap + np.trace(one + other - 2 * root)
    found = frechet_distance(real, fake)["frechet"]
    assert found.value == pytest.approx(expected, rel=1e-4)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("count", [200, 400, 800, 1600])
def test_the_bias_of_the_frechet_distance_falls_with_n_and_the_jackknife_takes_it_out(
    count: int,
) -> None:
    """Of equal clouds in D = 32 dimensions it is D (D + 3) / (4 N) on each side, to first order."""
    found = [
        frechet_distance(cloud(count, 32, seed=seed), cloud(count, 32, seed=seed + 100))
        for seed in range(3)
    ]
    plain = np.mean([one["frechet"].value for one in found])
    assert plain == pytest.approx(32 * 35 / (2 * count), rel=0.25)
    corrected = np.mean([one["frechet_unbiased"].value for one in found])
    assert abs(corrected) < 0.08 * plain + 0.02
    assert all(one["frechet_unbiased"].low < 0 < one["frechet_unbiased"].high for one in found)


def test_the_intervals_hold_a_known_distance() -> None:
    """Of clouds that are shifted by 1 in each of 8 dimensions the squared distance is 8."""
    found = [
        frechet_distance(cloud(500, seed=seed), cloud(500, seed=seed + 50, shift=1))
        for seed in range(40)
    ]
    unbiased = [one["frechet_unbiased"] for one in found]
    assert np.mean([one.low < 8 < one.high for one in unbiased]) >= 0.85
    assert np.mean([one.value for one in unbiased]) == pytest.approx(8, rel=0.03)


def test_identical_sets_are_at_distance_zero() -> None:
    same = cloud(300)
    assert frechet_distance(same, same)["frechet"].value == pytest.approx(0, abs=1e-5)


def test_a_collapsed_set_is_as_far_as_the_variance_and_the_gap_of_the_means() -> None:
    real, fake = cloud(4000), np.ones((4000, 8))
    assert frechet_distance(real, fake)["frechet"].value == pytest.approx(16, rel=0.03)


def test_too_few_images_for_the_width_have_no_unbiased_distance() -> None:
    assert "frechet_unbiased" not in frechet_distance(cloud(60, 32), cloud(60, 32, seed=1))


def test_wide_features_are_projected_and_keep_their_distance() -> None:
    real, fake = cloud(50, 1500), cloud(50, 1500, seed=1, shift=1)
    found = frechet_distance(real, fake, interval=False)["frechet"].value
    assert found > 1200
    assert frechet_distance(real, real, interval=False)["frechet"].value < 1


def test_the_kernel_distance_is_the_estimator_without_bias() -> None:
    real, fake = cloud(60), cloud(80, seed=1, shift=0.5)
    scale = np.sqrt(np.square(real).mean())

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray((a @ b.T / scale**2 / 8 + 1) ** 3)

    within, beyond = kernel(real, real), kernel(fake, fake)
    expected = (within.sum() - np.trace(within)) / (60 * 59)
    expected += (beyond.sum() - np.trace(beyond)) / (80 * 79)
    expected -= 2 * kernel(real, fake).mean()
    assert kernel_distance(real, fake).value == pytest.approx(expected)


def test_the_kernel_distance_has_no_bias_at_any_n() -> None:
    for count in (40, 160):
        found = [
            kernel_distance(cloud(count, seed=seed), cloud(count, seed=seed + 500)).value
            for seed in range(60)
        ]
        assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(60)


def test_kernel_intervals_exclude_zero_where_sets_differ() -> None:
    assert kernel_distance(cloud(300), cloud(300, seed=1, shift=1)).low > 0
