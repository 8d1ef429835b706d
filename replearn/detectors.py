"""Detectors: features to concept scores, with the rule that turns scores into sets.

A detector is a scorer with a vocabulary, tuned on validation images.  It is stored as a folder:
`detector.json` and what its scorer needs.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone

from replearn import decisions, voting
from replearn.artefacts import read_json, write_json
from replearn.concepts import ConceptTable, multi_hot, vocabulary
from replearn.decisions import Scores
from replearn.errors import DataError
from replearn.logistic import MultiLabelLogisticRegression
from replearn.metrics import EmptyRule
from replearn.neighbors import Index
from replearn.rules import (
    GROUP,
    RULES,
    GlobalThreshold,
    Judged,
    Rule,
    RuleName,
    choose_rule,
    compare_rules,
    from_facts,
    to_facts,
)
from replearn.scorers import SCORERS, ConstantScorer, LinearScorer, NeighborScorer, Scorer, Vectors

PENALTIES = (
    0.001,
    0.01,
    0.1,
    1.0,
    10.0,
    100.0,
)  # values of C, from the smoothest model to the freest
NEIGHBOURS = (1, 2, 3, 5, 10, 20, 30, 50, 100)  # values of k


@dataclass(frozen=True)
class Labelled:
    """Features with the concepts of the same images.

    Attributes:
        vectors: float [N, D].
        concepts: of the same N images.
    """

    vectors: Vectors
    concepts: ConceptTable


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
        comparison: the same for every rule that was tried; empty for detectors from before there
            were several.
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
        named = self.rule.decide(self.scorer.scores(vectors), limit=limit)
        rows = (named.indices[start:stop] for start, stop in pairwise(named.indptr))
        return [[self.vocabulary[column] for column in sorted(row)] for row in rows]


@dataclass(frozen=True)
class Tuning:
    """What a detector is tuned on and by which rules.

    Attributes:
        train: what the scorer learns from.
        valid: what its settings and the rule are chosen on.
        empty: what an image without true concepts counts.
        limit: at most this many concepts for an image.
    """

    train: Labelled
    valid: Labelled
    empty: EmptyRule
    limit: int | None = None

    def judge(self, scorer: Scorer, words: Sequence[str]) -> tuple[decisions.Threshold, Scores]:
        """Return the best threshold for a scorer on the validation images, and their scores."""
        scores = scorer.scores(self.valid.vectors)
        return self.threshold(scores, words), scores

    def threshold(self, scores: Scores, words: Sequence[str]) -> decisions.Threshold:
        """Return the best threshold for scores [M, L] of the validation images."""
        truth = multi_hot(self.valid.concepts, words)
        return decisions.tune_threshold(scores, truth, self.valid.concepts.counts, empty=self.empty)

    def constant(self, words: Sequence[str]) -> list[int]:
        """Return the columns of the best constant prediction on the training images."""
        concepts = self.train.concepts
        truth = multi_hot(concepts, words)
        columns, _ = decisions.best_constant(
            truth, concepts.counts, empty=self.empty, limit=self.limit
        )
        return columns


def fit_constant(tuning: Tuning) -> tuple[Scorer, list[str]]:
    """Return the scorer of the best constant prediction, and its vocabulary."""
    words = vocabulary(tuning.train.concepts)
    return ConstantScorer(tuning.constant(words), len(words)), words


def fit_linear(
    tuning: Tuning,
    *,
    top: int,
    model: MultiLabelLogisticRegression | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> tuple[Scorer, list[str]]:
    """Return a logistic regression on the `top` most frequent concepts, and its vocabulary.

    C rises along `penalties` as long as the tuned mean F1 on validation does.

    Args:
        tuning: what to learn from and to choose on.
        top: so many concepts.
        model: the regression with its other settings.
        penalties: values of C, rising.
    """
    words = vocabulary(tuning.train.concepts, top)
    labels = multi_hot(tuning.train.concepts, words)
    best: tuple[float, LinearScorer] | None = None
    path: MultiLabelLogisticRegression = clone(model or MultiLabelLogisticRegression())
    path.set_params(warm_start=True)
    for C in penalties:
        path.set_params(C=C)
        weights, intercepts = path.fit(tuning.train.vectors, labels).folded()
        scorer = LinearScorer(weights, intercepts, C)
        f1 = tuning.judge(scorer, words)[0].f1
        if best is not None and f1 <= best[0]:
            break
        best = f1, scorer
    if best is None:
        raise ValueError("no penalties given")
    return best[1], words


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


def fit_neighbours(
    tuning: Tuning, index: Index, *, vote: str, counts: Sequence[int] = NEIGHBOURS
) -> tuple[Scorer, list[str]]:
    """Return a vote of nearest neighbours, and its vocabulary: every concept of the index.

    One search finds the most neighbours that are tried; k is the best on validation.  The union
    needs no choice here: the threshold makes it.
    """
    words = vocabulary(tuning.train.concepts)
    matrix = multi_hot(tuning.train.concepts, words)
    most = min(max(counts), len(index))
    if vote == "union":
        return NeighborScorer(index, matrix, vote, most), words
    distances, rows = index.search(tuning.valid.vectors, most)
    tried = {
        k: tuning.threshold(
            voting.scores(vote, rows[:, :k], distances[:, :k], index.metric, matrix), words
        ).f1
        for k in sorted({min(k, most) for k in counts})
    }
    return NeighborScorer(index, matrix, vote, max(tried, key=lambda k: tried[k])), words


def tune(
    scorer: Scorer,
    words: list[str],
    tuning: Tuning,
    *,
    encoder: str | None,
    identity: str,
    rule: RuleName | None = None,
) -> Detector:
    """Return the detector of a fitted scorer, its rule fitted on the validation images.

    Args:
        scorer: features to scores.
        words: its vocabulary [L].
        tuning: what it was fitted on.
        encoder: identity of the encoder of the features, None if not known.
        identity: what this detector is.
        rule: which one; without it, the one that does best on held-out folds.
    """
    threshold, scores = tuning.judge(scorer, words)
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
        threshold = facts["threshold"]
        # Detectors from before there were several rules have the threshold alone.
        rule = from_facts(facts["rule"]) if "rule" in facts else GlobalThreshold(threshold)
        return Detector(
            scorer,
            facts["vocabulary"],
            rule,
            threshold,
            facts["constant"],
            facts["validation"],
            facts.get("comparison", []),
            facts["encoder"],
            facts["identity"],
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: lacks or does not know {error}; classify again") from None
