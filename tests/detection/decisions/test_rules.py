"""The rules behind one interface: each does what it says; the choice is made on other images."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse, special

from replearn.detection.decisions import rules
from replearn.detection.decisions.expected_f1 import best_numbers
from replearn.detection.decisions.label_thresholds import (
    FARTHEST,
    name_above_each,
    shrink,
    tune_each_threshold,
)
from replearn.detection.decisions.rules import (
    RULES,
    ExpectedF1,
    GlobalThreshold,
    GroupThresholds,
    LabelThresholds,
    RuleName,
    TopK,
    choose_rule,
    compare_rules,
    folds,
    from_facts,
    held_out_f1,
    to_facts,
)
from replearn.detection.decisions.scores import ScoredImages
from replearn.detection.decisions.threshold import name_above, tune_threshold
from replearn.errors import DataError
from replearn.metrics import EmptyRule, mean_f1

EMPTY_RULES: list[EmptyRule] = ["skip", "match"]
NAMES = list(RULES)


def scored_images(
    count: int = 200, *, empty: EmptyRule = "skip", limit: int | None = None, seed: int = 0
) -> ScoredImages:
    """Return scores that are true probabilities, of 12 concepts from frequent to rare."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(np.linspace(0.5, -4, 12), 1.5, size=(count, 12))
    shown = generator.random(logits.shape) < special.expit(logits)
    truth = sparse.csr_array(shown.astype(np.float32))
    counts = shown.sum(axis=1) + (generator.random(count) < 0.2)
    return ScoredImages(special.expit(logits).astype(np.float32), truth, counts, empty, limit)


@pytest.mark.parametrize("limit", [None, 0, 2])
@pytest.mark.parametrize("name", NAMES)
def test_sparse_scores_are_decided_about_as_dense_ones(name: RuleName, limit: int | None) -> None:
    on = scored_images()
    scores = np.asarray(on.scores)
    scores[scores < 0.05] = 0
    named = [
        RULES[name].fit(replace(on, scores=form, limit=limit)).decide(form, limit=limit).toarray()
        for form in (scores, sparse.csr_array(scores))
    ]
    np.testing.assert_array_equal(named[0], named[1])
    assert named[0].any() or limit == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_bounds_what_is_named(name: RuleName) -> None:
    rule = RULES[name].fit(scored_images())
    free, bound = (rule.decide(scored_images().scores, limit=limit) for limit in (None, 2))
    assert free.sum(axis=1).max() > 2
    assert bound.sum(axis=1).max() == 2
    assert (bound.toarray() <= free.toarray()).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_is_the_same_after_json(name: RuleName) -> None:
    rule = RULES[name].fit(scored_images())
    assert from_facts(json.loads(json.dumps(to_facts(rule), allow_nan=False))) == rule


def test_facts_of_no_known_rule_are_refused() -> None:
    with pytest.raises(KeyError):
        from_facts({"name": "oracle"})
    with pytest.raises(TypeError):
        from_facts({"name": "top-k", "value": 1})


@pytest.mark.parametrize("empty", EMPTY_RULES)
@pytest.mark.parametrize("name", NAMES)
def test_every_rule_is_better_than_chance_and_worse_than_the_truth(
    name: RuleName, empty: EmptyRule
) -> None:
    on = scored_images(empty=empty)
    turned = ScoredImages(on.scores[::-1], on.truth, on.counts, empty)
    of_others = np.nanmean(turned.f1(RULES[name].fit(turned).decide(turned.scores)))
    assert of_others + 0.05 < np.nanmean(held_out_f1(name, on)) < 0.9


def test_a_threshold_with_one_concept_for_every_image_is_taken_where_it_helps() -> None:
    scores = np.array([[0.9, 0.5], [0.2, 0.1], [0.6, 0.5]], np.float32)
    truth = sparse.csr_array(np.array([[1, 0], [1, 0], [1, 0]], np.float32))
    rule = GlobalThreshold.fit(ScoredImages(scores, truth, np.ones(3, int), "skip"))
    assert rule.least == 1
    np.testing.assert_array_equal(rule.decide(scores).toarray(), truth.toarray())
    nothing = np.array([1, 0, 1])
    some = sparse.csr_array(np.array([[1, 0], [0, 0], [1, 0]], np.float32))
    assert GlobalThreshold.fit(ScoredImages(scores, some, nothing, "match")).least == 0


def test_one_group_has_the_global_threshold() -> None:
    on = scored_images()
    tuned = tune_threshold(on)
    assert RULES["per-group"].fit(on) == GroupThresholds([tuned.value])


def test_each_group_is_tuned_on_what_those_before_it_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "GROUP", 5)
    on = scored_images()
    values = list(GroupThresholds.fit(on).values)
    assert len(values) == 3
    for group in range(3):
        # No other threshold of the group is better, as long as later groups name nothing.
        kept = [*values[: group + 1], *[2.0] * (2 - group)]
        reached = np.nanmean(on.f1(GroupThresholds(kept).decide(on.scores)))
        for other in np.unique(np.asarray(on.scores)[:, 5 * group : 5 * group + 5]):
            kept[group] = float(other)
            assert np.nanmean(on.f1(GroupThresholds(kept).decide(on.scores))) <= reached + 1e-12


def test_a_group_of_noise_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "GROUP", 12)
    on = scored_images()
    noise = np.random.default_rng(1).random((200, 12)).astype(np.float32)
    none = sparse.csr_array(on.truth.shape)
    both = np.hstack([np.asarray(on.scores), noise])
    truth = sparse.csr_array(sparse.hstack([on.truth, none]))
    rule = GroupThresholds.fit(replace(on, scores=both, truth=truth))
    named = rule.decide(both).toarray()
    assert not named[:, 12:].any()
    alone = GlobalThreshold(rule.values[0]).decide(on.scores)
    np.testing.assert_array_equal(named[:, :12], alone.toarray())


def test_as_many_are_named_as_images_show() -> None:
    scores = np.random.default_rng(0).random((50, 8)).astype(np.float32)
    truth = sparse.csr_array((scores >= np.sort(scores, axis=1)[:, -3:-2]).astype(np.float32))
    assert TopK.fit(ScoredImages(scores, truth, truth.sum(axis=1).astype(int), "skip")) == TopK(3)


def test_expected_f1_of_true_probabilities_is_what_is_reached() -> None:
    on = scored_images(20_000, empty="match")
    rule = ExpectedF1.fit(on)
    ordered = -np.sort(-np.asarray(on.scores), axis=1)
    _, expected = best_numbers(ordered, empty="match", beyond=0.2)
    assert np.mean(on.f1(rule.decide(on.scores))) == pytest.approx(expected.mean(), abs=0.01)


def test_no_threshold_comes_up_to_expected_f1_where_probabilities_are_true() -> None:
    train, test = scored_images(20_000, empty="match"), scored_images(20_000, empty="match", seed=1)
    reached = {
        name: np.mean(test.f1(RULES[name].fit(train).decide(test.scores)))
        for name in ("threshold", "expected-f1")
    }
    assert reached["expected-f1"] > reached["threshold"] + 0.003


# A threshold for each concept ---------------------------------------------------------------------


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(EMPTY_RULES), st.sampled_from([0.3, 0.1]))
def test_a_concepts_own_threshold_is_its_best_while_others_keep_the_global_one(
    seed: int, empty: EmptyRule, threshold: float
) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.choice([0, 0.05, 0.2, 0.3, 0.5, 0.7], size=(7, 3)).astype(np.float32)
    truth = sparse.csr_array((generator.random((7, 3)) < 0.4).astype(np.float32))
    counts = truth.sum(axis=1).astype(int) + generator.integers(0, 2, 7)
    counts[0] += 1
    own = tune_each_threshold(ScoredImages(scores, truth, counts, empty), threshold)
    for column in range(3):

        def reached(value: float, column: int = column) -> float:
            values = np.full(3, threshold)
            values[column] = value
            named = name_above_each(scores, values)
            return mean_f1(truth, named, counts, empty=empty)

        tried = np.linspace(threshold / FARTHEST, threshold * FARTHEST, 61)
        assert reached(own[column]) == pytest.approx(max(map(reached, tried)), abs=1e-12)


def test_the_more_images_show_a_concept_the_more_its_own_threshold_counts() -> None:
    own, positives = np.array([0.4, 0.4, 0.4, 0.1]), np.array([0, 10, 10**9, 10])
    values = shrink(own, 0.1, positives, 10.0)
    np.testing.assert_allclose(values, [0.1, 0.2, 0.4, 0.1])
    np.testing.assert_array_equal(shrink(own, 0.1, positives, np.inf), 0.1)


def test_the_same_threshold_for_each_is_the_global_one() -> None:
    scores = np.asarray(scored_images().scores)
    value = float(scores[3, 4])  # a tie
    each = name_above_each(scores, np.full(12, value))
    assert (each.toarray() == name_above(scores, value).toarray()).all()


def test_thresholds_differ_where_the_scores_of_concepts_mean_different_things() -> None:
    on = scored_images(3000)
    distorted = np.asarray(on.scores).copy()
    distorted[:, ::2] /= 3
    wrong = ScoredImages(distorted, on.truth, on.counts, "skip")
    each = np.nanmean(held_out_f1("per-label", wrong))
    one = np.nanmean(held_out_f1("threshold", wrong))
    assert each > one + 0.02


def test_thresholds_of_concepts_are_shrunk_to_the_global_one_where_images_are_few() -> None:
    on = scored_images(1)
    tuned = tune_threshold(on).value
    np.testing.assert_allclose(LabelThresholds.fit(on).values, tuned)


# The choice ---------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.sampled_from(EMPTY_RULES))
def test_folds_share_all_images_and_the_counting_ones_evenly(
    counts: list[int], empty: EmptyRule
) -> None:
    size = len(counts)
    on = ScoredImages(np.zeros((size, 1)), sparse.csr_array((size, 1)), np.array(counts), empty)
    counting = on.counts > 0 if empty == "skip" else np.ones(size, bool)
    parts = folds(on, 5)
    assert len(parts) == (min(5, counting.sum()) if counting.sum() > 1 else 0)
    if parts:
        assert sorted(np.concatenate([held for held, _ in parts]).tolist()) == list(range(size))
        assert np.ptp([counting[held].sum() for held, _ in parts]) <= 1
        for held, others in parts:
            assert sorted([*held, *others]) == list(range(size))


def test_held_out_images_do_not_decide_about_themselves() -> None:
    on = scored_images(60)
    before = held_out_f1("threshold", on)
    held, others = folds(on, 5)[0]
    rule = GlobalThreshold.fit(on.take(others))
    part = on.take(held)
    np.testing.assert_array_equal(before[held], part.f1(rule.decide(part.scores)))


def test_the_rule_with_the_best_outcome_is_fitted_on_all_images() -> None:
    on = scored_images(100)
    outcomes = compare_rules(on)
    assert [outcome.rule for outcome in outcomes] == NAMES
    best = max(outcomes, key=lambda outcome: outcome.f1)
    assert choose_rule(on, outcomes) == RULES[best.rule].fit(on)
    for outcome in outcomes:
        assert outcome.interval[0] < outcome.f1 < outcome.interval[1]
        assert outcome.images == (on.counts > 0).sum()


def test_one_image_is_enough_to_choose() -> None:
    assert len(compare_rules(scored_images(1, empty="match"))) == len(RULES)


def test_without_an_image_that_counts_there_is_no_choice() -> None:
    on = scored_images(4)
    with pytest.raises(DataError, match="no image counts"):
        compare_rules(ScoredImages(on.scores, on.truth, 0 * on.counts, "skip"))


@pytest.mark.parametrize("name", NAMES)
def test_scores_that_are_nan_are_refused(name: RuleName) -> None:
    on = scored_images(20)
    scores: NDArray[np.float32] = np.asarray(on.scores).copy()
    scores[3, 2] = np.nan
    with pytest.raises(DataError, match="NaN"):
        RULES[name].fit(ScoredImages(scores, on.truth, on.counts, "skip"))
    with pytest.raises(DataError, match="NaN"):
        RULES[name].fit(on).decide(scores)
