"""Detectors: features to concept scores, with the rule that turns scores into sets.

A detector is a scorer with a vocabulary, tuned on validation images.  It is stored as a folder:
`detector.json` and what its scorer needs.
"""

from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone

from replearn.artefacts import read_json, write_json
from replearn.concepts import multi_hot
from replearn.errors import DataError
from replearn.fitting import Fitted, Tuning
from replearn.logistic import MultiLabelLogisticRegression
from replearn.rules import (
    GROUP,
    RULES,
    Judged,
    Rule,
    RuleName,
    choose_rule,
    compare_rules,
    from_facts,
    to_facts,
)
from replearn.scorers import SCORERS, ConstantScorer, LinearScorer, Scorer, Vectors

_IMAGES = 8192  # that are scored at a time


@dataclass(frozen=True)
class Detector:
    """A scorer with its decision rule.

    Attributes:
        scorer: features to scores.
        vocabulary: the concepts that the scores are of [L].
        rule: which of them to name.
        threshold: the best global one on the validation images, whatever the rule is.
        constant: the concepts to name for an image without features.
        validation: mean F1 and its interval on the validation images, each decided about by the
            rule as fitted without it.
        comparison: the same for every rule that was tried.
        encoder: identity of the encoder of the features, None if not known.
        identity: what this detector is.
    """

    scorer: Scorer
    vocabulary: list[str]
    rule: Rule
    threshold: float
    constant: list[str]
    validation: dict[str, Any]
    comparison: list[dict[str, Any]]
    encoder: str | None
    identity: str

    def name_concepts(self, vectors: Vectors, *, limit: int | None) -> list[list[str]]:
        """Return the concepts of each image for features [M, D], at most `limit` of them."""
        concepts = []
        for start in range(0, len(vectors), _IMAGES):
            scores = self.scorer.scores(vectors[start : start + _IMAGES])
            named = self.rule.decide(scores, limit=limit)
            rows = (named.indices[start:stop] for start, stop in pairwise(named.indptr))
            concepts += [[self.vocabulary[column] for column in sorted(row)] for row in rows]
        return concepts


def tune(
    fitted: Fitted,
    tuning: Tuning,
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
    truth = multi_hot(tuning.valid.concepts, words)
    on = Judged(scores, truth, tuning.valid.concepts.counts, tuning.empty, tuning.limit)
    outcomes = compare_rules(on, [rule] if rule else _rules_for(scorer, words))
    chosen = choose_rule(on, outcomes)
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
    detector: Detector, tuning: Tuning, model: MultiLabelLogisticRegression | None = None
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


def save_detector(folder: Path, detector: Detector) -> None:
    """Write a detector into an existing, empty folder."""
    facts = {
        "identity": detector.identity,
        "kind": detector.scorer.kind,
        "encoder": detector.encoder,
        "rule": to_facts(detector.rule),
        "threshold": detector.threshold,
        "validation": detector.validation,
        "comparison": detector.comparison,
        "constant": detector.constant,
        "vocabulary": detector.vocabulary,
    }
    write_json(folder / "detector.json", facts | detector.scorer.save(folder))


def load_detector(folder: Path) -> Detector:
    """Open a detector folder.

    Raises:
        DataError: the folder is no detector, or a part of it is damaged.
    """
    path = folder / "detector.json"
    if not path.exists():
        raise DataError(f"{folder}: not a detector folder (it has no detector.json)")
    facts = read_json(path)
    try:
        scorer = SCORERS[facts["kind"]].load(folder, facts)
        return Detector(
            scorer,
            facts["vocabulary"],
            from_facts(facts["rule"]),
            facts["threshold"],
            facts["constant"],
            facts["validation"],
            facts["comparison"],
            facts["encoder"],
            facts["identity"],
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: lacks or does not know {error}; classify again") from None
