"""Numbers on features alone, on spheres, clouds and hubs that are known."""

import numpy as np
import pytest

from replearn.detection import probe
from replearn.diagnostics.representation.features import (
    alignment,
    hubness,
    intrinsic_dimension,
    rankme,
    uniformity,
)
from tests.diagnostics.sets import cloud, sphere


@pytest.mark.parametrize(("count", "width"), [(400, 6), (30, 50)])
def test_rankme_is_that_of_the_probes_and_its_interval_holds_it(count: int, width: int) -> None:
    rows = cloud(count, width) * np.arange(1, width + 1)
    found = rankme(rows)
    assert found.value == pytest.approx(probe.rankme(rows))
    assert found.low <= found.value <= found.high


def test_rankme_counts_even_directions() -> None:
    rows = np.zeros((3000, 20))
    rows[:, :7] = cloud(3000, 7)
    assert rankme(rows).value == pytest.approx(7, abs=0.02)
    assert rankme(np.ones((40, 5))).value == pytest.approx(1)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_the_dimension_of_a_sphere_is_found_within_its_interval(dimension: int) -> None:
    found = intrinsic_dimension(sphere(2000, dimension))
    assert found.value == pytest.approx(dimension, rel=0.08)
    assert found.low < dimension < found.high


def test_the_dimension_of_many_dimensions_is_too_low_and_rises_with_n() -> None:
    few, many = (intrinsic_dimension(sphere(count, 20)).value for count in (200, 3000))
    assert few < many < 20


def test_copies_do_not_change_the_dimension() -> None:
    rows = sphere(800, 2)
    assert intrinsic_dimension(np.vstack([rows, rows])).value == pytest.approx(
        intrinsic_dimension(rows).value, rel=0.05
    )
    assert intrinsic_dimension(np.ones((50, 3))).value == 0


def test_uniformity_of_the_sphere_and_of_one_direction() -> None:
    """E exp(-2 |u - v|^2) on the circle is exp(-4) I_0(4), with I_0 the Bessel function."""
    on_circle = uniformity(sphere(2000, 1))
    assert on_circle.low < np.log(np.exp(-4) * np.i0(4)) < on_circle.high
    assert uniformity(np.ones((100, 4))).value == pytest.approx(0)


def test_alignment_of_equal_opposite_and_unrelated_views() -> None:
    rows = cloud(500)
    assert alignment(rows, 3 * rows).value == pytest.approx(0)
    assert alignment(rows, -rows).value == pytest.approx(4)
    apart = alignment(rows, cloud(500, seed=1))
    assert apart.low < 2 < apart.high
    assert apart.baseline == pytest.approx(2, abs=0.15)


def test_hubs_are_found_where_they_were_planted() -> None:
    rows = 10 * cloud(500, 300) / np.linalg.norm(cloud(500, 300), axis=1, keepdims=True)
    plain = hubness(rows)
    rows[0] = 0  # nearer to all than they are to each other
    with_hub = hubness(rows)
    assert with_hub["hubness"].value > plain["hubness"].value + 5
    assert hubness(sphere(1000, 1))["hubness"].value == pytest.approx(0, abs=0.5)


def test_nothing_is_left_out_of_a_grid_s_neighbours() -> None:
    angles = 2 * np.pi * np.arange(200) / 200
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert hubness(ring, k=4)["never_a_neighbour"].value == 0
