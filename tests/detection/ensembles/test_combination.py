"""Combined probabilities: closed forms, and weights that undo what was done to a member."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse, special

from replearn.concepts.table import ConceptTable
from replearn.detection.decisions.probabilities import Probabilities
from replearn.detection.decisions.scores import ScoredImages
from replearn.detection.ensembles.combination import Combination, fit_log_linear, mean_of
from replearn.detection.ensembles.concept_scores import ConceptScores
from replearn.detection.ensembles.fit_ensemble import fit_ensemble


def drawn(count: int, width: int, seed: int = 0) -> tuple[NDArray[np.float32], sparse.csr_array]:
    """Return true probabilities [count, width] and concepts that were drawn by them."""
    generator = np.random.default_rng(seed)
    true = special.expit(generator.normal(-1, 1.5, (count, width)))
    shown = (generator.random((count, width)) < true).astype(np.float32)
    return true.astype(np.float32), sparse.csr_array(sparse.coo_array(shown))


def test_the_mean_and_the_pool_are_their_formulas() -> None:
    scores = np.random.default_rng(0).uniform(0.01, 0.99, (5, 3, 4)).astype(np.float32)
    assert np.allclose(mean_of(3).combine(scores), scores.mean(axis=1), atol=1e-6)
    pool = Combination("log-linear", [0.5, 0.25, 2.0], -0.5).combine(scores)
    logits = np.log(scores / (1 - scores))
    weighted = 0.5 * logits[:, 0] + 0.25 * logits[:, 1] + 2.0 * logits[:, 2] - 0.5
    assert np.allclose(pool, 1 / (1 + np.exp(-weighted)), atol=1e-5)


def test_fitted_weights_undo_an_overconfident_member_and_leave_out_noise() -> None:
    true, shown = drawn(3000, 6)
    wild = special.expit(3 * special.logit(true) + 1).astype(np.float32)
    noise = np.random.default_rng(1).uniform(0.01, 0.99, true.shape).astype(np.float32)
    fitted = fit_log_linear(np.stack([wild, noise], axis=1), shown)
    assert fitted.weights == pytest.approx([1 / 3, 0], abs=0.02)
    assert fitted.bias == pytest.approx(-1 / 3, abs=0.05)


def test_more_images_than_are_enough_give_nearly_the_same_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    true, shown = drawn(4000, 4)
    pair = np.stack([true, np.roll(true, 1, axis=1)], axis=1)
    whole = fit_log_linear(pair, shown)
    monkeypatch.setattr("replearn.detection.ensembles.combination._ENOUGH", 8000)
    assert fit_log_linear(pair, shown).weights == pytest.approx(whole.weights, abs=0.1)


def scored(scores: Any, truth: NDArray[np.float32]) -> ScoredImages:
    counts = truth.sum(axis=1).astype(np.int64)
    return ScoredImages(scores, sparse.csr_array(sparse.coo_array(truth)), counts, "skip")


def test_a_concept_that_scores_nothing_gets_the_share_of_images_that_show_it_after_all() -> None:
    votes = np.array([[0.5, 0.0], [0.0, 0.0], [0.0, 0.4], [0.6, 0.0]], np.float32)
    truth = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    rate = 2 / 5  # of the five pairs without a vote, two are true
    for scores in (votes, sparse.csr_array(votes)):
        fitted = Probabilities.fit(scored(scores, truth))
        assert fitted.unscored == pytest.approx([(1 + rate) / 3, (1 + rate) / 4])
        found = fitted.of(scores)
        assert found.dtype == np.float32
        assert found[votes == 0] == pytest.approx(np.array(fitted.unscored)[[1, 0, 1, 0, 1]])
        positive = special.logit(votes[votes > 0])
        biases = np.array(fitted.biases)[[0, 1, 0]]
        assert found[votes > 0] == pytest.approx(special.expit(fitted.slope * positive + biases))


def test_probabilities_are_calibrated() -> None:
    true, shown = drawn(4000, 5)
    wild = special.expit(2 * special.logit(true)).astype(np.float32)
    found = Probabilities.fit(scored(wild, shown.toarray())).of(wild)
    for low in (0.1, 0.3, 0.6):
        near = (found > low) & (found < low + 0.1)
        assert shown.toarray()[near].mean() == pytest.approx(found[near].mean(), abs=0.03)


def test_an_ensemble_says_whether_it_helps() -> None:
    true, shown = drawn(400, 8)
    ids, words = [f"i{n}" for n in range(400)], [f"C{n}" for n in range(8)]
    rows = shown.toarray() > 0
    table = ConceptTable(ids, [tuple(np.array(words)[row].tolist()) for row in rows])
    generator = np.random.default_rng(2)

    def member(noise: float, seed: int) -> ConceptScores:
        z = special.logit(true) + generator.normal(0, noise, true.shape)
        return ConceptScores(ids, special.expit(z).astype(np.float32), words, f"detector:{seed}")

    both = fit_ensemble([member(1.5, 0), member(1.5, 1)], table)
    assert both.verdict().startswith("the ensemble helps: +")
    assert both.lead()[0] == pytest.approx(both.chosen.best.f1 - both.best_member.best.f1)
    good = member(0, 0)
    guess = ConceptScores(ids, generator.random(true.shape).astype(np.float32), words)
    spoiled = fit_ensemble([good, guess], table, weights="mean", names=["good", "guess"])
    assert spoiled.best_member.name == "good"
    assert "does not help" in spoiled.verdict()
    assert "against good alone" in spoiled.verdict()
