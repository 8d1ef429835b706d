"""Holes of shapes that have a known number of them."""

import numpy as np
import pytest

from replearn.diagnostics.generators.geometry import geometry_score, has_gudhi, living_times
from tests.diagnostics.sets import Rows, circle, cloud

if not has_gudhi():
    pytest.skip("needs gudhi; pip install 'replearn[diagnose]'", allow_module_level=True)


def torus(count: int) -> Rows:
    """Return points of the product of two circles, in four dimensions."""
    return np.hstack([circle(count), circle(count, seed=1)])


def disc(count: int) -> Rows:
    rows = np.random.default_rng(0).uniform(-1, 1, (2 * count, 2))
    inside: Rows = rows[np.square(rows).sum(axis=1) < 1][:count]
    return inside


@pytest.mark.parametrize(
    ("shape", "holes"),
    [
        (circle(1000), 1),
        (np.vstack([circle(500), circle(500, centre=5)]), 2),
        (disc(1000), 0),
        (cloud(1000, 16), 0),
        (torus(3000), 2),
    ],
    ids=["circle", "two circles", "disc", "cloud", "torus"],
)
def test_a_shape_lives_longest_with_its_number_of_holes(shape: Rows, holes: int) -> None:
    landmarks = 160 if shape.shape == (3000, 4) else 64  # a surface takes more than a line
    times = living_times(shape, rounds=4, landmarks=landmarks)
    assert times.sum(axis=1) == pytest.approx(1)
    assert times.mean(axis=0).argmax() == holes


def test_the_score_is_near_zero_for_one_shape_and_large_for_two() -> None:
    alike = geometry_score(circle(600), circle(600, seed=1), rounds=20)
    apart = geometry_score(circle(600), disc(600), rounds=20)
    assert alike.value < 0.01
    assert apart.low > 0.5
    assert apart.value <= 2


def test_a_set_of_one_image_has_no_holes() -> None:
    assert living_times(np.zeros((100, 3)), rounds=1)[0, 0] == 1
