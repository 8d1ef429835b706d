"""Estimates: the jackknife against closed forms, and permutation tests that keep their level."""

import numpy as np
import pytest

from replearn.diagnostics.estimates import (
    BLOCKS,
    blocks_of_rows,
    from_left_out,
    jackknife,
    mean_of,
    permutation_p,
    without_bias,
)


@pytest.mark.parametrize("count", [20, 21, 39, 400, 1009])
def test_blocks_are_even_and_hold_every_row_once(count: int) -> None:
    sizes = np.bincount(blocks_of_rows(count))
    assert len(sizes) == BLOCKS
    assert sizes.sum() == count
    assert sizes.max() - sizes.min() <= 1


def test_the_jackknife_of_a_mean_of_as_many_rows_as_blocks_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=BLOCKS)
    found = jackknife(lambda rows: float(rows.mean()), values)
    error = values.std(ddof=1) / np.sqrt(BLOCKS)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.value == pytest.approx(2.093 * error, rel=1e-4)
    assert found.value - found.low == pytest.approx(2.093 * error, rel=1e-4)


def test_the_mean_of_numbers_has_the_interval_of_the_jackknife() -> None:
    values = np.random.default_rng(0).normal(size=333)
    expected = jackknife(lambda rows: float(rows.mean()), values)
    found = mean_of(values)
    assert (found.low, found.value, found.high) == pytest.approx(
        (expected.low, expected.value, expected.high)
    )


def test_intervals_of_means_hold_the_truth_nineteen_times_of_twenty() -> None:
    random = np.random.default_rng(0)
    held = [
        found.low <= 1 <= found.high
        for found in (mean_of(random.exponential(size=200)) for _ in range(400))
    ]
    assert 0.91 <= np.mean(held) <= 0.985


def test_a_bias_that_falls_as_one_over_n_is_taken_out() -> None:
    random, plain, corrected = np.random.default_rng(0), [], []
    blocks = blocks_of_rows(40)
    for _ in range(1000):
        values = random.normal(size=40)
        left_out = [float(values[blocks != block].var()) for block in range(BLOCKS)]
        plain.append(values.var())
        corrected.append(without_bias(float(values.var()), left_out, 40).value)
    assert np.mean(plain) < 0.985  # 39 / 40
    assert np.mean(corrected) == pytest.approx(1, abs=0.015)


def test_two_samples_leave_out_a_block_each() -> None:
    random = np.random.default_rng(0)
    one, other = random.normal(size=400), random.normal(1, 1, size=400)
    found = jackknife(lambda a, b: float(b.mean() - a.mean()), one, other)
    error = np.sqrt(one.var() / 400 + other.var() / 400)
    assert (found.high - found.low) / 2 == pytest.approx(2.1 * error, rel=0.5)


def test_an_interval_inside_the_possible_stays_there() -> None:
    found = from_left_out(0.99, np.linspace(0.9, 1.0, BLOCKS), 100).clipped(0, 1)
    assert 0 <= found.low <= found.value <= found.high == 1


def test_estimates_say_value_interval_n_and_baseline() -> None:
    found = mean_of(np.arange(100.0)).against(1.5)
    assert found.to_json().keys() == {"value", "low", "high", "n", "baseline", "baseline_of"}
    assert "N 100; real against real 1.5)" in str(found)


def test_permutations_find_a_shift_and_nothing_where_nothing_is() -> None:
    random = np.random.default_rng(0)

    def shift(rows: np.ndarray) -> float:
        return permutation_p(
            lambda first: abs(rows[first].mean() - rows[~first].mean()), 30, 30, permutations=99
        )

    far = np.concatenate([random.normal(size=30), random.normal(2, 1, size=30)])
    assert shift(far) == pytest.approx(0.01)
    alike = [shift(random.normal(size=60)) for _ in range(60)]
    assert np.mean(np.array(alike) <= 0.05) <= 0.15
    assert np.mean(alike) == pytest.approx(0.5, abs=0.12)
