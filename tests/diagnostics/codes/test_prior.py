"""Codes beside their prior: holes of known size, planted dead dimensions, codes that follow it."""

import numpy as np
import pytest

from replearn.arrays import Float64
from replearn.diagnostics.codes.prior import compare_codes, dead_dimensions, holes, outside


def normal(count: int, dimensions: int, seed: int) -> Float64:
    return np.random.default_rng(seed).standard_normal((count, dimensions))


def test_codes_that_follow_the_prior_are_at_every_baseline() -> None:
    codes, draws, others = (normal(400, 8, seed) for seed in (1, 2, 3))
    found = compare_codes(codes, draws, others)
    for name in ("kernel", "sliced", "classifier"):
        p = found[name].p
        assert p is not None, name
        assert p > 0.05, name
    for name in ("kernel", "classifier", "holes", "dead_dimensions"):
        baseline = found[name].baseline
        assert baseline is not None
        assert found[name].low <= baseline <= found[name].high, name
    assert found["dead_dimensions"].value == 0


@pytest.mark.parametrize("dimensions", [1, 2, 8, 64])
def test_the_share_of_holes_by_chance_is_known_in_every_dimension(dimensions: int) -> None:
    found = [
        holes(normal(300, dimensions, 2 * seed), normal(200, dimensions, 2 * seed + 1))
        for seed in range(8)
    ]
    values = [estimate.value for estimate in found]
    baseline = found[0].baseline
    assert baseline is not None
    assert baseline == pytest.approx((200 / 500) ** 5, rel=0.06)
    # The draws' neighbourhoods overlap, so the shares vary more than a coin's would.
    assert np.mean(values) == pytest.approx(baseline, abs=float(4 * np.std(values) / 8**0.5 + 1e-3))


@pytest.mark.parametrize("radius", [0.5, 1.0, 1.5])
def test_a_hole_is_found_in_its_size(radius: float) -> None:
    """Of the normal distribution in the plane a disc holds 1 - exp(-r^2 / 2)."""
    codes = normal(8000, 2, 0)
    codes = codes[np.linalg.norm(codes, axis=1) > radius][:2000]
    found = holes(codes, normal(2000, 2, 1))
    size = 1 - np.exp(-(radius**2) / 2)
    assert found.baseline is not None
    # At its edge neighbourhoods reach out of it; elsewhere codes are denser than draws.
    assert found.value == pytest.approx(size, abs=0.05)
    assert found.low > found.baseline


def test_codes_at_another_place_are_outside_and_leave_all_of_the_prior_a_hole() -> None:
    codes, draws = normal(200, 3, 0) + 30, normal(200, 3, 1)
    assert outside(codes, draws).value == 1
    assert holes(codes, draws).value == 1
    near = outside(normal(400, 3, 2), normal(400, 3, 3))
    assert near.baseline is not None
    assert near.value == pytest.approx(near.baseline, abs=0.08)


def test_dead_dimensions_are_counted() -> None:
    codes, draws = normal(300, 6, 0), 3 * normal(300, 6, 1)
    codes[:, 1] = 5.0
    codes[:, 4] *= 0.2  # a variance of 0.04 where the prior has 9
    codes[:, 5] *= 0.5  # 0.25
    found = dead_dimensions(codes, draws)
    assert (found.value, found.low, found.high) == (2, 2, 2)
    assert found.n == 300
