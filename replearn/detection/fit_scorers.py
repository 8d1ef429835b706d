"""Fit scorers: they learn from the training images, their settings are chosen on validation images.

An image that is in both parts, by its id or its group, is never scored by itself: neighbours leave
it out, and the regression's scores of it are of models that were fitted without it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from replearn.artefacts.disk_rows import select_rows
from replearn.artefacts.identity import check_same
from replearn.concepts.vocabulary import multi_hot, vocabulary
from replearn.detection.decisions.scores import Scores
from replearn.detection.fusion import Fusion, fit_fusion
from replearn.detection.logistic.regression import MultiLabelLogisticRegression
from replearn.detection.scorers import (
    ConstantScorer,
    FusedScorer,
    LinearScorer,
    NeighbourScorer,
    Scorer,
)
from replearn.detection.task import DetectionTask
from replearn.detection.voting import Kind, Vote, squared_distances
from replearn.detection.zero_shot import TextScorer
from replearn.errors import DataError, UsageError, some_of
from replearn.neighbors.engine import Hits
from replearn.neighbors.index import Index

CS = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)  # values of C, the strongest penalty first
KS = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200)  # values of k
SMOOTHINGS = (0.3, 1.0, 3.0)  # neighbours that vote by the prior
# The exponents of `similarity`; the temperatures of `softmax`, in half the squared distance by
# which the farthest neighbour is farther than the nearest.
PARAMETERS: dict[Kind, tuple[float, ...]] = {
    "similarity": (1.0, 4.0, 16.0),
    "uniform": (1.0,),
    "rank": (1.0,),
    "gaussian": (1.0,),
    "softmax": (0.05, 0.1, 0.2, 0.5),
}


@dataclass(frozen=True)
class FittedScorer:
    """A scorer, and the scores that its decision rule is chosen on.

    Attributes:
        scorer: features to scores.
        vocabulary: the concepts that the scores are of [L].
        scores: of the validation images, by scorers that were fitted without them [M, L].
    """

    scorer: Scorer
    vocabulary: list[str]
    scores: Scores


def fit_constant(task: DetectionTask) -> FittedScorer:
    """Return the scorer of the best constant prediction."""
    concepts = vocabulary(task.train.concepts)
    scorer = ConstantScorer(task.constant(concepts), len(concepts))
    return FittedScorer(scorer, concepts, scorer.scores(task.valid.vectors))


def fit_texts(task: DetectionTask) -> FittedScorer:
    """Return the scorer of concepts by their names; of those in training that have one.

    Raises:
        DataError: none has, or the texts are of another encoder than the features.
        UsageError: there are no texts.
    """
    texts = task.texts
    if texts is None:
        raise UsageError("method zero-shot: it needs texts of the concepts; use fit_zero_shot")
    check_same(task.train.encoder, texts.encoder, "the encoder of the texts and of the features")
    rows = {concept: row for row, concept in enumerate(texts.concepts)}
    concepts = [concept for concept in vocabulary(task.train.concepts) if concept in rows]
    if not concepts:
        raise DataError(
            f"--names: none of its {len(rows)} concepts ({some_of([*rows])}) is among those of "
            "the training images"
        )
    scorer = TextScorer.fit(texts.vectors[[rows[c] for c in concepts]], task.train.vectors)
    return FittedScorer(scorer, concepts, scorer.scores(task.valid.vectors))


def fit_linear(
    task: DetectionTask,
    *,
    top: int,
    model: MultiLabelLogisticRegression | None = None,
    Cs: Sequence[float] = CS,
) -> FittedScorer:
    """Return a logistic regression on the `top` most frequent concepts.

    C rises along `Cs` until the best mean F1 on validation falls; the first of equally good values
    is taken.

    Args:
        task: the images to learn from and to choose on.
        top: number of concepts.
        model: the regression with its other settings.
        Cs: values of C, rising.
    """
    concepts = vocabulary(task.train.concepts, top)
    labels = multi_hot(task.train.concepts, concepts)
    train, valid, folds = task.train.vectors, task.valid.vectors, task.folds()
    best: tuple[float, LinearScorer, NDArray[np.float32]] | None = None
    truth = multi_hot(task.valid.concepts, concepts)
    given = model or MultiLabelLogisticRegression()
    models = [clone(given).set_params(warm_start=True) for _ in folds]
    for C in Cs:
        scores = np.zeros((len(valid), len(concepts)), np.float32)
        for fold_model, (of_train, of_valid) in zip(models, folds, strict=True):
            some = train if len(of_train) == len(train) else select_rows(train, of_train)
            fold_model.set_params(C=C).fit(some, labels[of_train])
            weights, intercepts = fold_model.folded()
            scorer = LinearScorer(weights, intercepts, C)
            scores[of_valid] = np.asarray(scorer.scores(select_rows(valid, of_valid)))
        f1 = task.threshold(scores, concepts, truth).f1
        # As good is no reason to stop: as long as L1 leaves no weight, every C is.
        if best is not None and f1 < best[0]:
            break
        if best is None or f1 > best[0]:
            best = f1, scorer, scores
    if best is None:
        raise ValueError("no values of C given")
    _, scorer, scores = best
    if len(folds[0][0]) < len(train):  # then every scorer so far is of a part
        whole = clone(given).set_params(C=scorer.C).fit(train, labels)
        weights, intercepts = whole.folded()
        scorer = LinearScorer(weights, intercepts, scorer.C)
    return FittedScorer(scorer, concepts, scores)


def fit_neighbours(
    task: DetectionTask,
    index: Index,
    *,
    vote: Kind | Literal["auto"] = "auto",
    ks: Sequence[int] = KS,
    parameters: Sequence[float] | None = None,
    smoothings: Sequence[float] = SMOOTHINGS,
) -> FittedScorer:
    """Return a vote of nearest neighbours about every concept of the index.

    One search finds the largest number of neighbours that is tried; the best vote on validation is
    taken.  The union needs no choice: the threshold makes it.

    Args:
        task: the images to choose on.
        index: of the training images.
        vote: how neighbours weigh; `auto` tries all ways but the union.
        ks: values of k to try.
        parameters: of the vote to try, instead of those in PARAMETERS.
        smoothings: to try beside none.
    """
    concepts = vocabulary(task.train.concepts)
    matrix = multi_hot(task.train.concepts.select(index.ids), concepts)
    most = min(max(ks), len(index))
    hits = index.search_others(task.valid.vectors, most, task.valid.concepts.ids, task.groups)

    def scorer(vote: Vote) -> NeighbourScorer:
        return NeighbourScorer(index, matrix, vote)

    if vote == "union":
        best = Vote("union", most)
    else:
        unit = _spread(hits, index.metric)
        truth = multi_hot(task.valid.concepts, concepts)
        kinds = [
            (kind, value * (unit if kind == "softmax" else 1))
            for kind in (PARAMETERS if vote == "auto" else (vote,))
            for value in (parameters or PARAMETERS[kind])
        ]
        best = best_vote(
            lambda vote: task.threshold(scorer(vote).scores_of(hits), concepts, truth).f1,
            kinds,
            sorted({min(k, most) for k in ks}),
            smoothings,
        )
    return FittedScorer(scorer(best), concepts, scorer(best).scores_of(hits))


def _spread(hits: Hits, metric: str) -> float:
    """Return half the squared distance by which the farthest is farther than the nearest."""
    distances = np.where(hits.rows < 0, 0, hits.distances)
    squared = squared_distances(distances, metric)
    gaps = squared.max(axis=1, initial=0) - squared[:, 0]
    return max(float(np.median(gaps[hits.rows[:, 0] >= 0])) / 2, 1e-6) if gaps.any() else 1.0


def best_vote(
    score: Callable[[Vote], float],
    kinds: Sequence[tuple[Kind, float]],
    ks: Sequence[int],
    smoothings: Sequence[float],
) -> Vote:
    """Return the vote of the highest score among those that a search by hill climbing tries.

    The first kind is tried with every k, the others climb from the best k so far to where neither
    the next nor the one before is better; then smoothing is tried.

    Args:
        score: of a vote, the higher the better.
        kinds: ways to weigh, each with its parameter.
        ks: values of k, ascending.
        smoothings: to try beside none.
    """
    score = cache(score)
    (kind, parameter), *others = kinds
    best = max((Vote(kind, k, parameter) for k in ks), key=score)
    for kind, parameter in others:
        votes = [Vote(kind, k, parameter) for k in ks]
        position = ks.index(best.k)
        while True:
            near = max(votes[max(position - 1, 0) : position + 2], key=score)
            if score(near) <= score(votes[position]):
                break
            position = votes.index(near)
        best = max(best, votes[position], key=score)
    return max([best, *(replace(best, smoothing=s) for s in smoothings)], key=score)


def fit_fused(task: DetectionTask, linear: FittedScorer, neighbours: FittedScorer) -> FittedScorer:
    """Return a logistic regression and neighbours together, see `fusion`.

    Raises:
        TypeError: they are not a regression and neighbours.
    """
    first, second = linear.scorer, neighbours.scorer
    if not isinstance(first, LinearScorer) or not isinstance(second, NeighbourScorer):
        raise TypeError(f"{first.kind} and {second.kind}: a regression and neighbours are fused")
    scorer = FusedScorer(first, second, Fusion(1.0, 0.0, 0.0))
    evidence = scorer.evidence(linear.scores, neighbours.scores)
    concepts = neighbours.vocabulary
    fusion = fit_fusion(evidence, multi_hot(task.valid.concepts, concepts))
    return FittedScorer(replace(scorer, fusion=fusion), concepts, fusion.combine(evidence))
