"""Fitting scorers: what is learned from training images and chosen on validation images.

Where an image is in both, by its id or its group, it never speaks for itself: neighbours leave it
out, and the regression's scores of it are of models that have not seen it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone

from replearn.artefacts.disk_rows import select_rows
from replearn.concepts.table import ConceptTable
from replearn.concepts.vocabulary import multi_hot, vocabulary
from replearn.detection.decisions.scores import ScoredImages, Scores
from replearn.detection.decisions.threshold import Threshold, best_constant, tune_threshold
from replearn.detection.fusion import Fusion, fit_fusion
from replearn.detection.logistic.regression import MultiLabelLogisticRegression
from replearn.detection.scorers import (
    ConstantScorer,
    FusedScorer,
    LinearScorer,
    NeighbourScorer,
    Scorer,
    Vectors,
)
from replearn.detection.voting import Kind, Vote
from replearn.errors import DataError
from replearn.metrics import EmptyRule
from replearn.neighbors.engine import Hits
from replearn.neighbors.index import Index

CS = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)  # of C, from the smoothest model to the freest
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
_FOLDS = 5


@dataclass(frozen=True)
class LabelledFeatures:
    """Features with the concepts of the same images.

    Attributes:
        vectors: float [N, D].
        concepts: of the same N images.
    """

    vectors: Vectors
    concepts: ConceptTable


@dataclass(frozen=True)
class FittedScorer:
    """A scorer, and what its decision rule is chosen on.

    Attributes:
        scorer: features to scores.
        words: the concepts that the scores are of [L].
        scores: of the validation images, by what has not learned from them [M, L].
    """

    scorer: Scorer
    words: list[str]
    scores: Scores


@dataclass(frozen=True)
class DetectionTask:
    """What a detector is tuned on and by which rules.

    Attributes:
        train: what the scorer learns from.
        valid: what its settings and the rule are chosen on.
        empty: what an image without true concepts counts.
        limit: at most this many concepts for an image.
        groups: the group (patient, study) of each id; an id without one is on its own.
    """

    train: LabelledFeatures
    valid: LabelledFeatures
    empty: EmptyRule
    limit: int | None = None
    groups: Mapping[str, str] | None = None

    def scored(
        self, scores: Scores, words: Sequence[str], truth: sparse.csr_array | None = None
    ) -> ScoredImages:
        """Return the validation images with these scores.

        Args:
            scores: of these words [M, L].
            words: the concepts [L].
            truth: 0/1 [M, L], where it is at hand.
        """
        truth = multi_hot(self.valid.concepts, words) if truth is None else truth
        return ScoredImages(scores, truth, self.valid.concepts.counts, self.empty, self.limit)

    def threshold(
        self, scores: Scores, words: Sequence[str], truth: sparse.csr_array | None = None
    ) -> Threshold:
        """Return the best threshold for scores of the validation images, without the limit.

        The arguments are those of `scored`.
        """
        return tune_threshold(replace(self.scored(scores, words, truth), limit=None))

    def constant(self, words: Sequence[str]) -> list[int]:
        """Return the columns of the best constant prediction on the training images."""
        concepts = self.train.concepts
        truth = multi_hot(concepts, words)
        columns, _ = best_constant(truth, concepts.counts, empty=self.empty, limit=self.limit)
        return columns

    def parts(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Return which training images to learn from to judge which validation images.

        All from all, unless an image or a group is in both: then in folds that keep them apart.

        Raises:
            DataError: there is no other image or group to learn from.
        """
        groups = self.groups or {}
        learn, judge = (
            [groups.get(id_, f"\0{id_}") for id_ in part.concepts.ids]
            for part in (self.train, self.valid)
        )
        if not set(learn) & set(judge):
            return [(np.arange(len(learn)), np.arange(len(judge)))]
        keys, number = np.unique(np.array([*learn, *judge], dtype=object), return_inverse=True)
        fold = (np.random.default_rng(0).permutation(len(keys)) % _FOLDS)[number]
        of_learn, of_judge = fold[: len(learn)], fold[len(learn) :]
        parts = [
            (np.flatnonzero(of_learn != n), np.flatnonzero(of_judge == n))
            for n in np.unique(of_judge).tolist()
        ]
        if not all(len(learn) for learn, _ in parts):
            raise DataError(
                "too few images or groups in common to training and validation: nothing is left to "
                "learn from where each is judged by the others; give others to validate on"
            )
        return parts


def fit_constant(tuning: DetectionTask) -> FittedScorer:
    """Return the scorer of the best constant prediction."""
    words = vocabulary(tuning.train.concepts)
    scorer = ConstantScorer(tuning.constant(words), len(words))
    return FittedScorer(scorer, words, scorer.scores(tuning.valid.vectors))


def fit_linear(
    tuning: DetectionTask,
    *,
    top: int,
    model: MultiLabelLogisticRegression | None = None,
    penalties: Sequence[float] = CS,
) -> FittedScorer:
    """Return a logistic regression on the `top` most frequent concepts.

    C rises along `penalties` until the tuned mean F1 on validation falls; of those that are as
    good as each other the first is taken.

    Args:
        tuning: what to learn from and to choose on.
        top: so many concepts.
        model: the regression with its other settings.
        penalties: values of C, rising.
    """
    words = vocabulary(tuning.train.concepts, top)
    labels = multi_hot(tuning.train.concepts, words)
    train, valid, parts = tuning.train.vectors, tuning.valid.vectors, tuning.parts()
    best: tuple[float, LinearScorer, NDArray[np.float32]] | None = None
    given = clone(model or MultiLabelLogisticRegression())
    paths = [clone(given).set_params(warm_start=True) for _ in parts]
    for C in penalties:
        scores = np.zeros((len(valid), len(words)), np.float32)
        for path, (learn, judge) in zip(paths, parts, strict=True):
            some = train if len(learn) == len(train) else select_rows(train, learn)
            path.set_params(C=C).fit(some, labels[learn])
            weights, intercepts = path.folded()
            scorer = LinearScorer(weights, intercepts, C)
            scores[judge] = np.asarray(scorer.scores(select_rows(valid, judge)))
        f1 = tuning.threshold(scores, words).f1
        # As good is no reason to stop: as long as L1 leaves no weight, every C is.
        if best is not None and f1 < best[0]:
            break
        if best is None or f1 > best[0]:
            best = f1, scorer, scores
    if best is None:
        raise ValueError("no penalties given")
    _, scorer, scores = best
    if len(parts[0][0]) < len(train):  # judged in folds
        whole = clone(given).set_params(C=scorer.C).fit(train, labels)
        weights, intercepts = whole.folded()
        scorer = LinearScorer(weights, intercepts, scorer.C)
    return FittedScorer(scorer, words, scores)


def fit_neighbours(
    tuning: DetectionTask,
    index: Index,
    *,
    vote: Kind | Literal["auto"] = "auto",
    counts: Sequence[int] = KS,
    parameters: Sequence[float] | None = None,
    smoothings: Sequence[float] = SMOOTHINGS,
) -> FittedScorer:
    """Return a vote of nearest neighbours about every concept of the index.

    One search finds the most neighbours that are tried; what is best on validation is taken.  The
    union needs no choice: the threshold makes it.

    Args:
        tuning: what to choose on.
        index: of the training images.
        vote: how neighbours weigh; `auto` tries all ways but the union.
        counts: values of k to try.
        parameters: of the vote to try, instead of those in PARAMETERS.
        smoothings: to try beside none.
    """
    words = vocabulary(tuning.train.concepts)
    matrix = multi_hot(tuning.train.concepts.select(index.ids), words)
    most = min(max(counts), len(index))
    hits = index.search_others(tuning.valid.vectors, most, tuning.valid.concepts.ids, tuning.groups)

    def scorer(vote: Vote) -> NeighbourScorer:
        return NeighbourScorer(index, matrix, vote)

    if vote == "union":
        best = Vote("union", most)
    else:
        unit = _spread(hits, index.metric)
        truth = multi_hot(tuning.valid.concepts, words)
        kinds = [
            (kind, value * (unit if kind == "softmax" else 1))
            for kind in (PARAMETERS if vote == "auto" else (vote,))
            for value in (parameters or PARAMETERS[kind])
        ]
        counts = sorted({min(k, most) for k in counts})
        best = best_vote(
            lambda vote: tuning.threshold(scorer(vote).scores_of(hits), words, truth).f1,
            kinds,
            counts,
            smoothings,
        )
    return FittedScorer(scorer(best), words, scorer(best).scores_of(hits))


def _spread(hits: Hits, metric: str) -> float:
    """Return half the squared distance by which the farthest is farther than the nearest."""
    near = np.where(hits.rows < 0, 0, hits.distances)
    squared = 2 * near if metric == "cosine" else near**2
    gaps = squared.max(axis=1, initial=0) - squared[:, 0]
    return max(float(np.median(gaps[hits.rows[:, 0] >= 0])) / 2, 1e-6) if gaps.any() else 1.0


def best_vote(
    reached: Callable[[Vote], float],
    kinds: Sequence[tuple[Kind, float]],
    counts: Sequence[int],
    smoothings: Sequence[float],
) -> Vote:
    """Return the vote that reaches most, of those that lie on the way there.

    The first kind is tried with every k, the others climb from the best k so far to where neither
    the next nor the one before is better; then smoothing is tried.

    Args:
        reached: what a vote reaches.
        kinds: ways to weigh, each with its parameter.
        counts: values of k, ascending.
        smoothings: to try beside none.
    """
    reached = cache(reached)
    (kind, parameter), *others = kinds
    best = max((Vote(kind, k, parameter) for k in counts), key=reached)
    for kind, parameter in others:
        votes = [Vote(kind, k, parameter) for k in counts]
        place = counts.index(best.k)
        while True:
            beside = max(votes[max(place - 1, 0) : place + 2], key=reached)
            if reached(beside) <= reached(votes[place]):
                break
            place = votes.index(beside)
        best = max(best, votes[place], key=reached)
    return max([best, *(replace(best, smoothing=s) for s in smoothings)], key=reached)


def fit_fused(
    tuning: DetectionTask, linear: FittedScorer, neighbours: FittedScorer
) -> FittedScorer:
    """Return a logistic regression and neighbours together, see `fusion`.

    Raises:
        TypeError: they are not a regression and neighbours.
    """
    first, second = linear.scorer, neighbours.scorer
    if not isinstance(first, LinearScorer) or not isinstance(second, NeighbourScorer):
        raise TypeError(f"{first.kind} and {second.kind}: a regression and neighbours are fused")
    words = neighbours.words
    scorer = FusedScorer(first, second, Fusion(1.0, 0.0, 0.0))
    evidence = scorer.evidence(linear.scores, neighbours.scores)
    best = fit_fusion(evidence, multi_hot(tuning.valid.concepts, words))
    return FittedScorer(replace(scorer, fusion=best), words, best.combine(evidence))
