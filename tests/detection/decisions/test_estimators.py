"""The rules as estimators decide as the rules do, and are what scikit-learn expects."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse, special
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from replearn.detection.decisions.estimators import (
    BestRule,
    ConceptThresholdsRule,
    DecisionRule,
    ExpectedF1Rule,
    ThresholdRule,
    TopKRule,
)
from replearn.detection.decisions.rules import (
    RULES,
    GlobalThreshold,
    RuleName,
    choose_rule,
    compare_rules,
)
from replearn.detection.decisions.scores import ScoredImages
from replearn.detection.logistic.regression import MultiLabelLogisticRegression
from replearn.errors import DataError
from replearn.metrics import EmptyRule

SAME: dict[RuleName, type[DecisionRule]] = {
    "threshold": ThresholdRule,
    "per-label": ConceptThresholdsRule,
    "top-k": TopKRule,
    "expected-f1": ExpectedF1Rule,
}
EVERY = [*SAME.values(), BestRule]


def scored_images(
    scores: NDArray[np.float32],
    Y: NDArray[np.int64],
    empty: EmptyRule = "skip",
    limit: int | None = None,
    more: int = 0,
) -> ScoredImages:
    """Return what the rules are fitted on, with so many more true concepts of every image."""
    truth: sparse.csr_array = sparse.csr_array(Y.astype(np.float32))
    return ScoredImages(scores, truth, Y.sum(axis=1) + more, empty, limit)


def scored(count: int = 120) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return scores that are true probabilities [N, 6], and what they are of."""
    generator = np.random.default_rng(0)
    logits = generator.normal(np.linspace(0.5, -3, 6), 1.5, size=(count, 6))
    shown = generator.random(logits.shape) < special.expit(logits)
    return special.expit(logits).astype(np.float32), shown.astype(np.int64)


def stored_whole(matrix: NDArray[Any]) -> sparse.csr_array:
    """Return a sparse matrix that stores its zeros too."""
    rows, columns = np.indices(matrix.shape)
    pairs = rows.ravel(), columns.ravel()
    return sparse.csr_array((matrix.ravel(), pairs), shape=matrix.shape)


@pytest.mark.parametrize("empty", ["skip", "match"])
@pytest.mark.parametrize("limit", [None, 2])
@pytest.mark.parametrize("name", list(SAME))
def test_an_estimator_decides_as_its_rule(
    name: RuleName, limit: int | None, empty: EmptyRule
) -> None:
    scores, Y = scored()
    images = scored_images(scores, Y, empty, limit)
    expected = RULES[name].fit(images).decide(scores, limit=limit)
    estimator = SAME[name](empty=empty, limit=limit)
    predicted = estimator.fit(scores, Y).predict(scores)
    np.testing.assert_array_equal(predicted, expected.toarray())
    assert predicted.dtype == np.int8
    assert estimator.score(scores, Y) == pytest.approx(np.nanmean(images.f1(expected)))


def test_the_best_rule_is_the_one_that_is_chosen_on_held_out_images() -> None:
    scores, Y = scored()
    images = scored_images(scores, Y)
    compared = compare_rules(images, list(SAME))
    best = BestRule().fit(scores, Y)
    assert best.rule_ == choose_rule(images, compared)
    assert {one.rule: one.f1 for one in best.comparison_} == {one.rule: one.f1 for one in compared}
    assert best.name_ == max(compared, key=lambda one: one.f1).rule


def test_what_was_fitted_is_at_hand() -> None:
    scores, Y = scored()
    fitted: list[Any] = [kind().fit(scores, Y) for kind in EVERY]
    threshold, each, number, expected, best = fitted
    assert GlobalThreshold(threshold.threshold_, threshold.least_) == threshold.rule_
    assert each.thresholds_.shape == expected.biases_.shape == (6,)
    assert (number.predict(scores).sum(axis=1) == number.k_).all()
    assert {len(one.classes_) for one in fitted} == {one.n_features_in_ for one in fitted} == {6}
    assert best.name_ in SAME


@pytest.mark.parametrize("kind", EVERY)
def test_true_concepts_without_a_column_count(kind: type[DecisionRule]) -> None:
    scores, Y = scored()
    more = Y.sum(axis=1) + 5
    images = scored_images(scores, Y, more=5)
    rule = kind().fit(scores, Y, counts=more.tolist())
    expected = np.nanmean(images.f1(rule.rule_.decide(scores)))
    assert rule.score(scores, Y, counts=more.tolist()) == pytest.approx(expected)
    assert rule.score(scores, Y) > expected


@pytest.mark.parametrize("kind", EVERY)
def test_sparse_scores_and_labels_give_the_same_sparse_decisions(kind: type[DecisionRule]) -> None:
    scores, Y = scored()
    dense = kind().fit(scores, Y).predict(scores)
    forms: list[Any] = [sparse.csr_array, sparse.csr_matrix, stored_whole]
    for form in forms:
        labels = form(Y)
        stored = labels.nnz
        named = kind().fit(form(scores), labels).predict(form(scores))
        assert isinstance(named, sparse.csr_array)
        np.testing.assert_array_equal(named.toarray(), dense)
        assert labels.nnz == stored  # what the caller holds stays as it is


def test_a_label_that_is_stored_twice_is_refused() -> None:
    twice = sparse.csr_array((np.ones(2), [1, 1], [0, 2]), shape=(1, 3))
    with pytest.raises(DataError, match="others than 0 and 1"):
        ThresholdRule().fit(np.ones((1, 3)), twice)


@pytest.mark.parametrize("kind", EVERY)
def test_a_clone_has_the_settings_and_not_the_fit(kind: type[DecisionRule]) -> None:
    copy = clone(kind(empty="match", limit=3).fit(*scored()))
    assert copy.get_params() == {"empty": "match", "limit": 3}
    with pytest.raises(NotFittedError):
        copy.predict(scored()[0])


@pytest.mark.parametrize("kind", EVERY)
def test_rules_stand_at_the_end_of_a_pipeline(kind: type[DecisionRule]) -> None:
    scores, Y = scored()
    logits = special.logit(scores.astype(np.float64))
    chain = make_pipeline(FunctionTransformer(special.expit), kind())
    alone = kind().fit(special.expit(logits), Y)
    np.testing.assert_array_equal(
        chain.fit(logits, Y).predict(logits), alone.predict(special.expit(logits))
    )


def test_a_rule_is_fitted_on_what_cross_validation_predicts() -> None:
    X = np.random.default_rng(1).normal(size=(120, 6))
    Y = (X + np.random.default_rng(2).normal(size=X.shape) > 0.5).astype(int)
    scores = cross_val_predict(MultiLabelLogisticRegression(), X, Y, cv=3, method="predict_proba")
    named = cross_val_predict(ThresholdRule(), scores, Y, cv=3)
    assert scores.shape == named.shape == Y.shape
    rule = ThresholdRule().fit(scores, Y)
    assert rule.score(scores, Y) > 0.5


def test_a_search_over_the_settings_maximises_the_mean_f1() -> None:
    scores, Y = scored()
    search = GridSearchCV(ThresholdRule(), {"limit": [0, 1, None]}, cv=3).fit(scores, Y)
    assert search.best_params_["limit"] != 0
    assert search.cv_results_["mean_test_score"][0] == 0


@pytest.mark.parametrize(
    ("scores", "Y", "message"),
    [
        (np.full((2, 3), -0.1), np.ones((2, 3)), "scores below 0: give probabilities"),
        (np.full((2, 3), np.nan), np.ones((2, 3)), "scores hold NaN"),
        (np.ones((2, 3)), np.ones((2, 2)), r"scores \[2, 3\] for labels \[2, 2\]"),
        (np.ones((2, 3)), np.full((2, 3), 0.5), "others than 0 and 1"),
        (np.ones((2, 3)), np.zeros((2, 3)), "no image counts"),
    ],
)
@pytest.mark.parametrize("kind", EVERY)
def test_what_cannot_be_decided_about_is_refused(
    kind: type[DecisionRule], scores: Any, Y: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        kind().fit(scores, Y)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"empty": "Skip"}, "empty 'Skip': give one of skip, match"),
        ({"limit": -1}, "limit -1: give a whole number from 0 on"),
        ({"limit": 2.5}, "limit 2.5: "),
    ],
)
@pytest.mark.parametrize("kind", EVERY)
def test_settings_that_mean_nothing_are_refused(
    kind: type[DecisionRule], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        kind(**settings).fit(*scored())
    with pytest.raises(DataError, match=message):
        kind().fit(*scored()).set_params(**settings).predict(scored()[0])


@pytest.mark.parametrize("wrong", [-1, 0.5])
def test_counts_that_no_image_can_have_are_refused_by_the_image(wrong: float) -> None:
    scores, Y = scored()
    counts = Y.sum(axis=1).tolist()
    counts[7] += wrong
    rule = ThresholdRule()
    for refused in (rule.fit, rule.fit(scores, Y).score):
        with pytest.raises(DataError, match=rf"counts\[7\] {counts[7]} where row 7 of Y has"):
            refused(scores, Y, counts=counts)


def test_weights_of_images_are_refused_because_the_mean_has_none() -> None:
    scores, Y = scored()
    score: Any = ThresholdRule().fit(scores, Y).score
    with pytest.raises(TypeError, match="sample_weight"):
        score(scores, Y, sample_weight=np.ones(len(Y)))


def test_other_numbers_of_counts_than_of_images_are_refused() -> None:
    scores, Y = scored()
    with pytest.raises(DataError, match="2 counts for 120 images"):
        ThresholdRule().fit(scores, Y, counts=[1, 2])


def test_scores_of_other_concepts_are_refused() -> None:
    rule = ThresholdRule().fit(*scored())
    with pytest.raises(ValueError, match="6 features"):
        rule.predict(np.ones((2, 5), np.float32))
