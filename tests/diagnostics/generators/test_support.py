"""The support, copies and missing modes, of sets in which they are known."""

import numpy as np
import pytest

from replearn.diagnostics.generators.copies import find_copies
from replearn.diagnostics.generators.modes import find_missing_modes
from replearn.diagnostics.generators.support import support_size
from tests.diagnostics.sets import cloud, modes


@pytest.mark.parametrize("size", [50, 500, 5000])
def test_the_birthday_paradox_finds_how_many_images_are_drawn_from(size: int) -> None:
    drawn = np.random.default_rng(1).integers(0, size, 1000)
    found = support_size(cloud(1000, 32), cloud(size, 32, seed=2)[drawn])
    assert found.size.low < size < found.size.high
    assert all(drawn[one] == drawn[other] for one, other in found.pairs)


def test_images_that_are_drawn_unevenly_count_by_their_collisions() -> None:
    """Of one image half of the time and a thousand others, 1 / sum p^2 is 4 / (1 + 1 / 1000)."""
    random = np.random.default_rng(1)
    drawn = np.where(random.random(1000) < 0.5, 0, random.integers(1, 1001, 1000))
    found = support_size(cloud(1000, 32), cloud(1001, 32, seed=2)[drawn]).size
    assert found.value == pytest.approx(4, rel=0.1)


def test_samples_of_the_real_distribution_have_the_support_of_the_real_images() -> None:
    found = support_size(cloud(2000, 16), cloud(2000, 16, seed=1)).size
    assert found.baseline is not None
    assert found.low < found.baseline < found.high


def test_without_any_pair_the_support_has_no_upper_end() -> None:
    found = support_size(cloud(200, 64), cloud(200, 64, seed=1) * 5)
    assert found.size.high == np.inf
    assert found.size.to_json()["high"] is None
    assert len(found.pairs) == 0


def test_planted_copies_are_found_with_their_originals() -> None:
    real = cloud(1000, 16)
    fake = cloud(400, 16, seed=1)
    fake[:100] = real[:100] + 0.01 * cloud(100, 16, seed=2)
    found = find_copies(real, fake)
    assert (found.rows[:, 0] == found.rows[:, 1]).all()
    assert (found.rows < 100).all()
    assert found.share.low < 0.25 + 0.75 * 0.05 < found.share.high


def test_samples_of_the_real_distribution_are_copies_as_often_as_real_images() -> None:
    found = find_copies(cloud(2000, 16), cloud(2000, 16, seed=1)).share
    assert found.low < 0.05 < found.high


def test_samples_that_are_blurred_towards_the_mean_are_no_copies() -> None:
    assert find_copies(cloud(1000, 16), 0.3 * cloud(1000, 16, seed=1)).share.value < 0.05


def test_dropped_modes_are_missing_and_others_are_not() -> None:
    real = modes(2000)
    found = find_missing_modes(real, modes(2000, without=3, seed=1))
    assert found.missing.low < 0.3 < found.missing.high or found.missing.value == pytest.approx(
        0.3, abs=0.03
    )
    assert found.missing.baseline == 0
    assert found.made[found.dropped].max() < 0.01
    whole = find_missing_modes(real, modes(2000, seed=1))
    assert whole.missing.value == whole.missing.high == 0
    assert whole.different.value < 0.25
