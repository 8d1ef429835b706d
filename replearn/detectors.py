"""Detectors: features to concept scores, with the threshold that turns scores into sets.

A detector is a scorer with a vocabulary, tuned on validation images.  It is stored as a folder:
`detector.json` and what its scorer needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from replearn import decisions, voting
from replearn.artefacts import read_json, write_json
from replearn.concepts import ConceptTable, multi_hot, vocabulary
from replearn.decisions import Scores
from replearn.errors import DataError
from replearn.logistic import MultiLabelLogisticRegression
from replearn.metrics import EmptyRule, bootstrap_interval, f1_per_image
from replearn.neighbors import Index
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
        threshold: named is what scores at least this.
        constant: the concepts to name for an image without features.
        validation: mean F1 and its interval on the images it was tuned on.
        encoder: identity of the encoder of the features, None if not known.
        identity: what this detector is.
    """

    scorer: Scorer
    vocabulary: list[str]
    threshold: float
    constant: list[str]
    validation: dict[str, Any]
    encoder: str | None
    identity: str

    def name_concepts(self, vectors: Vectors, *, limit: int | None) -> list[list[str]]:
        """Return the concepts of each image for features [M, D], at most `limit` of them."""
        named = decisions.name_above(self.scorer.scores(vectors), self.threshold, limit=limit)
        rows = (named.indices[start:stop] for start, stop in pairwise(named.indptr))
        return [[self.vocabulary[column] for column in sorted(row)] for row in rows]


@dataclass(frozen=True)
class Tuning:
    """What a detector is tuned on and by which rules.

    Attributes:
        train: what the scorer learns from.
        valid: what its settings and the threshold are chosen on.
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
    tuning: Tuning, *, top: int, penalties: Sequence[float] = PENALTIES
) -> tuple[Scorer, list[str]]:
    """Return a logistic regression on the `top` most frequent concepts, and its vocabulary.

    C rises along `penalties` as long as the tuned mean F1 on validation does.
    """
    words = vocabulary(tuning.train.concepts, top)
    labels = multi_hot(tuning.train.concepts, words)
    best: tuple[float, LinearScorer] | None = None
    model = MultiLabelLogisticRegression(warm_start=True)
    for C in penalties:
        model.set_params(C=C).fit(tuning.train.vectors, labels)
        scorer = LinearScorer(*model.folded(), C)
        f1 = tuning.judge(scorer, words)[0].f1
        if best is not None and f1 <= best[0]:
            break
        best = f1, scorer
    if best is None:
        raise ValueError("no penalties given")
    return best[1], words


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
    scorer: Scorer, words: list[str], tuning: Tuning, *, encoder: str | None, identity: str
) -> Detector:
    """Return the detector of a fitted scorer, its threshold tuned on the validation images."""
    threshold, scores = tuning.judge(scorer, words)
    named = decisions.name_above(scores, threshold.value, limit=tuning.limit)
    truth = multi_hot(tuning.valid.concepts, words)
    f1 = f1_per_image(truth, named, tuning.valid.concepts.counts, empty=tuning.empty)
    validation = {
        "f1": float(np.nanmean(f1)),
        "interval": list(bootstrap_interval(f1)),
        "images": int((~np.isnan(f1)).sum()),
    }
    constant = [words[column] for column in tuning.constant(words)]
    return Detector(scorer, words, threshold.value, constant, validation, encoder, identity)


def save_detector(folder: Path, detector: Detector) -> None:
    """Write a detector into an existing, empty folder."""
    facts = {
        "identity": detector.identity,
        "kind": detector.scorer.kind,
        "encoder": detector.encoder,
        "threshold": detector.threshold,
        "validation": detector.validation,
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
            facts["threshold"],
            facts["constant"],
            facts["validation"],
            facts["encoder"],
            facts["identity"],
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: lacks or does not know {error}; classify again") from None
