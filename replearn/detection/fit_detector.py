"""Fit detectors: a scorer with the decision rule that does best on the validation images."""

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
from replearn.detection.fit_scorers import FittedScorer
from replearn.detection.logistic.regression import MultiLabelLogisticRegression
from replearn.detection.scorers import ConstantScorer, LinearScorer, Scorer
from replearn.detection.task import DetectionTask


def fit_rule(
    fitted: FittedScorer,
    task: DetectionTask,
    *,
    encoder: str | None,
    identity: str,
    rule: RuleName | None = None,
) -> Detector:
    """Return the detector of a fitted scorer, its rule fitted on the validation images.

    Args:
        fitted: the scorer with its vocabulary and its scores of the validation images.
        task: the images that it was fitted on.
        encoder: identity of the encoder of the features, None if not known.
        identity: what this detector is.
        rule: its name; without one, the rule that does best on held-out folds.
    """
    scorer, vocabulary, scores = fitted.scorer, fitted.vocabulary, fitted.scores
    images = task.scored(scores, vocabulary)
    compared = compare_rules(images, [rule] if rule else _rules_for(scorer, vocabulary))
    chosen = choose_rule(images, compared)
    outcomes = {o.rule: asdict(o) | {"interval": list(o.interval)} for o in compared}
    return Detector(
        scorer=scorer,
        vocabulary=vocabulary,
        rule=chosen,
        threshold=task.threshold(scores, vocabulary).value,
        constant=[vocabulary[column] for column in task.constant(vocabulary)],
        validation={key: outcomes[chosen.name][key] for key in ("f1", "interval", "images")},
        comparison=list(outcomes.values()),
        encoder=encoder,
        identity=identity,
    )


def refit_linear(
    detector: Detector, task: DetectionTask, model: MultiLabelLogisticRegression | None = None
) -> Detector:
    """Return a linear detector fitted on the training and the validation images.

    C and the rule stay as they were chosen without learning from the validation images.
    """
    if not isinstance(detector.scorer, LinearScorer):
        raise TypeError(f"a {detector.scorer.kind} detector has no logistic regression")
    parts = (task.train, task.valid)
    vectors = np.concatenate([part.vectors for part in parts])
    labels = sparse.vstack([multi_hot(part.concepts, detector.vocabulary) for part in parts])
    again: MultiLabelLogisticRegression = clone(model or MultiLabelLogisticRegression())
    again.set_params(C=detector.scorer.C)
    weights, intercepts = again.fit(vectors, labels).folded()
    return replace(detector, scorer=LinearScorer(weights, intercepts, detector.scorer.C))


def _rules_for(scorer: Scorer, vocabulary: list[str]) -> list[RuleName]:
    # All scores of a constant are the same: they can be named together or not at all.
    if isinstance(scorer, ConstantScorer):
        return ["threshold"]
    single = len(vocabulary) <= GROUP
    return [rule for rule in RULES if not (single and rule == "per-group")]
