"""The decision rules as estimators of scikit-learn: scores in, 0/1 out.

A rule decides from the scores of an image which concepts to name.  What it maximises is the mean
over images of F1 = 2 |G & P| / (|G| + |P|), G being the true and P the named concepts of an image.
It is fitted on images that the scores' own model did not learn from: validation images, or what
`cross_val_predict` gives.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from replearn.arrays import Integers
from replearn.detection.decisions.rules import (
    ExpectedF1,
    GlobalThreshold,
    LabelThresholds,
    Rule,
    RuleName,
    RuleScore,
    TopK,
    choose_rule,
    compare_rules,
    rules_for,
)
from replearn.detection.decisions.scores import ScoredImages, Scores, check_scoring
from replearn.detection.label_matrix import label_matrix
from replearn.errors import DataError
from replearn.metrics import EmptyRule, mean_score

_KINDS = [np.float64, np.float32]


class DecisionRule(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The common base of all decision rules; each subclass documents its decision.

    Attributes:
        rule_: what was fitted, as `replearn.detection.decisions.rules` has it.
        classes_: the number of each label, the columns of Y [L].
        n_features_in_: L.
    """

    def __init__(self, empty: EmptyRule = "skip", limit: int | None = None) -> None:
        """Set how an image is scored.

        Args:
            empty: what an image without true concepts counts: nothing (`skip`), or 1 if nothing is
                named of it and else 0 (`match`).
            limit: at most this many concepts for an image, those of the highest scores.
        """
        self.empty = empty
        self.limit = limit

    def fit(self, scores: Scores, Y: Any, counts: Sequence[int] | None = None) -> Self:
        """Fit the rule.

        Args:
            scores: of each concept, at least 0 [N, L], dense or sparse: probabilities or votes.
            Y: 0/1 [N, L] of the same images, dense or sparse.
            counts: true concepts of each image [N], also those that have no column; the row sums
                of Y by default.

        Raises:
            DataError: the shapes differ, scores are NaN or below 0, no image counts, a count is
                below the row sum of Y, or a setting is not known.
        """
        images = self._scored(scores, Y, counts, reset=True)
        if not images.counting.any():
            raise DataError("no image counts: none has a concept; give images with concepts")
        self.classes_ = np.arange(images.scores.shape[1])
        self.rule_: Rule = self._fitted(images)
        return self

    def predict(self, scores: Scores) -> NDArray[np.int8] | sparse.csr_array:
        """Return which concepts to name of each image, 0/1 int8 [N, L].

        Args:
            scores: as in `fit`; of sparse ones the answer is sparse too.

        Raises:
            DataError: scores are NaN or below 0.
        """
        check_is_fitted(self)
        checked = self._checked(scores, reset=False)
        named = self.rule_.decide(checked, limit=self.limit).astype(np.int8)
        return named.toarray() if isinstance(checked, np.ndarray) else named

    def score(self, scores: Scores, Y: Any, *, counts: Sequence[int] | None = None) -> float:
        """Return what the rules maximise: the mean F1 of the images that count.

        Args:
            scores: as in `fit`.
            Y: as in `fit`.
            counts: as in `fit`.

        Raises:
            DataError: as `fit`.
        """
        check_is_fitted(self)
        images = self._scored(scores, Y, counts, reset=False)
        return mean_score(images.f1(self.rule_.decide(images.scores, limit=self.limit)))

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        tags.target_tags.two_d_labels = True
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        return tags

    def _fitted(self, images: ScoredImages) -> Rule:
        """Return the rule that suits these images, and keep what it is made of."""
        raise NotImplementedError

    def _scored(
        self, scores: Scores, Y: Any, counts: Sequence[int] | None, *, reset: bool
    ) -> ScoredImages:
        checked, truth = self._checked(scores, reset=reset), label_matrix(Y)
        if checked.shape != truth.shape:
            raise DataError(f"scores {list(checked.shape)} for labels {list(truth.shape)}")
        numbers = _checked_counts(truth, counts)
        return ScoredImages(checked, truth, numbers, self.empty, self.limit)

    def _checked(self, scores: Scores, *, reset: bool) -> Scores:
        check_scoring(self.empty, self.limit)
        options = {"reset": reset, "dtype": _KINDS, "ensure_all_finite": False}
        given: Any = validate_data(self, scores, accept_sparse="csr", **options)
        if given.size and given.min() < 0:
            raise DataError("scores below 0: give probabilities or votes, not logits")
        if isinstance(given, np.ndarray):
            return given
        return sparse.csr_array(given)


def _checked_counts(truth: sparse.csr_array, counts: Sequence[int] | None) -> Integers:
    """Return how many true concepts each image has [N], at least those that are columns."""
    columns = truth.sum(axis=1).astype(np.int64)
    if counts is None:
        return columns
    given = np.asarray(counts)
    if given.shape != columns.shape:
        raise DataError(f"{given.size} counts for {len(columns)} images")
    wrong = np.flatnonzero(~((given >= columns) & (given % 1 == 0)))
    if len(wrong):
        image = wrong[0]
        raise DataError(
            f"counts[{image}] {given[image]} where row {image} of Y has {columns[image]} labels; "
            "give the whole number of true concepts of each image"
        )
    return given.astype(np.int64)


class ThresholdRule(DecisionRule):
    """Name what scores at least one threshold: exactly the best one for the mean F1 of images.

    Attributes:
        threshold_: the same for all concepts.
        least_: so many concepts of each image are named however low they score, 0 or 1.

    Example:
        >>> scores = np.array([[0.9, 0.4, 0.1], [0.3, 0.8, 0.1], [0.2, 0.1, 0.6]])
        >>> Y = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]])
        >>> rule = replearn.ThresholdRule().fit(scores, Y)
        >>> round(rule.threshold_, 2)  # between 0.3 and 0.4
        0.35
        >>> rule.predict(scores)
        array([[1, 1, 0],
               [0, 1, 0],
               [0, 0, 1]], dtype=int8)
    """

    def _fitted(self, images: ScoredImages) -> Rule:
        rule = GlobalThreshold.fit(images)
        self.threshold_, self.least_ = rule.value, rule.least
        return rule


class ConceptThresholdsRule(DecisionRule):
    """Name what scores at least its concept's threshold, which is held near the global one.

    Each threshold is the best for the mean F1 of images while the others keep the global one.
    It is then shrunk to the global one, the more the fewer images show its concept; how much is
    decided on held-out thirds of the images.

    Attributes:
        thresholds_: of each concept [L].

    Example:
        >>> scores = np.array([[0.9, 0.4, 0.1], [0.3, 0.8, 0.1], [0.2, 0.1, 0.6]])
        >>> Y = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]])
        >>> replearn.ConceptThresholdsRule().fit(scores, Y).thresholds_.shape
        (3,)
    """

    def _fitted(self, images: ScoredImages) -> Rule:
        rule = LabelThresholds.fit(images)
        self.thresholds_ = np.array(rule.values)
        return rule


class TopKRule(DecisionRule):
    """Name the same number of concepts of every image: the best one for the mean F1 of images.

    Attributes:
        k_: the number.

    Example:
        >>> scores = np.array([[0.9, 0.4, 0.1], [0.3, 0.8, 0.1], [0.2, 0.1, 0.6]])
        >>> rule = replearn.TopKRule().fit(scores, np.eye(3))
        >>> rule.k_
        1
        >>> rule.score(scores, np.eye(3))  # the mean F1
        1.0
    """

    def _fitted(self, images: ScoredImages) -> Rule:
        rule = TopK.fit(images)
        self.k_ = rule.k
        return rule


class ExpectedF1Rule(DecisionRule):
    """Name for each image the set whose expected F1 is largest, by calibrated probabilities.

    Scores are calibrated by one slope and a bias of each concept; the concepts of an image count
    as independent.

    Attributes:
        slope_: of the logits of the scores.
        biases_: added to them, of each concept [L].
        beyond_: expected number of true concepts of an image that have no column.

    Example:
        >>> scores = np.array([[0.9, 0.4, 0.1], [0.3, 0.8, 0.1], [0.2, 0.1, 0.6]])
        >>> rule = replearn.ExpectedF1Rule().fit(scores, np.eye(3))
        >>> rule.predict(scores).sum(axis=1)  # how many concepts of each image
        array([1, 1, 1])
    """

    def _fitted(self, images: ScoredImages) -> Rule:
        rule = ExpectedF1.fit(images)
        self.slope_, self.biases_, self.beyond_ = rule.slope, np.array(rule.biases), rule.beyond
        return rule


class BestRule(DecisionRule):
    """The rule that reaches the largest mean F1 on held-out fifths of the images.

    Beside the other rules of this module it tries a threshold for each 500 concepts, where there
    are more; the columns are then taken to be in the order of frequency.

    Attributes:
        name_: of the rule that was chosen.
        comparison_: the held-out mean F1 of each rule with its 95 % interval, as RuleScore.

    Example:
        >>> truth = np.random.default_rng(0).random((60, 4)) < 0.4
        >>> scores = 0.6 * truth + 0.4 * np.random.default_rng(1).random((60, 4))
        >>> rule = replearn.BestRule().fit(scores, truth)
        >>> rule.name_, round(rule.score(scores, truth), 2)
        ('threshold', 1.0)
        >>> [tried.rule for tried in rule.comparison_]
        ['threshold', 'top-k', 'per-label', 'expected-f1']
    """

    name_: RuleName
    comparison_: list[RuleScore]

    def _fitted(self, images: ScoredImages) -> Rule:
        self.comparison_ = compare_rules(images, rules_for(images.scores.shape[1]))
        rule = choose_rule(images, self.comparison_)
        self.name_ = rule.name
        return rule
