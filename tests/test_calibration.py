"""Calibration: it finds the distortion that was put in, and no other has a smaller log loss."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse, special

from replearn.calibration import Calibration, fit_calibration


def drawn(
    slope: float, bias: float, seed: int = 0
) -> tuple[NDArray[np.float32], sparse.csr_array, NDArray[np.int64]]:
    """Return scores whose logits have to be multiplied and shifted to be right, and a truth."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-2, 1.5, size=(2000, 40))
    truth = generator.random(logits.shape) < special.expit(logits)
    scores = special.expit((logits - bias) / slope).astype(np.float32)
    return scores, sparse.csr_array(truth.astype(np.float32)), truth.sum(axis=1)


@pytest.mark.parametrize(("slope", "bias"), [(1.0, 0.0), (0.5, 0.3), (2.0, -1.0)])
def test_a_temperature_and_a_bias_are_found(slope: float, bias: float) -> None:
    fitted = fit_calibration(*drawn(slope, bias))
    assert fitted.slope == pytest.approx(slope, rel=0.05)
    assert fitted.bias == pytest.approx(bias, abs=0.07)
    assert fitted.beyond == 0


def test_no_other_slope_or_bias_has_a_smaller_log_loss() -> None:
    scores, truth, counts = drawn(0.6, 0.4)
    fitted = fit_calibration(scores, truth, counts)
    logits, shown = special.logit(scores.astype(np.float64)), truth.toarray() > 0

    def loss(slope: float, bias: float) -> float:
        z = slope * logits + bias
        return float((np.logaddexp(0, z) - shown * z).sum())

    best = loss(fitted.slope, fitted.bias)
    for slope, bias in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01), (0.01, 0.01)):
        assert loss(fitted.slope + slope, fitted.bias + bias) > best


def test_on_average_as_many_are_expected_as_are_true() -> None:
    scores, truth, counts = drawn(0.5, 0.3)
    fitted = fit_calibration(scores, truth, counts)
    # But for the softened labels, one pair more or less.
    assert fitted.probabilities(scores).sum() == pytest.approx(truth.sum(), abs=2)


def test_sparse_scores_are_calibrated_as_dense_ones() -> None:
    scores, truth, counts = drawn(0.5, 0.3)
    scores[scores < 0.1] = 0
    dense = fit_calibration(scores, truth, counts)
    stored = fit_calibration(sparse.csr_array(scores), truth, counts)
    assert vars(stored) == pytest.approx(vars(dense))


def test_what_scores_nothing_stays_impossible_and_counts_as_beyond() -> None:
    scores = np.array([[0.0, 0.9], [0.0, 0.2]], np.float32)
    truth = sparse.csr_array(np.array([[1, 1], [1, 0]], np.float32))
    fitted = fit_calibration(scores, truth, np.array([3, 1]))
    assert fitted.beyond == 1.5  # three of the four true concepts have no score
    assert (fitted.probabilities(scores)[:, 0] == 0).all()


def test_scores_that_divide_true_from_false_give_finite_slopes() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2]], np.float32)
    truth = sparse.csr_array(np.array([[1, 0], [1, 0]], np.float32))
    fitted = fit_calibration(scores, truth, np.array([1, 1]))
    assert np.isfinite([fitted.slope, fitted.bias]).all()
    assert fitted.probabilities(scores) == pytest.approx(np.array([[3, 1]] * 2) / 4, abs=0.1)


def test_scores_that_speak_against_their_concept_say_nothing() -> None:
    scores = np.array([[0.9, 0.1, 0.2, 0.3]], np.float32)
    truth = sparse.csr_array(np.array([[0, 1, 0, 0]], np.float32))
    fitted = fit_calibration(scores, truth, np.array([1]))
    assert fitted.slope == 0
    assert np.ptp(fitted.probabilities(scores)) == 0


def test_scores_that_are_all_the_same_get_the_share_of_true_ones() -> None:
    truth = sparse.csr_array((np.arange(400).reshape(40, 10) % 4 == 0).astype(np.float32))
    fitted = fit_calibration(np.ones((40, 10), np.float32), truth, truth.sum(axis=1))
    assert fitted.probabilities(np.ones(1)) == pytest.approx(0.25, abs=0.01)


def test_without_any_score_nothing_is_probable_and_all_is_beyond() -> None:
    fitted = fit_calibration(
        sparse.csr_array((3, 2)), sparse.csr_array((3, 2)), np.array([2, 0, 1])
    )
    assert fitted == Calibration(0.0, 0.0, 1.0)
