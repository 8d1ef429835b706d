"""The fusion against scikit-learn's regression of the same pairs, and its limits."""

from typing import Any

import numpy as np
import pytest
from scipy import optimize, sparse, special
from sklearn.linear_model import LogisticRegression

from replearn.detection.fusion import Evidence, Fusion, fit_fusion


def draw(seed: int = 0, known: int = 6) -> tuple[Evidence, sparse.csr_array]:
    """Return evidence about 400 images x 10 concepts, and a truth that follows both halves."""
    generator = np.random.default_rng(seed)
    hidden = generator.normal(-2, 1.5, size=(400, 10))
    linear = special.expit(hidden[:, :known] + generator.normal(size=(400, known)))
    votes = special.expit(hidden + generator.normal(size=hidden.shape))
    votes[votes < 0.1] = 0
    truth = generator.random(hidden.shape) < special.expit(hidden)
    prior = truth.mean(axis=0)
    made = Evidence.of(linear.astype(np.float32), sparse.csr_array(votes), prior, k=9)
    return made, sparse.csr_array(truth.astype(np.float32))


@pytest.mark.parametrize("known", [6, 10])
def test_the_parameters_are_those_of_a_plain_logistic_regression(known: int) -> None:
    evidence, truth = draw(known=known)
    linear, neighbours, true = evidence.pairs(truth)
    plain = LogisticRegression(C=1e9, tol=1e-9).fit(np.column_stack([linear, neighbours]), true)
    fitted = fit_fusion(evidence, truth)
    found = [fitted.linear, fitted.neighbours, fitted.bias]
    np.testing.assert_allclose(found, [*plain.coef_[0], plain.intercept_[0]], rtol=1e-3, atol=1e-3)


def test_pairs_are_all_of_the_known_concepts_and_the_shown_ones_of_the_others() -> None:
    evidence, truth = draw()
    linear, neighbours, true = evidence.pairs(truth)
    assert len(linear) == len(neighbours) == len(true) == 400 * 6 + evidence.tail.nnz
    stored = evidence.tail.toarray() != 0
    assert true.sum() == truth.toarray()[:, :6].sum() + truth.toarray()[:, 6:][stored].sum()


def test_one_more_neighbour_votes_as_the_prior() -> None:
    votes = sparse.csr_array(np.array([[0.5, 0.0]]))
    evidence = Evidence.of(np.array([[0.2, 0.3]]), votes, np.array([0.1, 0.04]), k=4)
    np.testing.assert_allclose(evidence.neighbours, special.logit([[2.1 / 5, 0.04 / 5]]), rtol=1e-5)
    np.testing.assert_allclose(evidence.linear, special.logit([[0.2, 0.3]]), rtol=1e-6)


def test_a_part_that_speaks_against_its_concepts_counts_nothing() -> None:
    evidence, truth = draw(known=10)
    against = Evidence(-evidence.linear, evidence.neighbours, evidence.tail, evidence.tail_prior)
    fitted = fit_fusion(against, truth)
    assert fitted.linear == 0
    assert fitted.neighbours > 0


@pytest.mark.parametrize("seed", range(6))
def test_whoever_is_left_out_the_loss_is_the_smallest_without_a_negative_weight(seed: int) -> None:
    evidence, truth = draw(seed, known=10)
    noise = np.random.default_rng(seed + 99).normal(size=evidence.neighbours.shape)
    # One says too much of everything, so that the bias is far below zero; the other is noise that
    # speaks a little against the concepts, and its weight would be negative.
    against = evidence.linear + 4, noise - 0.3 * truth.toarray()
    for linear, neighbours in (against, against[::-1]):
        some = Evidence(linear, neighbours, evidence.tail, evidence.tail_prior)
        x, y, true = some.pairs(truth)
        signs = 1 - 2 * true

        def loss(at: Any, x: Any = x, y: Any = y, signs: Any = signs) -> float:
            return float(np.logaddexp(0, signs * (at[0] * x + at[1] * y + at[2])).mean())

        best = optimize.minimize(
            loss, [0.5, 0.5, 0], bounds=[(0, None), (0, None), (None, None)], method="L-BFGS-B"
        )
        fitted = fit_fusion(some, truth)
        assert min(fitted.linear, fitted.neighbours) >= 0
        assert loss([fitted.linear, fitted.neighbours, fitted.bias]) <= best.fun + 1e-7


def test_where_both_say_the_same_they_share() -> None:
    evidence, truth = draw(known=10)
    same = Evidence(evidence.linear, evidence.linear, evidence.tail, evidence.tail_prior)
    fitted = fit_fusion(same, truth)
    assert fitted.linear == pytest.approx(fitted.neighbours, rel=1e-3)


def test_certain_probabilities_stay_finite() -> None:
    ones = np.array([[1.0, 0.0]])
    evidence = Evidence.of(ones, sparse.csr_array(ones), np.array([1.0, 0.0]), k=3)
    scores = Fusion(1.0, 1.0, 0.0).combine(evidence)
    assert np.isfinite(np.asarray(scores)).all()
