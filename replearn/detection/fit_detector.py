"""Tuning detectors: a fitted scorer gets the rule that does best on the validation images."""

from dataclasses import asdict, replace

import numpy as np
from scipy import sparse
from sklearn.base import clone

from replearn.concepts.vocabulary import multi_hot
from replearn.detection.decisions.rules import (
    GROUP,
    RULES,
    RuleName,
    choose_rule,
    compare_rules,
)
from replearn.detection.detector import Detector
from replearn.detection.fit_scorers import DetectionTask, FittedScorer
from replearn.detection.logistic.regression import MultiLabelLogisticRegression
from replearn.detection.scorers import ConstantScorer, LinearScorer, Scorer


def fit_rule(
    fitted: FittedScorer,
    tuning: DetectionTask,
    *,
    encoder: str | None,
    identity: str,
    rule: RuleName | None = None,
) -> Detector:
    """Return the detector of a fitted scorer, its rule fitted on the validation images.

    Args:
        fitted: the scorer with its vocabulary and its scores of the validation images.
        tuning: what it was fitted on.
        encoder: identity of the encoder of the features, None if not known.
        identity: what this detector is.
        rule: which one; without it, the one that does best on held-out folds.
    """
    scorer, words, scores = fitted.scorer, fitted.words, fitted.scores
    threshold = tuning.threshold(scores, words)
    images = tuning.scored(scores, words)
    outcomes = compare_rules(images, [rule] if rule else _rules_for(scorer, words))
    chosen = choose_rule(images, outcomes)
    reached = {o.rule: asdict(o) | {"interval": list(o.interval)} for o in outcomes}
    validation = {key: reached[chosen.name][key] for key in ("f1", "interval", "images")}
    constant = [words[column] for column in tuning.constant(words)]
    return Detector(
        scorer,
        words,
        chosen,
        threshold.value,
        constant,
        validation,
        list(reached.values()),
        encoder,
        identity,
    )


def refit_linear(
    detector: Detector, tuning: DetectionTask, model: MultiLabelLogisticRegression | None = None
) -> Detector:
    """Return a linear detector that learnt from the validation images too.

    C and the rule stay as they were chosen while the validation images were not yet learnt from.
    """
    if not isinstance(detector.scorer, LinearScorer):
        raise TypeError(f"a {detector.scorer.kind} detector has no logistic regression")
    parts = (tuning.train, tuning.valid)
    vectors = np.concatenate([part.vectors for part in parts])
    labels = sparse.vstack([multi_hot(part.concepts, detector.vocabulary) for part in parts])
    again: MultiLabelLogisticRegression = clone(model or MultiLabelLogisticRegression())
    again.set_params(C=detector.scorer.C)
    weights, intercepts = again.fit(vectors, labels).folded()
    return replace(detector, scorer=LinearScorer(weights, intercepts, detector.scorer.C))


def _rules_for(scorer: Scorer, words: list[str]) -> list[RuleName]:
    # All scores of a constant are the same: they can be named together or not at all.
    if isinstance(scorer, ConstantScorer):
        return ["threshold"]
    single = len(words) <= GROUP
    return [rule for rule in RULES if not (single and rule == "per-group")]
