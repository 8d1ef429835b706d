"""Precision, recall, density and coverage of identical, disjoint, collapsed and partial sets."""

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

from replearn.diagnostics.estimates import BLOCKS, blocks_of_rows
from replearn.diagnostics.generators.precision_recall import precision_recall
from replearn.diagnostics.neighbourhoods import near_pairs, nearest, nearest_others
from tests.diagnostics.sets import cloud, modes


def brute_force(real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, float]:
    def radii(rows: np.ndarray) -> np.ndarray:
        return np.asarray(np.sort(pairwise_distances(rows), axis=1)[:, k])

    across = pairwise_distances(fake, real)
    in_real = across <= radii(real)
    in_fake = across <= radii(fake)[:, None]
    return {
        "precision": float(in_real.any(axis=1).mean()),
        "recall": float(in_fake.any(axis=0).mean()),
        "density": float(in_real.sum() / (k * len(fake))),
        "coverage": float(in_real.any(axis=0).mean()),
    }


@pytest.mark.parametrize("k", [1, 3, 5])
def test_the_numbers_are_those_of_all_pairs(k: int) -> None:
    real, fake = cloud(230), cloud(170, seed=1, shift=0.5)
    found = precision_recall(real, fake, k)
    assert {name: one.value for name, one in found.items()} == pytest.approx(
        brute_force(real, fake, k)
    )


def test_intervals_are_those_of_leaving_out_blocks_and_computing_anew() -> None:
    real, fake = cloud(200), cloud(200, seed=1, shift=0.5)
    block = blocks_of_rows(200)
    left_out = [
        brute_force(real[block != number], fake[block != number], 5)["density"]
        for number in range(BLOCKS)
    ]
    error = np.sqrt(19 / 20 * np.square(np.array(left_out) - np.mean(left_out)).sum())
    found = precision_recall(real, fake)["density"]
    assert found.high - found.value == pytest.approx(2.093 * error, rel=1e-3)


def test_identical_sets_are_all_precise_and_covered() -> None:
    found = precision_recall(cloud(300), cloud(300))
    values = {name: one.value for name, one in found.items()}
    assert values == {"precision": 1, "recall": 1, "density": pytest.approx(1.2), "coverage": 1}


def test_disjoint_sets_share_nothing() -> None:
    found = precision_recall(cloud(100), cloud(100, shift=100))
    assert {one.value for one in found.values()} == {0}


def test_of_two_draws_coverage_is_one_minus_a_half_to_the_k_and_density_is_one() -> None:
    found = precision_recall(cloud(2000), cloud(2000, seed=1))
    assert found["coverage"].low < 1 - 1 / 2**5 < found["coverage"].high
    assert found["density"].low < 1 < found["density"].high


def test_a_collapsed_set_is_precise_and_recalls_nothing() -> None:
    found = precision_recall(cloud(300), np.repeat(cloud(300)[:1], 300, axis=0))
    assert found["precision"].value == 1
    assert found["recall"].value <= 1 / 300
    assert found["coverage"].value < 0.1


def test_a_dropped_mode_costs_recall_and_coverage_but_no_precision() -> None:
    whole = precision_recall(modes(1000), modes(1000, seed=1))
    half = precision_recall(modes(1000), modes(1000, without=5, seed=1))
    assert half["precision"].low > 0.85
    assert half["recall"].high < 0.6 < whole["recall"].low
    assert half["coverage"].value == pytest.approx(0.5, abs=0.05)


def test_copies_are_at_distance_zero_and_close_ones_in_the_right_order_far_from_the_origin() -> (
    None
):
    rows = cloud(50) + 1000
    hits = nearest(rows, rows, 3)
    assert (hits.rows[:, 0] == np.arange(50)).all()
    assert (hits.distances[:, 0] == 0).all()
    twice = nearest_others(np.repeat(rows, 2, axis=0), 1)
    assert (twice.distances == 0).all()
    assert (twice.rows[:, 0] == np.arange(100) // 2 * 2 + 1 - np.arange(100) % 2).all()


def test_near_pairs_are_all_pairs_within_the_radius_of_the_second() -> None:
    first, second = cloud(90), cloud(70, seed=1)
    radii = np.linspace(1, 4, 70)
    found = {
        pair
        for tile in near_pairs(first, second, radii**2)
        for pair in zip(tile.first.tolist(), tile.second.tolist(), strict=True)
    }
    expected = np.argwhere(pairwise_distances(first, second) <= radii)
    assert found == {(int(row), int(column)) for row, column in expected}
