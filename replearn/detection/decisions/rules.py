"""The rules that turn scores into concept sets, and the choice among them.

Each rule is fitted on validation images and then applied to any others.  Which one is best depends
on the scores, so they are compared on held-out folds of the validation images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from replearn.detection.decisions.calibration import Calibration, fit_calibration
from replearn.detection.decisions.expected_f1 import best_numbers
from replearn.detection.decisions.label_thresholds import (
    name_above_each,
    shrink,
    tune_each_threshold,
)
from replearn.detection.decisions.scores import ScoredImages, Scores, blocks, descending, name_first
from replearn.detection.decisions.threshold import name_above, tune_number, tune_threshold
from replearn.metrics import EmptyRule, bootstrap_interval, mean_score

RuleName = Literal["threshold", "per-group", "top-k", "per-label", "expected-f1"]


class Rule(Protocol):
    """Decides which concepts to name; its fields go into JSON as they are."""

    name: ClassVar[RuleName]

    @classmethod
    def fit(cls, images: ScoredImages) -> Self:
        """Return the rule of this kind that suits these images.

        Raises:
            DataError: scores are NaN, or no image counts.
        """
        ...

    def decide(self, scores: Scores, *, limit: int | None = None) -> sparse.csr_array:
        """Return what to name of each image as 0/1 float32 [N, L], at most `limit` concepts."""
        ...


@dataclass(frozen=True)
class GlobalThreshold:
    """Name what scores at least `value`, and of each image at least so many."""

    value: float
    least: int = 0
    name: ClassVar[RuleName] = "threshold"

    @classmethod
    def fit(cls, images: ScoredImages) -> Self:
        """Return the exact best threshold, with or without naming one concept of every image."""
        tuned = [tune_threshold(images, least=least) for least in (0, 1)]
        # Rounding alone must not make the rule longer.
        least = int(tuned[1].f1 > tuned[0].f1 + 1e-9)
        return cls(tuned[least].value, least)

    def decide(self, scores: Scores, *, limit: int | None = None) -> sparse.csr_array:
        """Return what to name of each image as 0/1 float32 [N, L], at most `limit` concepts."""
        return name_above(scores, self.value, least=self.least, limit=limit)


GROUP = 500  # concepts that share a threshold


@dataclass(frozen=True)
class GroupThresholds:
    """Name what scores at least its group's threshold; a group is 500 concepts of like frequency.

    So the original system merged the runs of detectors of the first 500 concepts, the next 500,
    and so on.  Here each group is tuned on what those before it name already: alone, a group of
    rare concepts would gain by naming one of every image.
    """

    values: list[float]
    name: ClassVar[RuleName] = "per-group"

    @classmethod
    def fit(cls, images: ScoredImages) -> Self:
        """Return the threshold of each group, the columns being in the order of frequency."""
        values: list[float] = []
        for first in range(0, images.scores.shape[1], GROUP):
            columns = slice(0, first + GROUP)
            scores, sure = _with_named_first(images, values, slice(first, first + GROUP))
            truth = sparse.csr_array(images.truth[:, columns])
            tuned = tune_threshold(replace(images, scores=scores, truth=truth))
            values.append(min(tuned.value, sure))
        return cls(values)

    def decide(self, scores: Scores, *, limit: int | None = None) -> sparse.csr_array:
        """Return what to name of each image as 0/1 float32 [N, L], at most `limit` concepts."""
        thresholds = np.repeat(self.values, GROUP)[: scores.shape[1]]
        return name_above_each(scores, thresholds, limit=limit)


def _with_named_first(
    images: ScoredImages, values: list[float], group: slice
) -> tuple[Scores, float]:
    """Return scores up to a group, and the score of the concepts that the groups before it name.

    It is above any other score, so that those concepts are named first.
    """
    own = images.scores[:, group]
    sure = 2 * max(1.0, float(own.max(initial=0) if isinstance(own, np.ndarray) else own.max()))
    named = GroupThresholds(values).decide(images.scores[:, : group.start])
    if isinstance(own, np.ndarray):
        return np.hstack([sure * named.toarray(), own]), sure
    return sparse.csr_array(sparse.hstack([sure * named, own])), sure


@dataclass(frozen=True)
class TopK:
    """Name the same number of concepts of every image, those of the highest scores."""

    k: int
    name: ClassVar[RuleName] = "top-k"

    @classmethod
    def fit(cls, images: ScoredImages) -> Self:
        """Return the best number."""
        k, _ = tune_number(images)
        return cls(k)

    def decide(self, scores: Scores, *, limit: int | None = None) -> sparse.csr_array:
        """Return what to name of each image as 0/1 float32 [N, L], at most `limit` concepts."""
        k = self.k if limit is None else min(self.k, limit)
        return name_first(scores, np.full(scores.shape[0], k))


# Positives at which a concept's own threshold counts as much as the global one.
STRENGTHS = (10.0, 30.0, 100.0, 300.0, 1000.0, np.inf)


@dataclass(frozen=True)
class LabelThresholds:
    """Name what scores at least its concept's threshold, which is held near the global one."""

    values: list[float]
    name: ClassVar[RuleName] = "per-label"

    @classmethod
    def fit(cls, images: ScoredImages) -> Self:
        """Return thresholds shrunk by the strength that is best on held-out thirds."""
        parts = folds(images, 3)
        totals = np.zeros(len(STRENGTHS))
        for held, others in parts:
            for number, values in enumerate(_shrink_by_each(images.take(others))):
                part = images.take(held)
                named = name_above_each(part.scores, values, limit=images.limit)
                totals[number] += np.nansum(part.f1(named))
        # With fewer than two images nothing can be tried: the global threshold.
        best = int(totals.argmax()) if parts else len(STRENGTHS) - 1
        return cls(_shrink_by_each(images)[best].tolist())

    def decide(self, scores: Scores, *, limit: int | None = None) -> sparse.csr_array:
        """Return what to name of each image as 0/1 float32 [N, L], at most `limit` concepts."""
        return name_above_each(scores, np.array(self.values), limit=limit)


def _shrink_by_each(images: ScoredImages) -> list[NDArray[np.float64]]:
    tuned = tune_threshold(images)
    own = tune_each_threshold(images, tuned.value)
    positives = images.truth.sum(axis=0)
    return [shrink(own, tuned.value, positives, strength) for strength in STRENGTHS]


@dataclass(frozen=True)
class ExpectedF1:
    """Name for each image the set with the largest expected F1, by calibrated probabilities.

    Votes of neighbours are no probabilities; calibration corrects them as far as a slope and
    biases can, and the comparison of the rules shows whether that is far enough.
    """

    slope: float
    biases: list[float]
    beyond: float
    empty: EmptyRule
    name: ClassVar[RuleName] = "expected-f1"

    @classmethod
    def fit(cls, images: ScoredImages) -> Self:
        """Return the rule with scores calibrated on these images."""
        fitted = fit_calibration(images)
        return cls(fitted.slope, fitted.biases, fitted.beyond, images.empty)

    def decide(self, scores: Scores, *, limit: int | None = None) -> sparse.csr_array:
        """Return what to name of each image as 0/1 float32 [N, L], at most `limit` concepts."""
        calibration = Calibration(self.slope, self.biases, self.beyond)
        probabilities = calibration.probabilities(scores)
        numbers = np.zeros(scores.shape[0], np.intp)
        for block in blocks(probabilities):
            numbers[block.images], _ = best_numbers(
                descending(block.values), empty=self.empty, beyond=self.beyond, limit=limit
            )
        return name_first(probabilities, numbers)


# From the simplest: of rules that are as good as each other the first is taken.
_Kind = (
    type[GlobalThreshold]
    | type[GroupThresholds]
    | type[TopK]
    | type[LabelThresholds]
    | type[ExpectedF1]
)
_KINDS = (GlobalThreshold, GroupThresholds, TopK, LabelThresholds, ExpectedF1)
RULES: dict[RuleName, _Kind] = {rule.name: rule for rule in _KINDS}


def rules_for(width: int) -> list[RuleName]:
    """Return the rules to choose from for so many concepts; a single group is all of them."""
    return [name for name in RULES if name != "per-group" or width > GROUP]


def to_facts(rule: Rule) -> dict[str, Any]:
    """Return a fitted rule as what JSON can hold."""
    return {"name": rule.name} | vars(rule)


def from_facts(facts: dict[str, Any]) -> Rule:
    """Return the rule that `to_facts` described.

    Raises:
        KeyError: its name is not known.
        TypeError: a field is missing or not known.
    """
    fields = {key: value for key, value in facts.items() if key != "name"}
    return RULES[facts["name"]](**fields)


@dataclass(frozen=True)
class RuleScore:
    """The score of a rule on images that it was not fitted on.

    Attributes:
        rule: its name.
        f1: mean F1 over all images, each decided about by a rule fitted on other folds.
        interval: 95 % bootstrap interval of it over images.
        images: how many images count.
    """

    rule: RuleName
    f1: float
    interval: tuple[float, float]
    images: int


def compare_rules(
    images: ScoredImages, names: Sequence[RuleName] = tuple(RULES)
) -> list[RuleScore]:
    """Return the score of each rule on held-out fifths of the images.

    With a single image that counts, rules are scored on the image that they are fitted on.

    Raises:
        DataError: scores are NaN, or no image counts.
    """
    return [_rule_score(name, held_out_f1(name, images)) for name in names]


def held_out_f1(name: RuleName, images: ScoredImages) -> NDArray[np.float64]:
    """Return the F1 of each image [N] by a rule fitted without it; NaN where it does not count."""
    everything = np.arange(len(images.counts))
    scores = np.full(len(everything), np.nan)
    for held, others in folds(images, 5) or [(everything, everything)]:
        rule = RULES[name].fit(images.take(others))
        part = images.take(held)
        scores[held] = part.f1(rule.decide(part.scores, limit=images.limit))
    return scores


def _rule_score(name: RuleName, scores: NDArray[np.float64]) -> RuleScore:
    interval = bootstrap_interval(scores)
    return RuleScore(name, mean_score(scores), interval, int((~np.isnan(scores)).sum()))


def choose_rule(images: ScoredImages, compared: Sequence[RuleScore]) -> Rule:
    """Return the rule that did best, fitted on all images."""
    best = max(compared, key=lambda score: score.f1)
    return RULES[best.rule].fit(images)


def folds(images: ScoredImages, number: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return each fold of the images with all images that are not in it.

    Images are assigned at random, always in the same way, and those that count first, so that every
    fold has as many of them.  There are no more folds than such images, and none for a single one.
    """
    counting = images.counting
    shuffled = np.random.default_rng(0).permutation(len(counting))
    order = shuffled[np.argsort(~counting[shuffled], kind="stable")]
    number = min(number, int(counting.sum()))
    if number < 2:
        return []
    fold = np.empty(len(order), np.intp)
    fold[order] = np.arange(len(order)) % number
    return [(np.flatnonzero(fold == n), np.flatnonzero(fold != n)) for n in range(number)]
