"""Calibration: it finds the distortion that was put in, and no other has a smaller loss."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse, special

from replearn.detection.decisions.calibration import Calibration, fit_calibration
from replearn.detection.decisions.scores import ScoredImages


def drawn(
    slope: float, bias: float | NDArray[np.float64], seed: int = 0
) -> tuple[NDArray[np.float32], sparse.csr_array, NDArray[np.int64]]:
    """Return scores whose logits have to be multiplied and shifted to be right, and a truth."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-2, 1.5, size=(2000, 40))
    truth = generator.random(logits.shape) < special.expit(logits)
    scores = special.expit((logits - bias) / slope).astype(np.float32)
    return scores, sparse.csr_array(truth.astype(np.float32)), truth.sum(axis=1)


@pytest.mark.parametrize(("slope", "bias"), [(1.0, 0.0), (0.5, 0.3), (2.0, -1.0)])
def test_a_temperature_and_a_bias_are_found(slope: float, bias: float) -> None:
    fitted = fit_calibration(ScoredImages(*drawn(slope, bias), empty="skip"))
    assert fitted.slope == pytest.approx(slope, rel=0.05)
    assert np.mean(fitted.biases) == pytest.approx(bias, abs=0.07)
    assert fitted.beyond == 0


def test_a_bias_of_each_concept_is_found() -> None:
    biases = np.linspace(-1, 1, 40)
    fitted = fit_calibration(ScoredImages(*drawn(0.7, biases), empty="skip"))
    errors = np.array(fitted.biases) - biases
    assert np.sqrt(np.mean(errors**2)) < 0.15


def test_no_other_slope_or_common_bias_has_a_smaller_log_loss() -> None:
    scores, truth, counts = drawn(0.6, 0.4)
    # As if they were of one concept.
    scores, truth = scores.reshape(-1, 1), sparse.csr_array(truth.toarray().reshape(-1, 1))
    fitted = fit_calibration(
        ScoredImages(scores, truth, truth.sum(axis=1).astype(int), empty="skip")
    )
    logits, shown = special.logit(scores.astype(np.float64)), truth.toarray() > 0

    def loss(slope: float, bias: float) -> float:
        z = slope * logits + bias
        return float((np.logaddexp(0, z) - shown * z).sum())

    best = loss(fitted.slope, fitted.biases[0])
    assert counts.sum() == shown.sum()
    for slope, bias in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01), (0.01, 0.01)):
        assert loss(fitted.slope + slope, fitted.biases[0] + bias) > best


def test_slope_and_biases_are_where_the_loss_has_no_slope() -> None:
    scores, truth, counts = drawn(0.6, np.linspace(-2, 2, 40))
    # Concepts of no true pair and of nothing but true pairs are in it.
    shown = truth.toarray() > 0
    shown[:, 0], shown[:, 1] = False, True
    truth = sparse.csr_array(shown.astype(np.float32))
    fitted = fit_calibration(ScoredImages(scores, truth, counts + 40, empty="skip"))
    logits, biases = special.logit(scores.astype(np.float64)), np.array(fitted.biases)
    z = fitted.slope * logits + biases
    true, false = shown.sum(), (~shown).sum()
    softened = np.where(shown, (true + 1) / (true + 2), 1 / (false + 2))
    # Where the loss is smallest, true less expected is how far the bias is from the common one
    # (over the deviation's square, which is 1), and nothing is left for the slope.
    missing = softened - special.expit(z)
    assert np.ptp(biases - missing.sum(axis=0)) < 0.02
    assert abs((missing * logits).sum()) < 1e-5 * np.abs(logits).sum()


def test_on_average_as_many_are_expected_as_are_true() -> None:
    scores, truth, counts = drawn(0.5, 0.3)
    fitted = fit_calibration(ScoredImages(scores, truth, counts, empty="skip"))
    # But for what holds the biases together.
    assert fitted.probabilities(scores).sum() == pytest.approx(truth.sum(), rel=1e-3)


def test_sparse_scores_are_calibrated_as_dense_ones() -> None:
    scores, truth, counts = drawn(0.5, 0.3)
    scores[scores < 0.1] = 0
    dense = fit_calibration(ScoredImages(scores, truth, counts, empty="skip"))
    stored = fit_calibration(ScoredImages(sparse.csr_array(scores), truth, counts, empty="skip"))
    assert stored.slope == pytest.approx(dense.slope)
    assert stored.biases == pytest.approx(dense.biases)
    assert stored.beyond == pytest.approx(dense.beyond)
    probable = np.asarray(dense.probabilities(scores))
    of_stored = stored.probabilities(sparse.csr_array(scores))
    assert isinstance(of_stored, sparse.csr_array)
    np.testing.assert_allclose(of_stored.toarray(), probable, rtol=1e-4)
    assert ((probable > 0) == (scores > 0)).all()


def test_what_scores_nothing_stays_impossible_and_counts_as_beyond() -> None:
    scores = np.array([[0.0, 0.9], [0.0, 0.2]], np.float32)
    truth = sparse.csr_array(np.array([[1, 1], [1, 0]], np.float32))
    fitted = fit_calibration(ScoredImages(scores, truth, np.array([3, 1]), empty="skip"))
    assert fitted.beyond == 1.5  # three of the four true concepts have no score
    assert (np.asarray(fitted.probabilities(scores))[:, 0] == 0).all()


def test_scores_that_divide_true_from_false_give_finite_slopes() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2]], np.float32)
    truth = sparse.csr_array(np.array([[1, 0], [1, 0]], np.float32))
    fitted = fit_calibration(ScoredImages(scores, truth, np.array([1, 1]), empty="skip"))
    assert np.isfinite([fitted.slope, *fitted.biases]).all()
    likely = np.asarray(fitted.probabilities(scores))
    assert (likely[:, 0] > 0.5).all()
    assert (likely[:, 1] < 0.5).all()


def test_scores_that_speak_against_their_concept_say_nothing() -> None:
    scores = np.array([[0.9], [0.1], [0.2], [0.3]], np.float32)
    truth = sparse.csr_array(np.array([[0], [1], [0], [0]], np.float32))
    fitted = fit_calibration(
        ScoredImages(scores, truth, truth.sum(axis=1).astype(int), empty="skip")
    )
    assert fitted.slope == 0
    assert np.ptp(np.asarray(fitted.probabilities(scores))) == 0


def test_scores_that_are_all_the_same_get_the_share_of_true_ones() -> None:
    truth = sparse.csr_array((np.arange(400)[:, None] % 4 == 0).astype(np.float32))
    fitted = fit_calibration(
        ScoredImages(np.ones((400, 1), np.float32), truth, np.arange(400) % 4 == 0, empty="skip")
    )
    assert fitted.probabilities(np.ones((1, 1))) == pytest.approx(0.25, abs=0.01)


def test_without_any_score_nothing_is_probable_and_all_is_beyond() -> None:
    nothing = sparse.csr_array((3, 2))
    assert fit_calibration(
        ScoredImages(nothing, nothing, np.array([2, 0, 1]), empty="skip")
    ) == Calibration(0.0, [0.0] * 2, 1.0)
